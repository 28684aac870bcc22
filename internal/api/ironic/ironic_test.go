package ironic_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

type object = osapi.Object

// bench is the API before a rack.
type bench struct {
	*osapitest.Server
	t       *testing.T
	rig     *machinetest.Rig
	dialect osapi.Dialect
}

const newest = "X-OpenStack-Ironic-API-Version: 1.86"

func newBench(t *testing.T, specs ...machinetest.Spec) *bench {
	return newBenchOn(t, dbtest.SQLite(t), specs...)
}

func newBenchOn(t *testing.T, d *db.DB, specs ...machinetest.Spec) *bench {
	rig := machinetest.NewRig(t, d, specs...)
	rig.Start()
	dialect := ironic.Dialect(rig.Service, rig.Engine, d)
	return &bench{osapitest.Serve(t, dialect), t, rig, dialect}
}

// want calls as the admin at the newest version and checks the status.
func (b *bench) want(status int, method, path string, body any, headers ...string) object {
	b.t.Helper()
	if len(headers) == 0 {
		headers = []string{newest}
	}
	got := b.Do("admin", method, "/baremetal"+path, body, headers...)
	if got.Status != status {
		b.t.Fatalf("%s %s: %d %s, want %d", method, path, got.Status, got.Text, status)
	}
	return got.Body
}

// refused is want for an error; it gives the words.
func (b *bench) refused(status int, method, path string, body any, headers ...string) string {
	b.t.Helper()
	answer := b.want(status, method, path, body, headers...)
	var inner struct{ Faultstring string }
	if text, ok := answer["error_message"].(string); !ok || json.Unmarshal([]byte(text), &inner) != nil || inner.Faultstring == "" {
		b.t.Fatalf("%s %s: no error in Ironic's envelope: %v", method, path, answer)
	}
	return inner.Faultstring
}

// info is driver_info of a computer of the rack.
func info(c *machinetest.Computer) object {
	if c.Spec.IPMI {
		host, port, _ := strings.Cut(c.BMC.Address, ":")
		return object{"ipmi_address": host, "ipmi_port": port, "ipmi_username": c.BMC.Username, "ipmi_password": c.BMC.Password}
	}
	return object{"redfish_address": c.BMC.Address, "redfish_username": c.BMC.Username, "redfish_password": c.BMC.Password, "redfish_verify_ca": c.BMC.CA}
}

// enrol creates the node of a computer through the API.
func (b *bench) enrol(c *machinetest.Computer, more object) string {
	b.t.Helper()
	body := object{"driver": c.BMC.Kind, "name": c.Spec.Name, "driver_info": info(c)}
	maps.Copy(body, more)
	c.ID = b.want(201, "POST", "/v1/nodes", body)["uuid"].(string)
	if c.Spec.IPMI {
		b.want(201, "POST", "/v1/ports", object{"node_uuid": c.ID, "address": strings.ToUpper(c.MACs[0])})
	}
	return "/v1/nodes/" + c.ID
}

func (b *bench) verb(node, target string) {
	b.t.Helper()
	b.want(202, "PUT", node+"/states/provision", object{"target": target})
}

