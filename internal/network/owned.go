package network

import (
	"context"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PortOwned is why nobody changes or deletes a port that a router or a floating IP has, but these.
const PortOwned Reason = "port of the network itself"

// Reserved reports whether only the cloud itself may give a port that device owner: routers and floating IPs know their
// ports by it.
func Reserved(deviceOwner string) bool {
	return strings.HasPrefix(deviceOwner, cloudOwner) && deviceOwner != dhcpOwner
}

// Owned reports whether a router or a floating IP has the port.
func (p *Port) Owned() bool { return Reserved(p.DeviceOwner) }

// CheckUnowned refuses a verb for a port that a router or a floating IP has. Whoever acts for a user asks before.
func (p *Port) CheckUnowned(verb string) error {
	if !p.Owned() {
		return nil
	}
	return refuse(fault.Conflict, PortOwned, "Port %s cannot be %s directly via the port API: has device owner %s.", p.ID, verb, p.DeviceOwner)
}

// CheckUnownedChange refuses a change of what a router or a floating IP relies on. Names and the state are the project's.
func (p *Port) CheckUnownedChange(c PortChange) error {
	if c.MAC == nil && c.DeviceID == nil && c.DeviceOwner == nil && c.FixedIPs == nil && c.PortSecurity == nil && c.Groups == nil && c.AllowedPairs == nil && c.Place == nil {
		return nil
	}
	return p.CheckUnowned("changed")
}

// CheckPolicy fails with NotFound for a QoS policy that the project may not use; none is fine.
func (s *Service) CheckPolicy(ctx context.Context, q db.Querier, project, id string) error {
	return s.checkPolicy(ctx, q, project, id)
}

// PortWatcher has things that refer to ports, and keeps them right.
type PortWatcher interface {
	// PortChanged is called in the transaction that changed anything of the port, after the change; for a router's port
	// also when its subnets or its network's MTU changed.
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
