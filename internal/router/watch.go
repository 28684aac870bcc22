package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// PortChanged marks the router whose port it is, and what leads to the port: their rows depend on it. It ends what leads
// to an address that the port has no more: the next port that has it may be another machine's.
func (s *Service) PortChanged(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if p.DeviceOwner == InterfaceOwner || p.DeviceOwner == GatewayOwner {
		if err := markRouter(ctx, tx, p.DeviceID); err != nil {
			return err
		}
	}
	return s.follow(ctx, tx, p.ID, func(a netip.Addr) bool {
		return slices.ContainsFunc(p.FixedIPs, func(ip network.FixedIP) bool { return ip.Addr == a })
	})
}

// PortDeleted ends what leads to the port. With the port that holds a floating IP's address, whose network is being deleted,
// the floating IP goes; it fails with Conflict for one that leads somewhere.
func (s *Service) PortDeleted(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if p.DeviceOwner == FloatingIPOwner {
		return s.dropFloatingIP(ctx, tx, p)
	}
	return s.follow(ctx, tx, p.ID, func(netip.Addr) bool { return false })
}

func (s *Service) follow(ctx context.Context, tx *db.Tx, port string, has func(netip.Addr) bool) error {
	associated, err := s.FloatingIPs(ctx, tx, network.Everything, FloatingIPFilter{FixedPorts: []string{port}})
	if err != nil {
		return err
	}
	for _, f := range associated {
		if has(f.FixedAddr) {
			err = markFloatingIP(ctx, tx, f.ID)
		} else {
			f.FixedPort, f.FixedAddr, f.Router = "", netip.Addr{}, ""
			err = s.saveFloatingIP(ctx, tx, f)
		}
		if err != nil {
			return err
		}
	}
	forwardings, err := s.forwardingsTo(ctx, tx, port)
	if err != nil {
		return err
	}
	var forwarding []string
	for _, one := range forwardings {
		forwarding = append(forwarding, one.FloatingIP)
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(forwarding))) {
		f, err := s.FloatingIP(ctx, tx, network.Everything, id)
		if err != nil {
			return err
		}
		ends := func(one *Forwarding) bool { return one.Port == port && !has(one.Addr) }
		if slices.ContainsFunc(f.Forwardings, ends) {
			err = s.dropForwardings(ctx, tx, f, ends)
		} else {
			err = markFloatingIP(ctx, tx, f.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropFloatingIP deletes the floating IP whose address the port holds, if it is still there.
func (s *Service) dropFloatingIP(ctx context.Context, tx *db.Tx, p *network.Port) error {
	found, err := s.FloatingIPs(ctx, tx, network.Everything, FloatingIPFilter{IDs: []string{p.DeviceID}})
	if err != nil || len(found) == 0 {
		return err
	}
	f := found[0]
	if f.Active() {
		return refuse(fault.Conflict, network.NetworkInUse, "Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s", f.Network, f.Port)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM floatingip WHERE id = $1`, f.ID); err != nil {
		return err
	}
	return markFloatingIP(ctx, tx, f.ID)
}
