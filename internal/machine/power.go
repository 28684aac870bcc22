package machine

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// powerPatience is how long a machine may take to follow a hard order: some power supplies drain for a minute.
const powerPatience = 3 * time.Minute

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
	waited := s.clock.Now().Sub(run.Entered)
	if want == PowerOff && waited < soft {
		action = ActionShutdown
	}
	if waited > soft+powerPatience {
		return fault.New(fault.Unavailable, "The machine is still %s, although its BMC was told %s for %s.", now, action, powerPatience)
	}
	if action != ActionShutdown || run.Attempt%5 == 0 { // a button pressed too often is taken for a held one
		if err := bmc.SetPower(ctx, action); err != nil && !(action == ActionShutdown && fault.Is(err, fault.Unsupported)) {
			return err
		}
		if now, err = s.notePower(ctx, m, bmc); err != nil || now == want { // some obey at once
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

// lookTimeout bounds the look at one machine's power: a dead BMC must not hold up the look at the others.
const lookTimeout = 20 * time.Second

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
			if err := s.lookAtPower(ctx, m); err != nil && ctx.Err() == nil {
				s.log.Warn("the BMC does not tell the power state", "machine", m.ID, "name", m.Name, "error", err)
			}
			return nil // one machine's trouble is not the others'
		})
	}
	_ = powers.Wait()
	for _, m := range machines {
		if m.Power != was[m.ID] {
			changed = append(changed, m)
		}
		err = errors.Join(err, s.mindAgent(ctx, m.ID))
	}
	return changed, err
}

func (s *Service) lookAtPower(ctx context.Context, m *Machine) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	_, err = s.notePower(ctx, m, bmc)
	return err
}

// gone decides whether a boot is over: its agent has been silent for long, or never came and nobody waits for it any
// more.
func (s *Service) gone(ctx context.Context, q db.Querier, boot *Boot) (bool, error) {
	now := s.clock.Now()
	switch {
	case s.coming(boot, now):
		return false, nil
	case boot.Session == "":
		run, err := workflow.Find(ctx, q, boot.Run)
		return err == nil && !run.Ended.IsZero(), err
	case boot.Seen.After(now.Add(silence)): // the clock was set back: its silence counts from now on
		_, err := q.ExecContext(ctx, `UPDATE machine_boot SET seen_at = $2 WHERE key = $1`, boot.Key, now)
		return false, err
	}
	return s.silent.past(boot, now), nil
}

// suspects are the boots whose agents we found silent, by machine, with since when. An agent is given up only after it
// stayed silent for the grace under our eyes: see grace.
type suspects struct {
	sync.Mutex
	boots map[string]suspect
}

type suspect struct {
	boot  string
	since time.Time
}

func (s *suspects) past(boot *Boot, now time.Time) bool {
	s.Lock()
	defer s.Unlock()
	known := s.boots[boot.Machine]
	switch {
	case boot.Live(now):
		delete(s.boots, boot.Machine)
	case known.boot != boot.Key || known.since.After(now):
		s.boots[boot.Machine] = suspect{boot.Key, now}
	default:
		return now.Sub(known.since) >= grace
	}
	return false
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
		over := false
		if boot != nil {
			if over, err = s.gone(ctx, tx, boot); err != nil {
				return err
			}
		}
		if over {
			s.log.Warn("the agent fell silent", "machine", m.ID, "name", m.Name, "last seen", boot.Seen)
			if err := s.EndBoot(ctx, tx, m.ID); err != nil {
				return err
			}
			if err := s.engine.Signal(ctx, tx, boot.Run); err != nil {
				return err
			}
			boot = nil
		}
		if boot != nil || !m.Spare() || m.Fake() {
			return nil
		}
		running, err := workflow.ActiveOf(ctx, tx, Resource(m.ID))
		if err != nil || running != nil {
			return err
		}
		_, err = s.engine.Start(ctx, tx, "machine-warm", Resource(m.ID), "", work{Machine: m.ID})
		return err
	})
}
