package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) subnetRoutes() []osapi.Route {
	const list, one = "/v2.0/subnets", "/v2.0/subnets/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listSubnets},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createSubnets},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showSubnet},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateSubnet},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteSubnet},
	}
}

func subnetObject(s *network.Subnet) object {
	o := meta(s.Meta)
	o["network_id"] = s.Network
	o["ip_version"] = s.Version()
	o["cidr"] = s.CIDR.String()
	o["gateway_ip"] = nil
	if s.Gateway.IsValid() {
		o["gateway_ip"] = s.Gateway.String()
	}
	pools, routes := []object{}, []object{}
	for _, p := range s.Pools {
		pools = append(pools, object{"start": p.First.String(), "end": p.Last.String()})
	}
	for _, route := range s.Routes {
		routes = append(routes, object{"destination": route.Destination.String(), "nexthop": route.NextHop.String()})
	}
	o["allocation_pools"], o["host_routes"] = pools, routes
	o["dns_nameservers"] = written(s.DNS)
	o["enable_dhcp"] = s.DHCP
	o["service_types"] = append([]string{}, s.ServiceTypes...)
	o["subnetpool_id"] = orNil(s.SubnetPool)
	o["ipv6_ra_mode"], o["ipv6_address_mode"] = orNil(string(s.RAMode)), orNil(string(s.AddressMode))
	return o
}

func (a *api) listSubnets(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "network_id", "project_id", "tenant_id", "name")
	found, err := a.networks.Subnets(r.Context(), a.db, viewer(r), network.SubnetFilter{ // what the store finds by itself
		IDs: q.Strings("id"), Networks: q.Strings("network_id"), Projects: projects(q), Names: q.Strings("name"), Page: page,
	})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, s := range found {
		all = append(all, subnetObject(s))
	}
	example := subnetObject(&network.Subnet{})
	if q.Has("shared") {
		if err := a.addShared(r, all, example); err != nil {
			return nil, err
		}
	}
	return listPage(r, "subnets", page, all, example)
}

// addShared tells of each subnet whether its network is shared: Neutron filters by that and shows it nowhere else.
func (a *api) addShared(r *osapi.Request, subnets []object, example object) error {
	networks, err := a.networks.Networks(r.Context(), a.db, viewer(r), network.NetworkFilter{})
	shared := map[any]bool{}
	for _, n := range networks {
		shared[n.ID] = n.Shared
	}
	for _, o := range append(subnets, example) {
		o["shared"] = shared[o["network_id"]]
	}
	return err
}

func (a *api) showSubnet(r *osapi.Request) (any, error) {
	s, err := a.networks.Subnet(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "subnet", subnetObject(s))
}

func (a *api) createSubnets(r *osapi.Request) (any, error) {
	var body struct {
		Subnet  *subnetBody   `json:"subnet"`
		Subnets *[]subnetBody `json:"subnets"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "subnet", body.Subnet, body.Subnets, func(tx *db.Tx, b *subnetBody) (object, error) {
		spec, err := a.newSubnet(r, tx, b)
		if err != nil {
			return nil, err
		}
		s, err := a.networks.CreateSubnet(r.Context(), tx, spec)
		if err != nil {
			return nil, err
		}
		return subnetObject(s), nil
	})
}

func (a *api) updateSubnet(r *osapi.Request) (any, error) {
	var body struct {
		Subnet *subnetBody `json:"subnet"`
	}
	var s *network.Subnet
	err := a.change(r, &body, a.subnetOf, func(tx *db.Tx) error {
		if body.Subnet == nil {
			return noBody("subnet")
		}
		change, err := body.Subnet.change()
		if err != nil {
			return err
		}
		s, err = a.networks.ChangeSubnet(r.Context(), tx, r.Path("id"), change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"subnet": subnetObject(s)}, nil
}

func (a *api) deleteSubnet(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.subnetOf, func(tx *db.Tx) error {
		return a.networks.DeleteSubnet(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) subnetOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	s, err := a.networks.Subnet(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return s.Meta, nil
}
