package trunk

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// Free fails with Conflict for a port that a trunk has: a project deletes the trunk, or takes the port from it, before it
// deletes the port.
func (s *Service) Free(ctx context.Context, q db.Querier, port string) error {
	parents, err := s.OfParents(ctx, q, []string{port})
	if err != nil {
		return err
	}
	if t := parents[port]; t != nil {
		return refuse(fault.Conflict, ParentInUse, "Port %s is currently a parent port for trunk %s.", port, t.ID)
	}
	t, _, err := s.Carrier(ctx, q, port)
	if err == nil && t != nil {
		err = refuse(fault.Conflict, SubportInUse, "Port %s is currently a subport for trunk %s.", port, t.ID)
	}
	return err
}

// PortChanged marks the subports of a parent that changed: where they are is where it is. It fails with Conflict when
// something else takes a port that a trunk has (a subport stays the trunk's, and a parent is a machine's), and when the
// parent goes to a NIC that cannot carry its subports.
func (s *Service) PortChanged(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if p.DeviceOwner != SubportOwner {
		if carrier, _, err := s.Carrier(ctx, tx, p.ID); err != nil {
			return err
		} else if carrier != nil {
			return refuse(fault.Conflict, SubportInUse, "Port %s is currently a subport for trunk %s.", p.ID, carrier.ID)
		}
	}
	parents, err := s.OfParents(ctx, tx, []string{p.ID})
	if err != nil || parents[p.ID] == nil {
		return err
	}
	t := parents[p.ID]
	if p.OfCloud() {
		return refuse(fault.Conflict, ParentInUse, "Port %s is currently a parent port for trunk %s.", p.ID, t.ID)
	}
	if err := t.carriedBy(p, len(t.Subports) > 0); err != nil {
		return err
	}
	for _, sub := range t.Subports {
		if err := mark(ctx, tx, sub.Port); err != nil {
			return err
		}
	}
	return nil
}

// carriedBy fails with Conflict when the trunk has subports (or is to have some) and its parent is on a NIC that cannot
// carry them: on a switch port with one VLAN of its own, or where nothing sorts tags at all.
func (t *Trunk) carriedBy(parent *network.Port, subports bool) error {
	if !subports || parent.Host == "" || parent.Edge.Kind == network.EdgeOVS {
		return nil
	}
	return refuse(fault.Conflict, EdgeCarriesNone, "Trunk %s cannot have subports on this NIC of %s: only a NIC at Open vSwitch carries tagged networks.", t.ID, parent.Host)
}

// PortDeleted takes the port out of its trunk. Projects cannot delete such a port (Free), but a server's own port goes
// with the server, whatever was made of it: then the trunk goes too.
func (s *Service) PortDeleted(ctx context.Context, tx *db.Tx, port *network.Port) error {
	parents, err := s.OfParents(ctx, tx, []string{port.ID})
	if err != nil {
		return err
	}
	if t := parents[port.ID]; t != nil {
		return s.drop(ctx, tx, t)
	}
	t, _, err := s.Carrier(ctx, tx, port.ID)
	if err != nil || t == nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM trunk_subport WHERE port = $1`, port.ID); err != nil {
		return err
	}
	_, err = s.changed(ctx, tx, t)
	return err
}
