package instance

import (
	"context"
	"errors"
	"strings"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// rescue is the state of the flows that bring an instance's machine into the rescue system and back.
type rescue struct {
	Instance     string
	Machine      string
	PasswordHash string // of the rescue system's root
	Touched      bool   // there is no going on as if nothing had been asked
}

// RescueFlow brings the machine of an instance into the rescue system: the agent's RAM disk, which starts in quarantine,
// takes the tenant's keys, forgets the control plane and comes up on the tenant's own networks. The disk is left alone. What
// fails once the machine was taken leaves it off, on its networks, and the instance in error: to be rescued once more,
// unrescued, rebooted hard or deleted.
func (s *Service) RescueFlow() workflow.Flow[rescue] {
	return workflow.Flow[rescue]{Name: "server-rescue", Steps: []workflow.Step[rescue]{
		workflow.Tx("begin", "Accept the rescue", s.beginRescue).UndoTx(s.rescueFailed),
		workflow.Do("power-off", "Switch the machine off", s.offToRescue),
		workflow.Tx("quarantine", "Take the machine into quarantine", s.quarantine).UndoTx(s.backFromQuarantine),
		workflow.Do("agent", "Start the rescue system on the machine", s.startRescueSystem).UndoDo(s.stopRescueSystem),
		workflow.Do("boot-order", "Make the machine start from its disk the next time", s.diskAfterRescue),
		workflow.Tx("hand-over", "Let the machine go from quarantine", s.leaveQuarantine),
		workflow.Do("enter", "Give the rescue system the tenant's keys, and have it forget ours", s.enterRescueSystem),
		workflow.Tx("plug", "Move the machine to the tenant's networks", s.plugRescued),
		workflow.Do("carried", "Wait for the networks to carry it", s.awaitRescued),
		workflow.Tx("end", "The server is rescued", s.rescued),
	}}
}

// UnrescueFlow starts the system on the disk again.
func (s *Service) UnrescueFlow() workflow.Flow[rescue] {
	return workflow.Flow[rescue]{Name: "server-unrescue", Steps: []workflow.Step[rescue]{
		workflow.Tx("begin", "Accept the end of the rescue", s.beginRescue).UndoTx(s.rescueFailed),
		workflow.Do("power-off", "Switch the rescue system off", s.offFromRescue),
		workflow.Do("boot-order", "Make the machine start from its disk", s.diskAfterRescue),
		workflow.Do("power-on", "Start the tenant's system", s.onFromRescue),
		workflow.Tx("end", "The server is active", s.unrescued),
	}}
}

// Rescue brings an instance's machine into the rescue system, where root has the password, and the instance's key pair logs
// in. It fails with Unsupported in a cloud that has no such system.
func (s *Service) Rescue(ctx context.Context, v Viewer, id string, by By, password string) error {
	if err := s.machines.CanRescue(); err != nil {
		return err
	}
	hash, err := agentapi.HashPassword(password)
	if err != nil {
		return err
	}
	return s.begin(ctx, v, id, by, "rescue", "server-rescue", Rescuing, rescue{Instance: id, PasswordHash: hash}, Active, Stopped, Errored)
}

// Unrescue starts the system on the disk of a rescued instance, or of one whose rescue failed.
func (s *Service) Unrescue(ctx context.Context, v Viewer, id string, by By) error {
	return s.begin(ctx, v, id, by, "unrescue", "server-unrescue", Unrescuing, rescue{Instance: id}, Rescued, Errored)
}

func (s *Service) beginRescue(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	i, err := s.byID(ctx, tx, r.Instance)
	if err != nil {
		return err
	}
	r.Machine = i.Machine
	return nil
}

// rescueFailed is the last undo: an instance whose machine was not touched yet goes on as it was.
func (s *Service) rescueFailed(ctx context.Context, tx *db.Tx, run *workflow.Run, r *rescue) error {
	return s.change(ctx, tx, r.Instance, func(i *Instance) {
		if i.TaskState == DeletingIt {
			return
		}
		if i.TaskState, i.Fault = NoTask, s.faultOf(run); r.Touched {
			i.VMState = Errored
		}
	})
}

// offToRescue lets the system write its disk out, as a stop does. One that hangs has a minute.
func (s *Service) offToRescue(ctx context.Context, run *workflow.Run, r *rescue) error {
	return s.machines.EnsurePower(ctx, run, r.Machine, machine.PowerOff, softPower)
}

func (s *Service) quarantine(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	err := s.machines.BeginRescue(ctx, tx, r.Machine, r.Instance)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return workflow.Abort(err)
	}
	if err != nil {
		return err
	}
	r.Touched = true
	return s.plugMachine(ctx, tx, r, true)
}

