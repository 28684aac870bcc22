package topology_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// What is outside of all routers.
const (
	public      = "public"
	outsideAddr = "203.0.113.99"
	outsideMAC  = "52:54:99:00:00:99"
	nobody      = "52:54:99:00:00:01"
)

// draw is a random cloud: tenants that chose the same addresses and even the same MACs, each with networks, groups and perhaps
// a router and floating IPs.
func draw(r *rand.Rand) *cloud {
	c := &cloud{}
	chance := func(percent int) bool { return r.IntN(100) < percent }
	c.external(public, lab.PhysicalNetwork, "203.0.113.0/24")
	c.Gateways = []topology.Gateway{{Chassis: "gw", Alive: true}}
	c.AddressGroups = append(c.AddressGroups, &securitygroup.AddressGroup{ID: "list", Addresses: prefixes("10.0.0.0/29", outsideAddr+"/32", "2001:db8:1::/125")})
	for tenant := range 2 + r.IntN(2) {
		name := fmt.Sprintf("t%d", tenant)
		var groups []string
		for g := range 2 + r.IntN(2) {
			id := fmt.Sprintf("%s-g%d", name, g)
			c.group(id, drawRules(r, name)...).Stateful = !chance(15)
			groups = append(groups, id)
		}
		var nets, joined []string
		macs := 0
		for i := range 1 + r.IntN(2) {
			id := fmt.Sprintf("%s-n%d", name, i)
			cidrs := []string{fmt.Sprintf("10.0.%d.0/24", i)}
			if chance(50) {
				cidrs = append(cidrs, fmt.Sprintf("2001:db8:%d::/64", i+1))
			}
			c.network(id, cidrs...).AdminUp = !chance(5)
			nets = append(nets, id)
			for k := range 2 + r.IntN(3) {
				macs++
				addrs := []string{fmt.Sprintf("10.0.%d.%d", i, 2+k)}
				if len(cidrs) > 1 {
					addrs = append(addrs, fmt.Sprintf("2001:db8:%d::%d", i+1, 2+k))
				}
				p := c.port(fmt.Sprintf("%s-p%d", id, k), id, addrs...)
				p.MAC = fmt.Sprintf("52:54:01:00:00:%02x", macs)
				p.AdminUp, p.PortSecurity = !chance(5), !chance(10)
				if chance(10) {
					p.AllowedPairs = []network.AddressPair{{Addr: netip.MustParsePrefix("10.99.0.1/32")}} // ovn-trace knows no wider ones
				}
				for _, g := range groups {
					if p.PortSecurity && chance(50) {
						p.Groups = append(p.Groups, g)
					}
				}
			}
		}
		if chance(15) {
			continue
		}
		for _, n := range nets {
			if chance(85) {
				joined = append(joined, n)
			}
		}
		lr := c.router(name+"-r", joined...)
		lr.AdminUp = !chance(5)
		if chance(85) {
			c.gateway(lr, public, fmt.Sprintf("203.0.113.%d", 10+tenant))
			lr.Gateway.SNAT = chance(80)
			c.drawFloating(r, lr, tenant, joined)
		}
	}
	return c
}

func (c *cloud) drawFloating(r *rand.Rand, lr *router.Router, tenant int, joined []string) {
	for i, p := range c.Ports {
		for _, n := range joined {
			if p.Network == n && p.DeviceOwner == "" && r.IntN(100) < 40 {
				c.floating(fmt.Sprint("fip-", p.ID), lr, fmt.Sprintf("203.0.113.%d", 100+i), p)
			}
		}
	}
}

func drawRules(r *rand.Rand, tenant string) []string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	rules := []string{}
	if r.IntN(4) > 0 {
		rules = append(rules, "out v4", "out v6")
	}
	for range 1 + r.IntN(4) {
		version := pick("v4", "v4", "v6")
		remote := ""
		switch r.IntN(5) {
		case 0:
			remote = " from @" + tenant + "-g" + pick("0", "1")
		case 1:
			remote = " from $list"
		case 2:
			remote = map[string]string{"v4": " from 10.0.0.0/24", "v6": " from 2001:db8:1::/64"}[version]
		}
		rules = append(rules, pick("in ", "in ", "out ")+version+pick("", " tcp 80", " tcp 1 1024", " udp", " udp 53", " icmp", " icmp 8", " icmp6 128", " tcp")+remote)
	}
	return rules
}

// packet is the first of a connection.
type packet struct {
	from           *network.Port // nil: the wire of the external network
	net            string
	srcMAC, dstMAC string
	src, dst       netip.Addr
	protocol, port int // of TCP and UDP; echo requests of ICMP
}

