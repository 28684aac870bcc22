package osapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Handler answers a request: a value to encode as JSON, a Response for the unusual, nil for no body, or an error that
// the dialect's envelope turns into words.
type Handler func(*Request) (any, error)

// Route is one row of a dialect's table.
//
// Several routes may share method and pattern when their microversions do not overlap.
type Route struct {
	Method  string
	Pattern string // below the dialect's mount, as net/http.ServeMux writes it: "/v2.1/servers/{id}"; no trailing slash but for "/"
	Since   Microversion
	Until   Microversion // the last one that has the route
	Policy  Policy
	Status  int // of success; 0: 200
	Handle  Handler

	// Stream marks uploads and downloads: no limit of size or time, and the handler reads Request.HTTP.Body itself.
	Stream bool
	// Secret marks paths that hold one: the log shows the pattern in their place.
	Secret bool
}

func (r *Route) span() Span { return Span{r.Since, r.Until} }

func (r *Route) String() string {
	return strings.TrimSpace(r.Method + " " + r.Pattern + " " + r.span().String())
}

// Dialect is one OpenStack service.
type Dialect struct {
	Name     string // "nova": in the log, the metrics and the table of routes
	Type     string // "compute": in the catalog and in access rules; empty: no access rule opens it
	Mount    string // "/compute"
	Versions Microversions
	Envelope Envelope
	Statuses map[fault.Kind]int // where the service differs from the usual status

	// RequestIDHeader is a second name of X-Openstack-Request-Id (Nova: X-Compute-Request-Id); empty: none.
	RequestIDHeader string

	// Header is on every answer.
	Header http.Header

	// ProjectUnder is the path after which older clients put their project's id: with "/v2.1", the path
	// /v2.1/<project>/servers means /v2.1/servers. Empty: the service has no such thing.
	ProjectUnder string

	// Under is what a path means that does not begin with it: with "/v1", the path /nodes means /v1/nodes (Ironic). Empty: the
	// service has no such thing.
	Under string

	// StrictSlash: a path with a slash at its end is another one (Glance: an image without an id). Otherwise it is not looked at.
	StrictSlash bool

	Routes []Route
}

// service is a dialect whose routes can be looked up.
type service struct {
	Dialect
	mux *http.ServeMux // one entry per pattern, each an *endpoint
}

// endpoint is what is known under one pattern: its routes by method.
type endpoint struct {
	pattern string
	methods map[string][]*Route
}

// lookup is the "response" of asking a ServeMux which endpoint a path leads to: this way the mux also fills the
// request's path values in.
type lookup struct {
	http.ResponseWriter
	found *endpoint
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*lookup).found = e }

// find looks the request's path up and sets the path values of r. A path that no route has finds an endpoint without
// methods.
func (s *service) find(r *http.Request) *endpoint {
	var l lookup
	s.mux.ServeHTTP(&l, r)
	return l.found
}

func newService(d Dialect) (*service, error) {
	if d.Name == "" || d.Envelope == nil || (d.Mount != "" && (!strings.HasPrefix(d.Mount, "/") || strings.HasSuffix(d.Mount, "/"))) {
		return nil, fmt.Errorf("dialect %q: it needs a name, an envelope, and a mount like /compute", d.Name)
	}
	s := &service{Dialect: d, mux: http.NewServeMux()}
	s.mux.Handle("/", &endpoint{})
	endpoints := map[string]*endpoint{}
	for i := range d.Routes {
		route := &s.Routes[i]
		if err := check(route); err != nil {
			return nil, fmt.Errorf("dialect %s: route %s: %w", d.Name, route, err)
		}
		e := endpoints[route.Pattern]
		if e == nil {
			e = &endpoint{route.Pattern, map[string][]*Route{}}
			endpoints[route.Pattern] = e
			if err := s.register(e); err != nil {
				return nil, fmt.Errorf("dialect %s: route %s: %w", d.Name, route, err)
			}
		}
		for _, other := range e.methods[route.Method] {
			if other.span().overlaps(route.span()) {
				return nil, fmt.Errorf("dialect %s: route %s: it overlaps with %s", d.Name, route, other)
			}
		}
		e.methods[route.Method] = append(e.methods[route.Method], route)
	}
	return s, nil
}

func check(r *Route) error {
	switch {
	case r.Policy.name == "":
		return errors.New("it has no policy")
	case r.Handle == nil:
		return errors.New("it has no handler")
	case r.Method == "" || r.Method == http.MethodHead || r.Method == http.MethodOptions:
		return errors.New("its method must be one of GET, POST, PUT, PATCH, DELETE; HEAD follows GET")
	case !strings.HasPrefix(r.Pattern, "/") || (r.Pattern != "/" && strings.HasSuffix(r.Pattern, "/")):
		return errors.New("its pattern must begin with a slash and not end with one")
	}
	return nil
}

// register adds the pattern to the mux, which panics about a malformed pattern and about two patterns of which neither
// is the more specific one.
func (s *service) register(e *endpoint) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	pattern := e.pattern
	if pattern == "/" {
		pattern = "/{$}"
	}
	s.mux.Handle(pattern, e)
	return nil
}

// route picks the row for the method and the version. It says which methods there are when the method is not among them.
func (e *endpoint) route(method string, v Microversion) (found *Route, allowed []string) {
	if method == http.MethodHead && len(e.methods[method]) == 0 {
		method = http.MethodGet
	}
	for _, route := range e.methods[method] {
		if route.span().Has(v) {
			return route, nil
		}
	}
	for name, routes := range e.methods {
		if slices.ContainsFunc(routes, func(r *Route) bool { return r.span().Has(v) }) {
			allowed = append(allowed, name)
		}
	}
	slices.Sort(allowed)
	return nil, allowed
}
