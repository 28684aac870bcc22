package topology

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/network"
)

// Where the metadata service is on every network that has DHCP, the second where it has IPv6: link-local addresses that DHCP (option 121) and IPv6 say are
// on the wire, so that they need neither an address of the network nor a router.
const (
	MetadataV4 = "169.254.169.254"
	MetadataV6 = "fe80::a9fe:a9fe"
)

// MetadataPort is the name of the port that a network's metadata service is plugged into, on every chassis: frames to and
// from it never leave the chassis (a localport).
func MetadataPort(network string) string { return metadataPrefix + network }

// MetadataNetwork is the reverse: the network of a logical port's name, and whether it is one of a metadata service.
func MetadataNetwork(port string) (network string, is bool) {
	network, is = strings.CutPrefix(port, metadataPrefix)
	return network, is && wordly.MatchString(network)
}

const metadataPrefix = "metadata-"

// wordly is what ids of networks are made of; they become names of namespaces.
var wordly = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// MetadataMAC is the hardware address that its interface must have.
func MetadataMAC(network string) string { return ownMAC("metadata/" + network) }

// localnetPort is the name and id of the port that is a network's wire.
func localnetPort(network string) string { return "localnet-" + network }

func (c *compiler) network(n *network.Network) []ovn.Row {
	rows := []ovn.Row{{ID: n.ID, Model: &nbdb.LogicalSwitch{Name: n.ID, OtherConfig: map[string]string{
		"mcast_snoop":              "false", // multicast goes to all ports, as on a wire
		"mcast_flood_unregistered": "false",
		"vlan-passthru":            "false",
	}}}}
	rows = append(rows, guard(n.ID)...)
	if !n.AdminUp {
		rows = append(rows, down(n.ID)...)
	}
	if n.Physical != "" {
		rows = append(rows, localnet(n))
	}
	metadata, addresses := false, MetadataMAC(n.ID)+" "+MetadataV4
	for _, s := range c.subnetsOf[n.ID] {
		rows = append(rows, ovn.Row{ID: s.ID, Model: subnetOptions(n, s)})
		metadata = metadata || s.DHCP
		if s.Version() == 6 && !strings.HasSuffix(addresses, MetadataV6) {
			addresses += " " + MetadataV6
		}
	}
	if metadata {
		rows = append(rows, ovn.Row{ID: MetadataPort(n.ID), In: []ovn.Ref{ovn.Switch(n.ID)}, Model: &nbdb.LogicalSwitchPort{
			Name: MetadataPort(n.ID), Type: "localport",
			Addresses: []string{addresses},
		}})
	}
	return rows
}

// localnet is the port that is the network's wire: OVN's ovn-bridge-mappings tell each chassis which that is.
func localnet(n *network.Network) ovn.Row {
	port := &nbdb.LogicalSwitchPort{Name: localnetPort(n.ID), Type: "localnet", Addresses: []string{"unknown"},
		Options: map[string]string{"network_name": n.Physical}}
	if n.Kind == network.VLANKind && n.Segment != 0 {
		port.Tag = new(n.Segment)
	}
	return ovn.Row{ID: localnetPort(n.ID), In: []ovn.Ref{ovn.Switch(n.ID)}, Model: port}
}

// guard is the group of those of a network's ports that have port security, and what holds for them before any security
// group: they ask DHCP and find their neighbours, and nothing else goes in or out. One for each network keeps the cost of a
// port's change independent of the other networks.
func guard(network string) []ovn.Row {
	name := guardName(network)
	acl := func(id string, direction nbdb.ACLDirection, port string, priority int, action nbdb.ACLAction, match string) ovn.Row {
		return ovn.Row{ID: name + "/" + id, In: []ovn.Ref{ovn.Group(name)}, Model: &nbdb.ACL{Tier: groupTier, Direction: direction,
			Priority: priority, Action: action, Match: fmt.Sprintf("%s == @%s && %s", port, name, match)}}
	}
	in, out := nbdb.ACLDirectionToLport, nbdb.ACLDirectionFromLport
	free := nbdb.ACLActionAllowStateless // it needs no state
	return []ovn.Row{
		{ID: name, Model: &nbdb.PortGroup{Name: name}},
		acl("out", out, "inport", allowPriority, free, "((udp.src == 68 && udp.dst == 67) || (udp.src == 546 && udp.dst == 547) || nd || nd_rs)"),
		acl("in", in, "outport", allowPriority, free, "((udp.src == 67 && udp.dst == 68) || (udp.src == 547 && udp.dst == 546) || nd || nd_ra)"),
		acl("out-drop", out, "inport", dropPriority, nbdb.ACLActionDrop, "ip"),
		acl("in-drop", in, "outport", dropPriority, nbdb.ACLActionDrop, "ip"),
	}
}

// down lets nothing into a network that is switched off.
func down(network string) []ovn.Row {
	return []ovn.Row{{ID: network + "/down", In: []ovn.Ref{ovn.Switch(network)}, Model: &nbdb.ACL{Tier: firewallTier,
		Direction: nbdb.ACLDirectionFromLport, Priority: downPriority, Action: nbdb.ACLActionDrop, Match: "1"}}}
}

func mtuOption(mtu int) map[string]string {
	if mtu == 0 {
		return map[string]string{}
	}
	return map[string]string{"mtu": strconv.Itoa(mtu)}
}
