package machine

import (
	"context"
	"encoding/json"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// FakeHardware is the driver of machines that exist nowhere: whoever writes a client of Ironic's tries it on them. They
// obey at once, have no agent and no disks, and no server is ever put on them. Operators must ask for the driver
// (machines.fake_hardware).
const FakeHardware = "fake-hardware"

// Fake reports whether the machine exists nowhere.
func (m *Machine) Fake() bool { return m.BMC.Kind == FakeHardware }

func (s *Service) isFake(ctx context.Context, machine string) (bool, error) {
	m, err := s.Get(ctx, s.db, machine)
	return err == nil && m.Fake(), err
}

// pretend answers in the stead of a fake machine's agent, that it found nothing and that nothing was left to erase.
func pretend(kind agentapi.Kind, result any) error {
	answers := map[agentapi.Kind]any{agentapi.KindInspect: agentapi.Inventory{}, agentapi.KindErase: agentapi.EraseResult{}}
	answer, known := answers[kind]
	if !known {
		return &AgentError{Fault: agentapi.FaultRequest, Message: "Fake hardware has no disk to work on."}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, result)
}

// PretendFlow deploys nothing on a fake machine: available → active, or active once more.
func (s *Service) PretendFlow() workflow.Flow[work] {
	return workflow.Flow[work]{Name: "machine-pretend", Steps: []workflow.Step[work]{
		workflow.Tx("begin", "Take the machine", s.begin(Deploying, Active)).UndoTx(s.end(Deploying, DeployFailed)),
		workflow.Do("power-on", "Switch the machine on", func(ctx context.Context, run *workflow.Run, w *work) error {
			return s.EnsurePower(ctx, run, w.Machine, PowerOn, 0)
		}),
		workflow.Tx("end", "The machine is active", s.finish(Active)),
	}}
}

// AdoptFlow takes a machine over that runs something already, which Ingot did not put there: manageable → active. The
// verb deleted erases it, as it does every other.
func (s *Service) AdoptFlow() workflow.Flow[work] {
	return workflow.Flow[work]{Name: "machine-adopt", Steps: []workflow.Step[work]{
		workflow.Tx("begin", "Take the machine", s.begin(Adopting, Active)).UndoTx(s.end(Adopting, AdoptFailed)),
		workflow.Do("ask-bmc", "Ask the BMC what it is and can", s.askBMC),
		workflow.Tx("end", "The machine is its tenant's", s.endAdoption),
	}}
}

// endAdoption also takes the NICs out of quarantine: the system that runs has addresses of its own.
func (s *Service) endAdoption(ctx context.Context, tx *db.Tx, run *workflow.Run, w *work) error {
	if err := s.EndBoot(ctx, tx, w.Machine); err != nil {
		return err
	}
	if err := s.HandOver(ctx, tx, w.Machine, true); err != nil {
		return err
	}
	if err := s.finish(Active)(ctx, tx, run, w); err != nil {
		return err
	}
	return s.Moved(ctx, tx, w.Machine)
}

// protected refuses to take a machine from its tenant.
func protected(m *Machine, verb string) error {
	return fault.New(fault.Forbidden, "Node %s is protected and cannot be undeployed, rebuilt or %s.", m.ID, verb)
}
