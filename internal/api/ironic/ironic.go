package ironic

import (
	"os"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

type object = osapi.Object

// api is the dialect's handlers.
type api struct {
	machines *machine.Service
	db       *db.DB
	host     string // what Ironic calls the conductor: this process's host
}

// newest is the last microversion whose promises hold here.
var newest = osapi.V(1, 86)

// Dialect is the Bare Metal API, mounted at /baremetal.
func Dialect(machines *machine.Service, _ *workflow.Engine, d *db.DB) osapi.Dialect {
	host, err := os.Hostname()
	if err != nil {
		host = "ingot"
	}
	a := &api{machines, d, host}
	const (
		get, post, put, patch, remove = "GET", "POST", "PUT", "PATCH", "DELETE"
		node                          = "/v1/nodes/{node}"
	)
	v := osapi.V
	return osapi.Dialect{
		Name: "ironic", Mount: "/baremetal", Envelope: osapi.IronicEnvelope, RequestIDHeader: "Openstack-Request-Id",
		Versions: osapi.Microversions{
			Min: v(1, 1), Max: newest, Service: "baremetal", Header: "X-OpenStack-Ironic-API-Version",
			MinHeader: "X-OpenStack-Ironic-API-Minimum-Version", MaxHeader: "X-OpenStack-Ironic-API-Maximum-Version",
		},
		Statuses: map[fault.Kind]int{fault.Unsupported: 400}, // UnsupportedDriverExtension
		Routes: []osapi.Route{
			{Method: get, Pattern: "/", Policy: osapi.Public, Handle: a.root},
			{Method: get, Pattern: "/v1", Policy: osapi.Public, Handle: a.v1},

			// Nodes. An owner's member may work with its nodes; enrolling and changing them is the operator's.
			{Method: get, Pattern: "/v1/nodes", Policy: osapi.Reader, Handle: a.listNodes},
			{Method: get, Pattern: "/v1/nodes/detail", Policy: osapi.Reader, Handle: a.listNodesDetail},
			{Method: post, Pattern: "/v1/nodes", Policy: osapi.Admin, Status: 201, Handle: a.createNode},
			{Method: get, Pattern: node, Policy: osapi.Reader, Handle: a.showNode},
			{Method: patch, Pattern: node, Policy: osapi.Admin, Handle: a.patchNode},
			{Method: remove, Pattern: node, Policy: osapi.Admin, Status: 204, Handle: a.deleteNode},
			{Method: get, Pattern: node + "/validate", Policy: osapi.Reader, Handle: a.validate},
			{Method: put, Pattern: node + "/maintenance", Policy: osapi.Member, Status: 202, Handle: a.setMaintenance},
			{Method: remove, Pattern: node + "/maintenance", Policy: osapi.Member, Status: 202, Handle: a.endMaintenance},

			// What a node is doing.
			{Method: get, Pattern: node + "/states", Policy: osapi.Reader, Handle: a.states},
			{Method: put, Pattern: node + "/states/provision", Policy: osapi.Member, Status: 202, Handle: a.provision},
			{Method: put, Pattern: node + "/states/power", Policy: osapi.Member, Status: 202, Handle: a.power},
			{Method: get, Pattern: node + "/states/console", Policy: osapi.Reader, Handle: a.console},
			{Method: put, Pattern: node + "/states/console", Policy: osapi.Member, Status: 202, Handle: a.setConsole},
			{Method: put, Pattern: node + "/states/raid", Policy: osapi.Member, Since: v(1, 12), Status: 204, Handle: a.setRAID},
			{Method: put, Pattern: node + "/states/boot_mode", Policy: osapi.Member, Since: v(1, 76), Status: 202, Handle: a.setBootMode},
			{Method: put, Pattern: node + "/states/secure_boot", Policy: osapi.Member, Since: v(1, 76), Status: 202, Handle: a.setSecureBoot},

			// What its BMC can.
			{Method: get, Pattern: node + "/management/boot_device", Policy: osapi.Reader, Handle: a.bootDevice},
			{Method: get, Pattern: node + "/management/boot_device/supported", Policy: osapi.Reader, Handle: a.bootDevices},
			{Method: put, Pattern: node + "/management/boot_device", Policy: osapi.Member, Status: 204, Handle: a.setBootDevice},
			{Method: put, Pattern: node + "/management/inject_nmi", Policy: osapi.Member, Since: v(1, 29), Status: 204, Handle: a.injectNMI},
			{Method: get, Pattern: node + "/management/indicators", Policy: osapi.Reader, Since: v(1, 63), Handle: a.indicators},
			{Method: get, Pattern: node + "/management/indicators/{indicator}", Policy: osapi.Reader, Since: v(1, 63), Handle: a.indicator},
			{Method: put, Pattern: node + "/management/indicators/{indicator}", Policy: osapi.Member, Since: v(1, 63), Status: 204, Handle: a.setIndicator},

			// What is known of it.
			{Method: get, Pattern: node + "/traits", Policy: osapi.Reader, Since: v(1, 37), Handle: a.traits},
			{Method: put, Pattern: node + "/traits", Policy: osapi.Admin, Since: v(1, 37), Status: 204, Handle: a.setTraits},
			{Method: remove, Pattern: node + "/traits", Policy: osapi.Admin, Since: v(1, 37), Status: 204, Handle: a.removeTraits},
			{Method: put, Pattern: node + "/traits/{trait}", Policy: osapi.Admin, Since: v(1, 37), Status: 204, Handle: a.addTrait},
			{Method: remove, Pattern: node + "/traits/{trait}", Policy: osapi.Admin, Since: v(1, 37), Status: 204, Handle: a.removeTrait},
			{Method: get, Pattern: node + "/inventory", Policy: osapi.Reader, Since: v(1, 81), Handle: a.inventory},
			{Method: get, Pattern: node + "/history", Policy: osapi.Reader, Since: v(1, 78), Handle: a.history},
			{Method: get, Pattern: node + "/history/{event}", Policy: osapi.Reader, Since: v(1, 78), Handle: a.historyEvent},
			{Method: get, Pattern: node + "/firmware", Policy: osapi.Reader, Since: v(1, 86), Handle: a.firmware},
			{Method: get, Pattern: node + "/bios", Policy: osapi.Reader, Since: v(1, 40), Handle: a.ofNode("bios")},
			{Method: get, Pattern: node + "/vifs", Policy: osapi.Reader, Since: v(1, 28), Handle: a.ofNode("vifs")},
			{Method: get, Pattern: node + "/portgroups", Policy: osapi.Reader, Since: v(1, 24), Handle: a.ofNode("portgroups")},
			{Method: get, Pattern: node + "/portgroups/detail", Policy: osapi.Reader, Since: v(1, 24), Handle: a.ofNode("portgroups")},
			{Method: get, Pattern: node + "/volume", Policy: osapi.Reader, Since: v(1, 32), Handle: a.nodeVolume},
			{Method: get, Pattern: node + "/volume/connectors", Policy: osapi.Reader, Since: v(1, 32), Handle: a.ofNode("connectors")},
			{Method: get, Pattern: node + "/volume/targets", Policy: osapi.Reader, Since: v(1, 32), Handle: a.ofNode("targets")},

			// Network cards.
			{Method: get, Pattern: node + "/ports", Policy: osapi.Reader, Handle: a.listNodePorts},
			{Method: get, Pattern: node + "/ports/detail", Policy: osapi.Reader, Handle: a.listNodePortsDetail},
			{Method: get, Pattern: "/v1/ports", Policy: osapi.Reader, Handle: a.listPorts},
			{Method: get, Pattern: "/v1/ports/detail", Policy: osapi.Reader, Handle: a.listPortsDetail},
			{Method: post, Pattern: "/v1/ports", Policy: osapi.Admin, Status: 201, Handle: a.createPort},
			{Method: get, Pattern: "/v1/ports/{port}", Policy: osapi.Reader, Handle: a.showPort},
			{Method: patch, Pattern: "/v1/ports/{port}", Policy: osapi.Admin, Handle: a.patchPort},
			{Method: remove, Pattern: "/v1/ports/{port}", Policy: osapi.Admin, Status: 204, Handle: a.deletePort},

			// The service itself.
			{Method: get, Pattern: "/v1/drivers", Policy: osapi.SystemReader, Handle: a.listDrivers},
			{Method: get, Pattern: "/v1/drivers/{driver}", Policy: osapi.SystemReader, Handle: a.showDriver},
			{Method: get, Pattern: "/v1/drivers/{driver}/properties", Policy: osapi.SystemReader, Handle: a.driverProperties},
			{Method: get, Pattern: "/v1/conductors", Policy: osapi.SystemReader, Since: v(1, 49), Handle: a.listConductors},
			{Method: get, Pattern: "/v1/conductors/{host}", Policy: osapi.SystemReader, Since: v(1, 49), Handle: a.showConductor},

			// What this cloud has none of: the lists are empty, and nothing can be added.
			{Method: get, Pattern: "/v1/chassis", Policy: osapi.SystemReader, Handle: none("chassis")},
			{Method: get, Pattern: "/v1/chassis/detail", Policy: osapi.SystemReader, Handle: none("chassis")},
			{Method: get, Pattern: "/v1/portgroups", Policy: osapi.Reader, Since: v(1, 23), Handle: none("portgroups")},
			{Method: get, Pattern: "/v1/portgroups/detail", Policy: osapi.Reader, Since: v(1, 23), Handle: none("portgroups")},
			{Method: get, Pattern: "/v1/volume", Policy: osapi.Reader, Since: v(1, 32), Handle: volume},
			{Method: get, Pattern: "/v1/volume/connectors", Policy: osapi.Reader, Since: v(1, 32), Handle: none("connectors")},
			{Method: get, Pattern: "/v1/volume/targets", Policy: osapi.Reader, Since: v(1, 32), Handle: none("targets")},
			{Method: get, Pattern: "/v1/allocations", Policy: osapi.Reader, Since: v(1, 52), Handle: none("allocations")},
			{Method: get, Pattern: "/v1/deploy_templates", Policy: osapi.SystemReader, Since: v(1, 55), Handle: none("deploy_templates")},
			{Method: get, Pattern: "/v1/shards", Policy: osapi.SystemReader, Since: v(1, 82), Handle: none("shards")},
		},
	}
}

// node finds the node of the path. Whoever may not know of it hears that there is none.
func (a *api) node(r *osapi.Request) (*machine.Machine, error) { return a.nodeNamed(r, r.Path("node")) }

func (a *api) nodeNamed(r *osapi.Request, ident string) (*machine.Machine, error) {
	m, err := a.machines.Get(r.Context(), a.db, ident)
	if err == nil && !r.Caller.Reads(m.Owner) {
		err = fault.New(fault.NotFound, "Node %s could not be found.", ident)
	}
	return m, err
}

// nodeToChange is node, for those who may work with it.
func (a *api) nodeToChange(r *osapi.Request) (*machine.Machine, error) {
	m, err := a.node(r)
	if err == nil && !r.Caller.Writes(m.Owner) {
		err = fault.New(fault.Forbidden, "You are not authorized to change node %s.", r.Path("node"))
	}
	return m, err
}

// work under way on a node: by ourselves, or by the instance that gets it or lets it go; nil: none. Warming a spare does
// not count: it gives way to everybody.
func work(r *osapi.Request, q db.Querier, m *machine.Machine) (*workflow.Run, error) {
	resource := machine.Resource(m.ID)
	if m.State == machine.Deploying || m.State == machine.Deleting {
		resource = instance.Resource(m.Instance)
	}
	run, err := workflow.ActiveOf(r.Context(), q, resource)
	if run != nil && run.Flow == "machine-warm" {
		run = nil
	}
	return run, err
}

// free fails while work is under way on the node.
func (a *api) free(r *osapi.Request, m *machine.Machine) error {
	run, err := work(r, a.db, m)
	if err == nil && run != nil {
		err = a.locked(m)
	}
	return err
}

func (a *api) locked(m *machine.Machine) error {
	return fault.New(fault.Conflict, "Node %s is locked by host %s, please retry after the current operation is completed.", m.ID, a.host)
}

// links are the two that every object has.
func links(r *osapi.Request, elements ...string) []object {
	path := ""
	for i, e := range elements {
		if i > 0 {
			path += "/"
		}
		path += e
	}
	return []object{{"href": r.URL("/v1/" + path), "rel": "self"}, {"href": r.URL("/" + path), "rel": "bookmark"}}
}
