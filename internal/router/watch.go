package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

// PortChanged marks what leads to the port, whose rows depend on it, and ends what leads to an address that the port has
// no more: the next port that has it may be another machine's.
func (s *Service) PortChanged(ctx context.Context, tx *db.Tx, p *network.Port) error {
	return s.follow(ctx, tx, p.ID, func(a netip.Addr) bool {
		return slices.ContainsFunc(p.FixedIPs, func(ip network.FixedIP) bool { return ip.Addr == a })
	})
}

// PortDeleted ends what leads to the port.
func (s *Service) PortDeleted(ctx context.Context, tx *db.Tx, id string) error {
	return s.follow(ctx, tx, id, func(netip.Addr) bool { return false })
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
