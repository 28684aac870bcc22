package nova

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/network"
)

// test says whether a server is wanted.
type test func(*instance.Instance) bool

// filter is a query parameter of the list of servers.
type filter struct {
	span    osapi.Span
	tenants osapi.Span // in which versions tenants have it; admins always
	hidden  bool       // from tenants, in all versions
	parse   func(value string) (test, error)
}

// equal is a filter on a field's text.
func equal(field func(*instance.Instance) string) func(string) (test, error) {
	return func(value string) (test, error) {
		return func(i *instance.Instance) bool { return field(i) == value }, nil
	}
}

// pattern is a filter by a regular expression, as Nova's databases have them.
func pattern(field func(*instance.Instance) string) func(string) (test, error) {
	return func(value string) (test, error) {
		re, err := regexp.Compile(value)
		if err != nil || len(value) > 255 {
			return nil, fault.New(fault.Invalid, "Invalid input for query parameters name. Value: %s. It is not a 'regex'.", strconv.Quote(clip(value)))
		}
		return func(i *instance.Instance) bool { return re.MatchString(field(i)) }, nil
	}
}

func boolean(name string, field func(*instance.Instance) bool) func(string) (test, error) {
	return func(value string) (test, error) {
		want, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return nil, fault.New(fault.Invalid, "Invalid input for query parameters %s. Value: %s. It is not a boolean.", name, strconv.Quote(clip(value)))
		}
		return func(i *instance.Instance) bool { return field(i) == want }, nil
	}
}

// tagged is a filter on tags: all of them or any of them, or not.
func tagged(all, not bool) func(string) (test, error) {
	return func(value string) (test, error) {
		tags := strings.Split(value, ",")
		return func(i *instance.Instance) bool {
			has := 0
			for _, tag := range tags {
				if slices.Contains(i.Tags, tag) {
					has++
				}
			}
			return (has > 0 && !all || has == len(tags)) != not
		}, nil
	}
}

func changed(name string, fits func(i *instance.Instance, by int) bool) func(string) (test, error) {
	return func(value string) (test, error) {
		when, err := moment(name, value)
		return func(i *instance.Instance) bool { return fits(i, i.Updated.Compare(when)) }, err
	}
}

// filters are all but status, ip, ip6 and availability_zone, which need more than one value or table.
var filters = map[string]filter{
	"name":           {parse: pattern(func(i *instance.Instance) string { return i.Name })},
	"image":          {parse: equal(func(i *instance.Instance) string { return i.Image })},
	"flavor":         {parse: equal(func(i *instance.Instance) string { return i.Flavor.ID })},
	"reservation_id": {parse: equal(func(i *instance.Instance) string { return i.Reservation })},
	"changes-since":  {parse: changed("changes-since", func(_ *instance.Instance, by int) bool { return by >= 0 })},
	"changes-before": {span: osapi.Since(2, 66), parse: changed("changes-before", func(_ *instance.Instance, by int) bool { return by <= 0 })},
	"tags":           {span: osapi.Since(2, 26), parse: tagged(true, false)},
	"tags-any":       {span: osapi.Since(2, 26), parse: tagged(false, false)},
	"not-tags":       {span: osapi.Since(2, 26), parse: tagged(true, true)},
	"not-tags-any":   {span: osapi.Since(2, 26), parse: tagged(false, true)},
	"locked":         {span: osapi.Since(2, 73), parse: boolean("locked", func(i *instance.Instance) bool { return i.LockedBy != instance.NotLocked })},
	"config_drive":   {tenants: osapi.Since(2, 83), parse: boolean("config_drive", func(i *instance.Instance) bool { return i.ConfigDrive })},
	"key_name":       {tenants: osapi.Since(2, 83), parse: equal(func(i *instance.Instance) string { return i.KeyName })},
	"power_state":    {tenants: osapi.Since(2, 83), parse: equal(func(i *instance.Instance) string { return strconv.Itoa(powerStates[i.Power]) })},
	"task_state":     {tenants: osapi.Since(2, 83), parse: equal(func(i *instance.Instance) string { return string(i.TaskState) })},
	"vm_state":       {tenants: osapi.Since(2, 83), parse: equal(func(i *instance.Instance) string { return string(i.VMState) })},
	"user_id":        {tenants: osapi.Since(2, 83), parse: equal(func(i *instance.Instance) string { return i.Owner })},
	"description":    {hidden: true, parse: pattern(func(i *instance.Instance) string { return i.Description })},
	"display_name":   {hidden: true, parse: pattern(func(i *instance.Instance) string { return i.Name })},
	"hostname":       {hidden: true, parse: pattern(func(i *instance.Instance) string { return i.Hostname })},
	"locked_by":      {hidden: true, parse: equal(func(i *instance.Instance) string { return string(i.LockedBy) })},
	"launch_index":   {hidden: true, parse: equal(func(i *instance.Instance) string { return strconv.Itoa(i.LaunchIndex) })},
	"uuid":           {hidden: true, parse: equal(func(i *instance.Instance) string { return i.ID })},
	"host":           {hidden: true, parse: equal(func(i *instance.Instance) string { return i.Machine })},
	"node":           {hidden: true, parse: equal(func(i *instance.Instance) string { return i.Machine })},
	"project_id":     {hidden: true, parse: equal(func(i *instance.Instance) string { return i.Project })},
	"tenant_id":      {hidden: true, parse: equal(func(i *instance.Instance) string { return i.Project })},
}

