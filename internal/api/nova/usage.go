package nova

import (
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// period is what a usage is asked for.
type period struct{ start, stop time.Time }

// overlap is for how long an instance ran in the period.
func (p period) overlap(i *instance.Instance) time.Duration {
	from, to := i.Launched, i.Deleted
	if from.IsZero() {
		return 0
	}
	if from.Before(p.start) {
		from = p.start
	}
	if to.IsZero() || to.After(p.stop) {
		to = p.stop
	}
	return max(to.Sub(from), 0)
}

func (a *api) period(q *osapi.Query) (p period, err error) {
	now := a.Clock.Now()
	p = period{now.AddDate(0, 0, -28), now}
	if text := q.String("start"); text != "" {
		if p.start, err = moment("start", text); err != nil {
			return p, err
		}
	}
	if text := q.String("end"); text != "" {
		if p.stop, err = moment("end", text); err != nil {
			return p, err
		}
	}
	if p.start.After(p.stop) {
		return p, fault.New(fault.Invalid, "Invalid start time. The start time cannot occur after the end time.")
	}
	if p.stop.After(now) {
		p.stop = now
	}
	return p, nil
}

// measured gives the instances of a project, or of all, that were there in the period, oldest first, so that markers hold.
func (a *api) measured(r *osapi.Request, p period, project string) ([]*instance.Instance, error) {
	var all []*instance.Instance
	for _, deleted := range []bool{true, false} {
		some, err := a.Instances.List(r.Context(), project, deleted)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	all = slices.DeleteFunc(all, func(i *instance.Instance) bool { return p.overlap(i) == 0 })
	slices.SortStableFunc(all, func(x, y *instance.Instance) int { return x.Created.Compare(y.Created) })
	return all, nil
}

// usageView sums up the usage of one project.
func (a *api) usageView(p period, project string, list []*instance.Instance, detailed bool) object {
	var hours, disk, cpus, memory float64
	servers := make([]object, len(list))
	for n, i := range list {
		ran := p.overlap(i)
		h := ran.Hours()
		hours, disk, cpus, memory = hours+h, disk+h*float64(i.Flavor.Disk), cpus+h*float64(i.Flavor.VCPUs), memory+h*float64(i.Flavor.RAM)
		state, until := string(i.VMState), p.stop
		if !i.Deleted.IsZero() {
			state, until = "terminated", i.Deleted
		}
		servers[n] = object{
			"hours": h, "flavor": i.Flavor.Name, "instance_id": i.ID, "name": i.Name, "tenant_id": i.Project, "memory_mb": i.Flavor.RAM,
			"local_gb": i.Flavor.Disk, "vcpus": i.Flavor.VCPUs, "started_at": osapi.Naive(i.Launched), "ended_at": osapi.Naive(i.Deleted),
			"state": state, "uptime": int(until.Sub(i.Launched).Seconds()),
		}
	}
	shown := object{
		"tenant_id": project, "total_local_gb_usage": disk, "total_vcpus_usage": cpus, "total_memory_mb_usage": memory, "total_hours": hours,
		"start": osapi.Naive(p.start), "stop": osapi.Naive(p.stop),
	}
	if detailed {
		shown["server_usages"] = servers
	}
	return shown
}

// usage of one project; since 2.40 in pages, of which a project without any (more) usage is the last.
func (a *api) usage(r *osapi.Request) (any, error) {
	project := r.Path("project")
	if !r.Caller.Reads(project) {
		return nil, fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:os-simple-tenant-usage:show to be performed.")
	}
	q := r.Query()
	p, list, next, err := a.usagePage(r, q, project)
	if err != nil {
		return nil, err
	}
	body := object{"tenant_usage": object{}}
	if len(list) > 0 {
		body["tenant_usage"] = a.usageView(p, project, list, true)
	}
	if next != "" {
		body["tenant_usage_links"] = []object{{"rel": "next", "href": r.Next(next)}}
	}
	return body, nil
}

func (a *api) usagePage(r *osapi.Request, q *osapi.Query, project string) (p period, list []*instance.Instance, next string, err error) {
	page := q.Page(osapi.Paging{})
	if p, err = a.period(q); err == nil {
		err = q.Err()
	}
	if err == nil {
		list, err = a.measured(r, p, project)
	}
	if err == nil && r.Version.AtLeast(2, 40) {
		list, next, err = osapi.Cut(page, list, func(i *instance.Instance) string { return i.ID })
	}
	return p, list, next, err
}

// usages of all projects.
func (a *api) usages(r *osapi.Request) (any, error) {
	q := r.Query()
	detailed := q.Bool("detailed", false)
	p, list, next, err := a.usagePage(r, q, "")
	if err != nil {
		return nil, err
	}
	var projects []string
	of := map[string][]*instance.Instance{}
	for _, i := range list {
		if of[i.Project] == nil {
			projects = append(projects, i.Project)
		}
		of[i.Project] = append(of[i.Project], i)
	}
	shown := make([]object, len(projects))
	for n, project := range projects {
		shown[n] = a.usageView(p, project, of[project], detailed)
	}
	return page(r, "tenant_usages", shown, next), nil
}
