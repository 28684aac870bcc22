package osapitest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
)

// Things are ids of things that exist. A key is the segment of a path after which the id stands ("servers"), a placeholder
// of a path ("{policy}"), or a word that stands for the id in bodies ("$port").
type Things map[string]string

// spot is one placeholder of a path: which segment it is, and the things' key for it; empty: none is known.
type spot struct {
	segment int
	key     string
}

func (t Things) spots(pattern string) (found []spot) {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		keys := []string{segments[i-1], s, ""}
		known := slices.IndexFunc(keys, func(key string) bool { return key == "" || t[key] != "" })
		found = append(found, spot{i, keys[known]})
	}
	return found
}

// path of a route, where ids of things stand in all places but those that are given.
func (t Things) path(route osapi.Route, given map[int]string) string {
	segments := strings.Split(route.Pattern, "/")
	for _, s := range t.spots(route.Pattern) {
		id, ok := given[s.segment]
		switch {
		case ok:
			segments[s.segment] = id
		case s.key != "":
			segments[s.segment] = t[s.key]
		default:
			segments[s.segment] = "none"
		}
	}
	return strings.Join(segments, "/")
}

// body has the things' ids in place of their words.
func (t Things) body(text string) string {
	for key, id := range t {
		if strings.HasPrefix(key, "$") {
			text = strings.ReplaceAll(text, strconv.Quote(key), strconv.Quote(id))
		}
	}
	return text
}

// Bodies are good requests with the fields that they may have, as JSON, by method and pattern: "POST /v2.1/servers".
// Words after the pattern tell several of one route apart, and "by an admin" at the end says who sends it. Texts like
// "$port" stand for ids. The body of "*" is for all routes that are not there; an empty one says that a route takes none.
type Bodies map[string]string

// of a route, by their names.
func (b Bodies) of(t testing.TB, route osapi.Route) map[string]string {
	t.Helper()
	name, found := route.Method+" "+route.Pattern, map[string]string{}
	for key, body := range b {
		if key == name || strings.HasPrefix(key, name+" ") {
			found[key] = body
		}
	}
	if len(found) > 0 || route.Method == "GET" || route.Method == "DELETE" {
		return found
	}
	body, ok := b["*"]
	if !ok {
		t.Errorf("%s: a good body is missing here", name)
	}
	return map[string]string{name: body}
}

// Media are the types of bodies that are no plain JSON, by method and pattern.
type Media map[string]string

func (m Media) of(route osapi.Route) []string {
	if form := m[route.Method+" "+route.Pattern]; form != "" {
		return []string{"Content-Type: " + form}
	}
	return nil
}

// operators says whether the route is none for tenants.
func operators(route osapi.Route) bool {
	switch route.Policy.String() {
	case osapi.Admin.String(), osapi.SystemReader.String(), osapi.Service.String(), osapi.DomainReader.String(), osapi.DomainManager.String():
		return true
	}
	return false
}

// version is the header that asks for the newest microversion that the route has.
func version(d osapi.Dialect, route osapi.Route) []string {
	newest := d.Versions.Max
	if route.Until != (osapi.Microversion{}) {
		newest = route.Until
	}
	if newest == (osapi.Microversion{}) {
		return nil
	}
	return []string{versionHeader(d) + newest.String()}
}

func versionHeader(d osapi.Dialect) string {
	if d.Versions.Service != "" {
		return "OpenStack-API-Version: " + d.Versions.Service + " "
	}
	return d.Versions.Header + ": "
}

var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// stray is an id of nothing that looks like the given one.
func stray(id string) string {
	fresh := uuid.NewString()
	if _, err := uuid.Parse(id); err == nil && !hexID.MatchString(id) {
		return fresh
	}
	return strings.ReplaceAll(fresh, "-", "")
}