func TestFromCreateToAvailable(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBenchOn(t, d, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
		for _, c := range b.rig.Machines {
			node := b.enrol(c, object{"resource_class": "baremetal", "extra": object{"rack": "r1"}})
			shown := b.want(200, "GET", node, nil)
			if shown["provision_state"] != "enroll" || shown["power_state"] != nil || shown["resource_class"] != "baremetal" || shown["owner"] != osapitest.AdminProject {
				t.Errorf("new: %v", shown)
			}
			if secret := shown["driver_info"].(object)[c.BMC.Kind+"_password"]; secret != "******" {
				t.Errorf("the password is shown as %v", secret)
			}
			b.verb(node, "manage")
			c.Await(machine.Manageable)
			b.verb(node, "inspect")
			c.Await(machine.Manageable)
			valid := b.want(200, "GET", node+"/validate", nil)
			for _, part := range []string{"power", "management", "network", "boot", "inspect", "deploy", "storage"} {
				if valid[part].(object)["result"] != true {
					t.Errorf("%s: %s is not valid: %v", c.Spec.Name, part, valid[part])
				}
			}
			b.verb(node, "provide")
			c.Await(machine.Available)
			shown = b.want(200, "GET", node, nil)
			clean := object{
				"provision_state": "available", "power_state": "power on", "target_provision_state": nil, "reservation": nil,
				"last_error": nil, "fault": nil, "maintenance": false, "boot_mode": "uefi", "secure_boot": false,
			}
			for name, value := range clean {
				if shown[name] != value {
					t.Errorf("%s is %v, want %v", name, shown[name], value)
				}
			}
			if got := shown["properties"].(object)["memory_mb"]; got != 8192.0 {
				t.Errorf("memory_mb %v", got)
			}
			found := b.want(200, "GET", node+"/inventory", nil)["inventory"].(object)
			if len(found["disks"].([]any)) != 2 || found["memory"].(object)["physical_mb"] != 8192.0 {
				t.Errorf("inventory %v", found)
			}
			history := b.want(200, "GET", node+"/history?detail=true", nil)["history"].([]any)
			if len(history) != 3 || history[0].(object)["event_type"] != "verify" || history[2].(object)["severity"] != "INFO" {
				t.Errorf("history %v", history)
			}
			event := history[1].(object)["uuid"].(string)
			if got := b.want(200, "GET", node+"/history/"+event, nil); got["uuid"] != event {
				t.Errorf("event %v", got)
			}
			ports := b.want(200, "GET", node+"/ports/detail", nil)["ports"].([]any)
			if len(ports) != 2 || ports[0].(object)["address"] != c.MACs[0] {
				t.Errorf("ports %v", ports)
			}
			b.want(204, "DELETE", node, nil)
			b.refused(404, "GET", node, nil)
		}
	})
}

// A node whose work waits for the agent says so, and is locked.
func TestWaiting(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	a := b.rig.Machines[0]
	node := b.enrol(a, nil)
	b.verb(node, "manage")
	a.Await(machine.Manageable)
	a.Set(func(x *machinetest.Behaviour) { x.Hangs = agentapi.KindErase })
	b.verb(node, "provide")
	b.rig.Eventually("the node to wait", func() bool { return b.want(200, "GET", node, nil)["provision_state"] == "clean wait" && a.AgentRuns() })
	shown := b.want(200, "GET", node, nil)
	if shown["reservation"] == nil || shown["target_provision_state"] != "available" {
		t.Errorf("%v", shown)
	}
	if list := b.want(200, "GET", "/v1/nodes?provision_state=clean+wait", nil)["nodes"].([]any); len(list) != 1 {
		t.Errorf("nodes in clean wait: %v", list)
	}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "/states/power", object{"target": "power off"}},
		{"PUT", "/management/boot_device", object{"boot_device": "disk"}},
		{"PUT", "/management/inject_nmi", object{}},
		{"PATCH", "", []object{{"op": "add", "path": "/driver_info/redfish_username", "value": "root"}}},
		{"DELETE", "", nil},
	} {
		b.refused(409, c.method, node+c.path, c.body)
	}
	b.verb(node, "abort")
	a.Await(machine.CleanFailed)
	if shown := b.want(200, "GET", node, nil); shown["fault"] != "clean failure" || shown["last_error"] != "An operator aborted it." {
		t.Errorf("%v", shown)
	}
	a.Set(func(x *machinetest.Behaviour) { *x = machinetest.Behaviour{Hangs: agentapi.KindInspect} })
	b.verb(node, "manage")
	b.verb(node, "inspect")
	b.rig.Eventually("the node to wait", func() bool { return b.want(200, "GET", node, nil)["provision_state"] == "inspect wait" })
	if old := b.want(200, "GET", node, nil, "X-OpenStack-Ironic-API-Version: 1.34"); old["provision_state"] != "inspecting" {
		t.Errorf("at 1.34 it is %v", old["provision_state"])
	}
}

