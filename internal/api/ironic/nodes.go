package ironic

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

func (a *api) listNodes(r *osapi.Request) (any, error)         { return a.nodes(r, false) }
func (a *api) listNodesInDetail(r *osapi.Request) (any, error) { return a.nodes(r, true) }

func (a *api) nodes(r *osapi.Request, detail bool) (any, error) {
	all, err := a.visible(r)
	if err != nil {
		return nil, err
	}
	views := make([]object, len(all))
	for i, n := range all {
		views[i] = a.view(r, n)
	}
	views, err = filterNodes(r, views)
	if err != nil {
		return nil, err
	}
	example := a.view(r, node{Machine: &machine.Machine{}})
	return nodeList.answer(r, views, example, detail)
}

// visible are the nodes that the caller may know of, oldest first, with the work on them.
func (a *api) visible(r *osapi.Request) ([]node, error) {
	all, err := a.machines.List(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	works, err := workflow.AllActive(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	nodes := []node{}
	for _, m := range all {
		if r.Caller.Reads(m.Owner) {
			nodes = append(nodes, node{m, cmp.Or(works[machine.Resource(m.ID)], works[instance.Resource(m.Instance)])})
		}
	}
	return nodes, nil
}

// nodeFilters are the query's parameters that a node's field must equal.
var nodeFilters = osapi.Fields{
	"instance_uuid": {}, "chassis_uuid": {}, "provision_state": osapi.Since(1, 9), "driver": osapi.Since(1, 16), "resource_class": osapi.Since(1, 21),
	"fault": osapi.Since(1, 42), "conductor_group": osapi.Since(1, 46), "conductor": osapi.Since(1, 49), "owner": osapi.Since(1, 50),
	"lessee": osapi.Since(1, 65), "parent_node": osapi.Since(1, 83),
}

// nodeList is how nodes are listed.
var nodeList = collection{
	key: "nodes", fields: nodeFields,
	brief:   []string{"instance_uuid", "maintenance", "power_state", "provision_state", "uuid", "name", "links"},
	filters: append(sorted(nodeFilters), "maintenance", "associated", "retired", "sharded", "shard", "project", "description_contains", "include_children"),
}

// filterNodes keeps the nodes that the query asks for.
func filterNodes(r *osapi.Request, all []object) ([]object, error) {
	q := r.HTTP.URL.Query()
	var tests []func(object) bool
	for _, name := range sorted(nodeFilters) {
		if !q.Has(name) {
			continue
		}
		if !nodeFilters[name].Has(r.Version) {
			return nil, tooNew(r, "the filter "+name)
		}
		want := q.Get(name)
		tests = append(tests, func(o object) bool { return o[name] == any(want) })
	}
	truths := []struct {
		name  string
		since osapi.Span
		of    func(object) bool
	}{
		{"maintenance", osapi.Span{}, func(o object) bool { return o["maintenance"] == true }},
		{"associated", osapi.Span{}, func(o object) bool { return o["instance_uuid"] != nil }},
		{"retired", osapi.Since(1, 61), func(object) bool { return false }},
		{"sharded", osapi.Since(1, 82), func(object) bool { return false }},
	}
	for _, f := range truths {
		if !q.Has(f.name) {
			continue
		}
		if !f.since.Has(r.Version) {
			return nil, tooNew(r, "the filter "+f.name)
		}
		want, err := strconv.ParseBool(strings.ToLower(q.Get(f.name)))
		if err != nil {
			return nil, fault.New(fault.Invalid, "Invalid input for query parameter %s: %q is not a boolean.", f.name, q.Get(f.name))
		}
		tests = append(tests, func(o object) bool { return f.of(o) == want })
	}
	if q.Has("shard") { // no node is in a shard
		if !r.Version.AtLeast(1, 82) {
			return nil, tooNew(r, "the filter shard")
		}
		tests = append(tests, func(object) bool { return false })
	}
	if want := q.Get("project"); want != "" {
		tests = append(tests, func(o object) bool { return o["owner"] == any(want) })
	}
	if want := q.Get("description_contains"); want != "" {
		tests = append(tests, func(o object) bool {
			text, _ := o["description"].(string) // null holds nothing
			return strings.Contains(text, want)
		})
	}
	kept := []object{}
	for _, o := range all {
		if !slices.ContainsFunc(tests, func(test func(object) bool) bool { return !test(o) }) {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

func (a *api) showNode(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return nodeList.show(r, a.view(r, n))
}

func (a *api) createNode(r *osapi.Request) (any, error) {
	var body object
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	m := &machine.Machine{}
	if id, given := body["uuid"]; given {
		text, _ := id.(string)
		if uuid.Validate(text) != nil || len(text) != 36 {
			return nil, fault.New(fault.Invalid, "Expected a UUID but received %v.", id)
		}
		m.ID = strings.ToLower(text)
		delete(body, "uuid")
	}
	if _, given := body["driver"]; !given {
		return nil, fault.New(fault.Invalid, "Schema error for node: 'driver' is a required property")
	}
	if err := givenTooEarly(r, slices.Collect(maps.Keys(body))); err != nil {
		return nil, err
	}
	if _, given := body["owner"]; !given {
		m.Owner = r.Caller.ProjectID // none with system scope
	}
	m.BMC.Kind, _ = body["driver"].(string) // another type is no driver's name either
	if _, err := bmcOf(m.BMC.Kind, nil); err != nil {
		return nil, err
	}
	before := editable(m)
	after := maps.Clone(before)
	for name, value := range body {
		if _, known := before[name]; !known {
			return nil, fault.New(fault.Invalid, "Schema error for node: Additional properties are not allowed ('%s' was unexpected)", name)
		}
		after[name] = value
	}
	if err := change(m, before, after); err != nil {
		return nil, err
	}
	err := a.db.Tx(r.Context(), func(tx *db.Tx) error { return a.machines.Create(r.Context(), tx, m) })
	if err != nil {
		return nil, err
	}
	return created(r, a.view(r, node{Machine: m}), "/v1/nodes/", m.ID), nil
}

func created(r *osapi.Request, o object, path, id string) osapi.Response {
	return osapi.Response{Body: o, Header: map[string][]string{"Location": {r.URL(path, id)}}}
}

func (a *api) patchNode(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	touched := rootsOf(operations)
	if err := givenTooEarly(r, touched); err != nil {
		return nil, err
	}
	if !r.Caller.IsAdmin() {
		for _, name := range touched {
			if !slices.Contains([]string{"extra", "description", "maintenance", "maintenance_reason"}, name) {
				return nil, fault.New(fault.Forbidden, "Only admins may change %s of a node.", name)
			}
		}
	}
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		before := editable(m)
		defaults := editable(&machine.Machine{BMC: machine.BMC{Kind: m.BMC.Kind}, Abilities: m.Abilities})
		defaults["driver"] = nil // a node cannot be without
		after, err := patched(before, operations, defaults)
		if err != nil {
			return err
		}
		was := m.BMC
		if err := change(m, before, after); err != nil {
			return err
		}
		if n.held() && m.BMC != was {
			return locked(n.ID, a.host)
		}
		n.Machine = m
		return a.machines.Update(r.Context(), tx, m)
	})
	if err != nil {
		return nil, err
	}
	return a.view(r, n), nil
}

func (a *api) deleteNode(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		return a.machines.Delete(r.Context(), tx, m)
	})
}

func (a *api) setMaintenance(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Reason osapi.Optional[string] `json:"reason"`
	}
	text, err := r.Raw()
	if err == nil && len(text) > 0 {
		err = osapi.Strict(text, &body)
	}
	if err != nil {
		return nil, err
	}
	return nil, a.machines.SetMaintenance(r.Context(), n.ID, true, body.Reason.Value)
}

func (a *api) endMaintenance(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.machines.SetMaintenance(r.Context(), n.ID, false, "")
}
