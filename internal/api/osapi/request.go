package osapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/ingotcloud/ingot/internal/identity"
)

// Request is what a handler gets.
type Request struct {
	HTTP    *http.Request    // for what the rest does not offer: headers, a stream's body
	Caller  *identity.Caller // nil on public routes
	Version Microversion     // the negotiated one; zero in dialects without
	ID      string           // "req-<uuid>"
	Log     *slog.Logger     // knows the request's id and caller

	server  *Server
	dialect *Dialect
	mount   string
	failure error // what was answered, if it was an error
}

// Context ends when the client goes away or the request takes too long.
func (r *Request) Context() context.Context { return r.HTTP.Context() }

// Path is the value of a {name} of the route's pattern.
func (r *Request) Path(name string) string { return r.HTTP.PathValue(name) }

// URL is an absolute URL of this service: URL("/v2.1/servers/", id) for the links in bodies. What comes after the first
// element is escaped.
func (r *Request) URL(path string, elements ...string) string {
	whole := r.mount + path
	for _, e := range elements {
		whole += url.PathEscape(e)
	}
	return whole
}

// Self is the absolute URL of this very request.
func (r *Request) Self() string {
	whole := r.mount + r.HTTP.URL.EscapedPath()
	if r.HTTP.URL.RawQuery != "" {
		whole += "?" + r.HTTP.URL.RawQuery
	}
	return whole
}

// Next is the absolute URL of the page that begins after the marker: this request's with another marker.
func (r *Request) Next(marker string) string {
	query := r.HTTP.URL.Query()
	query.Set("marker", marker)
	return r.mount + r.HTTP.URL.EscapedPath() + "?" + query.Encode()
}
