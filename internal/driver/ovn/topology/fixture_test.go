package topology_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// cloud is a model that grows by what its methods are called with. Names are ids.
type cloud struct {
	topology.Model
	macs int
}

func (c *cloud) network(id string, cidrs ...string) *network.Network {
	n := &network.Network{Meta: network.Meta{ID: id}, AdminUp: true, PortSecurity: true, MTU: 1442, Kind: network.GeneveKind}
	c.Networks = append(c.Networks, n)
	for _, cidr := range cidrs {
		c.subnet(n, cidr)
	}
	return n
}

// external is a provider's network with its own gateway, the first address.
func (c *cloud) external(id, physical string, cidrs ...string) *network.Network {
	n := c.network(id, cidrs...)
	n.External, n.Kind, n.Physical, n.MTU = true, network.FlatKind, physical, 1500
	for _, s := range c.Subnets {
		if s.Network == id {
			s.DHCP = false
		}
	}
	return n
}

// subnet is called NETWORK-4 or NETWORK-6, its gateway is the first address, DHCP and SLAAC are on.
func (c *cloud) subnet(n *network.Network, cidr string) *network.Subnet {
	p := netip.MustParsePrefix(cidr)
	s := &network.Subnet{Network: n.ID, CIDR: p, DHCP: true, Gateway: p.Addr().Next()}
	s.ID = fmt.Sprintf("%s-%d", n.ID, s.Version())
	if s.Version() == 6 {
		s.RAMode, s.AddressMode = network.SLAAC, network.SLAAC
	}
	c.Subnets = append(c.Subnets, s)
	n.Subnets = append(n.Subnets, s.ID)
	return s
}

func (c *cloud) port(id, net string, addrs ...string) *network.Port {
	c.macs++
	p := &network.Port{Meta: network.Meta{ID: id}, Network: net, AdminUp: true, PortSecurity: true,
		MAC: fmt.Sprintf("52:54:00:00:%02x:%02x", c.macs>>8, c.macs&255)}
	for _, addr := range addrs {
		a := netip.MustParseAddr(addr)
		p.FixedIPs = append(p.FixedIPs, network.FixedIP{Subnet: c.subnetWith(net, a), Addr: a})
	}
	c.Ports = append(c.Ports, p)
	return p
}

func (c *cloud) subnetWith(net string, a netip.Addr) string {
	for _, s := range c.Subnets {
		if s.Network == net && s.CIDR.Contains(a) {
			return s.ID
		}
	}
	panic("no subnet with " + a.String())
}

func (c *cloud) router(id string, nets ...string) *router.Router {
	r := &router.Router{Meta: network.Meta{ID: id}, AdminUp: true}
	c.Routers = append(c.Routers, r)
	for _, net := range nets {
		c.join(r, net)
	}
	return r
}

// join gives the router a port on the network, with the gateway's address of each of its subnets.
func (c *cloud) join(r *router.Router, net string) *network.Port {
	var gateways []string
	for _, s := range c.Subnets {
		if s.Network == net && s.Gateway.IsValid() {
			gateways = append(gateways, s.Gateway.String())
		}
	}
	p := c.port(r.ID+"-"+net, net, gateways...)
	p.DeviceID, p.DeviceOwner, p.PortSecurity = r.ID, router.InterfaceOwner, false
	return p
}

func (c *cloud) gateway(r *router.Router, external string, addrs ...string) {
	p := c.port(r.ID+"-gw", external, addrs...)
	p.DeviceID, p.DeviceOwner, p.PortSecurity = r.ID, router.GatewayOwner, false
	r.Gateway = &router.Gateway{Network: external, Port: p.ID, SNAT: true}
}

func (c *cloud) floating(id string, r *router.Router, addr string, to *network.Port) *router.FloatingIP {
	outside := c.port(id+"-port", r.Gateway.Network, addr)
	outside.DeviceOwner, outside.DeviceID = router.FloatingIPOwner, id
	f := &router.FloatingIP{Meta: network.Meta{ID: id}, Network: r.Gateway.Network, Addr: netip.MustParseAddr(addr), Port: outside.ID, Router: r.ID}
	if to != nil {
		f.FixedPort, f.FixedAddr = to.ID, to.FixedIPs[0].Addr
	}
	c.FloatingIPs = append(c.FloatingIPs, f)
	return f
}

func (c *cloud) group(id string, rules ...string) *securitygroup.Group {
	g := &securitygroup.Group{ID: id, Stateful: true}
	for i, text := range rules {
		r := rule(text)
		r.ID, r.Group = fmt.Sprintf("%s-%d", id, i), id
		g.Rules = append(g.Rules, r)
	}
	c.Groups = append(c.Groups, g)
	return g
}

// rule reads words such as "in v4 tcp 80 443 from 10.0.0.0/8", "out v6", "in v4 icmp 8 from @group", "in v4 from $list".
func rule(text string) *securitygroup.Rule {
	r := &securitygroup.Rule{Protocol: securitygroup.AnyProtocol, First: securitygroup.None, Last: securitygroup.None, Version: 4}
	words := strings.Fields(text)
	numbers := 0
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "in":
		case "out":
			r.Egress = true
		case "v4":
		case "v6":
			r.Version = 6
		case "tcp", "udp", "icmp", "icmp6", "sctp", "dccp", "gre":
			r.Protocol = map[string]int{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132, "dccp": 33, "gre": 47}[word]
		case "from", "to":
			i++
			switch remote := words[i]; remote[0] {
			case '@':
				r.RemoteGroup = remote[1:]
			case '$':
				r.RemoteAddressGroup = remote[1:]
			default:
				r.RemoteCIDR = netip.MustParsePrefix(remote)
			}
		default:
			var n int
			if _, err := fmt.Sscan(word, &n); err != nil {
				panic(text)
			}
			if numbers++; numbers == 1 {
				r.First = n
			} else {
				r.Last = n
			}
		}
	}
	if r.Protocol != 1 && r.Protocol != 58 && r.First != securitygroup.None && r.Last == securitygroup.None {
		r.Last = r.First
	}
	return r
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}
