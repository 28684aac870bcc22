package machine

import (
	"context"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// work is the state of the flows whose resource is a machine.
type work struct {
	Machine  string
	Silences int // agents that were lost
}

// VerifyFlow proves that we reach the BMC and learns what it can: enroll → manageable.
func (s *Service) VerifyFlow() workflow.Flow[work] {
	return workflow.Flow[work]{Name: "machine-verify", Steps: []workflow.Step[work]{
		workflow.Tx("begin", "Take the machine for verification", s.begin(Verifying, Manageable)).UndoTx(s.end(Verifying, Enroll)),
		workflow.Do("ask-bmc", "Ask the BMC what it is and can", s.askBMC),
		workflow.Tx("adopt-nics", "Note the NICs that the BMC names", s.adoptNICs),
		workflow.Tx("end", "The machine is manageable", s.finish(Manageable)),
	}}
}

// begin moves the machine into the state of a flow.
func (s *Service) begin(during, target State) workflow.TxBody[work] {
	return func(ctx context.Context, tx *db.Tx, _ *workflow.Run, w *work) error {
		m, err := s.Get(ctx, tx, w.Machine)
		if err != nil {
			return err
		}
		m.LastError = ""
		if err := s.take(ctx, tx, m); err != nil {
			return err
		}
		return move(ctx, s, tx, m, during, target)
	}
}

// take gives the machine a new owner: what the one before still has its agent do is void.
func (s *Service) take(ctx context.Context, q db.Querier, m *Machine) error {
	m.Epoch++
	return s.cancelCommands(ctx, q, m.ID)
}

// end records why a flow failed, in the state where an operator finds the machine. A machine that failed its flow is
// out of the pool by that state. A flow that failed before it began leaves the machine where it was.
func (s *Service) end(during, failed State) workflow.TxBody[work] {
	return func(ctx context.Context, tx *db.Tx, run *workflow.Run, w *work) error {
		m, err := s.Get(ctx, tx, w.Machine)
		if fault.Is(err, fault.NotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		m.LastError = run.Err
		if m.State != during {
			m.Target = ""
			return s.save(ctx, tx, m)
		}
		if failed == CleanFailed || failed == InspectFailed {
			m.Fault = run.Err
		}
		return move(ctx, s, tx, m, failed, "")
	}
}

// finish moves the machine to where its flow was to take it; a retired one into no pool.
func (s *Service) finish(to State) workflow.TxBody[work] {
	return func(ctx context.Context, tx *db.Tx, _ *workflow.Run, w *work) error {
		m, err := s.Get(ctx, tx, w.Machine)
		if err != nil {
			return err
		}
		m.Fault, m.LastError = "", ""
		if to == Available && m.Retired {
			return move(ctx, s, tx, m, Manageable, "")
		}
		return move(ctx, s, tx, m, to, "")
	}
}

func (s *Service) askBMC(ctx context.Context, _ *workflow.Run, w *work) error {
	m, err := s.Get(ctx, s.db, w.Machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	identity, err := bmc.Identify(ctx)
	if err != nil {
		return err
	}
	power, err := bmc.Power(ctx)
	if err != nil {
		return err
	}
	abilities := Abilities{UEFI: identity.BootMode != ModeBIOS}
	if media, ok := bmc.(VirtualMedia); ok {
		_, err := media.Media(ctx)
		if abilities.VirtualMedia = err == nil; err != nil && !fault.Is(err, fault.Unsupported) {
			return err
		}
	}
	if http, ok := bmc.(HTTPBooter); ok {
		if abilities.HTTPBoot, err = http.HasHTTPBoot(ctx); err != nil {
			return err
		}
	}
	if secure, ok := bmc.(SecureBooter); ok {
		if abilities.SecureBoot, err = secure.SecureBoot(ctx); err != nil && !fault.Is(err, fault.Unsupported) {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, w.Machine)
		if err != nil {
			return err
		}
		m.Identity, m.Power, m.Abilities = identity, power, abilities
		return s.save(ctx, tx, m)
	})
}

func (s *Service) adoptNICs(ctx context.Context, tx *db.Tx, _ *workflow.Run, w *work) error {
	m, err := s.Get(ctx, tx, w.Machine)
	if err != nil {
		return err
	}
	for _, mac := range m.Identity.NICs {
		if err := s.adoptNIC(ctx, tx, &NIC{Machine: m.ID, MAC: strings.ToLower(mac), PXE: true}); err != nil {
			return err
		}
	}
	return nil
}

// adoptNIC adds a NIC that the machine itself names, unless it has it already.
func (s *Service) adoptNIC(ctx context.Context, tx *db.Tx, nic *NIC) error {
	known, err := s.NICByMAC(ctx, tx, nic.MAC)
	if err != nil {
		return err
	}
	if known == nil {
		return s.AddNIC(ctx, tx, nic)
	}
	if known.Machine != nic.Machine {
		return workflow.Abort(fault.New(fault.Conflict, "The NIC %s belongs to node %s: is one machine enrolled twice?", nic.MAC, known.Machine))
	}
	return nil
}

// NoteSecureBoot records that the BMC was told to switch Secure Boot. An agent that runs was started without it, or with
// it, so its session ends: whoever needs the agent next has the machine started anew.
func (s *Service) NoteSecureBoot(ctx context.Context, machine string, on bool) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.Get(ctx, tx, machine)
		if err != nil || m.Abilities.SecureBoot == on {
			return err
		}
		m.Abilities.SecureBoot = on
		if err := s.EndBoot(ctx, tx, m.ID); err != nil {
			return err
		}
		return s.save(ctx, tx, m)
	})
}