func (f filter) open(r *osapi.Request) bool {
	return f.span.Has(r.Version) && (r.Caller.ReadsAll() || !f.hidden && f.tenants.Has(r.Version))
}

// paging of servers; Nova's display names for what the domain calls otherwise.
var paging = osapi.Paging{Keys: sortKeys(), Default: []osapi.Sort{{Key: "created_at", Desc: true}, {Key: "uuid", Desc: true}}}

var compare = map[string]func(a, b *instance.Instance) int{
	"created_at":    func(a, b *instance.Instance) int { return a.Created.Compare(b.Created) },
	"updated_at":    func(a, b *instance.Instance) int { return a.Updated.Compare(b.Updated) },
	"launched_at":   func(a, b *instance.Instance) int { return a.Launched.Compare(b.Launched) },
	"terminated_at": func(a, b *instance.Instance) int { return a.Deleted.Compare(b.Deleted) },
	"launch_index":  func(a, b *instance.Instance) int { return cmp.Compare(a.LaunchIndex, b.LaunchIndex) },
}

var compareText = map[string]func(i *instance.Instance) string{
	"uuid": func(i *instance.Instance) string { return i.ID }, "display_name": func(i *instance.Instance) string { return i.Name },
	"display_description": func(i *instance.Instance) string { return i.Description }, "hostname": func(i *instance.Instance) string { return i.Hostname },
	"host": func(i *instance.Instance) string { return i.Machine }, "node": func(i *instance.Instance) string { return i.Machine },
	"image_ref": func(i *instance.Instance) string { return i.Image }, "instance_type_id": func(i *instance.Instance) string { return i.Flavor.ID },
	"key_name": func(i *instance.Instance) string { return i.KeyName }, "vm_state": func(i *instance.Instance) string { return string(i.VMState) },
	"task_state": func(i *instance.Instance) string { return string(i.TaskState) }, "project_id": func(i *instance.Instance) string { return i.Project },
	"user_id": func(i *instance.Instance) string { return i.Owner }, "power_state": func(i *instance.Instance) string { return string(i.Power) },
	"availability_zone": func(i *instance.Instance) string { return i.Zone },
}

