package keystone

import (
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/identity"
)

type api struct{ identity *identity.Service }

type object = osapi.Object

// Dialect is the Identity API at /identity.
func Dialect(service *identity.Service) osapi.Dialect {
	a := &api{service}
	return osapi.Dialect{
		Name: "keystone", Type: "identity", Mount: "/identity", Envelope: osapi.KeystoneEnvelope,
		Header: http.Header{"Vary": {"X-Auth-Token"}},
		Routes: a.routes(),
	}
}

// routes: rows whose policy is Any look at the caller themselves, since everybody may see what is one's own; rows of
// DomainReader and DomainManager ask which domain.
func (a *api) routes() []osapi.Route {
	routes := slices.Concat(a.tokenRoutes(), a.resourceRoutes(), a.roleRoutes(), a.credentialRoutes(), a.catalogRoutes(), a.otherRoutes())
	for _, groups := range []bool{false, true} {
		for _, kind := range []string{identity.OnProject, identity.OnDomain, identity.OnSystem} {
			routes = append(routes, grants{a, kind, groups, false}.routes()...)
			if kind != identity.OnSystem {
				routes = append(routes, grants{a, kind, groups, true}.routes()...)
			}
		}
	}
	return routes
}

const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete

func (a *api) tokenRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Status: 300, Handle: versions},
		{Method: get, Pattern: "/v3", Policy: osapi.Public, Handle: version},
		{Method: post, Pattern: "/v3/auth/tokens", Policy: osapi.Public, Status: 201, Handle: a.createToken},
		{Method: get, Pattern: "/v3/auth/tokens", Policy: osapi.Any, Handle: a.showToken},
		{Method: del, Pattern: "/v3/auth/tokens", Policy: osapi.Any, Status: 204, Handle: a.deleteToken},
		{Method: get, Pattern: "/v3/auth/catalog", Policy: osapi.Any, Handle: a.showCatalog},
		{Method: get, Pattern: "/v3/auth/projects", Policy: osapi.Any, Handle: a.listOwnProjects},
		{Method: get, Pattern: "/v3/auth/domains", Policy: osapi.Any, Handle: a.listOwnDomains},
		{Method: get, Pattern: "/v3/auth/system", Policy: osapi.Any, Handle: a.listOwnSystem},
	}
}

