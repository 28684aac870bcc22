package ironic_test

import (
	"net/url"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// What `ingot up` does: nodes and ports, manage, inspect, provide.
func TestFromEnrollToAvailable(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
	c.Start()
	for _, m := range c.Machines {
		c.enrol(m)
		c.call(Admin, "GET", "/v1/nodes/"+m.ID+"/inventory", nil, 404)
		for _, step := range []struct{ verb, state string }{{"manage", "manageable"}, {"inspect", "manageable"}, {"provide", "available"}} {
			c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/provision", object{"target": step.verb}, 202)
			c.Idle(m)
			if node := c.awaitState(m, step.state); node["last_error"] != nil || node["target_provision_state"] != nil {
				t.Fatalf("%s: %v %v", step.verb, node["last_error"], node["target_provision_state"])
			}
		}
		node := c.awaitState(m, "available")
		properties := node["properties"].(object)
		if node["power_state"] != "power on" || node["boot_mode"] != "uefi" || node["secure_boot"] != false || properties["cpus"] != 4.0 || properties["memory_mb"] != 8192.0 {
			t.Errorf("%v", node)
		}
		found := c.call(Admin, "GET", "/v1/nodes/"+m.ID+"/inventory", nil, 200).Body["inventory"].(object)
		if found["memory"].(object)["physical_mb"] != 8192.0 || len(found["disks"].([]any)) != 2 || found["interfaces"].([]any)[0].(object)["mac_address"] != m.MACs[0] ||
			found["bmc_address"] != "127.0.0.1" {
			t.Errorf("%v", found)
		}
		for name, verdict := range c.call(Admin, "GET", "/v1/nodes/"+m.ID+"/validate", nil, 200).Body {
			if verdict.(object)["result"] == false {
				t.Errorf("%s: %v", name, verdict)
			}
		}
	}
	if got := c.call(Admin, "GET", "/v1/nodes?provision_state=available&driver=ipmi&fields=name", nil, 200).Text; !strings.Contains(got, `[{"name":"ipmi"}]`) {
		t.Error(got)
	}
	c.call(Admin, "PUT", "/v1/nodes/red/states/provision", object{"target": "manage"}, 202) // out of the pool
	c.awaitState(c.Machines[0], "manageable")
	c.call(Admin, "DELETE", "/v1/nodes/red", nil, 204)
	c.call(Admin, "GET", "/v1/nodes/red", nil, 404)
	if ports := c.call(Admin, "GET", "/v1/ports?node=red", nil, 200).Body["ports"].([]any); len(ports) > 0 {
		t.Errorf("ports of a deleted node: %v", ports)
	}
}

// A verb that was taken shows at once, also before anybody began to work: a client that waits for the state where the
// verb ends does not take the state before it for the end.
func TestAVerbShowsAtOnce(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	set := func(state machine.State) {
		if _, err := c.DB.ExecContext(t.Context(), `DELETE FROM workflow_run`); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DB.ExecContext(t.Context(), `UPDATE machine SET state = $1, target = ''`, state); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		from        machine.State
		verb, shown string
	}{
		{machine.Enroll, "manage", "verifying"}, {machine.Manageable, "manage", "verifying"}, {machine.Manageable, "inspect", "inspecting"},
		{machine.Manageable, "provide", "cleaning"}, {machine.CleanFailed, "provide", "cleaning"}, {machine.DeployFailed, "deleted", "cleaning"},
	} {
		set(x.from)
		c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": x.verb}, 202)
		if node := c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body; node["provision_state"] != x.shown || node["target_provision_state"] == nil || node["reservation"] == nil {
			t.Errorf("%s from %s: %v", x.verb, x.from, node["provision_state"])
		}
		c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": x.verb}, 409)
	}
}

// A node whose work waits for the agent says so, by the name that the version has for it; abort ends it, and the
// history keeps why.
func TestWaiting(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	m := c.Machines[0]
	m.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	c.enrol(m)
	c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "manage"}, 202)
	c.awaitState(m, "manageable")
	for _, x := range []struct{ verb, waits, failed string }{
		{"inspect", "inspect wait", "inspect failed"},
		{"manage", "", "manageable"},
		{"provide", "clean wait", "clean failed"},
	} {
		c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": x.verb}, 202)
		if x.waits != "" {
			var node object
			c.Eventually(x.waits, func() bool {
				node = c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body
				return node["provision_state"] == x.waits
			})
			work := node["driver_internal_info"].(object)["work"].(object)
			if node["reservation"] == nil || !strings.Contains(work["waiting_for"].(string), "agent") {
				t.Errorf("%v, %v", node["reservation"], work)
			}
			if states := c.call(Admin, "GET", "/v1/nodes/m/states", nil, 200).Body; states["provision_state"] != x.waits {
				t.Errorf("the states say %v", states)
			}
			path := "/v1/nodes?fields=reservation&provision_state=" + url.QueryEscape(x.waits)
			if nodes := c.call(Admin, "GET", path, nil, 200).Body["nodes"].([]any); len(nodes) != 1 || nodes[0].(object)["reservation"] == nil {
				t.Errorf("the list says %v", nodes)
			}
			if x.verb == "inspect" {
				c.version = "1.38"
				if old := c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body; old["provision_state"] != "inspecting" {
					t.Errorf("1.38: %v", old["provision_state"])
				}
				c.version = "latest"
			} else if node["clean_step"].(object)["step"] != "agent" {
				t.Errorf("%v", node["clean_step"])
			}
			if got := c.call(Admin, "PUT", "/v1/nodes/m/management/boot_device", object{"boot_device": "disk"}, 409); !strings.Contains(got.Text, "is locked by host") {
				t.Error(got.Text)
			}
			c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "abort"}, 202)
		}
		if node := c.awaitState(m, x.failed); x.waits != "" && node["last_error"] == nil {
			t.Errorf("after %s: %v", x.verb, node)
		}
	}
	history := c.call(Admin, "GET", "/v1/nodes/m/history", nil, 200).Body["history"].([]any)
	if len(history) != 2 {
		t.Fatalf("%v", history)
	}
	event := history[0].(object)
	if one := c.call(Admin, "GET", "/v1/nodes/m/history/"+event["uuid"].(string), nil, 200).Body; one["event_type"] != "machine-clean" || one["event"] != event["event"] {
		t.Errorf("%v, in the list %v", one, event)
	}
	c.call(Admin, "GET", "/v1/nodes/m/history/nothing", nil, 404)
}

