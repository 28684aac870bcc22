package router

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/qos"
)

// UsersOf gives the floating IPs that name a QoS policy.
func (s *Service) UsersOf(ctx context.Context, q db.Querier, policy string) ([]qos.User, error) {
	return db.List(ctx, q, func(row db.Scanner) (u qos.User, err error) {
		u.Noun = "floatingip"
		err = row.Scan(&u.ID)
		u.Scopes = []string{"floatingip/" + u.ID}
		return u, err
	}, `SELECT id FROM floatingip WHERE qos = $1 ORDER BY id`, policy)
}
