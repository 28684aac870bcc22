package ironic

import (
	"maps"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// driver is a kind of BMC in Ironic's terms.
type driver struct {
	properties map[string]string // what driver_info may hold
	management string            // name of the power and management interfaces
	boot       []string
}

var drivers = map[string]driver{
	"redfish": {
		properties: map[string]string{
			"redfish_address":   "The URL of the BMC: https://host[:port]. Required.",
			"redfish_system_id": "The path of the system, /redfish/v1/Systems/…. Required only where the BMC manages several.",
			"redfish_username":  "User of the BMC. Required.",
			"redfish_password":  "Password of that user. Required.",
			"redfish_verify_ca": "True: the control plane's authorities vouch for the BMC (default). False: no verification. Or the text of a PEM certificate to trust.",
		},
		management: "redfish",
		boot:       []string{"redfish-virtual-media", "redfish-https", "ipxe"},
	},
	"ipmi": {
		properties: map[string]string{
			"ipmi_address":  "IP address or hostname of the BMC. Required.",
			"ipmi_port":     "UDP port of the BMC. Default 623.",
			"ipmi_username": "User of the BMC, at most 16 bytes. Required.",
			"ipmi_password": "Password of that user, at most 20 bytes. Required.",
		},
		management: "ipmitool",
		boot:       []string{"ipxe"},
	},
}

// interfaces are the parts of a driver. What a machine gets is Ingot's choice; they cannot be set.
func interfaces(kind string, method machine.Method) map[string]string {
	boot := map[machine.Method]string{machine.ByMedia: "redfish-virtual-media", machine.ByHTTP: "redfish-https"}[method]
	if boot == "" {
		boot = "ipxe"
	}
	return map[string]string{
		"bios": "no-bios", "boot": boot, "console": "no-console", "deploy": "direct", "firmware": "no-firmware", "inspect": "agent",
		"management": drivers[kind].management, "network": "neutron", "power": drivers[kind].management, "raid": "no-raid",
		"rescue": "no-rescue", "storage": "noop", "vendor": "no-vendor",
	}
}

// interfaceSince tells in which microversions a driver's or a node's interface is shown.
var interfaceSince = map[string]osapi.Span{
	"bios": osapi.Since(1, 40), "boot": osapi.Since(1, 31), "console": osapi.Since(1, 31), "deploy": osapi.Since(1, 31),
	"firmware": osapi.Since(1, 86), "inspect": osapi.Since(1, 31), "management": osapi.Since(1, 31), "network": osapi.Since(1, 20),
	"power": osapi.Since(1, 31), "raid": osapi.Since(1, 31), "rescue": osapi.Since(1, 38), "storage": osapi.Since(1, 33), "vendor": osapi.Since(1, 31),
}

func (a *api) driver(r *osapi.Request, name string, detail bool) object {
	body := object{
		"name": name, "hosts": []string{a.host}, "type": "dynamic", "links": links(r, "drivers", name),
		"properties": links(r, "drivers", name, "properties"),
	}
	fields := osapi.Fields{"type": osapi.Since(1, 30), "properties": osapi.Since(1, 14)}
	if detail {
		for part, chosen := range interfaces(name, machine.NoMethod) {
			enabled := []string{chosen}
			if part == "boot" {
				enabled = drivers[name].boot
			}
			body["default_"+part+"_interface"], body["enabled_"+part+"_interfaces"] = enabled[0], enabled
			span := interfaceSince[part]
			if !span.Has(osapi.V(1, 29)) || part == "network" { // the parts of drivers came with dynamic drivers
				span = osapi.Span{Since: maxVersion(span.Since, osapi.V(1, 30))}
			}
			fields["default_"+part+"_interface"], fields["enabled_"+part+"_interfaces"] = span, span
		}
	}
	return fields.Trim(body, r.Version)
}

func maxVersion(v, w osapi.Microversion) osapi.Microversion {
	if v.Compare(w) < 0 {
		return w
	}
	return v
}

func (a *api) listDrivers(r *osapi.Request) (any, error) {
	q := r.Query()
	kind, detail := q.String("type"), q.Bool("detail", false)
	q.Strings("fields")
	if err := q.Err(); err != nil {
		return nil, err
	}
	list := []object{}
	if kind != "classic" {
		for _, name := range slices.Sorted(maps.Keys(drivers)) {
			list = append(list, a.driver(r, name, detail))
		}
	}
	return object{"drivers": list}, nil
}

func knownDriver(name string) error {
	if _, ok := drivers[name]; !ok {
		return fault.New(fault.NotFound, "The driver '%s' is unknown.", name)
	}
	return nil
}

func (a *api) showDriver(r *osapi.Request) (any, error) {
	if err := knownDriver(r.Path("driver")); err != nil {
		return nil, err
	}
	return a.driver(r, r.Path("driver"), true), nil
}

func (a *api) driverProperties(r *osapi.Request) (any, error) {
	if err := knownDriver(r.Path("driver")); err != nil {
		return nil, err
	}
	return drivers[r.Path("driver")].properties, nil
}

func (a *api) conductor(r *osapi.Request, detail bool) object {
	body := object{"hostname": a.host, "conductor_group": "", "alive": true, "links": links(r, "conductors", a.host)}
	if detail {
		body["drivers"] = slices.Sorted(maps.Keys(drivers))
	}
	return body
}

func (a *api) listConductors(r *osapi.Request) (any, error) {
	q := r.Query()
	detail := q.Bool("detail", false)
	page := q.Page(osapi.Paging{Keys: []string{"hostname"}, ZeroIsAll: true})
	if err := q.Err(); err != nil {
		return nil, err
	}
	return object{"conductors": []object{page.Pick(a.conductor(r, detail || len(page.Fields) > 0))}}, nil
}

func (a *api) showConductor(r *osapi.Request) (any, error) {
	if r.Path("host") != a.host {
		return nil, fault.New(fault.NotFound, "Conductor %s could not be found.", r.Path("host"))
	}
	return a.conductor(r, true), nil
}
