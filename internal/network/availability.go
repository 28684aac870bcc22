package network

import (
	"context"
	"math/big"

	"github.com/ingotcloud/ingot/internal/db"
)

// Fill tells how full a subnet is.
type Fill struct {
	*Subnet
	Total *big.Int // addresses in its pools; where it has none, all usable ones
	Used  int
}

// Fills are those of all subnets, by their network's id.
func (s *Service) Fills(ctx context.Context, q db.Querier) (map[string][]Fill, error) {
	subnets, err := s.Subnets(ctx, q, Everything, SubnetFilter{})
	if err != nil {
		return nil, err
	}
	type count struct {
		subnet string
		n      int
	}
	counts, err := db.List(ctx, q, func(row db.Scanner) (c count, err error) {
		return c, row.Scan(&c.subnet, &c.n)
	}, `SELECT subnet, count(*) FROM network_address GROUP BY subnet`)
	if err != nil {
		return nil, err
	}
	used := map[string]int{}
	for _, c := range counts {
		used[c.subnet] = c.n
	}
	fills := map[string][]Fill{}
	for _, subnet := range subnets {
		pools := subnet.Pools
		if len(pools) == 0 {
			pools = []Pool{usable(subnet.CIDR)}
		}
		total := new(big.Int)
		for _, p := range pools {
			total.Add(total, p.count())
		}
		fills[subnet.Network] = append(fills[subnet.Network], Fill{subnet, total, used[subnet.ID]})
	}
	return fills, nil
}

// count is how many addresses the pool has.
func (p Pool) count() *big.Int {
	first, last := new(big.Int).SetBytes(p.First.AsSlice()), new(big.Int).SetBytes(p.Last.AsSlice())
	return last.Sub(last, first).Add(last, big.NewInt(1))
}
