package osapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/fault"
)

type object = osapi.Object

// compute is a small Nova.
func compute() osapi.Dialect {
	fields := osapi.Fields{"description": osapi.Since(2, 19), "old": osapi.Until(2, 18)}
	show := func(r *osapi.Request) (any, error) {
		if r.Path("id") == "missing" {
			return nil, fault.New(fault.NotFound, "Instance %s could not be found.", r.Path("id"))
		}
		return object{"server": fields.Trim(object{"id": r.Path("id"), "description": nil, "old": 1, "self": r.Self()}, r.Version)}, nil
	}
	named := func(name string) osapi.Handler {
		return func(*osapi.Request) (any, error) { return object{"route": name}, nil }
	}
	return osapi.Dialect{
		Name: "nova", Mount: "/compute", Envelope: osapi.NovaEnvelope, ProjectUnder: "/v2.1", RequestIDHeader: "X-Compute-Request-Id",
		Versions: osapi.Microversions{Min: osapi.V(2, 1), Max: osapi.V(2, 96), Service: "compute", Header: "X-OpenStack-Nova-API-Version"},
		Routes: []osapi.Route{
			{Method: "GET", Pattern: "/", Policy: osapi.Public, Status: 300, Handle: named("root")},
			{Method: "GET", Pattern: "/v2.1", Policy: osapi.Public, Handle: named("version")},
			{Method: "GET", Pattern: "/v2.1/servers/detail", Policy: osapi.ProjectReader, Handle: named("detail")},
			{Method: "GET", Pattern: "/v2.1/servers/{id}", Policy: osapi.ProjectReader, Handle: show},
			{Method: "POST", Pattern: "/v2.1/servers", Policy: osapi.ProjectMember, Status: 202, Handle: create},
			{Method: "DELETE", Pattern: "/v2.1/servers/{id}", Policy: osapi.ProjectMember, Status: 204, Handle: func(*osapi.Request) (any, error) { return nil, nil }},
			{Method: "GET", Pattern: "/v2.1/os-hosts", Until: osapi.V(2, 42), Policy: osapi.Admin, Handle: named("hosts, old")},
			{Method: "GET", Pattern: "/v2.1/os-hosts", Since: osapi.V(2, 50), Policy: osapi.Admin, Handle: named("hosts, new")},
			{Method: "GET", Pattern: "/v2.1/panic", Policy: osapi.Any, Handle: func(*osapi.Request) (any, error) { panic("secret detail") }},
		},
	}
}

