package ironic_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
)

type object = osapi.Object

// cloud is the API over a rack of simulated machines.
type cloud struct {
	*machinetest.Rig
	*Server
	t        *testing.T
	version  string
	networks *network.Service
}

func boot(t *testing.T, specs ...machinetest.Spec) *cloud {
	t.Helper()
	d := dbtest.SQLite(t)
	rig := machinetest.NewRig(t, d, specs...)
	networks := network.New(d, rig.Clock, slog.New(slog.DiscardHandler))
	return &cloud{rig, Serve(t, ironic.Dialect(services(rig, networks))), t, "latest", networks}
}

// services are what the API shows of a rack, with fake hardware beside it.
func services(rig *machinetest.Rig, networks *network.Service) ironic.Services {
	return ironic.Services{DB: rig.DB, Machines: rig.Service, Networks: networks, Engine: rig.Engine, FakeHardware: true}
}

// call calls as somebody and wants the status.
func (c *cloud) call(token, method, path string, body any, status int) Answer {
	c.t.Helper()
	got := c.Do(token, method, "/baremetal"+path, body, "X-OpenStack-Ironic-API-Version: "+c.version)
	if got.Status != status {
		c.t.Fatalf("%s %s %s: %d %s, want %d", token, method, path, got.Status, got.Text, status)
	}
	return got
}

// enrol creates a computer's node and port through the API, as `ingot up` does.
func (c *cloud) enrol(m *machinetest.Computer) object {
	c.t.Helper()
	node := c.call(Admin, "POST", "/v1/nodes", object{"name": m.Spec.Name, "driver": m.BMC.Kind, "driver_info": driverInfo(m), "resource_class": "baremetal"}, 201).Body
	m.ID = node["uuid"].(string)
	c.call(Admin, "POST", "/v1/ports", object{"node_uuid": m.ID, "address": m.MACs[0]}, 201)
	return node
}

func (c *cloud) awaitState(m *machinetest.Computer, state string) object {
	c.t.Helper()
	var node object
	c.Eventually(m.Spec.Name+" to be "+state, func() bool {
		node = c.call(Admin, "GET", "/v1/nodes/"+m.ID, nil, 200).Body
		return node["provision_state"] == state && node["reservation"] == nil
	})
	return node
}

// driverInfo is what an operator writes to have the computer's BMC reached.
func driverInfo(m *machinetest.Computer) object {
	if m.Spec.IPMI {
		host, port, _ := strings.Cut(m.BMC.Address, ":")
		return object{"ipmi_address": host, "ipmi_port": port, "ipmi_username": m.BMC.Username, "ipmi_password": m.BMC.Password}
	}
	return object{"redfish_address": m.BMC.Address, "redfish_username": m.BMC.Username, "redfish_password": m.BMC.Password, "redfish_verify_ca": m.BMC.CA}
}
