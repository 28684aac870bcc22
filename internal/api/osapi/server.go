package osapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

// Authenticator tells who a token belongs to. It is called for every request, so it answers from memory where it can.
type Authenticator interface {
	// Authenticate fails with fault.Unauthorized for a token that is malformed, forged, expired or revoked.
	Authenticate(ctx context.Context, token string) (*identity.Caller, error)
}

// Config is what a Server needs beside its dialects. Only Auth is required.
type Config struct {
	Auth    Authenticator
	Log     *slog.Logger          // nil: slog.Default()
	Metrics prometheus.Registerer // nil: none

	// PublicURL is how clients reach the listener, "https://cloud.example"; empty: as each request says.
	PublicURL string
	// IdentityURL is where clients get tokens; empty: the Identity API of this listener.
	IdentityURL string
	// CORSOrigins are the web origins whose pages may call the APIs; "*" is any.
	CORSOrigins []string
	// RequestsPerSecond and Burst limit each user; zero: 200 and 400. Negative: no limit.
	RequestsPerSecond float64
	Burst             int
	// MaxBody is the greatest body in bytes, of routes that are not streams; 0: 1 MiB.
	MaxBody int64
	// Timeout ends a request that is not a stream; 0: one minute.
	Timeout time.Duration
}

// Server answers for all dialects.
type Server struct {
	Config
	services []*service // longest mount first
	limits   *limiter
	metrics  *metrics
}

// New checks the dialects' routes and makes a server of them. The error names the route that is wrong.
func New(config Config, dialects ...Dialect) (*Server, error) {
	if config.Auth == nil {
		return nil, errors.New("osapi: no authenticator")
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.MaxBody == 0 {
		config.MaxBody = 1 << 20
	}
	if config.Timeout == 0 {
		config.Timeout = time.Minute
	}
	config.PublicURL = strings.TrimSuffix(config.PublicURL, "/")
	s := &Server{Config: config, limits: newLimiter(config.RequestsPerSecond, config.Burst)}
	for _, d := range dialects {
		checked, err := newService(d)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(s.services, func(other *service) bool { return other.Mount == d.Mount }) {
			return nil, fmt.Errorf("dialect %s: another one is mounted at %q too", d.Name, d.Mount)
		}
		s.services = append(s.services, checked)
	}
	slices.SortFunc(s.services, func(a, b *service) int { return len(b.Mount) - len(a.Mount) })
	var err error
	s.metrics, err = newMetrics(config.Metrics)
	return s, err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	escaped := path.Clean("/" + r.URL.EscapedPath())
	for _, service := range s.services {
		below, ok := strings.CutPrefix(escaped, service.Mount)
		if ok && (below == "" || below[0] == '/') {
			below = path.Clean("/" + below)
			if service.StrictSlash && below != "/" && strings.HasSuffix(r.URL.EscapedPath(), "/") {
				below += "/"
			}
			s.serve(service, w, r, below)
			return
		}
	}
	http.Error(w, `{"error": {"code": 404, "title": "Not Found", "message": "No service lives at this path."}}`, http.StatusNotFound)
}

// serve takes one request through the stations that all dialects share: id, log and metrics, CORS, version, route,
// token, limits, policy, handler, answer.
func (s *Server) serve(d *service, w http.ResponseWriter, h *http.Request, below string) {
	began := time.Now()
	out := &recorder{ResponseWriter: w}
	r := &Request{HTTP: h, ID: "req-" + uuid.NewString(), server: s, dialect: &d.Dialect, mount: s.base(h) + d.Mount}
	r.Log = s.Log.With("service", d.Name, "request_id", r.ID)
	maps.Copy(out.Header(), d.Header.Clone())
	out.Header().Set("X-Openstack-Request-Id", r.ID)
	if d.RequestIDHeader != "" {
		out.Header().Set(d.RequestIDHeader, r.ID)
	}
	var route *Route
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.fail(r, out, fault.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), fault.Internal,
				"An unexpected error prevented the server from fulfilling your request."))
		}
		s.observe(r, route, out, h, time.Since(began))
	}()
	if s.cors(out, h) {
		return
	}
	var err error
	if route, err = s.dispatch(d, r, out, h, below); err != nil {
		s.fail(r, out, err)
	}
}

