// Package tenantimage builds the small disk image that stands for a tenant's operating system in the virtual rack, in
// tests and in the demonstration: the distribution's cloud kernel, busybox and an SSH server, with a start that does
// what cloud-init would do (cloudstart). It boots by UEFI firmware from its EFI system partition, or by kexec of the
// unified kernel image there. The root partition is the last one, so that it can grow. There is a second kind with the boot
// loaders and the initial RAM disk of a distribution (grub.go), for all that goes wrong in these.
//
// Everything in it comes from the distribution's packages or from this repository; nothing is installed on the host and
// nothing needs root or loop devices.
package tenantimage

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ingotcloud/ingot/internal/ramdisk"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
	"github.com/ingotcloud/ingot/internal/ramdisk/deb"
	"github.com/ingotcloud/ingot/internal/ramdisk/program"
)

//go:embed tenantimage.go root.go grub.go init-bottom
var recipe embed.FS

// The disk's layout in MiB. The ESP is as small as FAT32 allows, with some room.
const (
	diskMiB      = 384
	espStartMiB  = 1
	espMiB       = 48
	rootStartMiB = espStartMiB + espMiB
	rootMiB      = diskMiB - rootStartMiB - 1 // the last MiB holds the backup partition table
)

const rootLabel = "ingot-root"

// cmdline puts the serial line last: it becomes /dev/console, where the start reports.
const cmdline = "root=LABEL=" + rootLabel + " console=tty0 console=ttyS0,115200n8"

// modules are what the image needs to find its disk, its config drive and its network on a virtual machine; the cloud
// kernel has NVMe and ext4 built in.
var modules = []string{
	"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "isofs", "virtio_net", "virtio_rng", "button", "evdev",
}

// Loader is how the firmware comes to the kernel.
type Loader string

// The loaders. Unified is the smallest and quickest; GRUB is what distributions install, with all that can go wrong there.
const (
	Unified Loader = ""     // the firmware starts a unified kernel image
	GRUB    Loader = "grub" // shim, GRUB and initramfs-tools, as on Debian; it boots under the lab's Secure Boot
)

// Options of Build.
type Options struct {
	Loader   Loader
	CacheDir string       // empty: "ingot" in the user's cache folder
	Logger   *slog.Logger // nil: silent
}

