package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

func TestColumnsKeepWhatTheyGet(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		must(t, exec(ctx, d, `CREATE TABLE thing (id TEXT PRIMARY KEY, doc TEXT NOT NULL, at TIMESTAMP, flag BOOLEAN NOT NULL)`))
		at := time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC)
		doc := map[string]int{"a": 1}
		var none time.Time
		must(t, exec(ctx, d, `INSERT INTO thing VALUES ($1, $2, $3, $4), ('none', '{}', $5, FALSE)`, "x", db.JSON(doc), db.NullTime(&at), true, db.NullTime(&none)))
		var (
			gotDoc map[string]int
			gotAt  time.Time
			flag   bool
		)
		must(t, d.QueryRowContext(ctx, `SELECT doc, at, flag FROM thing WHERE at <= $1`, at).Scan(db.JSON(&gotDoc), db.NullTime(&gotAt), &flag))
		if gotDoc["a"] != 1 || !gotAt.Equal(at) || !flag {
			t.Errorf("got %v %v %v", gotDoc, gotAt, flag)
		}
		must(t, d.QueryRowContext(ctx, `SELECT at FROM thing WHERE id = 'none'`).Scan(db.NullTime(&gotAt)))
		if !gotAt.IsZero() {
			t.Errorf("NULL came back as %v", gotAt)
		}
		if err := exec(ctx, d, `INSERT INTO thing VALUES ('x', '{}', NULL, TRUE)`); !db.IsDuplicate(err) {
			t.Errorf("a duplicate key gave %v", err)
		}
	})
}

func TestTransactionsAreSerializable(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		must(t, exec(ctx, d, `CREATE TABLE counter (n INTEGER NOT NULL)`))
		must(t, exec(ctx, d, `INSERT INTO counter VALUES (0)`))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					err := d.Tx(ctx, func(tx *db.Tx) error {
						var n int
						if err := tx.QueryRowContext(ctx, `SELECT n FROM counter`).Scan(&n); err != nil {
							return err
						}
						_, err := tx.ExecContext(ctx, `UPDATE counter SET n = $1`, n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		must(t, d.QueryRowContext(ctx, `SELECT n FROM counter`).Scan(&n))
		if n != 40 {
			t.Errorf("40 increments gave %d", n)
		}
	})
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		must(t, exec(ctx, d, `CREATE TABLE thing (id TEXT PRIMARY KEY)`))
		boom := errors.New("boom")
		err := d.Tx(ctx, func(tx *db.Tx) error {
			must(t, exec(ctx, tx, `INSERT INTO thing VALUES ('x')`))
			return boom
		})
		var n int
		must(t, d.QueryRowContext(ctx, `SELECT count(*) FROM thing`).Scan(&n))
		if !errors.Is(err, boom) || n != 0 {
			t.Errorf("got %v and %d rows", err, n)
		}
	})
}

func exec(ctx context.Context, q db.Querier, query string, args ...any) error {
	_, err := q.ExecContext(ctx, query, args...)
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFullDatabaseIsTold(t *testing.T) {
	d := dbtest.SQLite(t)
	d.SetMaxOpenConns(1)                                           // the limit is the connection's
	if _, err := d.Exec(`PRAGMA max_page_count = 1`); err != nil { // as small as it is now
		t.Fatal(err)
	}
	_, err := d.Exec(`CREATE TABLE big AS SELECT zeroblob(1000000) AS b`)
	if !db.IsFull(err) {
		t.Errorf("a full database gave %v", err)
	}
	if _, err := d.Exec(`SELECT nothing`); err == nil || db.IsFull(err) {
		t.Errorf("a mistake gave %v", err)
	}
}
