package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// CanRescue fails with Unsupported in a cloud that has no RAM disk for rescues.
func (s *Service) CanRescue() error {
	if !s.access.Rescue {
		return fault.New(fault.Unsupported, "This cloud has no rescue system; its operator can build one (ingot ramdisk build).")
	}
	return nil
}

// BeginRescue takes a machine, which is off, from its instance's system into quarantine, where the rescue system starts. It
// fails with Conflict when the instance does not have the machine.
func (s *Service) BeginRescue(ctx context.Context, tx *db.Tx, machine, instance string) error {
	m, err := s.Get(ctx, tx, machine)
	if err != nil {
		return err
	}
	if m.Instance != instance {
		return fault.New(fault.Conflict, "The machine %s is not the instance's any more.", machine)
	}
	if err := s.take(ctx, tx, m); err != nil {
		return err
	}
	m.HandedOver = false
	return move(ctx, s, tx, m, Rescuing, Active)
}

// EnsureRescueSystem is EnsureAgent with the RAM disk that can become a rescue system.
func (s *Service) EnsureRescueSystem(ctx context.Context, run *workflow.Run, machine string, late func(error) error) error {
	return s.ensureAgent(ctx, run, machine, true, late)
}

// EndRescue gives a machine back to its instance, whose rescue system runs on it now, or did not come: the agent's
// credential is void and the quarantine network answers it no more. A machine that is not being rescued is left alone.
func (s *Service) EndRescue(ctx context.Context, tx *db.Tx, machine string) error {
	m, err := s.Get(ctx, tx, machine)
	if fault.Is(err, fault.NotFound) || err == nil && m.State != Rescuing {
		return nil // deleted, or taken away, meanwhile
	}
	if err != nil {
		return err
	}
	if err := s.EndBoot(ctx, tx, machine); err != nil {
		return err
	}
	m.HandedOver = true
	return move(ctx, s, tx, m, Active, "")
}
