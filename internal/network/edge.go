package network

import (
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/fault"
)

// ParseEdge reads a local_link_connection as a binding profile has it. Both empty: no edge; anything that is none is Invalid,
// since whoever binds a port wants it carried.
func ParseEdge(switchInfo, portID string) (Edge, error) {
	at, err := edge.Of(map[string]any{"switch_info": switchInfo, "port_id": portID})
	if err == nil && at.Kind == NoEdge && switchInfo != "" {
		err = fault.New(fault.Invalid, "Invalid local_link_connection: switch_info must be 'ovs' or 'trunk:<logical port>', not %q.", switchInfo)
	}
	return at, err
}
