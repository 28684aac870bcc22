package identity

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/fault"
)

// maxTags is how many tags a thing may have.
const maxTags = 80

// checkTags: tags are words without a slash and a comma, each once (OpenStack's API guidelines for tags).
func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fault.New(fault.Invalid, "Invalid input for field 'tags': at most %d are allowed.", maxTags)
	}
	for i, tag := range tags {
		switch {
		case tag == "" || utf8.RuneCountInString(tag) > 255 || strings.ContainsAny(tag, ",/"):
			return fault.New(fault.Invalid, "Invalid input for field 'tags': %q; a tag has 1 to 255 characters and neither a comma nor a slash.", tag)
		case slices.Contains(tags[:i], tag):
			return fault.New(fault.Invalid, "Invalid input for field 'tags': %q is given twice.", tag)
		}
	}
	return nil
}

// TagFilter asks for things by their tags, as OpenStack's API guidelines for tags define it; empty lists do not narrow.
type TagFilter struct {
	All    []string // has all of them
	Any    []string // has one of them
	NotAll []string // does not have all of them
	NotAny []string // has none of them
}

func (f TagFilter) empty() bool {
	return len(f.All)+len(f.Any)+len(f.NotAll)+len(f.NotAny) == 0
}

func (f TagFilter) fits(tags []string) bool {
	has := func(tag string) bool { return slices.Contains(tags, tag) }
	all := func(list []string) bool {
		return !slices.ContainsFunc(list, func(tag string) bool { return !has(tag) })
	}
	return all(f.All) && (len(f.Any) == 0 || slices.ContainsFunc(f.Any, has)) &&
		(len(f.NotAll) == 0 || !all(f.NotAll)) && !slices.ContainsFunc(f.NotAny, has)
}

// list is an empty list where there is none: what is stored and shown as [].
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
