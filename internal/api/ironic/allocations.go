package ironic

import (
	"context"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// allocationBody is what may be changed of an allocation later.
type allocationBody struct {
	Name  string `json:"name"`
	Extra object `json:"extra"`
}

func (a *api) allocations() *kept[machine.Allocation, allocationBody] {
	return &kept[machine.Allocation, allocationBody]{
		api: a, path: "allocations", noun: "Allocation", since: osapi.V(1, 52), reads: osapi.Reader, byName: true,
		collection: collection{
			key: "allocations", filters: []string{"node", "resource_class", "state", "owner"},
			brief:  []string{"uuid", "name", "node_uuid", "resource_class", "state", "traits", "candidate_nodes", "extra", "last_error", "owner", "created_at", "updated_at", "links"},
			fields: osapi.Fields{"owner": osapi.Since(1, 60)},
		},
		list: a.machines.Allocations, save: a.machines.SaveAllocation, remove: a.machines.DeleteAllocation,
		get:  a.machines.Allocation,
		card: func(c *machine.Allocation) *machine.Card { return &c.Card },
		view: viewAllocation,
		body: func(c *machine.Allocation) allocationBody { return allocationBody{c.Name, orEmpty(c.Extra)} },
		read: func(_ context.Context, _ *db.Tx, b allocationBody, c *machine.Allocation) error {
			if b.Name != "" && !isName(b.Name) {
				return fault.New(fault.Invalid, "Cannot set allocation with invalid name '%s'", b.Name)
			}
			c.Name, c.Extra = b.Name, b.Extra
			return nil
		},
	}
}

func viewAllocation(r *osapi.Request, c *machine.Allocation) object {
	return carded(r, &c.Card, "allocations", object{
		"name": orNull(c.Name), "owner": orNull(c.Owner), "resource_class": c.ResourceClass, "traits": list(c.Traits),
		"candidate_nodes": list(c.Candidates), "state": string(c.State), "last_error": orNull(c.LastError), "node_uuid": orNull(c.Machine),
	})
}

func list(texts []string) []string { return append([]string{}, texts...) }

func (a *api) listAllocations(r *osapi.Request) (any, error) {
	k, query := a.allocations(), r.HTTP.URL.Query()
	if query.Has("owner") && !r.Version.AtLeast(1, 60) {
		return nil, tooNew(r, "the filter owner")
	}
	node := query.Get("node")
	if node != "" {
		m, err := a.machines.Get(r.Context(), a.db, node)
		if err != nil || !reads(r, m) {
			return nil, fault.New(fault.Invalid, "Node %s could not be found.", node)
		}
		node = m.ID
	}
	k.filter = func(r *osapi.Request) func(*machine.Allocation) bool {
		return func(c *machine.Allocation) bool {
			for name, value := range map[string]string{"resource_class": c.ResourceClass, "state": string(c.State), "owner": c.Owner} {
				if query.Has(name) && query.Get(name) != value {
					return false
				}
			}
			return r.Caller.Reads(c.Owner) && (node == "" || node == c.Machine)
		}
	}
	return k.answerAll(r, "", false)
}

// allocation is the one that the path names, for callers who may know of it.
func (a *api) allocation(r *osapi.Request) (*machine.Allocation, error) {
	c, err := a.allocations().found(r, a.db)
	if err == nil && !r.Caller.Reads(c.Owner) {
		err = fault.New(fault.NotFound, "Allocation %s could not be found.", r.Path("id"))
	}
	return c, err
}

func (a *api) showAllocation(r *osapi.Request) (any, error) {
	c, err := a.allocation(r)
	if err != nil {
		return nil, err
	}
	k := a.allocations()
	return k.show(r, k.fields.Trim(viewAllocation(r, c), r.Version))
}

// createAllocation has a machine sought. Who is no admin gets one of the project's own, or one that it has on lease.
func (a *api) createAllocation(r *osapi.Request) (any, error) {
	var body struct {
		Name          string   `json:"name"`
		Owner         string   `json:"owner"`
		ResourceClass string   `json:"resource_class"`
		Node          string   `json:"node"`
		Traits        []string `json:"traits"`
		Candidates    []string `json:"candidate_nodes"`
		Extra         object   `json:"extra"`
	}
	k := a.allocations()
	id, err := k.readBody(r, &body)
	if err != nil {
		return nil, err
	}
	if !r.Caller.IsAdmin() {
		if body.Owner != "" && body.Owner != r.Caller.ProjectID {
			return nil, fault.New(fault.Forbidden, "Cannot create an allocation of another project's.")
		}
		body.Owner = r.Caller.ProjectID
	}
	for _, trait := range body.Traits {
		if !traitName.MatchString(trait) {
			return nil, fault.New(fault.Invalid, "Invalid trait %q: a trait has capital letters, digits and underscores only.", trait)
		}
	}
	switch {
	case body.Node != "" && !r.Version.AtLeast(1, 58):
		return nil, fault.New(fault.Invalid, "Cannot set node when creating an allocation in this API version")
	case body.ResourceClass == "" && body.Node == "":
		return nil, fault.New(fault.Invalid, "The resource_class field is mandatory when not backfilling")
	case utf8.RuneCountInString(body.ResourceClass) > 80:
		return nil, fault.New(fault.Invalid, "Schema error for allocation: the resource_class has more than 80 characters.")
	}
	c := &machine.Allocation{Card: machine.Card{ID: id}, Owner: body.Owner, ResourceClass: body.ResourceClass, Traits: body.Traits}
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		if err := k.read(r.Context(), tx, allocationBody{body.Name, body.Extra}, c); err != nil {
			return err
		}
		for _, ident := range body.Candidates {
			m, err := a.allocatable(r, tx, ident)
			if err != nil {
				return err
			}
			c.Candidates = append(c.Candidates, m.ID)
		}
		if body.Node == "" {
			return a.machines.Allocate(r.Context(), tx, c, r.ID)
		}
		m, err := a.allocatable(r, tx, body.Node)
		if err != nil {
			return err
		}
		if c.ResourceClass == "" {
			c.ResourceClass = m.ResourceClass
		}
		if c.ID == "" {
			c.ID = m.Instance + m.Holder // at most one of them: the allocation is of whoever has the node
		}
		return a.machines.Backfill(r.Context(), tx, c, m)
	})
	if err != nil {
		return nil, err
	}
	return created(r, k.fields.Trim(viewAllocation(r, c), r.Version), "/v1/allocations/", c.ID), nil
}

