package workflow

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// step runs the body of the run's step once and records the outcome. It reports whether there is more to do now.
func (e *Engine) step(ctx context.Context, run *Run, log *slog.Logger) (bool, error) {
	recipe, step, index, err := e.recipe(run)
	if err != nil {
		return false, e.commit(ctx, run, func(*db.Tx) error { e.stick(run, err); return nil })
	}
	if run.Cancel != "" && (!run.Backward || run.rewindTo != "") {
		return true, e.commit(ctx, run, func(tx *db.Tx) error {
			cause := errCanceled{run.Cancel}
			unwind(run, run.Step, "", cause)
			return e.end(ctx, tx, run, cause)
		})
	}
	call := step.forward
	if run.Backward {
		call = step.backward
	}
	if call.none() {
		return e.commitOn(ctx, run, func(*db.Tx) error { e.advance(recipe, run, index); return nil })
	}
	if err := e.begin(ctx, e.db, run, step); err != nil {
		return false, err
	}
	before := *run
	if call.tx != nil {
		outcome, err := e.stepTx(ctx, run, recipe, index, call)
		if outcome == nil {
			return run.Ended.IsZero(), err
		}
		after := *run
		*run = before
		if _, ok := outcome.(*rewindOutcome); ok {
			run.state = after.state // why the try failed is needed in the next one
		}
		return e.decide(ctx, run, step, outcome, log)
	}
	outcome := e.stepDo(ctx, run, call)
	if errors.Is(outcome, errFenced) {
		return false, errFenced
	}
	if outcome == nil {
		return e.commitOn(ctx, run, func(tx *db.Tx) error {
			e.advance(recipe, run, index)
			return e.end(ctx, tx, run, nil)
		})
	}
	if ctx.Err() != nil {
		*run = before
		e.release(run, log)
		return false, nil // this process stops; another one runs the step again
	}
	return e.decide(ctx, run, step, outcome, log)
}

// stepTx runs a Tx body and, when it is content, records the step in the same transaction. The first result is what
// the body said; the second is ours.
func (e *Engine) stepTx(ctx context.Context, run *Run, recipe recipe, index int, call call) (outcome, err error) {
	before := *run
	err = e.db.Tx(ctx, func(tx *db.Tx) error {
		*run, outcome = before, nil
		if err := e.fence(ctx, tx, run); err != nil {
			return err
		}
		if outcome = guarded(func() error { return call.tx(ctx, tx, run) }); outcome != nil {
			return outcome
		}
		e.advance(recipe, run, index)
		if err := e.end(ctx, tx, run, nil); err != nil {
			return err
		}
		return e.save(ctx, tx, run, run.Ended.IsZero())
	})
	return outcome, err
}

// stepDo runs a Do body while the lease is renewed beside it. The body's context ends when the lease is lost or when
// somebody cancels the run.
func (e *Engine) stepDo(ctx context.Context, run *Run, call call) error {
	body, stop := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-body.Done():
				return
			case <-tick.C:
			}
			cancel, err := e.renew(ctx, run)
			if errors.Is(err, errFenced) {
				stop(errFenced)
			} else if cancel != "" && !run.Backward {
				stop(errCanceled{cancel})
			}
		}
	}()
	outcome := guarded(func() error { return call.do(body, run) })
	cause := context.Cause(body)
	stop(nil)
	<-renewed
	var canceled errCanceled
	switch {
	case errors.Is(cause, errFenced):
		return errFenced
	case outcome != nil && errors.As(cause, &canceled):
		return Retry(canceled, 0) // the body broke off because of it: the next look unwinds
	}
	return outcome
}

// guarded turns a panic of a body into a stuck run with its stack: an operator sees it and the process lives.
func guarded(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicked(value, debug.Stack())
		}
	}()
	return f()
}

// advance moves the run past its step.
func (e *Engine) advance(recipe recipe, run *Run, index int) {
	turn := run.Backward && run.rewindTo == run.Step
	switch {
	case turn:
		run.Backward, run.rewindTo = false, "" // forward again, from this step
	case run.Backward && index == 0:
		e.finish(run, Aborted)
	case run.Backward:
		run.Step = recipe.steps[index-1].name
	case index == len(recipe.steps)-1:
		e.finish(run, Done)
	default:
		run.Step = recipe.steps[index+1].name
	}
	e.fresh(run)
	if run.Status == IsStuck {
		run.Status = Active
	}
	if !run.Backward && run.Status != Aborted {
		run.Err = ""
	}
}

