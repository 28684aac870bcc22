package network

import (
	"context"
	"maps"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Unlimited is the limit that is none.
const Unlimited = -1

// Limits are how many of each resource a project may have.
type Limits map[string]int

// DefaultLimits of a project are Neutron's own.
func DefaultLimits() Limits {
	return Limits{
		"network": 100, "subnet": 100, "subnetpool": Unlimited, "port": 500, "router": 10, "floatingip": 50, "rbac_policy": 10,
		"security_group": 10, "security_group_rule": 100, "trunk": Unlimited,
	}
}

// Limits of a project.
func (s *Service) Limits(ctx context.Context, q db.Querier, project string) (Limits, error) {
	changed, err := s.ChangedLimits(ctx, q, project)
	limits := DefaultLimits()
	maps.Copy(limits, changed[project])
	return limits, err
}

// ChangedLimits are the limits that differ from the defaults, by project; of all projects with an empty one.
func (s *Service) ChangedLimits(ctx context.Context, q db.Querier, project string) (map[string]Limits, error) {
	rows, err := q.QueryContext(ctx, `SELECT project, resource, most FROM network_quota WHERE project = $1 OR $1 = ''`, project)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	changed := map[string]Limits{}
	for rows.Next() {
		var of, resource string
		var most int
		if err := rows.Scan(&of, &resource, &most); err != nil {
			return nil, err
		}
		if changed[of] == nil {
			changed[of] = Limits{}
		}
		changed[of][resource] = most
	}
	return changed, rows.Err()
}

// SetLimits changes limits of a project. One that equals the default is not kept, so that it follows the default later.
func (s *Service) SetLimits(ctx context.Context, tx *db.Tx, project string, limits Limits) error {
	defaults := DefaultLimits()
	for resource, most := range limits {
		usual, known := defaults[resource]
		if !known {
			return fault.New(fault.Invalid, "Unrecognized attribute(s) '%s'", resource)
		}
		if most < Unlimited || most > 1<<31-1 {
			return invalid(resource, "'%d' is not in valid range '-1' to '2147483647'", most)
		}
		query, args := `INSERT INTO network_quota (project, resource, most) VALUES ($1, $2, $3)
			ON CONFLICT (project, resource) DO UPDATE SET most = excluded.most`, []any{project, resource, most}
		if most == usual {
			query, args = `DELETE FROM network_quota WHERE project = $1 AND resource = $2`, args[:2]
		}
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// ResetLimits gives a project the defaults again. It reports whether it had others.
func (s *Service) ResetLimits(ctx context.Context, tx *db.Tx, project string) (bool, error) {
	changed, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM network_quota WHERE project = $1`, project))
	return changed > 0, err
}

// Usage is how many of each resource a project has.
func (s *Service) Usage(ctx context.Context, q db.Querier, project string) (Limits, error) {
	used := Limits{}
	for resource := range DefaultLimits() {
		var err error
		if used[resource], err = s.count(ctx, q, project, resource); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// count is 0 for resources that nobody counts.
func (s *Service) count(ctx context.Context, q db.Querier, project, resource string) (n int, err error) {
	if count := s.around.Counts[resource]; count != nil {
		return count(ctx, q, project)
	}
	table, ours := map[string]Table{
		"network": NetworkTable, "subnet": SubnetTable, "port": PortTable, "subnetpool": SubnetPoolTable, "rbac_policy": RBACTable,
	}[resource]
	if !ours {
		return 0, nil
	}
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM `+string(table)+` WHERE project = $1`, project).Scan(&n)
	return n, err
}

// WithinQuota fails with Quota when the project has as many of the resource as it may. The transaction is serializable, so
// the count holds.
func (s *Service) WithinQuota(ctx context.Context, tx *db.Tx, project, resource string) error {
	limits, err := s.Limits(ctx, tx, project)
	if err != nil || limits[resource] == Unlimited {
		return err
	}
	used, err := s.count(ctx, tx, project, resource)
	if err != nil {
		return err
	}
	if used >= limits[resource] {
		return refuse(fault.Quota, OverQuota, "Quota exceeded for resources: ['%s'].", resource)
	}
	return nil
}
