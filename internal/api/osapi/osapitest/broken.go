package osapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
)

// Broken sends what no client should send to every route of a dialect's table: broken paths, queries, bodies, media types,
// versions and tokens. Whatever it is, the answer is never a failure of ours, and a refusal is told in the service's words.
type Broken struct {
	*Server
	Dialect osapi.Dialect
	Tenant  string   // a member's token; empty: Demo
	Admin   string   // an admin's token; empty: Admin
	Dead    []string // tokens that were good once
	Things  Things   // the tenant's
	Bodies  Bodies
	Media   Media

	// Told finds what is wrong with how a refusal is told; nil: it is any JSON object with words.
	Told func(Answer) error
	// Truth are statuses above 499 that tell the truth, beside 501: a BMC that is not there.
	Truth []int
	// Restore mends what a request that was good after all has changed; nil: nothing.
	Restore func()
	// Least is how many of the requests must be good enough to be done: otherwise hardly anything was tried.
	Least int

	dice *rand.Rand
	done int
}

// Run makes the same requests every time, a few seconds of them. With INGOT_SOAK, it makes others for so many minutes.
func (b *Broken) Run(t *testing.T) {
	t.Helper()
	b.t = t
	if b.Tenant == "" {
		b.Tenant, b.Admin = Demo, Admin
	}
	b.dice = rand.New(rand.NewPCG(4, 4)) //nolint:gosec // a test's dice
	until := time.Now()
	if minutes := os.Getenv("INGOT_SOAK"); minutes != "" {
		n, err := strconv.Atoi(minutes)
		if err != nil {
			t.Fatalf("INGOT_SOAK: %v", err)
		}
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		until, b.dice = until.Add(time.Duration(n)*time.Minute), rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a test's dice
	}
	sent := 0
	for first := true; (first || time.Now().Before(until)) && !t.Failed(); first = false {
		for _, route := range b.Dialect.Routes {
			sent += b.route(route)
		}
	}
	t.Logf("%d requests, %d of them done", sent, b.done)
	if b.done < b.Least {
		t.Errorf("only %d of %d requests were good enough to be done, want %d", b.done, sent, b.Least)
	}
}

// route sends so many requests as it has places to break.
func (b *Broken) route(route osapi.Route) (sent int) {
	token := b.Tenant
	if operators(route) {
		token = b.Admin
	}
	keys := b.keys(token, route)
	for range 16 + len(keys) {
		b.send(route, b.draw(token, route, keys))
		sent++
	}
	bodies := b.Bodies.of(b.t, route)
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		good, by := b.Things.body(bodies[name]), token
		if strings.HasSuffix(name, "by an admin") {
			by = b.Admin
		}
		for range 10 + 2*len(places(b.t, good)) {
			r := b.draw(by, route, nil)
			r.headers = append(r.headers, b.Media.of(route)...)
			b.breakBody(&r, good)
			b.send(route, r)
			sent++
		}
	}
	return sent
}

type request struct {
	token, path string
	body        any // nil or text
	headers     []string
	refused     bool // it must be
}

func pick[T any](dice *rand.Rand, from ...T) T { return from[dice.IntN(len(from))] }

// draw makes a request that is broken in one place, or nowhere where there is none.
func (b *Broken) draw(token string, route osapi.Route, keys []string) request {
	r := request{token: token, headers: version(b.Dialect, route)}
	given := map[int]string{}
	spots := b.Things.spots(route.Pattern)
	if len(spots) > 0 && (route.Method == "DELETE" || b.dice.IntN(4) == 0) { // what is deleted is none of our things
		given[pick(b.dice, spots...).segment] = pick(b.dice, "%00", "a%00b", "%ff", "%ED%A0%80", "%2f", "..%2f..", "%F0%9F%98%80", "'", "x'--", "*", "-1",
			"x%20y", "99999999999999999999", strings.Repeat("x", 10000), uuid.NewString())
	}
	r.path = b.Things.path(route, given)
	switch b.dice.IntN(8) {
	case 0:
		if len(r.headers) == 0 {
			break // the service has no such thing
		}
		r.headers = []string{versionHeader(b.Dialect) + pick(b.dice, "99.99", "x", "1", "-1.2", "2.1.1", "\xff", "0.0", "9999999999999999999.1", strings.Repeat("1", 5000))}
	case 1:
		if route.Policy.String() != osapi.Public.String() && b.dice.IntN(2) == 0 {
			r.refused, r.token = true, pick(b.dice, append(b.Dead, "nonsense", token+"x", strings.Repeat("x", 9000), "gAAAAABm", "'", "eyJhbGciOiJub25lIn0.e30.")...)
		}
	case 2:
		if len(r.headers) > 0 { // an older one that has the route
			first, last := max(route.Since.Minor, b.Dialect.Versions.Min.Minor), b.Dialect.Versions.Max.Minor
			if route.Until != (osapi.Microversion{}) {
				last = route.Until.Minor
			}
			r.headers[0] = versionHeader(b.Dialect) + osapi.V(b.Dialect.Versions.Max.Major, first+b.dice.IntN(1+last-first)).String()
		}
	case 3:
		r.headers = append(r.headers, pick(b.dice, "If-Match: x", "Range: bytes=9-1", "Accept: text/html", "X-Forwarded-Proto: \x80", "Accept: application/vnd."))
	default:
		r.path += b.query(keys)
	}
	return r
}

