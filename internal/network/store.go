package network

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"errors"
	"fmt"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const metaColumns = `id, project, name, description, tags, revision, created_at, updated_at`

func (m *Meta) columns() []any {
	return []any{&m.ID, &m.Project, &m.Name, &m.Description, db.JSON(&m.Tags), &m.Revision, &m.Created, &m.Updated}
}

// written are the values of metaColumns.
func (m *Meta) written() []any {
	if m.Tags == nil {
		m.Tags = []string{}
	}
	return []any{m.ID, m.Project, m.Name, m.Description, db.JSON(m.Tags), m.Revision, m.Created, m.Updated}
}

const networkColumns = metaColumns + `, admin_up, shared, mtu, kind, physical`

func scanNetwork(row db.Scanner) (*Network, error) {
	var n Network
	err := row.Scan(append(n.columns(), &n.AdminUp, &n.Shared, &n.MTU, &n.Kind, &n.Physical)...)
	return &n, err
}

// Networks that the viewer sees, oldest first.
func (s *Service) Networks(ctx context.Context, q db.Querier, v Viewer) ([]*Network, error) {
	var where db.Where
	if !v.All {
		where.And(`shared OR project = ?`, v.Project)
	}
	return s.networks(ctx, q, where)
}

// Network finds a network that the viewer sees.
func (s *Service) Network(ctx context.Context, q db.Querier, v Viewer, id string) (*Network, error) {
	var where db.Where
	where.And(`id = ?`, id)
	found, err := s.networks(ctx, q, where)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || !v.sees(found[0]) {
		return nil, refuse(fault.NotFound, NoSuchNetwork, "Network %s could not be found.", id)
	}
	return found[0], nil
}

func (v Viewer) sees(n *Network) bool { return v.All || n.Shared || n.Project == v.Project }