func TestVerbsThatAreNotOurs(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	node := b.enrol(b.rig.Machines[0], nil)
	for target, says := range map[string]string{
		"active": "Compute API", "deploy": "Compute API", "rebuild": "Compute API", "rescue": "Compute API", "clean": "provide erases",
		"adopt": "taken over", "dance": "not known", "provide": "while it is in state", "inspect": "while it is in state", "deleted": "while it is in state",
	} {
		if got := b.refused(400, "PUT", node+"/states/provision", object{"target": target}); !strings.Contains(got, says) {
			t.Errorf("%s: %s", target, got)
		}
	}
	b.refused(400, "PUT", node+"/states/power", object{"target": "dim"})
	b.refused(400, "PUT", node+"/states/power", object{"target": "soft power off"}, "X-OpenStack-Ironic-API-Version: 1.20")
	b.refused(400, "PUT", node+"/states/console", object{"enabled": true})
	b.refused(400, "PUT", node+"/states/raid", object{})
	b.refused(404, "GET", node+"/inventory", nil)
	b.refused(404, "GET", "/v1/lookup", nil)
	b.refused(404, "POST", "/v1/heartbeat/x", object{})
	b.refused(405, "POST", "/v1/allocations", object{})
}

func TestPowerAndManagement(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b", IPMI: true})
	for _, c := range b.rig.Machines {
		node := b.enrol(c, nil)
		b.verb(node, "manage")
		c.Await(machine.Manageable)
		for _, p := range [][2]string{{"power on", "power on"}, {"rebooting", "power on"}, {"soft rebooting", "power on"}, {"soft power off", "power off"}, {"power on", "power on"}} {
			b.want(202, "PUT", node+"/states/power", object{"target": p[0], "timeout": 30})
			b.rig.Idle(c)
			if got := b.want(200, "GET", node+"/states", nil); got["power_state"] != p[1] || got["target_power_state"] != nil || got["last_error"] != nil {
				t.Errorf("%s: after %s: %v", c.Spec.Name, p[0], got)
			}
		}
		b.want(204, "PUT", node+"/management/boot_device", object{"boot_device": "pxe", "persistent": true})
		if got := b.want(200, "GET", node+"/management/boot_device", nil); got["boot_device"] != "pxe" || got["persistent"] != true {
			t.Errorf("boot device %v", got)
		}
		if c.Sim.Boot().Target != vbmc.TargetPXE {
			t.Errorf("the machine has %+v", c.Sim.Boot())
		}
		b.refused(400, "PUT", node+"/management/boot_device", object{"boot_device": "punch cards"})
		b.want(204, "PUT", node+"/management/inject_nmi", object{})
		if got := b.want(200, "GET", node+"/management/indicators", nil)["indicators"].([]any); len(got) != 1 {
			t.Errorf("indicators %v", got)
		}
		b.want(204, "PUT", node+"/management/indicators/led@system", object{"state": "ON"})
		if !c.Sim.Indicator() {
			t.Error("the light is off")
		}
		b.refused(404, "PUT", node+"/management/indicators/led@nose", object{"state": "ON"})
	}
	red, ipmi := "/v1/nodes/a", "/v1/nodes/b"
	b.want(202, "PUT", red+"/states/secure_boot", object{"target": true})
	if !b.rig.Machines[0].Sim.SecureBoot() {
		t.Error("Secure Boot is off")
	}
	b.refused(400, "PUT", ipmi+"/states/secure_boot", object{"target": true})
	b.want(202, "PUT", red+"/states/boot_mode", object{"target": "bios"})
	if got := b.rig.Machines[0].Sim.Boot().Mode; got != vbmc.ModeLegacy {
		t.Errorf("boot mode %s", got)
	}
	if got := b.want(200, "GET", red+"/firmware", nil)["firmware"].([]any); len(got) == 0 {
		t.Error("no firmware")
	}
	b.refused(400, "GET", ipmi+"/firmware", nil)
	if got := b.want(200, "GET", red+"/management/boot_device/supported", nil)["supported_boot_devices"]; !slices.Contains(got.([]any), any("uefihttp")) {
		t.Errorf("boot devices %v", got)
	}
}

