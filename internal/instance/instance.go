package instance

import (
	"time"

	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/machine"
)

// VMState is the state an instance rests in, by Nova's names.
type VMState string

// The states.
const (
	Building VMState = "building"
	Active   VMState = "active"
	Stopped  VMState = "stopped"
	Errored  VMState = "error"
	Deleted  VMState = "deleted"
)

// TaskState is what is being done to an instance, by Nova's names; empty when nothing is.
type TaskState string

// The task states.
const (
	NoTask      TaskState = ""
	Scheduling  TaskState = "scheduling"
	Networking  TaskState = "networking"
	Spawning    TaskState = "spawning"
	PoweringOff TaskState = "powering-off"
	PoweringOn  TaskState = "powering-on"
	Rebooting   TaskState = "rebooting"
	HardReboot  TaskState = "rebooting_hard"
	DeletingIt  TaskState = "deleting"
)

// Instance is what a tenant runs.
type Instance struct {
	ID, Project, Owner          string
	Name, Description, Hostname string
	Reservation                 string // "r-…": of the request that made it, with others
	LaunchIndex                 int
	Flavor                      flavor.Flavor // as it was when asked for
	Image                       string
	KeyName, PublicKey          string
	UserData                    string // base64
	ConfigDrive                 bool   // the user asked for one; there always is one
	Zone                        string
	Metadata                    map[string]string
	Tags                        []string
	VMState                     VMState
	TaskState                   TaskState
	Power                       machine.PowerState
	Locked                      bool
	LockReason                  string
	Machine                     string // id; empty: none carries it
	Fault                       *Fault
	Created, Updated            time.Time
	Launched, Deleted           time.Time // zero: not yet
}

// Fault is why an instance is in error, for its owner.
type Fault struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Details string    `json:"details,omitempty"` // for operators
	Created time.Time `json:"created"`
}

// Action is something that was asked of an instance.
type Action struct {
	Request, Instance, Action, Owner, Project, Run string
	Started                                        time.Time
}

// Resource is the name under which workflows hold an instance.
func Resource(instance string) string { return "instance/" + instance }
