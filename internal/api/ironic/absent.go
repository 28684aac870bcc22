package ironic

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// absent is a kind of thing that there is none of. Clients ask for its list all the same, and get the truth.
type absent struct {
	path, key string // of the collection
	noun      string
	since     osapi.Microversion
	policy    osapi.Policy // who may ask for it
	ofNode    bool         // the path is below a node's
}

var notHere = []absent{
	{"chassis", "chassis", "Chassis", osapi.Microversion{}, osapi.SystemReader, false},
	{"portgroups", "portgroups", "Portgroup", osapi.V(1, 23), osapi.Reader, false},
	{"volume/connectors", "connectors", "Volume connector", osapi.V(1, 32), osapi.Reader, false},
	{"volume/targets", "targets", "Volume target", osapi.V(1, 32), osapi.Reader, false},
	{"allocations", "allocations", "Allocation", osapi.V(1, 52), osapi.Reader, false},
	{"deploy_templates", "deploy_templates", "Deploy template", osapi.V(1, 55), osapi.SystemReader, false},
	{"shards", "shards", "Shard", osapi.V(1, 82), osapi.SystemReader, false},
	{"portgroups", "portgroups", "Portgroup", osapi.V(1, 24), osapi.Reader, true},
	{"bios", "bios", "BIOS setting", osapi.V(1, 40), osapi.Reader, true},
	{"volume/connectors", "connectors", "Volume connector", osapi.V(1, 32), osapi.Reader, true},
	{"volume/targets", "targets", "Volume target", osapi.V(1, 32), osapi.Reader, true},
	{"children", "children", "Child", osapi.V(1, 83), osapi.Reader, true},
}

func (k absent) routes(a *api) []osapi.Route {
	row := func(method, pattern string, handle osapi.Handler) osapi.Route {
		return osapi.Route{Method: method, Pattern: pattern, Since: k.since, Policy: k.policy, Handle: handle}
	}
	if k.ofNode {
		path := "/v1/nodes/{node}/" + k.path
		return []osapi.Route{
			row(http.MethodGet, path, func(r *osapi.Request) (any, error) {
				_, err := a.find(r)
				return object{k.key: []object{}}, err
			}),
			row(http.MethodGet, path+"/{id}", func(r *osapi.Request) (any, error) {
				if _, err := a.find(r); err != nil {
					return nil, err
				}
				return k.missing(r)
			}),
		}
	}
	path := "/v1/" + k.path
	empty := func(*osapi.Request) (any, error) { return object{k.key: []object{}}, nil }
	routes := []osapi.Route{
		row(http.MethodGet, path, empty),
		row(http.MethodGet, path+"/detail", empty),
		row(http.MethodGet, path+"/{id}", k.missing),
		row(http.MethodPatch, path+"/{id}", k.missing),
		row(http.MethodDelete, path+"/{id}", k.missing),
		row(http.MethodPost, path, k.refuse),
	}
	for i := range routes[3:] {
		routes[3+i].Policy = osapi.Admin
	}
	return routes
}

func (k absent) missing(r *osapi.Request) (any, error) {
	return nil, fault.New(fault.NotFound, "%s %s could not be found.", k.noun, r.Path("id"))
}

func (k absent) refuse(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "%s: this cloud does not have it.", k.noun)
}

// volumes leads to the two collections of volumes, which are empty: disks over the network are Cinder's and Nova's.
func volumes(r *osapi.Request) (any, error) {
	return object{"connectors": links(r, "/volume/connectors"), "targets": links(r, "/volume/targets"), "links": links(r, "/volume/")}, nil
}

func (a *api) volumesOfNode(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{
		"connectors": below(r, "/nodes/", n.ID, "volume/connectors"), "targets": below(r, "/nodes/", n.ID, "volume/targets"),
		"links": below(r, "/nodes/", n.ID, "volume/"),
	}, nil
}
