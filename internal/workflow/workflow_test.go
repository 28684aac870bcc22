package workflow_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
	"github.com/ingotcloud/ingot/internal/workflow/workflowtest"
)

type trip struct{ Names []string }

// bench is a small world: a table that Tx steps write and a set that Do steps write.
type bench struct {
	db    *db.DB
	clock *clock.Fake
	world map[string]bool
	ready bool
}

func newBench(t *testing.T, d *db.DB) *bench {
	t.Helper()
	if _, err := d.Exec(`CREATE TABLE booking (name TEXT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	return &bench{db: d, clock: clock.NewFake(), world: map[string]bool{}}
}

func (b *bench) engine() *workflow.Engine {
	return workflow.New(b.db, b.clock, slog.New(slog.DiscardHandler), 2)
}

func (b *bench) flow() workflow.Flow[trip] {
	book := func(name string) workflow.Step[trip] {
		return workflow.Tx("book-"+name, "Book "+name, func(ctx context.Context, tx *db.Tx, _ *workflow.Run, s *trip) error {
			s.Names = append(s.Names, name)
			_, err := tx.ExecContext(ctx, `INSERT INTO booking VALUES ($1)`, name)
			return err
		}).UndoTx(func(ctx context.Context, tx *db.Tx, _ *workflow.Run, s *trip) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM booking WHERE name = $1`, name)
			return err
		})
	}
	return workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
		book("hotel"),
		workflow.Do("pack", "Pack", func(context.Context, *workflow.Run, *trip) error {
			b.world["packed"] = true
			return nil
		}).UndoDo(func(context.Context, *workflow.Run, *trip) error {
			delete(b.world, "packed")
			return nil
		}),
		workflow.Do("await", "Wait for the train", func(context.Context, *workflow.Run, *trip) error {
			if !b.ready {
				return workflow.Wait("the train", time.Hour, workflow.Abort(fault.New(fault.Unavailable, "no train came")))
			}
			return nil
		}),
		book("seat"),
	}}
}

func (b *bench) describe(ctx context.Context) (any, error) {
	names, err := db.List(ctx, b.db, func(row db.Scanner) (string, error) {
		var name string
		return name, row.Scan(&name)
	}, `SELECT name FROM booking ORDER BY name`)
	return map[string]any{"booked": names, "packed": b.world["packed"]}, err
}

func (b *bench) start(ctx context.Context, e *workflow.Engine) (id string, err error) {
	err = b.db.Tx(ctx, func(tx *db.Tx) error {
		id, err = e.Start(ctx, tx, "trip", "traveller/1", "req-1", trip{})
		return err
	})
	return id, err
}

func TestCrashAndUnwind(t *testing.T) {
	fresh := func(open func(testing.TB) *db.DB) func(t *testing.T) workflowtest.Case[trip] {
		return func(t *testing.T) workflowtest.Case[trip] {
			b := newBench(t, open(t))
			return workflowtest.Case[trip]{
				DB: b.db, Clock: b.clock, Flow: b.flow(), Start: b.start, World: b.describe,
				Turn: func(ctx context.Context, e *workflow.Engine) error {
					b.ready = true
					run, err := workflow.ActiveOf(ctx, b.db, "traveller/1")
					if err != nil || run == nil {
						return err
					}
					return e.Signal(ctx, b.db, run.ID)
				},
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		workflowtest.Crash(t, fresh(dbtest.SQLite))
		workflowtest.Unwind(t, fresh(dbtest.SQLite))
	})
	t.Run("postgres", func(t *testing.T) {
		dbtest.Postgres(t) // keeps the server for all the cases
		workflowtest.Crash(t, fresh(dbtest.Postgres))
		workflowtest.Unwind(t, fresh(dbtest.Postgres))
	})
}

func TestAWaitEndsAtItsDeadline(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		workflow.Register(e, b.flow())
		id := must(b.start(ctx, e))(t)
		check(t, e.RunDue(ctx))
		if run := find(t, d, id); run.Waiting != "the train" || run.Status != workflow.Active {
			t.Fatalf("parked as %+v", run)
		}
		b.clock.Step(2 * time.Hour)
		check(t, e.RunDue(ctx))
		if run := find(t, d, id); run.Status != workflow.Aborted || run.Err != "no train came" {
			t.Fatalf("ended as %s %q", run.Status, run.Err)
		}
		steps := must(workflow.StepsOf(ctx, d, id))(t)
		last := steps[len(steps)-1]
		if last.Name != "book-hotel" || !last.Backward || last.Outcome != "done" {
			t.Errorf("the last record is %+v", last)
		}
	})
}

func TestASignalBeforeParkingIsNotLost(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		looks := 0
		workflow.Register(e, workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
			workflow.Do("await", "Wait", func(ctx context.Context, run *workflow.Run, _ *trip) error {
				if looks++; looks > 1 {
					return nil
				}
				check(t, e.Signal(ctx, d, run.ID)) // the news comes while the body runs
				return workflow.Wait("news", time.Hour, workflow.Abort(errors.New("none")))
			}),
		}})
		id := must(b.start(ctx, e))(t)
		check(t, e.RunDue(ctx))
		if run := find(t, d, id); run.Status != workflow.Done {
			t.Errorf("ended as %s after %d looks", run.Status, looks)
		}
	})
}