func (b *Broken) query(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	if b.dice.IntN(10) == 0 {
		return "?" + pick(b.dice, "%zz=1", ";", "=", "&&&", "sort_key=id&sort_dir=asc&sort_dir=x", strings.Repeat("id=x&", 6000)+"id=x", strings.Repeat("id=x&", 70000)+"id=x")
	}
	value := pick(b.dice, "", "\x00", "\xff", "-1", "0", "99999999999999999999", "ip_address='", "true", "gt:", "in:", "in:\"", "x:y:z", "[", "(", "%", "2026-13-45T00:00:00", "00:00",
		strings.Repeat("x", 20000), uuid.NewString())
	return "?" + url.QueryEscape(pick(b.dice, keys...)) + "=" + url.QueryEscape(value)
}

// keys are what the route's list may be asked by: what all services know, and the fields of what is listed.
func (b *Broken) keys(token string, route osapi.Route) []string {
	if route.Method != "GET" {
		return nil
	}
	keys := []string{"limit", "marker", "sort_key", "sort_dir", "sort", "page_reverse", "fields", "tags", "not-tags-any", "changes-since", "all_tenants", "no such field"}
	answer := b.Do(token, "GET", b.Dialect.Mount+b.Things.path(route, nil), nil, version(b.Dialect, route)...)
	for _, value := range answer.Body {
		list, _ := value.([]any) // what is no list has no fields
		if len(list) == 0 {
			continue
		}
		fields, _ := list[0].(map[string]any) // so has a list of texts
		keys = slices.AppendSeq(keys, maps.Keys(fields))
	}
	slices.Sort(keys[12:])
	return keys
}

// breakBody gives the request a body that is wrong as a whole or in one or two of its places, or a good one of another type.
func (b *Broken) breakBody(r *request, good string) {
	switch found := places(b.t, good); {
	case good == "" || b.dice.IntN(6) == 0 || len(found) == 0:
		r.body = pick(b.dice, whole(good)...)
	case b.dice.IntN(12) == 0:
		r.body = good
		r.headers = append(r.headers, "Content-Type: "+pick(b.dice, "text/plain", "application/xml", "multipart/form-data", "x", `application/json; charset="`, "application/octet-stream"))
	default:
		changed := map[string]string{pick(b.dice, found...): pick(b.dice, values...)}
		if b.dice.IntN(4) == 0 {
			changed[pick(b.dice, found...)] = pick(b.dice, values...)
		}
		r.body = replaced(b.t, good, changed)
	}
}

// whole are bodies of which no place is right.
func whole(good string) []string {
	list := []string{
		" ", "null", "true", "1", `"x"`, "[]", "{}", `[{}]`, `[null]`, "{", "\xff", "\x00", `{"": {}}`, `{"a": 1, "a": 2}`, `{"a": 1e999}`, `"\ud800"`, "{\"a\": \"\xff\"}",
		strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000), strings.Repeat("[", 41) + strings.Repeat("]", 41), `{"a": "` + strings.Repeat("x", 1<<20) + `"}`,
	}
	if len(good) < 2 {
		return list
	}
	return append(list, good[:len(good)-1], good+"x", good+good, "["+good+"]",
		good[:len(good)-1]+`, "x": 1}`,                                          // an unknown field
		"{"+strings.TrimSuffix(strings.TrimPrefix(good, "{"), "}")+","+good[1:], // each field twice
		strings.Replace(good, `": {`, `": {"no such field": 1, `, 1),
		strings.Replace(good, `": {`, `": {"name": "a", "name": "b", `, 1))
}

