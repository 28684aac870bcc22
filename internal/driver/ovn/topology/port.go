package topology

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

func ofRouter(p *network.Port) bool {
	return p.DeviceOwner == router.InterfaceOwner || p.DeviceOwner == router.GatewayOwner
}

func (c *compiler) port(p *network.Port) []ovn.Row {
	switch {
	case p.DeviceOwner == router.FloatingIPOwner:
		return nil // it only holds the address
	case ofRouter(p):
		return []ovn.Row{routerSide(p)}
	}
	port := &nbdb.LogicalSwitchPort{Name: nameOf(p), Addresses: portAddresses(p)}
	row := ovn.Row{ID: rowOf(p), Model: port, In: []ovn.Ref{ovn.Switch(p.Network)}}
	if p.PortSecurity {
		port.PortSecurity = sources(p)
		row.In = append(row.In, ovn.Group(guardName(p.Network)))
		for _, group := range p.Groups {
			row.In = append(row.In, ovn.Group(groupName(group)))
		}
	}
	if !p.AdminUp {
		port.Enabled = new(false)
	}
	c.plug(p, port)
	options, rows := c.portOptions(p)
	port.Dhcpv4Options, port.Dhcpv6Options = options[0], options[1]
	rows = append(rows, row)
	rows = append(rows, c.portQoS(p)...)
	return append(rows, dnsNames(p)...)
}

// routerSide is the end in the switch of a router's port.
func routerSide(p *network.Port) ovn.Row {
	port := &nbdb.LogicalSwitchPort{Name: p.ID, Type: "router", Addresses: []string{"router"},
		Options: map[string]string{"router-port": lrp(p.ID)}}
	if p.DeviceOwner == router.GatewayOwner {
		port.Options["nat-addresses"] = "router" // the wire's switches hear where the addresses are when the gateway moves
	}
	if !p.AdminUp {
		port.Enabled = new(false)
	}
	return ovn.Row{ID: p.ID, Model: port, In: []ovn.Ref{ovn.Switch(p.Network)}}
}

// plug makes the row the child of a trunk where it is one: of the uplink of its NIC's switch, or of the port that carries it
// as a subport. A trunk cannot be in a trunk: a subport of a port behind a plain switch is nowhere.
func (c *compiler) plug(p *network.Port, port *nbdb.LogicalSwitchPort) {
	if edgeRow(p.Edge) != "" {
		plugEdge(p.Edge, port)
	} else if at, ok := c.places[p.ID]; ok {
		if parent := c.ports[at.parent]; parent != nil && parent.Edge.Kind != network.EdgeTrunk {
			port.ParentName, port.Tag = new(nameOf(parent)), new(at.vlan)
		}
	}
}

func plugEdge(e network.Edge, port *nbdb.LogicalSwitchPort) {
	if e.Kind == network.EdgeTrunk {
		port.ParentName, port.Tag = new(e.Interface), new(e.VLAN)
	}
}

// portAddresses is what the switch sends to the port: its own MAC with its addresses, the other MACs that it may send from,
// and without port security all that nobody else has.
func portAddresses(p *network.Port) []string {
	own := p.MAC
	for _, ip := range p.FixedIPs {
		own += " " + ip.Addr.String()
	}
	all := []string{own}
	for _, pair := range p.AllowedPairs {
		if mac := pairMAC(p, pair); mac != p.MAC {
			all = append(all, mac)
		}
	}
	if !p.PortSecurity {
		all = append(all, "unknown")
	}
	return all
}

func pairMAC(p *network.Port, pair network.AddressPair) string {
	if pair.MAC == "" {
		return p.MAC
	}
	return strings.ToLower(pair.MAC)
}

// sources is what a port with port security may send from: each MAC with its addresses.
func sources(p *network.Port) []string {
	byMAC := map[string][]netip.Prefix{}
	macs := []string{p.MAC}
	for _, ip := range p.FixedIPs {
		byMAC[p.MAC] = append(byMAC[p.MAC], netip.PrefixFrom(ip.Addr, ip.Addr.BitLen()))
	}
	for _, pair := range p.AllowedPairs {
		mac := pairMAC(p, pair)
		if len(byMAC[mac]) == 0 && mac != p.MAC {
			macs = append(macs, mac)
		}
		byMAC[mac] = append(byMAC[mac], pair.Addr.Masked())
	}
	all := make([]string, len(macs))
	for i, mac := range macs {
		all[i] = source(mac, byMAC[mac])
	}
	return all
}

// source is an entry of port_security. A MAC without addresses could send from any, so it gets those that mean none.
func source(mac string, from []netip.Prefix) string {
	if len(from) == 0 {
		return mac + " 0.0.0.0 ::"
	}
	text := mac
	for _, prefix := range from {
		text += " "
		if prefix.IsSingleIP() {
			text += prefix.Addr().String()
		} else {
			text += prefix.String()
		}
	}
	return text
}

// dnsNames answers the network's machines when they ask any DNS server for the port's name.
func dnsNames(p *network.Port) []ovn.Row {
	if p.DNSName == "" || len(p.FixedIPs) == 0 {
		return nil
	}
	var texts []string
	for _, ip := range p.FixedIPs {
		texts = append(texts, ip.Addr.String())
	}
	records := map[string]string{strings.ToLower(strings.TrimSuffix(p.DNSName, ".")): strings.Join(texts, " ")}
	records[strings.ToLower(p.Hostname(p.FixedIPs[0].Addr))] = strings.Join(texts, " ")
	return []ovn.Row{{ID: p.ID, In: []ovn.Ref{ovn.Switch(p.Network)}, Model: &nbdb.DNS{Records: records}}}
}

// CheckPort gives the faults of a port's values that OVN cannot hold, for whoever takes them from a user.
func CheckPort(p *network.Port) error {
	var all []error
	for _, o := range p.DHCPOptions {
		all = append(all, CheckDHCPOption(o))
	}
	if p.Edge.Kind != network.NoEdge && edgeRow(p.Edge) == "" {
		all = append(all, fault.New(fault.Invalid, "The NIC's local_link_connection names no interface."))
	}
	return errors.Join(all...)
}
