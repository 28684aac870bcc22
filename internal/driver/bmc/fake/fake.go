// Package fake is the BMC of fake hardware: it obeys at once, and there is nothing behind it. What it was told is kept in
// this process's memory alone.
package fake

import (
	"context"
	"slices"
	"sync"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Rack remembers what its machines were told.
type Rack struct {
	mu       sync.Mutex
	machines map[string]*state // by machine.BMC.Machine
}

type state struct {
	power  machine.PowerState
	boot   machine.BootOverride
	secure bool
}

var devices = []machine.BootDevice{machine.BootDisk, machine.BootNetwork, machine.BootCD, machine.BootNone}

// NewRack makes a rack whose machines nobody told anything yet.
func NewRack() *Rack { return &Rack{machines: map[string]*state{}} }

// Dial gives the driver of a machine. It asks nothing of the address and the password.
func (r *Rack) Dial(b machine.BMC) machine.Driver { return &driver{r, b.Machine} }

type driver struct {
	rack *Rack
	id   string
}

// with runs f on the machine's state, alone.
func (d *driver) with(f func(*state)) {
	d.rack.mu.Lock()
	defer d.rack.mu.Unlock()
	s := d.rack.machines[d.id]
	if s == nil {
		s = &state{power: machine.PowerUnknown, boot: machine.BootOverride{Device: machine.BootNetwork}}
		d.rack.machines[d.id] = s
	}
	f(s)
}

// Power is unknown until the machine was told.
func (d *driver) Power(context.Context) (power machine.PowerState, err error) {
	d.with(func(s *state) { power = s.power })
	return power, nil
}

func (d *driver) SetPower(_ context.Context, action machine.PowerAction) error {
	after := map[machine.PowerAction]machine.PowerState{
		machine.ActionOn: machine.PowerOn, machine.ActionReset: machine.PowerOn, machine.ActionOff: machine.PowerOff, machine.ActionShutdown: machine.PowerOff,
	}
	power, known := after[action]
	if !known && action != machine.ActionNMI {
		return fault.New(fault.Invalid, "%q is no power action.", action)
	}
	d.with(func(s *state) {
		if known {
			s.power = power
		}
	})
	return nil
}

func (d *driver) SetBoot(_ context.Context, boot machine.BootOverride) error {
	switch {
	case boot.Device == machine.BootUEFIHTTP:
		return fault.New(fault.Unsupported, "Fake hardware does not boot over HTTP.")
	case !slices.Contains(devices, boot.Device), boot.HTTPURI != "", boot.Mode != "" && boot.Mode != machine.ModeUEFI && boot.Mode != machine.ModeBIOS:
		return fault.New(fault.Invalid, "This is no order to start from: %+v.", boot)
	}
	d.with(func(s *state) { s.boot = boot })
	return nil
}

func (d *driver) Boot(context.Context) (boot machine.BootOverride, err error) {
	d.with(func(s *state) { boot = s.boot })
	return boot, nil
}

func (d *driver) Identify(context.Context) (machine.Identity, error) { return machine.Identity{}, nil }

func (d *driver) SecureBoot(context.Context) (on bool, err error) {
	d.with(func(s *state) { on = s.secure })
	return on, nil
}

func (d *driver) SetSecureBoot(_ context.Context, on bool) error {
	d.with(func(s *state) { s.secure = on })
	return nil
}

func (d *driver) Close() error { return nil }
