package trunk

import (
	"context"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

const columns = `id, project, name, description, tags, revision, created_at, updated_at, admin_up, port`

func scan(row db.Scanner) (*Trunk, error) {
	var t Trunk
	err := row.Scan(&t.ID, &t.Project, &t.Name, &t.Description, db.JSON(&t.Tags), &t.Revision, &t.Created, &t.Updated, &t.AdminUp, &t.Port)
	return &t, err
}

func (t *Trunk) row() []any {
	if t.Tags == nil {
		t.Tags = []string{}
	}
	return []any{t.ID, t.Project, t.Name, t.Description, db.JSON(t.Tags), t.Revision, t.Created, t.Updated, t.AdminUp, t.Port}
}

// Trunks that the viewer sees, which are its own, oldest first.
func (s *Service) Trunks(ctx context.Context, q db.Querier, v network.Viewer) ([]*Trunk, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ?`, v.Project)
	}
	return s.trunks(ctx, q, where)
}

// Trunk finds a trunk that the viewer sees.
func (s *Service) Trunk(ctx context.Context, q db.Querier, v network.Viewer, id string) (*Trunk, error) {
	var where db.Where
	where.And(`id = ?`, id)
	if !v.All {
		where.And(`project = ?`, v.Project)
	}
	found, err := s.trunks(ctx, q, where)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchTrunk, "Trunk %s could not be found.", id)
	}
	return found[0], nil
}

// OfParents gives the trunk of each port that is a parent.
func (s *Service) OfParents(ctx context.Context, q db.Querier, ports []string) (map[string]*Trunk, error) {
	of := map[string]*Trunk{}
	for some := range slices.Chunk(ports, atOnce) {
		var where db.Where
		in(&where, `port`, some)
		found, err := s.trunks(ctx, q, where)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			of[t.Port] = t
		}
	}
	return of, nil
}

// Carrier is the trunk that carries the port as a subport, and its tag there; nil: none does.
func (s *Service) Carrier(ctx context.Context, q db.Querier, port string) (*Trunk, int, error) {
	var where db.Where
	where.And(`id IN (SELECT trunk FROM trunk_subport WHERE port = ?)`, port)
	found, err := s.trunks(ctx, q, where)
	if err != nil || len(found) == 0 {
		return nil, 0, err
	}
	at := slices.IndexFunc(found[0].Subports, func(sub Subport) bool { return sub.Port == port })
	return found[0], found[0].Subports[at].VLAN, nil
}

// atOnce is how many values one query names; engines have limits.
const atOnce = 1000

func in(where *db.Where, column string, values []string) {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	where.And(column+` IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`, args...)
}

func (s *Service) trunks(ctx context.Context, q db.Querier, where db.Where) ([]*Trunk, error) {
	found, err := db.List(ctx, q, scan, `SELECT `+columns+` FROM trunk`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	byID, ports := map[string]*Trunk{}, []string{}
	for _, t := range found {
		byID[t.ID] = t
		ports = append(ports, t.Port)
	}
	type carried struct {
		trunk string
		Subport
	}
	subports, err := db.List(ctx, q, func(row db.Scanner) (c carried, err error) {
		return c, row.Scan(&c.trunk, &c.Port, &c.VLAN)
	}, `SELECT trunk, port, vlan FROM trunk_subport WHERE trunk IN (SELECT id FROM trunk`+where.String()+`) ORDER BY vlan`, where.Args...)
	if err != nil {
		return nil, err
	}
	for _, c := range subports {
		if t := byID[c.trunk]; t != nil { // outside a transaction a trunk may come in between the two queries
			t.Subports = append(t.Subports, c.Subport)
			ports = append(ports, c.Port)
		}
	}
	known, err := s.ports(ctx, q, ports)
	for _, t := range found {
		for i := range t.Subports {
			if p := known[t.Subports[i].Port]; p != nil {
				t.Subports[i].MAC = p.MAC
			}
		}
		t.Status = t.status(known)
	}
	return found, err
}

func (s *Service) ports(ctx context.Context, q db.Querier, ids []string) (map[string]*network.Port, error) {
	byID := map[string]*network.Port{}
	for some := range slices.Chunk(ids, atOnce) {
		found, err := s.networks.Ports(ctx, q, network.Everything, network.PortFilter{IDs: some})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			byID[p.ID] = p
		}
	}
	return byID, nil
}

// status follows from the ports.
func (t *Trunk) status(ports map[string]*network.Port) Status {
	parent := ports[t.Port]
	switch {
	case parent == nil || parent.Host == "" || !parent.AdminUp:
		return Down
	case parent.Status() != "ACTIVE":
		return Build
	}
	for _, sub := range t.Subports {
		if p := ports[sub.Port]; p == nil || p.AdminUp && !p.Up {
			return Build
		}
	}
	return Active
}

// Count is how many trunks a project has.
func (s *Service) Count(ctx context.Context, q db.Querier, project string) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM trunk WHERE project = $1`, project).Scan(&n)
	return n, err
}

// touch saves a trunk that changed.
func (s *Service) touch(ctx context.Context, tx *db.Tx, t *Trunk) error {
	t.Revision++
	t.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE trunk SET project = $2, name = $3, description = $4, tags = $5, revision = $6, created_at = $7, updated_at = $8,
		admin_up = $9, port = $10 WHERE id = $1`, t.row()...)
	return err
}

func mark(ctx context.Context, tx *db.Tx, port string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "port/"+port)
}
