package ironic

import (
	"context"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// devices are the boot devices, by Ironic's names.
var devices = []struct {
	name   string
	device machine.BootDevice
	needs  func(machine.Abilities) bool
}{
	{"pxe", machine.BootNetwork, func(machine.Abilities) bool { return true }},
	{"disk", machine.BootDisk, func(machine.Abilities) bool { return true }},
	{"cdrom", machine.BootCD, func(machine.Abilities) bool { return true }},
	{"uefihttp", machine.BootUEFIHTTP, func(able machine.Abilities) bool { return able.HTTPBoot }},
}

func (a *api) bootDevice(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	body := object{"boot_device": nil, "persistent": nil}
	return body, a.dialed(r, m, func(ctx context.Context, _ *machine.Machine, bmc machine.Driver) error {
		boot, err := bmc.Boot(ctx)
		for _, d := range devices {
			if err == nil && d.device == boot.Device {
				body["boot_device"], body["persistent"] = d.name, boot.Continuous
			}
		}
		return err
	})
}

func (a *api) bootDevices(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, d := range devices {
		if d.needs(m.Abilities) {
			names = append(names, d.name)
		}
	}
	return object{"supported_boot_devices": names}, nil
}

func (a *api) setBootDevice(r *osapi.Request) (any, error) {
	var body struct {
		Device     string     `json:"boot_device"`
		Persistent osapi.Bool `json:"persistent"`
	}
	return nil, a.onBMC(r, func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error {
		if err := r.Decode(&body); err != nil {
			return err
		}
		for _, d := range devices {
			if d.name == body.Device && d.needs(m.Abilities) {
				return bmc.SetBoot(ctx, machine.BootOverride{Device: d.device, Continuous: bool(body.Persistent)})
			}
		}
		return fault.New(fault.Invalid, "Invalid boot device %s specified.", body.Device)
	})
}

func (a *api) injectNMI(r *osapi.Request) (any, error) {
	return nil, a.onBMC(r, func(ctx context.Context, _ *machine.Machine, bmc machine.Driver) error {
		return bmc.SetPower(ctx, machine.ActionNMI)
	})
}

// locator is the one light that BMCs have in common, as Ironic writes it: name@component.
const locator = "led@system"

func locatorOf(r *osapi.Request, m *machine.Machine) object {
	return object{
		"name": locator, "component": "system", "readonly": false, "states": []string{"OFF", "ON"},
		"links": links(r, "nodes", m.ID, "management", "indicators", locator),
	}
}

func (a *api) indicators(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	list := []object{}
	err = a.dialed(r, m, func(_ context.Context, m *machine.Machine, bmc machine.Driver) error {
		if _, ok := bmc.(machine.Indicator); ok {
			list = append(list, locatorOf(r, m))
		}
		return nil
	})
	return object{"indicators": list}, err
}

// indicator: BMCs take orders for their light; few tell how it stands.
func (a *api) indicator(r *osapi.Request) (any, error) {
	if _, err := a.node(r); err != nil {
		return nil, err
	}
	return object{"state": "UNKNOWN"}, knownIndicator(r)
}

func knownIndicator(r *osapi.Request) error {
	if r.Path("indicator") != locator {
		return fault.New(fault.NotFound, "Indicator %s could not be found.", r.Path("indicator"))
	}
	return nil
}

func (a *api) setIndicator(r *osapi.Request) (any, error) {
	var body struct {
		State string `json:"state"`
	}
	return nil, a.onBMC(r, func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error {
		if err := knownIndicator(r); err != nil {
			return err
		}
		if err := r.Decode(&body); err != nil {
			return err
		}
		if body.State != "ON" && body.State != "OFF" {
			return fault.New(fault.Invalid, "The state must be ON or OFF, not '%s'.", body.State)
		}
		light, ok := bmc.(machine.Indicator)
		if !ok {
			return notSupported(m, "set_indicator_state")
		}
		return light.SetIndicator(ctx, body.State == "ON")
	})
}

// validate really looks: at the BMC, at the NICs and at what inspection found.
func (a *api) validate(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	nics, err := a.machines.NICs(r.Context(), a.db, m.ID)
	if err != nil {
		return nil, err
	}
	verdict := func(err error) object {
		if err != nil {
			return object{"result": false, "reason": fault.Message(err)}
		}
		return object{"result": true}
	}
	because := func(ok bool, reason string) error {
		if ok {
			return nil
		}
		return fault.New(fault.Conflict, "%s", reason)
	}
	bmc := a.dialed(r, m, func(ctx context.Context, _ *machine.Machine, bmc machine.Driver) error {
		_, err := bmc.Power(ctx)
		return err
	})
	network := because(len(nics) > 0, "The node has no port; create one, or let the BMC name them (manage).")
	boot := network
	if boot == nil {
		boot = because(m.Method(nics) != machine.NoMethod, "The node has no means to start the agent: no virtual media and no port with pxe_enabled, or it was not verified yet (manage).")
	}
	deploy := boot
	if deploy == nil {
		deploy = because(m.Inventory != nil, "Nobody knows the node's disks yet; inspect it.")
	}
	body := object{
		"power": verdict(bmc), "management": verdict(bmc), "network": verdict(network), "boot": verdict(boot), "inspect": verdict(boot),
		"deploy": verdict(deploy), "storage": verdict(nil),
	}
	for _, part := range []string{"bios", "console", "raid", "rescue", "firmware"} {
		body[part] = verdict(notSupported(m, part))
	}
	return osapi.Fields{"bios": osapi.Since(1, 40), "rescue": osapi.Since(1, 38), "storage": osapi.Since(1, 33), "firmware": osapi.Since(1, 86)}.Trim(body, r.Version), nil
}