func (s *Service) networks(ctx context.Context, q db.Querier, where db.Where) ([]*Network, error) {
	found, err := db.List(ctx, q, scanNetwork, `SELECT `+networkColumns+` FROM network`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Network{}
	for _, n := range found {
		byID[n.ID] = n
	}
	type pair struct{ network, subnet string }
	pairs, err := db.List(ctx, q, func(row db.Scanner) (p pair, err error) {
		return p, row.Scan(&p.network, &p.subnet)
	}, `SELECT network, id FROM network_subnet WHERE network IN (SELECT id FROM network`+where.String()+`) ORDER BY created_at, id`, where.Args...)
	for _, p := range pairs {
		if n := byID[p.network]; n != nil { // outside a transaction a network may come in between the two queries
			n.Subnets = append(n.Subnets, p.subnet)
		}
	}
	return found, err
}

const subnetColumns = metaColumns + `, network, cidr, gateway, dhcp, dns, pools`

func scanSubnet(row db.Scanner) (*Subnet, error) {
	var s Subnet
	err := row.Scan(append(s.columns(), &s.Network, text{&s.CIDR}, text{&s.Gateway}, &s.DHCP, db.JSON(&s.DNS), db.JSON(&s.Pools))...)
	return &s, err
}

// Subnets on the networks that the viewer sees, oldest first.
func (s *Service) Subnets(ctx context.Context, q db.Querier, v Viewer) ([]*Subnet, error) {
	var where db.Where
	if !v.All {
		where.And(`network IN (SELECT id FROM network WHERE shared OR project = ?)`, v.Project)
	}
	return s.subnets(ctx, q, where)
}

// Subnet finds a subnet on a network that the viewer sees.
func (s *Service) Subnet(ctx context.Context, q db.Querier, v Viewer, id string) (*Subnet, error) {
	var where db.Where
	where.And(`id = ?`, id)
	found, err := s.subnets(ctx, q, where)
	if err != nil {
		return nil, err
	}
	missing := refuse(fault.NotFound, NoSuchSubnet, "Subnet %s could not be found.", id)
	if len(found) == 0 {
		return nil, missing
	}
	if _, err := s.Network(ctx, q, v, found[0].Network); fault.Is(err, fault.NotFound) {
		return nil, missing
	} else if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (s *Service) subnetsOf(ctx context.Context, q db.Querier, network string) ([]*Subnet, error) {
	var where db.Where
	where.And(`network = ?`, network)
	return s.subnets(ctx, q, where)
}

func (s *Service) subnets(ctx context.Context, q db.Querier, where db.Where) ([]*Subnet, error) {
	return db.List(ctx, q, scanSubnet, `SELECT `+subnetColumns+` FROM network_subnet`+where.String()+` ORDER BY created_at, id`, where.Args...)
}

const portColumns = metaColumns + `, network, mac, admin_up, device, device_owner, host, vnic, dns_name`

func scanPort(row db.Scanner) (*Port, error) {
	var p Port
	err := row.Scan(append(p.columns(), &p.Network, &p.MAC, &p.AdminUp, &p.DeviceID, &p.DeviceOwner, &p.Host, &p.AskedVNIC, &p.DNSName)...)
	return &p, err
}

// PortFilter narrows a list of ports; an empty field does not.
type PortFilter struct{ IDs, Networks, Projects, Devices, Owners, MACs []string }

// Ports that the viewer sees, which are its own, oldest first.
func (s *Service) Ports(ctx context.Context, q db.Querier, v Viewer, f PortFilter) ([]*Port, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ?`, v.Project)
	}
	in(&where, `id`, f.IDs)
	in(&where, `network`, f.Networks)
	in(&where, `project`, f.Projects)
	in(&where, `device`, f.Devices)
	in(&where, `device_owner`, f.Owners)
	in(&where, `mac`, f.MACs)
	return s.ports(ctx, q, where)
}

// in adds that the column has one of the values, if there are any.
func in(where *db.Where, column string, values []string) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	where.And(column+` IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`, args...)
}

// Port finds a port that the viewer sees.
func (s *Service) Port(ctx context.Context, q db.Querier, v Viewer, id string) (*Port, error) {
	found, err := s.Ports(ctx, q, v, PortFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchPort, "Port %s could not be found.", id)
	}
	return found[0], nil
}

// PortsOf are the ports of a server, oldest first.
func (s *Service) PortsOf(ctx context.Context, q db.Querier, device string) ([]*Port, error) {
	return s.serverPorts(ctx, q, []string{device})
}

func (s *Service) serverPorts(ctx context.Context, q db.Querier, devices []string) ([]*Port, error) {
	if len(devices) == 0 {
		return nil, nil
	}
	var where db.Where
	in(&where, `device`, devices)
	where.And(`substr(device_owner, 1, ?) = ?`, len(serverOwner), serverOwner) // LIKE knows no case on SQLite
	return s.ports(ctx, q, where)
}

// PortByMAC is the port bound to the NIC with that MAC; nil when there is none.
func (s *Service) PortByMAC(ctx context.Context, q db.Querier, mac string) (*Port, error) {
	var where db.Where
	where.And(`mac = ?`, strings.ToLower(mac))
	where.And(`host <> ''`)
	found, err := s.ports(ctx, q, where)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func (s *Service) ports(ctx context.Context, q db.Querier, where db.Where) ([]*Port, error) {
	found, err := db.List(ctx, q, scanPort, `SELECT `+portColumns+` FROM network_port`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Port{}
	for _, p := range found {
		byID[p.ID] = p
	}
	rows, err := q.QueryContext(ctx, `SELECT port, subnet, address FROM network_address WHERE port IN
		(SELECT id FROM network_port`+where.String()+`) ORDER BY place`, where.Args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var port string
		var ip FixedIP
		if err := rows.Scan(&port, &ip.Subnet, text{&ip.Addr}); err != nil {
			return nil, err
		}
		if p := byID[port]; p != nil { // likewise
			p.FixedIPs = append(p.FixedIPs, ip)
		}
	}
	return found, rows.Err()
}

func (s *Service) savePort(ctx context.Context, tx *db.Tx, p *Port) error {
	p.Revision++
	p.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE network_port SET project = $2, name = $3, description = $4, tags = $5, revision = $6,
		created_at = $7, updated_at = $8, network = $9, mac = $10, admin_up = $11, device = $12, device_owner = $13, host = $14,
		vnic = $15, dns_name = $16 WHERE id = $1`, append(p.written(), p.rest()...)...)
	if db.IsDuplicate(err) {
		return macInUse(p)
	}
	if err != nil {
		return err
	}
	return s.tell(func(w PortWatcher) error { return w.PortChanged(ctx, tx, p) })
}

// rest are the values of portColumns after the common ones.
func (p *Port) rest() []any {
	return []any{p.Network, p.MAC, p.AdminUp, p.DeviceID, p.DeviceOwner, p.Host, p.AskedVNIC, p.DNSName}
}

func macInUse(p *Port) error {
	return refuse(fault.Conflict, MACInUse, "Unable to complete operation for network %s. The mac address %s is in use.", p.Network, p.MAC)
}

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// text is a column that holds an address or a prefix; empty: the zero one.
type text struct {
	v interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
}

func (t text) Value() (driver.Value, error) {
	b, err := t.v.MarshalText()
	return string(b), err
}

func (t text) Scan(src any) error {
	switch src := src.(type) {
	case string:
		return t.v.UnmarshalText([]byte(src))
	case []byte:
		return t.v.UnmarshalText(src)
	}
	return fmt.Errorf("a column of addresses holds %T", src)
}
