package instance

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// RebuildFlow writes an image to the disk of an instance's own machine: the instance keeps the machine, its ports and its
// id. What fails leaves it in error on that machine, where it may be rebuilt once more or deleted.
func (s *Service) RebuildFlow() workflow.Flow[deploy] {
	return workflow.Flow[deploy]{Name: "server-rebuild", Steps: []workflow.Step[deploy]{
		workflow.Tx("begin", "Accept the rebuild", func(context.Context, *db.Tx, *workflow.Run, *deploy) error { return nil }).UndoTx(s.rebuildFailed),
		workflow.Tx("retake", "Take the machine back from the old system", s.retake).UndoTx(s.giveBack),
		workflow.Do("agent", "Start the agent on the machine", s.startAgent),
		workflow.Do("write-image", "Write the image to the disk", s.writeImage),
		workflow.Do("boot-order", "Make the machine start from its disk", s.bootOrder),
		workflow.Tx("hand-over", "Let the machine go from quarantine", s.handOver(true)).UndoTx(s.handOver(false)),
		workflow.Do("start", "Start the tenant's system", s.start).UndoTx(s.forgetAgent),
		workflow.Tx("plug", "Move the machine to the tenant's networks", s.move),
		workflow.Do("carried", "Wait for the networks to carry it", s.awaitNetworks),
		workflow.Tx("activate", "The server is rebuilt", s.activate),
	}}
}

// Rebuild deploys an instance anew on its machine, as edit says: from another image perhaps. It fails with Conflict while
// something else is done to the instance, and when no machine carries it. An instance that was stopped is so again at the
// end.
func (s *Service) Rebuild(ctx context.Context, v Viewer, id string, by By, edit func(*Instance) error) (i *Instance, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if i, err = s.Get(ctx, tx, v, id); err != nil {
			return err
		}
		if err := i.Unlocked(v); err != nil {
			return err
		}
		switch {
		case i.TaskState != NoTask:
			return fault.New(fault.Conflict, "Cannot 'rebuild' instance %s while it is in task_state %s", i.ID, i.TaskState)
		case i.VMState != Active && i.VMState != Stopped && i.VMState != Errored || i.Machine == "":
			return fault.New(fault.Conflict, "Cannot 'rebuild' instance %s while it is in vm_state %s", i.ID, i.VMState)
		}
		state := deploy{Instance: i.ID, Machine: i.Machine, Stays: true, Off: i.VMState == Stopped, WasImage: i.Image}
		if err := edit(i); err != nil {
			return err
		}
		if err := s.images.Hold(ctx, tx, i.Image, Resource(i.ID)); err != nil {
			return err
		}
		run, err := s.engine.Start(ctx, tx, "server-rebuild", Resource(i.ID), by.Request, state)
		if err != nil {
			return err
		}
		i.TaskState = Rebuilding
		if err := s.record(ctx, tx, i, by, "rebuild", run); err != nil {
			return err
		}
		return s.save(ctx, tx, i)
	})
	return i, err
}

// retake brings the machine back into quarantine, where the agent finds the control plane.
func (s *Service) retake(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	err := s.machines.Retake(ctx, tx, d.Machine, d.Instance)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return workflow.Abort(err)
	}
	if err != nil {
		return err
	}
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	return s.plug(ctx, tx, i, true)
}

// rebuildFailed is the last undo: an instance whose machine was not touched yet goes on as it was.
func (s *Service) rebuildFailed(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deploy) error {
	if err := s.images.Release(ctx, tx, Resource(d.Instance)); err != nil {
		return err
	}
	m, err := s.machines.Get(ctx, tx, d.Machine)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	untouched := err == nil && m.Instance == d.Instance && m.HandedOver
	return s.change(ctx, tx, d.Instance, func(i *Instance) {
		switch {
		case i.TaskState == DeletingIt:
		case untouched:
			i.TaskState, i.Image, i.Fault = NoTask, d.WasImage, s.faultOf(run)
		default:
			i.VMState, i.TaskState, i.Fault = Errored, NoTask, s.faultOf(run)
		}
	})
}

// giveBack leaves the machine with its instance, on its networks and in error: nothing of the old system is left on the
// disk, or nobody knows.
func (s *Service) giveBack(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deploy) error {
	m, err := s.machines.Get(ctx, tx, d.Machine)
	if fault.Is(err, fault.NotFound) || err == nil && (m.Instance != d.Instance || m.State != machine.Deploying) {
		return nil // deleted, or taken away, meanwhile
	}
	if err != nil {
		return err
	}
	if err := s.machines.Activate(ctx, tx, d.Machine); err != nil {
		return err
	}
	return s.move(ctx, tx, run, d)
}
