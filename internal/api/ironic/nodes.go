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

func (a *api) listNodes(r *osapi.Request) (any, error)         { return a.everyNode(r, false) }
func (a *api) listNodesInDetail(r *osapi.Request) (any, error) { return a.everyNode(r, true) }

// everyNode lists all that the caller may know of. A page in the store's own order, for somebody who sees all, costs as
// much as the page has nodes, and not as much as there are.
func (a *api) everyNode(r *osapi.Request, detail bool) (any, error) {
	marker, most, ok := plainPage(r)
	if !ok {
		return a.nodes(r, detail, func(*machine.Machine) bool { return true })
	}
	list, view := a.machines.ListFrom, a.view
	if q := r.HTTP.URL.Query(); !detail && !q.Has("detail") && !q.Has("fields") {
		list, view = a.machines.BriefFrom, a.brief
	}
	page, err := list(r.Context(), a.db, marker, most)
	if err != nil {
		return nil, err
	}
	all, err := a.working(r, page)
	if err != nil {
		return nil, err
	}
	return a.answerNodes(r, all, view, detail)
}

// plainPage says from which node on, and how many at most, decide about the answer: the marker itself, the page, and one
// that tells whether there are more. It is not ok where the query asks for more than a page, or wrongly.
func plainPage(r *osapi.Request) (marker string, most int, ok bool) {
	q := r.HTTP.URL.Query()
	for name := range q {
		if !slices.Contains([]string{"limit", "marker", "fields", "detail"}, name) {
			return "", 0, false
		}
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if marker = q.Get("marker"); marker != "" && err == nil {
		err = uuid.Validate(marker)
	}
	return marker, limit + 2, err == nil && limit > 0 && limit <= mostInPage && r.Caller.ReadsAll()
}

// mostInPage is what osapi.Paging lets a page have.
const mostInPage = 1000

// nodes lists those that the caller may know of, fit, and are asked for.
func (a *api) nodes(r *osapi.Request, detail bool, fits func(*machine.Machine) bool) (any, error) {
	all, err := a.visible(r)
	if err != nil {
		return nil, err
	}
	return a.answerNodes(r, slices.DeleteFunc(all, func(n node) bool { return !fits(n.Machine) }), a.view, detail)
}

func (a *api) answerNodes(r *osapi.Request, all []node, view func(*osapi.Request, node) object, detail bool) (any, error) {
	views := make([]object, len(all))
	for i, n := range all {
		views[i] = view(r, n)
	}
	views, err := filterNodes(r, views)
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
	return a.working(r, slices.DeleteFunc(all, func(m *machine.Machine) bool { return !reads(r, m) }))
}

// working are machines with the work on them.
func (a *api) working(r *osapi.Request, machines []*machine.Machine) ([]node, error) {
	works, err := workflow.AllActive(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	nodes := make([]node, len(machines))
	for i, m := range machines {
		nodes[i] = node{m, cmp.Or(works[machine.Resource(m.ID)], works[instance.Resource(m.Instance)])}
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
		if name == "fault" && !slices.Contains(faults, want) {
			return nil, fault.New(fault.Invalid, "Unrecognized fault %q is specified, allowed faults are %v.", want, faults)
		}
		if want == "none" && name == "fault" {
			tests = append(tests, func(o object) bool { return o[name] == nil })
			continue
		}
		tests = append(tests, func(o object) bool { return o[name] == any(want) })
	}
	truths := []struct {
		name  string
		since osapi.Span
		of    func(object) bool
	}{
		{"maintenance", osapi.Span{}, func(o object) bool { return o["maintenance"] == true }},
		{"associated", osapi.Span{}, func(o object) bool { return o["instance_uuid"] != nil }},
		{"retired", osapi.Since(1, 61), func(o object) bool { return o["retired"] == true }},
		{"sharded", osapi.Since(1, 82), func(o object) bool { return o["shard"] != nil }},
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
	if q.Has("shard") {
		if !r.Version.AtLeast(1, 82) {
			return nil, tooNew(r, "the filter shard")
		}
		wanted := strings.Split(q.Get("shard"), ",")
		tests = append(tests, func(o object) bool {
			shard, _ := o["shard"].(string) // null is in none
			return shard != "" && slices.Contains(wanted, shard)
		})
	}
	if want := q.Get("project"); want != "" {
		tests = append(tests, func(o object) bool { return o["owner"] == any(want) || o["lessee"] == any(want) })
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
	id, err := nodeList.readBody(r, &body)
	if err != nil {
		return nil, err
	}
	m := &machine.Machine{ID: id}
	if _, given := body["driver"]; !given {
		return nil, fault.New(fault.Invalid, "Schema error for node: 'driver' is a required property")
	}
	if _, given := body["owner"]; !given {
		m.Owner = r.Caller.ProjectID // none with system scope
	}
	m.BMC.Kind, _ = body["driver"].(string) // another type is no driver's name either
	if err := a.knows(m.BMC.Kind); err != nil {
		return nil, err
	}
	if m.Fake() && !r.Version.AtLeast(1, 11) { // a real node begins as enroll in every version: nobody has cleaned it
		m.State = machine.Available
	}
	before := editable(m)
	after := maps.Clone(before)
	for name, value := range body {
		if _, known := before[name]; !known {
			return nil, fault.New(fault.Invalid, "Schema error for node: Additional properties are not allowed ('%s' was unexpected)", name)
		}
		after[name] = value
	}
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		if err := a.change(r.Context(), tx, m, before, after); err != nil {
			return err
		}
		return a.machines.Create(r.Context(), tx, m)
	})
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
	if err := nodeList.tooEarly(r, touched); err != nil {
		return nil, err
	}
	if err := mayTouch(r, n, touched); err != nil {
		return nil, err
	}
	reset, err := resetsInterfaces(r, touched)
	if err != nil {
		return nil, err
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
		was := *m
		if reset {
			m.Notes.Interfaces = nil
		}
		if err := a.change(r.Context(), tx, m, before, after); err != nil {
			return err
		}
		if err := checkInterfaces(&was, m, reset); err != nil {
			return err
		}
		if n.held() && m.BMC != was.BMC {
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
	if err == nil {
		err = a.settle(r.Context(), n.ID)
	}
	if err != nil {
		return nil, err
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		if _, err := a.unplug(r.Context(), tx, m.ID, ""); err != nil {
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

// touchable is what others than admins may change of a node: its owner, and its lessee.
var (
	ofOwner  = []string{"extra", "description", "maintenance", "maintenance_reason", "instance_info"}
	ofLessee = []string{"extra", "instance_info"}
)

func mayTouch(r *osapi.Request, n node, touched []string) error {
	may := ofLessee
	switch {
	case r.Caller.IsAdmin():
		return nil
	case r.Caller.Writes(n.Owner):
		may = ofOwner
	}
	for _, name := range touched {
		if !slices.Contains(may, name) {
			return fault.New(fault.Forbidden, "Only admins may change %s of a node.", name)
		}
	}
	return nil
}

// resetsInterfaces reads whether a node that gets another driver leaves all interfaces chosen for the one before.
func resetsInterfaces(r *osapi.Request, touched []string) (bool, error) {
	q := r.Query()
	reset := q.Bool("reset_interfaces", false)
	switch {
	case q.Has("reset_interfaces") && !r.Version.AtLeast(1, 45):
		return false, tooNew(r, "the parameter reset_interfaces")
	case reset && !slices.Contains(touched, "driver"):
		return false, fault.New(fault.Invalid, "The reset_interfaces parameter can only be used when changing the node's driver.")
	}
	return reset, q.Done()
}

// children names the nodes that are a part of this one.
func (a *api) children(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	all, err := a.visible(r)
	ids := []string{}
	for _, child := range all {
		if child.Notes.Parent == n.ID {
			ids = append(ids, child.ID)
		}
	}
	return object{"children": ids}, err
}

// shards counts the nodes of each; null is for those that are in none.
func (a *api) shards(r *osapi.Request) (any, error) {
	all, err := a.machines.List(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, m := range all {
		counts[m.Notes.Shard]++
	}
	list := []object{}
	for _, name := range sorted(counts) {
		list = append(list, object{"name": orNull(name), "count": counts[name]})
	}
	return object{"shards": list}, nil
}
