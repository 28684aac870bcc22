package redfish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// resetTypes are the ways to give an order, the best first (ComputerSystem.Reset, ResetType).
var resetTypes = map[machine.PowerAction][]schemas.ResetType{
	machine.ActionOn:       {schemas.OnResetType, schemas.ForceOnResetType},
	machine.ActionOff:      {schemas.ForceOffResetType},
	machine.ActionShutdown: {schemas.GracefulShutdownResetType},
	machine.ActionReset:    {schemas.ForceRestartResetType, schemas.PowerCycleResetType},
	machine.ActionNMI:      {schemas.NmiResetType},
}

// Power reads the power state. A machine on its way from one state to the other is PowerUnknown: ask again.
func (d *Driver) Power(ctx context.Context) (machine.PowerState, error) {
	state := machine.PowerUnknown
	err := d.withSystem(ctx, "Power", func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		state = powerState(s)
		return nil
	})
	return state, err
}

func powerState(s *schemas.ComputerSystem) machine.PowerState {
	switch s.PowerState {
	case schemas.OnPowerState:
		return machine.PowerOn
	case schemas.OffPowerState:
		return machine.PowerOff
	}
	return machine.PowerUnknown
}

// SetPower gives the order in the way that the BMC allows.
func (d *Driver) SetPower(ctx context.Context, action machine.PowerAction) error {
	if _, known := resetTypes[action]; !known {
		return fault.New(fault.Invalid, "%q is no power action.", action)
	}
	return d.withSystem(ctx, "SetPower "+string(action), func(_ context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		state, order := powerState(s), action
		switch {
		case action == machine.ActionOn && state == machine.PowerOn,
			action == machine.ActionShutdown && state == machine.PowerOff:
			return nil
		case action == machine.ActionReset && state == machine.PowerOff:
			order = machine.ActionOn
		}
		// Off is ordered whatever the BMC believes: fencing rests on it.
		kind, err := allowed(s, order)
		if err != nil {
			return err
		}
		_, err = s.Reset(kind)
		if err == nil || d.reached(c, action, err) {
			return nil
		}
		if answerOf(err) == nil && (order == machine.ActionReset || order == machine.ActionNMI) {
			return around.MaybeDone(fault.Wrap(err, fault.Unavailable, "The BMC did not say whether it carried out %s.", action))
		}
		return err
	})
}

// reached says whether a refused order was needless: some BMCs refuse to turn off what is off.
func (d *Driver) reached(c *gofish.APIClient, action machine.PowerAction, refusal error) bool {
	if status := statusOf(refusal); status < 400 || status >= 500 {
		return false
	}
	want, is := map[machine.PowerAction]machine.PowerState{
		machine.ActionOn: machine.PowerOn, machine.ActionOff: machine.PowerOff, machine.ActionShutdown: machine.PowerOff,
	}[action]
	if !is {
		return false
	}
	s, err := d.find(c)
	return err == nil && powerState(s) == want // on an error the refusal stands
}

// allowed is the first of the order's reset types that the BMC lists. One that lists nothing is believed to know all.
func allowed(s *schemas.ComputerSystem, order machine.PowerAction) (schemas.ResetType, error) {
	has, err := s.GetSupportedResetTypes()
	if err != nil {
		return "", fmt.Errorf("reset types: %w", err)
	}
	for _, kind := range resetTypes[order] {
		if len(has) == 0 || slices.Contains(has, kind) {
			return kind, nil
		}
	}
	return "", fault.New(fault.Unsupported, "The BMC cannot do %s: it offers %v.", order, has)
}

// bootTargets translates; the other way round goes by search.
var bootTargets = map[machine.BootDevice]schemas.BootSource{
	machine.BootNone:     schemas.NoneBootSource,
	machine.BootDisk:     schemas.HddBootSource,
	machine.BootNetwork:  schemas.PxeBootSource,
	machine.BootCD:       schemas.CdBootSource,
	machine.BootUEFIHTTP: schemas.UefiHTTPBootSource,
}

var bootModes = map[machine.BootMode]schemas.BootSourceOverrideMode{
	"":               "",
	machine.ModeUEFI: schemas.UEFIBootSourceOverrideMode,
	machine.ModeBIOS: schemas.LegacyBootSourceOverrideMode,
}

func keyOf[K, V comparable](m map[K]V, value V) (key K, ok bool) {
	for k, v := range m {
		if v == value {
			return k, true
		}
	}
	return key, false
}