func create(r *osapi.Request) (any, error) {
	var body struct {
		Server struct {
			Name     string                              `json:"name"`
			Count    osapi.Int                           `json:"min_count"`
			Networks []struct{ UUID string }             `json:"networks"`
			Key      osapi.Optional[string]              `json:"key_name"`
			Tags     osapi.Optional[struct{ Known int }] `json:"tags"`
		} `json:"server"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return osapi.Response{Header: http.Header{"Location": {r.URL("/v2.1/servers/", "a/b")}}, Body: object{"server": body.Server.Name, "key": body.Server.Key}}, nil
}

func TestAnswers(t *testing.T) {
	s := osapitest.Serve(t, compute())
	const mv, old = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"
	for _, c := range []struct {
		name, token, method, path string
		headers                   []string
		status                    int
		contains                  string
	}{
		{"the service's root", "", "GET", "/compute", nil, 300, `"route":"root"`},
		{"a trailing slash", "", "GET", "/compute/v2.1/", nil, 200, `"route":"version"`},
		{"no token", "", "GET", "/compute/v2.1/servers/1", nil, 401, `"title":"Unauthorized"`},
		{"a wrong token", "nobody", "GET", "/compute/v2.1/servers/1", nil, 401, `{"error":{"code":401`},
		{"the literal wins", "demo", "GET", "/compute/v2.1/servers/detail", nil, 200, `"route":"detail"`},
		{"project in the path", "demo", "GET", "/compute/v2.1/" + osapitest.DemoProject + "/servers/detail", nil, 200, `"route":"detail"`},
		{"another project in the path", "demo", "GET", "/compute/v2.1/" + osapitest.OtherProject + "/servers/detail", nil, 400, `"badRequest"`},
		{"fields of the least version", "demo", "GET", "/compute/v2.1/servers/1", nil, 200, `{"server":{"id":"1","old":1,"self":"http://127.0.0.1`},
		{"fields of a version", "demo", "GET", "/compute/v2.1/servers/1", []string{mv + ": compute 2.19"}, 200, `{"server":{"description":null,"id":"1","self"`},
		{"another service's version", "demo", "GET", "/compute/v2.1/servers/1", []string{mv + ": volume 3.60, compute 2.19"}, 200, `"description"`},
		{"the old header", "demo", "GET", "/compute/v2.1/servers/1", []string{old + ": 2.19"}, 200, `"description"`},
		{"latest", "demo", "GET", "/compute/v2.1/servers/1", []string{mv + ": compute latest"}, 200, `"description"`},
		{"too new", "demo", "GET", "/compute/v2.1/servers/1", []string{mv + ": compute 2.97"}, 406, `{"computeFault":{"code":406,"message":"Version 2.97 is not supported by the API. Minimum is 2.1 and maximum is 2.96."}}`},
		{"no version", "demo", "GET", "/compute/v2.1/servers/1", []string{old + ": two"}, 400, `"badRequest"`},
		{"an escaped slash in an id", "demo", "GET", "/compute/v2.1/servers/a%2Fb", nil, 200, `"id":"a/b"`},
		{"the domain's error", "demo", "GET", "/compute/v2.1/servers/missing", nil, 404, `{"itemNotFound":{"code":404,"message":"Instance missing could not be found."}}`},
		{"no such path", "demo", "GET", "/compute/v2.1/nonsense", nil, 404, `"itemNotFound"`},
		{"no such method", "demo", "PATCH", "/compute/v2.1/servers/1", nil, 405, `"badMethod"`},
		{"no body", "demo", "DELETE", "/compute/v2.1/servers/1", nil, 204, ""},
		{"reader may not", "reader", "DELETE", "/compute/v2.1/servers/1", nil, 403, `"forbidden"`},
		{"system scope has no project", "system", "DELETE", "/compute/v2.1/servers/1", nil, 403, `"forbidden"`},
		{"a route's first versions", "admin", "GET", "/compute/v2.1/os-hosts", nil, 200, `old`},
		{"a route's last versions", "admin", "GET", "/compute/v2.1/os-hosts", []string{old + ": 2.50"}, 200, `new`},
		{"versions without the route", "admin", "GET", "/compute/v2.1/os-hosts", []string{old + ": 2.45"}, 404, `"itemNotFound"`},
		{"policy", "demo", "GET", "/compute/v2.1/os-hosts", nil, 403, `"forbidden"`},
		{"another service's path", "demo", "GET", "/computed/v2.1", nil, 404, "No service"},
		{"dots and slashes", "demo", "GET", "/compute//v2.1/./servers/../servers/detail", nil, 200, `"route":"detail"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.Do(c.token, c.method, c.path, nil, c.headers...)
			if got.Status != c.status || !strings.Contains(got.Text, c.contains) {
				t.Errorf("%d %s; want %d %s", got.Status, got.Text, c.status, c.contains)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := osapitest.Serve(t, compute())
	got := s.Do("demo", "GET", "/compute/v2.1/servers/1", nil, "OpenStack-API-Version: compute 2.19").Header
	id := got.Get("X-Openstack-Request-Id")
	if !strings.HasPrefix(id, "req-") || got.Get("X-Compute-Request-Id") != id {
		t.Errorf("request ids %q and %q", id, got.Get("X-Compute-Request-Id"))
	}
	for name, want := range map[string]string{
		"OpenStack-API-Version": "compute 2.19", "X-OpenStack-Nova-API-Version": "2.19",
		"Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version", "Content-Type": "application/json",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	if got := s.Do("demo", "PATCH", "/compute/v2.1/servers/1", nil).Header.Get("Allow"); got != "DELETE, GET, HEAD" {
		t.Errorf("Allow: %q", got)
	}
	if got := s.Do("demo", "HEAD", "/compute/v2.1/servers/1", nil); got.Status != 200 || got.Text != "" {
		t.Errorf("HEAD: %d %q", got.Status, got.Text)
	}
	if got := s.Do("", "GET", "/compute/v2.1/servers/1", nil).Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Keystone uri="http://127.0.0.1:`) {
		t.Errorf("WWW-Authenticate: %q", got)
	}
}

func TestBodies(t *testing.T) {
	s := osapitest.Serve(t, compute())
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, c := range []struct {
		body     string
		status   int
		contains string
	}{
		{`{"server": {"name": "a", "min_count": "3", "networks": [{"UUID": "x"}], "key_name": null}}`, 202, `"key":{"Set":true,"Null":true,"Value":""}`},
		{`{"server": {"name": "a"}}`, 202, `"Set":false`},
		{`{"server": {"nam": "a"}}`, 400, `(\"nam\" was unexpected in \"server\")`},
		{`{"Server": {}}`, 400, `(\"Server\" was unexpected)`},
		{`{"server": {"name": 1}}`, 400, `field \"server.name\": a number`},
		{`{"server": {"networks": [{}, {"UUID": []}]}}`, 400, `field \"server.networks.1.UUID\": a list`},
		{`{"server": {"key_name": ["a"]}}`, 400, `field \"server.key_name\": a list`},
		{`{"server": {"tags": {"unknown": 1}}}`, 400, `(\"unknown\" was unexpected in \"server.tags\")`},
		{`{"server": {"min_count": "many"}}`, 400, `field \"server.min_count\": a string`},
		{`{"server": {"name": "a", "name": "b"}}`, 400, `field \"server.name\": it is given twice`},
		{`{"server": {"name": "` + "\xff" + `"}}`, 400, "Malformed JSON"},
		{`{"server": {}} {}`, 400, "Malformed JSON"},
		{`{"server": `, 400, "Malformed JSON"},
		{`[]`, 400, `(the whole body)`},
		{deep, 400, "nested deeper"},
		{`{"server": {"name": "a\u0000b"}}`, 400, `field \"server.name\": it has the character NUL`},
		{``, 400, "needs a JSON body"},
		{`{"server": {"name": "` + strings.Repeat("x", 1<<20) + `"}}`, 413, "overLimit"},
	} {
		got := s.Do("demo", "POST", "/compute/v2.1/servers", c.body)
		if got.Status != c.status || !strings.Contains(got.Text, c.contains) {
			t.Errorf("%.60s: %d %s; want %d %s", c.body, got.Status, got.Text, c.status, c.contains)
		}
		if got.Status == 202 && !strings.HasSuffix(got.Header.Get("Location"), "/compute/v2.1/servers/a%2Fb") {
			t.Errorf("Location: %s", got.Header.Get("Location"))
		}
	}
	for media, status := range map[string]int{
		"application/json; charset=utf-8": 202, "application/openstack-images-v2.1-json-patch": 202, "application/merge-patch+json": 202,
		"application/xml": 415, "text/plain": 415, ";": 415,
	} {
		if got := s.Do("demo", "POST", "/compute/v2.1/servers", `{}`, "Content-Type: "+media); got.Status != status {
			t.Errorf("%s: %d, want %d", media, got.Status, status)
		}
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	var log strings.Builder
	s := osapitest.ServeWith(t, osapi.Config{Auth: osapitest.Standard(), Log: slog.New(slog.NewTextHandler(&log, nil))}, compute())
	got := s.Do("demo", "GET", "/compute/v2.1/panic?token=hidden", nil)
	id := got.Header.Get("X-Openstack-Request-Id")
	if got.Status != 500 || strings.Contains(got.Text, "secret") || !strings.Contains(got.Text, id) {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	s.Close() // after this the log is complete
	if text := log.String(); !strings.Contains(text, "secret detail") || !strings.Contains(text, id) || strings.Contains(text, "hidden") {
		t.Errorf("log: %s", text)
	}
}

func TestNewNamesTheWrongRoute(t *testing.T) {
	handle := func(*osapi.Request) (any, error) { return nil, nil }
	row := func(method, pattern string, policy osapi.Policy) osapi.Route {
		return osapi.Route{Method: method, Pattern: pattern, Policy: policy, Handle: handle}
	}
	for _, c := range []struct {
		routes []osapi.Route
		want   string
	}{
		{[]osapi.Route{row("GET", "/v3/a", osapi.Policy{})}, "route GET /v3/a: it has no policy"},
		{[]osapi.Route{{Method: "GET", Pattern: "/v3/a", Policy: osapi.Any}}, "route GET /v3/a: it has no handler"},
		{[]osapi.Route{row("GET", "/v3/a/", osapi.Any)}, "not end with one"},
		{[]osapi.Route{row("HEAD", "/v3/a", osapi.Any)}, "HEAD follows GET"},
		{[]osapi.Route{row("GET", "/v3/a", osapi.Any), row("GET", "/v3/a", osapi.Any)}, "it overlaps with GET /v3/a"},
		{[]osapi.Route{row("GET", "/v3/{a}/b", osapi.Any), row("GET", "/v3/b/{a}", osapi.Any)}, "route GET /v3/b/{a}: "},
	} {
		_, err := osapi.New(osapi.Config{Auth: osapitest.Standard()}, osapi.Dialect{Name: "x", Envelope: osapi.NovaEnvelope, Routes: c.routes})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %s", err, c.want)
		}
	}
}

func TestEnvelopes(t *testing.T) {
	for name, c := range map[string]struct {
		envelope osapi.Envelope
		want     string
	}{
		"neutron":  {osapi.NeutronEnvelope, `{"NeutronError":{"detail":"","message":"No <more>.","type":"OverQuota"}}`},
		"keystone": {osapi.KeystoneEnvelope, `{"error":{"code":409,"message":"No <more>.","title":"Conflict"}}`},
		"ironic":   {osapi.IronicEnvelope, `{"error_message":"{\"debuginfo\":null,\"faultcode\":\"Client\",\"faultstring\":\"No <more>.\"}"}`},
		"octavia":  {osapi.OctaviaEnvelope, `{"debuginfo":null,"faultcode":"Client","faultstring":"No <more>."}`},
		"glance":   {osapi.GlanceEnvelope, "<title>409 Conflict</title>\n </head>\n <body>\n  <h1>409 Conflict</h1>\n  No &lt;more&gt;."},
	} {
		fails := func(*osapi.Request) (any, error) {
			return nil, &osapi.Error{Status: 409, Type: "OverQuota", Err: fault.New(fault.Quota, "No <more>.")}
		}
		s := osapitest.Serve(t, osapi.Dialect{Name: name, Envelope: c.envelope, Routes: []osapi.Route{{Method: "GET", Pattern: "/x", Policy: osapi.Any, Handle: fails}}})
		if got := s.Do("demo", "GET", "/x", nil); got.Status != 409 || !strings.Contains(got.Text, c.want) {
			t.Errorf("%s: %d %s\nwant %s", name, got.Status, got.Text, c.want)
		}
	}
}

func TestRateLimitIsPerCaller(t *testing.T) {
	s := osapitest.ServeWith(t, osapi.Config{Auth: osapitest.Standard(), RequestsPerSecond: 0.001, Burst: 2}, compute())
	var got []int
	for range 3 {
		got = append(got, s.Do("demo", "GET", "/compute/v2.1/servers/1", nil).Status)
	}
	got = append(got, s.Do("other", "GET", "/compute/v2.1/servers/1", nil).Status)
	if diff := cmp.Diff([]int{200, 200, 429, 200}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCORS(t *testing.T) {
	s := osapitest.ServeWith(t, osapi.Config{Auth: osapitest.Standard(), CORSOrigins: []string{"https://ui.example"}}, compute())
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-auth-token"}
	got := s.Do("", "OPTIONS", "/compute/v2.1/servers", nil, append(preflight, "Origin: https://ui.example")...)
	if got.Status != 204 || got.Header.Get("Access-Control-Allow-Headers") != "x-auth-token" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	got = s.Do("", "OPTIONS", "/compute/v2.1/servers", nil, append(preflight, "Origin: https://evil.example")...)
	if got.Status != 405 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := osapitest.ServeWith(t, osapi.Config{Auth: osapitest.Standard(), Metrics: registry}, compute())
	s.Do("demo", "GET", "/compute/v2.1/servers/1", nil)
	s.Do("demo", "GET", "/compute/v2.1/servers/2", nil)
	s.Close()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("%v, %v; want one series for one route", families, err)
	}
	if n := families[0].Metric[0].GetHistogram().GetSampleCount(); n != 2 {
		t.Errorf("%d requests counted, want 2", n)
	}
}

func TestPaging(t *testing.T) {
	var all []string
	for i := range 5 {
		all = append(all, fmt.Sprint("s", i))
	}
	list := func(r *osapi.Request) (any, error) {
		q := r.Query()
		page := q.Page(osapi.Paging{Max: 3, Keys: []string{"name"}})
		items := slices.Clone(all)
		osapi.Order(page, items, map[string]func(a, b string) int{"name": strings.Compare})
		if err := q.Done(); err != nil {
			return nil, err
		}
		items, next, err := osapi.Cut(page, items, func(s string) string { return s })
		if err != nil {
			return nil, err
		}
		body := object{"items": items}
		if next != "" {
			body["next"] = r.Next(next)
		}
		return body, nil
	}
	s := osapitest.Serve(t, osapi.Dialect{Name: "x", Mount: "/x", Envelope: osapi.NovaEnvelope, Routes: []osapi.Route{
		{Method: "GET", Pattern: "/list", Policy: osapi.Any, Handle: list},
	}})
	var seen []any
	for path := "/x/list?limit=2&sort_key=name&sort_dir=desc"; path != ""; {
		got := s.Do("demo", "GET", path, nil)
		if got.Status != 200 || len(seen) > 5 {
			t.Fatalf("%d %s", got.Status, got.Text)
		}
		seen = append(seen, got.Body["items"].([]any)...)
		next, _ := got.Body["next"].(string)
		path = strings.TrimPrefix(next, s.URL)
	}
	if diff := cmp.Diff([]any{"s4", "s3", "s2", "s1", "s0"}, seen); diff != "" {
		t.Error(diff)
	}
	for query, status := range map[string]int{
		"limit=0": 200, "limit=-1": 400, "limit=x": 400, "marker=none": 400, "sort_key=secret": 400, "sort_key=name&sort_dir=up": 400,
		"sort=name:asc": 200, "sort=name": 200, "what=1": 400, "limit=100": 200, "fields=a,b&fields=c": 200,
	} {
		if got := s.Do("demo", "GET", "/x/list?"+query, nil); got.Status != status {
			t.Errorf("%s: %d %s, want %d", query, got.Status, got.Text, status)
		}
	}
	if got := s.Do("demo", "GET", "/x/list?limit=0", nil).Text; got != `{"items":[]}` {
		t.Errorf("limit=0: %s", got)
	}
}

func TestMarkdownListsEveryRoute(t *testing.T) {
	text := osapi.Markdown(compute())
	if got, want := strings.Count(text, "| GET "), 7; got != want {
		t.Errorf("%d GET routes in the table, want %d:\n%s", got, want, text)
	}
	if want := "| POST | `/v2.1/servers` |  | project-member | 202 |"; !strings.Contains(text, want) {
		t.Errorf("no %s in\n%s", want, text)
	}
}

func TestTimeoutIsUnavailable(t *testing.T) {
	waits := func(r *osapi.Request) (any, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	handler, err := osapi.New(osapi.Config{Auth: osapitest.Standard(), Timeout: 1}, osapi.Dialect{Name: "x", Envelope: osapi.NovaEnvelope, Routes: []osapi.Route{
		{Method: "GET", Pattern: "/wait", Policy: osapi.Public, Handle: waits},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/wait", nil))
	if w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTextIsText(t *testing.T) {
	echo := func(r *osapi.Request) (any, error) {
		return nil, fault.New(fault.Invalid, "%s%s is no good", r.Path("id"), r.Query().String("name"))
	}
	s := osapitest.Serve(t, osapi.Dialect{Name: "x", Mount: "/x", Envelope: osapi.NeutronEnvelope, Routes: []osapi.Route{
		{Method: "GET", Pattern: "/{id}", Policy: osapi.Any, Handle: echo},
	}})
	for path, status := range map[string]int{
		"/x/a%00b": 400, "/x/%ff": 400, "/x/a?name=%00": 400, "/x/a?name=%ff": 400, "/x/a?%00=a": 400, "/x/a?name=%zz": 400,
		"/x/a?name=" + strings.Repeat("ä", 10000): 400, "/x/" + strings.Repeat("a", 40000): 414, "/x/a?name=" + strings.Repeat("a", 40000): 414,
	} {
		got := s.Do("demo", "GET", path, nil)
		said, _ := got.Body["NeutronError"].(map[string]any)
		message, _ := said["message"].(string)
		if got.Status != status || message == "" || len(message) > 3000 {
			t.Errorf("%.50s: %d %.3000s, want %d", path, got.Status, got.Text, status)
		}
	}
}
