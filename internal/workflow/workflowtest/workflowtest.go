// Package workflowtest shows that a flow loses nothing: it kills and resumes it at three points of every step, and
// fails every step and compares the world with what it was.
package workflowtest

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Clock is one that the harness sets forward.
type Clock interface {
	clock.Clock
	Step(d time.Duration)
}

// Case is a fresh world with one flow to run in it. A test gives a function that makes one, since each point of each
// step gets its own.
type Case[S any] struct {
	DB    *db.DB
	Clock Clock
	Flow  workflow.Flow[S]
	// Others registers flows that the one under test starts.
	Others func(e *workflow.Engine)
	// Start begins the run and gives its id.
	Start func(ctx context.Context, e *workflow.Engine) (string, error)
	// Turn lets the world answer: agents report, machines boot. It is called between rounds; it may be nil.
	Turn func(ctx context.Context, e *workflow.Engine) error
	// World describes all that the flow may change, without ids and times that differ from run to run.
	World func(ctx context.Context) (any, error)
}

// rounds of work and answers before a run is given up; each steps the clock past a lease.
const rounds = 120

// errInjected is the failure that Unwind injects.
var errInjected = fault.New(fault.Unavailable, "injected failure")

// point of a step at which the process dies.
type point string

const (
	beforeStep   point = "before"
	beforeCommit point = "after its effect, before its commit"
	afterCommit  point = "after its commit"
)

// Crash kills the process at three points of every step that a normal run passes, resumes it with another, and demands
// the same end as without.
func Crash[S any](t *testing.T, fresh func(t *testing.T) Case[S]) {
	t.Helper()
	var want any
	t.Run("undisturbed", func(t *testing.T) {
		c := fresh(t)
		run := c.run(t, c.Flow)
		if run.Status != workflow.Done {
			t.Fatalf("undisturbed, the flow ended %s: %s", run.Status, run.Err)
		}
		want = c.world(t)
	})
	if want == nil {
		return
	}
	for _, step := range fresh(t).Flow.Steps {
		for _, at := range []point{beforeStep, beforeCommit, afterCommit} {
			t.Run(step.Name+"/"+string(at), func(t *testing.T) {
				c := fresh(t)
				died := false
				die := func() { died = true; runtime.Goexit() }
				previous := ""
				flow := c.Flow.Wrap(func(name string, backward bool, call func() error) error {
					last := previous
					previous = name
					if !died && (at == beforeStep && name == step.Name || at == afterCommit && last == step.Name && name != step.Name) {
						die()
					}
					err := call()
					if !died && at == beforeCommit && name == step.Name && err == nil {
						die()
					}
					return err
				})
				run := c.run(t, flow)
				last := c.Flow.Steps[len(c.Flow.Steps)-1].Name
				if !died && !(at == afterCommit && step.Name == last) {
					t.Fatal("the flow never came to this point")
				}
				if run.Status != workflow.Done {
					t.Fatalf("after a crash the flow ended %s: %s", run.Status, run.Err)
				}
				if diff := cmp.Diff(want, c.world(t)); diff != "" {
					t.Errorf("a crash changed the end (-undisturbed +crashed):\n%s", diff)
				}
			})
		}
	}
}

// Unwind fails every step, once before and once after its effect, and demands that the world is as it was. The steps
// named in beyond are past the point of no return: they are left out.
func Unwind[S any](t *testing.T, fresh func(t *testing.T) Case[S], beyond ...string) {
	t.Helper()
	skip := map[string]bool{}
	for _, name := range beyond {
		skip[name] = true
	}
	for _, step := range fresh(t).Flow.Steps {
		if skip[step.Name] {
			continue
		}
		for _, effect := range []bool{false, true} {
			name := step.Name + "/before its effect"
			if effect {
				name = step.Name + "/after its effect"
			}
			t.Run(name, func(t *testing.T) {
				c := fresh(t)
				want := c.world(t)
				flow := c.Flow.Wrap(func(name string, backward bool, call func() error) error {
					if name != step.Name || backward {
						return call()
					}
					if effect {
						if err := call(); err != nil {
							return err
						}
					}
					return workflow.Abort(errInjected)
				})
				run := c.run(t, flow)
				if run.Status != workflow.Aborted || run.Err != errInjected.Error() {
					t.Fatalf("the flow ended %s: %q", run.Status, run.Err)
				}
				if diff := cmp.Diff(want, c.world(t)); diff != "" {
					t.Errorf("a failed step left the world changed (-before +after):\n%s", diff)
				}
			})
		}
	}
}

// run starts the flow and works until it ends. An engine whose process "died" is followed by another.
func (c *Case[S]) run(t *testing.T, flow workflow.Flow[S]) *workflow.Run {
	t.Helper()
	ctx := context.Background()
	process := func() *workflow.Engine {
		e := workflow.New(c.DB, c.Clock, slog.New(slog.DiscardHandler), 1)
		workflow.Register(e, flow)
		if c.Others != nil {
			c.Others(e)
		}
		return e
	}
	e := process()
	id, err := c.Start(ctx, e)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	for range rounds {
		survived, worked := false, make(chan error, 1)
		go func() {
			defer close(worked)
			err := e.RunDue(ctx)
			survived = true
			worked <- err
		}()
		if err := <-worked; err != nil {
			t.Fatalf("work: %v", err)
		}
		if !survived {
			e = process()
		}
		run, err := workflow.Find(ctx, c.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		if !run.Ended.IsZero() {
			return run
		}
		if c.Turn != nil {
			if err := c.Turn(ctx, e); err != nil {
				t.Fatalf("the world's turn: %v", err)
			}
		}
		c.Clock.Step(6 * time.Second)
	}
	run, err := workflow.Find(ctx, c.DB, id)
	t.Fatalf("the flow did not end in %d rounds: %+v %v", rounds, run, err)
	return nil
}

func (c *Case[S]) world(t *testing.T) any {
	t.Helper()
	world, err := c.World(context.Background())
	if err != nil {
		t.Fatalf("describe the world: %v", err)
	}
	return world
}
