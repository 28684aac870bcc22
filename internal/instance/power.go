package instance

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// powering is the state of the flow that switches an instance on and off.
type powering struct {
	Instance string
	Off, On  bool
	Soft     bool // ask the operating system before the plug is pulled
}

// PowerFlow switches an instance off, on, or off and on again.
func (s *Service) PowerFlow() workflow.Flow[powering] {
	return workflow.Flow[powering]{Name: "server-power", Steps: []workflow.Step[powering]{
		workflow.Tx("begin", "Accept the order", func(context.Context, *db.Tx, *workflow.Run, *powering) error { return nil }).UndoTx(s.powerFailed),
		workflow.Do("off", "Switch the machine off", s.powerOff),
		workflow.Do("on", "Switch the machine on", s.powerOn),
		workflow.Tx("end", "The machine has obeyed", s.powered),
	}}
}

// Start switches a stopped instance on.
func (s *Service) Start(ctx context.Context, v Viewer, id string, by By) error {
	return s.begin(ctx, v, id, by, "start", "server-power", PoweringOn, powering{Instance: id, On: true}, Stopped)
}

// Stop asks the instance's system to go down and pulls the plug when it does not.
func (s *Service) Stop(ctx context.Context, v Viewer, id string, by By) error {
	return s.begin(ctx, v, id, by, "stop", "server-power", PoweringOff, powering{Instance: id, Off: true, Soft: true}, Active, Errored)
}

// Reboot switches an instance off and on: soft by asking its system first, hard at once.
func (s *Service) Reboot(ctx context.Context, v Viewer, id string, by By, hard bool) error {
	task, from := Rebooting, []VMState{Active}
	if hard {
		task, from = HardReboot, []VMState{Active, Stopped, Errored}
	}
	return s.begin(ctx, v, id, by, "reboot", "server-power", task, powering{Instance: id, Off: true, On: true, Soft: !hard}, from...)
}

// errNoMachine is for an instance in error that got none, or lost it.
var errNoMachine = fault.New(fault.Conflict, "No machine carries the server; delete it, or create another one.")

// carrier is the machine of an instance; one in error may have none.
func (s *Service) carrier(ctx context.Context, id string) (string, error) {
	i, err := s.byID(ctx, s.db, id)
	if err != nil {
		return "", err
	}
	if i.Machine == "" {
		return "", workflow.Abort(errNoMachine)
	}
	return i.Machine, nil
}

func (s *Service) powerOff(ctx context.Context, run *workflow.Run, p *powering) error {
	m, err := s.carrier(ctx, p.Instance)
	if err != nil || !p.Off {
		return err
	}
	soft := time.Duration(0)
	if p.Soft {
		soft = softPower
	}
	return s.machines.EnsurePower(ctx, run, m, machine.PowerOff, soft)
}

func (s *Service) powerOn(ctx context.Context, run *workflow.Run, p *powering) error {
	m, err := s.carrier(ctx, p.Instance)
	if err != nil || !p.On {
		return err
	}
	return s.machines.EnsurePower(ctx, run, m, machine.PowerOn, 0)
}

func (s *Service) powered(ctx context.Context, tx *db.Tx, _ *workflow.Run, p *powering) error {
	return s.change(ctx, tx, p.Instance, func(i *Instance) {
		i.TaskState, i.Fault = NoTask, nil
		i.VMState, i.Power = Stopped, machine.PowerOff
		if p.On {
			i.VMState, i.Power = Active, machine.PowerOn
		}
	})
}

func (s *Service) powerFailed(ctx context.Context, tx *db.Tx, run *workflow.Run, p *powering) error {
	return s.change(ctx, tx, p.Instance, func(i *Instance) {
		if i.TaskState != DeletingIt {
			i.TaskState, i.Fault = NoTask, s.faultOf(run)
		}
	})
}

// PowerSeen follows what happened to a machine's power outside of our orders: a tenant's own shutdown.
func (s *Service) PowerSeen(ctx context.Context, m *machine.Machine) error {
	if m.Instance == "" || m.State != machine.Active {
		return nil
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.byID(ctx, tx, m.Instance)
		if err != nil || i.TaskState != NoTask {
			return err
		}
		switch {
		case i.VMState == Active && m.Power == machine.PowerOff:
			i.VMState = Stopped
		case i.VMState == Stopped && m.Power == machine.PowerOn:
			i.VMState = Active
		}
		i.Power = m.Power
		return s.save(ctx, tx, i)
	})
}
