package network

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/qos"
)

// UsersOf gives the networks and the ports that name a QoS policy, each with the ports whose rows depend on it by that.
func (s *Service) UsersOf(ctx context.Context, q db.Querier, policy string) ([]qos.User, error) {
	type row struct{ noun, id, port string }
	rows, err := db.List(ctx, q, func(scanned db.Scanner) (r row, err error) {
		return r, scanned.Scan(&r.noun, &r.id, &r.port)
	}, `SELECT 'network', n.id, COALESCE(p.id, '') FROM network n LEFT JOIN network_port p ON p.network = n.id AND p.qos = '' WHERE n.qos = $1
		UNION ALL SELECT 'port', id, id FROM network_port WHERE qos = $1 ORDER BY 1, 2, 3`, policy)
	if err != nil {
		return nil, err
	}
	var users []qos.User
	for _, r := range rows {
		if last := len(users) - 1; last < 0 || users[last].ID != r.id {
			users = append(users, qos.User{Noun: r.noun, ID: r.id})
		}
		if r.port != "" {
			u := &users[len(users)-1]
			u.Scopes = append(u.Scopes, "port/"+r.port)
		}
	}
	return users, nil
}
