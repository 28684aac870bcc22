package machine

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Allocation reserves a spare for somebody who needs a machine and makes no server on it.
type Allocation struct {
	Card
	Name, Owner   string // Owner: a project; empty: the cloud's operators
	ResourceClass string
	Traits        []string
	Candidates    []string // ids of machines; empty: any
	State         AllocationState
	LastError     string
	Machine       string // that it got
}

// AllocationState is how far an allocation is, in Ironic's words.
type AllocationState string

// The states.
const (
	Allocating AllocationState = "allocating"
	Allocated  AllocationState = "active"
	Unmet      AllocationState = "error"
)

const allocationColumns = `name, owner, resource_class, traits, candidates, state, last_error, machine`

func scanAllocation(row db.Scanner) (*Allocation, error) {
	var a Allocation
	return &a, row.Scan(append(a.scanned(), &a.Name, &a.Owner, &a.ResourceClass, db.JSON(&a.Traits), db.JSON(&a.Candidates), &a.State, &a.LastError, &a.Machine)...)
}

// Allocations gives all of them, oldest first.
func (s *Service) Allocations(ctx context.Context, q db.Querier) ([]*Allocation, error) {
	return db.List(ctx, q, scanAllocation, `SELECT `+cardColumns+`, `+allocationColumns+` FROM machine_allocation ORDER BY created_at, id`)
}

// Allocation finds one by its id or name.
func (s *Service) Allocation(ctx context.Context, q db.Querier, ident string) (*Allocation, error) {
	found, err := db.List(ctx, q, scanAllocation, `SELECT `+cardColumns+`, `+allocationColumns+` FROM machine_allocation
		WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1`, ident)
	return one(found, err, "Allocation", ident)
}

// SaveAllocation keeps what a client changed of an allocation.
func (s *Service) SaveAllocation(ctx context.Context, tx *db.Tx, a *Allocation) error {
	values := []any{a.Name, a.Owner, a.ResourceClass, db.JSON(nonNil(a.Traits)), db.JSON(nonNil(a.Candidates)), a.State, a.LastError, a.Machine}
	return s.write(ctx, tx, "machine_allocation", &a.Card, allocationColumns, values, "An allocation with UUID "+a.ID+" or name "+a.Name+" already exists.")
}

func nonNil(list []string) []string { return append([]string{}, list...) }

// Allocate has a spare sought that fits; the allocation tells what came of it.
func (s *Service) Allocate(ctx context.Context, tx *db.Tx, a *Allocation, request string) error {
	a.State = Allocating
	if err := s.SaveAllocation(ctx, tx, a); err != nil {
		return err
	}
	_, err := s.engine.Start(ctx, tx, "machine-allocate", "allocation/"+a.ID, request, seeking{Allocation: a.ID})
	return err
}

// Backfill notes for a machine in use who has it. It fails with Conflict when the machine is not in use, does not fit,
// or somebody else has it.
func (s *Service) Backfill(ctx context.Context, tx *db.Tx, a *Allocation, m *Machine) error {
	why := ""
	switch {
	case m.State != Active:
		why = "the node must be in the state active, and is " + string(m.State)
	case a.ResourceClass != m.ResourceClass:
		why = "its resource class is " + m.ResourceClass
	case !m.has(a.Traits):
		why = "it does not have the traits " + strings.Join(a.Traits, ", ")
	case len(a.Candidates) > 0 && !slices.Contains(a.Candidates, m.ID):
		why = "it is not among the candidate nodes"
	case m.Allocation != "":
		why = "it has the allocation " + m.Allocation
	case m.Instance != "" && m.Instance != a.ID || m.Holder != "" && m.Holder != a.ID:
		why = "it is associated with instance " + m.Instance + m.Holder
	}
	if why != "" {
		return fault.New(fault.Conflict, "Cannot backfill an allocation for node %s: %s.", m.ID, why)
	}
	return s.allot(ctx, tx, a, m)
}

// allot gives the machine to the allocation.
func (s *Service) allot(ctx context.Context, tx *db.Tx, a *Allocation, m *Machine) error {
	a.State, a.Machine, a.LastError = Allocated, m.ID, ""
	if err := s.SaveAllocation(ctx, tx, a); err != nil {
		return err
	}
	m.Allocation = a.ID
	if m.Instance == "" {
		m.Holder = a.ID
	}
	return s.save(ctx, tx, m)
}