// SetBoot sets the override (ComputerSystem, Boot). An HTTPURI is passed on where the BMC has the property
// HttpBootUri; elsewhere the firmware takes the URL from DHCP.
func (d *Driver) SetBoot(ctx context.Context, boot machine.BootOverride) error {
	target, knownTarget := bootTargets[boot.Device]
	mode, knownMode := bootModes[boot.Mode]
	switch {
	case !knownTarget:
		return fault.New(fault.Invalid, "%q is no boot device.", boot.Device)
	case !knownMode:
		return fault.New(fault.Invalid, "%q is no boot mode.", boot.Mode)
	case boot.HTTPURI != "" && boot.Device != machine.BootUEFIHTTP:
		return fault.New(fault.Invalid, "A boot URL goes with boot device %q only.", machine.BootUEFIHTTP)
	}
	return d.withSystem(ctx, "SetBoot "+string(boot.Device), func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		offered := s.Boot.AllowableBootSourceOverrideTargetValues
		if len(offered) > 0 && target != schemas.NoneBootSource && !slices.Contains(offered, target) {
			return fault.New(fault.Unsupported, "The BMC cannot boot from %s: it offers %v.", boot.Device, offered)
		}
		order := schemas.Boot{BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled(boot), BootSourceOverrideMode: mode}
		if boot.HTTPURI != "" && property(s.RawData, "Boot", "HttpBootUri") {
			order.HTTPBootURI = boot.HTTPURI
		}
		return s.SetBoot(&order)
	})
}

func enabled(boot machine.BootOverride) schemas.BootSourceOverrideEnabled {
	switch {
	case boot.Device == machine.BootNone:
		return schemas.DisabledBootSourceOverrideEnabled
	case boot.Continuous:
		return schemas.ContinuousBootSourceOverrideEnabled
	}
	return schemas.OnceBootSourceOverrideEnabled
}

// Boot reads the override in force; BootNone when there is none.
func (d *Driver) Boot(ctx context.Context) (machine.BootOverride, error) {
	var boot machine.BootOverride
	err := d.withSystem(ctx, "Boot", func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		boot = machine.BootOverride{Device: machine.BootNone, Mode: bootMode(s)}
		if s.Boot.BootSourceOverrideEnabled == "" || s.Boot.BootSourceOverrideEnabled == schemas.DisabledBootSourceOverrideEnabled {
			return nil
		}
		device, known := keyOf(bootTargets, s.Boot.BootSourceOverrideTarget)
		if !known {
			return fault.New(fault.Unsupported, "The machine boots from %q, which nobody here ordered.", s.Boot.BootSourceOverrideTarget)
		}
		if device == machine.BootNone {
			return nil
		}
		boot.Device = device
		boot.Continuous = s.Boot.BootSourceOverrideEnabled == schemas.ContinuousBootSourceOverrideEnabled
		if device == machine.BootUEFIHTTP {
			boot.HTTPURI = s.Boot.HTTPBootURI
		}
		return nil
	})
	return boot, err
}

func bootMode(s *schemas.ComputerSystem) machine.BootMode {
	mode, _ := keyOf(bootModes, s.Boot.BootSourceOverrideMode) // an unknown word is no mode that we know
	return mode
}

// HasHTTPBoot says whether UefiHttp is among the boot targets.
func (d *Driver) HasHTTPBoot(ctx context.Context) (bool, error) {
	has := false
	err := d.withSystem(ctx, "HasHTTPBoot", func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		has = slices.Contains(s.Boot.AllowableBootSourceOverrideTargetValues, schemas.UefiHTTPBootSource)
		return nil
	})
	return has, err
}

// SecureBoot says whether the firmware is told to enforce Secure Boot from its next boot on.
func (d *Driver) SecureBoot(ctx context.Context) (bool, error) {
	on := false
	err := d.withSecureBoot(ctx, "SecureBoot", func(b *schemas.SecureBoot) error {
		on = b.SecureBootEnable
		return nil
	})
	return on, err
}

// SetSecureBoot takes effect at the next boot.
func (d *Driver) SetSecureBoot(ctx context.Context, on bool) error {
	return d.withSecureBoot(ctx, fmt.Sprintf("SetSecureBoot %v", on), func(b *schemas.SecureBoot) error {
		if b.SecureBootEnable == on {
			return nil
		}
		return b.Patch(b.ODataID, map[string]any{"SecureBootEnable": on})
	})
}

var errNoSecureBoot = errors.New("the system has no SecureBoot resource")

func (d *Driver) withSecureBoot(ctx context.Context, op string, f func(b *schemas.SecureBoot) error) error {
	return d.withSystem(ctx, op, func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		b, err := s.SecureBoot()
		if err != nil {
			return err
		}
		if b == nil {
			return fault.Wrap(errNoSecureBoot, fault.Unsupported, "The machine has no Secure Boot.")
		}
		return f(b)
	})
}