// allocatable finds a node that a body names.
func (a *api) allocatable(r *osapi.Request, tx *db.Tx, ident string) (*machine.Machine, error) {
	m, err := a.nodeOf(r.Context(), tx, ident)
	if err == nil && !reads(r, m) {
		err = fault.New(fault.Invalid, "Node %s could not be found.", ident)
	}
	return m, err
}

// changeAllocation does something to an allocation of the caller's.
func (a *api) changeAllocation(r *osapi.Request, find func(*osapi.Request) (*machine.Allocation, error), do func(*db.Tx, *machine.Allocation) error) error {
	c, err := find(r)
	if err != nil {
		return err
	}
	if !r.Caller.Writes(c.Owner) {
		return fault.New(fault.Forbidden, "Only members of the project that owns allocation %s, and admins, may do this.", c.ID)
	}
	return a.db.Tx(r.Context(), func(tx *db.Tx) error {
		c, err := a.machines.Allocation(r.Context(), tx, c.ID)
		if err != nil {
			return err
		}
		return do(tx, c)
	})
}

func (a *api) patchAllocation(r *osapi.Request) (any, error) {
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	k := a.allocations()
	var now *machine.Allocation
	err = a.changeAllocation(r, a.allocation, func(tx *db.Tx, c *machine.Allocation) error {
		now = c
		var b allocationBody
		if err := patchedInto(&b, k.body(c), operations); err != nil {
			return err
		}
		if err := k.read(r.Context(), tx, b, c); err != nil {
			return err
		}
		return k.save(r.Context(), tx, c)
	})
	if err != nil {
		return nil, err
	}
	return k.fields.Trim(viewAllocation(r, now), r.Version), nil
}

func (a *api) deleteAllocation(r *osapi.Request) (any, error) {
	return nil, a.changeAllocation(r, a.allocation, func(tx *db.Tx, c *machine.Allocation) error {
		return a.machines.DeleteAllocation(r.Context(), tx, c)
	})
}

// allocationOfNode is the one by which somebody has the node.
func (a *api) allocationOfNode(r *osapi.Request) (*machine.Allocation, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	missing := fault.New(fault.NotFound, "Allocation for node %s was not found.", n.ID)
	if n.Allocation == "" {
		return nil, missing
	}
	c, err := a.machines.Allocation(r.Context(), a.db, n.Allocation)
	if err == nil && !r.Caller.Reads(c.Owner) {
		err = missing
	}
	return c, err
}

func (a *api) showAllocationOfNode(r *osapi.Request) (any, error) {
	c, err := a.allocationOfNode(r)
	if err != nil {
		return nil, err
	}
	k := a.allocations()
	return k.show(r, k.fields.Trim(viewAllocation(r, c), r.Version))
}

func (a *api) deleteAllocationOfNode(r *osapi.Request) (any, error) {
	return nil, a.changeAllocation(r, a.allocationOfNode, func(tx *db.Tx, c *machine.Allocation) error {
		return a.machines.DeleteAllocation(r.Context(), tx, c)
	})
}
