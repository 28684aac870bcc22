package network

import (
	"context"
	"net"
	"net/netip"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const portColumns = metaColumns + `, network, mac, admin_up, device, device_owner, host, vnic, dns_name, port_security, pairs, dhcp_options, qos, profile, edge, plugged, up`

func scanPort(row db.Scanner) (*Port, error) {
	var p Port
	err := row.Scan(append(p.columns(), &p.Network, &p.MAC, &p.AdminUp, &p.DeviceID, &p.DeviceOwner, &p.Host, &p.AskedVNIC, &p.DNSName, &p.PortSecurity,
		db.JSON(&p.AllowedPairs), db.JSON(&p.DHCPOptions), &p.QoS, db.JSON(&p.Profile), db.JSON(&p.Edge), &p.Plugged, &p.Up, &p.NetworkQoS)...)
	return &p, err
}

// row are the values of portColumns.
func (p *Port) row() []any {
	if p.Profile == nil {
		p.Profile = map[string]any{}
	}
	return append(p.written(), p.Network, p.MAC, p.AdminUp, p.DeviceID, p.DeviceOwner, p.Host, p.AskedVNIC, p.DNSName, p.PortSecurity,
		db.JSON(orEmpty(p.AllowedPairs)), db.JSON(orEmpty(p.DHCPOptions)), p.QoS, db.JSON(p.Profile), db.JSON(p.Edge), p.Plugged, p.Up)
}

// PortFilter narrows a list of ports; an empty field does not.
type PortFilter struct {
	IDs, Networks, Projects, Devices, Owners, MACs, Names []string
	Edge                                                  Edge         // that the port is plugged into
	Addresses                                             []netip.Addr // that the port has one of
	Page                                                  Page
}

// Ports that the viewer sees, oldest first: its own, and all on its own networks.
func (s *Service) Ports(ctx context.Context, q db.Querier, v Viewer, f PortFilter) ([]*Port, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ? OR network IN (SELECT n.id FROM network n WHERE n.project = ?)`, v.Project, v.Project)
	}
	in(&where, `id`, f.IDs)
	in(&where, `network`, f.Networks)
	in(&where, `project`, f.Projects)
	in(&where, `device`, f.Devices)
	in(&where, `device_owner`, f.Owners)
	in(&where, `mac`, f.MACs)
	in(&where, `name`, f.Names)
	if f.Edge.Kind != NoEdge {
		where.And(`plugged AND edge = ?`, db.JSON(f.Edge))
	}
	if len(f.Addresses) > 0 {
		args := make([]any, len(f.Addresses))
		for i := range f.Addresses {
			args[i] = text{&f.Addresses[i]}
		}
		where.And(`id IN (SELECT port FROM network_address WHERE address IN (`+marks(len(args))+`))`, args...)
	}
	where, err := f.Page.Narrow(ctx, q, string(PortTable), where)
	if err != nil {
		return nil, err
	}
	return s.ports(ctx, q, where)
}

// Port finds a port that the viewer sees.
func (s *Service) Port(ctx context.Context, q db.Querier, v Viewer, id string) (*Port, error) {
	found, err := s.Ports(ctx, q, v, PortFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noPort(id)
	}
	return found[0], nil
}

func noPort(id string) error {
	return refuse(fault.NotFound, NoSuchPort, "Port %s could not be found.", id)
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

// PortAt is the port that sends from an address on a network; nil when there is none. An address of the link alone (RFC 4291,
// 2.5.6) is known by the MAC that it is made of, which is the only one that port security lets pass.
func (s *Service) PortAt(ctx context.Context, q db.Querier, network string, from netip.Addr) (*Port, error) {
	var where db.Where
	where.And(`network = ?`, network)
	if from.IsLinkLocalUnicast() && from.Is6() {
		mac, ok := macOf(from)
		if !ok {
			return nil, nil
		}
		where.And(`mac = ?`, mac)
	} else {
		where.And(`id IN (SELECT a.port FROM network_address a JOIN network_subnet s ON s.id = a.subnet WHERE s.network = ? AND a.address = ?)`,
			network, from.String())
	}
	found, err := s.ports(ctx, q, where)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// macOf reverses EUI-64 (RFC 4291, appendix A).
func macOf(a netip.Addr) (string, bool) {
	b := a.As16()
	if b[11] != 0xff || b[12] != 0xfe {
		return "", false
	}
	return net.HardwareAddr{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}.String(), true
}

func (s *Service) ports(ctx context.Context, q db.Querier, where db.Where) ([]*Port, error) {
	found, err := db.List(ctx, q, scanPort, `SELECT `+portColumns+`, (SELECT n.qos FROM network n WHERE n.id = network_port.network)
		FROM network_port`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	byID, ids := map[string]*Port{}, []string{}
	for _, p := range found {
		byID[p.ID] = p
		ids = append(ids, p.ID)
	}
	type held struct {
		port string
		ip   FixedIP
	}
	addresses, err := db.List(ctx, q, func(row db.Scanner) (h held, err error) {
		return h, row.Scan(&h.port, &h.ip.Subnet, text{&h.ip.Addr})
	}, `SELECT port, subnet, address FROM network_address WHERE port IN (SELECT id FROM network_port`+where.String()+`) ORDER BY place`, where.Args...)
	if err != nil {
		return nil, err
	}
	for _, h := range addresses {
		if p := byID[h.port]; p != nil { // outside a transaction one may come in between the queries
			p.FixedIPs = append(p.FixedIPs, h.ip)
		}
	}
	groups, err := s.around.Groups.OfPorts(ctx, q, ids)
	for id, list := range groups {
		byID[id].Groups = list
	}
	return found, err
}

func (s *Service) savePort(ctx context.Context, tx *db.Tx, p *Port) error {
	s.touch(&p.Meta)
	err := update(ctx, tx, PortTable, portColumns, p.row())
	if db.IsDuplicate(err) {
		return macInUse(p)
	}
	if err != nil {
		return err
	}
	return s.changed(ctx, tx, p)
}

// changed tells who needs to know that something of the port is not as it was.
func (s *Service) changed(ctx context.Context, tx *db.Tx, p *Port) error {
	if err := s.tell(func(w PortWatcher) error { return w.PortChanged(ctx, tx, p) }); err != nil {
		return err
	}
	return markPort(ctx, tx, p.ID)
}

func macInUse(p *Port) error {
	return refuse(fault.Conflict, MACInUse, "Unable to complete operation for network %s. The mac address %s is in use.", p.Network, p.MAC)
}
