package topology

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/network"
)

// The names of groups and address sets appear in matches, where OVN's grammar (ovn-sb(5)) takes only these characters.
func symbol(prefix, id string) string {
	return prefix + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

func groupName(id string) string { return symbol("sg_", id) }

// guardName is of the group of a network's ports that have port security.
func guardName(network string) string { return symbol("guard_", network) }

func addressSetName(id string, version int) string {
	return fmt.Sprintf("%s_ip%d", symbol("ag_", id), version)
}

// lrp is the name of a router's port.
func lrp(port string) string { return "lrp-" + port }

// rowOf is the id of a port's row: that of the NIC's edge, so that whatever the NIC is used for is one row, or its own.
func rowOf(p *network.Port) string {
	if id := edgeRow(p.Edge); id != "" {
		return id
	}
	return p.ID
}

// nameOf is the name of a port's row: what a chassis looks for (iface-id) where an interface is plugged into it.
func nameOf(p *network.Port) string {
	if edgeRow(p.Edge) != "" {
		return edgeName(p.Edge)
	}
	return p.ID
}

// edgeRow is the id of the row of the NIC with that edge; empty: it has none.
func edgeRow(e network.Edge) string {
	switch {
	case e.Interface == "" || strings.ContainsAny(e.Interface, " \t\r\n\x00"):
		return ""
	case e.Kind == network.EdgeOVS:
		return "ovs/" + e.Interface
	case e.Kind == network.EdgeTrunk && e.VLAN >= 1 && e.VLAN <= 4094:
		return fmt.Sprintf("trunk/%s/%d", e.Interface, e.VLAN)
	}
	return ""
}

// parseEdge is the reverse of edgeRow.
func parseEdge(row string) (network.Edge, bool) {
	kind, rest, _ := strings.Cut(row, "/")
	switch edge.Kind(kind) {
	case network.EdgeOVS:
		return network.Edge{Kind: network.EdgeOVS, Interface: rest}, rest != ""
	case network.EdgeTrunk:
		at := strings.LastIndexByte(rest, '/')
		if at < 0 {
			return network.Edge{}, false
		}
		vlan, err := strconv.Atoi(rest[at+1:])
		return network.Edge{Kind: network.EdgeTrunk, Interface: rest[:at], VLAN: vlan}, err == nil
	}
	return network.Edge{}, false
}

func edgeName(e network.Edge) string {
	if e.Kind == network.EdgeTrunk {
		return fmt.Sprintf("%s.%d", e.Interface, e.VLAN)
	}
	return e.Interface
}

// portRow reports whether the row is a switch's port.
func portRow(row ovn.Row) bool {
	_, is := row.Model.(*nbdb.LogicalSwitchPort)
	return is
}

// ownMAC is a MAC that follows from a name; locally administered.
func ownMAC(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}
