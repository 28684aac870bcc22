package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Loan is a machine that an instance has.
type Loan struct {
	Machine, Instance string
	Power             PowerState // as last seen
}

// Lent gives the machines that instances have. It reads little of each, so that it may be asked every second.
func (s *Service) Lent(ctx context.Context) ([]Loan, error) {
	return db.List(ctx, s.db, func(row db.Scanner) (l Loan, err error) {
		return l, row.Scan(&l.Machine, &l.Instance, &l.Power)
	}, `SELECT id, instance, power FROM machine WHERE instance <> '' ORDER BY id`)
}
