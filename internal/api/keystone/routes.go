package keystone

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/identity"
)

type api struct{ identity *identity.Service }

type object = osapi.Object

// Dialect is the Identity API at /identity.
func Dialect(service *identity.Service) osapi.Dialect {
	a := &api{service}
	return osapi.Dialect{
		Name: "keystone", Mount: "/identity", Envelope: osapi.KeystoneEnvelope,
		Header: http.Header{"Vary": {"X-Auth-Token"}},
		Routes: a.routes(),
	}
}

func (a *api) routes() []osapi.Route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	// Rows whose policy is Any look at the caller themselves: everybody may see what is one's own.
	routes := []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Status: 300, Handle: versions},
		{Method: get, Pattern: "/v3", Policy: osapi.Public, Handle: version},

		{Method: post, Pattern: "/v3/auth/tokens", Policy: osapi.Public, Status: 201, Handle: a.createToken},
		{Method: get, Pattern: "/v3/auth/tokens", Policy: osapi.Any, Handle: a.showToken},
		{Method: del, Pattern: "/v3/auth/tokens", Policy: osapi.Any, Status: 204, Handle: a.deleteToken},
		{Method: get, Pattern: "/v3/auth/catalog", Policy: osapi.Any, Handle: a.showCatalog},
		{Method: get, Pattern: "/v3/auth/projects", Policy: osapi.Any, Handle: a.listOwnProjects},
		{Method: get, Pattern: "/v3/auth/domains", Policy: osapi.Any, Handle: a.listOwnDomains},
		{Method: get, Pattern: "/v3/auth/system", Policy: osapi.Any, Handle: a.listOwnSystem},

		{Method: get, Pattern: "/v3/domains", Policy: osapi.SystemReader, Handle: a.listDomains},
		{Method: post, Pattern: "/v3/domains", Policy: osapi.Admin, Status: 201, Handle: a.createDomain},
		{Method: get, Pattern: "/v3/domains/{id}", Policy: osapi.Any, Handle: a.showDomain},
		{Method: patch, Pattern: "/v3/domains/{id}", Policy: osapi.Admin, Handle: a.updateDomain},
		{Method: del, Pattern: "/v3/domains/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteDomain},

		{Method: get, Pattern: "/v3/projects", Policy: osapi.SystemReader, Handle: a.listProjects},
		{Method: post, Pattern: "/v3/projects", Policy: osapi.Admin, Status: 201, Handle: a.createProject},
		{Method: get, Pattern: "/v3/projects/{id}", Policy: osapi.Any, Handle: a.showProject},
		{Method: patch, Pattern: "/v3/projects/{id}", Policy: osapi.Admin, Handle: a.updateProject},
		{Method: del, Pattern: "/v3/projects/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteProject},

		{Method: get, Pattern: "/v3/users", Policy: osapi.SystemReader, Handle: a.listUsers},
		{Method: post, Pattern: "/v3/users", Policy: osapi.Admin, Status: 201, Handle: a.createUser},
		{Method: get, Pattern: "/v3/users/{id}", Policy: osapi.Any, Handle: a.showUser},
		{Method: patch, Pattern: "/v3/users/{id}", Policy: osapi.Admin, Handle: a.updateUser},
		{Method: del, Pattern: "/v3/users/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteUser},
		// The old password is the proof here, as in Keystone: an expired one must be changed without a token.
		{Method: post, Pattern: "/v3/users/{id}/password", Policy: osapi.Public, Status: 204, Handle: a.changePassword},
		{Method: get, Pattern: "/v3/users/{id}/projects", Policy: osapi.Any, Handle: a.listUserProjects},
		{Method: get, Pattern: "/v3/users/{id}/groups", Policy: osapi.Any, Handle: a.listUserGroups},
		{Method: get, Pattern: "/v3/users/{id}/application_credentials", Policy: osapi.Any, Handle: a.listUserCredentials},
		{Method: get, Pattern: "/v3/groups", Policy: osapi.SystemReader, Handle: listGroups},

		{Method: get, Pattern: "/v3/roles", Policy: osapi.SystemReader, Handle: a.listRoles},
		{Method: post, Pattern: "/v3/roles", Policy: osapi.Admin, Status: 201, Handle: a.createRole},
		{Method: get, Pattern: "/v3/roles/{id}", Policy: osapi.SystemReader, Handle: a.showRole},
		{Method: patch, Pattern: "/v3/roles/{id}", Policy: osapi.Admin, Handle: a.updateRole},
		{Method: del, Pattern: "/v3/roles/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteRole},
		{Method: get, Pattern: "/v3/role_inferences", Policy: osapi.SystemReader, Handle: a.listInferences},
		{Method: get, Pattern: "/v3/role_assignments", Policy: osapi.SystemReader, Handle: a.listAssignments},

		{Method: get, Pattern: "/v3/regions", Policy: osapi.Any, Handle: a.listRegions},
		{Method: post, Pattern: "/v3/regions", Policy: osapi.Admin, Status: 201, Handle: a.createRegion},
		{Method: get, Pattern: "/v3/regions/{id}", Policy: osapi.Any, Handle: a.showRegion},
		{Method: put, Pattern: "/v3/regions/{id}", Policy: osapi.Admin, Status: 201, Handle: a.createRegion},
		{Method: patch, Pattern: "/v3/regions/{id}", Policy: osapi.Admin, Handle: a.updateRegion},
		{Method: del, Pattern: "/v3/regions/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteRegion},
		{Method: get, Pattern: "/v3/services", Policy: osapi.SystemReader, Handle: a.listServices},
		{Method: post, Pattern: "/v3/services", Policy: osapi.Admin, Status: 201, Handle: a.createService},
		{Method: get, Pattern: "/v3/services/{id}", Policy: osapi.SystemReader, Handle: a.showService},
		{Method: patch, Pattern: "/v3/services/{id}", Policy: osapi.Admin, Handle: a.updateService},
		{Method: del, Pattern: "/v3/services/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteService},
		{Method: get, Pattern: "/v3/endpoints", Policy: osapi.SystemReader, Handle: a.listEndpoints},
		{Method: post, Pattern: "/v3/endpoints", Policy: osapi.Admin, Status: 201, Handle: a.createEndpoint},
		{Method: get, Pattern: "/v3/endpoints/{id}", Policy: osapi.SystemReader, Handle: a.showEndpoint},
		{Method: patch, Pattern: "/v3/endpoints/{id}", Policy: osapi.Admin, Handle: a.updateEndpoint},
		{Method: del, Pattern: "/v3/endpoints/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteEndpoint},
	}
	for prefix, target := range map[string]func(*osapi.Request) identity.Target{
		"/v3/projects/{id}": func(r *osapi.Request) identity.Target {
			return identity.Target{Kind: identity.OnProject, ID: r.Path("id")}
		},
		"/v3/domains/{id}": func(r *osapi.Request) identity.Target {
			return identity.Target{Kind: identity.OnDomain, ID: r.Path("id")}
		},
		"/v3/system": func(*osapi.Request) identity.Target { return identity.OnTheSystem },
	} {
		g := grants{a, target}
		routes = append(routes,
			osapi.Route{Method: get, Pattern: prefix + "/users/{user}/roles", Policy: osapi.SystemReader, Handle: g.list},
			osapi.Route{Method: get, Pattern: prefix + "/users/{user}/roles/{role}", Policy: osapi.SystemReader, Status: 204, Handle: g.check},
			osapi.Route{Method: put, Pattern: prefix + "/users/{user}/roles/{role}", Policy: osapi.Admin, Status: 204, Handle: g.give},
			osapi.Route{Method: del, Pattern: prefix + "/users/{user}/roles/{role}", Policy: osapi.Admin, Status: 204, Handle: g.take},
		)
	}
	return routes
}