// resourceRoutes are domains, projects, users and groups.
func (a *api) resourceRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: get, Pattern: "/v3/domains", Policy: osapi.DomainReader, Handle: a.listDomains},
		{Method: post, Pattern: "/v3/domains", Policy: osapi.Admin, Status: 201, Handle: a.createDomain},
		{Method: get, Pattern: "/v3/domains/{id}", Policy: osapi.Any, Handle: a.showDomain},
		{Method: patch, Pattern: "/v3/domains/{id}", Policy: osapi.Admin, Handle: a.updateDomain},
		{Method: del, Pattern: "/v3/domains/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteDomain},
		{Method: get, Pattern: "/v3/domains/config/default", Policy: osapi.Admin, Handle: a.showDefaultConfig},
		{Method: put, Pattern: "/v3/domains/{id}/{word}", Policy: osapi.Admin, Handle: a.createConfig},
		{Method: get, Pattern: "/v3/domains/{id}/{word}", Policy: osapi.Admin, Handle: a.showConfig},
		{Method: patch, Pattern: "/v3/domains/{id}/{word}", Policy: osapi.Admin, Handle: a.updateConfig},
		{Method: del, Pattern: "/v3/domains/{id}/{word}", Policy: osapi.Admin, Status: 204, Handle: a.deleteConfig},
		{Method: get, Pattern: "/v3/domains/{id}/{word}/{group}", Policy: osapi.Admin, Handle: a.showConfig},
		{Method: patch, Pattern: "/v3/domains/{id}/{word}/{group}", Policy: osapi.Admin, Handle: a.updateConfig},
		{Method: del, Pattern: "/v3/domains/{id}/{word}/{group}", Policy: osapi.Admin, Status: 204, Handle: a.deleteConfig},
		{Method: get, Pattern: "/v3/domains/{id}/{word}/{group}/{option}", Policy: osapi.Admin, Handle: a.showConfig},
		{Method: patch, Pattern: "/v3/domains/{id}/{word}/{group}/{option}", Policy: osapi.Admin, Handle: a.updateConfig},
		{Method: del, Pattern: "/v3/domains/{id}/{word}/{group}/{option}", Policy: osapi.Admin, Status: 204, Handle: a.deleteConfig},

		{Method: get, Pattern: "/v3/projects", Policy: osapi.DomainReader, Handle: a.listProjects},
		{Method: post, Pattern: "/v3/projects", Policy: osapi.DomainManager, Status: 201, Handle: a.createProject},
		{Method: get, Pattern: "/v3/projects/{id}", Policy: osapi.Any, Handle: a.showProject},
		{Method: patch, Pattern: "/v3/projects/{id}", Policy: osapi.DomainManager, Handle: a.updateProject},
		{Method: del, Pattern: "/v3/projects/{id}", Policy: osapi.DomainManager, Status: 204, Handle: a.deleteProject},
		{Method: get, Pattern: "/v3/projects/{id}/tags", Policy: osapi.Any, Handle: a.listTags},
		{Method: put, Pattern: "/v3/projects/{id}/tags", Policy: osapi.DomainManager, Handle: a.putTags},
		{Method: del, Pattern: "/v3/projects/{id}/tags", Policy: osapi.DomainManager, Status: 204, Handle: a.removeTags},
		{Method: get, Pattern: "/v3/projects/{id}/tags/{tag}", Policy: osapi.Any, Status: 204, Handle: a.checkTag},
		{Method: put, Pattern: "/v3/projects/{id}/tags/{tag}", Policy: osapi.DomainManager, Status: 201, Handle: a.addTag},
		{Method: del, Pattern: "/v3/projects/{id}/tags/{tag}", Policy: osapi.DomainManager, Status: 204, Handle: a.removeTag},

		{Method: get, Pattern: "/v3/users", Policy: osapi.DomainReader, Handle: a.listUsers},
		{Method: post, Pattern: "/v3/users", Policy: osapi.DomainManager, Status: 201, Handle: a.createUser},
		{Method: get, Pattern: "/v3/users/{id}", Policy: osapi.Any, Handle: a.showUser},
		{Method: patch, Pattern: "/v3/users/{id}", Policy: osapi.DomainManager, Handle: a.updateUser},
		{Method: del, Pattern: "/v3/users/{id}", Policy: osapi.DomainManager, Status: 204, Handle: a.deleteUser},
		// The old password is the proof here, as in Keystone: an expired one must be changed without a token.
		{Method: post, Pattern: "/v3/users/{id}/password", Policy: osapi.Public, Status: 204, Handle: a.changePassword},
		{Method: get, Pattern: "/v3/users/{id}/projects", Policy: osapi.Any, Handle: a.listUserProjects},
		{Method: get, Pattern: "/v3/users/{id}/groups", Policy: osapi.Any, Handle: a.listUserGroups},

		{Method: get, Pattern: "/v3/groups", Policy: osapi.DomainReader, Handle: a.listGroups},
		{Method: post, Pattern: "/v3/groups", Policy: osapi.DomainManager, Status: 201, Handle: a.createGroup},
		{Method: get, Pattern: "/v3/groups/{id}", Policy: osapi.DomainReader, Handle: a.showGroup},
		{Method: patch, Pattern: "/v3/groups/{id}", Policy: osapi.DomainManager, Handle: a.updateGroup},
		{Method: del, Pattern: "/v3/groups/{id}", Policy: osapi.DomainManager, Status: 204, Handle: a.deleteGroup},
		{Method: get, Pattern: "/v3/groups/{id}/users", Policy: osapi.DomainReader, Handle: a.listGroupUsers},
		{Method: get, Pattern: "/v3/groups/{id}/users/{user}", Policy: osapi.DomainReader, Status: 204, Handle: a.checkGroupUser},
		{Method: put, Pattern: "/v3/groups/{id}/users/{user}", Policy: osapi.DomainManager, Status: 204, Handle: a.addGroupUser},
		{Method: del, Pattern: "/v3/groups/{id}/users/{user}", Policy: osapi.DomainManager, Status: 204, Handle: a.removeGroupUser},
	}
}

