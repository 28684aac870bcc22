package redfish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/fault"
)

var errNotRedfish = fault.New(fault.Unsupported, "No Redfish service answers at the BMC's address.")

// answerOf is the BMC's own error in err: gofish keeps those of a collection's members in a map.
func answerOf(err error) *schemas.Error {
	var members *schemas.CollectionError
	if errors.As(err, &members) {
		for _, e := range members.Failures {
			if answer := answerOf(e); answer != nil {
				return answer
			}
		}
	}
	var answer *schemas.Error
	if errors.As(err, &answer) {
		return answer
	}
	return nil
}

// statusOf is the HTTP status of the BMC's answer; 0 when err is none of its answers.
func statusOf(err error) int {
	if answer := answerOf(err); answer != nil {
		return answer.HTTPReturnedStatusCode
	}
	return 0
}

// notRedfish reads an error of connecting: whoever has no service root speaks no Redfish.
func notRedfish(err error) bool {
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	var noTLS tls.RecordHeaderError
	return errors.As(err, &syntax) || errors.As(err, &wrongType) || errors.As(err, &noTLS)
}

// withoutSessions says whether logging in failed because of the sessions, and not because of the password: there are
// none, or the table is full (a common sickness of BMCs, which basic authentication gets around).
func withoutSessions(err error) bool {
	if strings.Contains(err.Error(), "no target provided") {
		return true // gofish's words for a service root that links to none
	}
	answer := answerOf(err)
	if answer == nil {
		return false
	}
	switch answer.HTTPReturnedStatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return strings.Contains(answer.Error(), "SessionLimitExceeded")
}

// classify turns what went wrong into a fault that says what to do about it.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if answer := answerOf(err); answer != nil && answer.HTTPReturnedStatusCode != 0 {
		kind, words := kindOf(answer.HTTPReturnedStatusCode)
		if strings.Contains(answer.Error(), "CouldNotEstablishConnection") { // OpenBMC's 404 for an image's address
			kind, words = fault.Invalid, "The BMC cannot fetch this"
		}
		return fault.Wrap(err, kind, "%s (%s): %s", words, op, said(answer))
	}
	if certificate(err) {
		return fault.Wrap(err, fault.Invalid, "The BMC's certificate is not trusted: give its CA, or correct its address.")
	}
	return fault.Wrap(err, fault.Unavailable, "The machine's BMC did not answer as it should (%s).", op)
}

// kindOf is the one table from a BMC's HTTP status to a fault.
func kindOf(status int) (fault.Kind, string) {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthorized, "The BMC refuses the user name or password"
	case http.StatusForbidden:
		return fault.Unauthorized, "The BMC's user may not do this"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fault.Unsupported, "The BMC cannot do this"
	case http.StatusConflict:
		return fault.Conflict, "The machine is not in a state for this"
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusRequestTimeout:
		return fault.Unavailable, "The BMC asks to try again" // 412: somebody else changed the resource meanwhile
	}
	if status >= 500 {
		return fault.Unavailable, "The BMC failed"
	}
	return fault.Invalid, "The BMC refuses this"
}

// said is the BMC's own words, the most particular that it has.
func said(answer *schemas.Error) string {
	for _, info := range answer.ExtendedInfos {
		if info.Message != "" {
			return short(info.Message)
		}
	}
	if answer.Message != "" {
		return short(answer.Message)
	}
	return http.StatusText(answer.HTTPReturnedStatusCode)
}

// short keeps HTML pages of a web server out of our messages.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

func certificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}
