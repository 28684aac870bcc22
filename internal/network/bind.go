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

// Bind puts a port on a NIC of a machine: the port has the NIC's MAC from now on, and gets leases. Binding it again, also
// to another machine, is fine; two ports on one NIC are a Conflict.
func (s *Service) Bind(ctx context.Context, tx *db.Tx, id, host, mac string) error {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	mac = strings.ToLower(mac)
	if p.Host == host && p.MAC == mac {
		return nil
	}
	p.Host, p.MAC = host, mac
	if err := p.check(); err != nil {
		return err
	}
	// Asked first, because PostgreSQL ends a transaction that hits a unique index.
	var other string
	err = tx.QueryRowContext(ctx, `SELECT id FROM network_port WHERE mac = $1 AND id <> $2 AND (host <> '' OR network = $3) LIMIT 1`, mac, id, p.Network).Scan(&other)
	if err == nil {
		return macInUse(p)
	}
	if !missing(err) {
		return err
	}
	return s.savePort(ctx, tx, p)
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
	p.Host = ""
	if p.MAC, err = s.freshMAC(ctx, tx, p.Network); err != nil {
		return err
	}
	return s.savePort(ctx, tx, p)
}
