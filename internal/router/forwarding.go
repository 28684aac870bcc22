package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// protocols are what OVN's load balancers carry, which is what forwardings become.
var protocols = []string{"tcp", "udp", "sctp"}

// Forwarding finds one of the floating IP's.
func (f *FloatingIP) Forwarding(id string) (*Forwarding, error) {
	at := slices.IndexFunc(f.Forwardings, func(f *Forwarding) bool { return f.ID == id })
	if at < 0 {
		return nil, refuse(fault.NotFound, NoSuchForwarding, "Port Forwarding %s could not be found.", id)
	}
	return f.Forwardings[at], nil
}

func (s *Service) forwardingsTo(ctx context.Context, q db.Querier, port string) ([]*Forwarding, error) {
	var where db.Where
	where.And(`port = ?`, port)
	return s.forwardings(ctx, q, where)
}

// CreateForwarding makes a floating IP forward; id and, where it has none, address of the wish are filled in. It fails
// with Conflict when the floating IP leads to a port as a whole, or that port has a floating IP of its own, and with
// Invalid when a port is forwarded already, or is not behind the router of the others.
func (s *Service) CreateForwarding(ctx context.Context, tx *db.Tx, v network.Viewer, floatingIP string, wish Forwarding) (*Forwarding, error) {
	f, err := s.FloatingIP(ctx, tx, v, floatingIP)
	if err != nil {
		return nil, err
	}
	if f.FixedPort != "" {
		return nil, f.associated(wish.Port, wish.Addr)
	}
	wish.ID, wish.FloatingIP = uuid.NewString(), f.ID
	if err := s.admit(ctx, tx, v, f, &wish); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO floatingip_forwarding (id, floatingip, description, protocol, outside_first, outside_last, port, address, inside_first, inside_last, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, append(wish.values(), s.clock.Now())...)
	if err != nil {
		return nil, err
	}
	return &wish, s.saveFloatingIP(ctx, tx, f)
}

func (f *Forwarding) values() []any {
	return []any{f.ID, f.FloatingIP, f.Description, f.Protocol, f.Outside.First, f.Outside.Last, f.Port, column(f.Addr), f.Inside.First, f.Inside.Last}
}