// roleRoutes are roles and what they imply; how they are given stands in grants.go.
func (a *api) roleRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: get, Pattern: "/v3/roles", Policy: osapi.DomainReader, Handle: a.listRoles},
		{Method: post, Pattern: "/v3/roles", Policy: osapi.Admin, Status: 201, Handle: a.createRole},
		{Method: get, Pattern: "/v3/roles/{id}", Policy: osapi.DomainReader, Handle: a.showRole},
		{Method: patch, Pattern: "/v3/roles/{id}", Policy: osapi.Admin, Handle: a.updateRole},
		{Method: del, Pattern: "/v3/roles/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteRole},
		{Method: get, Pattern: "/v3/roles/{id}/implies", Policy: osapi.SystemReader, Handle: a.listImplied},
		{Method: get, Pattern: "/v3/roles/{id}/implies/{implied}", Policy: osapi.SystemReader, Handle: a.showImplied},
		{Method: put, Pattern: "/v3/roles/{id}/implies/{implied}", Policy: osapi.Admin, Status: 201, Handle: a.createImplied},
		{Method: del, Pattern: "/v3/roles/{id}/implies/{implied}", Policy: osapi.Admin, Status: 204, Handle: a.deleteImplied},
		{Method: get, Pattern: "/v3/role_inferences", Policy: osapi.SystemReader, Handle: a.listInferences},
		{Method: get, Pattern: "/v3/role_assignments", Policy: osapi.DomainReader, Handle: a.listAssignments},
	}
}

// credentialRoutes are application credentials, access rules, trusts, EC2 keys and other credentials.
func (a *api) credentialRoutes() []osapi.Route {
	const user = "/v3/users/{id}"
	return []osapi.Route{
		{Method: get, Pattern: user + "/application_credentials", Policy: osapi.Any, Handle: a.listAppCredentials},
		{Method: post, Pattern: user + "/application_credentials", Policy: osapi.Any, Status: 201, Handle: a.createAppCredential},
		{Method: get, Pattern: user + "/application_credentials/{credential}", Policy: osapi.Any, Handle: a.showAppCredential},
		{Method: del, Pattern: user + "/application_credentials/{credential}", Policy: osapi.Any, Status: 204, Handle: a.deleteAppCredential},
		{Method: get, Pattern: user + "/access_rules", Policy: osapi.Any, Handle: a.listAccessRules},
		{Method: get, Pattern: user + "/access_rules/{rule}", Policy: osapi.Any, Handle: a.showAccessRule},
		{Method: del, Pattern: user + "/access_rules/{rule}", Policy: osapi.Any, Status: 204, Handle: a.deleteAccessRule},
		{Method: get, Pattern: user + "/credentials/OS-EC2", Policy: osapi.Any, Handle: a.listEC2},
		{Method: post, Pattern: user + "/credentials/OS-EC2", Policy: osapi.Any, Status: 201, Handle: a.createEC2},
		{Method: get, Pattern: user + "/credentials/OS-EC2/{access}", Policy: osapi.Any, Handle: a.showEC2},
		{Method: del, Pattern: user + "/credentials/OS-EC2/{access}", Policy: osapi.Any, Status: 204, Handle: a.deleteEC2},

		{Method: get, Pattern: "/v3/credentials", Policy: osapi.Any, Handle: a.listCredentials},
		{Method: post, Pattern: "/v3/credentials", Policy: osapi.Any, Status: 201, Handle: a.createCredential},
		{Method: get, Pattern: "/v3/credentials/{id}", Policy: osapi.Any, Handle: a.showCredential},
		{Method: patch, Pattern: "/v3/credentials/{id}", Policy: osapi.Any, Handle: a.updateCredential},
		{Method: del, Pattern: "/v3/credentials/{id}", Policy: osapi.Any, Status: 204, Handle: a.deleteCredential},

		{Method: get, Pattern: "/v3/OS-TRUST/trusts", Policy: osapi.Any, Handle: a.listTrusts},
		{Method: post, Pattern: "/v3/OS-TRUST/trusts", Policy: osapi.Any, Status: 201, Handle: a.createTrust},
		{Method: get, Pattern: "/v3/OS-TRUST/trusts/{id}", Policy: osapi.Any, Handle: a.showTrust},
		{Method: del, Pattern: "/v3/OS-TRUST/trusts/{id}", Policy: osapi.Any, Status: 204, Handle: a.deleteTrust},
		{Method: get, Pattern: "/v3/OS-TRUST/trusts/{id}/roles", Policy: osapi.Any, Handle: a.listTrustRoles},
		{Method: get, Pattern: "/v3/OS-TRUST/trusts/{id}/roles/{role}", Policy: osapi.Any, Handle: a.showTrustRole},
	}
}

