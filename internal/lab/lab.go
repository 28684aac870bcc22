package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/netns"
)

// Config is what Start wants.
type Config struct {
	Rack   *RackSpec
	Dir    string       // the rack's folder, made when missing; its path is short enough for sockets in it
	Name   string       // of this run: its network namespace is ingot-<Name>
	Logger *slog.Logger // nil: slog.Default()
}

// Rack is a rack that runs.
type Rack struct {
	dir         string
	description *Description
	machines    []*Machine
	log         *slog.Logger
	undo        []func() error // what Close does, last first
	ovn         *fabric
}

var runName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// namespace is the network namespace of a run.
func namespace(run string) string { return "ingot-" + run }

// Start brings a rack up: its network, its machines (off, or adopted from a lab that was killed) and their BMCs. One
// lab runs in a folder at a time. A ctx that ends stops the start, not the rack.
func Start(ctx context.Context, config Config) (rack *Rack, err error) {
	if !runName.MatchString(config.Name) {
		return nil, fmt.Errorf("a run's name is %s, not %q", nameAllowed, config.Name)
	}
	if err := checkHost(config.Rack); err != nil {
		return nil, err
	}
	dir, err := folder(config.Dir)
	if err != nil {
		return nil, err
	}
	for _, m := range config.Rack.Machines {
		// sockaddr_un(7): 107 bytes and a zero.
		if path := filepath.Join(dir, m.Name, fileSerial); len(path) > 107 {
			return nil, fmt.Errorf("the folder's name is too long by %d bytes for the socket %s in it", len(path)-107, path)
		}
	}
	r := &Rack{dir: dir, log: config.Logger}
	if r.log == nil {
		r.log = slog.Default()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	unlock, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	r.undo = append(r.undo, unlock)
	old, _ := ReadDescription(dir) // unreadable is told by Describe
	r.description, err = Describe(config.Name, dir, config.Rack)
	if err != nil {
		return nil, err
	}
	if err := r.raiseNamespace(old); err != nil {
		return nil, err
	}
	// From here on a killed lab leaves a trace by which the next one knows its namespace.
	if err := r.description.Write(dir); err != nil {
		return nil, err
	}
	if err := r.raiseNetwork(ctx, config.Rack, old); err != nil {
		return nil, fmt.Errorf("the rack's network: %w", err)
	}
	if err := r.endStrangers(ctx, config.Rack); err != nil {
		return nil, err
	}
	accel, direct := accelerator(), takesDirect(dir)
	for i, spec := range config.Rack.Machines {
		hw := hardware{rack: config.Rack.Name, run: config.Name, spec: spec, accel: accel, direct: direct}
		for _, nic := range r.description.Machines[i].NICs {
			hw.taps = append(hw.taps, tap{nic.Netns, nic.Tap})
		}
		if err := r.addMachine(ctx, hw, &r.description.Machines[i].BMC); err != nil {
			return nil, err
		}
	}
	if err := r.serve(); err != nil {
		return nil, err
	}
	if err := r.description.Write(dir); err != nil {
		return nil, err
	}
	r.log.Info("the rack is up", "rack", config.Rack.Name, "machines", len(r.machines), "accel", accel, "netns", r.description.Netns)
	return r, nil
}

// folder makes the rack's folder and gives its one true name, which is how the kernel tells where a process works.
func folder(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// Lock holds a rack's folder for this process; the kernel lets go of it however the process ends.
func Lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another lab runs in %s", dir)
	}
	return f.Close, nil
}

// raiseNamespace makes the run's namespace, or takes the one that an earlier lab in this folder left.
func (r *Rack) raiseNamespace(old *Description) error {
	ns := r.description.Netns
	if old != nil && old.Netns != ns { // the folder was run otherwise and killed
		if err := netns.Delete(old.Netns); err != nil {
			return err
		}
	}
	if !netns.Exists(ns) {
		if err := netns.Create(ns); err != nil {
			return err
		}
	} else if old == nil || old.Netns != ns {
		return fmt.Errorf("network namespace %s exists and is not this folder's: choose another run name, "+
			"or if no lab uses it remove it with: ip netns delete %s", ns, ns)
	}
	r.undo = append(r.undo, func() error { return netns.Delete(ns) })
	return nil
}

// endStrangers ends QEMUs that an earlier lab left for machines that the rack no longer has.
func (r *Rack) endStrangers(ctx context.Context, rack *RackSpec) error {
	declared := map[string]bool{}
	for _, m := range rack.Machines {
		declared[m.Name] = true
	}
	sockets, err := filepath.Glob(filepath.Join(r.dir, "*", fileQMP))
	if err != nil {
		return err
	}
	for _, socket := range sockets {
		dir := filepath.Dir(socket)
		if declared[filepath.Base(dir)] {
			continue
		}
		q, err := adoptQEMU(ctx, dir)
		if err != nil {
			return err
		}
		if q != nil {
			r.log.Warn("end a machine that the rack no longer has", "machine", filepath.Base(dir))
			if err := q.stop(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Rack) addMachine(ctx context.Context, hw hardware, bmc *BMCDescription) error {
	m, err := newMachine(hw, r.description.Netns, filepath.Join(r.dir, hw.spec.Name), r.log)
	if err != nil {
		return fmt.Errorf("machine %s: %w", hw.spec.Name, err)
	}
	r.undo = append(r.undo, m.close)
	if err := m.adopt(ctx); err != nil {
		return fmt.Errorf("machine %s: %w", hw.spec.Name, err)
	}
	stop, err := StartBMC(m, m.dir, bmc, nil, r.log)
	if err != nil {
		return err
	}
	r.undo = append(r.undo, stop)
	r.machines = append(r.machines, m)
	return nil
}

// Machines in the order of the rack file.
func (r *Rack) Machines() []*Machine { return r.machines }

// Machine by its name; nil when the rack has none of it.
func (r *Rack) Machine(name string) *Machine {
	for _, m := range r.machines {
		if m.info.Name == name {
			return m
		}
	}
	return nil
}

// Describe is what lab.json says.
func (r *Rack) Describe() Description { return *r.description }

// Close stops everything and removes the namespace. Disks, firmware variables and logs stay: the next Start in the
// folder finds the same machines, off.
func (r *Rack) Close() error {
	start := time.Now()
	var errs []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		errs = append(errs, r.undo[i]())
	}
	r.undo = nil
	r.log.Info("the rack is down", "took", time.Since(start).Round(time.Millisecond))
	return errors.Join(errs...)
}

// Destroy is Close, and the folder with the machines' disks is removed.
func (r *Rack) Destroy() error {
	return errors.Join(r.Close(), os.RemoveAll(r.dir))
}