// Build gives the path of the image, a raw sparse file, from the cache where its inputs are the same. Its twin in
// qcow2, compressed, is QCOW2 of that path. Where apt cannot download what is needed it is fault.Unavailable.
func Build(ctx context.Context, o Options) (string, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := buildcache.Root(o.CacheDir)
	if err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp("", "ingot-tenantimage-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	b := builder{loader: o.Loader, scratch: scratch}
	if b.start, err = program.Find(ctx, "internal/lab/tenantimage/cloudstart", scratch); err != nil {
		return "", err
	}
	if b.kernel, err = ramdisk.FetchKernel(ctx, cache, ramdisk.Cloud); err != nil {
		return "", err
	}
	if b.packages, err = deb.Fetch(ctx, cache, packages...); err != nil {
		return "", err
	}
	if b.loader == GRUB {
		more, err := fetchGRUB(ctx, cache)
		if err != nil {
			return "", err
		}
		b.packages = append(b.packages, more...)
	}
	key, err := b.inputs()
	if err != nil {
		return "", err
	}
	dir, err := buildcache.Dir(ctx, cache, "tenantimage", key, func(dir string) error {
		began := time.Now()
		if err := b.build(ctx, filepath.Join(dir, imageName)); err != nil {
			return fmt.Errorf("build the tenant image: %w", err)
		}
		o.Logger.Info("built the tenant image", "loader", b.loader, "kernel", b.kernel.Version, "seconds", time.Since(began).Seconds())
		return nil
	})
	return filepath.Join(dir, imageName), err
}

const imageName = "tenant.raw"

// QCOW2 is the path of the qcow2 twin of an image that Build made.
func QCOW2(raw string) string { return strings.TrimSuffix(raw, ".raw") + ".qcow2" }

type builder struct {
	loader   Loader
	scratch  string
	start    string // the program cloudstart
	kernel   ramdisk.Kernel
	packages []deb.Package
}

// inputs condenses everything that the image depends on.
func (b *builder) inputs() (string, error) {
	start, err := buildcache.KeyOfFile(b.start)
	if err != nil {
		return "", err
	}
	stub, err := buildcache.KeyOfFile(ramdisk.Stub)
	if err != nil {
		return "", fmt.Errorf("read the EFI stub (package systemd-boot-efi): %w", err)
	}
	inputs := []string{ramdisk.Recipe(), buildcache.KeyOfFS(recipe), buildcache.KeyOfFS(rootfs), start, stub, b.kernel.Package, string(b.loader)}
	for _, pkg := range b.packages {
		inputs = append(inputs, pkg.File)
	}
	return buildcache.Key(inputs...), nil
}

func (b *builder) build(ctx context.Context, image string) error {
	root, efi := filepath.Join(b.scratch, "root"), filepath.Join(b.scratch, "esp")
	if err := b.writeRoot(ctx, root); err != nil {
		return err
	}
	if err := b.writeLoader(ctx, root, efi); err != nil {
		return err
	}
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(image, diskMiB<<20); err != nil {
		return err
	}
	esp := fmt.Sprintf("%s@@%dM", image, espStartMiB) // mtools' way to name a part of a file
	for _, command := range [][]string{
		{
			"sgdisk", "--clear", "--disk-guid=8A0E66F4-7C15-4D0B-9A4C-1D7E5B2F6A01",
			fmt.Sprintf("--new=1:%dM:+%dM", espStartMiB, espMiB), "--typecode=1:ef00", "--change-name=1:esp",
			"--partition-guid=1:8A0E66F4-7C15-4D0B-9A4C-1D7E5B2F6A02",
			fmt.Sprintf("--new=2:%dM:+%dM", rootStartMiB, rootMiB), "--typecode=2:8304", "--change-name=2:root",
			"--partition-guid=2:8A0E66F4-7C15-4D0B-9A4C-1D7E5B2F6A03", image,
		},
		{
			"mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "-i", "16A0B0C0",
			fmt.Sprintf("--offset=%d", espStartMiB<<11), image, fmt.Sprint(espMiB << 10),
		},
		{"mcopy", "-s", "-i", esp, filepath.Join(efi, "EFI"), "::EFI"},
		{
			// The inode tables are written now (as holes): the first boot has nothing left to initialise.
			"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-i", "16384", "-L", rootLabel, "-J", "size=8",
			"-E", fmt.Sprintf("offset=%d,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", rootStartMiB<<20),
			"-d", root, image, fmt.Sprintf("%dk", rootMiB<<10),
		},
		{"fallocate", "--dig-holes", image},
		{"qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", image, QCOW2(image)},
	} {
		if err := run(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// writeLoader fills a folder with what goes on the EFI system partition, and adds to the root what the loader reads there.
func (b *builder) writeLoader(ctx context.Context, root, esp string) error {
	if b.loader == GRUB {
		return b.writeGRUB(ctx, root, esp)
	}
	dir := filepath.Join(esp, "EFI/BOOT")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return b.writeUKI(filepath.Join(dir, "BOOTX64.EFI"))
}

// writeUKI makes the EFI program that starts the image.
func (b *builder) writeUKI(file string) error {
	records, err := ramdisk.Modules(b.kernel, modules)
	if err != nil {
		return err
	}
	initrd := filepath.Join(b.scratch, "initrd.zst")
	if err := ramdisk.Initrd(initrd, b.start, records); err != nil {
		return err
	}
	osRelease, err := fs.ReadFile(rootfs, "rootfs/etc/os-release")
	if err != nil {
		return err
	}
	return ramdisk.UKI{
		Stub:      ramdisk.Stub,
		Kernel:    b.kernel.Image,
		Initrd:    initrd,
		OSRelease: string(osRelease),
		Version:   b.kernel.Version,
		Cmdline:   cmdline,
	}.Write(file)
}

// run runs a tool. mke2fs takes the files' owners as it sees them, so in the hands of a user it runs in a namespace
// where that user is root.
func run(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MTOOLS_SKIP_CHECK=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: gid, Size: 1}},
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
