package network

import (
	"context"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Use says what uses a port.
type Use struct {
	DeviceID, DeviceOwner string // of a server: its id and "compute:<zone>"
	Hostname              string // the server's; a name that the project gave the port wins
}

// Attach gives a port that a project made itself to one of its servers. It fails with Conflict when something else uses
// the port already.
func (s *Service) Attach(ctx context.Context, tx *db.Tx, id, project string, use Use) (*Port, error) {
	p, err := s.Port(ctx, tx, Viewer{Project: project}, id)
	if err != nil {
		return nil, err
	}
	if p.Project != project { // the network's owner sees it too
		return nil, noPort(id)
	}
	if p.DeviceID == use.DeviceID && p.DeviceOwner == use.DeviceOwner {
		return p, nil
	}
	if p.DeviceID != "" && p.DeviceID != use.DeviceID {
		return nil, refuse(fault.Conflict, PortInUse, "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.Network, p.DeviceID)
	}
	p.DeviceID, p.DeviceOwner = use.DeviceID, use.DeviceOwner
	if p.DNSName == "" {
		p.DNSName = use.Hostname
	}
	n, err := s.Network(ctx, tx, Viewer{Project: project}, p.Network)
	if err != nil {
		return nil, err
	}
	if err := mayPlug(n, p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, s.savePort(ctx, tx, p)
}

// Detach takes a port from its machine and its server, and leaves it to its project, without a name, as Nova does. A port
// that is gone is no error.
func (s *Service) Detach(ctx context.Context, tx *db.Tx, id string) error {
	if err := s.Unbind(ctx, tx, id); err != nil {
		return err
	}
	p, err := s.Port(ctx, tx, Everything, id)
	if fault.Is(err, fault.NotFound) || err == nil && p.DeviceID == "" && p.DeviceOwner == "" {
		return nil
	}
	if err != nil {
		return err
	}
	p.DeviceID, p.DeviceOwner, p.DNSName = "", "", ""
	return s.savePort(ctx, tx, p)
}

// Place is the NIC that a port is bound to.
type Place struct {
	Host string // the machine
	MAC  string // of the NIC; empty: the port keeps its own
	Edge Edge   // zero: the NIC meets no network that enforces anything
	// Reserved is a NIC that is still in quarantine: the port has its MAC already, and is plugged in by binding it once more.
	Reserved bool
}

// Bind puts a port on a NIC of a machine: the port has the NIC's MAC from now on, and gets leases. Binding it again, also
// to another machine, is fine; two ports on one NIC are a Conflict, and so is a port that needs an edge on a NIC that has
// none.
func (s *Service) Bind(ctx context.Context, tx *db.Tx, id string, at Place) error {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	if p.Host == at.Host && p.MAC == strings.ToLower(at.MAC) && p.Edge == at.Edge && p.Plugged == !at.Reserved {
		return nil
	}
	if err := s.place(ctx, tx, p, at); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	return s.savePort(ctx, tx, p)
}

// place puts the port, which the caller saves, on a NIC; without a host on none.
func (s *Service) place(ctx context.Context, tx *db.Tx, p *Port, at Place) error {
	mac := strings.ToLower(at.MAC)
	switch {
	case at.Host == "" && p.Host != "":
		var err error
		if mac, err = s.freshMAC(ctx, tx, p.Network); err != nil {
			return err
		}
	case mac == "":
		mac = p.MAC
	}
	plugged := at.Host != "" && !at.Reserved
	if at.Edge != p.Edge || !plugged {
		p.Up = false // OVN tells anew
	}
	p.Host, p.Edge, p.Plugged = at.Host, at.Edge, plugged
	if err := s.enforceable(ctx, tx, p); err != nil {
		return err
	}
	if err := s.readdressMAC(ctx, tx, p, mac); err != nil || p.Host == "" {
		return err
	}
	// Asked first, because PostgreSQL ends a transaction that hits a unique index.
	other, err := exists(ctx, tx, `SELECT 1 FROM network_port WHERE mac = $1 AND id <> $2 AND (host <> '' OR network = $3) LIMIT 1`, mac, p.ID, p.Network)
	if err == nil && other {
		err = macInUse(p)
	}
	return err
}

// enforceable fails for a port on a NIC without an edge if it is on a tunnel, which does not reach there, or has port
// security, which nobody would keep.
func (s *Service) enforceable(ctx context.Context, q db.Querier, p *Port) error {
	if p.Host == "" || p.Edge.Kind != NoEdge {
		return nil
	}
	n, err := s.Network(ctx, q, Everything, p.Network)
	if err != nil {
		return err
	}
	switch {
	case n.Kind == GeneveKind:
		return refuse(fault.Conflict, PortUnguarded, "Port %s cannot be on this NIC of %s: the NIC has no local_link_connection, and the network is a tunnel.", p.ID, p.Host)
	case p.PortSecurity:
		return refuse(fault.Conflict, PortUnguarded, "Port %s cannot have port security on this NIC of %s: the NIC has no local_link_connection.", p.ID, p.Host)
	}
	return nil
}

// Unbind takes a port from its machine: it has a MAC of our own again. A port that is not bound, or gone, is no error.
func (s *Service) Unbind(ctx context.Context, tx *db.Tx, id string) error {
	p, err := s.Port(ctx, tx, Everything, id)
	if fault.Is(err, fault.NotFound) || err == nil && p.Host == "" {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.place(ctx, tx, p, Place{}); err != nil {
		return err
	}
	return s.savePort(ctx, tx, p)
}

// SetUp keeps what OVN says of a port: whether it carries it. Its rows do not depend on that, so nothing is marked. A port
// that is gone is no error.
func (s *Service) SetUp(ctx context.Context, tx *db.Tx, id string, up bool) error {
	_, err := tx.ExecContext(ctx, `UPDATE network_port SET up = $2, revision = revision + 1, updated_at = $3 WHERE id = $1 AND up <> $2`, id, up, s.clock.Now())
	return err
}
