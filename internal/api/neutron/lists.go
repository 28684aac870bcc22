package neutron

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// list answers for a collection: the objects as the caller sees them, filtered by any of their fields, sorted, cut to a
// page, reduced to the fields asked for. example is an object with all fields, because a list may be empty.
func list(r *osapi.Request, key string, all []object, example object) (any, error) {
	return listPage(r, key, network.Page{}, all, example)
}

// storePage is the page that is asked for, if the store finds it by itself: without an order, and by filters that it knows.
// Otherwise it is the whole list, of which the page is cut here.
func storePage(r *osapi.Request, known ...string) network.Page {
	asked := r.HTTP.URL.Query()
	if asked.Has("project_id") && asked.Has("tenant_id") { // it asks for one of them
		return network.Page{}
	}
	for name := range asked {
		if !slices.Contains(known, name) && name != "limit" && name != "marker" && name != "fields" {
			return network.Page{}
		}
	}
	q := r.Query()
	page := network.Page{After: q.String("marker"), Limit: q.Int("limit", 0)}
	if q.Err() != nil || page.Limit == 0 {
		return network.Page{}
	}
	return page
}

// listPage is list for what the store has cut to the page already; the zero one: it has not.
func listPage(r *osapi.Request, key string, cut network.Page, all []object, example object) (any, error) {
	q := r.Query()
	reverse := q.Bool("page_reverse", false)
	page := q.Page(osapi.Paging{Max: math.MaxInt, Keys: slices.Sorted(maps.Keys(example)), ZeroIsAll: true})
	kept, err := filter(q, all, example)
	if err != nil {
		return nil, err
	}
	order(kept, page.Sort, reverse)
	if cut != (network.Page{}) {
		page.Marker = ""
	}
	kept, _, err = osapi.Cut(page, kept, func(o object) string { return o["id"].(string) })
	if err != nil {
		return nil, err
	}
	if reverse {
		slices.Reverse(kept)
	}
	answer := object{}
	if links := links(r, kept, page.Limit, reverse); len(links) > 0 {
		answer[key+"_links"] = links
	}
	picked := []any{}
	for _, o := range kept {
		picked = append(picked, page.Pick(o))
	}
	answer[key] = picked
	return answer, nil
}

// show answers with one object, reduced to the fields asked for.
func show(r *osapi.Request, key string, o object) (any, error) {
	q := r.Query()
	page := q.Page(osapi.Paging{})
	return object{key: page.Pick(o)}, q.Err()
}

