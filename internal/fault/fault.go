// Package fault is the one error type of the domain: a kind that the wire maps to a status, words for the user, and
// a cause for the operator.
//
// Words for the user never hold secrets, other tenants' names or internal addresses; the cause may, and only the log
// shows it. The dialects turn a fault into their own envelope in one place (internal/api/osapi).
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong from the caller's point of view. Each dialect has one table from Kind to HTTP status.
type Kind int

// The kinds. Internal is the zero value, so that an error nobody classified is our own mistake.
const (
	Internal     Kind = iota // ours: 500
	Invalid                  // the request itself is wrong: 400
	Unauthorized             // no or bad credentials: 401
	Forbidden                // known caller, not allowed: 403
	NotFound                 // absent, or another tenant's: 404
	Conflict                 // right request, wrong state: 409
	Quota                    // over a limit the operator set: 403 or 413 as the dialect does
	TooLarge                 // body or object too large: 413
	Unsupported              // a verb this server does not have (yet): 501 or the dialect's own
	Unavailable              // a part we depend on is down, try again: 503
	Exhausted                // no capacity: no machine, no address
)

// Error is a fault. Build it with the constructors below.
type Error struct {
	Kind    Kind
	Message string // for the user: one sentence, with the next step where there is one
	Cause   error  // for the operator; may be nil
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the operator's cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault of the kind with a message for the user.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault with a cause that only operators see. A nil cause gives a fault all the same.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// KindOf is the kind of the outermost fault in err's chain; Internal when there is none.
func KindOf(err error) Kind {
	var f *Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}

// Is reports whether err is a fault of that kind.
func Is(err error, kind Kind) bool {
	var f *Error
	return errors.As(err, &f) && f.Kind == kind
}

// Message is what a user may read of err: the fault's words, or a neutral sentence for anything unclassified.
func Message(err error) string {
	var f *Error
	if errors.As(err, &f) {
		return f.Message
	}
	return "An unexpected error prevented the server from fulfilling your request."
}
