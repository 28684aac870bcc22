package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// absent is a kind of thing that there is none of yet. Clients ask for its list all the same, and get the truth.
type absent struct {
	path, key string // of the collection
	exception string // for one by its id
	noun      string
	create    osapi.Policy // who would make one; zero: nobody makes any through the API
}

var notThereYet = []absent{
	{"agents", "agents", "AgentNotFound", "Agent", osapi.Policy{}},
	{"vpn/vpnservices", "vpnservices", "VPNServiceNotFound", "VPNService", osapi.Member},
	{"vpn/ikepolicies", "ikepolicies", "IKEPolicyNotFound", "IKEPolicy", osapi.Member},
	{"vpn/ipsecpolicies", "ipsecpolicies", "IPsecPolicyNotFound", "IPsecPolicy", osapi.Member},
	{"vpn/endpoint-groups", "endpoint_groups", "VPNEndpointGroupNotFound", "VPNEndpointGroup", osapi.Member},
	{"vpn/ipsec-site-connections", "ipsec_site_connections", "IPsecSiteConnectionNotFound", "IPsecSiteConnection", osapi.Member},
}

func absentRoutes() []osapi.Route {
	var routes []osapi.Route
	for _, a := range notThereYet {
		routes = append(routes, a.routes()...)
	}
	return routes
}

func (a absent) routes() []osapi.Route {
	list, one := "/v2.0/"+a.path, "/v2.0/"+a.path+"/{id}"
	routes := []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: func(*osapi.Request) (any, error) { return object{a.key: []any{}}, nil }},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.missing},
	}
	if a.create.String() == "" {
		return routes
	}
	return append(routes,
		osapi.Route{Method: http.MethodPost, Pattern: list, Policy: a.create, Status: 201, Handle: a.refuse},
		osapi.Route{Method: http.MethodPut, Pattern: one, Policy: a.create, Handle: a.missing},
		osapi.Route{Method: http.MethodDelete, Pattern: one, Policy: a.create, Status: 204, Handle: a.missing},
	)
}

func (a absent) missing(r *osapi.Request) (any, error) {
	return nil, failure(a.exception, fault.NotFound, "%s %s could not be found.", a.noun, r.Path("id"))
}

func (a absent) refuse(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "%s: this cloud does not have it yet.", a.noun)
}
