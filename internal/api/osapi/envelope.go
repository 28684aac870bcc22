package osapi

import (
	"errors"
	"fmt"
	"html"
	"net/http"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Error lets a handler say more about a fault than its kind does: a status that its dialect uses for this case only,
// or the name of the exception that clients of the dialect look for (Neutron's "type").
type Error struct {
	Status int    // 0: as the fault's kind says
	Type   string // "" : as the status says
	Err    error  // usually a fault
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the fault.
func (e *Error) Unwrap() error { return e.Err }

// Failure is what an envelope tells the client.
type Failure struct {
	Status  int
	Kind    fault.Kind
	Type    string
	Message string
}

// Envelope writes a failure as one dialect does: the content type and the body.
type Envelope func(Failure) (contentType string, body any)

// statuses is what most services answer; a dialect's own Statuses win.
var statuses = map[fault.Kind]int{
	fault.Internal:     http.StatusInternalServerError,
	fault.Invalid:      http.StatusBadRequest,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.Quota:        http.StatusForbidden,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.Unsupported:  http.StatusNotImplemented,
	fault.Unavailable:  http.StatusServiceUnavailable,
	fault.Exhausted:    http.StatusConflict,
}

func (d *Dialect) failure(err error, requestID string) Failure {
	f := Failure{Kind: fault.KindOf(err), Message: shorten(fault.Message(err))}
	if f.Kind == fault.Internal && db.IsFull(err) { // any write of any handler may meet it
		f.Kind, f.Message = fault.Unavailable, "There is no room left to record this; the cloud's operator must make some before you try again."
	}
	if f.Kind == fault.Internal { // all that the user can do about it is to tell the operator which one
		f.Message += " (request id " + requestID + ")"
	}
	var detail *Error
	if errors.As(err, &detail) {
		f.Status, f.Type = detail.Status, detail.Type
	}
	if f.Status == 0 {
		f.Status = d.Statuses[f.Kind]
	}
	if f.Status == 0 {
		f.Status = statuses[f.Kind]
	}
	return f
}

const jsonType = "application/json"

// NovaEnvelope is {"itemNotFound": {"code": 404, "message": "…"}}; Cinder speaks the same.
func NovaEnvelope(f Failure) (string, any) {
	name, ok := novaFaults[f.Status]
	if !ok {
		name = "computeFault"
	}
	return jsonType, Object{name: Object{"code": f.Status, "message": f.Message}}
}

// novaFaults is nova/api/openstack/wsgi.py, Fault._fault_names.
var novaFaults = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
	409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}

// NeutronEnvelope is {"NeutronError": {"type", "message", "detail"}}.
func NeutronEnvelope(f Failure) (string, any) {
	name := f.Type
	if name == "" {
		name = neutronTypes[f.Status]
	}
	if name == "" {
		name = "HTTPInternalServerError"
	}
	return jsonType, Object{"NeutronError": Object{"type": name, "message": f.Message, "detail": ""}}
}

var neutronTypes = map[int]string{
	400: "HTTPBadRequest", 401: "HTTPUnauthorized", 403: "PolicyNotAuthorized", 404: "HTTPNotFound", 405: "HTTPMethodNotAllowed",
	409: "Conflict", 413: "HTTPRequestEntityTooLarge", 414: "HTTPRequestURITooLong", 415: "HTTPUnsupportedMediaType", 429: "HTTPTooManyRequests",
	501: "HTTPNotImplemented", 503: "ServiceUnavailable",
}

// KeystoneEnvelope is {"error": {"code", "title", "message"}}. All services use it for what the token check refuses.
func KeystoneEnvelope(f Failure) (string, any) {
	return jsonType, Object{"error": Object{"code": f.Status, "title": http.StatusText(f.Status), "message": f.Message}}
}

// IronicEnvelope is {"error_message": "{\"faultcode\": …}"}: JSON within a string (ironic/api/middleware/parsable_error.py).
func IronicEnvelope(f Failure) (string, any) {
	inner, err := encode(wsmeFault(f))
	if err != nil {
		panic(err) // strings only
	}
	return jsonType, Object{"error_message": string(inner)}
}

// OctaviaEnvelope is {"faultcode", "faultstring", "debuginfo"}, which is wsme's.
func OctaviaEnvelope(f Failure) (string, any) { return jsonType, wsmeFault(f) }

func wsmeFault(f Failure) Object {
	code := "Client"
	if f.Status >= 500 {
		code = "Server"
	}
	return Object{"faultcode": code, "faultstring": f.Message, "debuginfo": nil}
}

// GlanceEnvelope is webob's small HTML page.
func GlanceEnvelope(f Failure) (string, any) {
	title := fmt.Sprintf("%d %s", f.Status, http.StatusText(f.Status))
	return "text/html; charset=UTF-8", fmt.Appendf(nil,
		"<html>\n <head>\n  <title>%s</title>\n </head>\n <body>\n  <h1>%s</h1>\n  %s<br /><br />\n\n\n </body>\n</html>",
		title, title, html.EscapeString(f.Message))
}
