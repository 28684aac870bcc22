package router

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

const routerColumns = `id, project, name, description, admin_up, snat, routes, zones, tags, revision, created_at, updated_at`

// RouterFilter narrows a list of routers; an empty field does not.
type RouterFilter struct {
	IDs, Projects, Names []string
	Page                 db.Page
}

// Routers that the viewer sees, which are its own, oldest first.
func (s *Service) Routers(ctx context.Context, q db.Querier, v network.Viewer, f RouterFilter) ([]*Router, error) {
	where := seen(v)
	in(&where, `id`, f.IDs)
	in(&where, `project`, f.Projects)
	in(&where, `name`, f.Names)
	where, err := f.Page.Narrow(ctx, q, string(RouterTable), where)
	if err != nil {
		return nil, err
	}
	return s.routers(ctx, q, where)
}

// Router finds a router that the viewer sees.
func (s *Service) Router(ctx context.Context, q db.Querier, v network.Viewer, id string) (*Router, error) {
	found, err := s.Routers(ctx, q, v, RouterFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchRouter, "Router %s could not be found", id)
	}
	return found[0], nil
}

func seen(v network.Viewer) (where db.Where) {
	if !v.All {
		where.And(`project = ?`, v.Project)
	}
	return where
}

func (s *Service) routers(ctx context.Context, q db.Querier, where db.Where) ([]*Router, error) {
	snat, ids := map[string]bool{}, []string{}
	found, err := db.List(ctx, q, func(row db.Scanner) (*Router, error) {
		var r Router
		var masked bool
		err := row.Scan(&r.ID, &r.Project, &r.Name, &r.Description, &r.AdminUp, &masked, db.JSON(&r.Routes), db.JSON(&r.Zones),
			db.JSON(&r.Tags), &r.Revision, &r.Created, &r.Updated)
		snat[r.ID], ids = masked, append(ids, r.ID)
		return &r, err
	}, `SELECT `+routerColumns+` FROM router`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	gateways, err := s.portsOf(ctx, q, GatewayOwner, ids)
	for _, r := range found {
		for _, p := range gateways[r.ID] {
			r.Gateway = &Gateway{p.Network, p.ID, p.FixedIPs, snat[r.ID]}
		}
	}
	return found, err
}

// Interfaces are the ports by which routers are on tenants' networks, by router, oldest first.
func (s *Service) Interfaces(ctx context.Context, q db.Querier, routers ...string) (map[string][]*network.Port, error) {
	return s.portsOf(ctx, q, InterfaceOwner, routers)
}

// inOne is how many values one query names; engines have limits.
const inOne = 1000

func (s *Service) portsOf(ctx context.Context, q db.Querier, owner string, devices []string) (map[string][]*network.Port, error) {
	byDevice := map[string][]*network.Port{}
	for some := range slices.Chunk(devices, inOne) {
		found, err := s.networks.Ports(ctx, q, network.Everything, network.PortFilter{Devices: some, Owners: []string{owner}})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			byDevice[p.DeviceID] = append(byDevice[p.DeviceID], p)
		}
	}
	return byDevice, nil
}

// subnets finds subnets by their ids, whoever sees them.
func (s *Service) subnets(ctx context.Context, q db.Querier, ids []string) (map[string]*network.Subnet, error) {
	byID := map[string]*network.Subnet{}
	if len(ids) == 0 {
		return byID, nil
	}
	found, err := s.networks.Subnets(ctx, q, network.Everything, network.SubnetFilter{IDs: ids})
	for _, subnet := range found {
		byID[subnet.ID] = subnet
	}
	return byID, err
}

