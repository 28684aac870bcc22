package ironic

import (
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// driverFields says from which version on a driver has a field.
var driverFields = osapi.Fields{
	"type": osapi.Since(1, 30), "properties": osapi.Since(1, 14),
	"default_rescue_interface": osapi.Since(1, 38), "enabled_rescue_interfaces": osapi.Since(1, 38),
	"default_bios_interface": osapi.Since(1, 40), "enabled_bios_interfaces": osapi.Since(1, 40),
	"default_firmware_interface": osapi.Since(1, 86), "enabled_firmware_interfaces": osapi.Since(1, 86),
}

var driverInBrief = []string{"name", "hosts", "links", "properties", "type"}

func (a *api) driver(r *osapi.Request, name string) object {
	o := object{
		"name": name, "hosts": []string{a.host}, "type": "dynamic",
		"links": links(r, "/drivers/", name), "properties": below(r, "/drivers/", name, "properties"),
	}
	if r.Version.AtLeast(1, 30) {
		for field, value := range defaults(name) {
			kind := strings.TrimSuffix(field, "_interface")
			o["default_"+kind+"_interface"] = value
			o["enabled_"+kind+"_interfaces"] = []any{value}
		}
		if name == "redfish" {
			o["default_boot_interface"] = "redfish-virtual-media"
			o["enabled_boot_interfaces"] = []any{"redfish-virtual-media", "http", "ipxe"}
		}
	}
	return driverFields.Trim(o, r.Version)
}

func (a *api) listDrivers(r *osapi.Request) (any, error) {
	q := r.Query()
	kind, detail := q.String("type"), q.Bool("detail", false)
	page := q.Page(osapi.Paging{})
	if err := q.Done(); err != nil {
		return nil, err
	}
	if kind != "" && kind != "dynamic" && kind != "classic" {
		return nil, fault.New(fault.Invalid, "A driver's type is classic or dynamic, not %q.", kind)
	}
	if !detail && len(page.Fields) == 0 {
		page.Fields = driverInBrief
	}
	list := []object{}
	for _, name := range sorted(driverInfoKeys) {
		if kind != "classic" {
			list = append(list, page.Pick(a.driver(r, name)))
		}
	}
	return object{"drivers": list}, nil
}

// driverOf fails when the path names no driver of ours.
func driverOf(r *osapi.Request) (string, error) {
	name := r.Path("driver")
	if _, ok := driverInfoKeys[name]; !ok {
		return "", fault.New(fault.NotFound, "Could not find the driver %s.", name)
	}
	return name, nil
}

func (a *api) showDriver(r *osapi.Request) (any, error) {
	name, err := driverOf(r)
	if err != nil {
		return nil, err
	}
	return collection{fields: driverFields}.show(r, a.driver(r, name))
}

func driverProperties(r *osapi.Request) (any, error) {
	name, err := driverOf(r)
	return driverInfoKeys[name], err
}

func logicalDiskProperties(r *osapi.Request) (any, error) {
	_, err := driverOf(r)
	return object{}, err
}

// noMethods: a vendor's own methods are passed to no BMC.
func noMethods(r *osapi.Request) (any, error) {
	_, err := driverOf(r)
	return object{}, err
}

func (a *api) noMethodsOfNode(r *osapi.Request) (any, error) {
	_, err := a.find(r)
	return object{}, err
}

func (a *api) conductor(r *osapi.Request) object {
	return object{"hostname": a.host, "conductor_group": "", "alive": true, "links": links(r, "/conductors/", a.host)}
}

// listConductors shows the process that answers: with PostgreSQL there may be others, and none of them owns a node.
func (a *api) listConductors(r *osapi.Request) (any, error) {
	return object{"conductors": []object{a.conductor(r)}}, nil
}

func (a *api) showConductor(r *osapi.Request) (any, error) {
	if r.Path("host") != a.host {
		return nil, fault.New(fault.NotFound, "Conductor %s could not be found.", r.Path("host"))
	}
	o := a.conductor(r)
	o["drivers"], o["created_at"], o["updated_at"] = sorted(driverInfoKeys), nil, nil
	return o, nil
}
