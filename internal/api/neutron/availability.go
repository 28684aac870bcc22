package neutron

import (
	"math/big"
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) availabilityRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: "/v2.0/availability_zones", Policy: osapi.Reader, Handle: listZones},
		{Method: http.MethodGet, Pattern: "/v2.0/service-providers", Policy: osapi.Reader, Handle: listServiceProviders},
		{Method: http.MethodGet, Pattern: "/v2.0/network-ip-availabilities", Policy: osapi.SystemReader, Handle: a.listIPAvailabilities},
		{Method: http.MethodGet, Pattern: "/v2.0/network-ip-availabilities/{id}", Policy: osapi.SystemReader, Handle: a.showIPAvailability},
	}
}

// listZones: the cloud is one zone.
func listZones(r *osapi.Request) (any, error) {
	var all []object
	for _, resource := range []string{"network", "router"} {
		all = append(all, object{"name": network.Zone, "resource": resource, "state": "available"})
	}
	kept, err := filter(r.Query(), all, all[0])
	return object{"availability_zones": kept}, err
}

// listServiceProviders: each service has the one that the cloud is made with.
func listServiceProviders(r *osapi.Request) (any, error) {
	all := []object{{"service_type": "L3_ROUTER_NAT", "name": "ovn", "default": true}}
	kept, err := filter(r.Query(), all, all[0])
	return object{"service_providers": kept}, err
}

// ipAvailability tells how full a network is, and each of its subnets.
func ipAvailability(n *network.Network, fills []network.Fill) object {
	total, used, subnets := new(big.Int), 0, []object{}
	for _, f := range fills {
		total.Add(total, f.Total)
		used += f.Used
		subnets = append(subnets, object{
			"subnet_id": f.ID, "subnet_name": f.Name, "cidr": f.CIDR.String(), "ip_version": f.Version(), "total_ips": f.Total, "used_ips": f.Used,
		})
	}
	return object{
		"network_id": n.ID, "network_name": n.Name, "project_id": n.Project, "tenant_id": n.Project,
		"total_ips": total, "used_ips": used, "subnet_ip_availability": subnets,
	}
}

func (a *api) listIPAvailabilities(r *osapi.Request) (any, error) {
	networks, err := a.networks.Networks(r.Context(), a.db, viewer(r), network.NetworkFilter{})
	if err != nil {
		return nil, err
	}
	fills, err := a.networks.Fills(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	q := r.Query()
	versions := q.Strings("ip_version")
	var all []object
	for _, n := range networks {
		of := fills[n.ID]
		if len(versions) > 0 {
			of = slices.DeleteFunc(of, func(f network.Fill) bool {
				return !slices.ContainsFunc(versions, func(v string) bool { return matches(f.Version(), v) })
			})
		}
		all = append(all, ipAvailability(n, of))
	}
	page := q.Page(osapi.Paging{})
	kept, err := filter(q, all, ipAvailability(&network.Network{}, nil))
	if err != nil {
		return nil, err
	}
	picked := []any{}
	for _, o := range kept {
		picked = append(picked, page.Pick(o))
	}
	return object{"network_ip_availabilities": picked}, nil
}

func (a *api) showIPAvailability(r *osapi.Request) (any, error) {
	n, err := a.networks.Network(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	fills, err := a.networks.Fills(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	return show(r, "network_ip_availability", ipAvailability(n, fills[n.ID]))
}
