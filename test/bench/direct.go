package main

import (
	"context"
	"debug/pe"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/deploy"
	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/configdrive"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/metadata"
)

// What machines of the rack and those that boot directly have in common.
const (
	machineCPUs    = 2
	machineMiB     = 1024
	machineDiskGiB = 4
	machineMAC     = "52:54:00:be:9c:01"
)

// prompt is where a tenant can log in.
const prompt = "login:"

// esp is where the tenant image has its EFI system partition, for mtools.
const esp = "@@1M"

// directBoot is how long an image takes from the start of QEMU to its prompt, without any cloud: its own kernel is
// started directly, from a disk that was written before with the config drive of a first boot. The best of several
// counts. It also gives the image's data in bytes.
func directBoot(ctx context.Context, dir, accel, raw string, times int) (best time.Duration, data int64, err error) {
	if err := unpackKernel(ctx, dir, raw); err != nil {
		return 0, 0, err
	}
	for range times {
		path := filepath.Join(dir, "direct.raw")
		if data, err = writeDisk(ctx, path, raw); err != nil {
			return 0, 0, err
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, ".cmdline"))
		if err != nil {
			return 0, 0, err
		}
		v, err := startVM(ctx, accel, path, filepath.Join(dir, ".linux"), filepath.Join(dir, ".initrd"), strings.TrimRight(string(cmdline), "\x00\n"))
		if err != nil {
			return 0, 0, err
		}
		took, err := v.await(ctx, prompt)
		v.stop()
		if err != nil {
			return 0, 0, err
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return best, data, nil
}

// unpackKernel takes the image's unified kernel image apart, into files that are named as its sections.
func unpackKernel(ctx context.Context, dir, raw string) error {
	uki := filepath.Join(dir, "tenant.efi")
	copying := exec.CommandContext(ctx, "mcopy", "-i", raw+esp, "::EFI/BOOT/BOOTX64.EFI", uki)
	copying.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	if out, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("mcopy: %w: %s", err, out)
	}
	image, err := pe.Open(uki)
	if err != nil {
		return err
	}
	defer image.Close() //nolint:errcheck // only read
	for _, name := range []string{".linux", ".initrd", ".cmdline"} {
		section := image.Section(name)
		if section == nil {
			return fmt.Errorf("the tenant image's kernel has no section %s", name)
		}
		data, err := section.Data()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data[:min(uint32(len(data)), section.VirtualSize)], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeDisk makes the disk that the cloud would make of the image, and gives how much data the image has.
func writeDisk(ctx context.Context, path, raw string) (int64, error) {
	source, err := os.Open(raw)
	if err != nil {
		return 0, err
	}
	defer source.Close() //nolint:errcheck // only read
	info, err := source.Stat()
	if err != nil {
		return 0, err
	}
	image, err := pack(ctx, deployimage.FromFile(source, info.Size()))
	if err != nil {
		return 0, err
	}
	drive, err := configdrive.Build(&metadata.Content{
		ID: "7c9e6679-7425-40de-944b-e07fc1f90ae7", Name: "bench", Hostname: "bench",
		NetworkData: map[string]any{
			"links":    []any{map[string]any{"id": "nic", "type": "phy", "ethernet_mac_address": machineMAC}},
			"networks": []any{map[string]any{"id": "net", "type": "ipv4", "link": "nic", "ip_address": "10.77.0.9", "netmask": "255.255.255.0", "routes": []any{}}},
			"services": []any{},
		},
	})
	if err != nil {
		return 0, err
	}
	f := &file{path: path}
	if err := f.clean(machineDiskGiB << 30); err != nil {
		return 0, err
	}
	d, err := disk.Open(path)
	if err != nil {
		return 0, err
	}
	defer d.Close() //nolint:errcheck // flushed
	_, err = deploy.Job{Image: "bench", Images: image, Manifest: image.manifest, ConfigDrive: drive, Disk: d}.Run(ctx)
	return image.manifest.DataSize, err
}
