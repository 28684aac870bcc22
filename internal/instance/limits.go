package instance

import (
	"context"
	"maps"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Unlimited is what stands for no limit.
const Unlimited = -1

// Limits say how much of each resource a project may have, by Nova's names.
type Limits map[string]int

// standard limits, where neither a project nor the cloud has others: a project may have as many servers as there are
// machines. What a machine has no place for is 0.
var standard = Limits{
	"instances": Unlimited, "cores": Unlimited, "ram": Unlimited, "key_pairs": 100, "metadata_items": 128, "server_groups": 10, "server_group_members": 10,
	"injected_files": 0, "injected_file_content_bytes": 0, "injected_file_path_bytes": 0,
	"fixed_ips": Unlimited, "floating_ips": Unlimited, "security_groups": Unlimited, "security_group_rules": Unlimited,
}

// IsLimit reports whether there is such a resource.
func IsLimit(resource string) bool { _, ok := standard[resource]; return ok }

// Limits of a project; with an empty one the cloud's defaults.
func (s *Service) Limits(ctx context.Context, q db.Querier, project string) (Limits, error) {
	limits := maps.Clone(standard)
	type row struct {
		project, resource string
		most              int
	}
	rows, err := db.List(ctx, q, func(r db.Scanner) (x row, err error) { return x, r.Scan(&x.project, &x.resource, &x.most) },
		`SELECT project, resource, most FROM instance_limit WHERE project IN ('', $1) ORDER BY project`, project) // a project's own last
	for _, r := range rows {
		limits[r.resource] = r.most
	}
	return limits, err
}

// SetLimits changes some limits of a project; with an empty one the cloud's defaults. It fails with Invalid for what is no
// resource or less than Unlimited.
func (s *Service) SetLimits(ctx context.Context, project string, change Limits) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		for resource, most := range change {
			if !IsLimit(resource) || most < Unlimited {
				return fault.New(fault.Invalid, "Quota limit %d for %.80s must be -1 or greater.", most, resource)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO instance_limit (project, resource, most) VALUES ($1, $2, $3)
				ON CONFLICT (project, resource) DO UPDATE SET most = excluded.most`, project, resource, most); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetLimits gives a project the defaults again.
func (s *Service) ForgetLimits(ctx context.Context, project string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM instance_limit WHERE project = $1`, project)
	return err
}

// Used is what a project's instances and groups take now.
func (s *Service) Used(ctx context.Context, q db.Querier, project string) (Limits, error) {
	all, err := db.List(ctx, q, scan, `SELECT `+columns+` FROM instance WHERE project = $1 AND deleted_at IS NULL`, project)
	if err != nil {
		return nil, err
	}
	used := Limits{"instances": len(all)}
	for _, i := range all {
		used["cores"] += i.Flavor.VCPUs
		used["ram"] += i.Flavor.RAM
	}
	var groups int
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM instance_group WHERE project = $1`, project).Scan(&groups)
	used["server_groups"] = groups
	return used, err
}

// allow fails with Quota when a project would have more than it may. The transaction decides races.
func (s *Service) allow(ctx context.Context, tx *db.Tx, project string, more Limits) error {
	limits, err := s.Limits(ctx, tx, project)
	if err != nil {
		return err
	}
	used, err := s.Used(ctx, tx, project)
	if err != nil {
		return err
	}
	for _, resource := range []string{"instances", "cores", "ram", "server_groups"} {
		if most := limits[resource]; most != Unlimited && more[resource] > 0 && used[resource]+more[resource] > most {
			return fault.New(fault.Quota, "Quota exceeded for %s: Requested %d, but already used %d of %d %s",
				resource, more[resource], used[resource], most, resource)
		}
	}
	return nil
}
