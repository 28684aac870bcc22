package ironic

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// view gathers what a node's fields need.
func (a *api) view(r *osapi.Request, q db.Querier, m *machine.Machine) (*node, error) {
	n := &node{Machine: m, host: a.host, version: r.Version}
	var err error
	if n.run, err = work(r, q, m); err != nil {
		return nil, err
	}
	nics, err := a.machines.NICs(r.Context(), q, m.ID)
	n.method = m.Method(nics)
	return n, err
}

// full is a node with all its fields and links.
func (a *api) full(r *osapi.Request, m *machine.Machine) (object, error) {
	n, err := a.view(r, a.db, m)
	if err != nil {
		return nil, err
	}
	body := n.show()
	body["links"] = links(r, "nodes", m.ID)
	for _, part := range []string{"ports", "portgroups", "states", "volume"} {
		body[part] = links(r, "nodes", m.ID, part)
	}
	return osapi.Fields{"portgroups": osapi.Since(1, 24), "states": osapi.Since(1, 14), "volume": osapi.Since(1, 32)}.Trim(body, r.Version), nil
}

// picked is a node with the fields that the client named.
func (a *api) picked(r *osapi.Request, m *machine.Machine, names []string) (object, error) {
	for _, name := range names {
		if f, ok := fields[name]; (!ok || !f.since.Has(r.Version)) && name != "links" {
			return nil, fault.New(fault.Invalid, "Field(s) \"%s\" are not valid.", name)
		}
	}
	n, err := a.view(r, a.db, m)
	if err != nil {
		return nil, err
	}
	body := n.show(names...)
	if slices.Contains(names, "links") {
		body["links"] = links(r, "nodes", m.ID)
	}
	return body, nil
}

func (a *api) showNode(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	if names := r.Query().Page(osapi.Paging{}).Fields; len(names) > 0 {
		return a.picked(r, m, names)
	}
	return a.full(r, m)
}

func (a *api) listNodes(r *osapi.Request) (any, error)       { return a.nodes(r, false) }
func (a *api) listNodesDetail(r *osapi.Request) (any, error) { return a.nodes(r, true) }

var nodeOrder = map[string]func(a, b *machine.Machine) int{
	"uuid":            func(a, b *machine.Machine) int { return cmp.Compare(a.ID, b.ID) },
	"name":            func(a, b *machine.Machine) int { return cmp.Compare(a.Name, b.Name) },
	"driver":          func(a, b *machine.Machine) int { return cmp.Compare(a.BMC.Kind, b.BMC.Kind) },
	"created_at":      func(a, b *machine.Machine) int { return a.Created.Compare(b.Created) },
	"updated_at":      func(a, b *machine.Machine) int { return a.Updated.Compare(b.Updated) },
	"provision_state": func(a, b *machine.Machine) int { return cmp.Compare(a.State, b.State) },
	"power_state":     func(a, b *machine.Machine) int { return cmp.Compare(a.Power, b.Power) },
	"resource_class":  func(a, b *machine.Machine) int { return cmp.Compare(a.ResourceClass, b.ResourceClass) },
	"instance_uuid":   func(a, b *machine.Machine) int { return cmp.Compare(a.Instance, b.Instance) },
	"owner":           func(a, b *machine.Machine) int { return cmp.Compare(a.Owner, b.Owner) },
}

func (a *api) nodes(r *osapi.Request, detail bool) (any, error) {
	q := r.Query()
	keep := nodeFilter(q)
	detail = q.Bool("detail", detail)
	keys := []string{}
	for key := range nodeOrder {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	page := q.Page(osapi.Paging{Keys: keys, ZeroIsAll: true})
	if err := q.Done(); err != nil {
		return nil, err
	}
	all, err := a.machines.List(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m *machine.Machine) bool { return !r.Caller.Reads(m.Owner) || !keep(m) })
	osapi.Order(page, all, nodeOrder)
	some, next, err := osapi.Cut(page, all, func(m *machine.Machine) string { return m.ID })
	if err != nil {
		return nil, err
	}
	list := []object{}
	for _, m := range some {
		show := func() (object, error) { return a.full(r, m) }
		switch {
		case len(page.Fields) > 0:
			show = func() (object, error) { return a.picked(r, m, page.Fields) }
		case !detail:
			show = func() (object, error) { return a.picked(r, m, shortFields(r.Version)) }
		}
		body, err := show()
		if err != nil {
			return nil, err
		}
		list = append(list, body)
	}
	body := object{"nodes": list}
	if next != "" {
		body["next"] = r.Next(next)
	}
	return body, nil
}

