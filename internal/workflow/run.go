package workflow

import (
	"encoding/json"
	"errors"
	"time"
)

// Status of a run.
type Status string

// The statuses. Stuck is active too: it holds its resource and is tried again now and then.
const (
	Queued  Status = "queued"  // waits for the active run of its resource to end
	Active  Status = "active"  //
	IsStuck Status = "stuck"   // an operator should look
	Done    Status = "done"    // every step is done
	Aborted Status = "aborted" // every undo is done
)

// Run is one execution of a flow, as bodies and readers see it.
type Run struct {
	ID       string
	Flow     string
	Resource string
	Request  string // id of the API request that started it
	Status   Status
	Backward bool
	Step     string
	Attempt  int
	Entered  time.Time // when the current step was first tried
	Epoch    int64     // of the lease; commands to agents carry it
	Cancel   string
	Err      string // why it unwinds, is stuck or was aborted
	Waiting  string
	Progress Progress
	Created  time.Time
	Ended    time.Time

	state    []byte
	rewindTo string
	wakeAt   time.Time
	deadline time.Time
	signals  int64
}

// Cause is why the run unwinds, as an error; nil while it goes forward.
func (r *Run) Cause() error {
	if r.Cancel != "" {
		return errCanceled{r.Cancel}
	}
	if r.Err == "" {
		return nil
	}
	return errors.New(r.Err)
}

// Rewinding reports whether the unwinding ends with another try forward.
func (r *Run) Rewinding() bool { return r.Backward && r.rewindTo != "" && r.Cancel == "" }

// Decode reads the state that the flow keeps.
func (r *Run) Decode(state any) error { return json.Unmarshal(r.state, state) }

// Progress of the step a run is in.
type Progress struct {
	Text  string `json:"text,omitempty"`
	Done  int64  `json:"done,omitempty"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit,omitempty"`
}

// StepRecord is one try of a step that ended in something, or the one under way.
type StepRecord struct {
	Name, Title string
	Backward    bool
	Started     time.Time
	Ended       time.Time // zero while under way
	Outcome     string    // running done failed
	Err, Words  string    // why it failed, for operators and for users
}