func TestPower(t *testing.T) {
	for name, ipmi := range map[string]bool{"redfish": false, "ipmi": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := boot(t, machinetest.Spec{Name: "m", IPMI: ipmi})
			c.Start()
			m := c.Machines[0]
			c.enrol(m)
			c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "manage"}, 202)
			c.awaitState(m, "manageable")
			for _, x := range []struct {
				target, state string
				on            bool
			}{
				{"power on", "power on", true}, {"rebooting", "power on", true}, {"soft rebooting", "power on", true},
				{"soft power off", "power off", false}, {"power on", "power on", true}, {"power off", "power off", false},
			} {
				c.call(Admin, "PUT", "/v1/nodes/m/states/power", object{"target": x.target}, 202)
				c.Idle(m)
				if states := c.call(Admin, "GET", "/v1/nodes/m/states", nil, 200).Body; states["power_state"] != x.state || states["target_power_state"] != nil || m.Sim.Power() != x.on {
					t.Errorf("%s: %v, in truth on: %v", x.target, states, m.Sim.Power())
				}
			}
		})
	}
}

// Orders to the BMC reach the machine; what a BMC cannot do is a 400 that says so.
func TestManagement(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
	c.Start()
	for _, m := range c.Machines {
		c.enrol(m)
		c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/provision", object{"target": "manage"}, 202)
		c.awaitState(m, "manageable")
		at := "/v1/nodes/" + m.ID + "/management/"
		for _, device := range c.call(Admin, "GET", at+"boot_device/supported", nil, 200).Body["supported_boot_devices"].([]any) {
			c.call(Admin, "PUT", at+"boot_device", object{"boot_device": device, "persistent": true}, 204)
			if got := c.call(Admin, "GET", at+"boot_device", nil, 200).Body; got["boot_device"] != device || got["persistent"] != true {
				t.Errorf("%s: %v after %v", m.Spec.Name, got, device)
			}
		}
		c.call(Admin, "PUT", at+"boot_device", object{"boot_device": "pxe"}, 204)
		if got := m.Sim.Boot(); got.Target != vbmc.TargetPXE {
			t.Errorf("%+v", got)
		}
		c.call(Admin, "PUT", at+"boot_device", object{"boot_device": "floppy"}, 400)
		c.call(Admin, "PUT", at+"indicators/system/locator", object{"state": "ON"}, 204)
		if !m.Sim.Indicator() {
			t.Error("the light is off")
		}
		c.call(Admin, "PUT", at+"indicators/system/locator", object{"state": "BLINKING"}, 400)
		c.call(Admin, "PUT", at+"indicators/disk/locator", object{"state": "ON"}, 404)
		c.call(Admin, "GET", at+"indicators/system/locator", nil, 400)
		c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/power", object{"target": "power on"}, 202)
		c.Idle(m)
		c.call(Admin, "PUT", at+"inject_nmi", nil, 204)
		c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/boot_mode", object{"target": "bios"}, 400)
		c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/console", object{"enabled": true}, 400)
	}
	c.call(Admin, "PUT", "/v1/nodes/red/states/secure_boot", object{"target": true}, 202)
	if !c.Machines[0].Sim.SecureBoot() {
		t.Error("secure boot is off")
	}
	c.call(Admin, "PUT", "/v1/nodes/ipmi/states/secure_boot", object{"target": true}, 400)
	if list := c.call(Admin, "GET", "/v1/nodes/red/firmware", nil, 200).Body["firmware"].([]any); len(list) == 0 {
		t.Error("no firmware")
	}
	if list := c.call(Admin, "GET", "/v1/nodes/ipmi/firmware", nil, 200).Body["firmware"].([]any); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

// validate says what is wrong with a node, and a BMC that refuses us is not the caller's 401.
func TestValidate(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	m := c.Machines[0]
	verdicts := func() object { return c.call(Admin, "GET", "/v1/nodes/m/validate", nil, 200).Body }
	says := func(name, words string) {
		t.Helper()
		if v := verdicts()[name].(object); v["result"] != false || !strings.Contains(v["reason"].(string), words) {
			t.Errorf("%s: %v", name, v)
		}
	}
	m.ID = c.call(Admin, "POST", "/v1/nodes", object{"name": "m", "driver": "redfish"}, 201).Body["uuid"].(string)
	says("power", "lacks redfish_")
	says("network", "no port")
	says("boot", "no port")
	says("deploy", "no port")
	info := driverInfo(m)
	info["redfish_password"] = "wrong"
	c.call(Admin, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/driver_info", "value": info}}, 200)
	says("management", "password")
	c.call(Admin, "GET", "/v1/nodes/m/management/boot_device", nil, 503)
	c.call(Admin, "PATCH", "/v1/nodes/m", []object{{"op": "replace", "path": "/driver_info/redfish_password", "value": m.BMC.Password}}, 200)
	if v := verdicts()["power"].(object); v["result"] != true {
		t.Errorf("%v", v)
	}
	c.call(Admin, "POST", "/v1/ports", object{"node_uuid": m.ID, "address": m.MACs[0], "pxe_enabled": false}, 201)
	says("boot", "pxe_enabled")
	c.call(Admin, "POST", "/v1/ports", object{"node_uuid": m.ID, "address": m.MACs[1]}, 201)
	if v := verdicts(); v["boot"].(object)["result"] != true || v["network"].(object)["result"] != true {
		t.Errorf("%v", v)
	}
	says("deploy", "disks")
}

// A node that a server has is Nova's: here it is neither undeployed nor deleted, and keeps its ports.
func TestAServersNode(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	c.Spares()
	m := c.Machines[0]
	const server = "6a1f0e62-8e0c-4a52-9d7e-111111111111"
	if err := c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := c.Service.Claim(t.Context(), tx, server, machine.Want{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	node := c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body
	if node["instance_uuid"] != server || node["provision_state"] != "deploying" || node["target_provision_state"] != "active" {
		t.Errorf("%v", node)
	}
	if nodes := c.call(Admin, "GET", "/v1/nodes?associated=true&instance_uuid="+server, nil, 200).Body["nodes"].([]any); len(nodes) != 1 {
		t.Errorf("%v", nodes)
	}
	port := c.call(Admin, "GET", "/v1/nodes/m/ports", nil, 200).Body["ports"].([]any)[0].(object)["uuid"].(string)
	for _, x := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "/v1/nodes/m/states/provision", object{"target": "deleted"}},
		{"PUT", "/v1/nodes/m/states/provision", object{"target": "undeploy"}},
		{"PUT", "/v1/nodes/m/states/power", object{"target": "power off"}},
		{"DELETE", "/v1/nodes/m", nil},
		{"DELETE", "/v1/ports/" + port, nil},
		{"PATCH", "/v1/ports/" + port, []object{{"op": "replace", "path": "/address", "value": "52:54:00:00:00:99"}}},
	} {
		c.call(Admin, x.method, x.path, x.body, 409)
	}
	c.call(Admin, "PATCH", "/v1/nodes/m", []object{{"op": "remove", "path": "/instance_uuid"}}, 409)
	if after := c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body; after["instance_uuid"] != server || !m.Sim.Power() {
		t.Errorf("%v", after)
	}
}

// Work that is stuck waits for an operator: the node is on hold, and unhold has it try again.
func TestUnhold(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	m := c.Machines[0]
	m.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	c.enrol(m)
	c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "manage"}, 202)
	c.awaitState(m, "manageable")
	c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "provide"}, 202)
	state := func() any { return c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body["provision_state"] }
	c.Eventually("the wait for the agent", func() bool { return state() == "clean wait" })
	if _, err := c.DB.ExecContext(t.Context(), `UPDATE workflow_run SET status = 'stuck', error = 'a panic' WHERE status = 'active'`); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "clean hold" {
		t.Errorf("%v", got)
	}
	c.version = "1.84"
	c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "unhold"}, 406)
	if got := state(); got != "clean wait" {
		t.Errorf("1.84: %v", got)
	}
	c.version = "latest"
	before, err := workflow.ActiveOf(t.Context(), c.DB, machine.Resource(m.ID))
	if err != nil {
		t.Fatal(err)
	}
	c.call(Admin, "PUT", "/v1/nodes/m/states/provision", object{"target": "unhold"}, 202)
	c.Eventually("another try", func() bool {
		run, err := workflow.ActiveOf(t.Context(), c.DB, machine.Resource(m.ID))
		if err != nil {
			t.Fatal(err)
		}
		return run.Epoch > before.Epoch && run.Waiting != ""
	})
}

// Each link of the API's documents leads to something.
func TestLinks(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	seen := map[string]bool{}
	var follow func(value any)
	follow = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				follow(item)
			}
		case object:
			href, _ := value["href"].(string)
			_, path, _ := strings.Cut(href, "/baremetal")
			if path != "" && value["rel"] == "self" && !seen[path] {
				seen[path] = true
				follow(c.call(Admin, "GET", path, nil, 200).Body)
			}
			for _, item := range value {
				follow(item)
			}
		}
	}
	follow(c.call(Admin, "GET", "/", nil, 200).Body)
	if !seen["/v1/nodes/"+c.Machines[0].ID] || len(seen) < 20 {
		t.Errorf("%v", seen)
	}
}
