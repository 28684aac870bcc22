// Package metal is the real machine behind the agent's loop (agent.Hardware): it puts together inventory, erasure,
// deployment and kexec.
package metal

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/deploy"
	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agent/inventory"
	"github.com/ingotcloud/ingot/internal/agent/kexec"
	"github.com/ingotcloud/ingot/internal/agent/rescue"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// Machine is the computer that the agent runs on.
type Machine struct {
	Log       *slog.Logger
	Inventory *inventory.Reader
	Scratch   string // a folder for mount points
}

var _ agent.Hardware = (*Machine)(nil)

// Inspect implements agent.Hardware.
func (m *Machine) Inspect(_ context.Context, progress agent.Progress) (agentapi.Inventory, error) {
	progress(agentapi.Progress{Step: "Looking at the hardware", Total: 1})
	return m.Inventory.Read(), nil
}

// Erase implements agent.Hardware. Disks are erased at the same time: the slowest one decides.
func (m *Machine) Erase(ctx context.Context, order agentapi.Erase, progress agent.Progress) (agentapi.EraseResult, error) {
	disks, err := m.toErase(order.Disks)
	if err != nil {
		return agentapi.EraseResult{}, err
	}
	sum := summer{of: make([]agentapi.Progress, len(disks)), report: progress}
	result := agentapi.EraseResult{Disks: make([]agentapi.ErasedDisk, len(disks))}
	group, ctx := errgroup.WithContext(ctx)
	for i, d := range disks {
		group.Go(func() error {
			var err error
			result.Disks[i], err = disk.Erase(ctx, d, order.Verify, func(p agentapi.Progress) { sum.set(i, p) })
			m.Log.Info("erased a disk", "disk", d.ID, "method", result.Disks[i].Method, "tried", result.Disks[i].Tried, "error", err)
			return err
		})
	}
	return result, group.Wait()
}

// toErase are the disks with the ids or, without ids, all that are built in.
func (m *Machine) toErase(ids []string) ([]agentapi.Disk, error) {
	all := m.Inventory.Disks()
	if len(ids) == 0 {
		return slices.DeleteFunc(all, func(d agentapi.Disk) bool { return d.Bus == "usb" }), nil
	}
	var chosen []agentapi.Disk
	for _, id := range ids {
		i := slices.IndexFunc(all, func(d agentapi.Disk) bool { return d.ID == id })
		if i < 0 {
			return nil, failure.New(agentapi.FaultMachine, "The disk %s is no longer there.", id)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// summer adds up the progress of several disks.
type summer struct {
	mu     sync.Mutex
	of     []agentapi.Progress
	report agent.Progress
}

func (s *summer) set(i int, p agentapi.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[i] = p
	total := agentapi.Progress{Step: p.Step}
	for _, one := range s.of {
		total.Done += one.Done
		total.Total += one.Total
	}
	s.report(total)
}

// Deploy implements agent.Hardware.
func (m *Machine) Deploy(ctx context.Context, order agentapi.Deploy, images agent.Images, progress agent.Progress) (agentapi.DeployResult, error) {
	job := deploy.Job{Image: order.Image, Images: images, ConfigDrive: order.ConfigDrive, Log: m.Log, Progress: progress}
	progress(agentapi.Progress{Step: "Fetching the image's manifest", Total: 1})
	var err error
	if job.Manifest, err = deploy.Fetch(ctx, images, order.Image, deploy.DefaultPatience); err != nil {
		return agentapi.DeployResult{}, err
	}
	chosen, err := deploy.Choose(m.Inventory.Disks(), order.RootDisk, deploy.Need(job.Manifest, order.ConfigDrive))
	if err != nil {
		return agentapi.DeployResult{}, err
	}
	if job.Disk, err = disk.Open(chosen.Name); err != nil {
		return agentapi.DeployResult{}, failure.Wrap(err, agentapi.FaultMachine, "The disk %s cannot be opened.", chosen.ID)
	}
	defer job.Disk.Close()
	result, err := job.Run(ctx)
	result.Disk = chosen.ID
	return result, err
}

// Boot implements agent.Hardware. What stands in the way of a kexec is no failure: the firmware can start the disk too.
func (m *Machine) Boot(_ context.Context, order agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	result := agentapi.BootResult{}
	reboot := func() error { return kexec.Reboot(m.Log) }
	if !order.Kexec {
		return result, reboot, nil
	}
	entry, err := m.loadKernel(order.Disk)
	if err != nil {
		m.Log.Warn("no kexec, rebooting through the firmware", "error", err)
		result.Reason = err.Error()
		return result, reboot, nil
	}
	m.Log.Info("loaded the disk's kernel", "title", entry.Title, "from", entry.From, "cmdline", entry.Cmdline)
	result.Kexec, result.Kernel = true, entry.Title+" ("+entry.From+")"
	return result, func() error {
		err := kexec.Jump(m.Log)
		m.Log.Error("the jump failed, rebooting through the firmware", "error", err)
		return reboot()
	}, nil
}

// Rescue implements agent.Hardware.
func (m *Machine) Rescue(_ context.Context, order agentapi.Rescue) (func() error, error) {
	if err := rescue.Prepare(order); err != nil {
		return nil, failure.Wrap(err, agentapi.FaultRequest, "The machine was not started with a rescue system.")
	}
	return rescue.Enter, nil
}

func (m *Machine) loadKernel(id string) (kexec.Entry, error) {
	disks := m.Inventory.Disks()
	i := slices.IndexFunc(disks, func(d agentapi.Disk) bool { return d.ID == id })
	if i < 0 {
		return kexec.Entry{}, failure.New(agentapi.FaultMachine, "the disk %s is not there", id)
	}
	mounted, err := kexec.Mount(disks[i].Name, m.Scratch, m.Log)
	if err != nil {
		return kexec.Entry{}, err
	}
	defer func() {
		if err := mounted.Close(); err != nil {
			m.Log.Warn("unmounting failed", "error", err)
		}
	}()
	entry, err := kexec.Find(mounted.Volumes)
	if err != nil {
		return kexec.Entry{}, err
	}
	return entry, kexec.Load(entry)
}