func (p packet) microflow() string {
	in := "localnet-" + public
	if p.from != nil {
		in = p.from.ID
	}
	version := "ip4"
	if p.src.Is6() {
		version = "ip6"
	}
	flow := fmt.Sprintf(`inport == %q && eth.src == %s && eth.dst == %s && %s.src == %s && %[4]s.dst == %[6]s && ip.ttl == 64`,
		in, p.srcMAC, p.dstMAC, version, p.src, p.dst)
	switch p.protocol {
	case 6:
		return fmt.Sprintf("%s && tcp.src == 40000 && tcp.dst == %d", flow, p.port)
	case 17:
		return fmt.Sprintf("%s && udp.src == 40000 && udp.dst == %d", flow, p.port)
	case 58:
		return flow + " && icmp6.type == 128 && icmp6.code == 0"
	}
	return flow + " && icmp4.type == 8 && icmp4.code == 0"
}

// drawPacket draws one that a machine might send, honest or not, or that comes from outside.
func (c *cloud) drawPacket(r *rand.Rand) packet {
	var machines []*network.Port
	for _, p := range c.Ports {
		if p.DeviceOwner == "" {
			machines = append(machines, p)
		}
	}
	any := func() *network.Port { return machines[r.IntN(len(machines))] }
	address := func() netip.Addr {
		p := any()
		return p.FixedIPs[r.IntN(len(p.FixedIPs))].Addr
	}
	dst := address()
	switch n := r.IntN(10); {
	case n < 2 && len(c.FloatingIPs) > 0:
		dst = c.FloatingIPs[r.IntN(len(c.FloatingIPs))].Addr
	case n == 2:
		dst = netip.MustParseAddr(outsideAddr)
	}
	p := packet{dst: dst, protocol: 6, port: []int{22, 80, 53, 8080}[r.IntN(4)]}
	switch r.IntN(4) {
	case 0:
		p.protocol = 17
	case 1:
		p.protocol = 1
		if dst.Is6() {
			p.protocol = 58
		}
	}
	if r.IntN(8) == 0 && dst.Is4() {
		return c.fromOutside(r, p)
	}
	from := any()
	p.from, p.net, p.srcMAC = from, from.Network, from.MAC
	for _, ip := range from.FixedIPs {
		if ip.Addr.Is4() == dst.Is4() {
			p.src = ip.Addr
		}
	}
	if spoof := r.IntN(6); spoof == 0 || !p.src.IsValid() {
		for p.src = address(); p.src.Is4() != dst.Is4(); p.src = address() {
		}
	} else if spoof == 1 && dst.Is4() {
		p.src = netip.MustParseAddr("10.99.0.1")
	} else if spoof == 2 && r.IntN(2) == 0 {
		p.srcMAC = nobody
	}
	p.dstMAC = c.nextHop(from, dst)
	if r.IntN(10) == 0 { // straight to a neighbour, whoever has the address
		p.dstMAC = any().MAC
	}
	return p
}

// nextHop is the MAC that an honest machine sends to: the neighbour's, or the router's.
func (c *cloud) nextHop(from *network.Port, dst netip.Addr) string {
	local, gateway := false, nobody
	for _, s := range c.Subnets {
		local = local || s.Network == from.Network && s.CIDR.Contains(dst)
	}
	for _, p := range c.Ports {
		switch {
		case p.Network != from.Network:
		case local && has(p, dst):
			return p.MAC
		case p.DeviceOwner == router.InterfaceOwner:
			gateway = p.MAC
		}
	}
	if local {
		return nobody
	}
	return gateway
}

func has(p *network.Port, a netip.Addr) bool {
	for _, ip := range p.FixedIPs {
		if ip.Addr == a {
			return true
		}
	}
	return false
}

// fromOutside sends the packet from the wire, to the gateway of the floating IP's router or of any.
func (c *cloud) fromOutside(r *rand.Rand, p packet) packet {
	p.net, p.srcMAC, p.dstMAC, p.src = public, outsideMAC, nobody, netip.MustParseAddr(outsideAddr)
	if p.dst == p.src {
		p.dst = netip.MustParseAddr("203.0.113.10")
	}
	var routers []*router.Router
	for _, lr := range c.Routers {
		if lr.Gateway != nil {
			routers = append(routers, lr)
		}
	}
	if len(routers) > 0 {
		p.dstMAC = c.gatewayMAC(routers[r.IntN(len(routers))])
	}
	for _, f := range c.FloatingIPs {
		for _, lr := range routers {
			if f.Addr == p.dst && f.Router == lr.ID {
				p.dstMAC = c.gatewayMAC(lr)
			}
		}
	}
	return p
}

func (c *cloud) gatewayMAC(r *router.Router) string {
	for _, p := range c.Ports {
		if p.ID == r.Gateway.Port {
			return p.MAC
		}
	}
	return nobody
}