// catalogRoutes are regions, services, endpoints, and which endpoints a project sees.
func (a *api) catalogRoutes() []osapi.Route {
	const filter = "/v3/OS-EP-FILTER"
	return []osapi.Route{
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

		{Method: get, Pattern: filter + "/endpoint_groups", Policy: osapi.SystemReader, Handle: a.listEndpointGroups},
		{Method: post, Pattern: filter + "/endpoint_groups", Policy: osapi.Admin, Status: 201, Handle: a.createEndpointGroup},
		{Method: get, Pattern: filter + "/endpoint_groups/{id}", Policy: osapi.SystemReader, Handle: a.showEndpointGroup},
		{Method: patch, Pattern: filter + "/endpoint_groups/{id}", Policy: osapi.Admin, Handle: a.updateEndpointGroup},
		{Method: del, Pattern: filter + "/endpoint_groups/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteEndpointGroup},
		{Method: get, Pattern: filter + "/endpoint_groups/{id}/endpoints", Policy: osapi.SystemReader, Handle: a.listGroupEndpoints},
		{Method: get, Pattern: filter + "/endpoint_groups/{id}/projects", Policy: osapi.SystemReader, Handle: a.listEndpointGroupProjects},
		{Method: get, Pattern: filter + "/endpoint_groups/{id}/projects/{project}", Policy: osapi.SystemReader, Handle: a.showProjectEndpointGroup},
		{Method: put, Pattern: filter + "/endpoint_groups/{id}/projects/{project}", Policy: osapi.Admin, Status: 204, Handle: pair(a.identity.ShowEndpointGroup)},
		{Method: del, Pattern: filter + "/endpoint_groups/{id}/projects/{project}", Policy: osapi.Admin, Status: 204, Handle: pair(a.identity.HideEndpointGroup)},
		{Method: get, Pattern: filter + "/projects/{project}/endpoint_groups", Policy: osapi.SystemReader, Handle: a.listProjectEndpointGroups},
		{Method: get, Pattern: filter + "/projects/{project}/endpoints", Policy: osapi.SystemReader, Handle: a.listProjectEndpoints},
		{Method: get, Pattern: filter + "/projects/{project}/endpoints/{id}", Policy: osapi.SystemReader, Status: 204, Handle: pair(a.identity.ShowsEndpoint)},
		{Method: put, Pattern: filter + "/projects/{project}/endpoints/{id}", Policy: osapi.Admin, Status: 204, Handle: pair(a.identity.ShowEndpoint)},
		{Method: del, Pattern: filter + "/projects/{project}/endpoints/{id}", Policy: osapi.Admin, Status: 204, Handle: pair(a.identity.HideEndpoint)},
		{Method: get, Pattern: filter + "/endpoints/{id}/projects", Policy: osapi.SystemReader, Handle: a.listEndpointProjects},
	}
}

// otherRoutes are unified limits and policies.
func (a *api) otherRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: get, Pattern: "/v3/registered_limits", Policy: osapi.Any, Handle: a.listRegisteredLimits},
		{Method: post, Pattern: "/v3/registered_limits", Policy: osapi.Admin, Status: 201, Handle: a.createRegisteredLimits},
		{Method: get, Pattern: "/v3/registered_limits/{id}", Policy: osapi.Any, Handle: a.showRegisteredLimit},
		{Method: patch, Pattern: "/v3/registered_limits/{id}", Policy: osapi.Admin, Handle: a.updateRegisteredLimit},
		{Method: del, Pattern: "/v3/registered_limits/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteRegisteredLimit},
		{Method: get, Pattern: "/v3/limits", Policy: osapi.Any, Handle: a.listLimits},
		{Method: post, Pattern: "/v3/limits", Policy: osapi.Admin, Status: 201, Handle: a.createLimits},
		{Method: get, Pattern: "/v3/limits/model", Policy: osapi.Any, Handle: a.limitModel},
		{Method: get, Pattern: "/v3/limits/{id}", Policy: osapi.Any, Handle: a.showLimit},
		{Method: patch, Pattern: "/v3/limits/{id}", Policy: osapi.Admin, Handle: a.updateLimit},
		{Method: del, Pattern: "/v3/limits/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deleteLimit},

		{Method: get, Pattern: "/v3/policies", Policy: osapi.Admin, Handle: a.listPolicies},
		{Method: post, Pattern: "/v3/policies", Policy: osapi.Admin, Status: 201, Handle: a.createPolicy},
		{Method: get, Pattern: "/v3/policies/{id}", Policy: osapi.Admin, Handle: a.showPolicy},
		{Method: patch, Pattern: "/v3/policies/{id}", Policy: osapi.Admin, Handle: a.updatePolicy},
		{Method: del, Pattern: "/v3/policies/{id}", Policy: osapi.Admin, Status: 204, Handle: a.deletePolicy},
	}
}
