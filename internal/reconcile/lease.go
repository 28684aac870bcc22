package reconcile

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
)

const (
	leaseFor   = 4 * time.Second        // a dead holder's queue is taken over after this
	renewEvery = 1 * time.Second        // by the holder
	stopBefore = 1 * time.Second        // the holder stops working that long before its lease ends
	takeEvery  = 500 * time.Millisecond // others try to take it
)

// take takes the queue, or prolongs the lease of the one who has it, and gives the lease's epoch; 0 when another process
// has it. Each holder has an epoch of its own. A lease that ends further ahead than leases do was given before the clock
// was set back: it does not count.
func (l *Loop) take(ctx context.Context) (epoch int64, err error) {
	now := l.o.Clock.Now()
	err = l.o.DB.QueryRowContext(ctx, `INSERT INTO reconcile_lease (queue, holder, epoch, until) VALUES ($1, $2, 1, $3)
		ON CONFLICT (queue) DO UPDATE SET holder = $2, until = $3,
			epoch = reconcile_lease.epoch + CASE WHEN reconcile_lease.holder = $2 THEN 0 ELSE 1 END
		WHERE reconcile_lease.holder = $2 OR reconcile_lease.until <= $4 OR reconcile_lease.until > $5
		RETURNING epoch`, string(l.o.Queue), l.holder, now.Add(leaseFor), now, now.Add(2*leaseFor)).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return epoch, err
}

// keep prolongs the lease until ctx ends, or until it is lost: taken by another process, or not prolonged in time, as when
// the database is away. It must not be lost unnoticed, so the time is measured from before the renewal, on a clock that
// cannot be set.
func (l *Loop) keep(ctx context.Context, epoch int64) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for end := time.Now().Add(leaseFor - stopBefore); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		try, cancel := context.WithDeadline(ctx, end)
		now, err := l.take(try)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && now == epoch:
			end = began.Add(leaseFor - stopBefore)
		case err == nil:
			l.o.Log.Warn("another process has taken over the queue", "queue", l.o.Queue)
			return
		case time.Now().After(end):
			l.o.Log.Error("the queue's lease could not be prolonged in time", "queue", l.o.Queue, "error", err)
			return
		}
	}
}

// release gives the queue to whoever wants it, at a clean stop.
func (l *Loop) release(epoch int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// The row stays, for its epoch.
	_, err := db.Changed(l.o.DB.ExecContext(ctx, `UPDATE reconcile_lease SET until = $4 WHERE queue = $1 AND holder = $2 AND epoch = $3`,
		string(l.o.Queue), l.holder, epoch, l.o.Clock.Now()))
	if err != nil {
		l.o.Log.Warn("the queue's lease was not given back; it ends by itself", "queue", l.o.Queue, "error", err)
	}
}
