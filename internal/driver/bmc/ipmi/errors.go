package ipmi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
)

// noAnswer begins what the library says when an exchange brought no answer; it has no exported error for that.
const noAnswer = "IPMI LAN: "

// unanswered says whether the BMC kept silent: the session or the BMC is gone, or too many packets were lost.
func unanswered(err error) bool {
	var f *fault.Error
	return err != nil && !errors.As(err, &f) && strings.Contains(err.Error(), noAnswer)
}

// end is why the context is over; nil while it is not. The library reads up to the context's deadline and may be back a
// moment before the context notices.
func end(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// ended puts the context's end into err, where the library may have seen a mere silence.
func ended(ctx context.Context, err error) error {
	if why := end(ctx); err != nil && why != nil && !errors.Is(err, why) {
		return fmt.Errorf("%w: %w", why, err)
	}
	return err
}

// once marks the outcome of an order that must not be given twice: silence is no reason to repeat it.
func once(err error) error {
	if unanswered(err) {
		return around.MaybeDone(asFault(err))
	}
	return err
}

// asFault gives what a command came to its kind (machine.Driver's contract).
func asFault(err error) error {
	var f *fault.Error
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled):
		return err
	}
	answer, ok := types.IsResponseError(err)
	if !ok {
		return fault.Wrap(err, fault.Unavailable, "The machine's BMC does not answer over IPMI.")
	}
	switch answer.CompletionCode() {
	case types.CodeInsufficientPrivilege:
		return fault.Wrap(err, fault.Unauthorized, "The BMC's user may not do this.")
	case types.CodeInvalidCommand, types.CodeInvalidCommandForLUN, types.CodeParameterNotSupported,
		types.CodeParameterOutOfRange, types.CodeRequestDataFieldInvalid, types.CodeIllegalCommand,
		types.CodeRequestDataLengthInvalid, types.CodeSubFnDisabled:
		return fault.Wrap(err, fault.Unsupported, "The machine's BMC cannot do this.")
	case types.CodeNotSupported: // "in present state"
		return fault.Wrap(err, fault.Conflict, "The machine's BMC cannot do this in the machine's present state.")
	default: // busy, initializing, out of space, unspecified
		return fault.Wrap(err, fault.Unavailable, "The machine's BMC failed to do this.")
	}
}

// The library gives a failed login's cause as text only, since it may have tried several cipher suites.

// refusals are the ways in which BMCs say that name or password is wrong. Many notice a wrong password only by what we
// answer to their second message, others leave it to us to notice.
var refusals = []string{
	client.ErrRAKPAuthentication.Error(),
	status(types.RmcpStatusCodeInvalidRole),
	status(types.RmcpStatusCodeUnauthorizedRoleOfPriLevel),
	status(types.RmcpStatusCodeInvalidNameLength),
	status(types.RmcpStatusCodeUnauthorizedName),
	status(types.RmcpStatusCodeInvalidIntegrityCheckValue),
}

// mismatches are the ways to say that the BMC does not speak the cipher suite.
var mismatches = []string{
	status(types.RmcpStatusCodeInvalidAuthAlg),
	status(types.RmcpStatusCodeInvalidIntegrityAlg),
	status(types.RmcpStatusCodeNoMatchingAuthPayload),
	status(types.RmcpStatusCodeNoMatchingIntegrityPayload),
	status(types.RmcpStatusCodeInvalidConfidentAlg),
	status(types.RmcpStatusCodeNoCipherSuiteMatch),
}

func status(code types.RmcpStatusCode) string { return types.NewRmcpStatusError(code).Error() }

func says(err error, phrases []string) bool {
	for _, p := range phrases {
		if strings.Contains(err.Error(), p) {
			return true
		}
	}
	return false
}

// openSession is in the library's words for the first message of a login, which proposes the cipher suite.
const openSession = "RMCP+ Open Session failed"

// lacksSuite says that another suite may do better. Some BMCs (ipmi_sim) refuse a suite with an answer cut so short that
// the library cannot read the status in it.
func lacksSuite(err error) bool {
	return !unanswered(err) && strings.Contains(err.Error(), openSession)
}

// loginFault gives a failed login its kind.
func loginFault(err error) error {
	_, answered := types.IsResponseError(err) // Set Session Privilege Level is the one command of a login
	switch {
	case says(err, refusals):
		return fault.Wrap(err, fault.Unauthorized, "The BMC refused the user name or password.")
	case says(err, mismatches):
		return fault.Wrap(err, fault.Unsupported, "The BMC speaks neither of the IPMI cipher suites 17 and 3.")
	case answered && !unanswered(err):
		return fault.Wrap(err, fault.Unauthorized, "The BMC's user is no administrator.")
	default:
		return asFault(err)
	}
}
