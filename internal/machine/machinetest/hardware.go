package machinetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// hardware is the computer as its agent sees it.
type hardware Computer

var _ agent.Hardware = (*hardware)(nil)

// begin is what all commands have in common: the ways to go wrong.
func (h *hardware) begin(ctx context.Context, kind agentapi.Kind) (Behaviour, error) {
	c := (*Computer)(h)
	c.mu.Lock()
	c.commands[kind]++
	b := c.behaviour
	process := c.agent
	c.mu.Unlock()
	switch kind {
	case b.Dies:
		c.Sim.Crash()
		<-ctx.Done()
	case b.Silent:
		if process != nil {
			process.cancel()
		}
		<-ctx.Done()
	case b.Hangs:
		<-ctx.Done()
	}
	select {
	case <-ctx.Done():
		return b, ctx.Err()
	case <-time.After(b.Slow):
	}
	return b, b.Fail[kind]
}

func (c *Computer) disks() (disks []agentapi.Disk) {
	for i := range c.Spec.Disks {
		serial := fmt.Sprintf("%s-DISK%d", c.Spec.Name, i)
		disks = append(disks, agentapi.Disk{
			ID: serial, Name: fmt.Sprintf("/dev/nvme%dn1", i), Model: "SIM", Serial: serial, Bus: "nvme", Size: int64(c.Spec.DiskGiB) << 30, Block: 512,
		})
	}
	return disks
}

// Inspect implements agent.Hardware.
func (h *hardware) Inspect(ctx context.Context, progress agent.Progress) (agentapi.Inventory, error) {
	progress(agentapi.Progress{Step: "Looking at the hardware", Total: 1})
	if _, err := h.begin(ctx, agentapi.KindInspect); err != nil {
		return agentapi.Inventory{}, err
	}
	c := (*Computer)(h)
	found := agentapi.Inventory{
		UUID: c.uuid, Vendor: "Ingot", Product: "Simulated", Serial: c.Sim.Info().Serial, BIOS: "SIM 1.0 2026-01-01", BootMode: "uefi", Arch: "x86_64",
		CPU:    agentapi.CPU{Model: "Simulated CPU", Sockets: 1, Cores: c.Spec.CPUs, Threads: c.Spec.CPUs, MHz: 2000, Flags: []string{"aes"}},
		Memory: int64(c.Spec.MemoryMiB) << 20, Disks: c.disks(),
	}
	for i, mac := range c.MACs {
		found.NICs = append(found.NICs, agentapi.NIC{Name: fmt.Sprintf("eth%d", i), MAC: mac, Driver: "sim", Carrier: true, Speed: 25000})
	}
	return found, nil
}

// Erase implements agent.Hardware.
func (h *hardware) Erase(ctx context.Context, _ agentapi.Erase, progress agent.Progress) (agentapi.EraseResult, error) {
	var result agentapi.EraseResult
	progress(agentapi.Progress{Step: "Erasing", Total: 100})
	b, err := h.begin(ctx, agentapi.KindErase)
	if err != nil {
		return result, err
	}
	c := (*Computer)(h)
	for _, disk := range c.disks() {
		result.Disks = append(result.Disks, agentapi.ErasedDisk{ID: disk.ID, Method: "blkdiscard", Bytes: disk.Size, Verified: 66 << 20, Seconds: 0.1})
	}
	if b.ForgetDisk {
		result.Disks = result.Disks[:len(result.Disks)-1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erasures++
	c.deployed = nil
	return result, nil
}

// Deploy implements agent.Hardware. It fetches the whole image and keeps what it was told.
func (h *hardware) Deploy(ctx context.Context, order agentapi.Deploy, images agent.Images, progress agent.Progress) (agentapi.DeployResult, error) {
	manifest, err := images.Manifest(ctx, order.Image)
	if err != nil {
		return agentapi.DeployResult{}, err
	}
	progress(agentapi.Progress{Step: "Writing the image", Total: manifest.DataSize})
	if _, err := h.begin(ctx, agentapi.KindDeploy); err != nil {
		return agentapi.DeployResult{}, err
	}
	c := (*Computer)(h)
	disk := c.disks()[0]
	if manifest.VirtualSize > disk.Size {
		return agentapi.DeployResult{}, failure.New(agentapi.FaultTooSmall, "No disk is large enough.")
	}
	if manifest.BlobSize > 0 {
		body, _, err := images.Range(ctx, order.Image, 0, manifest.BlobSize)
		if err != nil {
			return agentapi.DeployResult{}, err
		}
		n, err := io.Copy(io.Discard, body)
		if err = errors.Join(err, body.Close()); err == nil && n != manifest.BlobSize {
			err = fmt.Errorf("the blob has %d bytes, its manifest says %d", n, manifest.BlobSize)
		}
		if err != nil {
			return agentapi.DeployResult{}, err
		}
	}
	progress(agentapi.Progress{Step: "Writing the image", Done: manifest.DataSize, Total: manifest.DataSize})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deployed = &order
	return agentapi.DeployResult{Disk: disk.ID, Written: manifest.DataSize, Verified: manifest.DataSize, Seconds: 0.1}, nil
}

// Boot implements agent.Hardware.
func (h *hardware) Boot(ctx context.Context, order agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	if _, err := h.begin(ctx, agentapi.KindBoot); err != nil {
		return agentapi.BootResult{}, nil, err
	}
	c := (*Computer)(h)
	if !order.Kexec {
		return agentapi.BootResult{}, func() error { c.Sim.Reboot(); return nil }, nil
	}
	return agentapi.BootResult{Kexec: true, Kernel: "tenant"}, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.agent != nil { // the power did not fail meanwhile
			c.tenant = true
			c.agent.cancel()
			c.agent = nil
		}
		return nil
	}, nil
}

// Rescue implements agent.Hardware.
func (h *hardware) Rescue(ctx context.Context, order agentapi.Rescue) (func() error, error) {
	if _, err := h.begin(ctx, agentapi.KindRescue); err != nil {
		return nil, err
	}
	c := (*Computer)(h)
	return func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.agent != nil { // the power did not fail meanwhile
			c.rescue = &order
			c.agent.cancel()
			c.agent = nil
		}
		return nil
	}, nil
}
