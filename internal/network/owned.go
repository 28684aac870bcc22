package network

import (
	"context"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PortOwned is why a port that the network itself has is not changed or deleted as others are.
const PortOwned Reason = "port of the network itself"

// owned reports whether a part of the network itself has the port: a router's interface, the address of a floating IP.
// Such ports are made, changed and deleted by that part alone, through NewPort.Own, PortChange.Own and DeleteOwnPort.
func owned(deviceOwner string) bool { return strings.HasPrefix(deviceOwner, "network:") }

// Owned reports whether a part of the network itself has the port.
func (p *Port) Owned() bool { return owned(p.DeviceOwner) }

// notOwned refuses for such a port.
func (p *Port) notOwned(verb string) error {
	if !p.Owned() {
		return nil
	}
	return refuse(fault.Conflict, PortOwned, "Port %s cannot be %s directly via the port API: has device owner %s.", p.ID, verb, p.DeviceOwner)
}

// changesOwned refuses a change of what the part that has the port relies on.
func (p *Port) changesOwned(c PortChange) error {
	if c.Own {
		return nil
	}
	if c.DeviceOwner != nil && owned(*c.DeviceOwner) && *c.DeviceOwner != p.DeviceOwner {
		return fault.New(fault.Forbidden, "Only the network itself may use the device_owner %s.", *c.DeviceOwner)
	}
	if c.FixedIPs == nil && c.MAC == nil && c.DeviceID == nil && c.DeviceOwner == nil {
		return nil
	}
	return p.notOwned("changed")
}

// DeleteOwnPort deletes a port for the part of the network that has it; its addresses are free.
func (s *Service) DeleteOwnPort(ctx context.Context, tx *db.Tx, id string) error {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	return s.dropPort(ctx, tx, p)
}

// PortWatcher has things that refer to ports, and keeps them right.
type PortWatcher interface {
	// PortChanged is called in the transaction that changed anything of the port, after the change.
	PortChanged(ctx context.Context, tx *db.Tx, p *Port) error
	// PortDeleted is called in the transaction that deletes the port.
	PortDeleted(ctx context.Context, tx *db.Tx, p *Port) error
}

// Watch adds a watcher. It is for the time before anything is served.
func (s *Service) Watch(w PortWatcher) { s.watchers = append(s.watchers, w) }

// tell tells all watchers.
func (s *Service) tell(event func(PortWatcher) error) error {
	for _, w := range s.watchers {
		if err := event(w); err != nil {
			return err
		}
	}
	return nil
}

// SubnetsByID finds subnets by their ids, whoever sees them.
func (s *Service) SubnetsByID(ctx context.Context, q db.Querier, ids []string) (map[string]*Subnet, error) {
	found := map[string]*Subnet{}
	if len(ids) == 0 {
		return found, nil
	}
	var where db.Where
	in(&where, `id`, ids)
	subnets, err := s.subnets(ctx, q, where)
	for _, subnet := range subnets {
		found[subnet.ID] = subnet
	}
	return found, err
}

// Within fails with Quota when a project that has used of a resource may not have one more.
func (s *Service) Within(ctx context.Context, q db.Querier, project, resource string, used int) error {
	limits, err := s.Limits(ctx, q, project)
	if err != nil || limits[resource] == Unlimited || used < limits[resource] {
		return err
	}
	return refuse(fault.Quota, OverQuota, "Quota exceeded for resources: ['%s'].", resource)
}
