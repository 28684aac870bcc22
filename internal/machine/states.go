package machine

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// State of a machine, by Ironic's names for a node's provision_state.
type State string

// The states.
const (
	Enroll        State = "enroll"
	Verifying     State = "verifying"
	Manageable    State = "manageable"
	Inspecting    State = "inspecting"
	InspectFailed State = "inspect failed"
	Cleaning      State = "cleaning"
	CleanFailed   State = "clean failed"
	Available     State = "available"
	Deploying     State = "deploying"
	DeployFailed  State = "deploy failed"
	Active        State = "active"
	Deleting      State = "deleting"
	Adopting      State = "adopting"
	AdoptFailed   State = "adopt failed"
	Rescuing      State = "rescuing"
)

// transitions is the state machine: what is not a line here does not happen.
var transitions = []struct {
	from, to State
	why      string
}{
	{Enroll, Verifying, "an operator asked to manage it"},
	{Verifying, Manageable, "the BMC answered to its credentials"},
	{Verifying, Enroll, "the BMC did not answer, or refused"},
	{Manageable, Verifying, "an operator asked to verify it again"},
	{Manageable, Inspecting, "an operator asked to inspect it"},
	{Inspecting, Manageable, "the agent told what the machine is"},
	{Inspecting, InspectFailed, "the agent did not come, or could not tell"},
	{InspectFailed, Inspecting, "an operator asked to try again"},
	{InspectFailed, Manageable, "an operator took it back"},
	{Manageable, Cleaning, "an operator asked to provide it"},
	{Cleaning, Available, "every disk was erased and read back"},
	{Cleaning, CleanFailed, "a disk could not be erased, or the agent did not come"},
	{CleanFailed, Manageable, "an operator took it back"},
	{CleanFailed, Cleaning, "an operator asked to try again"},
	{Available, Manageable, "an operator took it out of the pool"},
	{Available, Deploying, "an instance got it"},
	{Deploying, Active, "the tenant's system was started"},
	{Deploying, DeployFailed, "the machine failed while an image was written to it"},
	{Deploying, Cleaning, "the deploy was given up; the machine is not to blame"},
	{DeployFailed, Cleaning, "an operator asked to clean it"},
	{DeployFailed, Manageable, "an operator took it back"},
	{Active, Deploying, "its instance is rebuilt on it"},
	{Active, Rescuing, "its server is rescued: the agent comes in the place of the tenant's system"},
	{Rescuing, Active, "the rescue system has it, or the rescue was given up"},
	{Active, Deleting, "the instance lets go of it"},
	{Deleting, Cleaning, "the machine is off and unplugged"},
	{Deleting, DeployFailed, "the machine is out of control: nobody can tell that it is off"},
	{Cleaning, Manageable, "every disk was erased and read back, and the machine is retired"},
	{Manageable, Adopting, "an operator asked to take it over with what runs on it"},
	{Adopting, Active, "the BMC answered; what runs there is its tenant's"},
	{Adopting, AdoptFailed, "the BMC did not answer, or refused"},
	{AdoptFailed, Adopting, "an operator asked to try again"},
	{AdoptFailed, Manageable, "an operator took it back"},
}

// move takes the machine to another state inside the caller's transaction.
func move(ctx context.Context, s *Service, tx *db.Tx, m *Machine, to State, target State) error {
	for _, t := range transitions {
		if t.from == m.State && t.to == to {
			m.State, m.Target, m.StateSince = to, target, s.clock.Now()
			return s.save(ctx, tx, m)
		}
	}
	return fault.New(fault.Conflict, "The machine is %s; it cannot become %s.", m.State, to)
}

// Verb is what an operator asks of a machine: Ironic's provision targets.
type Verb string

// The verbs.
const (
	Manage  Verb = "manage"
	Inspect Verb = "inspect"
	Provide Verb = "provide"
	Undo    Verb = "deleted" // undeploy
	Abort   Verb = "abort"   // give up the inspection or cleaning under way
	Adopt   Verb = "adopt"   // take it over with what runs on it
	Deploy  Verb = "active"  // fake hardware only: all else is deployed for a server
	Rebuild Verb = "rebuild" // likewise
)

// verbs says in which states a verb may be asked.
var verbs = map[Verb][]State{
	Manage:  {Enroll, Manageable, InspectFailed, CleanFailed, DeployFailed, AdoptFailed, Available},
	Inspect: {Manageable, InspectFailed},
	Provide: {Manageable, CleanFailed},
	Undo:    {DeployFailed, Active},
	Abort:   {Inspecting, Cleaning},
	Adopt:   {Manageable, AdoptFailed},
	Deploy:  {Available},
	Rebuild: {Active},
}

func allowed(verb Verb, m *Machine) error {
	states, known := verbs[verb]
	if !known {
		return fault.New(fault.Invalid, "The requested action %q is not known.", verb)
	}
	if !slices.Contains(states, m.State) {
		return fault.New(fault.Invalid, "The requested action %q can not be performed on node %q while it is in state %q.", verb, m.ID, m.State)
	}
	return nil
}
