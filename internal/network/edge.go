package network

import (
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// ParseEdge reads what Ironic's local_link_connection tells of a NIC: switch_info "ovs" with the iface-id as port_id, or
// "trunk:<logical port of the uplink>" with the VLAN as port_id. Both empty: no edge. Anything else is Invalid.
func ParseEdge(switchInfo, portID string) (Edge, error) {
	uplink, trunk := strings.CutPrefix(switchInfo, string(EdgeTrunk)+":")
	switch {
	case switchInfo == "":
		return Edge{}, nil
	case switchInfo == string(EdgeOVS) && portID != "":
		return Edge{Kind: EdgeOVS, Interface: portID}, nil
	case trunk && uplink != "":
		if vlan, err := strconv.Atoi(portID); err == nil && vlan >= 1 && vlan <= 4094 {
			return Edge{Kind: EdgeTrunk, Interface: uplink, VLAN: vlan}, nil
		}
	}
	return Edge{}, fault.New(fault.Invalid, "Invalid local_link_connection: switch_info must be 'ovs' with the iface-id as port_id, or 'trunk:<logical port>' with the VLAN as port_id, not %q with %q.", switchInfo, portID)
}