// save writes a changed router, or one whose ports changed, and marks it.
func (s *Service) save(ctx context.Context, tx *db.Tx, r *Router) error {
	r.Revision++
	r.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE router SET name = $2, description = $3, admin_up = $4, snat = $5, routes = $6, revision = $7, updated_at = $8 WHERE id = $1`,
		r.ID, r.Name, r.Description, r.AdminUp, r.Gateway == nil || r.Gateway.SNAT, db.JSON(r.Routes), r.Revision, r.Updated)
	if err != nil {
		return err
	}
	return markRouter(ctx, tx, r.ID)
}

// Counts tell how many routers and floating IPs projects have, for their quotas.
func (s *Service) Counts() map[string]network.Count {
	return map[string]network.Count{routerResource: counting(RouterTable), floatingIPResource: counting(FloatingIPTable)}
}

func counting(table network.Table) network.Count {
	return func(ctx context.Context, q db.Querier, project string) (n int, err error) {
		err = q.QueryRowContext(ctx, `SELECT count(*) FROM `+string(table)+` WHERE project = $1`, project).Scan(&n)
		return n, err
	}
}

const floatingIPColumns = `id, project, description, network, port, address, fixed_port, fixed_address, router, qos, dns_name, dns_domain, tags, revision, created_at, updated_at`

func scanFloatingIP(row db.Scanner) (*FloatingIP, error) {
	var f FloatingIP
	var outside, inside string
	err := row.Scan(&f.ID, &f.Project, &f.Description, &f.Network, &f.Port, &outside, &f.FixedPort, &inside, &f.Router, &f.QoS,
		&f.DNSName, &f.DNSDomain, db.JSON(&f.Tags), &f.Revision, &f.Created, &f.Updated)
	if err == nil {
		f.Addr, err = addr(outside)
	}
	if err == nil {
		f.FixedAddr, err = addr(inside)
	}
	return &f, err
}

// addr reads an address from a column; empty: the zero one.
func addr(text string) (a netip.Addr, err error) {
	err = a.UnmarshalText([]byte(text))
	return a, err
}

// column writes an address into a column, as addr reads it.
func column(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func (f *FloatingIP) values() []any {
	return []any{f.ID, f.Project, f.Description, f.Network, f.Port, column(f.Addr), f.FixedPort, column(f.FixedAddr), f.Router, f.QoS,
		f.DNSName, f.DNSDomain, db.JSON(f.Tags), f.Revision, f.Created, f.Updated}
}

// FloatingIPFilter narrows a list of floating IPs; an empty field does not.
type FloatingIPFilter struct {
	IDs, Projects, Networks, FixedPorts, Routers, Addrs []string
	Page                                                db.Page
}

// FloatingIPs that the viewer sees, which are its own, oldest first.
func (s *Service) FloatingIPs(ctx context.Context, q db.Querier, v network.Viewer, f FloatingIPFilter) ([]*FloatingIP, error) {
	where := seen(v)
	in(&where, `id`, f.IDs)
	in(&where, `project`, f.Projects)
	in(&where, `network`, f.Networks)
	in(&where, `fixed_port`, f.FixedPorts)
	in(&where, `router`, f.Routers)
	in(&where, `address`, f.Addrs)
	where, err := f.Page.Narrow(ctx, q, string(FloatingIPTable), where)
	if err != nil {
		return nil, err
	}
	found, err := db.List(ctx, q, scanFloatingIP, `SELECT `+floatingIPColumns+` FROM floatingip`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	var of db.Where
	of.And(`floatingip IN (SELECT id FROM floatingip`+where.String()+`)`, where.Args...)
	forwardings, err := s.forwardings(ctx, q, of)
	byID := map[string]*FloatingIP{}
	for _, f := range found {
		byID[f.ID] = f
	}
	for _, one := range forwardings {
		if f := byID[one.FloatingIP]; f != nil { // outside a transaction one may come in between the two queries
			f.Forwardings = append(f.Forwardings, one)
		}
	}
	return found, err
}

// FloatingIP finds a floating IP that the viewer sees.
func (s *Service) FloatingIP(ctx context.Context, q db.Querier, v network.Viewer, id string) (*FloatingIP, error) {
	found, err := s.FloatingIPs(ctx, q, v, FloatingIPFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchFloatingIP, "Floating IP %s could not be found", id)
	}
	return found[0], nil
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

// saveFloatingIP writes a changed floating IP, or one whose forwardings changed, and marks it.
func (s *Service) saveFloatingIP(ctx context.Context, tx *db.Tx, f *FloatingIP) error {
	f.Revision++
	f.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE floatingip SET description = $2, fixed_port = $3, fixed_address = $4, router = $5, qos = $6, dns_name = $7,
		dns_domain = $8, revision = $9, updated_at = $10 WHERE id = $1`,
		f.ID, f.Description, f.FixedPort, column(f.FixedAddr), f.Router, f.QoS, f.DNSName, f.DNSDomain, f.Revision, f.Updated)
	if err != nil {
		return err
	}
	return markFloatingIP(ctx, tx, f.ID)
}

func (s *Service) forwardings(ctx context.Context, q db.Querier, where db.Where) ([]*Forwarding, error) {
	return db.List(ctx, q, func(row db.Scanner) (*Forwarding, error) {
		var f Forwarding
		var inside string
		err := row.Scan(&f.ID, &f.FloatingIP, &f.Description, &f.Protocol, &f.Outside.First, &f.Outside.Last, &f.Port, &inside, &f.Inside.First, &f.Inside.Last)
		if err == nil {
			f.Addr, err = addr(inside)
		}
		return &f, err
	}, `SELECT id, floatingip, description, protocol, outside_first, outside_last, port, address, inside_first, inside_last
		FROM floatingip_forwarding`+where.String()+` ORDER BY created_at, id`, where.Args...)
}
