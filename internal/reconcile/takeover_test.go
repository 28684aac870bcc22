package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

func open(t testing.TB, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// dsns are new databases that several processes can open, by engine.
func dsns(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+t.TempDir()+"/ingot.db") })
	t.Run("postgres", func(t *testing.T) { test(t, dbtest.PostgresDSN(t)) })
}

// One of two loops has the queue; the other gets it at once when the first stops cleanly.
func TestOnlyOneHasTheQueue(t *testing.T) {
	dsns(t, func(t *testing.T, dsn string) {
		d := open(t, dsn)
		var has [2]atomic.Bool
		var both atomic.Bool
		var stops [2]func()
		for i := range stops {
			_, stops[i] = run(t, reconcile.Options{DB: open(t, dsn),
				Beside: func(ctx context.Context) {
					has[i].Store(true)
					both.Store(both.Load() || has[1-i].Load())
					<-ctx.Done()
					has[i].Store(false)
				},
				Work: func(context.Context, string) error {
					if !has[i].Load() {
						return errors.New("worked without the queue")
					}
					return nil
				}})
		}
		eventually(t, "one has it", func() bool { return has[0].Load() || has[1].Load() })
		first := 0
		if has[1].Load() {
			first = 1
		}
		set(t, d, "a")
		eventually(t, "it works", func() bool { return pending(t, d).Marks == 0 })
		stops[first]()
		set(t, d, "b")
		eventually(t, "the other has it", func() bool { return has[1-first].Load() && pending(t, d).Marks == 0 })
		if both.Load() {
			t.Error("both had the queue")
		}
	})
}

// Another process's poke reaches the one that has the queue.
func TestPokeOfAnotherProcess(t *testing.T) {
	dsn := dbtest.PostgresDSN(t)
	d := open(t, dsn)
	run(t, reconcile.Options{DB: d, Work: func(context.Context, string) error { return nil }})
	set(t, d, "a")
	eventually(t, "it works", func() bool { return pending(t, d).Marks == 0 })
	var listening int
	eventually(t, "it listens", func() bool {
		err := d.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`).Scan(&listening)
		return err == nil && listening == 1
	})
	other, _ := run(t, reconcile.Options{DB: open(t, dsn), Work: func(context.Context, string) error { return errors.New("not mine") }})
	for i := range 20 {
		set(t, d, fmt.Sprint(i))
		other.Poke()
		eventually(t, "the other's mark is worked off", func() bool { return pending(t, d).Marks == 0 })
	}
}

// A clock that was set back does not keep the queue from a process.
func TestClockSetBack(t *testing.T) {
	d := dbtest.SQLite(t)
	c := clock.NewFake()
	if _, err := d.Exec(`INSERT INTO reconcile_lease (queue, holder, epoch, until) VALUES ($1, 'dead', 7, $2)`, string(queue), c.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	set(t, d, "a")
	run(t, reconcile.Options{DB: d, Clock: c, Work: func(context.Context, string) error { return nil }})
	eventually(t, "it works", func() bool { return pending(t, d).Marks == 0 })
}

// The process that is killed in the crash test: it works on a mark, says so by a file, and never ends.
const victim = "INGOT_RECONCILE_VICTIM"

func TestMain(m *testing.M) {
	dsn := os.Getenv(victim)
	if dsn == "" {
		os.Exit(m.Run())
	}
	d, err := db.Open(context.Background(), dsn)
	if err != nil {
		panic(err)
	}
	reconcile.New(reconcile.Options{Queue: queue, DB: d, Clock: clock.Real{}, Log: discard, Work: func(_ context.Context, key string) error {
		if err := os.WriteFile(os.Getenv(victim+"_EFFECT"), []byte(key), 0o600); err != nil {
			panic(err)
		}
		select {} // the effect is there, the mark is not removed
	}}).Run(context.Background())
}

// A process is killed between the work and the removal of the mark: another takes over and does it again.
func TestKilledBetweenWorkAndRemoval(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until leases end")
	}
	dsns(t, func(t *testing.T, dsn string) {
		d := open(t, dsn)
		set(t, d, "a")
		effect := t.TempDir() + "/effect"
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+dsn, victim+"_EFFECT="+effect)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // it is dead by then, unless the test failed
		eventually(t, "the effect is there", func() bool { _, err := os.Stat(effect); return err == nil })
		w := newWorld()
		run(t, reconcile.Options{DB: d, Work: func(_ context.Context, key string) error { defer w.begin(key)(); return nil }})
		time.Sleep(outlived) // the victim renews its lease meanwhile
		if w.count("a") != 0 {
			t.Fatal("two processes worked at once")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the error is that it was killed
		killed := time.Now()
		eventually(t, "another takes over", func() bool { return w.count("a") == 1 && pending(t, d).Marks == 0 })
		t.Log("taken over within", time.Since(killed).Round(time.Millisecond))
	})
}

// outlived is longer than a lease lasts without being renewed.
const outlived = 5 * time.Second
