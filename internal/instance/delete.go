package instance

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// deletion is the state of the flow that takes an instance apart.
type deletion struct {
	Instance string
	Machine  string
	Failures int    // of its BMC, in a row
	Blame    string // why the machine cannot go back to the pool by itself
}

// DeleteFlow takes an instance apart: its machine is off before its ports are free, and erased before anybody else gets
// it. It always comes to its end, also on a machine whose BMC is dead: that one is quarantined.
func (s *Service) DeleteFlow() workflow.Flow[deletion] {
	return workflow.Flow[deletion]{Name: "server-delete", Steps: []workflow.Step[deletion]{
		workflow.Tx("begin", "Take the server out of service", s.beginDeletion).UndoTx(s.deletionFailed),
		workflow.Do("power-off", "Switch the machine off", s.cutPower),
		workflow.Tx("unplug", "Unplug and free the ports", s.free),
		workflow.Tx("release", "Give the machine back for cleaning", s.release),
	}}
}

// Delete takes an instance apart, whatever is being done to it. Deleting it once more is no error.
func (s *Service) Delete(ctx context.Context, v Viewer, id string, by By) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.Get(ctx, tx, v, id)
		if err != nil {
			return err
		}
		if err := i.Unlocked(v); err != nil {
			return err
		}
		if i.TaskState == DeletingIt {
			return nil
		}
		run, err := s.engine.Replace(ctx, tx, "server-delete", Resource(i.ID), by.Request, deletion{Instance: i.ID}, "the server is deleted")
		if err != nil {
			return err
		}
		i.TaskState = DeletingIt
		if err := s.record(ctx, tx, i, by, "delete", run); err != nil {
			return err
		}
		return s.save(ctx, tx, i)
	})
}

func (s *Service) beginDeletion(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deletion) error {
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	d.Machine = i.Machine
	if d.Machine == "" {
		return nil
	}
	return ignore(s.machines.Deleting(ctx, tx, d.Machine), fault.NotFound)
}

// deletionFailed lets the server be deleted once more.
func (s *Service) deletionFailed(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deletion) error {
	return s.change(ctx, tx, d.Instance, func(i *Instance) { i.TaskState, i.Fault = NoTask, s.faultOf(run) })
}

// cutPower waits for as long as the machine may still go off; a BMC that is dead or refuses is given up.
func (s *Service) cutPower(ctx context.Context, run *workflow.Run, d *deletion) error {
	if d.Machine == "" {
		return nil
	}
	err := s.machines.EnsurePower(ctx, run, d.Machine, machine.PowerOff, 0)
	switch {
	case err == nil || ctx.Err() != nil || fault.Is(err, fault.NotFound): // an operator may have deleted the machine
		return ignore(err, fault.NotFound)
	case workflow.IsOutcome(err):
		d.Failures = 0
		return err
	}
	if d.Failures++; d.Failures <= bmcPatience && fault.Is(err, fault.Unavailable) {
		return workflow.Retry(err, time.Duration(d.Failures)*time.Second)
	}
	d.Blame = "It could not be switched off when its server was deleted: " + fault.Message(err)
	return nil
}

func ignore(err error, kind fault.Kind) error {
	if fault.Is(err, kind) {
		return nil
	}
	return err
}

func (s *Service) free(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deletion) error {
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	if err := s.drop(ctx, tx, i); err != nil {
		return err
	}
	return s.save(ctx, tx, i)
}

func (s *Service) release(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deletion) error {
	if d.Machine != "" {
		if err := s.machines.Release(ctx, tx, d.Machine, d.Instance, run.Request, d.Blame); err != nil {
			return err
		}
	}
	if err := s.images.Release(ctx, tx, Resource(d.Instance)); err != nil {
		return err
	}
	return s.change(ctx, tx, d.Instance, func(i *Instance) {
		i.VMState, i.TaskState, i.Machine, i.Deleted = Deleted, NoTask, "", s.clock.Now()
	})
}
