package machine

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// switching is the state of the power flow.
type switching struct {
	work
	Action  PowerAction   // what was asked
	Restart bool          // after a shutdown: on again
	Grace   time.Duration // of the operating system, to shut down
}

// defaultGrace is what an operating system gets to shut down when nobody says.
const defaultGrace = 10 * time.Minute

// SetPower has the power of a machine switched, for an operator. Shutdown asks the operating system and fails, with the
// machine still on, when that has not obeyed within the grace (0: ten minutes); with restart the machine is turned on
// again. It fails with Conflict while other work is under way on the machine.
func (s *Service) SetPower(ctx context.Context, ident string, action PowerAction, restart bool, grace time.Duration, request string) error {
	if grace <= 0 {
		grace = defaultGrace
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, ident)
		if err != nil {
			return err
		}
		if m.State == Deploying || m.State == Deleting {
			return fault.New(fault.Conflict, "The power of node %s can not be switched while it is in state %q.", m.ID, m.State)
		}
		if err := s.start(ctx, tx, "machine-power", m, request, switching{work{Machine: m.ID}, action, restart, grace}); err != nil {
			return err
		}
		m.PowerTarget = action
		if restart {
			m.PowerTarget = ActionReset
		}
		return s.save(ctx, tx, m)
	})
}

// PowerFlow switches the power of a machine and waits until it is so.
func (s *Service) PowerFlow() workflow.Flow[switching] {
	return workflow.Flow[switching]{Name: "machine-power", Steps: []workflow.Step[switching]{
		workflow.Do("order", "Tell the BMC", s.orderPower).UndoTx(s.endSwitching),
		workflow.Do("on", "Wait until the machine is on", func(ctx context.Context, run *workflow.Run, p *switching) error {
			if p.Action != ActionReset && !p.Restart {
				return nil
			}
			return s.EnsurePower(ctx, run, p.Machine, PowerOn, 0)
		}),
		workflow.Tx("end", "The power is as asked", s.endSwitching),
	}}
}

// orderPower gives the order and, but for a reset, waits until it has worked.
func (s *Service) orderPower(ctx context.Context, run *workflow.Run, p *switching) error {
	switch p.Action {
	case ActionOn:
		return s.EnsurePower(ctx, run, p.Machine, PowerOn, 0)
	case ActionOff:
		return s.EnsurePower(ctx, run, p.Machine, PowerOff, 0)
	}
	m, err := s.Get(ctx, s.db, p.Machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	if p.Action == ActionReset {
		return bmc.SetPower(ctx, ActionReset)
	}
	now, err := s.notePower(ctx, m, bmc)
	if err != nil || now == PowerOff {
		return err
	}
	if s.clock.Now().Sub(run.Entered) > p.Grace {
		return workflow.Abort(fault.New(fault.Conflict, "The operating system did not shut down within %s.", p.Grace))
	}
	if run.Attempt%30 == 0 { // a button pressed too often is taken for a held one
		if err := bmc.SetPower(ctx, ActionShutdown); err != nil {
			return err
		}
	}
	return workflow.Retry(fault.New(fault.Unavailable, "The operating system is shutting down."), time.Second)
}

// endSwitching is the flow's last step and its undo: the power stays as it is, and a failure is told.
func (s *Service) endSwitching(ctx context.Context, tx *db.Tx, run *workflow.Run, p *switching) error {
	m, err := s.Get(ctx, tx, p.Machine)
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	m.PowerTarget, m.LastError = "", run.Err
	return s.save(ctx, tx, m)
}
