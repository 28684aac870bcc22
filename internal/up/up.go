// Package up is `ingot up`: from nothing to a tenant with a whole machine, in one command that may be given again at
// any time. It starts a virtual rack and a control plane as background processes (daemon.go), and from then on is a
// client like any other: it enrols the machines and orders a server through the public API (cloud.go), and shows what
// happens (show.go).
package up

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/tenantimage"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

// Options of Up.
type Options struct {
	Home  string // folder that keeps everything the running cloud keeps
	Rack  string // rack file
	Agent string // the ingot-agent program; empty: beside this one
	Out   *os.File
	// Simulate this many machines (internal/lab/sim) instead of the rack; 0: the rack.
	Simulate int
	// Fabric of the simulated machines (sim.Config).
	Fabric string
}

// site is a home with what was found or made in it.
type site struct {
	Options
	program   string // this program
	name      string // of the run, on the host
	show      *display
	artifacts ramdisk.Artifacts
	image     string // tenant image
	format    string // of the image: qcow2 or raw
	rack      *lab.Description
}

// Up brings a cloud up and a server onto one of its machines. Every step first looks whether it is done.
func Up(ctx context.Context, o Options) error {
	s, err := open(o)
	if err != nil {
		return err
	}
	steps := s.steps()
	if o.Simulate > 0 {
		steps = s.simulatedSteps()
	}
	for _, step := range steps {
		s.show.title(step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(step.title[:1])+step.title[1:], err)
		}
	}
	if o.Simulate > 0 {
		s.tellSimulated()
	} else {
		s.tell()
	}
	return nil
}

// step of bringing a cloud up.
type step struct {
	title string
	do    func(context.Context) error
}

func (s *site) steps() []step {
	return []step{
		{"Build the agent's RAM disk", s.buildRAMDisk},
		{"Build a small tenant image", s.buildTenantImage},
		{"Start the virtual rack", s.startLab},
		{"Start the control plane", s.startServer},
		{"Bring the metadata service to the chassis", s.startChassis},
		{"Log in as admin and make the tenant demo", s.makeTenant},
		{"Enrol, inspect and clean the machines", s.enrolMachines},
		{"Upload the image, make a flavor and a key pair", s.fillCloud},
		{"Make the tenant's network and its way out", s.makeNetworks},
		{"Order a server as demo and follow it", s.orderServer},
		{"Log in to the server", s.tryLogin},
	}
}

func open(o Options) (*site, error) {
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, err
	}
	o.Home = home
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if o.Agent == "" {
		o.Agent = filepath.Join(filepath.Dir(program), "ingot-agent")
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	return &site{Options: o, program: program, name: runName(home), show: newDisplay(o.Out)}, os.MkdirAll(home, 0o700)
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.Home}, elements...)...)
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "ingot"), err
}

func (s *site) buildRAMDisk(ctx context.Context) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	s.artifacts, err = ramdisk.Build(ctx, ramdisk.Options{Agent: s.Agent, Kernel: "cloud", CacheDir: cache, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.show.note("kernel %s, RAM disk %s", s.artifacts.KernelVersion, size(s.artifacts.Initrd))
	}
	return err
}

func (s *site) buildTenantImage(ctx context.Context) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	raw, err := tenantimage.Build(ctx, tenantimage.Options{CacheDir: cache, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.image, s.format = tenantimage.QCOW2(raw), "qcow2"
		s.show.note("%s, %s", filepath.Base(s.image), size(s.image))
	}
	return err
}

func size(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "?"
	}
	return fmt.Sprintf("%.1f MB", float64(info.Size())/1e6)
}

// tell says where things are.
func (s *site) tell() {
	s.show.text(`
  The cloud is up:
    API        %[1]s   (openstack: source %[2]s or %[3]s)
    ssh        ssh -F %[4]s demo
    consoles   %[5]s
    logs       %[6]s and %[7]s
    stop       make down      (make up starts it again; make clean forgets it)
`, s.apiURL(), s.path("demo-openrc.sh"), s.path("admin-openrc.sh"), s.path("ssh_config"),
		s.path("lab", "MACHINE", "serial.log"), s.path("serve.log"), s.path("lab.log"))
}

// Down stops the control plane and the rack, and keeps everything.
func Down(ctx context.Context, o Options) error {
	s, err := open(o)
	if err != nil {
		return err
	}
	for _, d := range append(s.chassis(), s.server(), s.lab()) {
		stopped, err := d.stop(ctx)
		if err != nil {
			return err
		}
		if stopped {
			s.show.note("stopped %s", d.name)
		}
	}
	return nil
}

// Clean stops everything and forgets it.
func Clean(ctx context.Context, o Options) error {
	if err := Down(ctx, o); err != nil {
		return err
	}
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(home, configFile)); os.IsNotExist(err) {
		return nil // not a home of ours: nothing is deleted
	}
	return os.RemoveAll(home)
}

// patience of everything that up waits for, for slow machines without hardware virtualization.
const patience = 15 * time.Minute
