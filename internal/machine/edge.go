package machine

import (
	"context"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Edge is where a NIC meets the network, as its local_link_connection says (Ironic's port):
//
//	switch_info: ovs            port_id: <iface-id>    Open vSwitch runs where the NIC plugs in
//	switch_info: trunk:<name>   port_id: <VLAN>        a plain switch, whose uplink is the logical port <name>
//
// With any other switch_info nothing is enforced on the NIC, and its edge is zero.
type Edge struct {
	Kind      string // EdgeOVS, EdgeTrunk; empty: none
	Interface string // EdgeOVS: the iface-id; EdgeTrunk: the uplink's logical port
	VLAN      int    // EdgeTrunk: 1 to 4094
}

// The kinds of edges.
const (
	EdgeOVS   = "ovs"
	EdgeTrunk = "trunk"
)

// EdgeOf reads a local_link_connection. It fails with Invalid for one that means an edge and does not say which.
func EdgeOf(link map[string]any) (Edge, error) {
	info, _ := link["switch_info"].(string)
	port, _ := link["port_id"].(string)
	uplink, trunk := strings.CutPrefix(info, EdgeTrunk+":")
	switch {
	case info == EdgeOVS && port == "":
		return Edge{}, fault.New(fault.Invalid, "local_link_connection: with switch_info %q, port_id must be the iface-id of the NIC's interface in Open vSwitch.", info)
	case info == EdgeOVS:
		return Edge{Kind: EdgeOVS, Interface: port}, nil
	case trunk:
		vlan, err := strconv.Atoi(port)
		if err != nil || vlan < 1 || vlan > 4094 || uplink == "" {
			return Edge{}, fault.New(fault.Invalid, "local_link_connection: with switch_info trunk:<logical port of the uplink>, port_id must be the VLAN of the NIC's switch port, 1 to 4094.")
		}
		return Edge{Kind: EdgeTrunk, Interface: uplink, VLAN: vlan}, nil
	}
	return Edge{}, nil
}

// Edge of the NIC. Its link was checked when it was written.
func (n *NIC) Edge() Edge {
	edge, _ := EdgeOf(n.Link)
	return edge
}

// Moved has the quarantine ports of a machine's NICs looked at: they are about to leave quarantine, or are back. No machine
// (an empty id) has none.
func (s *Service) Moved(ctx context.Context, tx *db.Tx, machine string) error {
	if machine == "" {
		return nil
	}
	nics, err := s.NICs(ctx, tx, machine)
	for _, n := range nics {
		if err == nil {
			err = n.moved(ctx, tx)
		}
	}
	return err
}

func (n *NIC) moved(ctx context.Context, tx *db.Tx) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "nic/"+n.ID)
}
