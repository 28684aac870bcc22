package ironic

import (
	"context"
	"net/http"
	"os"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Services are the parts of the domain that the API shows.
type Services struct {
	DB           *db.DB
	Machines     *machine.Service
	Networks     *network.Service
	Engine       *workflow.Engine
	Screens      Screens // nil: no pictures are taken
	FakeHardware bool    // the driver of that name is offered
}

// Screens take pictures of what machines show.
type Screens interface {
	MachineScreenshot(ctx context.Context, machine string) (console.Picture, error)
}

type api struct {
	machines *machine.Service
	networks *network.Service
	engine   *workflow.Engine
	db       *db.DB
	screens  Screens
	host     string // what Ironic calls a conductor
	drivers  map[string]driver
}

type object = osapi.Object

var (
	oldest = osapi.V(1, 1)
	latest = osapi.V(1, 87)
)

// Dialect is the Bare Metal API at /baremetal.
func Dialect(s Services) osapi.Dialect {
	host, err := os.Hostname()
	if err != nil {
		host = "ingot"
	}
	a := &api{s.Machines, s.Networks, s.Engine, s.DB, s.Screens, host, drivers(s.FakeHardware)}
	return osapi.Dialect{
		Name: "ironic", Type: "baremetal", Mount: "/baremetal", Envelope: osapi.IronicEnvelope,
		Versions: osapi.Microversions{
			Min: oldest, Max: latest, Service: "baremetal", Header: "X-OpenStack-Ironic-API-Version",
			MinHeader: "X-OpenStack-Ironic-API-Minimum-Version", MaxHeader: "X-OpenStack-Ironic-API-Maximum-Version",
		},
		RequestIDHeader: "Openstack-Request-Id",
		Under:           "/v1",                                                        // which the bookmarks among the links leave out
		Statuses:        map[fault.Kind]int{fault.Unsupported: http.StatusBadRequest}, // Ironic's UnsupportedDriverExtension
		Routes:          a.routes(),
	}
}

func (a *api) routes() []osapi.Route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	v := osapi.V
	const node = "/v1/nodes/{node}"
	routes := []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Handle: root},
		{Method: get, Pattern: "/v1", Policy: osapi.Public, Handle: resources},

		{Method: get, Pattern: "/v1/nodes", Policy: osapi.Reader, Handle: a.listNodes},
		{Method: get, Pattern: "/v1/nodes/detail", Policy: osapi.Reader, Handle: a.listNodesInDetail},
		{Method: post, Pattern: "/v1/nodes", Policy: osapi.Admin, Status: 201, Handle: a.createNode},
		{Method: get, Pattern: node, Policy: osapi.Reader, Handle: a.showNode},
		{Method: patch, Pattern: node, Policy: osapi.Member, Handle: a.patchNode},
		{Method: del, Pattern: node, Policy: osapi.Admin, Status: 204, Handle: a.deleteNode},
		{Method: get, Pattern: node + "/validate", Policy: osapi.Reader, Handle: a.validate},
		{Method: put, Pattern: node + "/maintenance", Policy: osapi.Member, Status: 202, Handle: a.setMaintenance},
		{Method: del, Pattern: node + "/maintenance", Policy: osapi.Member, Status: 202, Handle: a.endMaintenance},

		{Method: get, Pattern: node + "/states", Policy: osapi.Reader, Handle: a.showStates},
		{Method: put, Pattern: node + "/states/power", Policy: osapi.Member, Status: 202, Handle: a.setPower},
		{Method: put, Pattern: node + "/states/provision", Policy: osapi.Member, Status: 202, Handle: a.setProvision},
		{Method: get, Pattern: node + "/states/console", Policy: osapi.Reader, Handle: a.showConsole},
		{Method: put, Pattern: node + "/states/console", Policy: osapi.Member, Status: 202, Handle: a.setConsole},
		{Method: get, Pattern: "/v1/nodes/states/console/{node}", Policy: osapi.Reader, Handle: a.showConsole}, // as the first clients wrote it
		{Method: put, Pattern: node + "/states/raid", Since: v(1, 12), Policy: osapi.Member, Status: 204, Handle: a.setRAID},
		{Method: put, Pattern: node + "/states/boot_mode", Since: v(1, 76), Policy: osapi.Admin, Status: 202, Handle: a.setBootMode},
		{Method: put, Pattern: node + "/states/secure_boot", Since: v(1, 76), Policy: osapi.Admin, Status: 202, Handle: a.setSecureBoot},

		{Method: get, Pattern: node + "/management/boot_device", Policy: osapi.Reader, Handle: a.bootDevice},
		{Method: put, Pattern: node + "/management/boot_device", Policy: osapi.Admin, Status: 204, Handle: a.setBootDevice},
		{Method: get, Pattern: node + "/management/boot_device/supported", Policy: osapi.Reader, Handle: a.bootDevices},
		{Method: put, Pattern: node + "/management/inject_nmi", Since: v(1, 29), Policy: osapi.Admin, Status: 204, Handle: a.injectNMI},
		{Method: get, Pattern: node + "/management/indicators", Since: v(1, 63), Policy: osapi.Reader, Handle: a.indicatorComponents},
		{Method: get, Pattern: node + "/management/indicators/{component}", Since: v(1, 63), Policy: osapi.Reader, Handle: a.indicators},
		{Method: get, Pattern: node + "/management/indicators/{component}/{name}", Since: v(1, 63), Policy: osapi.Reader, Handle: a.indicator},
		{Method: put, Pattern: node + "/management/indicators/{component}/{name}", Since: v(1, 63), Policy: osapi.Member, Status: 204, Handle: a.setIndicator},

		{Method: get, Pattern: node + "/traits", Until: v(1, 36), Policy: osapi.Reader, Handle: noTraitsYet},
		{Method: del, Pattern: node + "/traits", Until: v(1, 36), Policy: osapi.Admin, Handle: noSuchPath},
		{Method: get, Pattern: node + "/traits/{trait}", Until: v(1, 36), Policy: osapi.Reader, Handle: noSuchPath},
		{Method: del, Pattern: node + "/traits/{trait}", Until: v(1, 36), Policy: osapi.Admin, Handle: noSuchPath},
		{Method: get, Pattern: node + "/traits", Since: v(1, 37), Policy: osapi.Reader, Handle: a.listTraits},
		{Method: put, Pattern: node + "/traits", Since: v(1, 37), Policy: osapi.Admin, Status: 204, Handle: a.setTraits},
		{Method: del, Pattern: node + "/traits", Since: v(1, 37), Policy: osapi.Admin, Status: 204, Handle: a.clearTraits},
		{Method: put, Pattern: node + "/traits/{trait}", Since: v(1, 37), Policy: osapi.Admin, Status: 204, Handle: a.addTrait},
		{Method: del, Pattern: node + "/traits/{trait}", Since: v(1, 37), Policy: osapi.Admin, Status: 204, Handle: a.removeTrait},

		{Method: get, Pattern: node + "/vifs", Since: v(1, 28), Policy: osapi.Reader, Handle: a.listVIFs},
		{Method: post, Pattern: node + "/vifs", Since: v(1, 28), Policy: osapi.Member, Status: 204, Handle: a.attachVIF},
		{Method: del, Pattern: node + "/vifs/{vif}", Since: v(1, 28), Policy: osapi.Member, Status: 204, Handle: a.detachVIF},

		{Method: get, Pattern: node + "/history", Since: v(1, 78), Policy: osapi.Reader, Handle: a.history},
		{Method: get, Pattern: node + "/history/{event}", Since: v(1, 78), Policy: osapi.Reader, Handle: a.event},
		{Method: get, Pattern: node + "/inventory", Since: v(1, 81), Policy: osapi.Reader, Handle: a.inventory},
		{Method: get, Pattern: node + "/vendor_passthru/methods", Policy: osapi.Reader, Handle: a.methodsOfNode},
		{Method: get, Pattern: node + "/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.askVendorOfNode},
		{Method: post, Pattern: node + "/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendorOfNode},
		{Method: put, Pattern: node + "/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendorOfNode},
		{Method: del, Pattern: node + "/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendorOfNode},
		{Method: get, Pattern: node + "/bios", Since: v(1, 40), Policy: osapi.Reader, Handle: a.bios},
		{Method: get, Pattern: node + "/bios/{setting}", Since: v(1, 40), Policy: osapi.Reader, Handle: a.biosSetting},
		{Method: get, Pattern: node + "/children", Since: v(1, 83), Policy: osapi.Reader, Handle: a.children},
		{Method: get, Pattern: "/v1/shards", Since: v(1, 82), Policy: osapi.SystemReader, Handle: a.shards},
		{Method: get, Pattern: node + "/firmware", Since: v(1, 86), Policy: osapi.Reader, Handle: a.firmware},

		{Method: get, Pattern: "/v1/chassis/{id}/nodes", Policy: osapi.SystemReader, Handle: a.nodesOfChassis(false)},
		{Method: get, Pattern: "/v1/chassis/{id}/nodes/detail", Policy: osapi.SystemReader, Handle: a.nodesOfChassis(true)},
		{Method: get, Pattern: "/v1/portgroups/{id}/ports", Since: v(1, 24), Policy: osapi.Reader, Handle: a.portsOfGroup(false)},
		{Method: get, Pattern: "/v1/portgroups/{id}/ports/detail", Since: v(1, 24), Policy: osapi.Reader, Handle: a.portsOfGroup(true)},

		{Method: get, Pattern: "/v1/allocations", Since: v(1, 52), Policy: osapi.Reader, Handle: a.listAllocations},
		{Method: post, Pattern: "/v1/allocations", Since: v(1, 52), Policy: osapi.Member, Status: 201, Handle: a.createAllocation},
		{Method: get, Pattern: "/v1/allocations/{id}", Since: v(1, 52), Policy: osapi.Reader, Handle: a.showAllocation},
		{Method: patch, Pattern: "/v1/allocations/{id}", Since: v(1, 57), Policy: osapi.Member, Handle: a.patchAllocation},
		{Method: del, Pattern: "/v1/allocations/{id}", Since: v(1, 52), Policy: osapi.Member, Status: 204, Handle: a.deleteAllocation},
		{Method: get, Pattern: node + "/allocation", Since: v(1, 52), Policy: osapi.Reader, Handle: a.showAllocationOfNode},
		{Method: del, Pattern: node + "/allocation", Since: v(1, 52), Policy: osapi.Member, Status: 204, Handle: a.deleteAllocationOfNode},

		{Method: get, Pattern: node + "/volume", Since: v(1, 32), Policy: osapi.Reader, Handle: a.volumesOfNode},
		{Method: get, Pattern: "/v1/volume", Since: v(1, 32), Policy: osapi.Reader, Handle: volumes},

		{Method: get, Pattern: node + "/ports", Policy: osapi.Reader, Handle: a.listPortsOfNode},
		{Method: get, Pattern: node + "/ports/detail", Policy: osapi.Reader, Handle: a.listPortsOfNodeInDetail},
		{Method: get, Pattern: "/v1/ports", Policy: osapi.Reader, Handle: a.listPorts},
		{Method: get, Pattern: "/v1/ports/detail", Policy: osapi.Reader, Handle: a.listPortsInDetail},
		{Method: post, Pattern: "/v1/ports", Policy: osapi.Admin, Status: 201, Handle: a.createPort},
		{Method: get, Pattern: "/v1/ports/{port}", Policy: osapi.Reader, Handle: a.showPort},
		{Method: patch, Pattern: "/v1/ports/{port}", Policy: osapi.Admin, Handle: a.patchPort},
		{Method: del, Pattern: "/v1/ports/{port}", Policy: osapi.Admin, Status: 204, Handle: a.deletePort},

		{Method: get, Pattern: "/v1/drivers", Policy: osapi.SystemReader, Handle: a.listDrivers},
		{Method: get, Pattern: "/v1/drivers/{driver}", Policy: osapi.SystemReader, Handle: a.showDriver},
		{Method: get, Pattern: "/v1/drivers/{driver}/properties", Policy: osapi.SystemReader, Handle: a.driverProperties},
		{Method: get, Pattern: "/v1/drivers/{driver}/raid/logical_disk_properties", Since: v(1, 12), Policy: osapi.SystemReader, Handle: a.logicalDiskProperties},
		{Method: get, Pattern: "/v1/drivers/{driver}/vendor_passthru/methods", Policy: osapi.SystemReader, Handle: a.noMethods},
		{Method: get, Pattern: "/v1/drivers/{driver}/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendor},
		{Method: post, Pattern: "/v1/drivers/{driver}/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendor},
		{Method: put, Pattern: "/v1/drivers/{driver}/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendor},
		{Method: del, Pattern: "/v1/drivers/{driver}/vendor_passthru/{method}", Policy: osapi.Admin, Handle: a.vendor},
		{Method: get, Pattern: "/v1/conductors", Since: v(1, 49), Policy: osapi.SystemReader, Handle: a.listConductors},
		{Method: get, Pattern: "/v1/conductors/{host}", Since: v(1, 49), Policy: osapi.SystemReader, Handle: a.showConductor},
	}
	return slices.Concat(routes, a.chassis().routes(), a.portGroups().routes(), a.portGroups().ofNode(v(1, 24)), a.connectors().routes(),
		a.connectors().ofNode(v(1, 32)), a.targets().routes(), a.targets().ofNode(v(1, 32)), a.templates().routes())
}

// links are the two that Ironic gives each thing.
func links(r *osapi.Request, path string, elements ...string) []object {
	return []object{
		{"href": r.URL("/v1"+path, elements...), "rel": "self"},
		{"href": r.URL(path, elements...), "rel": "bookmark"},
	}
}

// below are the links to a collection below a thing.
func below(r *osapi.Request, path, id, collection string) []object {
	return []object{
		{"href": r.URL("/v1"+path, id) + "/" + collection, "rel": "self"},
		{"href": r.URL(path, id) + "/" + collection, "rel": "bookmark"},
	}
}

func versionOf(r *osapi.Request) object {
	return object{
		"id": "v1", "links": []object{{"href": r.URL("/v1/"), "rel": "self"}}, "status": "CURRENT",
		"min_version": oldest.String(), "version": latest.String(),
	}
}

func root(r *osapi.Request) (any, error) {
	return object{
		"name":        "OpenStack Ironic API",
		"description": "Ingot takes physical machines into its care through this API; servers on them are made through Nova.",
		"versions":    []object{versionOf(r)}, "default_version": versionOf(r),
	}, nil
}

// collections of /v1, with the version they came in.
var collections = osapi.Fields{
	"nodes": {}, "ports": {}, "drivers": {}, "chassis": {}, "portgroups": osapi.Since(1, 23), "volume": osapi.Since(1, 32),
	"conductors": osapi.Since(1, 49), "allocations": osapi.Since(1, 52), "deploy_templates": osapi.Since(1, 55), "shards": osapi.Since(1, 82),
}

func resources(r *osapi.Request) (any, error) {
	document := object{
		"id": "v1", "links": []object{{"href": r.URL("/v1/"), "rel": "self"}}, "version": versionOf(r),
		"media_types": []object{{"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}},
	}
	for name := range collections {
		document[name] = links(r, "/"+name+"/")
	}
	return collections.Trim(document, r.Version), nil
}

// tooNew refuses what exists only in a later version than the request's.
func tooNew(r *osapi.Request, what string) error {
	return &osapi.Error{Status: http.StatusNotAcceptable, Err: fault.New(fault.Invalid,
		"Request not acceptable: %s is not in version %s of the API.", what, r.Version)}
}

// noSuchPath answers where an older version had no such path at all.
func noSuchPath(r *osapi.Request) (any, error) {
	return nil, fault.New(fault.NotFound, "The resource could not be found in version %s of the API.", r.Version)
}

// locked is Ironic's NodeLocked: clients try again after it.
func locked(node, host string) error {
	return fault.New(fault.Conflict, "Node %s is locked by host %s, please retry after the current operation is completed.", node, host)
}