// ChangeForwarding changes a forwarding by edit. It fails as CreateForwarding does.
func (s *Service) ChangeForwarding(ctx context.Context, tx *db.Tx, v network.Viewer, floatingIP, id string, edit func(*Forwarding) error) (*Forwarding, error) {
	f, err := s.FloatingIP(ctx, tx, v, floatingIP)
	if err != nil {
		return nil, err
	}
	found, err := f.Forwarding(id)
	if err != nil {
		return nil, err
	}
	changed := *found
	if err := edit(&changed); err != nil {
		return nil, err
	}
	if changed.Port != found.Port && changed.Addr == found.Addr {
		changed.Addr = netip.Addr{} // the old port's
	}
	if err := s.admit(ctx, tx, v, f, &changed); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE floatingip_forwarding SET floatingip = $2, description = $3, protocol = $4, outside_first = $5, outside_last = $6,
		port = $7, address = $8, inside_first = $9, inside_last = $10 WHERE id = $1`, changed.values()...)
	if err != nil {
		return nil, err
	}
	return &changed, s.saveFloatingIP(ctx, tx, f)
}

// DeleteForwarding ends a forwarding. With the last one the floating IP is free again.
func (s *Service) DeleteForwarding(ctx context.Context, tx *db.Tx, v network.Viewer, floatingIP, id string) error {
	f, err := s.FloatingIP(ctx, tx, v, floatingIP)
	if err != nil {
		return err
	}
	if _, err := f.Forwarding(id); err != nil {
		return err
	}
	return s.dropForwardings(ctx, tx, f, func(f *Forwarding) bool { return f.ID == id })
}

func (s *Service) dropForwardings(ctx context.Context, tx *db.Tx, f *FloatingIP, which func(*Forwarding) bool) error {
	for _, one := range f.Forwardings {
		if which(one) {
			if _, err := tx.ExecContext(ctx, `DELETE FROM floatingip_forwarding WHERE id = $1`, one.ID); err != nil {
				return err
			}
		}
	}
	f.Forwardings = slices.DeleteFunc(f.Forwardings, which)
	if len(f.Forwardings) == 0 {
		f.Router = ""
	}
	return s.saveFloatingIP(ctx, tx, f)
}

// admit finds the address inside and the router for a new or changed forwarding, and what speaks against it.
func (s *Service) admit(ctx context.Context, q db.Querier, v network.Viewer, f *FloatingIP, w *Forwarding) error {
	if err := w.check(); err != nil {
		return err
	}
	p, err := s.networks.Port(ctx, q, v, w.Port)
	if err != nil {
		return err
	}
	if !v.All && p.Project != f.Project {
		return bad("port_forwarding", "Port %s is owned by a different tenant", p.ID)
	}
	at := slices.IndexFunc(p.FixedIPs, func(ip network.FixedIP) bool {
		return ip.Addr.Is4() && (!w.Addr.IsValid() || ip.Addr == w.Addr)
	})
	if at < 0 && w.Addr.IsValid() {
		return bad("port_forwarding", "Requested internal IP address %s is not suitable for internal neutron port %s, as it is not an IPv4 address of it", w.Addr, p.ID)
	}
	if at < 0 {
		return bad("port_forwarding", "Requested internal port %s must allocate an IPv4 address at least", p.ID)
	}
	w.Addr = p.FixedIPs[at].Addr
	if err := s.unforwarded(ctx, q, f, w); err != nil {
		return err
	}
	router, err := s.between(ctx, q, p, p.FixedIPs[at].Subnet, f.Network)
	if fault.Is(err, fault.NotFound) {
		return bad("port_forwarding", "External network %s is not reachable from subnet %s. Cannot set Port forwarding for port %s with Floating IP %s", f.Network, p.FixedIPs[at].Subnet, p.ID, f.ID)
	}
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(f.Forwardings, func(other *Forwarding) bool { return other.ID != w.ID })
	if others && f.Router != router {
		return bad("port_forwarding", "The Floating IP %s had been set on router %s, the internal Neutron port %s can not reach it", f.ID, f.Router, p.ID)
	}
	f.Router = router
	return nil
}

// check finds what cannot be a forwarding.
func (f *Forwarding) check() error {
	if err := check("", f.Description); err != nil {
		return err
	}
	if !slices.Contains(protocols, f.Protocol) {
		return bad("port_forwarding", "The protocol %q cannot be forwarded; tcp, udp and sctp can", f.Protocol)
	}
	for _, r := range []PortRange{f.Outside, f.Inside} {
		if r.First < 1 || r.Last > 65535 || r.Last < r.First {
			return bad("port_forwarding", "%d:%d is no range of ports between 1 and 65535", r.First, r.Last)
		}
	}
	if f.Inside.Len() != 1 && f.Inside.Len() != f.Outside.Len() {
		return bad("port_forwarding", "The internal range must have as many ports as the external one, or one")
	}
	return nil
}

// unforwarded fails when a port outside or inside is another forwarding's, or the address inside has a floating IP.
func (s *Service) unforwarded(ctx context.Context, q db.Querier, f *FloatingIP, w *Forwarding) error {
	const again = "A duplicate port forwarding entry with same attributes already exists, conflicting values are %s"
	for _, other := range f.Forwardings {
		if other.ID != w.ID && other.Protocol == w.Protocol && other.Outside.Overlaps(w.Outside) {
			return bad("port_forwarding", again, "the external ports of "+other.ID)
		}
	}
	forwardings, err := s.forwardingsTo(ctx, q, w.Port)
	if err != nil {
		return err
	}
	for _, other := range forwardings {
		if other.ID != w.ID && other.Protocol == w.Protocol && other.Addr == w.Addr && other.Inside.Overlaps(w.Inside) {
			return bad("port_forwarding", again, "the internal ports of another one")
		}
	}
	associated, err := s.FloatingIPs(ctx, q, network.Everything, FloatingIPFilter{FixedPorts: []string{w.Port}})
	for _, other := range associated {
		if other.FixedAddr == w.Addr {
			return refuse(fault.Conflict, PortHasFloatingIP, "Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP %s, as that port already has a binding floating IP.", f.Addr, f.ID, w.Port, w.Addr)
		}
	}
	return err
}
