// Package sim is a rack without QEMU, for clouds of many machines in seconds. Each machine's BMC speaks Redfish or IPMI
// over the network like the lab's; its firmware starts what the BMC was told to start, as firmware finds it (in the El
// Torito image of the virtual CD, or over HTTP); and what starts is the agent's real loop on made-up hardware
// (hardware.go). Only firmware, disks and the tenant's system are pretended: the control plane sees no difference.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/ingotcloud/ingot/internal/lab"
)

// Config is what Start wants.
type Config struct {
	Name   string // of the run, with OVN: its network namespaces are ingot-<Name>-…; empty: the rack's
	Rack   *lab.RackSpec
	Fabric string       // empty: FabricNone
	Dir    string       // keeps BMC addresses, passwords, serial logs and what is on the disks; made when missing
	Logger *slog.Logger // nil: slog.Default()
	// Mute machines, by name, boot the agent, which never calls home. Deaf ones' BMCs take requests and never answer.
	Mute, Deaf []string
}

// The fabrics: what the NICs are plugged into.
const (
	FabricNone = "none" // nothing: they only pretend, too
	FabricOVN  = "ovn"  // the chassis of an OVN, as taps that nobody reads; it needs root
)

// Rack is a rack that runs.
type Rack struct {
	description *lab.Description
	machines    []*Machine
	undo        []func() error // what Close does, last first
}

// Start brings a rack up: its machines, off, and their BMCs. One rack runs in a folder at a time; it is described there
// as the lab's are (lab.ReadDescription), with no network namespace: agents call the control plane over this host's, also
// with OVN.
func Start(config Config) (rack *Rack, err error) {
	log := config.Logger
	if log == nil {
		log = slog.Default()
	}
	if !slices.Contains([]string{"", FabricNone, FabricOVN}, config.Fabric) {
		return nil, fmt.Errorf("the fabric of a simulated rack is %s or %s, not %q", FabricNone, FabricOVN, config.Fabric)
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lab.Lock(dir)
	if err != nil {
		return nil, err
	}
	r := &Rack{undo: []func() error{unlock}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.description, err = lab.Describe(cmp.Or(config.Name, config.Rack.Name), dir, config.Rack); err != nil {
		return nil, err
	}
	r.description.Netns, r.description.DialSocket, r.description.ControlHTTP = "", "", ""
	if config.Fabric == FabricOVN {
		fabric, err := lab.RaiseFabric(context.Background(), dir, config.Rack, r.description, log)
		if err != nil {
			return nil, fmt.Errorf("the rack's network: %w", err)
		}
		r.undo = append(r.undo, fabric.Close)
	} else {
		for _, m := range r.description.Machines {
			for i := range m.NICs {
				m.NICs[i].Tap, m.NICs[i].Netns = "", ""
			}
		}
	}
	for i := range config.Rack.Machines {
		described := &r.description.Machines[i]
		m, err := newMachine(config.Rack.Machines[i].Info(config.Rack.Name), filepath.Join(dir, described.Name), described.Log, log)
		if err != nil {
			return nil, fmt.Errorf("machine %s: %w", described.Name, err)
		}
		r.undo = append(r.undo, m.close)
		stop, err := lab.StartBMC(m.Simulated, m.dir, &described.BMC, m.BMC, log)
		if err != nil {
			return nil, err
		}
		r.undo = append(r.undo, stop)
		r.machines = append(r.machines, m)
	}
	if err := r.misbehave(config); err != nil {
		return nil, err
	}
	return r, r.description.Write(dir)
}

// forever is more requests than a BMC gets.
const forever = 1 << 40

func (r *Rack) misbehave(config Config) error {
	for _, fault := range []struct {
		names []string
		begin func(*Machine)
	}{
		{config.Mute, func(m *Machine) { m.Mute(true) }},
		{config.Deaf, func(m *Machine) { m.BMC.Hang(forever) }},
	} {
		for _, name := range fault.names {
			m := r.Machine(name)
			if m == nil {
				return fmt.Errorf("the rack has no machine %q", name)
			}
			fault.begin(m)
		}
	}
	return nil
}

// Machine by its name; nil when the rack has none of it.
func (r *Rack) Machine(name string) *Machine {
	for _, m := range r.machines {
		if m.Info().Name == name {
			return m
		}
	}
	return nil
}

// Describe is how to reach the machines.
func (r *Rack) Describe() lab.Description { return *r.description }

// Close ends the machines and their BMCs. What is on the disks stays in the folder: the next Start finds it.
func (r *Rack) Close() error {
	var all []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		all = append(all, r.undo[i]())
	}
	r.undo = nil
	return errors.Join(all...)
}

// Uniform declares a rack of n equal machines: m1, m2, … with three NICs and two disks each, behind Redfish.
func Uniform(name string, n int) (*lab.RackSpec, error) {
	text := "rack: " + name + "\nnetwork: {cidr: 127.0.0.1/8}\nmachines:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: m%d, bmc: {kind: redfish}, cpus: 16, memory_mib: 65536, nics: [{}, {}, {}], secure_boot: false, "+
			"disks: [{bus: nvme, size_gib: 480}, {bus: nvme, size_gib: 480}]}\n", i+1)
	}
	return lab.ParseRack("a simulated rack", []byte(text))
}

// Run keeps a rack up until ctx ends.
func Run(ctx context.Context, config Config) error {
	rack, err := Start(config)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return rack.Close()
}
