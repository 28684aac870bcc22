// Package edge says where a machine's NIC meets the network. Machines tell it, networks use it, and neither knows the other.
package edge

import (
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Kind is how a NIC meets the network.
type Kind string

// The kinds.
const (
	None  Kind = ""      // nothing enforces anything
	OVS   Kind = "ovs"   // Open vSwitch runs where the NIC plugs in
	Trunk Kind = "trunk" // a plain switch port with a VLAN of its own; the switch's uplink is trunked to a chassis
)

// Edge is where a NIC meets the network. The switch is told once; what changes when the NIC goes to another network is
// OVN's rows only.
type Edge struct {
	Kind Kind
	// Interface is the iface-id of the NIC's interface in Open vSwitch (OVS), and the name of the logical port that the
	// switch's uplink is (Trunk).
	Interface string
	VLAN      int // Trunk: of the NIC's switch port, 1 to 4094
}

// Link is the reverse of Of: how Ironic calls the edge in local_link_connection.
func (e Edge) Link() (switchInfo, portID string) {
	if e.Kind == Trunk {
		return trunkPrefix + e.Interface, strconv.Itoa(e.VLAN)
	}
	return string(e.Kind), e.Interface
}

const trunkPrefix = string(Trunk) + ":"

// Of reads what Ironic calls local_link_connection:
//
//	switch_info: ovs            port_id: <iface-id>
//	switch_info: trunk:<name>   port_id: <VLAN>
//
// With any other switch_info there is no edge. It fails with Invalid for a link that means an edge and does not say which.
func Of(link map[string]any) (Edge, error) {
	info, _ := link["switch_info"].(string)
	port, _ := link["port_id"].(string)
	uplink, trunk := strings.CutPrefix(info, trunkPrefix)
	switch {
	case info == string(OVS) && port == "":
		return Edge{}, fault.New(fault.Invalid, "local_link_connection: with switch_info %q, port_id must be the iface-id of the NIC's interface in Open vSwitch.", info)
	case info == string(OVS):
		return Edge{Kind: OVS, Interface: port}, nil
	case trunk:
		vlan, err := strconv.Atoi(port)
		if err != nil || vlan < 1 || vlan > 4094 || uplink == "" {
			return Edge{}, fault.New(fault.Invalid, "local_link_connection: with switch_info trunk:<logical port of the uplink>, port_id must be the VLAN of the NIC's switch port, 1 to 4094.")
		}
		return Edge{Kind: Trunk, Interface: uplink, VLAN: vlan}, nil
	}
	return Edge{}, nil
}
