// Package db opens the state database: SQLite as the embedded default, PostgreSQL with another DSN. One SQL text runs
// on both: $1 placeholders, upserts, RETURNING, partial indexes, BOOLEAN, TIMESTAMP (always UTC), JSON as TEXT.
//
// Transactions are serializable on both and are retried here when the engine asks for it, so a function given to Tx
// may run more than once: it must touch nothing but the database and its own variables.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Engine names what is behind a DB.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Querier is what DB and Tx share; stores take it so that a caller decides about the transaction.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is the database.
type DB struct {
	*sql.DB
	Engine Engine

	mu        sync.Mutex
	listeners map[string][]func() // by topic
}

// Tx is a transaction given to the function of DB.Tx.
type Tx struct {
	*sql.Tx
	announced []string // topics
}

// Open opens and migrates the database that dsn names: "sqlite:PATH" or "postgres://…".
func Open(ctx context.Context, dsn string) (*DB, error) {
	d, err := connect(dsn)
	if err != nil {
		return nil, err
	}
	if err := d.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), d.Close())
	}
	if err := d.migrate(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// connections to PostgreSQL at most. They are kept: opening one costs more than any of our statements.
const connections = 16

// settings of PostgreSQL's sessions, unless the DSN says others. Whoever reads a whole table conflicts with everybody who
// writes to it (serializable transactions lock what they read), and the planner reads small tables whole unless it is told
// not to. It believes such plans to be so dear that it would compile them.
var settings = map[string]string{"enable_seqscan": "off", "jit": "off"}

func connect(dsn string) (*DB, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		options := url.Values{"_txlock": {"immediate"}, "_time_format": {"sqlite"}, "_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		}}
		pool, err := sql.Open("sqlite", "file:"+path+"?"+options.Encode())
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		pool.SetMaxOpenConns(8)
		return &DB{DB: pool, Engine: SQLite}, nil
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, fmt.Errorf("open PostgreSQL: %w", err)
		}
		for name, value := range settings {
			if _, given := config.RuntimeParams[name]; !given {
				config.RuntimeParams[name] = value
			}
		}
		pool := stdlib.OpenDB(*config)
		pool.SetMaxOpenConns(connections)
		pool.SetMaxIdleConns(connections)
		return &DB{DB: pool, Engine: Postgres}, nil
	}
	return nil, errors.New(`the database must be "sqlite:PATH" or "postgres://…"`)
}

// A transaction that loses again and again waits for some seconds in all, so that it outlives a crowd.
const (
	mostAttempts = 40
	longestPause = 200 * time.Millisecond
)

// Tx runs f in a serializable transaction and commits when f returns nil. It runs f again when the engine says that
// the transaction lost against another one.
func (d *DB) Tx(ctx context.Context, f func(tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := d.once(ctx, f)
		if err == nil || !retryable(err) || attempt == mostAttempts {
			return err
		}
		select {
		case <-time.After(rand.N(min(time.Millisecond<<min(attempt, 10), longestPause))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *DB) once(ctx context.Context, f func(tx *Tx) error) error {
	options := &sql.TxOptions{}
	if d.Engine == Postgres {
		options.Isolation = sql.LevelSerializable
	}
	begun, err := d.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	tx := &Tx{Tx: begun}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do; otherwise the first error counts
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.tell(tx.announced)
	return nil
}

func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization failure, deadlock
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// IsDuplicate reports whether err is a violated unique index or primary key.
func IsDuplicate(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && (lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// IsFull reports whether err is a write for which the database's disk has no room. Nothing of it was written.
func IsFull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53100"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_FULL
}

// Changed gives how many rows an Exec changed.
func Changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
