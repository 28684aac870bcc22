package neutron

import (
	"errors"
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

type api struct {
	networks *network.Service
	db       *db.DB
}

type object = osapi.Object

// Dialect is the Networking API at /network.
func Dialect(networks *network.Service, d *db.DB) osapi.Dialect {
	a := &api{networks, d}
	routes := a.routes()
	for i := range routes {
		routes[i].Handle = named(routes[i].Handle)
	}
	return osapi.Dialect{
		Name: "neutron", Type: "network", Mount: "/network", Envelope: osapi.NeutronEnvelope,
		Statuses: map[fault.Kind]int{fault.Quota: http.StatusConflict},
		Routes:   routes,
	}
}

func (a *api) routes() []osapi.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	routes := []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Handle: versions},
		{Method: get, Pattern: "/v2.0", Policy: osapi.Public, Handle: resources},
		{Method: get, Pattern: "/v2.0/extensions", Policy: osapi.Any, Handle: listExtensions},
		{Method: get, Pattern: "/v2.0/extensions/{alias}", Policy: osapi.Any, Handle: showExtension},

		{Method: get, Pattern: "/v2.0/networks", Policy: osapi.Reader, Handle: a.listNetworks},
		{Method: post, Pattern: "/v2.0/networks", Policy: osapi.Member, Status: 201, Handle: createNetwork},
		{Method: get, Pattern: "/v2.0/networks/{id}", Policy: osapi.Reader, Handle: a.showNetwork},
		{Method: put, Pattern: "/v2.0/networks/{id}", Policy: osapi.Member, Handle: a.updateNetwork},
		{Method: del, Pattern: "/v2.0/networks/{id}", Policy: osapi.Member, Status: 204, Handle: a.deleteNetwork},
		{Method: get, Pattern: "/v2.0/networks/{id}/dhcp-agents", Policy: osapi.SystemReader, Handle: a.listDHCPAgents},

		{Method: get, Pattern: "/v2.0/subnets", Policy: osapi.Reader, Handle: a.listSubnets},
		{Method: post, Pattern: "/v2.0/subnets", Policy: osapi.Member, Status: 201, Handle: createSubnet},
		{Method: get, Pattern: "/v2.0/subnets/{id}", Policy: osapi.Reader, Handle: a.showSubnet},
		{Method: put, Pattern: "/v2.0/subnets/{id}", Policy: osapi.Member, Handle: a.updateSubnet},
		{Method: del, Pattern: "/v2.0/subnets/{id}", Policy: osapi.Member, Status: 204, Handle: a.deleteSubnet},

		{Method: get, Pattern: "/v2.0/ports", Policy: osapi.Reader, Handle: a.listPorts},
		{Method: post, Pattern: "/v2.0/ports", Policy: osapi.Member, Status: 201, Handle: a.createPorts},
		{Method: get, Pattern: "/v2.0/ports/{id}", Policy: osapi.Reader, Handle: a.showPort},
		{Method: put, Pattern: "/v2.0/ports/{id}", Policy: osapi.Member, Handle: a.updatePort},
		{Method: del, Pattern: "/v2.0/ports/{id}", Policy: osapi.Member, Status: 204, Handle: a.deletePort},

		{Method: get, Pattern: "/v2.0/quotas", Policy: osapi.SystemReader, Handle: a.listQuotas},
		{Method: get, Pattern: "/v2.0/quotas/{project}", Policy: osapi.Reader, Handle: a.showQuota},
		{Method: get, Pattern: "/v2.0/quotas/{project}/default", Policy: osapi.Reader, Handle: showDefaultQuota},
		{Method: get, Pattern: "/v2.0/quotas/{project}/details", Policy: osapi.Reader, Handle: a.showQuotaDetails},
		{Method: get, Pattern: "/v2.0/quotas/{project}/details.json", Policy: osapi.Reader, Handle: a.showQuotaDetails}, // gophercloud's path
		{Method: put, Pattern: "/v2.0/quotas/{project}", Policy: osapi.Admin, Handle: a.updateQuota},
		{Method: del, Pattern: "/v2.0/quotas/{project}", Policy: osapi.Admin, Status: 204, Handle: a.deleteQuota},
	}
	for collection, t := range a.tagged() {
		path := "/v2.0/" + collection + "/{id}/tags"
		routes = append(routes,
			osapi.Route{Method: get, Pattern: path, Policy: osapi.Reader, Handle: t.list},
			osapi.Route{Method: put, Pattern: path, Policy: osapi.Member, Handle: t.replace},
			osapi.Route{Method: del, Pattern: path, Policy: osapi.Member, Status: 204, Handle: t.clear},
			osapi.Route{Method: get, Pattern: path + "/{tag}", Policy: osapi.Reader, Status: 204, Handle: t.check},
			osapi.Route{Method: put, Pattern: path + "/{tag}", Policy: osapi.Member, Status: 201, Handle: t.add},
			osapi.Route{Method: del, Pattern: path + "/{tag}", Policy: osapi.Member, Status: 204, Handle: t.remove},
		)
	}
	for _, absent := range notThereYet {
		routes = append(routes, absent.routes()...)
	}
	return routes
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": []any{object{"id": "v2.0", "status": "CURRENT", "links": []any{object{"rel": "self", "href": r.URL("/v2.0/")}}}}}, nil
}

