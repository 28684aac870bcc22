package nova

import (
	"fmt"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/workflow"
)

var actionFields = osapi.Fields{"updated_at": osapi.Since(2, 58)}

func actionView(r *osapi.Request, x *instance.Action) object {
	shown := object{
		"action": x.Action, "instance_uuid": x.Instance, "request_id": x.Request, "user_id": null(x.Owner), "project_id": x.Project,
		"start_time": osapi.Naive(x.Started), "updated_at": osapi.Naive(x.Updated), "message": nil,
	}
	switch {
	case x.Failed && x.Event.Words != "": // the list alone says what it was
		shown["message"] = x.Event.Words
	case x.Failed:
		shown["message"] = "Error"
	}
	return actionFields.Trim(shown, r.Version)
}

// acted finds the server of the path; its history outlives it (since 2.21).
func (a *api) acted(r *osapi.Request) (*instance.Instance, error) {
	if r.Version.AtLeast(2, 21) {
		return a.Instances.GetAlways(r.Context(), a.DB, reader(r), r.Path("id"))
	}
	return a.server(r, reader(r))
}

// listActions pages since 2.58.
func (a *api) listActions(r *osapi.Request) (any, error) {
	i, err := a.acted(r)
	if err != nil {
		return nil, err
	}
	all, err := a.Instances.Actions(r.Context(), i.ID)
	if err != nil {
		return nil, err
	}
	next := ""
	if r.Version.AtLeast(2, 58) {
		if all, next, err = pageOfActions(r, all); err != nil {
			return nil, err
		}
	}
	shown := make([]object, len(all))
	for n, x := range all {
		shown[n] = actionView(r, x)
	}
	body := object{"instanceActions": shown}
	if next != "" {
		body["links"] = []object{{"rel": "next", "href": r.Next(next)}}
	}
	return body, nil
}

func pageOfActions(r *osapi.Request, all []*instance.Action) ([]*instance.Action, string, error) {
	q := r.Query()
	page := q.Page(osapi.Paging{})
	for name, wanted := range map[string]int{"changes-since": 1, "changes-before": -1} {
		if !q.Has(name) || name == "changes-before" && !r.Version.AtLeast(2, 66) {
			continue
		}
		when, err := moment(name, q.String(name))
		if err != nil {
			return nil, "", err
		}
		all = slices.DeleteFunc(all, func(x *instance.Action) bool { return x.Updated.Compare(when) == -wanted })
	}
	if err := q.Done(); err != nil {
		return nil, "", err
	}
	return osapi.Cut(page, all, func(x *instance.Action) string { return x.Request })
}

// showAction tells tenants of the events too, which Nova's default policy before 2.51 keeps for admins: they are the
// progress of what they asked for.
func (a *api) showAction(r *osapi.Request) (any, error) {
	i, err := a.acted(r)
	if err != nil {
		return nil, err
	}
	x, err := a.Instances.Action(r.Context(), i.ID, r.Path("request"))
	if err != nil {
		return nil, err
	}
	steps, err := a.Instances.Steps(r.Context(), x)
	if err != nil {
		return nil, err
	}
	running, err := a.Instances.Running(r.Context(), i.ID)
	if err != nil {
		return nil, err
	}
	if running != nil && running.ID != x.Run {
		running = nil
	}
	events := make([]object, len(steps))
	for n, step := range steps {
		events[n] = eventView(r, i, step, running)
	}
	if x.Event.Name != "" {
		events = append(events, ownEvent(r, i, x))
	}
	shown := actionView(r, x)
	shown["events"] = events
	return object{"instanceAction": shown}, nil
}

var eventFields = osapi.Fields{"hostId": osapi.Since(2, 62), "host": osapi.Since(2, 62), "details": osapi.Since(2, 84)}

// eventView is one step: its name, its sentence, and what became of it.
func eventView(r *osapi.Request, i *instance.Instance, step workflow.StepRecord, running *workflow.Run) object {
	shown := object{
		"event": step.Name, "start_time": osapi.Naive(step.Started), "finish_time": osapi.Naive(step.Ended), "result": nil,
		"traceback": nil, "hostId": hostID(i), "details": step.Title,
	}
	if step.Backward {
		shown["event"], shown["details"] = "undo-"+step.Name, "Take back: "+step.Title
	}
	switch {
	case step.Ended.IsZero() && running != nil:
		shown["details"] = step.Title + progress(running)
	case step.Outcome == "done":
		shown["result"] = "Success"
	case step.Outcome == "failed":
		shown["result"], shown["details"] = "Error", fmt.Sprintf("%s: %s", shown["details"], step.Words)
	}
	if r.Caller.ReadsAll() {
		shown["host"], shown["traceback"] = i.Machine, null(step.Err)
	}
	return eventFields.Trim(shown, r.Version)
}

// ownEvent is the only one of an action that no run does.
func ownEvent(r *osapi.Request, i *instance.Instance, x *instance.Action) object {
	e := &x.Event
	shown := object{
		"event": e.Name, "start_time": osapi.Naive(x.Started), "finish_time": osapi.Naive(e.Ended), "result": nil,
		"traceback": nil, "hostId": hostID(i), "details": e.Words,
	}
	switch {
	case e.Failed:
		shown["result"] = "Error"
	case !e.Ended.IsZero():
		shown["result"] = "Success"
	}
	if r.Caller.ReadsAll() {
		shown["host"] = i.Machine
	}
	return eventFields.Trim(shown, r.Version)
}

// progress puts a run's progress, or what it waits for, into words.
func progress(run *workflow.Run) string {
	switch p := run.Progress; {
	case p.Total > 0:
		return fmt.Sprintf(": %s, %d%%", p.Text, 100*p.Done/p.Total)
	case p.Text != "":
		return ": " + p.Text
	case run.Waiting != "":
		return " (" + run.Waiting + ")"
	}
	return ""
}