func sortKeys() []string {
	var keys []string
	for key, text := range compareText {
		compare[key] = func(a, b *instance.Instance) int { return strings.Compare(text(a), text(b)) }
	}
	for key := range compare {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// isStatus knows Nova's statuses, also those that no server here is ever in.
func isStatus(text string) bool {
	return slices.Contains([]string{
		"active", "build", "deleted", "error", "hard_reboot", "migrating", "password", "paused", "reboot", "rebuild", "rescue", "resize", "revert_resize",
		"shelved", "shelved_offloaded", "shutoff", "soft_deleted", "suspended", "verify_resize",
	}, text)
}

// find gives the page of servers that the query wants, and the marker of the next one.
func (a *api) find(r *osapi.Request) ([]*instance.Instance, string, error) {
	q := r.Query()
	page := q.Page(paging)
	tests, err := a.tests(r, q)
	if err != nil {
		return nil, "", err
	}
	all, err := a.candidates(r, q)
	if err != nil {
		return nil, "", err
	}
	err = q.Err()
	if r.Version.AtLeast(2, 75) {
		err = q.Done()
	}
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(i *instance.Instance) bool {
		return slices.ContainsFunc(tests, func(wanted test) bool { return !wanted(i) })
	})
	osapi.Order(page, all, compare)
	return osapi.Cut(page, all, func(i *instance.Instance) string { return i.ID })
}

// candidates are the servers of the projects that are asked for: those that are there, those that were, or both.
func (a *api) candidates(r *osapi.Request, q *osapi.Query) ([]*instance.Instance, error) {
	everywhere := q.Bool("all_tenants", q.Has("all_tenants"))
	if everywhere && !r.Caller.ReadsAll() {
		return nil, fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.")
	}
	project := r.Caller.ProjectID
	if r.Caller.ReadsAll() && everywhere {
		project = "" // the filter on the project narrows it
	}
	deleted := q.Bool("deleted", false) && r.Caller.ReadsAll()
	if slices.Contains(lower(q.Strings("status")), "deleted") {
		if !r.Caller.ReadsAll() {
			return nil, fault.New(fault.Forbidden, "Only administrators may list deleted instances")
		}
		deleted = true
	}
	all, err := a.Instances.List(r.Context(), project, deleted)
	if err == nil && !deleted && q.Has("changes-since") {
		var gone []*instance.Instance
		gone, err = a.Instances.List(r.Context(), project, true)
		all = append(all, gone...)
	}
	return all, err
}

func lower(list []string) []string {
	small := make([]string, len(list))
	for n, text := range list {
		small[n] = strings.ToLower(text)
	}
	return small
}

func (a *api) tests(r *osapi.Request, q *osapi.Query) ([]test, error) {
	var tests []test
	for name, filter := range filters {
		if !q.Has(name) {
			continue
		}
		if (name == "project_id" || name == "tenant_id") && !q.Has("all_tenants") && r.Caller.ProjectID != "" {
			continue // as in Nova, an operator too sees the own project only, unless all are asked for
		}
		if !filter.open(r) {
			if !filter.span.Has(r.Version) && r.Version.AtLeast(2, 75) {
				return nil, fault.New(fault.Invalid, "Additional properties are not allowed (%q was unexpected)", name)
			}
			continue // as Nova does, for tenants' sake
		}
		wanted, err := filter.parse(q.String(name))
		if err != nil {
			return nil, err
		}
		tests = append(tests, wanted)
	}
	if asked := lower(q.Strings("status")); len(asked) > 0 {
		if r.Version.AtLeast(2, 38) && !slices.ContainsFunc(asked, isStatus) {
			return nil, fault.New(fault.Invalid, "Invalid filter value")
		}
		tests = append(tests, func(i *instance.Instance) bool { return slices.Contains(asked, strings.ToLower(Status(i))) })
	}
	if zone := "availability_zone"; q.Has(zone) && (filter{tenants: osapi.Since(2, 83)}).open(r) {
		zones, err := a.Instances.Zones(r.Context(), a.DB)
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(i *instance.Instance) bool { return zones.OfInstance(i) == q.String(zone) })
	}
	for name, version := range map[string]int{"ip": 4, "ip6": 6} {
		if !q.Has(name) {
			continue
		}
		wanted, err := a.byAddress(r, q.String(name), version)
		if err != nil {
			return nil, err
		}
		tests = append(tests, wanted)
	}
	return tests, nil
}

// byAddress wants servers with an address that the regular expression fits.
func (a *api) byAddress(r *osapi.Request, value string, version int) (test, error) {
	re, err := regexp.Compile(value)
	if err != nil || len(value) > 255 {
		return nil, fault.New(fault.Invalid, "Invalid input for query parameters ip. Value: %s. It is not a 'regex'.", strconv.Quote(clip(value)))
	}
	ports, err := a.Networks.Ports(r.Context(), a.DB, network.Everything, network.PortFilter{})
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			if ip.Addr.Is4() == (version == 4) && re.MatchString(ip.Addr.String()) {
				has[p.DeviceID] = true
			}
		}
	}
	return func(i *instance.Instance) bool { return has[i.ID] }, nil
}