func resources(r *osapi.Request) (any, error) {
	list := []any{}
	for _, name := range []string{"network", "subnet", "port", "quota", "extension"} {
		list = append(list, object{"name": name, "collection": name + "s", "links": []any{object{"rel": "self", "href": r.URL("/v2.0/" + name + "s")}}})
	}
	return object{"resources": list}, nil
}

// exceptions are Neutron's names for what the domain refuses (neutron_lib/exceptions); clients look at them.
var exceptions = map[network.Reason]string{
	network.NoSuchNetwork:       "NetworkNotFound",
	network.NoSuchSubnet:        "SubnetNotFound",
	network.NoSuchPort:          "PortNotFound",
	network.NoSuchGroup:         "SecurityGroupNotFound",
	network.NetworkInUse:        "NetworkInUse",
	network.SubnetInUse:         "SubnetInUse",
	network.PortInUse:           "PortInUse",
	network.PortBound:           "PortBound",
	network.MACInUse:            "MacAddressInUse",
	network.AddressInUse:        "IpAddressAlreadyAllocated",
	network.AddressNotOnSubnet:  "InvalidIpForSubnet",
	network.AddressNotOnNetwork: "InvalidIpForNetwork",
	network.OutOfAddresses:      "IpAddressGenerationFailure",
	network.OverQuota:           "OverQuota",
}

// named gives what a handler refuses Neutron's name.
func named(handle osapi.Handler) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		result, err := handle(r)
		var why network.Reason
		if errors.As(err, &why) {
			err = &osapi.Error{Type: exceptions[why], Err: err}
		}
		return result, err
	}
}

// failure is a refusal that only the wire knows.
func failure(exception string, kind fault.Kind, format string, args ...any) error {
	return &osapi.Error{Type: exception, Err: fault.New(kind, format, args...)}
}

func viewer(r *osapi.Request) network.Viewer {
	return network.Viewer{Project: r.Caller.ProjectID, All: r.Caller.ReadsAll()}
}

// mayWrite fails for callers who see a thing but may not change it.
func mayWrite(r *osapi.Request, project string) error {
	if r.Caller.Writes(project) {
		return nil
	}
	return fault.New(fault.Forbidden, "This belongs to another project, which shares it; only that project and admins may change it.")
}

// meta are the fields that networks, subnets and ports have in common.
func meta(m network.Meta) object {
	tags := m.Tags
	if tags == nil {
		tags = []string{}
	}
	return object{
		"id": m.ID, "name": m.Name, "description": m.Description, "project_id": m.Project, "tenant_id": m.Project, "tags": tags,
		"revision_number": m.Revision, "created_at": osapi.Zulu(m.Created), "updated_at": osapi.Zulu(m.Updated),
	}
}