func (e *Engine) fresh(run *Run) {
	now := e.clock.Now()
	run.Attempt, run.Entered, run.wakeAt, run.deadline, run.Waiting = 0, now, now, time.Time{}, ""
}

func (e *Engine) finish(run *Run, status Status) {
	run.Status, run.Ended = status, e.clock.Now()
}

func unwind(run *Run, from, to string, cause error) {
	run.Backward, run.Step, run.rewindTo, run.Err = true, from, to, sentence(cause)
	run.Attempt, run.deadline, run.Waiting = 0, time.Time{}, ""
}

// sentence is what people may read of an error: the domain shows it to tenants, so a fault's cause, and every error that
// nobody put into words, stay in the log and in the step's record.
func sentence(err error) string {
	var canceled errCanceled
	if errors.As(err, &canceled) {
		return canceled.reason
	}
	return fault.Message(err)
}

func (e *Engine) stick(run *Run, cause error) {
	run.Status, run.Err, run.wakeAt = IsStuck, cause.Error(), e.clock.Now().Add(stuckRetry)
	run.Attempt++
}

// decide records what becomes of a run whose body did not succeed.
func (e *Engine) decide(ctx context.Context, run *Run, step recipeStep, outcome error, log *slog.Logger) (bool, error) {
	now := e.clock.Now()
	var (
		wait   *waitOutcome
		again  bool
		closed = true // the step's record ends with the outcome
	)
	if errors.As(outcome, &wait) {
		if run.deadline.IsZero() {
			run.deadline = now.Add(wait.timeout)
		}
		if now.Before(run.deadline) {
			run.Waiting, run.wakeAt = wait.what, run.deadline
			return false, e.commit(ctx, run, nil)
		}
		outcome = wait.late
	}
	var (
		retry  *retryOutcome
		rewind *rewindOutcome
		abort  *abortOutcome
		stuck  *stuckOutcome
	)
	switch {
	case errors.As(outcome, &stuck):
		e.stick(run, outcome)
		log.Error("work is stuck: an operator must look", "step", step.name, "error", outcome)
	case errors.As(outcome, &retry):
		run.Attempt++
		run.wakeAt, run.Waiting, closed = now.Add(retry.after), outcome.Error(), false
	case run.Backward && run.Attempt+1 >= maxAttempts:
		e.stick(run, outcome)
		log.Error("an undo keeps failing: an operator must look", "step", step.name, "error", outcome)
	case run.Backward:
		run.Attempt++
		run.wakeAt, closed = now.Add(backoff(run.Attempt)), false
		log.Warn("an undo failed and is tried again", "step", step.name, "attempt", run.Attempt, "error", outcome)
	case errors.As(outcome, &rewind):
		log.Warn("step failed; going back", "step", step.name, "to", rewind.to, "error", outcome)
		unwind(run, run.Step, rewind.to, outcome)
		again = true
	case errors.As(outcome, &abort) || run.Attempt+1 >= maxAttempts || final(outcome):
		log.Warn("step failed; giving up", "step", step.name, "error", outcome)
		unwind(run, run.Step, "", outcome)
		again = true
	default:
		run.Attempt++
		run.wakeAt, closed = now.Add(backoff(run.Attempt)), false
		log.Warn("step failed and is tried again", "step", step.name, "attempt", run.Attempt, "error", outcome)
	}
	return again, e.commit(ctx, run, func(tx *db.Tx) error {
		if !closed {
			return nil
		}
		return e.end(ctx, tx, run, outcome)
	})
}

// final errors do not get better by trying again.
func final(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Forbidden, fault.Quota, fault.TooLarge, fault.Unsupported, fault.Unauthorized:
		return true
	}
	return false
}

// commit saves the run after change has set it, keeping the lease while the run is due at once.
func (e *Engine) commit(ctx context.Context, run *Run, change func(tx *db.Tx) error) error {
	before := *run
	return e.db.Tx(ctx, func(tx *db.Tx) error {
		*run = before
		if change != nil {
			if err := change(tx); err != nil {
				return err
			}
		}
		keep := run.Ended.IsZero() && !run.wakeAt.After(e.clock.Now())
		return e.save(ctx, tx, run, keep)
	})
}

// commitOn is commit; it reports whether the run goes on.
func (e *Engine) commitOn(ctx context.Context, run *Run, change func(tx *db.Tx) error) (bool, error) {
	err := e.commit(ctx, run, change)
	return run.Ended.IsZero(), err
}
