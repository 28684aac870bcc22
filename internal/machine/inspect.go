package machine

import (
	"context"
	"errors"
	"strings"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// inspection is the state of the inspect flow.
type inspection struct {
	work
	Found agentapi.Inventory
}

// InspectFlow has the agent tell what the machine is: manageable → manageable, with an inventory.
func (s *Service) InspectFlow() workflow.Flow[inspection] {
	on := func(body workflow.TxBody[work]) workflow.TxBody[inspection] {
		return func(ctx context.Context, tx *db.Tx, run *workflow.Run, i *inspection) error {
			return body(ctx, tx, run, &i.work)
		}
	}
	return workflow.Flow[inspection]{Name: "machine-inspect", Steps: []workflow.Step[inspection]{
		workflow.Tx("begin", "Take the machine for inspection", on(s.begin(Inspecting, Manageable))).UndoTx(on(s.end(Inspecting, InspectFailed))),
		workflow.Do("agent", "Start the agent", func(ctx context.Context, run *workflow.Run, i *inspection) error {
			return s.EnsureAgent(ctx, run, i.Machine, workflow.Abort)
		}),
		workflow.Do("look", "Look at CPUs, memory, disks, NICs and firmware", func(ctx context.Context, run *workflow.Run, i *inspection) error {
			return i.onAgent(s.Ask(ctx, run, i.Machine, "inspect", agentapi.Command{Kind: agentapi.KindInspect}, &i.Found))
		}),
		workflow.Tx("record", "Record the inventory", func(ctx context.Context, tx *db.Tx, _ *workflow.Run, i *inspection) error {
			return s.recordInventory(ctx, tx, i.Machine, i.Found)
		}),
		workflow.Tx("end", "The machine is manageable", on(s.finish(Manageable))),
	}}
}

// agentPatience is how often an agent that fell silent is started once more.
const agentPatience = 2

// onAgent gives a flow up when the agent failed. One that fell silent is started again some times, because nothing that
// these flows do on a machine is harmed by doing it again. All other errors keep their meaning.
func (w *work) onAgent(err error) error {
	var failed *AgentError
	if !errors.As(err, &failed) {
		return err
	}
	err = fault.Wrap(err, fault.Unavailable, "%s", failed.Message)
	if failed.Silent && w.Silences < agentPatience {
		w.Silences++
		return workflow.Rewind("agent", err)
	}
	return workflow.Abort(err)
}

func (s *Service) recordInventory(ctx context.Context, tx *db.Tx, machine string, found agentapi.Inventory) error {
	m, err := s.Get(ctx, tx, machine)
	if err != nil {
		return err
	}
	m.Inventory, m.Inspected = &found, s.clock.Now()
	if m.Fake() { // its properties are what the operator wrote
		return s.save(ctx, tx, m)
	}
	m.Abilities.UEFI, m.Abilities.SecureBoot = found.BootMode != string(ModeBIOS), found.Secure
	for _, nic := range found.NICs {
		if err := s.adoptNIC(ctx, tx, &NIC{Machine: m.ID, MAC: strings.ToLower(nic.MAC)}); err != nil {
			return err
		}
	}
	c := m.Capacity()
	m.Properties = orEmpty(m.Properties)
	m.Properties["cpus"], m.Properties["memory_mb"], m.Properties["local_gb"], m.Properties["cpu_arch"] = c.VCPUs, c.MemoryMiB, c.DiskGiB, found.Arch
	return s.save(ctx, tx, m)
}
