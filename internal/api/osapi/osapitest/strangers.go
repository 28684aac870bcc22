package osapitest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi"
)

// Strangers puts another project's ids wherever an id can stand in a request, by a dialect's table of routes: in paths,
// bodies and queries. The answer must be the one for an id of nothing, and tell nothing of what belongs to the other.
type Strangers struct {
	*Server
	Dialect       osapi.Dialect
	Token         string // a member's; empty: Demo
	Mine, Foreign Things // what the token's project and the other one have, under the same keys
	Bodies        Bodies
	Media         Media
	Secrets       []string // names and the like of the other project's things

	// Open says which routes show what everybody may see; nil: none does.
	Open func(osapi.Route) bool
	// Least is how many places of ids there must be.
	Least int
}

// Run tries all places, one at a time.
func (s *Strangers) Run(t *testing.T) {
	t.Helper()
	s.t = t
	if s.Token == "" {
		s.Token = Demo
	}
	tried := 0
	for _, route := range s.Dialect.Routes {
		if s.Open != nil && s.Open(route) {
			continue
		}
		tried += s.paths(route) + s.bodies(route) + s.queries(route)
	}
	t.Logf("%d places of ids", tried)
	if tried < s.Least {
		t.Errorf("only %d places of ids, want %d", tried, s.Least)
	}
}

// apart are the keys under which the two projects have different things.
func (s *Strangers) apart(key string) bool {
	return key != "" && s.Foreign[key] != "" && s.Foreign[key] != s.Mine[key]
}

// paths has a stranger's thing in each place of the path, with all that is below it, or with things of ours there.
func (s *Strangers) paths(route osapi.Route) (tried int) {
	bodies := s.Bodies.of(s.t, route)
	if len(bodies) == 0 {
		bodies[route.Method+" "+route.Pattern] = ""
	}
	spots := s.Mine.spots(route.Pattern)
	for i, spot := range spots {
		if !s.apart(spot.key) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(bodies)) {
			if strings.HasSuffix(name, "by an admin") {
				continue
			}
			body := s.Mine.body(bodies[name])
			say := func(id string) Answer {
				return s.send(route, s.Mine.path(route, map[int]string{spot.segment: id}), body)
			}
			s.same(name+" with "+spot.key+" of another in its path", s.Foreign[spot.key], say)
			for _, below := range spots[i+1:] { // its own things below a thing of the stranger's
				if s.apart(below.key) {
					s.same(name+" with "+spot.key+" and "+below.key+" of another in its path", s.Foreign[spot.key], func(id string) Answer {
						return s.send(route, s.Mine.path(route, map[int]string{spot.segment: id, below.segment: s.Foreign[below.key]}), body)
					})
				}
			}
			tried++
		}
	}
	return tried
}

func (s *Strangers) bodies(route osapi.Route) (tried int) {
	bodies := s.Bodies.of(s.t, route)
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		if strings.HasSuffix(name, "by an admin") {
			continue
		}
		for _, word := range slices.Sorted(maps.Keys(s.Foreign)) {
			if !strings.HasPrefix(word, "$") || !s.apart(word) || !strings.Contains(bodies[name], strconv.Quote(word)) {
				continue
			}
			s.same(name+" with "+word+" of another in its body", s.Foreign[word], func(id string) Answer {
				ids := maps.Clone(s.Mine)
				ids[word] = id
				return s.send(route, s.Mine.path(route, nil), ids.body(bodies[name]))
			})
			tried++
		}
	}
	return tried
}

// queries asks lists for what the other project has: by its id, by its fields and as the place to go on from.
func (s *Strangers) queries(route osapi.Route) (tried int) {
	if route.Method != "GET" || strings.HasSuffix(route.Pattern, "}") {
		return 0
	}
	path := s.Mine.path(route, nil)
	ids := map[string]string{} // their keys
	for key, id := range s.Foreign {
		if s.apart(key) {
			ids[id] = key
		}
	}
	keys := []string{"id", "uuid", "marker", "project_id", "tenant_id", "owner", "all_tenants=1&project_id", "device_id", "user_id"}
	answer := s.Do(s.Token, "GET", s.Dialect.Mount+path, nil, version(s.Dialect, route)...)
	for _, value := range answer.Body {
		list, _ := value.([]any) // what is no list has no fields
		if len(list) == 0 {
			continue
		}
		fields, _ := list[0].(map[string]any) // so has a list of texts
		for field := range fields {
			if strings.HasSuffix(field, "_id") || strings.HasSuffix(field, "_uuid") {
				keys = append(keys, field)
			}
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		for id, thing := range ids {
			unknown := stray(id)
			got, want := s.send(route, path+"?"+key+"="+id, ""), s.send(route, path+"?"+key+"="+unknown, "")
			s.compare(fmt.Sprintf("%s %s?%s= the %s of another", route.Method, route.Pattern, key, thing), got, want, id, unknown)
			tried++
		}
	}
	return tried
}

// same demands that the answer for an id is that for an id of nothing, and is a refusal.
func (s *Strangers) same(what, id string, say func(id string) Answer) {
	s.t.Helper()
	unknown := stray(id)
	got, want := say(id), say(unknown)
	if got.Status < 400 || got.Status >= 500 && got.Status != 501 {
		s.t.Errorf("%s: %d %s", what, got.Status, got.Text)
	}
	s.compare(what, got, want, id, unknown)
}

// passing is what differs from answer to answer: ids of requests, and what goes with the time.
var passing = regexp.MustCompile(`req-[0-9a-f-]{36}|\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\d+\.\d+(e-\d+)?|"uptime":\d+`)

func (s *Strangers) compare(what string, got, want Answer, id, unknown string) {
	s.t.Helper()
	clean := func(a Answer, id string) string {
		return passing.ReplaceAllString(strings.ReplaceAll(a.Text, id, "ID"), "PASSING")
	}
	if got.Status != want.Status || clean(got, id) != clean(want, unknown) {
		s.t.Errorf("%s: %d %s; but an id of nothing: %d %s", what, got.Status, got.Text, want.Status, want.Text)
	}
	for _, secret := range s.Secrets {
		if strings.Contains(clean(got, id), secret) {
			s.t.Errorf("%s: it tells %q: %s", what, secret, got.Text)
		}
	}
}

func (s *Strangers) send(route osapi.Route, path, body string) Answer {
	s.t.Helper()
	var sent any
	if body != "" {
		sent = body
	}
	return s.Do(s.Token, route.Method, s.Dialect.Mount+path, sent, append(version(s.Dialect, route), s.Media.of(route)...)...)
}