// DeleteAllocation gives the machine up, which stays as it is. It fails with Conflict while the machine is in use, unless
// it is in maintenance.
func (s *Service) DeleteAllocation(ctx context.Context, tx *db.Tx, a *Allocation) error {
	if a.Machine != "" {
		m, err := s.Get(ctx, tx, a.Machine)
		if err != nil {
			return err
		}
		if !m.Maintenance && (m.State == Active || m.Target != "") {
			return fault.New(fault.Conflict, "Cannot remove allocation %s for node %s, because the node is in state %s and not in maintenance.", a.ID, m.ID, m.State)
		}
		if err := s.dropAllocation(ctx, tx, m); err != nil {
			return err
		}
		return s.save(ctx, tx, m)
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_allocation WHERE id = $1`, a.ID)
	return err
}

// dropAllocation takes from the machine, which the caller saves, who has it without a server.
func (s *Service) dropAllocation(ctx context.Context, tx *db.Tx, m *Machine) error {
	m.Holder = ""
	if m.Allocation == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_allocation WHERE id = $1`, m.Allocation)
	m.Allocation = ""
	return err
}

// Hold notes on the machine, which the caller saves, that somebody has it without a server of ours; empty: nobody any
// more. It fails with Conflict when somebody else has it, or the holder another machine.
func (s *Service) Hold(ctx context.Context, tx *db.Tx, m *Machine, holder string) error {
	switch {
	case m.Instance != "":
		return fault.New(fault.Conflict, "Node %s is associated with instance %s, which is deleted through Nova.", m.ID, m.Instance)
	case holder == "":
		return s.dropAllocation(ctx, tx, m)
	case m.Holder != "" && m.Holder != holder:
		return fault.New(fault.Conflict, "Node %s is associated with instance %s.", m.ID, m.Holder)
	}
	all, err := s.List(ctx, tx)
	for _, other := range all {
		if other.ID != m.ID && (other.Instance == holder || other.Holder == holder) {
			return fault.New(fault.Conflict, "Instance %s is already associated with node %s.", holder, other.ID)
		}
	}
	m.Holder = holder
	return err
}

// seeking is the state of the flow that seeks a machine for an allocation.
type seeking struct{ Allocation string }

// AllocateFlow finds a machine for an allocation. That there is none is an outcome too: it is written into the allocation.
func (s *Service) AllocateFlow() workflow.Flow[seeking] {
	return workflow.Flow[seeking]{Name: "machine-allocate", Steps: []workflow.Step[seeking]{
		workflow.Tx("seek", "Find a spare that fits", s.seek),
	}}
}

func (s *Service) seek(ctx context.Context, tx *db.Tx, _ *workflow.Run, seeking *seeking) error {
	a, err := s.Allocation(ctx, tx, seeking.Allocation)
	if fault.Is(err, fault.NotFound) {
		return nil // given up meanwhile
	}
	if err != nil {
		return err
	}
	all, err := s.List(ctx, tx)
	if err != nil {
		return err
	}
	// Not always the first: who asks for one machine after another wears all of them alike.
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var best *Machine
	for _, m := range all {
		// A machine of the allocation's own name comes first, as in Ironic.
		if a.fits(m) && (best == nil || m.Name != "" && m.Name == a.Name) {
			best = m
		}
	}
	if best == nil {
		a.State, a.LastError = Unmet, "Failed to process allocation "+a.ID+": no available nodes match the resource class "+a.ResourceClass+a.more()+"."
		return s.SaveAllocation(ctx, tx, a)
	}
	return s.allot(ctx, tx, a, best)
}

// fits reports whether the machine may be given to the allocation. A machine whose power nobody knows may not.
func (a *Allocation) fits(m *Machine) bool {
	return m.Spare() && m.Power != PowerUnknown && m.ResourceClass == a.ResourceClass && m.has(a.Traits) &&
		(len(a.Candidates) == 0 || slices.Contains(a.Candidates, m.ID)) && (a.Owner == "" || a.Owner == m.Owner || a.Owner == m.Lessee)
}

// more says what else was asked for.
func (a *Allocation) more() (text string) {
	if len(a.Traits) > 0 {
		text += " and the traits " + strings.Join(a.Traits, ", ")
	}
	if len(a.Candidates) > 0 {
		text += " among the candidate nodes"
	}
	return text
}
