package workflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const (
	leaseFor   = 5 * time.Second        // a dead owner's runs are taken over after this
	renewEvery = 1 * time.Second        // and a cancel reaches a working body within this
	pollEvery  = 300 * time.Millisecond // for what other processes started or signalled
	stuckRetry = 5 * time.Minute
)

// Engine runs the flows registered with it. Any number of engines, in any number of processes, share a database.
type Engine struct {
	db      *db.DB
	clock   clock.Clock
	log     *slog.Logger
	owner   string
	workers int
	recipes map[string]recipe
	poke    chan struct{}
}

// New makes an engine that runs up to workers steps at once.
func New(d *db.DB, c clock.Clock, log *slog.Logger, workers int) *Engine {
	return &Engine{db: d, clock: c, log: log, owner: rand.Text(), workers: workers, recipes: map[string]recipe{}, poke: make(chan struct{}, 1)}
}

// Register makes a flow known. It belongs before Run; a flow that cannot be right is a programming error.
func Register[S any](e *Engine, flow Flow[S]) {
	r, err := flow.recipe()
	if err != nil {
		panic(err)
	}
	e.recipes[flow.Name] = r
}

// ErrBusy is wrapped by the fault that Start gives when other work holds the resource.
var ErrBusy = errors.New("other work holds the resource")

// Start begins a run inside the caller's transaction, together with the change of rows that made it necessary.
func (e *Engine) Start(ctx context.Context, tx *db.Tx, flow, resource, request string, state any) (string, error) {
	running, err := ActiveOf(ctx, tx, resource)
	if err != nil {
		return "", err
	}
	if running != nil {
		return "", fault.Wrap(ErrBusy, fault.Conflict, "Another operation (%s) is under way; try again when it has ended.", running.Flow)
	}
	defer e.Poke()
	return insert(ctx, tx, e.recipes[flow], Active, resource, request, state, e.clock.Now())
}

// Replace begins a run as soon as the one that holds the resource has unwound, which it is told to do for the reason.
func (e *Engine) Replace(ctx context.Context, tx *db.Tx, flow, resource, request string, state any, reason string) (string, error) {
	running, err := ActiveOf(ctx, tx, resource)
	if err != nil {
		return "", err
	}
	if running == nil {
		return e.Start(ctx, tx, flow, resource, request, state)
	}
	if err := e.Cancel(ctx, tx, running.ID, reason); err != nil {
		return "", err
	}
	return insert(ctx, tx, e.recipes[flow], Queued, resource, request, state, e.clock.Now())
}

// Cancel tells a run to unwind. It does so after the step that is under way, whose context ends.
func (e *Engine) Cancel(ctx context.Context, q db.Querier, run, reason string) error {
	_, err := q.ExecContext(ctx, `UPDATE workflow_run SET cancel = $2, signals = signals + 1, wake_at = $3
		WHERE id = $1 AND `+active+` AND cancel = ''`, run, reason, e.clock.Now())
	e.Poke()
	return err
}

// Resume makes a stuck or waiting run try its step again now: the operator's button.
func (e *Engine) Resume(ctx context.Context, run string) error { return e.Signal(ctx, e.db, run) }

// Poke makes this engine look for due runs at once.
func (e *Engine) Poke() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then lets the bodies under way finish or notice.
func (e *Engine) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, e.workers)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := e.clock.Now().Add(time.Hour) // the clock may have gone back while nobody worked
	for {
		last = e.minded(ctx, last)
		for ctx.Err() == nil {
			free <- struct{}{}
			run, err := e.lease(ctx)
			if err != nil && ctx.Err() == nil {
				e.log.Error("look for due work", "error", err)
			}
			if run == nil || err != nil {
				<-free
				break
			}
			wg.Go(func() {
				defer func() { <-free; e.Poke() }()
				e.work(ctx, run)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.poke:
		}
	}
}

// minded watches for a clock that was set back: then wake times lie too far ahead, and everything is looked at once,
// as it is at the start.
func (e *Engine) minded(ctx context.Context, last time.Time) time.Time {
	now := e.clock.Now()
	if now.Before(last.Add(-time.Second)) {
		if _, err := e.db.ExecContext(ctx, `UPDATE workflow_run SET wake_at = $1 WHERE wake_at > $1 AND `+active, now); err != nil {
			e.log.Error("look at all work", "error", err)
			return last
		}
	}
	return now
}

// RunDue works on what is due now, one run after the other, until nothing is: for tests with a clock of their own.
func (e *Engine) RunDue(ctx context.Context) error {
	for {
		run, err := e.lease(ctx)
		if err != nil || run == nil {
			return err
		}
		e.work(ctx, run)
	}
}

// work takes a leased run forward until it parks or ends, or until the lease is lost.
func (e *Engine) work(ctx context.Context, run *Run) {
	log := e.log.With("flow", run.Flow, "resource", run.Resource, "run", run.ID, "request", run.Request)
	for ctx.Err() == nil {
		again, err := e.step(ctx, run, log)
		switch {
		case errors.Is(err, errFenced):
			log.Warn("another process has taken over this work")
			return
		case err != nil:
			if ctx.Err() == nil {
				log.Error("cannot record the work's progress; the lease will run out and it is tried again", "error", err)
			}
			return
		case !again:
			return
		}
	}
	e.release(run, log)
}

// release frees the lease of a run at a clean stop, so that another process need not wait for it to run out.
func (e *Engine) release(run *Run, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := e.db.ExecContext(ctx, `UPDATE workflow_run SET lease_owner = '' WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3`,
		run.ID, run.Epoch, e.owner)
	if err != nil {
		log.Warn("free the lease", "error", err)
	}
}

func (e *Engine) recipe(run *Run) (recipe, recipeStep, int, error) {
	r, ok := e.recipes[run.Flow]
	if !ok {
		return r, recipeStep{}, 0, fmt.Errorf("this program does not know the flow %q", run.Flow)
	}
	i := r.index(run.Step)
	if i < 0 {
		return r, recipeStep{}, 0, fmt.Errorf("flow %s has no step %q any more", run.Flow, run.Step)
	}
	return r, r.steps[i], i, nil
}
