package machine

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// SetPower orders the power of a machine once, for an operator.
func (s *Service) SetPower(ctx context.Context, ident string, action PowerAction) error {
	m, err := s.Get(ctx, s.db, ident)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	if err := bmc.SetPower(ctx, action); err != nil {
		return err
	}
	_, err = s.notePower(ctx, m, bmc)
	return err
}

// EnsurePower is the body of a step that needs the machine on or off: it orders, looks, and orders again. Soft asks the
// operating system first and pulls the plug when it has not obeyed within the grace.
func (s *Service) EnsurePower(ctx context.Context, run *workflow.Run, machine string, want PowerState, soft time.Duration) error {
	m, err := s.Get(ctx, s.db, machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	now, err := s.notePower(ctx, m, bmc)
	if err != nil || now == want {
		return err
	}
	action := map[PowerState]PowerAction{PowerOn: ActionOn, PowerOff: ActionOff}[want]
	if want == PowerOff && s.clock.Now().Sub(run.Entered) < soft {
		action = ActionShutdown
	}
	if action != ActionShutdown || run.Attempt%5 == 0 { // a button pressed too often is taken for a held one
		if err := bmc.SetPower(ctx, action); err != nil && !(action == ActionShutdown && fault.Is(err, fault.Unsupported)) {
			return err
		}
	}
	return workflow.Retry(fault.New(fault.Unavailable, "The machine is still %s.", now), time.Second)
}

// notePower asks the BMC for the power state and records it.
func (s *Service) notePower(ctx context.Context, m *Machine, bmc Driver) (PowerState, error) {
	power, err := bmc.Power(ctx)
	if err != nil {
		return PowerUnknown, err
	}
	if power != m.Power {
		m.Power = power
		_, err = s.db.ExecContext(ctx, `UPDATE machine SET power = $2, updated_at = $3 WHERE id = $1`, m.ID, power, s.clock.Now())
	}
	return power, err
}

// Look compares what we believe of the machines with what their BMCs and agents show: power is recorded, agents that
// fell silent are given up, spares without an agent are warmed. Changed gives the machines whose power is not what it
// was.
func (s *Service) Look(ctx context.Context) (changed []*Machine, err error) {
	machines, err := s.List(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var powers errgroup.Group
	powers.SetLimit(16)
	was := map[string]PowerState{}
	for _, m := range machines {
		was[m.ID] = m.Power
		if m.State == Enroll || m.State == Verifying {
			continue
		}
		powers.Go(func() error {
			bmc, err := s.Dial(ctx, m)
			if err != nil {
				return err
			}
			defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
			if _, err := s.notePower(ctx, m, bmc); err != nil && ctx.Err() == nil {
				s.log.Warn("the BMC does not tell the power state", "machine", m.ID, "name", m.Name, "error", err)
			}
			return nil
		})
	}
	if err := powers.Wait(); err != nil {
		return nil, err
	}
	for _, m := range machines {
		if m.Power != was[m.ID] {
			changed = append(changed, m)
		}
		if err := s.mindAgent(ctx, m.ID); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// mindAgent ends the session of an agent that fell silent, tells the run that waits for it, and warms a spare.
func (s *Service) mindAgent(ctx context.Context, machine string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, machine)
		if fault.Is(err, fault.NotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		boot, err := s.CurrentBoot(ctx, tx, m.ID)
		if err != nil {
			return err
		}
		if boot != nil && boot.Session != "" && !boot.Live(s.clock.Now()) {
			s.log.Warn("the agent fell silent", "machine", m.ID, "name", m.Name, "last seen", boot.Seen)
			if err := s.EndBoot(ctx, tx, m.ID); err != nil {
				return err
			}
			if err := s.engine.Signal(ctx, tx, boot.Run); err != nil {
				return err
			}
			boot = nil
		}
		if boot != nil || !m.Spare() {
			return nil
		}
		running, err := workflow.ActiveOf(ctx, tx, Resource(m.ID))
		if err != nil || running != nil {
			return err
		}
		_, err = s.engine.Start(ctx, tx, "machine-warm", Resource(m.ID), "", work{m.ID})
		return err
	})
}
