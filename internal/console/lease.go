package console

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/machine"
)

// leaseFor is after how long without a sign of life a process's lines are taken over. It is renewed with every look.
const leaseFor = 15 * time.Second

// lease is who holds a line.
type lease struct {
	Instance, Machine, Holder, URL string
	Until                          time.Time
}

func scanLease(row db.Scanner) (l lease, err error) {
	return l, row.Scan(&l.Instance, &l.Machine, &l.Holder, &l.URL, &l.Until)
}

const leaseColumns = `instance, machine, holder, url, until`

// renew keeps all leases of this process, and gives those that it has.
func (s *Service) renew(ctx context.Context) (map[string]lease, error) {
	list, err := db.List(ctx, s.db, scanLease, `UPDATE console_lease SET until = $2 WHERE holder = $1 RETURNING `+leaseColumns,
		s.holder, s.clock.Now().Add(leaseFor))
	mine := map[string]lease{}
	for _, l := range list {
		mine[l.Instance] = l
	}
	return mine, err
}

// foreign gives the instances whose lines other living processes hold.
func (s *Service) foreign(ctx context.Context) (map[string]bool, error) {
	list, err := db.List(ctx, s.db, func(row db.Scanner) (id string, err error) { return id, row.Scan(&id) },
		`SELECT instance FROM console_lease WHERE holder <> $1 AND until > $2`, s.holder, s.clock.Now())
	there := map[string]bool{}
	for _, id := range list {
		there[id] = true
	}
	return there, err
}

// acquire takes the lease of a line that nobody holds. inherited: a process that died has held it on the same machine.
func (s *Service) acquire(ctx context.Context, loan machine.Loan) (got, inherited bool, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		got, inherited = false, false
		now := s.clock.Now()
		was, err := scanLease(tx.QueryRowContext(ctx, `SELECT `+leaseColumns+` FROM console_lease WHERE instance = $1`, loan.Instance))
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case was.Holder != s.holder && was.Until.After(now):
			return nil
		default:
			inherited = was.Holder != s.holder && was.Machine == loan.Machine
		}
		got = true
		_, err = tx.ExecContext(ctx, `INSERT INTO console_lease (`+leaseColumns+`) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (instance) DO UPDATE SET machine = $2, holder = $3, url = $4, until = $5`,
			loan.Instance, loan.Machine, s.holder, s.config.URL, now.Add(leaseFor))
		return err
	})
	return got && err == nil, inherited, err
}

func (s *Service) release(ctx context.Context, instance string) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM console_lease WHERE instance = $1 AND holder = $2`, instance, s.holder)
	return err
}

// Holder tells where the process is reached that holds an instance's line; empty: it is this one, or none.
func (s *Service) Holder(ctx context.Context, instance string) (url string, err error) {
	l, err := scanLease(s.db.QueryRowContext(ctx, `SELECT `+leaseColumns+` FROM console_lease WHERE instance = $1 AND until > $2`, instance, s.clock.Now()))
	if errors.Is(err, sql.ErrNoRows) || err == nil && l.Holder == s.holder {
		return "", nil
	}
	return l.URL, err
}
