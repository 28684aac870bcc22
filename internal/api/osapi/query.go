package osapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Query reads a request's query. It remembers the first value that does not fit, so a handler asks for all it knows and
// then checks Err once (or Done, where unknown parameters are refused).
type Query struct {
	values url.Values
	asked  map[string]bool
	err    error
}

// Query gives the request's query.
func (r *Request) Query() *Query {
	return &Query{values: r.HTTP.URL.Query(), asked: map[string]bool{}}
}

// String is the parameter's (first) value; empty when it is absent.
func (q *Query) String(name string) string {
	q.asked[name] = true
	return q.values.Get(name)
}

// Strings are all values of a parameter that may be repeated.
func (q *Query) Strings(name string) []string {
	q.asked[name] = true
	return q.values[name]
}

// Has reports whether the parameter is there, even without a value.
func (q *Query) Has(name string) bool {
	q.asked[name] = true
	return q.values.Has(name)
}

// Bool is a parameter that says yes or no; absent or empty gives otherwise.
func (q *Query) Bool(name string, otherwise bool) bool {
	text := q.String(name)
	if text == "" {
		return otherwise
	}
	value, ok := parseBool(text)
	if !ok {
		q.fail("Invalid input for query parameter %s: %q is not a boolean.", name, text)
	}
	return value
}

// Int is a parameter that counts, from 0; absent gives otherwise.
func (q *Query) Int(name string, otherwise int) int {
	text := q.String(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 {
		q.fail("Invalid input for query parameter %s: %q is not a whole number from 0.", name, text)
	}
	return value
}

func (q *Query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = fault.New(fault.Invalid, format, args...)
	}
}

// Err is the first value that did not fit.
func (q *Query) Err() error { return q.err }

// Done is Err, and fails for parameters that nobody asked for.
func (q *Query) Done() error {
	for _, name := range q.Rest() {
		q.fail("Additional query parameters are not allowed (%q was unexpected).", name)
	}
	return q.err
}

// Rest names the parameters that nobody asked for, sorted: Neutron takes any field's name as a filter.
func (q *Query) Rest() []string {
	var rest []string
	for name := range q.values {
		if !q.asked[name] {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return rest
}

// Sort is one key of an order.
type Sort struct {
	Key  string
	Desc bool
}

// Paging are the rules of a list: what its limit, marker, sort_key, sort_dir, sort and fields may be.
type Paging struct {
	Max       int      // greatest page, and the size without a limit; 0: 1000
	Keys      []string // what may be sorted by
	Default   []Sort   // the order when none is asked for
	ZeroIsAll bool     // limit=0 means no limit (Neutron, Ironic) and not an empty page (Nova, Glance, Cinder)
}

// Page is which part of a list is asked for, in which order, and which of its fields.
type Page struct {
	Limit  int
	Marker string
	Sort   []Sort
	Fields []string // empty: all
}

// Page reads the paging parameters in all the forms that the services have: sort_key and sort_dir (once or repeated),
// sort=name:asc,id:desc, fields repeated or with commas.
func (q *Query) Page(p Paging) Page {
	if p.Max == 0 {
		p.Max = 1000
	}
	page := Page{Limit: q.Int("limit", p.Max), Marker: q.String("marker")}
	if page.Limit > p.Max || (page.Limit == 0 && p.ZeroIsAll) {
		page.Limit = p.Max
	}
	for _, names := range q.Strings("fields") {
		for name := range strings.SplitSeq(names, ",") {
			if name = strings.TrimSpace(name); name != "" {
				page.Fields = append(page.Fields, name)
			}
		}
	}
	page.Sort = q.order()
	for _, s := range page.Sort {
		if !slices.Contains(p.Keys, s.Key) {
			q.fail("Invalid input for query parameter sort_key: %q is not one of %s.", s.Key, strings.Join(p.Keys, ", "))
		}
	}
	if len(page.Sort) == 0 {
		page.Sort = p.Default
	}
	return page
}

func (q *Query) order() []Sort {
	var order []Sort
	add := func(key, direction string) {
		switch direction = strings.ToLower(direction); direction {
		case "asc", "desc":
			order = append(order, Sort{key, direction == "desc"})
		default:
			q.fail("Invalid input for query parameter sort_dir: %q is neither asc nor desc.", direction)
		}
	}
	if sort := q.String("sort"); sort != "" {
		for one := range strings.SplitSeq(sort, ",") {
			key, direction, given := strings.Cut(one, ":")
			if !given {
				direction = "desc" // what Cinder and Glance take
			}
			add(strings.TrimSpace(key), strings.TrimSpace(direction))
		}
		return order
	}
	directions := q.Strings("sort_dir")
	for i, key := range q.Strings("sort_key") {
		direction := "asc"
		if len(directions) > 0 {
			direction = directions[min(i, len(directions)-1)]
		}
		add(key, direction)
	}
	return order
}

// Cut takes the page out of a whole list that is in the page's order already. next is the marker of the page after it;
// empty at the end.
func Cut[T any](p Page, all []T, id func(T) string) (page []T, next string, err error) {
	if p.Marker != "" {
		at := slices.IndexFunc(all, func(item T) bool { return id(item) == p.Marker })
		if at < 0 {
			return nil, "", fault.New(fault.Invalid, "marker [%s] not found", p.Marker)
		}
		all = all[at+1:]
	}
	if len(all) <= p.Limit {
		return all, "", nil
	}
	if p.Limit == 0 {
		return nil, "", nil
	}
	return all[:p.Limit], id(all[p.Limit-1]), nil
}

// Order sorts a list by the page's keys. Each key has a comparison; equals keep their order.
func Order[T any](p Page, all []T, compare map[string]func(a, b T) int) {
	slices.SortStableFunc(all, func(a, b T) int {
		for _, s := range p.Sort {
			by := compare[s.Key]
			if by == nil {
				continue
			}
			if c := by(a, b); c != 0 {
				if s.Desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
}

// Pick keeps only the page's fields of an object.
func (p Page) Pick(object Object) Object {
	if len(p.Fields) == 0 {
		return object
	}
	picked := Object{}
	for _, name := range p.Fields {
		if value, ok := object[name]; ok {
			picked[name] = value
		}
	}
	return picked
}
