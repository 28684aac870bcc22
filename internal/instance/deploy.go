package instance

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/configdrive"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// deploy is the state of the flow that brings an instance onto a machine.
type deploy struct {
	Instance string
	Machine  string
	Only     string   // id of the only machine that will do; empty: any
	Excluded []string // machines that were tried and failed
	Blame    string   // why the present machine is given up: it is quarantined
	Stays    bool     // a rebuild: no other machine will do
	Off      bool     // the system is not started at the end
	WasImage string   // before a rebuild
	Result   agentapi.DeployResult
	Boot     agentapi.BootResult
}

// DeployFlow brings an instance onto a machine. A machine that fails is quarantined and another one is taken; whatever
// fails otherwise leaves the instance in error with the reason, and the machine goes back through cleaning.
func (s *Service) DeployFlow() workflow.Flow[deploy] {
	return workflow.Flow[deploy]{Name: "server-create", Steps: []workflow.Step[deploy]{
		workflow.Tx("begin", "Accept the server", func(context.Context, *db.Tx, *workflow.Run, *deploy) error { return nil }).UndoTx(s.fail),
		workflow.Tx("claim", "Choose a machine", s.claim).UndoTx(s.unclaim),
		workflow.Do("agent", "Start the agent on the machine", s.startAgent),
		workflow.Tx("bind", "Reserve the machine's network cards for the server's ports", s.bind).UndoTx(s.unbind),
		workflow.Do("write-image", "Write the image to the disk", s.writeImage),
		workflow.Do("boot-order", "Make the machine start from its disk", s.bootOrder),
		workflow.Tx("hand-over", "Let the machine go from quarantine", s.handOver(true)).UndoTx(s.handOver(false)),
		workflow.Do("start", "Start the tenant's system", s.start).UndoTx(s.forgetAgent),
		workflow.Tx("plug", "Move the machine to the tenant's networks", s.move),
		workflow.Do("carried", "Wait for the networks to carry it", s.awaitNetworks),
		workflow.Tx("activate", "The server is active", s.activate),
	}}
}

// fail is the last undo: the instance rests in error with the reason, unless it is being deleted anyway.
func (s *Service) fail(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deploy) error {
	if err := s.images.Release(ctx, tx, Resource(d.Instance)); err != nil {
		return err
	}
	return s.change(ctx, tx, d.Instance, func(i *Instance) {
		if i.TaskState != DeletingIt {
			i.VMState, i.TaskState, i.Fault = Errored, NoTask, s.faultOf(run)
		}
	})
}

// faultOf is what an instance's owner is told of a failed run.
func (s *Service) faultOf(run *workflow.Run) *Fault {
	return &Fault{Code: 500, Message: run.Err, Created: s.clock.Now()}
}

func (s *Service) claim(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	wanted := want(i, d.Excluded)
	if wanted.Allowed, err = s.placement(ctx, tx, i, d.Only); err != nil {
		return err
	}
	m, err := s.machines.Claim(ctx, tx, i.ID, wanted)
	if fault.Is(err, fault.Exhausted) {
		return workflow.Abort(err)
	}
	if err != nil {
		return err
	}
	d.Machine, d.Blame = m.ID, ""
	i.Machine, i.TaskState = m.ID, Networking
	return s.save(ctx, tx, i)
}

// want translates a flavor: its quantities, and the extra specs that Nova's operators use for bare metal.
func want(i *Instance, exclude []string) machine.Want {
	w := machine.Want{
		Capacity: machine.Capacity{VCPUs: i.Flavor.VCPUs, MemoryMiB: i.Flavor.RAM, DiskGiB: i.Flavor.Disk},
		Exclude:  exclude,
	}
	for key, value := range i.Flavor.ExtraSpecs {
		if class, ok := strings.CutPrefix(key, "resources:"); ok && strings.HasPrefix(class, "CUSTOM_") && value == "1" {
			w.ResourceClass = class
			w.Capacity = machine.Capacity{} // the class says it all, as with Nova
		}
		if trait, ok := strings.CutPrefix(key, "trait:"); ok && value == "required" {
			w.Traits = append(w.Traits, trait)
		}
	}
	return w
}

