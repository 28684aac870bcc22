package ironic

import (
	"net/http"

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
		for kind, names := range a.drivers[name].interfaces {
			o["default_"+kind+"_interface"], o["enabled_"+kind+"_interfaces"] = names[0], names
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
	for _, name := range sorted(a.drivers) {
		if kind != "classic" {
			list = append(list, page.Pick(a.driver(r, name)))
		}
	}
	return object{"drivers": list}, nil
}

// driverOf fails when the path names no driver of ours.
func (a *api) driverOf(r *osapi.Request) (string, error) {
	name := r.Path("driver")
	if _, ok := a.drivers[name]; !ok {
		return "", fault.New(fault.NotFound, "Could not find the driver %s.", name)
	}
	return name, nil
}

func (a *api) showDriver(r *osapi.Request) (any, error) {
	name, err := a.driverOf(r)
	if err != nil {
		return nil, err
	}
	return collection{fields: driverFields}.show(r, a.driver(r, name))
}

func (a *api) driverProperties(r *osapi.Request) (any, error) {
	name, err := a.driverOf(r)
	return a.drivers[name].properties, err
}

func (a *api) logicalDiskProperties(r *osapi.Request) (any, error) {
	name, err := a.driverOf(r)
	return a.drivers[name].raid, err
}

// noMethods: a vendor's own methods are passed to no BMC.
func (a *api) noMethods(r *osapi.Request) (any, error) {
	_, err := a.driverOf(r)
	return object{}, err
}

func (a *api) vendor(r *osapi.Request) (any, error) {
	name, err := a.driverOf(r)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Unsupported, "Driver %s does not support vendor_passthru: %s (disabled or not implemented).", name, r.Path("method"))
}

// screenshot is the one vendor method of nodes: Ironic has no other place for a picture of the screen.
const screenshot = "screenshot"

func (a *api) vendorOfNode(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return nil, unsupported(n, "vendor_passthru: "+r.Path("method"))
}

func (a *api) askVendorOfNode(r *osapi.Request) (any, error) {
	if r.Path("method") != screenshot || a.screens == nil {
		return a.vendorOfNode(r)
	}
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	picture, err := a.screens.MachineScreenshot(r.Context(), n.ID)
	if err != nil {
		return nil, err
	}
	return osapi.Response{Body: picture.PNG, Header: http.Header{"Content-Type": {"image/png"}, "Cache-Control": {"no-store"}}}, nil
}

func (a *api) methodsOfNode(r *osapi.Request) (any, error) {
	_, err := a.find(r)
	if a.screens == nil {
		return object{}, err
	}
	return object{screenshot: object{
		"async": false, "attach": true, "http_methods": []string{http.MethodGet}, "require_exclusive_lock": false,
		"description": "What the node's screen shows, as PNG, where its BMC has the picture.",
	}}, err
}

func (a *api) conductor(r *osapi.Request) object {
	return object{
		"hostname": a.host, "conductor_group": "", "alive": true, "links": links(r, "/conductors/", a.host),
		"drivers": sorted(a.drivers), "created_at": nil, "updated_at": nil,
	}
}

var conductorList = collection{key: "conductors", brief: []string{"hostname", "conductor_group", "alive", "links"}}

// listConductors shows the process that answers: with PostgreSQL there may be others, and none of them owns a node.
func (a *api) listConductors(r *osapi.Request) (any, error) {
	return conductorList.answer(r, []object{a.conductor(r)}, a.conductor(r), false)
}

func (a *api) showConductor(r *osapi.Request) (any, error) {
	if r.Path("host") != a.host {
		return nil, fault.New(fault.NotFound, "Conductor %s could not be found.", r.Path("host"))
	}
	return conductorList.show(r, a.conductor(r))
}
