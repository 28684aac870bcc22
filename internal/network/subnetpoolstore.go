package network

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const subnetPoolColumns = metaColumns + `, prefixes, default_bits, least_bits, most_bits, quota, is_default, address_scope`

func scanSubnetPool(row db.Scanner) (*SubnetPool, error) {
	var p SubnetPool
	err := row.Scan(append(p.columns(), db.JSON(&p.Prefixes), &p.DefaultBits, &p.LeastBits, &p.MostBits, &p.Quota, &p.Default, &p.AddressScope)...)
	return &p, err
}

// row are the values of subnetPoolColumns.
func (p *SubnetPool) row() []any {
	return append(p.written(), db.JSON(p.Prefixes), p.DefaultBits, p.LeastBits, p.MostBits, p.Quota, p.Default, p.AddressScope)
}

// SubnetPools that the viewer sees, oldest first: its own, and those shared with it.
func (s *Service) SubnetPools(ctx context.Context, q db.Querier, v Viewer) ([]*SubnetPool, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ? OR `+sharedWith(`id`, SharedSubnetPool), v.Project, v.Project)
	}
	found, err := db.List(ctx, q, scanSubnetPool, `SELECT `+subnetPoolColumns+` FROM network_subnetpool`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	shared, err := s.SharedWith(ctx, q, SharedSubnetPool, v.Project)
	for _, p := range found {
		p.Shared = slices.Contains(shared, p.ID)
	}
	return found, err
}

// SubnetPool finds a pool that the viewer sees.
func (s *Service) SubnetPool(ctx context.Context, q db.Querier, v Viewer, id string) (*SubnetPool, error) {
	all, err := s.SubnetPools(ctx, q, v)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(p *SubnetPool) bool { return p.ID == id })
	if at < 0 {
		return nil, refuse(fault.NotFound, NoSuchSubnetPool, "Subnet pool %s could not be found.", id)
	}
	return all[at], nil
}

func (s *Service) saveSubnetPool(ctx context.Context, tx *db.Tx, p *SubnetPool) error {
	if err := s.checkSubnetPool(ctx, tx, p); err != nil {
		return err
	}
	s.touch(&p.Meta)
	return update(ctx, tx, SubnetPoolTable, subnetPoolColumns, p.row())
}

// cutFrom are the subnets that are from a pool.
func (s *Service) cutFrom(ctx context.Context, q db.Querier, pool string) ([]*Subnet, error) {
	var where db.Where
	where.And(`subnetpool = ?`, pool)
	return s.subnets(ctx, q, where)
}