func (s *Service) unclaim(ctx context.Context, tx *db.Tx, run *workflow.Run, d *deploy) error {
	if d.Machine == "" {
		return nil
	}
	blame := d.Blame
	if workflow.IsCanceled(run.Cause()) {
		blame = "" // it was only late so far
	}
	if err := s.machines.Release(ctx, tx, d.Machine, d.Instance, run.Request, blame); err != nil {
		return err
	}
	d.Machine, d.Blame = "", ""
	return s.change(ctx, tx, d.Instance, func(i *Instance) {
		if i.Machine = ""; i.TaskState != DeletingIt {
			i.TaskState = Scheduling
		}
	})
}

// another gives the present machine up, with blame or without, and goes back to choose one.
func (d *deploy) another(blame bool, cause error) error {
	if d.Stays {
		return workflow.Abort(cause)
	}
	d.Excluded = append(d.Excluded, d.Machine)
	if blame {
		d.Blame = fault.Message(cause)
	}
	return workflow.Rewind("claim", cause)
}

func (s *Service) startAgent(ctx context.Context, run *workflow.Run, d *deploy) error {
	var late error
	err := s.machines.EnsureAgent(ctx, run, d.Machine, func(cause error) error {
		if d.Stays {
			return workflow.Abort(cause)
		}
		late = cause
		return workflow.Rewind("claim", cause)
	})
	if err != nil && late != nil {
		// Whether the wait is over is the engine's to say; if it is, the machine is to blame.
		d.Excluded, d.Blame = appendOnce(d.Excluded, d.Machine), fault.Message(late)
	}
	return err
}

func appendOnce(list []string, item string) []string {
	for _, have := range list {
		if have == item {
			return list
		}
	}
	return append(list, item)
}

func (s *Service) bind(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	d.Excluded, d.Blame = remove(d.Excluded, d.Machine), ""
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	if err := s.plug(ctx, tx, i, true); fault.Is(err, fault.Exhausted) || fault.Is(err, fault.Conflict) {
		return d.another(false, err)
	} else if err != nil {
		return err
	}
	i.TaskState = Spawning
	return s.save(ctx, tx, i)
}

func remove(list []string, item string) []string {
	var left []string
	for _, have := range list {
		if have != item {
			left = append(left, have)
		}
	}
	return left
}

func (s *Service) unbind(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	return s.unplug(ctx, tx, i)
}

func (s *Service) writeImage(ctx context.Context, run *workflow.Run, d *deploy) error {
	i, err := s.byID(ctx, s.db, d.Instance)
	if err != nil {
		return err
	}
	drive, err := s.configDrive(ctx, i)
	if err != nil {
		return err
	}
	command := agentapi.Command{Kind: agentapi.KindDeploy, Deploy: &agentapi.Deploy{
		Image: i.Image, ConfigDrive: drive, RootDisk: agentapi.RootHint{MinSize: int64(i.Flavor.Disk) << 30},
	}}
	return d.onAgent(s.machines.Ask(ctx, run, d.Machine, "deploy", command, &d.Result))
}

// onAgent decides by whom is to blame: the request, this machine, or nobody.
func (d *deploy) onAgent(err error) error {
	var failed *machine.AgentError
	if !errors.As(err, &failed) {
		return err
	}
	cause := fault.New(fault.Unavailable, "%s", failed.Message)
	switch failed.Fault {
	case agentapi.FaultRequest:
		return workflow.Abort(cause)
	case agentapi.FaultTooSmall, agentapi.FaultRetry:
		return d.another(false, cause)
	}
	return d.another(true, cause)
}

// configDrive is what cloud-init will read. Its instance id is the server's: a second boot is not a first one.
func (s *Service) configDrive(ctx context.Context, i *Instance) ([]byte, error) {
	content, err := s.Content(ctx, s.db, i)
	if err != nil {
		return nil, err
	}
	drive, err := configdrive.Build(content)
	if fault.Is(err, fault.Invalid) {
		return nil, workflow.Abort(err)
	}
	return drive, err
}

