// Package octavia answers for the Load Balancer API v2 while this cloud has no load balancers: every list is empty, every
// quota is 0, every load balancer is not found, and making one is refused. So clients that look here (octavia-dashboard,
// openstack loadbalancer) get the truth. https://docs.openstack.org/api-ref/load-balancer/v2/
package octavia

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

type object = osapi.Object

// Dialect is the Load Balancer API at /load-balancer.
func Dialect() osapi.Dialect {
	return osapi.Dialect{
		Name: "octavia", Type: "load-balancer", Mount: "/load-balancer", Envelope: osapi.OctaviaEnvelope, Routes: routes(),
	}
}

// collections by their path; what their lists are called, and one of them in messages. Tenants make those of a member's
// policy, operators the others.
var collections = []struct {
	path, name, noun string
	make             osapi.Policy
}{
	{"loadbalancers", "loadbalancers", "Load Balancer", osapi.ProjectMember},
	{"listeners", "listeners", "Listener", osapi.ProjectMember},
	{"pools", "pools", "Pool", osapi.ProjectMember},
	{"healthmonitors", "healthmonitors", "Health Monitor", osapi.ProjectMember},
	{"l7policies", "l7policies", "L7 Policy", osapi.ProjectMember},
	{"flavors", "flavors", "Flavor", osapi.Admin},
	{"flavorprofiles", "flavorprofiles", "Flavor Profile", osapi.Admin},
	{"availabilityzones", "availability_zones", "Availability Zone", osapi.Admin},
	{"availabilityzoneprofiles", "availability_zone_profiles", "Availability Zone Profile", osapi.Admin},
}

func routes() []osapi.Route {
	const get, post = http.MethodGet, http.MethodPost
	routes := []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Handle: versions},
		{Method: get, Pattern: "/v2.0", Policy: osapi.Public, Handle: versions},
		{Method: get, Pattern: "/v2.0/lbaas/providers", Policy: osapi.Reader, Handle: list("providers")},
		{Method: get, Pattern: "/v2.0/lbaas/quotas/defaults", Policy: osapi.Reader, Handle: quota},
		{Method: get, Pattern: "/v2.0/lbaas/quotas/{project}", Policy: osapi.Reader, Handle: quota},
	}
	for _, c := range collections {
		all, one := "/v2.0/lbaas/"+c.path, "/v2.0/lbaas/"+c.path+"/{id}"
		routes = append(routes,
			osapi.Route{Method: get, Pattern: all, Policy: osapi.Reader, Handle: list(c.name)},
			osapi.Route{Method: post, Pattern: all, Policy: c.make, Status: http.StatusCreated, Handle: unsupported},
			osapi.Route{Method: get, Pattern: one, Policy: osapi.Reader, Handle: absent(c.noun)},
			osapi.Route{Method: http.MethodPut, Pattern: one, Policy: c.make, Handle: absent(c.noun)},
			osapi.Route{Method: http.MethodDelete, Pattern: one, Policy: c.make, Status: http.StatusNoContent, Handle: absent(c.noun)},
		)
	}
	return routes
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": []object{{
		"id": "v2.0", "status": "CURRENT", "updated": "2016-12-11T00:00:00Z",
		"links": []object{{"rel": "self", "href": r.URL("/v2.0")}},
	}}}, nil
}

// list is empty.
func list(name string) osapi.Handler {
	return func(*osapi.Request) (any, error) {
		return object{name: []object{}, name + "_links": []object{}}, nil
	}
}

func absent(noun string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		return nil, fault.New(fault.NotFound, "%s %.80s not found.", noun, r.Path("id"))
	}
}

func unsupported(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "This cloud has no load balancers yet.")
}

func quota(r *osapi.Request) (any, error) {
	if project := r.Path("project"); project != "" && !r.Caller.Reads(project) {
		return nil, fault.New(fault.Forbidden, "Policy does not allow this request to be performed.")
	}
	limits := object{}
	for _, name := range []string{"load_balancer", "listener", "member", "pool", "health_monitor", "l7policy", "l7rule"} {
		limits[name] = 0
	}
	return object{"quota": limits}, nil
}