// values are JSON of which hardly any fits anywhere.
var values = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `1e300`, `1e400`, `""`, `" "`, `"-1"`, `"x"`, `"true"`, `"ä\u0000b"`, `"\ud800"`, "\"\xff\"",
	`"0.0.0.0/0"`, `"::1/129"`, `"::ffff:10.0.0.1"`, `"fe80::1%eth0"`, `"255.255.255.255"`, `"ff:ff:ff:ff:ff:ff"`, `"22:99999999999999999999"`, `"'; DROP TABLE network; --"`,
	`"2026-02-30T00:00:00Z"`, `"../../etc/passwd"`, `"%s%n"`, `"YQ=="`, `"/a/b"`,
	`[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `{"a": 1}`, `{"a": null}`, `{"": ""}`, `{"a": {"a": {"a": []}}}`, `["x", "x"]`, `[1]`,
	many(70000), // more than a statement may have values
	`"` + strings.Repeat("ß", 5000) + `"`, `"` + strings.Repeat("x", 900<<10) + `"`, `"11111111-2222-4333-8444-555555555555"`,
}

// many is a list of so many texts, none twice.
func many(n int) string {
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, `,"x%d"`, i)
	}
	return "[" + list.String()[1:] + "]"
}

// places of a JSON value, as pointers: all but the whole.
func places(t testing.TB, text string) (found []string) {
	if text == "" {
		return nil
	}
	walk(t, text, func(place string, _ any) any { found = append(found, place); return nil })
	return found
}

// replaced is the JSON value with raw texts in some of its places.
func replaced(t testing.TB, text string, raw map[string]string) string {
	tree := walk(t, text, func(place string, value any) any {
		if _, ok := raw[place]; ok {
			return "\x1a" + place
		}
		return nil
	})
	marked, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	text = string(marked)
	for place, value := range raw {
		mark, err := json.Marshal("\x1a" + place)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, string(mark), value)
	}
	return text
}

// walk calls f for each place of a JSON value; what f gives, unless nil, stands there instead.
func walk(t testing.TB, text string, f func(place string, value any) any) any {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var in func(place string, value any)
	visit := func(place string, value any, set func(any)) {
		if other := f(place, value); other != nil {
			set(other)
			return
		}
		in(place, value)
	}
	in = func(place string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				visit(place+"/"+key, value[key], func(v any) { value[key] = v })
			}
		case []any:
			for i := range value {
				visit(fmt.Sprintf("%s/%d", place, i), value[i], func(v any) { value[i] = v })
			}
		}
	}
	in("", tree)
	return tree
}

// ours are words that no answer has: they come from below.
var ours = regexp.MustCompile(`(?i)SQLSTATE|SQLITE_|\bsql:|goroutine \d|runtime error|panic:|nil pointer|jsontext|\.go:\d`)

func (b *Broken) send(route osapi.Route, r request) {
	b.t.Helper()
	answer := b.Do(r.token, route.Method, b.Dialect.Mount+r.path, r.body, r.headers...)
	what := func() string {
		return fmt.Sprintf("%s %.300q %.200q as %.20q: %.400q: %d %.500s", route.Method, r.path, r.headers, r.token, fmt.Sprint(r.body), answer.Status, answer.Text)
	}
	switch {
	case answer.Status >= 500 && answer.Status != 501 && !slices.Contains(b.Truth, answer.Status):
		b.t.Errorf("a failure of ours: %s", what())
	case r.refused && answer.Status < 400:
		b.t.Errorf("not refused: %s", what())
	case answer.Status >= 400 && b.refusal(answer) != nil:
		b.t.Errorf("%v: %s", b.refusal(answer), what())
	case answer.Status < 300 && route.Method != "GET":
		b.done++
		if b.Restore != nil {
			b.Restore()
		}
	}
}

// refusal finds what is wrong with the words.
func (b *Broken) refusal(a Answer) error {
	if !utf8.ValidString(a.Text) || len(a.Text) > 25000 || ours.MatchString(a.Text) || a.Text == "" {
		return fmt.Errorf("these are no words for a client")
	}
	if b.Told != nil && a.Status != 401 {
		return b.Told(a)
	}
	if a.Body == nil && b.Told == nil {
		return fmt.Errorf("it is told in no envelope")
	}
	return nil
}
