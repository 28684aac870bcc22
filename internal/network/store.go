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
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Table is where a kind of thing is kept.
type Table string

// The tables.
const (
	NetworkTable      Table = "network"
	SubnetTable       Table = "network_subnet"
	PortTable         Table = "network_port"
	SubnetPoolTable   Table = "network_subnetpool"
	AddressScopeTable Table = "network_address_scope"
	RBACTable         Table = "network_rbac"
)

const metaColumns = `id, project, name, description, tags, revision, created_at, updated_at`

func (m *Meta) columns() []any {
	return []any{&m.ID, &m.Project, &m.Name, &m.Description, db.JSON(&m.Tags), &m.Revision, &m.Created, &m.Updated}
}

// written are the values of metaColumns.
func (m *Meta) written() []any {
	return []any{m.ID, m.Project, m.Name, m.Description, db.JSON(orEmpty(m.Tags)), m.Revision, m.Created, m.Updated}
}

// touch raises the revision.
func (s *Service) touch(m *Meta) {
	m.Revision++
	m.Updated = s.clock.Now()
}

// orEmpty is a list that JSON writes as one, also when it is nil.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func insert(ctx context.Context, tx *db.Tx, table Table, columns string, values []any) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO `+string(table)+` (`+columns+`) VALUES (`+placeholders(len(values))+`)`, values...)
	return err
}

// update writes a row anew; the first column is its id.
func update(ctx context.Context, tx *db.Tx, table Table, columns string, values []any) error {
	_, err := tx.ExecContext(ctx, `UPDATE `+string(table)+` SET (`+columns+`) = (`+placeholders(len(values))+`) WHERE id = $1`, values...)
	return err
}

func placeholders(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = placeholder(i + 1)
	}
	return strings.Join(list, ", ")
}

func placeholder(n int) string { return fmt.Sprintf("$%d", n) }

// in adds that the column has one of the values, if there are any.
func in(where *db.Where, column string, values []string) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	where.And(column+` IN (`+marks(len(args))+`)`, args...)
}

// marks stand for so many values of a condition, at least one.
func marks(n int) string { return `?` + strings.Repeat(`, ?`, n-1) }

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// exists reports whether the query finds a row.
func exists(ctx context.Context, q db.Querier, query string, args ...any) (bool, error) {
	var one int
	err := q.QueryRowContext(ctx, query, args...).Scan(&one)
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

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

func markNetwork(ctx context.Context, tx *db.Tx, id string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "network/"+id)
}

func markPort(ctx context.Context, tx *db.Tx, id string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "port/"+id)
}

const networkColumns = metaColumns + `, admin_up, external, is_default, port_security, mtu, kind, physical, segment, qos, dns_domain, zones`

func scanNetwork(row db.Scanner) (*Network, error) {
	var n Network
	err := row.Scan(append(n.columns(), &n.AdminUp, &n.External, &n.Default, &n.PortSecurity, &n.MTU, &n.Kind, &n.Physical, &n.Segment, &n.QoS, &n.DNSDomain, db.JSON(&n.Zones))...)
	return &n, err
}

// row are the values of networkColumns.
func (n *Network) row() []any {
	return append(n.written(), n.AdminUp, n.External, n.Default, n.PortSecurity, n.MTU, n.Kind, n.Physical, n.Segment, n.QoS, n.DNSDomain, db.JSON(orEmpty(n.Zones)))
}

func (s *Service) saveNetwork(ctx context.Context, tx *db.Tx, n *Network) error {
	s.touch(&n.Meta)
	if err := update(ctx, tx, NetworkTable, networkColumns, n.row()); err != nil {
		return err
	}
	return markNetwork(ctx, tx, n.ID)
}

// NetworkFilter narrows a list of networks; an empty field does not.
type NetworkFilter struct {
	IDs, Projects, Names []string
	Page                 Page
}

// Networks that the viewer sees: its own, and those that others share with it or let it reach as external ones. The
// oldest comes first.
func (s *Service) Networks(ctx context.Context, q db.Querier, v Viewer, f NetworkFilter) ([]*Network, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ? OR `+sharedWith(`id`, SharedNetwork), v.Project, v.Project)
	}
	in(&where, `id`, f.IDs)
	in(&where, `project`, f.Projects)
	in(&where, `name`, f.Names)
	where, err := f.Page.Narrow(ctx, q, string(NetworkTable), where)
	if err != nil {
		return nil, err
	}
	return s.networks(ctx, q, v.Project, where)
}

// Network finds a network that the viewer sees.
func (s *Service) Network(ctx context.Context, q db.Querier, v Viewer, id string) (*Network, error) {
	found, err := s.Networks(ctx, q, v, NetworkFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchNetwork, "Network %s could not be found.", id)
	}
	return found[0], nil
}

// networks are read as the project sees them.
func (s *Service) networks(ctx context.Context, q db.Querier, project string, where db.Where) ([]*Network, error) {
	found, err := db.List(ctx, q, scanNetwork, `SELECT `+networkColumns+` FROM network`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	byID := map[string]*Network{}
	for _, n := range found {
		byID[n.ID] = n
	}
	// Outside a transaction a network may come in between the queries: it is left for the next time.
	of, args := ` IN (SELECT id FROM network`+where.String()+`)`, where.Args
	if len(found) == 1 {
		of, args = ` = $1`, []any{found[0].ID}
	}
	type part struct {
		network, subnet, scope string
		version                int
	}
	parts, err := db.List(ctx, q, func(row db.Scanner) (p part, err error) {
		return p, row.Scan(&p.network, &p.subnet, &p.scope, &p.version)
	}, `SELECT s.network, s.id, COALESCE(a.id, ''), COALESCE(a.version, 0) FROM network_subnet s
		LEFT JOIN network_subnetpool p ON p.id = s.subnetpool LEFT JOIN network_address_scope a ON a.id = p.address_scope
		WHERE s.network`+of+` ORDER BY s.created_at, s.id`, args...)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		n := byID[p.network]
		if n == nil {
			continue
		}
		n.Subnets = append(n.Subnets, p.subnet)
		switch p.version {
		case 4:
			n.Scope4 = p.scope
		case 6:
			n.Scope6 = p.scope
		}
	}
	var shares db.Where
	shares.Args = args
	shares.And(`kind = 'network' AND action = 'access_as_shared' AND object` + of)
	shares.And(`target IN ('*', ?)`, project)
	ids, err := db.List(ctx, q, scanID, `SELECT object FROM network_rbac`+shares.String(), shares.Args...)
	for _, id := range ids {
		if n := byID[id]; n != nil {
			n.Shared = true
		}
	}
	return found, err
}

func scanID(row db.Scanner) (id string, err error) { return id, row.Scan(&id) }
