package topology_test

import (
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// reference is what Neutron promises, said anew from the values alone: which ports a packet arrives at. It knows switches,
// routers and rules, and nothing of OVN.
type reference struct{ *cloud }

type arrival map[string]bool

// send is what becomes of a packet that a machine, or the wire of the external network, sends.
func (r reference) send(p packet) arrival {
	if a := p.from; a != nil {
		if !a.AdminUp || !r.networkOf(p.net).AdminUp {
			return nil
		}
		if a.PortSecurity && (!owns(a, p.srcMAC, p.src) || !r.allowed(a, true, p.dst, p)) {
			return nil
		}
	}
	return r.switched(p, p.from)
}

// switched is a packet on a network: it goes to whoever has its MAC, or else to all who take anything.
func (r reference) switched(p packet, from *network.Port) arrival {
	if !r.networkOf(p.net).AdminUp {
		return nil
	}
	arrived := arrival{}
	known := false
	for _, b := range r.Ports {
		if b.Network != p.net || b.DeviceOwner == router.FloatingIPOwner || b.MAC != p.dstMAC {
			continue
		}
		if b.DeviceOwner != "" && !r.routerWith(b).AdminUp {
			continue // a router that is off is on no network
		}
		known = true
		if b == from || !b.AdminUp {
			continue
		}
		if b.DeviceOwner != "" {
			for id := range r.routed(b, p) {
				arrived[id] = true
			}
		} else if r.takes(b, p) {
			arrived[b.ID] = true
		}
	}
	if known {
		return arrived
	}
	for _, b := range r.Ports {
		if b.Network == p.net && b.DeviceOwner == "" && b.AdminUp && !b.PortSecurity && b != from {
			arrived[b.ID] = true
		}
	}
	if p.net == public && from != nil {
		arrived["localnet-"+public] = true
	}
	return arrived
}

// takes reports whether a machine's port lets a packet in.
func (r reference) takes(b *network.Port, p packet) bool {
	return !b.PortSecurity || owns(b, p.dstMAC, p.dst) && r.allowed(b, false, p.src, p)
}

// owns reports whether an address with a MAC is the port's.
func owns(a *network.Port, mac string, addr netip.Addr) bool {
	if mac != a.MAC {
		return false
	}
	return has(a, addr) || slices.ContainsFunc(a.AllowedPairs, func(pair network.AddressPair) bool { return pair.Addr.Contains(addr) })
}

// routed is a packet that came to a router's port.
func (r reference) routed(in *network.Port, p packet) arrival {
	lr := r.routerWith(in)
	if r.isRouters(lr, p.src) || r.isRouters(lr, p.dst) {
		return nil
	}
	isGateway := in.DeviceOwner == router.GatewayOwner
	if f := r.floatingTo(lr, p.dst); f != nil && isGateway {
		p.dst = f.FixedAddr
	}
	out, next := r.route(lr, p.dst)
	if out == nil || !out.AdminUp {
		return nil
	}
	if out.DeviceOwner == router.GatewayOwner {
		p.src = r.translated(lr, p.src, out)
		if f := r.floatingTo(lr, p.dst); f != nil { // out and in again
			p.dst = f.FixedAddr
			if out, next = r.route(lr, p.dst); out == nil {
				return nil
			}
		}
	}
	p.net, p.srcMAC, p.dstMAC = out.Network, out.MAC, r.neighbour(out.Network, next)
	return r.switched(p, out)
}

func (r reference) networkOf(id string) *network.Network {
	return r.Networks[slices.IndexFunc(r.Networks, func(n *network.Network) bool { return n.ID == id })]
}

func (r reference) routerWith(p *network.Port) *router.Router {
	return r.Routers[slices.IndexFunc(r.Routers, func(lr *router.Router) bool { return lr.ID == p.DeviceID })]
}

func (r reference) portsOf(lr *router.Router) (all []*network.Port) {
	for _, p := range r.Ports {
		if p.DeviceID == lr.ID {
			all = append(all, p)
		}
	}
	return all
}

func (r reference) isRouters(lr *router.Router, a netip.Addr) bool {
	return slices.ContainsFunc(r.portsOf(lr), func(p *network.Port) bool { return has(p, a) })
}

func (r reference) floatingTo(lr *router.Router, a netip.Addr) *struct{ FixedAddr netip.Addr } {
	for _, f := range r.FloatingIPs {
		if f.Addr == a && f.Router == lr.ID {
			return &struct{ FixedAddr netip.Addr }{f.FixedAddr}
		}
	}
	return nil
}

func (r reference) subnet(id string) *network.Subnet {
	return r.Subnets[slices.IndexFunc(r.Subnets, func(s *network.Subnet) bool { return s.ID == id })]
}

// route is the port by which a router reaches an address, and who is next on that network.
func (r reference) route(lr *router.Router, dst netip.Addr) (*network.Port, netip.Addr) {
	for _, p := range r.portsOf(lr) {
		for _, ip := range p.FixedIPs {
			if r.subnet(ip.Subnet).CIDR.Contains(dst) {
				return p, dst
			}
		}
	}
	for _, p := range r.portsOf(lr) {
		if p.DeviceOwner == router.GatewayOwner && dst.Is4() {
			return p, r.subnet(p.FixedIPs[0].Subnet).Gateway
		}
	}
	return nil, netip.Addr{}
}

// translated is the source that the outside sees.
func (r reference) translated(lr *router.Router, src netip.Addr, gateway *network.Port) netip.Addr {
	for _, f := range r.FloatingIPs {
		if f.Router == lr.ID && f.FixedAddr == src {
			return f.Addr
		}
	}
	for _, p := range r.portsOf(lr) {
		for _, ip := range p.FixedIPs {
			if lr.Gateway.SNAT && p != gateway && src.Is4() && r.subnet(ip.Subnet).CIDR.Contains(src) {
				return gateway.FixedIPs[0].Addr
			}
		}
	}
	return src
}

// neighbour is the MAC of whoever has the address on a network; where nobody has it, one that goes to those who take
// anything.
func (r reference) neighbour(net string, a netip.Addr) string {
	for _, p := range r.Ports {
		if p.Network == net && p.AdminUp && p.DeviceOwner != router.FloatingIPOwner && has(p, a) {
			return p.MAC
		}
	}
	if net != public {
		return nobody
	}
	for _, f := range r.FloatingIPs {
		if f.Addr == a {
			return r.gatewayMAC(r.Routers[slices.IndexFunc(r.Routers, func(lr *router.Router) bool { return lr.ID == f.Router })])
		}
	}
	return outsideMAC
}

// allowed reports whether a rule of a port's groups lets the packet out or in.
func (r reference) allowed(a *network.Port, egress bool, far netip.Addr, p packet) bool {
	for _, id := range a.Groups {
		g := r.Groups[slices.IndexFunc(r.Groups, func(g *securitygroup.Group) bool { return g.ID == id })]
		for _, rule := range g.Rules {
			if rule.Egress == egress && (rule.Version == 4) == far.Is4() && covers(rule, p) && r.remote(rule, far) {
				return true
			}
		}
	}
	return false
}

func covers(rule *securitygroup.Rule, p packet) bool {
	protocol := rule.Protocol
	if protocol == 1 && rule.Version == 6 {
		protocol = 58
	}
	switch {
	case protocol == securitygroup.AnyProtocol:
		return true
	case protocol != p.protocol:
		return false
	case protocol == 1 || protocol == 58:
		return rule.First == securitygroup.None || rule.First == map[int]int{1: 8, 58: 128}[protocol]
	}
	return rule.First == securitygroup.None || rule.First <= p.port && p.port <= rule.Last
}

func (r reference) remote(rule *securitygroup.Rule, far netip.Addr) bool {
	switch {
	case rule.RemoteGroup != "":
		return slices.ContainsFunc(r.Ports, func(b *network.Port) bool { return slices.Contains(b.Groups, rule.RemoteGroup) && has(b, far) })
	case rule.RemoteAddressGroup != "":
		list := r.AddressGroups[slices.IndexFunc(r.AddressGroups, func(g *securitygroup.AddressGroup) bool { return g.ID == rule.RemoteAddressGroup })]
		return slices.ContainsFunc(list.Addresses, func(p netip.Prefix) bool { return p.Contains(far) })
	case rule.RemoteCIDR.IsValid():
		return rule.RemoteCIDR.Contains(far)
	}
	return true
}
