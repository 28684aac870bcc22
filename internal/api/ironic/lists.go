package ironic

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// collection says how things of a kind are listed and shown.
type collection struct {
	key     string       // in the answer
	brief   []string     // the fields shown when none are asked for
	filters []string     // the query's parameters beside listParameters; whoever lists has obeyed them
	fields  osapi.Fields // from which version on there is a field
}

var listParameters = []string{"limit", "marker", "sort_key", "sort_dir", "fields", "detail"}

// answer gives the list sorted, cut to a page, with the fields asked for. example has all fields that there are.
func (k collection) answer(r *osapi.Request, all []object, example object, detail bool) (any, error) {
	for name := range r.HTTP.URL.Query() {
		if !slices.Contains(listParameters, name) && !slices.Contains(k.filters, name) {
			return nil, fault.New(fault.Invalid, "Unexpected query parameter %q.", name)
		}
	}
	q := r.Query()
	page := q.Page(osapi.Paging{ZeroIsAll: true, Keys: sortable(example)})
	if q.Has("detail") {
		if !r.Version.AtLeast(1, 43) {
			return nil, tooNew(r, "the parameter detail")
		}
		detail = q.Bool("detail", false)
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	if err := k.check(r, page, example); err != nil {
		return nil, err
	}
	switch {
	case detail && len(page.Fields) > 0:
		return nil, fault.New(fault.Invalid, "Can't fetch a subset of fields with 'detail' set.")
	case !detail && len(page.Fields) == 0:
		page.Fields = k.brief
	}
	order(page, all)
	all, next, err := osapi.Cut(page, all, func(o object) string { return fmt.Sprint(o["uuid"]) })
	if err != nil {
		return nil, err
	}
	picked := []object{}
	for _, o := range all {
		picked = append(picked, page.Pick(o))
	}
	answer := object{k.key: picked}
	if next != "" {
		answer["next"] = r.Next(next)
	}
	return answer, nil
}

// show answers with one object, reduced to the fields asked for.
func (k collection) show(r *osapi.Request, o object) (any, error) {
	q := r.Query()
	page := q.Page(osapi.Paging{})
	if err := q.Err(); err != nil {
		return nil, err
	}
	return page.Pick(o), k.check(r, page, o)
}

// check refuses fields that there are not, or not yet.
func (k collection) check(r *osapi.Request, page osapi.Page, example object) error {
	if len(page.Fields) > 0 && !r.Version.AtLeast(1, 8) {
		return tooNew(r, "the parameter fields")
	}
	for _, name := range page.Fields {
		if _, ok := example[name]; ok {
			continue
		}
		if _, later := k.fields[name]; later {
			return tooNew(r, "the field "+name)
		}
		return fault.New(fault.Invalid, "Field(s) %q are not valid.", name)
	}
	return nil
}

// order sorts by the page's keys; without one the order stays the store's, oldest first.
func order(page osapi.Page, all []object) {
	compare := map[string]func(a, b object) int{}
	for _, s := range page.Sort {
		compare[s.Key] = func(a, b object) int { return cmp.Compare(sortText(a[s.Key]), sortText(b[s.Key])) }
	}
	osapi.Order(page, all, compare)
}

func sortText(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// sortable are the fields with a single value.
func sortable(example object) (keys []string) {
	for _, key := range sorted(example) {
		switch example[key].(type) {
		case object, []object, []string:
		default:
			keys = append(keys, key)
		}
	}
	return keys
}
