package neutron

import (
	"net/netip"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// subnetBody is a subnet as clients write it.
type subnetBody struct {
	owned
	Network     osapi.Optional[string]        `json:"network_id"`
	Name        osapi.Optional[string]        `json:"name"`
	Description osapi.Optional[string]        `json:"description"`
	Version     osapi.Optional[osapi.Int]     `json:"ip_version"`
	CIDR        osapi.Optional[string]        `json:"cidr"`
	SubnetPool  osapi.Optional[string]        `json:"subnetpool_id"`
	DefaultPool osapi.Optional[osapi.Bool]    `json:"use_default_subnetpool"`
	Bits        osapi.Optional[osapi.Int]     `json:"prefixlen"`
	Gateway     osapi.Optional[string]        `json:"gateway_ip"`
	DHCP        osapi.Optional[osapi.Bool]    `json:"enable_dhcp"`
	DNS         osapi.Optional[[]string]      `json:"dns_nameservers"`
	Pools       osapi.Optional[[]subnetRange] `json:"allocation_pools"`
	Routes      osapi.Optional[[]subnetRoute] `json:"host_routes"`
	RAMode      osapi.Optional[string]        `json:"ipv6_ra_mode"`
	AddressMode osapi.Optional[string]        `json:"ipv6_address_mode"`
	Types       osapi.Optional[[]string]      `json:"service_types"`
	Segment     osapi.Optional[string]        `json:"segment_id"` // there are no segments: only null will do
}

type subnetRange struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type subnetRoute struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

func (a *api) newSubnet(r *osapi.Request, tx *db.Tx, b *subnetBody) (spec network.NewSubnet, err error) {
	if spec.Project, err = b.project(r); err != nil {
		return spec, err
	}
	if b.Network.Value == "" {
		return spec, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'network_id' not specified")
	}
	n, err := a.networks.Network(r.Context(), tx, viewer(r), b.Network.Value)
	if err != nil {
		return spec, err
	}
	if err := mayWrite(r, n.Project); err != nil {
		return spec, err
	}
	if b.Segment.Value != "" {
		return spec, failure("SegmentNotFound", fault.NotFound, "Segment %s could not be found.", b.Segment.Value)
	}
	var f fields
	change := b.read(&f)
	spec = network.NewSubnet{
		Network: n.ID, Project: spec.Project, Name: b.Name.Value, Description: b.Description.Value,
		Version: int(b.Version.Value), CIDR: prefix(&f, "cidr", b.CIDR.Value), SubnetPool: b.SubnetPool.Value,
		DefaultPool: bool(b.DefaultPool.Value), Bits: int(b.Bits.Value), Gateway: change.Gateway,
		NoDHCP: b.DHCP.Set && !b.DHCP.Null && !bool(b.DHCP.Value), RAMode: network.AddressMode(b.RAMode.Value), AddressMode: network.AddressMode(b.AddressMode.Value),
	}
	if change.DNS != nil {
		spec.DNS = *change.DNS
	}
	if change.Pools != nil {
		spec.Pools = *change.Pools
	}
	if change.Routes != nil {
		spec.Routes = *change.Routes
	}
	if change.ServiceTypes != nil {
		spec.ServiceTypes = *change.ServiceTypes
	}
	if !b.Version.Set {
		f.fail("ip_version", "it is required")
	} else if spec.Version != 4 && spec.Version != 6 {
		f.fail("ip_version", "'%d' is not in [4, 6]", spec.Version)
	}
	return spec, f.err
}

func (b *subnetBody) change() (network.SubnetChange, error) {
	err := readOnly{
		"network_id": b.Network.Set, "project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "ip_version": b.Version.Set, "cidr": b.CIDR.Set,
		"subnetpool_id": b.SubnetPool.Set, "prefixlen": b.Bits.Set, "use_default_subnetpool": b.DefaultPool.Set,
		"ipv6_ra_mode": b.RAMode.Set, "ipv6_address_mode": b.AddressMode.Set, "segment_id": b.Segment.Set && !b.Segment.Null,
	}.check()
	if err != nil {
		return network.SubnetChange{}, err
	}
	var f fields
	c := b.read(&f)
	return c, f.err
}

// read takes what may change of a subnet.
func (b *subnetBody) read(f *fields) network.SubnetChange {
	c := network.SubnetChange{Name: text(f, "name", b.Name), Description: text(f, "description", b.Description), DHCP: truthOf(f, "enable_dhcp", b.DHCP)}
	if b.Gateway.Set {
		gateway := address(f, "gateway_ip", b.Gateway.Value)
		c.Gateway = &gateway
		if !b.Gateway.Null && b.Gateway.Value == "" {
			f.fail("gateway_ip", "'' is not a valid IP address")
		}
	}
	if b.DNS.Set {
		dns := []netip.Addr{}
		for _, server := range b.DNS.Value {
			addr := address(f, "dns_nameservers", server)
			if server == "" {
				f.fail("dns_nameservers", "'' is not a valid nameserver")
			}
			dns = append(dns, addr)
		}
		c.DNS = &dns
	}
	if pools := given(f, "allocation_pools", b.Pools); pools != nil {
		list := []network.Pool{}
		for _, p := range *pools {
			if p.Start == "" || p.End == "" {
				f.fail("allocation_pools", "a pool needs start and end")
			}
			list = append(list, network.Pool{First: address(f, "allocation_pools", p.Start), Last: address(f, "allocation_pools", p.End)})
		}
		c.Pools = &list
	}
	if b.Routes.Set {
		list := []network.Route{}
		for _, route := range b.Routes.Value {
			if route.Destination == "" || route.NextHop == "" {
				f.fail("host_routes", "a route needs destination and nexthop")
			}
			list = append(list, network.Route{Destination: prefix(f, "host_routes", route.Destination), NextHop: address(f, "host_routes", route.NextHop)})
		}
		c.Routes = &list
	}
	c.ServiceTypes = given(f, "service_types", b.Types)
	return c
}
