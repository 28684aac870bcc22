package nova

import (
	"net/http"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// removed are the APIs that Nova had once, by their paths; it answers 410 to who still asks (nova/api/openstack/compute/routes.py).
var removed = []string{
	"os-agents", "os-cells", "os-certificates", "os-cloudpipe", "os-consoles", "os-fixed-ips/{ip}", "os-floating-ip-dns", "os-floating-ips-bulk", "os-fping",
	"os-security-group-default-rules", "servers/{id}/consoles", "servers/{id}/os-virtual-interfaces",
}

// absentRoutes are those of what is not there: what Nova has no more, and what machines and a cloud without volumes never
// have. Lists are empty and truthful, everything else is refused in Nova's words.
func (a *api) absentRoutes() []osapi.Route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	v := osapi.V
	routes := []osapi.Route{
		{Method: get, Pattern: "/v2.1/servers/{id}/topology", Since: v(2, 78), Policy: osapi.Reader, Handle: a.onServer(topology)},
		{Method: get, Pattern: "/v2.1/servers/{id}/migrations/{migration}", Since: v(2, 23), Policy: osapi.Admin, Handle: a.onServer(noMigration)},
		{Method: del, Pattern: "/v2.1/servers/{id}/migrations/{migration}", Since: v(2, 24), Policy: osapi.Admin, Handle: a.onServer(noMigration)},
		{Method: post, Pattern: "/v2.1/servers/{id}/migrations/{migration}/action", Since: v(2, 22), Policy: osapi.Admin, Handle: a.onServer(noMigration)},
		{Method: post, Pattern: "/v2.1/os-volumes_boot", Policy: osapi.ProjectMember, Status: 202, Handle: a.createServer}, // its name of old
		{Method: post, Pattern: "/v2.1/os-assisted-volume-snapshots", Policy: osapi.Admin, Handle: unsupported},
		{Method: del, Pattern: "/v2.1/os-assisted-volume-snapshots/{id}", Policy: osapi.Admin, Handle: unsupported},
	}
	for _, noun := range []string{"Volume", "Snapshot"} {
		kind := strings.ToLower(noun) + "s"
		list, missing := none(kind), func(r *osapi.Request) (any, error) {
			return nil, fault.New(fault.NotFound, "%s %s could not be found.", noun, clip(r.Path("id")))
		}
		routes = append(routes,
			osapi.Route{Method: get, Pattern: "/v2.1/os-" + kind, Until: v(2, 35), Policy: osapi.Reader, Handle: list},
			osapi.Route{Method: get, Pattern: "/v2.1/os-" + kind + "/detail", Until: v(2, 35), Policy: osapi.Reader, Handle: list},
			osapi.Route{Method: post, Pattern: "/v2.1/os-" + kind, Until: v(2, 35), Policy: osapi.ProjectMember, Handle: unsupported},
			osapi.Route{Method: get, Pattern: "/v2.1/os-" + kind + "/{id}", Until: v(2, 35), Policy: osapi.Reader, Handle: missing},
			osapi.Route{Method: del, Pattern: "/v2.1/os-" + kind + "/{id}", Until: v(2, 35), Policy: osapi.Member, Handle: missing},
		)
	}
	for _, path := range removed {
		routes = append(routes, osapi.Route{Method: get, Pattern: "/v2.1/" + path, Policy: osapi.Any, Status: http.StatusGone, Handle: noMore})
	}
	return routes
}

// topology is what Nova shows of a server whose NUMA nodes it did not choose: a machine has its own.
func topology(*osapi.Request) (any, error) {
	return object{"nodes": []object{}, "pagesize_kb": nil}, nil
}

func noMigration(r *osapi.Request) (any, error) {
	return nil, fault.New(fault.NotFound, "In-progress live migration %s is not found for server %s.", clip(r.Path("migration")), r.Path("id"))
}

func noMore(*osapi.Request) (any, error) {
	return nil, &osapi.Error{Status: http.StatusGone, Err: fault.New(fault.NotFound, "This resource is no longer available.  No forwarding address is given.")}
}
