package reconcile

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/ingotcloud/ingot/internal/db"
)

// channel is that of PostgreSQL's NOTIFY. SQLite has none, and one process.
func (l *Loop) channel() string { return "reconcile_" + string(l.o.Queue) }

func (l *Loop) notify(ctx context.Context) error {
	if l.o.DB.Engine != db.Postgres {
		return nil
	}
	_, err := l.o.DB.ExecContext(ctx, `SELECT pg_notify($1, '')`, l.channel())
	return err
}

// listen pokes this loop when other processes notify, until ctx ends.
func (l *Loop) listen(ctx context.Context) {
	for l.o.DB.Engine == db.Postgres && ctx.Err() == nil {
		err := l.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		l.o.Log.Warn("other processes' changes are found a little later", "queue", l.o.Queue, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// listenOnce holds one connection of the pool.
func (l *Loop) listenOnce(ctx context.Context) error {
	conn, err := l.o.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it is broken or not needed any more
	return conn.Raw(func(driver any) error {
		pg := driver.(*stdlib.Conn).Conn()
		// A connection that listens is good for nothing else.
		defer pg.Close(context.WithoutCancel(ctx)) //nolint:errcheck // likewise
		if _, err := pg.Exec(ctx, "LISTEN "+pgx.Identifier{l.channel()}.Sanitize()); err != nil {
			return err
		}
		for {
			if _, err := pg.WaitForNotification(ctx); err != nil {
				return err
			}
			l.Poke()
		}
	})
}
