package trunk

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// NewSubport says what port is to be carried under what tag.
type NewSubport struct {
	Port    string
	VLAN    int  // 1 to 4094
	Inherit bool // the tag is the VLAN of the port's network
}

// AddSubports has a trunk carry more ports, which the viewer must see; all of them or none.
func (s *Service) AddSubports(ctx context.Context, tx *db.Tx, v network.Viewer, id string, subports []NewSubport) (*Trunk, error) {
	t, err := s.Trunk(ctx, tx, network.Everything, id)
	if err != nil {
		return nil, err
	}
	if err := t.enabled(); err != nil {
		return nil, err
	}
	if err := s.add(ctx, tx, v, t, subports); err != nil {
		return nil, err
	}
	return s.changed(ctx, tx, t)
}

// RemoveSubports has a trunk carry these ports no more; all of them or none.
func (s *Service) RemoveSubports(ctx context.Context, tx *db.Tx, id string, ports []string) (*Trunk, error) {
	t, err := s.Trunk(ctx, tx, network.Everything, id)
	if err != nil {
		return nil, err
	}
	if err := t.enabled(); err != nil {
		return nil, err
	}
	for _, port := range ports {
		if !slices.ContainsFunc(t.Subports, func(sub Subport) bool { return sub.Port == port }) {
			return nil, refuse(fault.NotFound, NoSuchSubport, "SubPort on trunk %s with parent port %s could not be found.", t.ID, port)
		}
		if err := s.release(ctx, tx, port); err != nil {
			return nil, err
		}
	}
	return s.changed(ctx, tx, t)
}

// changed saves a trunk whose subports changed, and gives it with those that it has now.
func (s *Service) changed(ctx context.Context, tx *db.Tx, t *Trunk) (*Trunk, error) {
	if err := s.touch(ctx, tx, t); err != nil {
		return nil, err
	}
	if err := mark(ctx, tx, t.Port); err != nil {
		return nil, err
	}
	return s.Trunk(ctx, tx, network.Everything, t.ID)
}

func (s *Service) add(ctx context.Context, tx *db.Tx, v network.Viewer, t *Trunk, subports []NewSubport) error {
	if len(subports) == 0 {
		return nil
	}
	parent, err := s.networks.Port(ctx, tx, network.Everything, t.Port)
	if err != nil {
		return err
	}
	if err := t.carriedBy(parent, true); err != nil {
		return err
	}
	below, err := s.networks.Network(ctx, tx, network.Everything, parent.Network)
	if err != nil {
		return err
	}
	for _, sub := range subports {
		if err := s.addOne(ctx, tx, v, t, below, sub); err != nil {
			return err
		}
	}
	return nil
}

// addOne checks and adds a subport; below is the parent's network.
func (s *Service) addOne(ctx context.Context, tx *db.Tx, v network.Viewer, t *Trunk, below *network.Network, sub NewSubport) error {
	p, err := s.networks.Port(ctx, tx, v, sub.Port)
	if err != nil {
		return err
	}
	if p.ID == t.Port {
		return refuse(fault.Conflict, NotAParent, "Port %s is currently in use and is not eligible for use as a parent port.", p.ID)
	}
	if err := s.Free(ctx, tx, p.ID); err != nil {
		return err
	}
	if p.DeviceID != "" || p.DeviceOwner != "" || p.Host != "" {
		return refuse(fault.Conflict, NotASubport, "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.Network, p.DeviceID)
	}
	n, err := s.networks.Network(ctx, tx, network.Everything, p.Network)
	if err != nil {
		return err
	}
	if n.MTU > below.MTU {
		return refuse(fault.Conflict, MTUTooLarge, "MTU %d of subport %s is greater than MTU %d of trunk %s.", n.MTU, p.ID, below.MTU, t.ID)
	}
	if sub.Inherit {
		if n.Kind != network.VLANKind {
			return invalid("segmentation_type", "the network of port %s has no VLAN to inherit", p.ID)
		}
		sub.VLAN = n.Segment
	}
	if sub.VLAN < 1 || sub.VLAN > 4094 {
		return invalid("segmentation_id", "Segmentation ID '%d' is not in range", sub.VLAN)
	}
	if slices.ContainsFunc(t.Subports, func(other Subport) bool { return other.VLAN == sub.VLAN }) {
		return refuse(fault.Conflict, VLANInUse, "segmentation_type vlan and segmentation_id %d already in use on trunk %s.", sub.VLAN, t.ID)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO trunk_subport (trunk, port, vlan) VALUES ($1, $2, $3)`, t.ID, p.ID, sub.VLAN); err != nil {
		return err
	}
	t.Subports = append(t.Subports, Subport{Port: p.ID, VLAN: sub.VLAN})
	return s.own(ctx, tx, p.ID, SubportOwner)
}

// release makes a subport a port like any other again.
func (s *Service) release(ctx context.Context, tx *db.Tx, port string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM trunk_subport WHERE port = $1`, port); err != nil {
		return err
	}
	return s.own(ctx, tx, port, "")
}

func (s *Service) own(ctx context.Context, tx *db.Tx, port, owner string) error {
	if _, err := s.networks.ChangePort(ctx, tx, port, network.PortChange{DeviceOwner: &owner}); err != nil {
		return err
	}
	return mark(ctx, tx, port)
}
