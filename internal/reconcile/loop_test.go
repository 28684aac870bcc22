package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

const queue = reconcile.Networks

var discard = slog.New(slog.DiscardHandler)

// world counts what is worked on.
type world struct {
	mu      sync.Mutex
	started map[string]int
	now     map[string]int // keys being worked on
	most    int            // at once
	twice   bool           // the same key was, at once
}

func newWorld() *world { return &world{started: map[string]int{}, now: map[string]int{}} }

// begin notes that a key is worked on until the function returned is called.
func (w *world) begin(key string) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started[key]++
	w.now[key]++
	w.twice = w.twice || w.now[key] > 1
	w.most = max(w.most, w.all())
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now[key]--
	}
}

func (w *world) all() (n int) {
	for _, k := range w.now {
		n += k
	}
	return n
}

func (w *world) count(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[key]
}

func set(t testing.TB, d *db.DB, keys ...string) {
	t.Helper()
	err := d.Tx(context.Background(), func(tx *db.Tx) error {
		for _, key := range keys {
			if err := reconcile.Mark(context.Background(), tx, queue, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pending(t testing.TB, d *db.DB) reconcile.Pending {
	t.Helper()
	p, err := reconcile.PendingOf(context.Background(), d, queue)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// run starts a loop. The function returned ends it and waits; so does the test's end.
func run(t testing.TB, o reconcile.Options) (l *reconcile.Loop, stop func()) {
	t.Helper()
	o.Queue, o.Log = queue, discard
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	l = reconcile.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return l, stop
}

func TestMarksAreWorkedOff(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld()
		l, _ := run(t, reconcile.Options{DB: d, Workers: 3, Work: func(ctx context.Context, key string) error {
			defer w.begin(key)()
			time.Sleep(2 * time.Millisecond)
			return nil
		}})
		var keys []string
		for i := range 40 {
			keys = append(keys, fmt.Sprint("port/", i))
		}
		set(t, d, keys...)
		for range 20 { // the same key again and again, with pokes
			set(t, d, keys[0])
			l.Poke()
		}
		eventually(t, "nothing is left", func() bool { return pending(t, d).Marks == 0 })
		for _, key := range keys {
			if w.count(key) == 0 {
				t.Errorf("%s was not worked on", key)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most > 3 || w.most < 2 || w.twice {
			t.Errorf("at once: %d keys, the same key twice: %v", w.most, w.twice)
		}
	})
}

// A mark that is set while its key is being worked on is not lost.
func TestSetAgainDuringTheWork(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld()
		run(t, reconcile.Options{DB: d, Work: func(ctx context.Context, key string) error {
			defer w.begin(key)()
			if w.count(key) == 1 {
				set(t, d, key)
			}
			return nil
		}})
		set(t, d, "a")
		eventually(t, "it is done twice", func() bool { return w.count("a") == 2 && pending(t, d).Marks == 0 })
	})
}

func TestFailuresAreTriedAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld()
		release := make(chan struct{})
		l, _ := run(t, reconcile.Options{DB: d, Work: func(ctx context.Context, key string) error {
			defer w.begin(key)()
			select {
			case <-release:
				return nil
			default:
			}
			switch key {
			case "bad":
				return errors.New("the world is away")
			case "worse":
				panic("oh")
			}
			return nil
		}})
		set(t, d, "bad", "worse", "good")
		l.Poke()
		eventually(t, "two fail repeatedly", func() bool {
			p := pending(t, d)
			return p.Marks == 2 && len(p.Failing) == 2 && p.Failing[1].Attempts >= 3
		})
		for _, f := range pending(t, d).Failing {
			if f.Key == "bad" && f.Error != "the world is away" || f.Key == "worse" && !strings.Contains(f.Error, "panic: oh") {
				t.Errorf("failure %+v", f)
			}
		}
		close(release)
		set(t, d, "bad", "worse") // at once, whatever the pause is
		l.Poke()
		eventually(t, "nothing is left", func() bool { return pending(t, d).Marks == 0 })
		if w.count("good") != 1 {
			t.Errorf("the good one was done %d times", w.count("good"))
		}
	})
}

func TestOrderAndFullLook(t *testing.T) {
	d := dbtest.SQLite(t)
	set(t, d, "c", "a", "d", "b")
	var mu sync.Mutex
	var done []string
	looks := 0
	l, _ := run(t, reconcile.Options{DB: d, Workers: 1,
		Order: func(a, b string) int { return strings.Compare(b, a) },
		All: func(context.Context) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			switch looks++; looks {
			case 1:
				return nil, errors.New("not yet")
			case 2:
				return []string{"drifted"}, nil
			}
			return nil, nil
		},
		Work: func(_ context.Context, key string) error {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, key)
			return nil
		}})
	get := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(done) }
	eventually(t, "the full look is tried again, and what it finds is mended", func() bool { return slices.Contains(get(), "drifted") })
	if got := get(); !slices.Equal(slices.DeleteFunc(got, func(k string) bool { return k == "drifted" }), []string{"d", "c", "b", "a"}) {
		t.Errorf("the order was %q", got)
	}
	l.Look()
	eventually(t, "a look on demand", func() bool { mu.Lock(); defer mu.Unlock(); return looks >= 3 })
}

// Latency from commit to work: no assertion on the time, but without the poke it would be the poll's.
func BenchmarkPoke(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres", "postgres-other-process"} {
		b.Run(engine, func(b *testing.B) {
			var d, other *db.DB
			if engine == "sqlite" {
				d = dbtest.SQLite(b)
			} else {
				dsn := dbtest.PostgresDSN(b)
				d, other = open(b, dsn), open(b, dsn)
			}
			came := make(chan string, 1)
			l, _ := run(b, reconcile.Options{DB: d, Work: func(_ context.Context, key string) error { came <- key; return nil }})
			set(b, d, "first")
			<-came
			if engine == "postgres-other-process" {
				l, _ = run(b, reconcile.Options{DB: other, Work: func(context.Context, string) error { return errors.New("not mine") }})
				d = other
			}
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				set(b, d, fmt.Sprint(i))
				b.StartTimer()
				l.Poke()
				<-came
			}
		})
	}
}