func TestRewindTakesAnotherWay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		var log []string
		note := func(what string) workflow.DoBody[trip] {
			return func(context.Context, *workflow.Run, *trip) error { log = append(log, what); return nil }
		}
		workflow.Register(e, workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
			workflow.Do("a", "A", note("a")).UndoDo(note("undo a")),
			workflow.Do("pick", "Pick", note("pick")).UndoDo(note("undo pick")),
			workflow.Do("use", "Use", func(_ context.Context, _ *workflow.Run, s *trip) error {
				if len(s.Names) == 0 {
					s.Names = append(s.Names, "bad one")
					return workflow.Rewind("pick", errors.New("it is broken"))
				}
				log = append(log, "use after "+s.Names[0])
				return nil
			}).UndoDo(note("undo use")),
		}})
		id := must(b.start(ctx, e))(t)
		check(t, e.RunDue(ctx))
		want := []string{"a", "pick", "undo use", "undo pick", "pick", "use after bad one"}
		if run := find(t, d, id); run.Status != workflow.Done || len(log) != len(want) {
			t.Fatalf("%s %q %v", run.Status, run.Err, log)
		}
		for i := range want {
			if log[i] != want[i] {
				t.Fatalf("got %v", log)
			}
		}
	})
}

func TestCancelUnwindsAndTheQueuedRunFollows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		workflow.Register(e, b.flow())
		workflow.Register(e, workflow.Flow[trip]{Name: "home", Steps: []workflow.Step[trip]{
			workflow.Do("go", "Go home", func(context.Context, *workflow.Run, *trip) error { b.world["home"] = true; return nil }),
		}})
		first := must(b.start(ctx, e))(t)
		check(t, e.RunDue(ctx))
		if _, err := b.start(ctx, e); fault.KindOf(err) != fault.Conflict {
			t.Fatalf("a second run on the resource gave %v", err)
		}
		check(t, d.Tx(ctx, func(tx *db.Tx) error {
			_, err := e.Replace(ctx, tx, "home", "traveller/1", "req-2", trip{}, "no holiday")
			return err
		}))
		check(t, e.RunDue(ctx))
		run := find(t, d, first)
		if run.Status != workflow.Aborted || !workflow.IsCanceled(run.Cause()) || !b.world["home"] || b.world["packed"] {
			t.Errorf("%s %q %v", run.Status, run.Err, b.world)
		}
	})
}

func TestAnUnclassifiedErrorIsRetriedThenAborts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		tries := 0
		workflow.Register(e, workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
			workflow.Do("a", "A", func(context.Context, *workflow.Run, *trip) error { tries++; return errors.New("flaky") }),
		}})
		id := must(b.start(ctx, e))(t)
		for range 20 {
			check(t, e.RunDue(ctx))
			b.clock.Step(time.Minute)
		}
		if run := find(t, d, id); run.Status != workflow.Aborted || tries != 6 {
			t.Errorf("%s after %d tries", run.Status, tries)
		}
	})
}

func TestAPanicIsStuckAndCanBeResumed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		e := b.engine()
		broken := true
		workflow.Register(e, workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
			workflow.Do("a", "A", func(context.Context, *workflow.Run, *trip) error {
				if broken {
					panic("boom")
				}
				return nil
			}),
		}})
		id := must(b.start(ctx, e))(t)
		check(t, e.RunDue(ctx))
		if run := find(t, d, id); run.Status != workflow.IsStuck {
			t.Fatalf("%s %q", run.Status, run.Err)
		}
		broken = false
		check(t, e.Resume(ctx, id))
		check(t, e.RunDue(ctx))
		if run := find(t, d, id); run.Status != workflow.Done || run.Err != "" {
			t.Errorf("%s %q", run.Status, run.Err)
		}
	})
}

// An owner that was paused past its lease must not record anything: the other one's work counts.
func TestALateOwnerIsFenced(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, b := context.Background(), newBench(t, d)
		first, second := b.engine(), b.engine()
		var runs atomic.Int32
		flow := func(e *workflow.Engine, pause bool) workflow.Flow[trip] {
			return workflow.Flow[trip]{Name: "trip", Steps: []workflow.Step[trip]{
				workflow.Do("a", "A", func(ctx context.Context, run *workflow.Run, s *trip) error {
					runs.Add(1)
					if pause {
						b.clock.Step(time.Minute)
						check(t, second.RunDue(ctx))
						s.Names = []string{"late"}
						return nil
					}
					s.Names = []string{"in time"}
					return nil
				}),
			}}
		}
		workflow.Register(first, flow(first, true))
		workflow.Register(second, flow(second, false))
		id := must(b.start(ctx, first))(t)
		check(t, first.RunDue(ctx))
		run := find(t, d, id)
		var s trip
		check(t, run.Decode(&s))
		if run.Status != workflow.Done || runs.Load() != 2 || s.Names[0] != "in time" {
			t.Errorf("%s, %d bodies, state %v", run.Status, runs.Load(), s.Names)
		}
	})
}

func TestAClockSetBackDoesNotStopWork(t *testing.T) {
	d := dbtest.SQLite(t)
	b := newBench(t, d)
	e := b.engine()
	workflow.Register(e, b.flow())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	id := must(b.start(ctx, e))(t)
	check(t, e.RunDue(ctx)) // parked with a deadline in an hour
	stopped := make(chan struct{})
	go func() { defer close(stopped); e.Run(ctx) }()
	b.ready = true
	b.clock.Step(-24 * time.Hour)
	for find(t, d, id).Status != workflow.Done {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-stopped
}

func find(t *testing.T, d *db.DB, id string) *workflow.Run {
	t.Helper()
	return must(workflow.Find(context.Background(), d, id))(t)
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