func (s *Server) dispatch(d *service, r *Request, out *recorder, h *http.Request, below string) (*Route, error) {
	below, project := d.cutProject(d.versioned(below))
	h, err := withPath(h, below)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The path or the query is malformed.")
	}
	r.HTTP = h
	if err := checkText(h.URL); err != nil {
		return nil, err
	}
	r.Version, err = d.Versions.negotiate(h.Header, out.Header())
	if err != nil {
		return nil, err
	}
	route, allowed := d.find(h).route(h.Method, r.Version)
	if route == nil {
		return nil, noRoute(out, allowed)
	}
	if !route.Stream {
		ctx, cancel := context.WithTimeout(h.Context(), s.Timeout)
		defer cancel()
		r.HTTP = h.WithContext(ctx)
		r.HTTP.Body = http.MaxBytesReader(out, h.Body, s.MaxBody)
	}
	if err := s.admit(route, r, project, below); err != nil {
		return route, err
	}
	result, err := route.Handle(r)
	if err != nil {
		return route, interrupted(r, err)
	}
	return route, s.answer(route, out, result)
}

// admit lets the caller through, or not: token, its access rules, rate, policy, and that the path's project is the token's.
func (s *Server) admit(route *Route, r *Request, project, below string) error {
	if route.Policy.allow == nil {
		return s.limits.admit("address " + host(r.HTTP))
	}
	token := r.HTTP.Header.Get("X-Auth-Token")
	if token == "" {
		return errNoToken
	}
	var err error
	if r.Caller, err = s.Auth.Authenticate(r.Context(), token); err != nil {
		if fault.Is(err, fault.Unauthorized) {
			return &tokenRefused{err}
		}
		return err
	}
	if t := r.Caller.Token; t != nil && !t.Permits(r.dialect.Type, r.HTTP.Method, below) {
		return &tokenRefused{fault.New(fault.Unauthorized, "The access rules of the application credential do not allow this request.")}
	}
	r.Log = r.Log.With("user", r.Caller.UserID, "project", r.Caller.ProjectID)
	if err := s.limits.admit("user " + r.Caller.UserID); err != nil {
		return err
	}
	if project != "" && project != r.Caller.ProjectID {
		return fault.New(fault.Invalid, "Malformed request URL: the path's project is not the token's.")
	}
	return route.Policy.check(r.Caller)
}

// interrupted puts words to an error that comes from the request's own end: it took too long, or the client left.
func interrupted(r *Request, err error) error {
	if fault.KindOf(err) != fault.Internal {
		return err
	}
	switch r.Context().Err() {
	case context.DeadlineExceeded:
		return fault.Wrap(err, fault.Unavailable, "The request took too long; try again later.")
	case context.Canceled:
		return &Error{Status: 499, Err: fault.Wrap(err, fault.Unavailable, "The client closed the request.")}
	}
	return err
}

// tokenRefused marks what the token check says: all services answer it in Keystone's envelope.
type tokenRefused struct{ error }

func (t *tokenRefused) Unwrap() error { return t.error }

var errNoToken = &tokenRefused{fault.New(fault.Unauthorized, "The request you have made requires authentication.")}

func noRoute(out *recorder, allowed []string) error {
	if len(allowed) == 0 {
		return fault.New(fault.NotFound, "The resource could not be found.")
	}
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	out.Header().Set("Allow", strings.Join(allowed, ", "))
	return &Error{Status: http.StatusMethodNotAllowed, Err: fault.New(fault.Invalid, "The method is not allowed for this resource.")}
}

// versioned puts the version before a path that has none.
func (s *service) versioned(below string) string {
	if s.Under == "" || below == "/" || below == s.Under || strings.HasPrefix(below, s.Under+"/") {
		return below
	}
	return s.Under + below
}

// projectID is what Nova takes for a project's id in a path: [api]project_id_regex.
var projectID = regexp.MustCompile(`^[0-9a-f-]+$`)

// cutProject takes the optional project out of an escaped path.
func (s *service) cutProject(below string) (rest, project string) {
	if s.ProjectUnder == "" {
		return below, ""
	}
	after, ok := strings.CutPrefix(below, s.ProjectUnder+"/")
	if !ok {
		return below, ""
	}
	first, more, ok := strings.Cut(after, "/")
	if !ok || !projectID.MatchString(first) {
		return below, ""
	}
	return s.ProjectUnder + "/" + more, first
}

// storable reports whether the text can stand in any database of ours.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// withPath is the request with another (escaped) path.
func withPath(h *http.Request, escaped string) (*http.Request, error) {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, err
	}
	query, err := url.QueryUnescape(h.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if !storable(plain) || !storable(query) {
		return nil, errors.New("it holds the character U+0000 or is no UTF-8")
	}
	copied := h.WithContext(h.Context())
	u := *h.URL
	u.Path, u.RawPath = plain, escaped
	copied.URL = &u
	return copied, nil
}

// base is the listener's own URL, as the client sees it.
func (s *Server) base(h *http.Request) string {
	if s.PublicURL != "" {
		return s.PublicURL
	}
	scheme := "http"
	if h.TLS != nil || h.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + h.Host
}
