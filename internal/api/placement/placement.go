// Package placement shows the machines as OpenStack's Placement does Ironic's nodes, for clients that look: each is a
// resource provider with one of its resource class, taken or not. Nothing can be changed here; ingot chooses machines
// itself. https://docs.openstack.org/api-ref/placement/
package placement

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

type object = osapi.Object

type api struct {
	machines *machine.Service
	db       *db.DB
}

var oldest, newest = osapi.V(1, 0), osapi.V(1, 39)

// Dialect is the Placement API at /placement.
func Dialect(machines *machine.Service, d *db.DB) osapi.Dialect {
	a := &api{machines, d}
	const get = http.MethodGet
	return osapi.Dialect{
		Name: "placement", Mount: "/placement", Envelope: envelope, Versions: osapi.Microversions{Min: oldest, Max: newest, Service: "placement"},
		Routes: []osapi.Route{
			{Method: get, Pattern: "/", Policy: osapi.Public, Handle: versions},
			{Method: get, Pattern: "/resource_providers", Policy: osapi.SystemReader, Handle: a.providers},
			{Method: get, Pattern: "/resource_providers/{id}", Policy: osapi.SystemReader, Handle: a.provider(view)},
			{Method: get, Pattern: "/resource_providers/{id}/inventories", Policy: osapi.SystemReader, Handle: a.provider(inventories)},
			{Method: get, Pattern: "/resource_providers/{id}/usages", Policy: osapi.SystemReader, Handle: a.provider(usages)},
			{Method: get, Pattern: "/resource_providers/{id}/allocations", Policy: osapi.SystemReader, Handle: a.provider(allocations)},
			{Method: get, Pattern: "/resource_providers/{id}/traits", Since: osapi.V(1, 6), Policy: osapi.SystemReader, Handle: a.provider(traits)},
			{Method: get, Pattern: "/resource_providers/{id}/aggregates", Since: osapi.V(1, 1), Policy: osapi.SystemReader, Handle: a.provider(aggregates)},
			{Method: get, Pattern: "/allocations/{consumer}", Policy: osapi.SystemReader, Handle: a.allocationsOf},
			{Method: get, Pattern: "/resource_classes", Since: osapi.V(1, 2), Policy: osapi.SystemReader, Handle: a.classes},
			{Method: get, Pattern: "/traits", Since: osapi.V(1, 6), Policy: osapi.SystemReader, Handle: a.traits},
		},
	}
}

// envelope is placement/util.py, json_error_formatter.
func envelope(f osapi.Failure) (string, any) {
	return "application/json", object{"errors": []object{{"status": f.Status, "title": http.StatusText(f.Status), "detail": f.Message}}}
}

func versions(*osapi.Request) (any, error) {
	return object{"versions": []object{{
		"id": "v1.0", "status": "CURRENT", "min_version": oldest.String(), "max_version": newest.String(), "links": []object{{"rel": "self", "href": ""}},
	}}}, nil
}

var notInClass = regexp.MustCompile(`[^A-Z0-9_]`)

// class is a machine's resource class as Placement writes it.
func class(m *machine.Machine) string {
	if m.ResourceClass == "" {
		return "CUSTOM_BAREMETAL"
	}
	return "CUSTOM_" + notInClass.ReplaceAllString(strings.ToUpper(m.ResourceClass), "_")
}

var fields = osapi.Fields{"parent_provider_uuid": osapi.Since(1, 14), "root_provider_uuid": osapi.Since(1, 14)}

func view(r *osapi.Request, m *machine.Machine) object {
	self, links := "/resource_providers/"+m.ID, []object{}
	for _, part := range []string{"", "inventories", "usages", "aggregates", "traits", "allocations"} {
		rel, href := "self", self
		if part != "" {
			rel, href = part, self+"/"+part
		}
		links = append(links, object{"rel": rel, "href": "/placement" + href})
	}
	return fields.Trim(object{"uuid": m.ID, "name": m.ID, "generation": m.Epoch, "parent_provider_uuid": nil, "root_provider_uuid": m.ID, "links": links}, r.Version)
}

