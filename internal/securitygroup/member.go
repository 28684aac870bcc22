package securitygroup

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Check fails with NotFound for the first group that the project has neither of its own nor shared with it.
func (s *Service) Check(ctx context.Context, q db.Querier, project string, ids []string) error {
	for some := range slices.Chunk(ids, atOnce) {
		where := Filter{IDs: some}.where()
		if _, err := s.seen(ctx, q, &where, Viewer{Project: project}, GroupKind); err != nil {
			return err
		}
		found, err := db.List(ctx, q, scanText, `SELECT id FROM security_group`+where.String(), where.Args...)
		if err != nil {
			return err
		}
		for _, id := range some {
			if !slices.Contains(found, id) {
				return noSuchGroup(id)
			}
		}
	}
	return nil
}

// SetPort puts a port into these groups and no others, in this order; without any when it is deleted. The groups must
// exist: Check says so.
func (s *Service) SetPort(ctx context.Context, tx *db.Tx, port string, ids []string) error {
	of, err := s.OfPorts(ctx, tx, []string{port})
	if err != nil || slices.Equal(of[port], ids) {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM security_group_port WHERE port = $1`, port); err != nil {
		return err
	}
	for place, id := range ids {
		if _, err := tx.ExecContext(ctx, `INSERT INTO security_group_port (port, security_group, place) VALUES ($1, $2, $3)
			ON CONFLICT (port, security_group) DO NOTHING`, port, id, place); err != nil {
			return err
		}
	}
	return reconcile.Mark(ctx, tx, reconcile.Networks, "port/"+port)
}

// atOnce is how many ports one query asks for; engines limit the values of a statement.
const atOnce = 1000

// OfPorts gives the groups of each port that is in any, in the order in which they were given.
func (s *Service) OfPorts(ctx context.Context, q db.Querier, ports []string) (map[string][]string, error) {
	of := map[string][]string{}
	type member struct{ port, group string }
	for some := range slices.Chunk(ports, atOnce) {
		var where db.Where
		in(&where, `port`, some)
		found, err := db.List(ctx, q, func(row db.Scanner) (m member, err error) {
			return m, row.Scan(&m.port, &m.group)
		}, `SELECT port, security_group FROM security_group_port`+where.String()+` ORDER BY port, place`, where.Args...)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			of[m.port] = append(of[m.port], m.group)
		}
	}
	return of, nil
}

// PortsIn are the ids of the ports in a group.
func (s *Service) PortsIn(ctx context.Context, q db.Querier, group string) ([]string, error) {
	return db.List(ctx, q, scanText, `SELECT port FROM security_group_port WHERE security_group = $1 ORDER BY port`, group)
}