func shortFields(v osapi.Microversion) []string {
	names := []string{"links"}
	for _, name := range listed {
		if fields[name].since.Has(v) {
			names = append(names, name)
		}
	}
	return names
}

// nodeFilter reads the filters of a list of nodes.
func nodeFilter(q *osapi.Query) func(*machine.Machine) bool {
	var tests []func(*machine.Machine) bool
	is := func(name string, of func(*machine.Machine) string) {
		if q.Has(name) {
			want := q.String(name)
			tests = append(tests, func(m *machine.Machine) bool { return of(m) == want })
		}
	}
	truth := func(name string, of func(*machine.Machine) bool) {
		if q.Has(name) {
			want := q.Bool(name, true)
			tests = append(tests, func(m *machine.Machine) bool { return of(m) == want })
		}
	}
	nothing := func(*machine.Machine) string { return "" }
	is("instance_uuid", func(m *machine.Machine) string { return m.Instance })
	is("driver", func(m *machine.Machine) string { return m.BMC.Kind })
	is("resource_class", func(m *machine.Machine) string { return m.ResourceClass })
	is("owner", func(m *machine.Machine) string { return m.Owner })
	is("project", func(m *machine.Machine) string { return m.Owner })
	is("fault", func(m *machine.Machine) string { s, _ := (&node{Machine: m}).fault().(string); return s })
	is("lessee", nothing)
	is("chassis_uuid", nothing)
	is("conductor_group", nothing)
	is("parent_node", nothing)
	truth("associated", func(m *machine.Machine) bool { return m.Instance != "" })
	truth("maintenance", func(m *machine.Machine) bool { return m.Maintenance })
	truth("retired", func(*machine.Machine) bool { return false })
	truth("sharded", func(*machine.Machine) bool { return false })
	q.Bool("include_children", false) // there are none
	if want := machine.State(q.String("provision_state")); want != "" {
		for state, waits := range parked {
			if string(want) == waits {
				want = state
			}
		}
		tests = append(tests, func(m *machine.Machine) bool { return m.State == want })
	}
	if want := q.String("description_contains"); want != "" {
		tests = append(tests, func(m *machine.Machine) bool {
			return strings.Contains(strings.ToLower(m.Description), strings.ToLower(want))
		})
	}
	return func(m *machine.Machine) bool {
		return !slices.ContainsFunc(tests, func(fits func(*machine.Machine) bool) bool { return !fits(m) })
	}
}

func (a *api) createNode(r *osapi.Request) (any, error) {
	var values object
	if err := r.Decode(&values); err != nil {
		return nil, err
	}
	if _, ok := values["driver"]; !ok {
		return nil, fault.New(fault.Invalid, "Schema error for node: 'driver' is a required property.")
	}
	m := &machine.Machine{Owner: r.Caller.ProjectID}
	if err := change(m, values, r.Version, true); err != nil {
		return nil, err
	}
	err := a.db.Tx(r.Context(), func(tx *db.Tx) error {
		fresh := *m
		err := a.machines.Create(r.Context(), tx, &fresh)
		if err == nil {
			*m = fresh
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	body, err := a.full(r, m)
	return osapi.Response{Header: http.Header{"Location": {r.URL("/v1/nodes/", m.ID)}}, Body: body}, err
}

func (a *api) patchNode(r *osapi.Request) (any, error) {
	found, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	var patch []operation
	if err := r.Decode(&patch); err != nil {
		return nil, err
	}
	var changed *machine.Machine
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, found.ID)
		if err != nil {
			return err
		}
		n, err := a.view(r, tx, m)
		if err != nil {
			return err
		}
		values, err := apply(n.show(), patch)
		if err != nil {
			return err
		}
		_, kind := values["driver"]
		_, info := values["driver_info"]
		if kind && !info {
			values["driver_info"] = object{} // the other driver's fields mean nothing to this one
		}
		if (kind || info) && n.run != nil {
			return a.locked(m)
		}
		if err := change(m, values, r.Version, false); err != nil {
			return err
		}
		changed = m
		return a.machines.Update(r.Context(), tx, m)
	})
	if err != nil {
		return nil, err
	}
	return a.full(r, changed)
}

func (a *api) deleteNode(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, m.ID)
		if err != nil {
			return err
		}
		return a.machines.Delete(r.Context(), tx, m)
	})
}