func TestMaintenance(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	node := b.enrol(b.rig.Machines[0], nil)
	b.want(202, "PUT", node+"/maintenance", object{"reason": "a fan is loud"})
	if got := b.want(200, "GET", node, nil); got["maintenance"] != true || got["maintenance_reason"] != "a fan is loud" {
		t.Errorf("%v", got)
	}
	b.want(202, "DELETE", node+"/maintenance", nil)
	b.want(202, "PUT", node+"/maintenance", nil)
	b.want(200, "PATCH", node, []object{{"op": "replace", "path": "/maintenance", "value": false}})
	if got := b.want(200, "GET", node, nil); got["maintenance"] != false || got["maintenance_reason"] != nil {
		t.Errorf("%v", got)
	}
}

func TestValidateSaysWhatIsMissing(t *testing.T) {
	b := newBench(t)
	node := "/v1/nodes/" + b.want(201, "POST", "/v1/nodes", object{"driver": "redfish"})["uuid"].(string)
	got := b.want(200, "GET", node+"/validate", nil)
	for part, says := range map[string]string{"power": "https://host", "network": "no port", "boot": "no port", "deploy": "no port", "raid": "does not support raid"} {
		verdict := got[part].(object)
		if reason, _ := verdict["reason"].(string); verdict["result"] != false || !strings.Contains(reason, says) {
			t.Errorf("%s: %v", part, verdict)
		}
	}
}

// Whoever does not own a node hears that there is none, on every route there is.
func TestForeignTenants(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	a := b.rig.Machines[0]
	node := b.enrol(a, object{"owner": osapitest.DemoProject})
	b.verb(node, "manage")
	a.Await(machine.Manageable)
	b.verb(node, "inspect")
	a.Await(machine.Manageable)
	port := b.want(200, "GET", node+"/ports", nil)["ports"].([]any)[0].(object)["uuid"].(string)
	event := b.want(200, "GET", node+"/history", nil)["history"].([]any)[0].(object)["uuid"].(string)
	fill := strings.NewReplacer("{node}", a.ID, "{port}", port, "{event}", event, "{trait}", "CUSTOM_A", "{indicator}", "led@system", "{driver}", "redfish", "{host}", "x")
	before := a.Record()
	for _, route := range b.dialect.Routes {
		t.Run(route.Method+" "+route.Pattern, func(t *testing.T) {
			got := b.Do(osapitest.Other, route.Method, "/baremetal"+fill.Replace(route.Pattern), body(route), newest)
			about := strings.Contains(route.Pattern, "{node}") || strings.Contains(route.Pattern, "{port}")
			switch {
			case strings.Contains(got.Text, a.ID) && got.Status < 400, strings.Contains(got.Text, a.MACs[0]), strings.Contains(got.Text, "a-DISK"):
				t.Errorf("a foreign tenant reads %s", got.Text)
			case route.Policy.String() == "admin" || route.Policy.String() == "system-reader":
				if got.Status != 403 {
					t.Errorf("%d %s, want 403", got.Status, got.Text)
				}
			case about && got.Status != 404:
				t.Errorf("%d %s, want 404", got.Status, got.Text)
			}
			if owner := b.Do(osapitest.Reader, route.Method, "/baremetal"+fill.Replace(route.Pattern), body(route), newest); about && route.Method == "GET" && owner.Status != 200 {
				t.Errorf("the owner's reader gets %d %s", owner.Status, owner.Text)
			} else if about && route.Method != "GET" && owner.Status != 403 {
				t.Errorf("the owner's reader may change: %d %s", owner.Status, owner.Text)
			}
		})
	}
	if after := a.Record(); !after.Updated.Equal(before.Updated) || after.State != before.State {
		t.Error("somebody changed the node")
	}
	for _, path := range []string{"/v1/nodes", "/v1/nodes/detail", "/v1/ports", "/v1/ports/detail"} {
		name := regexp.MustCompile(`nodes|ports`).FindString(path)
		if got := b.Do(osapitest.Other, "GET", "/baremetal"+path, nil, newest); len(got.Body[name].([]any)) != 0 {
			t.Errorf("%s shows a foreign tenant %s", path, got.Text)
		}
		if got := b.Do(osapitest.Demo, "GET", "/baremetal"+path, nil, newest); len(got.Body[name].([]any)) == 0 {
			t.Errorf("%s shows the owner %s", path, got.Text)
		}
	}
	if got := b.Do(osapitest.Demo, "PUT", "/baremetal"+node+"/maintenance", object{"reason": "mine"}, newest); got.Status != 202 {
		t.Errorf("the owner's member gets %d %s", got.Status, got.Text)
	}
}

