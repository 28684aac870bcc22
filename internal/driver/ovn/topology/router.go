package topology

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

func (c *compiler) router(r *router.Router) []ovn.Row {
	lr := &nbdb.LogicalRouter{Name: r.ID, Options: map[string]string{
		"always_learn_from_arp_request": "false", // else every machine that asks fills the table of neighbours
		"dynamic_neigh_routers":         "true",
		"mac_binding_age_threshold":     "300", // seconds
	}}
	if !r.AdminUp {
		lr.Enabled = new(false)
	}
	rows := []ovn.Row{{ID: r.ID, Model: lr}}
	in := []ovn.Ref{ovn.Router(r.ID)}
	gateway := c.gatewayPort(r)
	for _, p := range c.portsOf[r.ID] {
		if p.DeviceOwner == router.GatewayOwner && p != gateway {
			continue // of a gateway that is being changed
		}
		if row := c.routerPort(r, p); row != nil {
			rows = append(rows, ovn.Row{ID: p.ID, In: in, Model: row})
		}
	}
	for _, route := range r.Routes {
		rows = append(rows, ovn.Row{ID: fmt.Sprintf("%s/%s/%s", r.ID, route.Destination, route.NextHop), In: in,
			Model: &nbdb.LogicalRouterStaticRoute{IPPrefix: route.Destination.Masked().String(), Nexthop: route.NextHop.String()}})
	}
	if gateway == nil {
		return rows
	}
	for _, ip := range gateway.FixedIPs {
		subnet := c.subnets[ip.Subnet]
		if subnet == nil {
			continue
		}
		if subnet.Gateway.IsValid() {
			rows = append(rows, ovn.Row{ID: r.ID + "/default/" + subnet.ID, In: in, Model: &nbdb.LogicalRouterStaticRoute{
				IPPrefix: everything(subnet.Version()), Nexthop: subnet.Gateway.String(), OutputPort: new(lrp(gateway.ID))}})
		}
	}
	return append(rows, c.sourceNAT(r, gateway)...)
}

func everything(version int) string {
	if version == 4 {
		return "0.0.0.0/0"
	}
	return "::/0"
}

// gatewayPort is the router's port on its external network; nil where there is none.
func (c *compiler) gatewayPort(r *router.Router) *network.Port {
	if r.Gateway == nil {
		return nil
	}
	return c.ports[r.Gateway.Port]
}

// routerPort is a router's own end of a port; nil while it has no address.
func (c *compiler) routerPort(r *router.Router, p *network.Port) *nbdb.LogicalRouterPort {
	port := &nbdb.LogicalRouterPort{Name: lrp(p.ID), MAC: p.MAC}
	if !p.AdminUp {
		port.Enabled = new(false)
	}
	for _, ip := range p.FixedIPs {
		subnet := c.subnets[ip.Subnet]
		if subnet == nil {
			continue
		}
		port.Networks = append(port.Networks, fmt.Sprintf("%s/%d", ip.Addr, subnet.CIDR.Bits()))
		if p.DeviceOwner == router.InterfaceOwner && subnet.RAMode != network.NoMode {
			port.Ipv6RaConfigs = c.advertise(subnet)
		}
	}
	if len(port.Networks) == 0 {
		return nil
	}
	if mtu := c.narrow(r, p); mtu > 0 && c.model.NeedToFrag {
		port.Options = map[string]string{"gateway_mtu": strconv.Itoa(mtu)}
	}
	if p.DeviceOwner == router.GatewayOwner {
		port.HaChassisGroup = new(ovn.ChassisGroup(gatewaySlot(r.ID)).UUID())
	}
	return port
}

// narrow is the MTU of a router port's network where another of the router's ports is on a wider one: what is too long is
// answered by ICMP then (RFC 1191, RFC 8201) instead of being lost. 0: none is wider, or it is not known.
func (c *compiler) narrow(r *router.Router, p *network.Port) int {
	mtu := c.mtu(p)
	for _, other := range c.portsOf[r.ID] {
		if c.mtu(other) > mtu {
			return mtu
		}
	}
	return 0
}

func (c *compiler) mtu(p *network.Port) int {
	if n := c.networks[p.Network]; n != nil {
		return n.MTU
	}
	return 0
}

// advertise is what the router tells machines of an IPv6 subnet.
func (c *compiler) advertise(s *network.Subnet) map[string]string {
	ra := map[string]string{"send_periodic": "true", "address_mode": map[network.AddressMode]string{
		network.SLAAC: "slaac", network.DHCPv6Stateful: "dhcpv6_stateful", network.DHCPv6Stateless: "dhcpv6_stateless",
	}[s.RAMode]}
	if n := c.networks[s.Network]; n != nil {
		maps.Copy(ra, mtuOption(n.MTU))
	}
	for _, dns := range s.DNS {
		if dns.Is6() {
			ra["rdnss"] = dns.String()
			break
		}
	}
	return ra
}

// sourceNAT lets each IPv4 subnet behind the router out with the gateway's address.
func (c *compiler) sourceNAT(r *router.Router, gateway *network.Port) []ovn.Row {
	outside := ""
	for _, ip := range gateway.FixedIPs {
		if ip.Addr.Is4() {
			outside = ip.Addr.String()
			break
		}
	}
	if !r.Gateway.SNAT || outside == "" {
		return nil
	}
	var rows []ovn.Row
	done := map[string]bool{}
	for _, p := range c.portsOf[r.ID] {
		for _, ip := range p.FixedIPs {
			subnet := c.subnets[ip.Subnet]
			if p.DeviceOwner != router.InterfaceOwner || subnet == nil || subnet.Version() != 4 || done[subnet.ID] {
				continue
			}
			done[subnet.ID] = true
			rows = append(rows, ovn.Row{ID: r.ID + "/" + subnet.ID, In: []ovn.Ref{ovn.Router(r.ID)}, Model: &nbdb.NAT{
				Type: nbdb.NATTypeSNAT, ExternalIP: outside, LogicalIP: subnet.CIDR.Masked().String(),
				GatewayPort: new(ovn.RouterPort(gateway.ID).UUID())}})
		}
	}
	return rows
}
