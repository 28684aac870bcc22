// Package ramdisk makes what a machine boots while no tenant owns it: a stock kernel of the distribution and a RAM disk
// whose init is ingot-agent, as two files (kexec, iPXE) and as one unified kernel image (UEFI HTTP boot, virtual media).
// Nothing is installed on the host, nothing needs root, and everything made is cached under a hash of its inputs.
//
// Boots that rescue a tenant's server get a second initrd behind the first, with a shell and tools (tools.go): so the
// usual RAM disk stays as small as it is.
//
// A unified kernel image has room for a command line that PatchCmdline sets per boot, so one image serves every machine
// and each boot still carries a credential of its own.
package ramdisk

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
	"github.com/ingotcloud/ingot/internal/ramdisk/program"
)

//go:embed ramdisk.go initrd.go modules.go tools.go uki.go
var recipe embed.FS

// Recipe condenses how this package makes things, for the keys of what is made with it. It is the source itself, so
// that nobody has to remember to change a version.
func Recipe() string { return buildcache.KeyOfFS(recipe) }

// defaultCmdline serves a boot that nobody patched: it shows what happens on screen and serial line.
const defaultCmdline = "console=tty0 console=ttyS0,115200n8"

const osRelease = `ID=ingot
NAME="Ingot"
PRETTY_NAME="Ingot agent"
`

// Options of Build.
type Options struct {
	Agent    string       // the program that becomes /init; empty: ingot-agent beside this binary, or built from source
	Kernel   string       // Cloud or Full; empty: Cloud
	CacheDir string       // empty: "ingot" in the user's cache folder
	Logger   *slog.Logger // nil: silent
}

// Artifacts are files in the cache. They stay there as long as they are asked for now and then (see buildcache); what a
// running cloud serves is linked or copied into its own folder.
type Artifacts struct {
	Kernel        string // bzImage
	Initrd        string // newc cpio, zstd
	UKI           string // both in an EFI program
	RescueInitrd  string // the RAM disk with the tools of the rescue system (Tools)
	RescueUKI     string // kernel and that one
	KernelVersion string // as uname -r says
}

// Build gives the artefacts, from the cache where the inputs are the same. Where apt cannot download the kernel it is
// fault.Unavailable.
func Build(ctx context.Context, o Options) (Artifacts, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Kernel == "" {
		o.Kernel = Cloud
	}
	root, err := buildcache.Root(o.CacheDir)
	if err != nil {
		return Artifacts{}, err
	}
	if o.Agent == "" {
		scratch, err := os.MkdirTemp("", "ingot-agent-")
		if err != nil {
			return Artifacts{}, err
		}
		defer os.RemoveAll(scratch)
		if o.Agent, err = program.Find(ctx, "cmd/ingot-agent", scratch); err != nil {
			return Artifacts{}, err
		}
	}
	kernel, err := FetchKernel(ctx, root, o.Kernel)
	if err != nil {
		return Artifacts{}, err
	}
	tools, toolsKey, err := toolsInitrd(ctx, root)
	if err != nil {
		return Artifacts{}, err
	}
	key, err := inputs(o.Agent, kernel, toolsKey)
	if err != nil {
		return Artifacts{}, err
	}
	dir, err := buildcache.Dir(ctx, root, "ramdisk", key, func(dir string) error {
		start := time.Now()
		if err := build(dir, o.Agent, tools, kernel); err != nil {
			return fmt.Errorf("build the RAM disk: %w", err)
		}
		o.Logger.Info("built the RAM disk", "kernel", kernel.Version, "seconds", time.Since(start).Seconds())
		return nil
	})
	if err != nil {
		return Artifacts{}, err
	}
	a := artifactsIn(dir)
	a.KernelVersion = kernel.Version
	return a, nil
}

func artifactsIn(dir string) Artifacts {
	return Artifacts{
		Kernel: filepath.Join(dir, "vmlinuz"),
		Initrd: filepath.Join(dir, "initrd.zst"),
		UKI:    filepath.Join(dir, "ingot-agent.efi"),

		RescueInitrd: filepath.Join(dir, "rescue-initrd.zst"),
		RescueUKI:    filepath.Join(dir, "ingot-rescue.efi"),
	}
}

// inputs condenses everything that the artefacts depend on.
func inputs(agent string, kernel Kernel, toolsKey string) (string, error) {
	agentKey, err := buildcache.KeyOfFile(agent)
	if err != nil {
		return "", err
	}
	stubKey, err := buildcache.KeyOfFile(Stub)
	if err != nil {
		return "", fmt.Errorf("read the EFI stub (package systemd-boot-efi): %w", err)
	}
	return buildcache.Key(Recipe(), agentKey, stubKey, kernel.Package, toolsKey), nil
}

func build(dir, agent, tools string, kernel Kernel) error {
	a := artifactsIn(dir)
	if err := os.Link(kernel.Image, a.Kernel); err != nil {
		return err
	}
	modules, err := Modules(kernel, agentModules)
	if err != nil {
		return err
	}
	if err := Initrd(a.Initrd, agent, modules); err != nil {
		return err
	}
	if err := join(a.RescueInitrd, a.Initrd, tools); err != nil {
		return err
	}
	for uki, initrd := range map[string]string{a.UKI: a.Initrd, a.RescueUKI: a.RescueInitrd} {
		err := UKI{
			Stub:      Stub,
			Kernel:    a.Kernel,
			Initrd:    initrd,
			OSRelease: osRelease,
			Version:   kernel.Version,
			Cmdline:   defaultCmdline,
		}.Write(uki)
		if err != nil {
			return err
		}
	}
	return nil
}

// join writes files behind each other into one.
func join(to string, parts ...string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close() // a second Close after success is harmless
	for _, part := range parts {
		content, err := os.ReadFile(part)
		if err != nil {
			return err
		}
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}
