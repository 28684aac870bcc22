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
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: createSubnet},
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
	pools, dns := []object{}, []string{}
	for _, p := range s.Pools {
		pools = append(pools, object{"start": p.First.String(), "end": p.Last.String()})
	}
	for _, server := range s.DNS {
		dns = append(dns, server.String())
	}
	o["allocation_pools"], o["dns_nameservers"] = pools, dns
	o["enable_dhcp"] = s.DHCP
	o["host_routes"], o["service_types"] = []object{}, []string{}
	o["subnetpool_id"], o["ipv6_ra_mode"], o["ipv6_address_mode"] = nil, nil, nil
	return o
}

func (a *api) listSubnets(r *osapi.Request) (any, error) {
	found, err := a.networks.Subnets(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, s := range found {
		all = append(all, subnetObject(s))
	}
	return list(r, "subnets", all, subnetObject(&network.Subnet{}))
}

func (a *api) showSubnet(r *osapi.Request) (any, error) {
	s, err := a.networks.Subnet(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "subnet", subnetObject(s))
}

func (a *api) updateSubnet(r *osapi.Request) (any, error) {
	var body struct {
		Subnet *struct {
			Name        osapi.Optional[string] `json:"name"`
			Description osapi.Optional[string] `json:"description"`
		} `json:"subnet"`
	}
	var s *network.Subnet
	err := a.change(r, &body, a.subnetOf, func(tx *db.Tx) error {
		if body.Subnet == nil {
			return noBody("subnet")
		}
		var f fields
		change := network.SubnetChange{Name: text(&f, "name", body.Subnet.Name), Description: text(&f, "description", body.Subnet.Description)}
		if f.err != nil {
			return f.err
		}
		var err error
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