// bootOrder gives the machine up when its BMC keeps refusing: it would come back into the agent.
func (s *Service) bootOrder(ctx context.Context, run *workflow.Run, d *deploy) error {
	err := s.machines.ToDisk(ctx, d.Machine)
	if err == nil || ctx.Err() != nil || fault.Is(err, fault.Unavailable) && run.Attempt < bmcPatience {
		return err
	}
	return d.another(true, fault.Wrap(err, fault.Unavailable, "The machine could not be told to start from its disk: %s", fault.Message(err)))
}

// bmcPatience is how often a BMC that does not answer is asked once more.
const bmcPatience = 4

func (s *Service) handOver(over bool) workflow.TxBody[deploy] {
	return func(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
		if d.Machine == "" {
			return nil
		}
		return s.machines.HandOver(ctx, tx, d.Machine, over)
	}
}

// start jumps into the tenant's kernel, or goes through firmware where the flavor says so or Secure Boot is on.
func (s *Service) start(ctx context.Context, run *workflow.Run, d *deploy) error {
	i, err := s.byID(ctx, s.db, d.Instance)
	if err != nil {
		return err
	}
	if d.Off {
		return s.machines.EnsurePower(ctx, run, d.Machine, machine.PowerOff, 0)
	}
	m, err := s.machines.Get(ctx, s.db, d.Machine)
	if err != nil {
		return err
	}
	kexec := i.Flavor.ExtraSpecs["ingot:boot"] != "firmware" && !m.Abilities.SecureBoot
	command := agentapi.Command{Kind: agentapi.KindBoot, Boot: &agentapi.BootInto{Disk: d.Result.Disk, Kexec: kexec}}
	return d.onAgent(s.machines.Ask(ctx, run, d.Machine, "boot", command, &d.Boot))
}

// move comes after the start, which the agent was told in quarantine: what jumps into the tenant's kernel needs no network.
// Until it is done the machine is where nobody answers it: quarantine's DHCP is silent since hand-over.
func (s *Service) move(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	i, err := s.byID(ctx, tx, d.Instance)
	if err != nil {
		return err
	}
	return s.plug(ctx, tx, i, false)
}

// networkPatience is how long networks may take to carry a port. OVN takes a fraction of a second.
const networkPatience = 2 * time.Minute

// awaitNetworks has nothing to wait for where the machine stays off.
func (s *Service) awaitNetworks(ctx context.Context, _ *workflow.Run, d *deploy) error {
	if d.Off {
		return nil
	}
	i, err := s.byID(ctx, s.db, d.Instance)
	if err != nil {
		return err
	}
	if ok, err := s.carried(ctx, i); ok || err != nil {
		return err
	}
	return workflow.Wait("the networks to carry the server's ports", networkPatience,
		workflow.Abort(fault.New(fault.Unavailable, "The server's networks did not come up within %s.", networkPatience)))
}

// NetworkSeen wakes what waits for the networks of a server.
func (s *Service) NetworkSeen(ctx context.Context, tx *db.Tx, instance string) error {
	run, err := workflow.ActiveOf(ctx, tx, Resource(instance))
	if err != nil || run == nil {
		return err
	}
	return s.engine.Signal(ctx, tx, run.ID)
}

// forgetAgent is for a tenant's system that was perhaps started: then no agent is there to clean up, and a new one must be
// fetched by firmware.
func (s *Service) forgetAgent(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	if d.Machine == "" {
		return nil
	}
	return s.machines.EndBoot(ctx, tx, d.Machine)
}

func (s *Service) activate(ctx context.Context, tx *db.Tx, _ *workflow.Run, d *deploy) error {
	if err := s.machines.Activate(ctx, tx, d.Machine); err != nil {
		return err
	}
	if err := s.images.Release(ctx, tx, Resource(d.Instance)); err != nil {
		return err
	}
	return s.change(ctx, tx, d.Instance, func(i *Instance) {
		i.VMState, i.TaskState, i.Power, i.Launched, i.Fault = Active, NoTask, machine.PowerOn, s.clock.Now(), nil
		if d.Off {
			i.VMState, i.Power = Stopped, machine.PowerOff
		}
	})
}

// softPower is how long a tenant's system has to go down by itself.
const softPower = time.Minute