// providers can be narrowed as clients do: by uuid, by name, and by the traits and the class they must have.
func (a *api) providers(r *osapi.Request) (any, error) {
	q := r.Query()
	id, name, tree, required, resources := q.String("uuid"), q.String("name"), q.String("in_tree"), q.String("required"), q.String("resources")
	q.String("member_of")
	if err := q.Done(); err != nil {
		return nil, err
	}
	machines, err := a.machines.List(r.Context(), a.db)
	shown := []object{}
	for _, m := range machines {
		wanted := (id == "" || id == m.ID) && (name == "" || name == m.ID) && (tree == "" || tree == m.ID) && has(m, required) && offers(m, resources)
		if wanted {
			shown = append(shown, view(r, m))
		}
	}
	return object{"resource_providers": shown}, err
}

func has(m *machine.Machine, required string) bool {
	for trait := range strings.SplitSeq(required, ",") {
		forbidden, no := strings.CutPrefix(trait, "!")
		if trait != "" && slices.Contains(m.Traits, forbidden) == no {
			return false
		}
	}
	return true
}

// offers says whether the machine, if nobody has it, has "CLASS:1,…".
func offers(m *machine.Machine, resources string) bool {
	for resource := range strings.SplitSeq(resources, ",") {
		name, amount, _ := strings.Cut(resource, ":")
		if resource != "" && (name != class(m) || amount != "1" || !m.Spare()) {
			return false
		}
	}
	return true
}

// provider finds the machine of the path.
func (a *api) provider(show func(*osapi.Request, *machine.Machine) object) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		m, err := a.machines.Get(r.Context(), a.db, r.Path("id"))
		if fault.Is(err, fault.NotFound) || err == nil && m.ID != r.Path("id") {
			return nil, fault.New(fault.NotFound, "No resource provider with uuid %.80s found", r.Path("id"))
		}
		if err != nil {
			return nil, err
		}
		return show(r, m), nil
	}
}

// inventories have one of the class; it is reserved while nobody may have the machine (nova/virt/ironic/driver.py).
func inventories(_ *osapi.Request, m *machine.Machine) object {
	reserved := 0
	if m.Instance == "" && !m.Spare() {
		reserved = 1
	}
	return object{"resource_provider_generation": m.Epoch, "inventories": object{class(m): object{
		"total": 1, "reserved": reserved, "min_unit": 1, "max_unit": 1, "step_size": 1, "allocation_ratio": 1.0,
	}}}
}

func usages(_ *osapi.Request, m *machine.Machine) object {
	used := 0
	if m.Instance != "" {
		used = 1
	}
	return object{"resource_provider_generation": m.Epoch, "usages": object{class(m): used}}
}

func allocations(_ *osapi.Request, m *machine.Machine) object {
	taken := object{}
	if m.Instance != "" {
		taken[m.Instance] = object{"resources": object{class(m): 1}}
	}
	return object{"resource_provider_generation": m.Epoch, "allocations": taken}
}

func traits(_ *osapi.Request, m *machine.Machine) object {
	return object{"resource_provider_generation": m.Epoch, "traits": list(m.Traits)}
}

func aggregates(r *osapi.Request, m *machine.Machine) object {
	shown := object{"aggregates": []string{}}
	if r.Version.AtLeast(1, 19) {
		shown["resource_provider_generation"] = m.Epoch
	}
	return shown
}

func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// allocationsOf a server: its machine.
func (a *api) allocationsOf(r *osapi.Request) (any, error) {
	machines, err := a.machines.List(r.Context(), a.db)
	taken := object{}
	for _, m := range machines {
		if m.Instance == r.Path("consumer") {
			taken[m.ID] = object{"generation": m.Epoch, "resources": object{class(m): 1}}
		}
	}
	return object{"allocations": taken}, err
}

func (a *api) classes(r *osapi.Request) (any, error) {
	names, err := a.distinct(r, func(m *machine.Machine) []string { return []string{class(m)} })
	shown := make([]object, len(names))
	for n, name := range names {
		shown[n] = object{"name": name, "links": []object{{"rel": "self", "href": "/placement/resource_classes/" + name}}}
	}
	return object{"resource_classes": shown}, err
}

func (a *api) traits(r *osapi.Request) (any, error) {
	names, err := a.distinct(r, func(m *machine.Machine) []string { return m.Traits })
	return object{"traits": list(names)}, err
}

// distinct words of all machines.
func (a *api) distinct(r *osapi.Request, of func(*machine.Machine) []string) ([]string, error) {
	machines, err := a.machines.List(r.Context(), a.db)
	var all []string
	for _, m := range machines {
		all = append(all, of(m)...)
	}
	slices.Sort(all)
	return slices.Compact(all), err
}
