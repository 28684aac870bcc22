package ironic

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
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
	return list(r, "nodes", views, example, detail, inBrief)
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
			nodes = append(nodes, node{m, cmp.Or(works[machine.Resource(m.ID)], works[instanceWork(m.Instance)])})
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

// filterNodes keeps the nodes that the query asks for.
func filterNodes(r *osapi.Request, all []object) ([]object, error) {
	q := r.HTTP.URL.Query()
	var tests []func(object) bool
	for _, name := range slices.Sorted(maps.Keys(nodeFilters)) {
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

// listParameters are what a list's query may hold.
var listParameters = []string{"limit", "marker", "sort_key", "sort_dir", "fields", "detail"}

var nodeParameters = append(append([]string{"maintenance", "associated", "retired", "sharded", "shard", "project", "description_contains", "include_children"},
	listParameters...), slices.Collect(maps.Keys(nodeFilters))...)

// list answers for a collection: sorted, cut to a page, with the fields asked for. example has all fields that there
// are; brief are those shown when none is asked for.
func list(r *osapi.Request, key string, all []object, example object, detail bool, brief []string) (any, error) {
	known := slices.Concat(nodeParameters, portParameters)
	for name := range r.HTTP.URL.Query() {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Invalid, "Unexpected query parameter %q.", name)
		}
	}
	q := r.Query()
	page := q.Page(osapi.Paging{ZeroIsAll: true, Keys: sortable(example)})
	if q.Has("detail") {
		if !r.Version.AtLeast(1, 43) {
			return nil, tooNew(r, "the parameter detail")
		}
		detail = q.Bool("detail", false)
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	if err := checkFields(r, page, example); err != nil {
		return nil, err
	}
	switch {
	case detail && len(page.Fields) > 0:
		return nil, fault.New(fault.Invalid, "Can't fetch a subset of fields with 'detail' set.")
	case !detail && len(page.Fields) == 0:
		page.Fields = brief
	}
	order(page, all)
	all, next, err := osapi.Cut(page, all, func(o object) string { return fmt.Sprint(o["uuid"]) })
	if err != nil {
		return nil, err
	}
	picked := []object{}
	for _, o := range all {
		picked = append(picked, page.Pick(o))
	}
	answer := object{key: picked}
	if next != "" {
		answer["next"] = r.Next(next)
	}
	return answer, nil
}

// order sorts by the page's keys; without one the order stays the store's, oldest first.
func order(page osapi.Page, all []object) {
	compare := map[string]func(a, b object) int{}
	for _, s := range page.Sort {
		compare[s.Key] = func(a, b object) int { return cmp.Compare(sortText(a[s.Key]), sortText(b[s.Key])) }
	}
	osapi.Order(page, all, compare)
}

func sortText(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// sortable are the fields with a single value.
func sortable(example object) (keys []string) {
	for key, value := range example {
		switch value.(type) {
		case object, []object, []string:
		default:
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func checkFields(r *osapi.Request, page osapi.Page, example object) error {
	if len(page.Fields) > 0 && !r.Version.AtLeast(1, 8) {
		return tooNew(r, "the parameter fields")
	}
	for _, name := range page.Fields {
		if _, ok := example[name]; ok {
			continue
		}
		if _, later := nodeFields[name]; later {
			return tooNew(r, "the field "+name)
		}
		return fault.New(fault.Invalid, "Field(s) %q are not valid.", name)
	}
	return nil
}

func (a *api) showNode(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return show(r, a.view(r, n))
}

// show answers with one object, reduced to the fields asked for.
func show(r *osapi.Request, o object) (any, error) {
	q := r.Query()
	page := q.Page(osapi.Paging{})
	if err := q.Err(); err != nil {
		return nil, err
	}
	return page.Pick(o), checkFields(r, page, o)
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
		after, err := patched(before, operations, editable(&machine.Machine{BMC: machine.BMC{Kind: m.BMC.Kind}}))
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