// filter keeps the objects that have, for each field named in the query, one of the values given for it.
func filter(q *osapi.Query, all []object, example object) ([]object, error) {
	var tests []func(object) bool
	for name, test := range tagFilters {
		if values := q.Strings(name); len(values) > 0 {
			if _, tagged := example["tags"]; !tagged {
				return nil, fault.New(fault.Invalid, "['%s'] is invalid attribute for filtering", name)
			}
			want := strings.Split(strings.Join(values, ","), ",")
			tests = append(tests, func(o object) bool { return test(o["tags"].([]string), want) })
		}
	}
	for _, name := range q.Rest() {
		values := q.Strings(name)
		if _, known := example[name]; !known {
			return nil, fault.New(fault.Invalid, "['%s'] is invalid attribute for filtering", name)
		}
		if name == "fixed_ips" {
			part, err := byAddress(values)
			if err != nil {
				return nil, err
			}
			tests = append(tests, part)
			continue
		}
		tests = append(tests, func(o object) bool {
			return slices.ContainsFunc(values, func(want string) bool { return matches(o[name], want) })
		})
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	kept := []object{}
	for _, o := range all {
		if !slices.ContainsFunc(tests, func(test func(object) bool) bool { return !test(o) }) {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// matches compares a field with a query's text.
func matches(value any, want string) bool {
	switch value := value.(type) {
	case nil:
		return want == ""
	case string:
		return value == want
	case bool:
		return strconv.FormatBool(value) == truth(want)
	case []string:
		return slices.Contains(value, want)
	default:
		return fmt.Sprint(value) == want
	}
}

func truth(text string) string {
	switch text = strings.ToLower(text); text {
	case "1", "yes", "on":
		return "true"
	case "0", "no", "off":
		return "false"
	}
	return text
}

// byAddress is the filter fixed_ips=ip_address=10.0.0.7, by subnet_id, or by ip_address_substr. Values of one part are
// alternatives; parts must hold together, for one address.
func byAddress(values []string) (func(object) bool, error) {
	parts := map[string][]string{}
	for _, v := range values {
		part, want, ok := strings.Cut(v, "=")
		if !ok || part != "ip_address" && part != "subnet_id" && part != "ip_address_substr" {
			return nil, fault.New(fault.Invalid, "Invalid input for query parameter fixed_ips: %q is not ip_address=…, subnet_id=… or ip_address_substr=….", v)
		}
		parts[part] = append(parts[part], want)
	}
	return func(o object) bool {
		return slices.ContainsFunc(o["fixed_ips"].([]object), func(ip object) bool {
			for part, wanted := range parts {
				has := slices.Contains(wanted, fmt.Sprint(ip[part]))
				if part == "ip_address_substr" {
					has = slices.ContainsFunc(wanted, func(w string) bool { return strings.Contains(fmt.Sprint(ip["ip_address"]), w) })
				}
				if !has {
					return false
				}
			}
			return true
		})
	}, nil
}

// addressesIn are the addresses that byAddress asks for; none where it asks for others, too.
func addressesIn(values []string) (asked []netip.Addr) {
	for _, v := range values {
		part, want, _ := strings.Cut(v, "=")
		addr, err := netip.ParseAddr(want)
		if part == "ip_address" && err == nil {
			asked = append(asked, addr)
		}
	}
	return asked
}

var tagFilters = map[string]func(has, want []string) bool{
	"tags":         hasAll,
	"tags-any":     hasAny,
	"not-tags":     func(has, want []string) bool { return !hasAll(has, want) },
	"not-tags-any": func(has, want []string) bool { return !hasAny(has, want) },
}

func hasAll(has, want []string) bool {
	return !slices.ContainsFunc(want, func(tag string) bool { return !slices.Contains(has, tag) })
}

func hasAny(has, want []string) bool {
	return slices.ContainsFunc(want, func(tag string) bool { return slices.Contains(has, tag) })
}

// order sorts by the keys and then by id, so that pages never overlap. Without a key the order is the store's, oldest
// first.
func order(all []object, by []osapi.Sort, reverse bool) {
	if len(by) > 0 {
		slices.SortStableFunc(all, func(a, b object) int {
			for _, s := range by {
				if c := compare(a[s.Key], b[s.Key]); c != 0 {
					if s.Desc {
						return -c
					}
					return c
				}
			}
			return compare(a["id"], b["id"])
		})
	}
	if reverse {
		slices.Reverse(all)
	}
}

func compare(a, b any) int {
	if a, ok := a.(int); ok {
		if b, ok := b.(int); ok {
			return cmp.Compare(a, b)
		}
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// links lead to the neighbouring pages, where Neutron gives them (neutron/api/api_common.py, get_pagination_links): a full
// page has both, even when nothing follows.
func links(r *osapi.Request, page []object, limit int, reverse bool) []any {
	if limit == math.MaxInt || len(page) == 0 {
		return nil
	}
	to := func(rel string, marker object, back bool) object {
		query := r.HTTP.URL.Query()
		query.Set("marker", marker["id"].(string))
		query.Del("page_reverse")
		if back {
			query.Set("page_reverse", "True")
		}
		return object{"rel": rel, "href": r.URL(r.HTTP.URL.EscapedPath()) + "?" + query.Encode()}
	}
	var found []any
	full := len(page) == limit
	if full || reverse {
		found = append(found, to("next", page[len(page)-1], false))
	}
	if full || !reverse {
		found = append(found, to("previous", page[0], true))
	}
	return found
}

// unchanged checks the header If-Match: revision_number=3, with which a client makes its change depend on what it has read.
func unchanged(r *osapi.Request, revision int) error {
	header := r.HTTP.Header.Get("If-Match")
	if header == "" {
		return nil
	}
	digits, ok := strings.CutPrefix(header, "revision_number=")
	expected, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return fault.New(fault.Invalid, "Bad if-match header %q: it must be revision_number=<number>.", header)
	}
	if expected != revision {
		return &osapi.Error{Status: http.StatusPreconditionFailed, Type: "RevisionNumberConstraintFailed",
			Err: fault.New(fault.Conflict, "Constrained to %d, but current revision is %d", expected, revision)}
	}
	return nil
}