// plugMachine puts the instance's ports on the machine's NICs: reserved while the machine is in quarantine.
func (s *Service) plugMachine(ctx context.Context, tx *db.Tx, r *rescue, reserved bool) error {
	i, err := s.byID(ctx, tx, r.Instance)
	if err != nil || i.Machine != r.Machine {
		return err
	}
	return s.plug(ctx, tx, i, reserved)
}

func (s *Service) backFromQuarantine(ctx context.Context, tx *db.Tx, run *workflow.Run, r *rescue) error {
	if !r.Touched {
		return nil
	}
	return s.plugRescued(ctx, tx, run, r)
}

func (s *Service) startRescueSystem(ctx context.Context, run *workflow.Run, r *rescue) error {
	return s.machines.EnsureRescueSystem(ctx, run, r.Machine, workflow.Abort)
}

// stopRescueSystem leaves the machine off, to start from its disk. A BMC that is dead or refuses is given up: what may still
// run is an agent without a credential.
func (s *Service) stopRescueSystem(ctx context.Context, run *workflow.Run, r *rescue) error {
	err := s.machines.EnsurePower(ctx, run, r.Machine, machine.PowerOff, 0)
	if err == nil {
		err = s.machines.ToDisk(ctx, r.Machine)
	}
	if err == nil || ctx.Err() != nil || workflow.IsOutcome(err) || fault.Is(err, fault.Unavailable) && run.Attempt < bmcPatience {
		return err
	}
	s.log.Warn("a machine whose rescue failed may still be on", "machine", r.Machine, "error", err)
	return nil
}

// diskAfterRescue comes before the tenant does: a machine that is reset in the rescue system starts the tenant's own.
func (s *Service) diskAfterRescue(ctx context.Context, _ *workflow.Run, r *rescue) error {
	return s.machines.ToDisk(ctx, r.Machine)
}

func (s *Service) leaveQuarantine(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	return s.machines.HandOver(ctx, tx, r.Machine, true)
}

func (s *Service) enterRescueSystem(ctx context.Context, run *workflow.Run, r *rescue) error {
	i, err := s.byID(ctx, s.db, r.Instance)
	if err != nil {
		return err
	}
	order := &agentapi.Rescue{Hostname: i.Hostname, PasswordHash: r.PasswordHash}
	if key := strings.TrimSpace(i.PublicKey); key != "" {
		order.Keys = []string{key}
	}
	err = s.machines.Ask(ctx, run, r.Machine, "rescue", agentapi.Command{Kind: agentapi.KindRescue, Rescue: order}, nil)
	var failed *machine.AgentError
	if errors.As(err, &failed) {
		return workflow.Abort(fault.New(fault.Unavailable, "%s", failed.Message))
	}
	return err
}

// plugRescued ends the agent's session in the transaction that lets the tenant reach the machine: nobody who is in it can
// speak for it any more.
func (s *Service) plugRescued(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	if err := s.machines.EndRescue(ctx, tx, r.Machine); err != nil {
		return err
	}
	return s.plugMachine(ctx, tx, r, false)
}

func (s *Service) awaitRescued(ctx context.Context, run *workflow.Run, r *rescue) error {
	return s.awaitNetworks(ctx, run, &deploy{Instance: r.Instance})
}

func (s *Service) rescued(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	return s.change(ctx, tx, r.Instance, func(i *Instance) {
		i.VMState, i.TaskState, i.Power, i.Fault = Rescued, NoTask, machine.PowerOn, nil
	})
}

func (s *Service) offFromRescue(ctx context.Context, run *workflow.Run, r *rescue) error {
	r.Touched = true
	return s.machines.EnsurePower(ctx, run, r.Machine, machine.PowerOff, 0)
}

func (s *Service) onFromRescue(ctx context.Context, run *workflow.Run, r *rescue) error {
	return s.machines.EnsurePower(ctx, run, r.Machine, machine.PowerOn, 0)
}

func (s *Service) unrescued(ctx context.Context, tx *db.Tx, _ *workflow.Run, r *rescue) error {
	return s.change(ctx, tx, r.Instance, func(i *Instance) {
		i.VMState, i.TaskState, i.Power, i.Fault = Active, NoTask, machine.PowerOn, nil
	})
}
