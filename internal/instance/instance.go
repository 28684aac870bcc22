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
	Rescued  VMState = "rescued"
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
	Rebuilding  TaskState = "rebuilding"
	Rescuing    TaskState = "rescuing"
	Unrescuing  TaskState = "unrescuing"
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
	Zone                        string // as asked for; empty: any
	Metadata                    map[string]string
	Tags                        []string
	AccessIPv4, AccessIPv6      string // what the user says; kept for clients
	DiskConfig                  string // AUTO or MANUAL; kept for clients
	Ports                       []Port
	VMState                     VMState
	TaskState                   TaskState
	Power                       machine.PowerState
	LockedBy                    Locker
	LockReason                  string
	Machine                     string // id; empty: none carries it
	Group                       string // id of its server group; empty: none
	Fault                       *Fault
	Created, Updated            time.Time
	Launched, Deleted           time.Time // zero: not yet
}

// DefaultZone is the availability zone of machines that are in no other.
const DefaultZone = "nova"

// Locker is who locked an instance: an admin's lock holds its owner too.
type Locker string

// The lockers.
const (
	NotLocked     Locker = ""
	LockedByOwner Locker = "owner"
	LockedByAdmin Locker = "admin"
)

// Port is a port of an instance.
type Port struct {
	ID  string
	Own bool   // made for the instance, and deleted with it
	Tag string `json:",omitempty"` // by which its owner knows it; empty: none
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
	Request, Instance, Action, Owner, Project string
	Run                                       string // that does it; empty: it was done at once, or came by itself
	Started, Updated                          time.Time
	Failed                                    bool
	Event                                     Event // of one that no run does
	ended                                     time.Time
}

// Event is all that happened in an action that no run does.
type Event struct {
	Name    string // empty: nothing is told of it
	Words   string // a sentence
	Started time.Time
	Ended   time.Time // zero: it goes on, or nobody lived to tell
	Failed  bool
}

// Resource is the name under which workflows hold an instance.
func Resource(instance string) string { return "instance/" + instance }
