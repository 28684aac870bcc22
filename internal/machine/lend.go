package machine

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Want says which machine an instance needs.
type Want struct {
	Capacity
	ResourceClass string                    // also as Placement and flavors write it: CUSTOM_BAREMETAL_GOLD for "baremetal.gold"; empty: any
	Traits        []string                  // all of them
	Exclude       []string                  // ids of machines that failed already
	Allowed       func(machine string) bool // says of an id whether it may be that one; nil: any may
}

// class is what resource classes are compared by: Placement's spelling without its prefix.
func class(name string) string {
	return strings.TrimPrefix(notInClass.ReplaceAllString(strings.ToUpper(name), "_"), "CUSTOM_")
}

var notInClass = regexp.MustCompile(`[^A-Z0-9_]`)

func (w Want) fits(m *Machine) bool {
	c := m.Capacity()
	if w.ResourceClass != "" && class(w.ResourceClass) != class(m.ResourceClass) || slices.Contains(w.Exclude, m.ID) {
		return false
	}
	if w.Allowed != nil && !w.Allowed(m.ID) || m.Fake() || !m.has(w.Traits) {
		return false
	}
	return c.VCPUs >= w.VCPUs && c.MemoryMiB >= w.MemoryMiB && c.DiskGiB >= w.DiskGiB
}

// has reports whether the machine has all the traits.
func (m *Machine) has(traits []string) bool {
	return !slices.ContainsFunc(traits, func(trait string) bool { return !slices.Contains(m.Traits, trait) })
}

// Claim gives an instance a spare that fits: one whose agent waits already before a cold one, the smallest first, of
// equals the one enrolled last: hardware is young before it is old. The transaction decides races; Exhausted when no machine is left.
func (s *Service) Claim(ctx context.Context, tx *db.Tx, instance string, want Want) (*Machine, error) {
	machines, err := s.List(ctx, tx)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	var best *Machine
	var bestWarm bool
	for _, m := range machines {
		if !m.Spare() || !want.fits(m) {
			continue
		}
		boot, err := s.CurrentBoot(ctx, tx, m.ID)
		if err != nil {
			return nil, err
		}
		warm := boot.Live(now)
		if best == nil || warm && !bestWarm || warm == bestWarm && m.Capacity().MemoryMiB <= best.Capacity().MemoryMiB {
			best, bestWarm = m, warm
		}
	}
	if best == nil {
		return nil, fault.New(fault.Exhausted, "No valid host was found. There are not enough hosts available.")
	}
	running, err := workflow.ActiveOf(ctx, tx, Resource(best.ID))
	if err != nil {
		return nil, err
	}
	if running != nil { // the agent is being started on it, or its power switched
		if err := s.engine.Cancel(ctx, tx, running.ID, "an instance got the machine"); err != nil {
			return nil, err
		}
	}
	best.Instance = instance
	if err := s.take(ctx, tx, best); err != nil {
		return nil, err
	}
	return best, move(ctx, s, tx, best, Deploying, Active)
}

// HandOver puts the machine's NICs on the tenant's networks: from now on the quarantine network answers them no more.
func (s *Service) HandOver(ctx context.Context, tx *db.Tx, machine string, over bool) error {
	_, err := tx.ExecContext(ctx, `UPDATE machine SET handed_over = $2, updated_at = $3 WHERE id = $1`, machine, over, s.clock.Now())
	return err
}

// Activate ends the agent's session: the tenant's system has the machine now.
func (s *Service) Activate(ctx context.Context, tx *db.Tx, machine string) error {
	m, err := s.Get(ctx, tx, machine)
	if err != nil {
		return err
	}
	if err := s.EndBoot(ctx, tx, machine); err != nil {
		return err
	}
	m.Power = PowerOn
	return move(ctx, s, tx, m, Active, "")
}

// Retake takes a machine back from its instance's system, to deploy the instance on it anew: whatever runs there has lost
// its networks, and the agent comes next.
func (s *Service) Retake(ctx context.Context, tx *db.Tx, machine, instance string) error {
	m, err := s.Get(ctx, tx, machine)
	if err != nil {
		return err
	}
	if m.Instance != instance {
		return fault.New(fault.Conflict, "The machine %s is not the instance's any more.", machine)
	}
	if m.Protected {
		return workflow.Abort(protected(m, "deleted"))
	}
	if err := s.take(ctx, tx, m); err != nil {
		return err
	}
	m.HandedOver = false
	return move(ctx, s, tx, m, Deploying, Active)
}

// Deleting marks a machine that its instance is letting go of. A protected one is not let go of.
func (s *Service) Deleting(ctx context.Context, tx *db.Tx, machine string) error {
	m, err := s.Get(ctx, tx, machine)
	if err != nil || m.State != Active {
		return err
	}
	if m.Protected {
		return workflow.Abort(protected(m, "deleted"))
	}
	return move(ctx, s, tx, m, Deleting, Available)
}

