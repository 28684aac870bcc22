package ironic

import (
	"cmp"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// unsupported is Ironic's UnsupportedDriverExtension.
func unsupported(n node, extension string) error {
	return fault.New(fault.Unsupported, "Driver %s does not support %s (disabled or not implemented).", n.BMC.Kind, extension)
}

// ask talks to a node's BMC. What the BMC refuses is not the client's fault: its 401 does not become ours.
func (a *api) ask(r *osapi.Request, n node, question func(machine.Driver) error) error {
	bmc, err := a.machines.Dial(r.Context(), n.Machine)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	switch err := question(bmc); fault.KindOf(err) {
	case fault.Unauthorized, fault.Forbidden, fault.NotFound:
		return fault.Wrap(err, fault.Unavailable, "The node's BMC refused: %s", fault.Message(err))
	default:
		return err
	}
}

// order is ask for what changes something on the machine: not while work is under way there.
func (a *api) order(r *osapi.Request, n node, do func(machine.Driver) error) error {
	if n.held() {
		return locked(n.ID, a.host)
	}
	return a.ask(r, n, do)
}

// devices are Ironic's names of what a machine may start from.
var devices = map[string]machine.BootDevice{
	"pxe": machine.BootNetwork, "disk": machine.BootDisk, "cdrom": machine.BootCD, "uefihttp": machine.BootUEFIHTTP,
}

func (a *api) bootDevice(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	answer := object{"boot_device": nil, "persistent": nil}
	return answer, a.ask(r, n, func(bmc machine.Driver) error {
		now, err := bmc.Boot(r.Context())
		for name, device := range devices {
			if device == now.Device {
				answer["boot_device"], answer["persistent"] = name, now.Continuous
			}
		}
		return err
	})
}

func (a *api) bootDevices(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{"supported_boot_devices": bootable(n)}, nil
}

// bootable are the devices that a node's BMC can be told.
func bootable(n node) []string {
	names := sorted(devices)
	if !n.Abilities.HTTPBoot {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "uefihttp" })
	}
	return names
}

func (a *api) setBootDevice(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Device     string                     `json:"boot_device"`
		Persistent osapi.Optional[osapi.Bool] `json:"persistent"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !slices.Contains(bootable(n), body.Device) {
		return nil, fault.New(fault.Invalid, "Invalid boot device %q specified; node %s takes %v.", body.Device, n.ID, bootable(n))
	}
	return nil, a.order(r, n, func(bmc machine.Driver) error {
		return bmc.SetBoot(r.Context(), machine.BootOverride{Device: devices[body.Device], Continuous: bool(body.Persistent.Value)})
	})
}

func (a *api) injectNMI(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.ask(r, n, func(bmc machine.Driver) error { return bmc.SetPower(r.Context(), machine.ActionNMI) })
}

// A node has one indicator: the locator light of the whole system.
const (
	lightComponent = "system"
	lightName      = "locator"
)

func (a *api) indicatorComponents(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{"components": []object{{
		"name": lightComponent, "links": below(r, "/nodes/", n.ID, "management/indicators/"+lightComponent),
	}}}, nil
}

// light checks that the path names the indicator there is.
func light(r *osapi.Request, n node) error {
	if name := r.Path("name"); r.Path("component") != lightComponent || name != "" && name != lightName {
		return fault.New(fault.NotFound, "Node %s has no such indicator; it has %s of component %s.", n.ID, lightName, lightComponent)
	}
	return nil
}

func (a *api) indicators(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{"indicators": []object{{
		"name": lightName, "readonly": false, "states": []string{"OFF", "ON"},
		"links": below(r, "/nodes/", n.ID, "management/indicators/"+lightComponent+"/"+lightName),
	}}}, light(r, n)
}

// indicator cannot tell the state: BMCs take the order, and not all tell what came of it.
func (a *api) indicator(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err == nil {
		err = light(r, n)
	}
	if err != nil {
		return nil, err
	}
	return nil, unsupported(n, "get_indicator_state")
}

func (a *api) setIndicator(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err == nil {
		err = light(r, n)
	}
	if err != nil {
		return nil, err
	}
	var body struct {
		State string `json:"state"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.State != "ON" && body.State != "OFF" {
		return nil, fault.New(fault.Invalid, "The state of %s is ON or OFF, not %q.", lightName, body.State)
	}
	return nil, a.ask(r, n, func(bmc machine.Driver) error {
		indicator, ok := bmc.(machine.Indicator)
		if !ok {
			return unsupported(n, "set_indicator_state")
		}
		return indicator.SetIndicator(r.Context(), body.State == "ON")
	})
}

// firmware asks the BMC. Which versions there were before, nobody knows.
func (a *api) firmware(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	var items []machine.FirmwareItem
	err = a.ask(r, n, func(bmc machine.Driver) (err error) {
		if lister, ok := bmc.(machine.FirmwareLister); ok {
			items, err = lister.Firmware(r.Context())
		}
		return err
	})
	list := []object{}
	for _, item := range items {
		list = append(list, object{
			"component": cmp.Or(item.Component, item.Name), "initial_version": item.Version, "current_version": item.Version,
			"last_version_flashed": nil, "created_at": osapi.Offset(n.Created), "updated_at": nil,
		})
	}
	return object{"firmware": list}, err
}
