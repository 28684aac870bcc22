package vbmc

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
)

// Finished tasks are kept for whoever asks later, up to this number.
const taskLimit = 100

// task is something the BMC works on while nobody waits (Task.v1_7_3).
type task struct {
	id, name   string
	begun      time.Time
	done       chan struct{} // closed when it has ended
	ended      time.Time
	err        *failure
	isFinished bool
}

type tasks struct {
	clock clock.Clock
	mu    sync.Mutex
	next  int
	all   []*task
}

func newTasks(c clock.Clock) *tasks { return &tasks{clock: c} }

func (ts *tasks) start(name string) *task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(ts.all) >= taskLimit {
		oldest := slices.IndexFunc(ts.all, func(t *task) bool { return t.isFinished })
		if oldest >= 0 {
			ts.all = slices.Delete(ts.all, oldest, oldest+1)
		}
	}
	ts.next++
	t := &task{id: strconv.Itoa(ts.next), name: name, begun: ts.clock.Now(), done: make(chan struct{})}
	ts.all = append(ts.all, t)
	return t
}

func (ts *tasks) end(t *task, err *failure) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.ended, t.err, t.isFinished = ts.clock.Now(), err, true
	close(t.done)
}

func (ts *tasks) find(id string) *task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.all {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (t *task) url() string { return root + "/TaskService/Tasks/" + t.id }

func (t *task) monitor() string { return root + "/TaskService/TaskMonitors/" + t.id }

// object is the Task resource.
func (t *task) object(ts *tasks) object {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	o := object{
		"@odata.id": t.url(), "Name": t.name, "TaskMonitor": t.monitor(), "StartTime": t.begun.Format(time.RFC3339),
		"TaskState": "Running", "TaskStatus": "OK", "Messages": []object{},
	}
	if !t.isFinished {
		return o
	}
	o["EndTime"] = t.ended.Format(time.RFC3339)
	o["TaskState"], o["PercentComplete"] = "Completed", 100
	if t.err != nil {
		delete(o, "PercentComplete")
		o["TaskState"], o["TaskStatus"], o["Messages"] = "Exception", "Critical", []object{t.err.info()}
	}
	return o
}

const taskSchema = "Task.v1_7_0.Task"

// monitorReply is 202 with the task and where to look for its end.
func (t *task) monitorReply(ts *tasks) *reply {
	return &reply{
		status: http.StatusAccepted,
		header: map[string]string{"Location": t.monitor()},
		body:   finish(t.object(ts), t.url(), taskSchema, t.name),
	}
}

// result is what the operation would have answered had the client waited; 202 while it runs.
func (t *task) result(ts *tasks) (*reply, error) {
	ts.mu.Lock()
	finished, failed := t.isFinished, t.err
	ts.mu.Unlock()
	switch {
	case !finished:
		return t.monitorReply(ts), nil
	case failed != nil:
		return nil, failed
	}
	return &reply{status: http.StatusNoContent}, nil
}

func taskIDs(s *Redfish) (ids []string) {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	for _, t := range s.tasks.all {
		ids = append(ids, t.id)
	}
	return ids
}

func getTaskService(s *Redfish, _ *call) (object, error) {
	return object{
		"ServiceEnabled": true, "Status": healthy(), "DateTime": s.clock.Now().Format(time.RFC3339),
		"CompletedTaskOverWritePolicy": "Oldest", "LifeCycleEventOnTaskStateChange": false,
		"Tasks": link("TaskService/Tasks"),
	}, nil
}

func getTask(s *Redfish, c *call) (object, error) {
	t := s.tasks.find(c.r.PathValue("id"))
	if t == nil {
		return nil, c.missing()
	}
	return t.object(s.tasks), nil
}

// serveTaskMonitor answers 202 while the task runs, and then what the operation itself would have answered.
func serveTaskMonitor(s *Redfish, w http.ResponseWriter, r *http.Request) {
	t := s.tasks.find(r.PathValue("id"))
	if t == nil {
		s.refuse(w, fail("ResourceMissingAtURI", r.URL.Path))
		return
	}
	answer, err := t.result(s.tasks)
	if err != nil {
		s.refuse(w, t.err)
		return
	}
	s.write(w, r, answer)
}
