package glance

import (
	"encoding/csv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

var sortKeys = slices.Sorted(maps.Keys(image.SortKeys))

func badFilter(name, value string) error {
	return fault.New(fault.Invalid, "Invalid value '%.80s' for the filter %s.", value, name)
}

// readFilter reads a list's query. Every name that is not an attribute's is a property's.
func readFilter(q *osapi.Query) (f image.Filter, err error) {
	q.Strings("marker")
	for name, field := range map[string]*[]string{
		"name": &f.Names, "status": &f.Statuses, "id": &f.IDs, "disk_format": &f.DiskFormats, "container_format": &f.ContainerFormats,
	} {
		if q.Has(name) {
			if *field, err = oneOf(name, q.String(name)); err != nil {
				return f, err
			}
		}
	}
	f.Visibility, f.MemberStatus = image.Visibility(q.String("visibility")), image.MemberStatus(q.String("member_status"))
	if f.Visibility != "" && f.Visibility != "all" && !slices.Contains(image.Visibilities, f.Visibility) {
		return f, badFilter("visibility", string(f.Visibility))
	}
	if !slices.Contains([]image.MemberStatus{"", "all", image.Pending, image.Accepted, image.Rejected}, f.MemberStatus) {
		return f, badFilter("member_status", string(f.MemberStatus))
	}
	f.Owner, f.Checksum, f.Hash = q.String("owner"), q.String("checksum"), q.String("os_hash_value")
	for name, field := range map[string]**bool{"protected": &f.Protected, "os_hidden": &f.Hidden} {
		if q.String(name) != "" {
			value := q.Bool(name, false)
			*field = &value
		}
	}
	for name, field := range map[string]**int64{
		"size_min": &f.SizeMin, "size_max": &f.SizeMax, "min_disk": &f.MinDisk, "min_ram": &f.MinRAM,
	} {
		if text := q.String(name); text != "" {
			value, err := strconv.ParseInt(text, 10, 64)
			if err != nil || value < 0 {
				return f, badFilter(name, text)
			}
			*field = &value
		}
	}
	if q.Has("size") {
		exactly, err := strconv.ParseInt(q.String("size"), 10, 64)
		if err != nil || exactly < 0 {
			return f, badFilter("size", q.String("size"))
		}
		f.SizeMin, f.SizeMax = &exactly, &exactly
	}
	for name, field := range map[string]*[]image.TimeFilter{"created_at": &f.Created, "updated_at": &f.Updated} {
		for _, text := range q.Strings(name) {
			t, err := timeFilter(name, text)
			if err != nil {
				return f, err
			}
			*field = append(*field, t)
		}
	}
	f.Tags = q.Strings("tag")
	return f, properties(q, &f)
}

func properties(q *osapi.Query, f *image.Filter) error {
	for _, name := range []string{"limit", "sort", "sort_key", "sort_dir", "fields"} {
		q.Has(name) // the page's
	}
	f.Properties = map[string]string{}
	for _, name := range q.Rest() {
		if name == "is_public" || name == "os_hash_algo" || slices.Contains(reserved, name) {
			return fault.New(fault.Invalid, "'%s' cannot be filtered by.", name)
		}
		f.Properties[name] = q.String(name)
	}
	return nil
}

// oneOf reads "value" and "in:value,\"va,lue\"".
func oneOf(name, text string) ([]string, error) {
	list, several := strings.CutPrefix(text, "in:")
	if !several {
		return []string{text}, nil
	}
	values, err := csv.NewReader(strings.NewReader(list)).Read()
	if err != nil {
		return nil, badFilter(name, text)
	}
	return values, nil
}

// timeFilter reads "gt:2026-11-22T13:00:00Z"; without an operator it is eq.
func timeFilter(name, text string) (image.TimeFilter, error) {
	t := image.TimeFilter{Op: "eq"}
	when := text
	if op, rest, found := strings.Cut(text, ":"); found && slices.Contains([]string{"eq", "neq", "gt", "gte", "lt", "lte"}, op) {
		t.Op, when = op, rest
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, when); err == nil {
			t.At = at
			return t, nil
		}
	}
	return t, badFilter(name, text)
}
