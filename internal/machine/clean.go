package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// cleaning is the state of the clean flow.
type cleaning struct {
	work
	Look   bool // nobody inspected the machine yet: without its disks' names there is no proof
	Found  agentapi.Inventory
	Erased agentapi.EraseResult
}

// CleanFlow erases every disk, proves it, and puts the machine into the pool: → available, with the agent waiting.
// A machine that cannot be cleaned is quarantined as clean failed.
func (s *Service) CleanFlow() workflow.Flow[cleaning] {
	on := func(body workflow.TxBody[work]) workflow.TxBody[cleaning] {
		return func(ctx context.Context, tx *db.Tx, run *workflow.Run, c *cleaning) error {
			return body(ctx, tx, run, &c.work)
		}
	}
	return workflow.Flow[cleaning]{Name: "machine-clean", Steps: []workflow.Step[cleaning]{
		workflow.Tx("begin", "Take the machine for cleaning", s.beginCleaning).UndoTx(on(s.end(Cleaning, CleanFailed))),
		workflow.Do("agent", "Start the agent", func(ctx context.Context, run *workflow.Run, c *cleaning) error {
			return s.EnsureAgent(ctx, run, c.Machine, workflow.Abort)
		}),
		workflow.Do("look", "Look at the hardware, if nobody did yet", func(ctx context.Context, run *workflow.Run, c *cleaning) error {
			if !c.Look {
				return nil
			}
			return c.onAgent(s.Ask(ctx, run, c.Machine, "inspect", agentapi.Command{Kind: agentapi.KindInspect}, &c.Found))
		}),
		workflow.Tx("record", "Record the inventory", func(ctx context.Context, tx *db.Tx, _ *workflow.Run, c *cleaning) error {
			if !c.Look {
				return nil
			}
			return s.recordInventory(ctx, tx, c.Machine, c.Found)
		}),
		workflow.Do("erase", "Erase every disk and read it back", func(ctx context.Context, run *workflow.Run, c *cleaning) error {
			command := agentapi.Command{Kind: agentapi.KindErase, Erase: &agentapi.Erase{}}
			return c.onAgent(s.Ask(ctx, run, c.Machine, "erase", command, &c.Erased))
		}),
		workflow.Tx("prove", "Check the proof of erasure", s.recordErasure),
		workflow.Tx("end", "The machine is a clean spare", on(s.finish(Available))),
	}}
}

// beginCleaning takes the machine from wherever it may be cleaned. A machine that is already in the state cleaning was
// put there by its release.
func (s *Service) beginCleaning(ctx context.Context, tx *db.Tx, run *workflow.Run, c *cleaning) error {
	m, err := s.Get(ctx, tx, c.Machine)
	if err != nil {
		return err
	}
	m.forgive()
	m.LastError, m.Erased, c.Look = "", nil, m.Inventory == nil
	if err := s.take(ctx, tx, m); err != nil {
		return err
	}
	if m.State == Cleaning {
		return s.save(ctx, tx, m)
	}
	return move(ctx, s, tx, m, Cleaning, Available)
}

// recordErasure refuses a proof that does not cover every disk known of the machine.
func (s *Service) recordErasure(ctx context.Context, tx *db.Tx, _ *workflow.Run, c *cleaning) error {
	m, err := s.Get(ctx, tx, c.Machine)
	if err != nil {
		return err
	}
	proven := map[string]bool{}
	for _, disk := range c.Erased.Disks {
		proven[disk.ID] = disk.Verified > 0
	}
	if m.Inventory == nil {
		return workflow.Abort(fault.New(fault.Conflict, "Nobody knows the machine's disks: inspect it."))
	}
	for _, disk := range m.Inventory.Disks {
		if !proven[disk.ID] {
			return workflow.Abort(fault.New(fault.Conflict, "There is no proof that disk %s (%s) was erased.", disk.Name, disk.ID))
		}
	}
	m.Erased = &c.Erased
	return s.save(ctx, tx, m)
}

// WarmFlow starts the agent on a spare that lost it, so that the next tenant need not wait for firmware.
func (s *Service) WarmFlow() workflow.Flow[work] {
	return workflow.Flow[work]{Name: "machine-warm", Steps: []workflow.Step[work]{
		workflow.Do("agent", "Start the agent on the spare", func(ctx context.Context, run *workflow.Run, w *work) error {
			return s.EnsureAgent(ctx, run, w.Machine, workflow.Abort)
		}).UndoDo(func(ctx context.Context, run *workflow.Run, w *work) error {
			if workflow.IsCanceled(run.Cause()) {
				return nil // somebody else needs the machine
			}
			return s.db.Tx(ctx, func(tx *db.Tx) error {
				m, err := s.Get(ctx, tx, w.Machine)
				if fault.Is(err, fault.NotFound) || err == nil && !m.Spare() {
					return nil // deleted or out of the pool meanwhile
				}
				if err != nil {
					return err
				}
				s.quarantine(m, run.Err)
				return s.save(ctx, tx, m)
			})
		}),
	}}
}

// quarantine takes a machine out of the pool. Maintenance is how Ironic's clients see it, and its end is the way back.
func (s *Service) quarantine(m *Machine, reason string) {
	m.Maintenance, m.MaintenanceReason, m.Fault, m.LastError = true, quarantined(reason), reason, reason
	s.log.Error("a machine is quarantined", "machine", m.ID, "name", m.Name, "reason", reason)
}

func quarantined(reason string) string { return "Quarantined: " + reason }

// forgive ends a quarantine. A maintenance that an operator ordered stays.
func (m *Machine) forgive() {
	if m.Maintenance && m.MaintenanceReason == quarantined(m.Fault) {
		m.Maintenance, m.MaintenanceReason = false, ""
	}
	m.Fault = ""
}