// Release takes a machine back from an instance and starts to clean it. A reason blames the machine: it is quarantined
// instead, where the verb deleted cleans it. A machine that the instance does not have is left alone.
func (s *Service) Release(ctx context.Context, tx *db.Tx, machine, instance, request, blame string) error {
	m, err := s.Get(ctx, tx, machine)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || m.Instance != instance {
		return err
	}
	m.Instance, m.HandedOver, m.Protected, m.Notes.ProtectedReason = "", false, false, ""
	m.Notes.InstanceInfo = nil
	if err := s.dropAllocation(ctx, tx, m); err != nil {
		return err
	}
	if err := s.take(ctx, tx, m); err != nil {
		return err
	}
	if m.State == Active {
		if err := move(ctx, s, tx, m, Deleting, Available); err != nil {
			return err
		}
	}
	if blame != "" {
		if err := s.EndBoot(ctx, tx, m.ID); err != nil {
			return err
		}
		s.quarantine(m, blame)
		return move(ctx, s, tx, m, DeployFailed, "")
	}
	if err := move(ctx, s, tx, m, Cleaning, Available); err != nil {
		return err
	}
	_, err = s.engine.Replace(ctx, tx, "machine-clean", Resource(m.ID), request, cleaning{work: work{Machine: m.ID}}, "the machine is cleaned")
	return err
}

// start begins an operator's work on a machine. Warming a spare gives way to it; any other work is a Conflict.
func (s *Service) start(ctx context.Context, tx *db.Tx, flow string, m *Machine, request string, state any) error {
	running, err := workflow.ActiveOf(ctx, tx, Resource(m.ID))
	if err != nil {
		return err
	}
	if running != nil && running.Flow == "machine-warm" {
		_, err = s.engine.Replace(ctx, tx, flow, Resource(m.ID), request, state, "an operator needs the machine")
		if db.IsDuplicate(err) {
			return fault.Wrap(err, fault.Conflict, "Another operation is about to begin; try again when it has ended.")
		}
		return err
	}
	_, err = s.engine.Start(ctx, tx, flow, Resource(m.ID), request, state)
	return err
}

// Provision asks an operator's verb of a machine. It fails with Invalid when the verb does not fit the machine's state
// and with Conflict while other work is under way; otherwise the work goes on behind.
func (s *Service) Provision(ctx context.Context, ident string, verb Verb, request string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, ident)
		if err != nil {
			return err
		}
		return s.ProvisionIn(ctx, tx, m, verb, request)
	})
}

// flows of the verbs that begin one, and the state that it leads to.
var flows = map[Verb]struct {
	name   string
	state  func(work) any
	target State
}{
	Manage:  {"machine-verify", func(w work) any { return w }, Manageable},
	Inspect: {"machine-inspect", func(w work) any { return inspection{work: w} }, Manageable},
	Provide: {"machine-clean", func(w work) any { return cleaning{work: w} }, Available},
	Undo:    {"machine-clean", func(w work) any { return cleaning{work: w} }, Available},
	Adopt:   {"machine-adopt", func(w work) any { return w }, Active},
	Deploy:  {"machine-pretend", func(w work) any { return w }, Active},
	Rebuild: {"machine-pretend", func(w work) any { return w }, Active},
}

// ProvisionIn is Provision within the caller's transaction.
func (s *Service) ProvisionIn(ctx context.Context, tx *db.Tx, m *Machine, verb Verb, request string) error {
	if m.Protected && (verb == Undo || verb == Rebuild) {
		return protected(m, "deleted")
	}
	if (verb == Deploy || verb == Rebuild) && !m.Fake() {
		return fault.New(fault.Invalid, "The requested action %q can not be performed on node %s: servers are made, rebuilt and deleted through Nova.", verb, m.ID)
	}
	if err := allowed(verb, m); err != nil {
		return err
	}
	switch {
	case verb == Abort:
		return s.abort(ctx, tx, m)
	case verb == Manage && m.State != Enroll && m.State != Manageable:
		m.forgive()
		return move(ctx, s, tx, m, Manageable, "")
	case verb == Provide && m.Retired:
		return fault.New(fault.Conflict, "Node %s is retired: it does not come back into the pool.", m.ID)
	case verb == Deploy && m.Maintenance:
		return fault.New(fault.Conflict, "Node %s is in maintenance.", m.ID)
	case verb == Undo && m.State == Active:
		return s.Release(ctx, tx, m.ID, m.Instance, request, "")
	}
	flow := flows[verb]
	if err := s.start(ctx, tx, flow.name, m, request, flow.state(work{Machine: m.ID})); err != nil {
		return err
	}
	m.Target = flow.target
	return s.save(ctx, tx, m)
}

// abort has the work on a machine unwind, to the state that its failure would give.
func (s *Service) abort(ctx context.Context, tx *db.Tx, m *Machine) error {
	running, err := workflow.ActiveOf(ctx, tx, Resource(m.ID))
	if err != nil {
		return err
	}
	if running == nil {
		return fault.New(fault.Conflict, "Nothing is under way on node %s.", m.ID)
	}
	return s.engine.Cancel(ctx, tx, running.ID, "An operator aborted it.")
}

// SetMaintenance takes a machine out of the pool or back. Ending it forgives a quarantine.
func (s *Service) SetMaintenance(ctx context.Context, ident string, on bool, reason string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, ident)
		if err != nil {
			return err
		}
		m.SetMaintenance(on, reason)
		return s.save(ctx, tx, m)
	})
}

// SetMaintenance is Service.SetMaintenance for a caller that saves the machine itself.
func (m *Machine) SetMaintenance(on bool, reason string) {
	m.Maintenance, m.MaintenanceReason = on, reason
	if !on {
		m.MaintenanceReason, m.Fault = "", ""
	}
}
