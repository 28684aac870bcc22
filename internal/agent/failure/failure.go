// Package failure is the agent's error type: one sentence that a tenant may read, and who is to blame. The control
// plane decides by the blame whether to give up, to try another machine or to try again (agentapi.Fault).
package failure

import (
	"errors"
	"fmt"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// Error is a failed command. Cause is for the agent's log only.
type Error struct {
	Fault   agentapi.Fault
	Message string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a failure without a cause.
func New(fault agentapi.Fault, format string, args ...any) *Error {
	return &Error{Fault: fault, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a failure with a cause for the log.
func Wrap(cause error, fault agentapi.Fault, format string, args ...any) *Error {
	return &Error{Fault: fault, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// Of gives the blame and the sentence of the outermost failure in err's chain. An error that nobody classified blames
// the machine: another one is tried, and an operator looks at this one.
func Of(err error) (agentapi.Fault, string) {
	var f *Error
	if errors.As(err, &f) {
		return f.Fault, f.Message
	}
	return agentapi.FaultMachine, "The agent failed for a reason that only its log tells."
}
