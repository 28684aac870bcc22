package workflow

import (
	"errors"
	"fmt"
	"time"
)

// The outcomes a body may end with, beside nil. Each wraps its cause, so errors.Is and fault.KindOf see through it.

type retryOutcome struct {
	cause error
	after time.Duration
}

type waitOutcome struct {
	what    string
	timeout time.Duration
	late    error
}

type rewindOutcome struct {
	to    string
	cause error
}

type abortOutcome struct{ cause error }

type stuckOutcome struct{ cause error }

// Retry runs the body again after a pause; for what surely passes by itself. It is not limited in number.
func Retry(cause error, after time.Duration) error { return &retryOutcome{cause, after} }

// Wait parks the run until Signal; then the body runs again and looks. When timeout has passed since the first Wait of
// this step and the body still waits, the step ends as late says: usually Abort or Rewind of a sentence.
func Wait(what string, timeout time.Duration, late error) error {
	return &waitOutcome{what, timeout, late}
}

// Rewind takes back the steps down to and including step to, and goes forward again from there: another machine after
// the first one failed. What the body changed in the state before is kept.
func Rewind(to string, cause error) error { return &rewindOutcome{to, cause} }

// Abort gives up: the undos run, the failed step's own first.
func Abort(cause error) error { return &abortOutcome{cause} }

// Stuck stops where it is and calls for an operator. The run is tried again now and then, and on Resume.
func Stuck(cause error) error { return &stuckOutcome{cause} }

func (o *retryOutcome) Error() string  { return o.cause.Error() }
func (o *retryOutcome) Unwrap() error  { return o.cause }
func (o *waitOutcome) Error() string   { return "waiting for " + o.what }
func (o *rewindOutcome) Error() string { return o.cause.Error() }
func (o *rewindOutcome) Unwrap() error { return o.cause }
func (o *abortOutcome) Error() string  { return o.cause.Error() }
func (o *abortOutcome) Unwrap() error  { return o.cause }
func (o *stuckOutcome) Error() string  { return o.cause.Error() }
func (o *stuckOutcome) Unwrap() error  { return o.cause }

// IsOutcome reports whether a body's error is one of the decisions above, rather than a failure.
func IsOutcome(err error) bool {
	switch err.(type) {
	case *retryOutcome, *waitOutcome, *rewindOutcome, *abortOutcome, *stuckOutcome:
		return true
	}
	return false
}

// maxAttempts of a step that fails with an error that is no outcome; then it aborts.
const maxAttempts = 6

// errCanceled is the cause of an unwinding that somebody asked for.
type errCanceled struct{ reason string }

func (e errCanceled) Error() string { return e.reason }

// IsCanceled reports whether a run unwinds because somebody asked for it, rather than by a failure.
func IsCanceled(err error) bool {
	var canceled errCanceled
	return errors.As(err, &canceled)
}

func backoff(attempt int) time.Duration {
	return min(time.Duration(250<<min(attempt, 10))*time.Millisecond, time.Minute)
}

func panicked(value any, stack []byte) error {
	return Stuck(fmt.Errorf("panic: %v\n%s", value, stack))
}
