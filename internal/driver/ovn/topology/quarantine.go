package topology

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/network"
)

// ServicesPort is the name of the port that ingot's own services on the quarantine are plugged into.
const ServicesPort = "ingot-services"

// The rows of the quarantine; symbols too, as the group's name is in matches.
const (
	quarantineSwitch = "quarantine"
	quarantineGroup  = "quarantine"
)

// quarantine is one switch on which every NIC is alone with the services: a private VLAN, by the ACLs of one group, however
// many NICs there are. A NIC speaks to the services' address at the services' hardware address, asks for it by ARP, and asks
// DHCP; and hears only the services. The port of each NIC (nic) drops what has a false source.
func (c *compiler) quarantine() []ovn.Row {
	s := c.model.Services
	if s == nil {
		return nil
	}
	mac := strings.ToLower(s.MAC)
	port := &nbdb.LogicalSwitchPort{Name: ServicesPort, Addresses: []string{join(mac, s.Addrs)}}
	rows := []ovn.Row{
		{ID: quarantineSwitch, Model: &nbdb.LogicalSwitch{Name: quarantineSwitch, OtherConfig: map[string]string{"mcast_snoop": "false", "vlan-passthru": "false"}}},
		{ID: ServicesPort, In: []ovn.Ref{ovn.Switch(quarantineSwitch)}, Model: port},
		{ID: quarantineGroup, Model: &nbdb.PortGroup{Name: quarantineGroup}},
	}
	acl := func(id string, direction nbdb.ACLDirection, priority int, action nbdb.ACLAction, terms ...string) {
		side := "inport"
		if direction == nbdb.ACLDirectionToLport {
			side = "outport"
		}
		terms = append([]string{side + " == @" + quarantineGroup}, terms...)
		rows = append(rows, ovn.Row{ID: quarantineGroup + "/" + id, In: []ovn.Ref{ovn.Group(quarantineGroup)},
			Model: &nbdb.ACL{Direction: direction, Tier: groupTier, Priority: priority, Action: action, Match: strings.Join(terms, " && ")}})
	}
	in, out := nbdb.ACLDirectionToLport, nbdb.ACLDirectionFromLport
	acl("out-drop", out, dropPriority, nbdb.ACLActionDrop)
	acl("in-drop", in, dropPriority, nbdb.ACLActionDrop)
	acl("in-services", in, allowPriority, nbdb.ACLActionAllowStateless, "eth.src == "+mac)
	acl("out-dhcp", out, allowPriority, nbdb.ACLActionAllowStateless, "eth.bcast", "udp.src == 68", "udp.dst == 67")
	for _, addr := range s.Addrs {
		if addr.Is4() {
			acl("out-"+addr.String(), out, allowPriority, nbdb.ACLActionAllowStateless, "eth.dst == "+mac, fmt.Sprintf("ip4.dst == %s", addr))
			acl("arp-"+addr.String(), out, allowPriority, nbdb.ACLActionAllowStateless, fmt.Sprintf("arp.tpa == %s", addr))
		} else {
			acl("out-"+addr.String(), out, allowPriority, nbdb.ACLActionAllowStateless, "eth.dst == "+mac, fmt.Sprintf("ip6.dst == %s", addr))
			acl("nd-"+addr.String(), out, allowPriority, nbdb.ACLActionAllowStateless, fmt.Sprintf("nd.target == %s", addr))
		}
	}
	return rows
}

// nic is the port of a NIC in quarantine: the same row as that of the port it is bound to otherwise. One without an edge is
// on no network.
func nic(n *NIC) []ovn.Row {
	id := edgeRow(n.Edge)
	if id == "" {
		return nil
	}
	mac := strings.ToLower(n.MAC)
	var addrs []netip.Addr
	var from []netip.Prefix
	if n.Addr.IsValid() {
		addrs, from = []netip.Addr{n.Addr}, []netip.Prefix{netip.PrefixFrom(n.Addr, n.Addr.BitLen())}
	}
	port := &nbdb.LogicalSwitchPort{Name: edgeName(n.Edge), Addresses: []string{join(mac, addrs)}, PortSecurity: []string{source(mac, from)}}
	plugEdge(n.Edge, port)
	return []ovn.Row{{ID: id, In: []ovn.Ref{ovn.Switch(quarantineSwitch), ovn.Group(quarantineGroup)}, Model: port}}
}

func join(mac string, addrs []netip.Addr) string {
	for _, a := range addrs {
		mac += " " + a.String()
	}
	return mac
}

// uplink is the port of a plain switch's uplink: the parent of the ports of all NICs behind it. It is alone on a switch of
// its own, so frames without a tag go nowhere.
func uplink(name string) []ovn.Row {
	return []ovn.Row{
		{ID: string(UplinkKind.Of(name)), Model: &nbdb.LogicalSwitch{Name: string(UplinkKind.Of(name))}},
		{ID: string(UplinkKind.Of(name)), In: []ovn.Ref{ovn.Switch(string(UplinkKind.Of(name)))}, Model: &nbdb.LogicalSwitchPort{Name: name}},
	}
}

// uplinkOf is the uplink that a row is behind; empty: none.
func uplinkOf(row ovn.Row) string {
	if edge, ok := parseEdge(row.ID); ok && portRow(row) && edge.Kind == network.EdgeTrunk {
		return edge.Interface
	}
	return ""
}
