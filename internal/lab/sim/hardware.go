package sim

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// hardware is the machine as its agent sees it. Nothing on it takes time.
type hardware Machine

var _ agent.Hardware = (*hardware)(nil)

func (h *hardware) disks() (disks []agentapi.Disk) {
	for i, d := range h.Info().Disks {
		disks = append(disks, agentapi.Disk{
			ID: d.Serial, Name: fmt.Sprintf("/dev/nvme%dn1", i), Model: "Simulated", Serial: d.Serial, Bus: d.Bus, Size: d.Bytes, Block: 512,
		})
	}
	return disks
}

// Inspect implements agent.Hardware.
func (h *hardware) Inspect(context.Context, agent.Progress) (agentapi.Inventory, error) {
	info := h.Info()
	found := agentapi.Inventory{
		UUID: info.UUID, Vendor: info.Vendor, Product: info.Model, Serial: info.Serial, BIOS: info.BIOSVersion, BootMode: "uefi",
		Secure: h.SecureBoot(), Arch: "x86_64", Memory: int64(info.MemoryMiB) << 20, Disks: h.disks(),
		CPU: agentapi.CPU{Model: "Simulated", Sockets: 1, Cores: info.Cores, Threads: info.Cores, MHz: 2000},
	}
	if !info.UEFI {
		found.BootMode = "bios"
	}
	for i, nic := range info.NICs {
		found.NICs = append(found.NICs, agentapi.NIC{Name: fmt.Sprintf("eth%d", i), MAC: nic.MAC, Driver: "simulated", Carrier: true, Speed: 25000})
	}
	return found, nil
}

// Erase implements agent.Hardware.
func (h *hardware) Erase(_ context.Context, order agentapi.Erase, _ agent.Progress) (agentapi.EraseResult, error) {
	var result agentapi.EraseResult
	wanted := map[string]bool{}
	for _, id := range order.Disks {
		wanted[id] = true
	}
	for _, disk := range h.disks() {
		if len(wanted) == 0 || wanted[disk.ID] {
			result.Disks = append(result.Disks, agentapi.ErasedDisk{ID: disk.ID, Method: "nvme-format", Bytes: disk.Size, Verified: 66 << 20})
		}
	}
	return result, (*Machine)(h).keep(nil)
}

// Deploy implements agent.Hardware. It fetches the whole image, as a disk would take it, and keeps the order.
func (h *hardware) Deploy(ctx context.Context, order agentapi.Deploy, images agent.Images, progress agent.Progress) (agentapi.DeployResult, error) {
	manifest, err := images.Manifest(ctx, order.Image)
	if err != nil {
		return agentapi.DeployResult{}, err
	}
	disks := h.disks()
	if len(disks) == 0 || disks[0].Size < max(manifest.VirtualSize, order.RootDisk.MinSize) {
		return agentapi.DeployResult{}, failure.New(agentapi.FaultTooSmall, "No disk is large enough.")
	}
	progress(agentapi.Progress{Step: "Writing the image", Total: manifest.DataSize})
	if manifest.BlobSize > 0 {
		body, _, err := images.Range(ctx, order.Image, 0, manifest.BlobSize)
		if err != nil {
			return agentapi.DeployResult{}, err
		}
		read, err := io.Copy(io.Discard, body)
		if err = errors.Join(err, body.Close()); err != nil {
			return agentapi.DeployResult{}, failure.Wrap(err, agentapi.FaultRetry, "The image could not be fetched.")
		}
		if read != manifest.BlobSize {
			return agentapi.DeployResult{}, failure.New(agentapi.FaultRequest, "The image has %d bytes and its manifest says %d.", read, manifest.BlobSize)
		}
	}
	progress(agentapi.Progress{Step: "Writing the image", Done: manifest.DataSize, Total: manifest.DataSize})
	result := agentapi.DeployResult{Disk: disks[0].ID, Written: manifest.DataSize, Discarded: disks[0].Size - manifest.DataSize, Verified: manifest.DataSize}
	return result, (*Machine)(h).keep(&order)
}

// Boot implements agent.Hardware.
func (h *hardware) Boot(_ context.Context, order agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	m := (*Machine)(h)
	if !order.Kexec {
		return agentapi.BootResult{}, func() error { m.Reboot(); return nil }, nil
	}
	return agentapi.BootResult{Kexec: true, Kernel: "simulated"}, func() error {
		if m.leaveAgent() {
			m.startTenant("disk")
		}
		return nil
	}, nil
}

// Rescue implements agent.Hardware.
func (h *hardware) Rescue(_ context.Context, order agentapi.Rescue) (func() error, error) {
	m := (*Machine)(h)
	return func() error {
		if m.leaveAgent() {
			m.say("rescue: %s: simulated, nobody to log in to", order.Hostname)
		}
		return nil
	}, nil
}

// leaveAgent ends the agent from within: this very call is its last, and waiting for its end would wait for ever. It is
// false when the power went first.
func (m *Machine) leaveAgent() bool {
	m.mu.Lock()
	p := m.agent
	m.agent = nil
	m.mu.Unlock()
	if p == nil {
		return false
	}
	p.cancel()
	return true
}