func body(route osapi.Route) any {
	if route.Method == "GET" || route.Method == "DELETE" {
		return nil
	}
	return object{}
}

// What the real Ironic answered is in testdata, as the types of its values. Every field of it must be there.
func TestShapes(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	a := b.rig.Machines[0]
	node := b.enrol(a, nil)
	b.verb(node, "manage")
	a.Await(machine.Manageable)
	port := b.want(200, "GET", node+"/ports", nil)["ports"].([]any)[0].(object)["uuid"].(string)
	for _, c := range []struct{ file, path string }{
		{"node@1.34", node}, {"node@1.78", node}, {"nodes@1.78", "/v1/nodes"}, {"port@1.34", "/v1/ports/" + port}, {"port@1.78", "/v1/ports/" + port},
		{"validate@1.78", node + "/validate"}, {"drivers@1.78", "/v1/drivers"}, {"driver@1.34", "/v1/drivers/redfish"}, {"conductors@1.78", "/v1/conductors"},
	} {
		text, err := os.ReadFile("testdata/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		_, version, _ := strings.Cut(c.file, "@")
		got := b.want(200, "GET", c.path, nil, "X-OpenStack-Ironic-API-Version: "+version)
		compare(t, c.file, want, any(got), c.file == "node@1.34" || c.file == "node@1.78" || strings.HasPrefix(c.file, "port@"))
	}
}

// compare demands the recorded fields and types, and, where exact, no others.
func compare(t *testing.T, where string, want, got any, exact bool) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is %v, no object", where, got)
			return
		}
		for name, w := range want {
			g, ok := have[name]
			if !ok {
				t.Errorf("%s has no %s", where, name)
				continue
			}
			if name != "driver_internal_info" && name != "properties" && name != "driver_info" {
				compare(t, where+"."+name, w, g, exact)
			}
		}
		for name := range have {
			if _, ok := want[name]; exact && !ok {
				t.Errorf("%s has %s, which the version does not", where, name)
			}
		}
	case []any:
		have, ok := got.([]any)
		if !ok || len(want) > 0 && len(have) == 0 {
			t.Errorf("%s is %v", where, got)
		} else if len(want) > 0 {
			compare(t, where+"[0]", want[0], have[0], exact)
		}
	case string:
		fits := map[string]func(any) bool{
			"str": func(v any) bool { _, ok := v.(string); return ok || v == nil }, "bool": func(v any) bool { _, ok := v.(bool); return ok },
			"int": func(v any) bool { _, ok := v.(float64); return ok },
		}
		if !fits[want](got) {
			t.Errorf("%s is %v, no %s", where, got, want)
		}
	}
}

func TestDocuments(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/", "/v1"} {
		got := b.Do("", "GET", "/baremetal"+path, nil)
		if got.Status != 200 || got.Header.Get("X-Openstack-Ironic-Api-Maximum-Version") != "1.86" || got.Header.Get("X-Openstack-Ironic-Api-Minimum-Version") != "1.1" {
			t.Errorf("%s: %d %v", path, got.Status, got.Header)
		}
	}
	if got := b.Do("admin", "GET", "/baremetal/v1/nodes", nil, "X-OpenStack-Ironic-API-Version: 1.999"); got.Status != 406 || got.Header.Get("X-Openstack-Ironic-Api-Maximum-Version") != "1.86" {
		t.Errorf("a version of the future: %d %s", got.Status, got.Text)
	}
	for _, path := range []string{"/v1/chassis", "/v1/portgroups/detail", "/v1/allocations", "/v1/deploy_templates", "/v1/volume/connectors", "/v1/shards"} {
		for name, list := range b.want(200, "GET", path, nil) {
			if items, ok := list.([]any); !ok || len(items) != 0 {
				t.Errorf("%s: %s is %v", path, name, list)
			}
		}
	}
}
