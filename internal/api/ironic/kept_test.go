package ironic_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// fakeNode creates a node of fake hardware.
func (c *cloud) fakeNode(more object) string {
	c.t.Helper()
	body := object{"driver": "fake-hardware"}
	for key, value := range more {
		body[key] = value
	}
	return c.call(Admin, "POST", "/v1/nodes", body, 201).Body["uuid"].(string)
}

// Each kind of thing that operators note is made, shown, listed, changed and deleted, and keeps what it was given.
func TestKept(t *testing.T) {
	c := boot(t)
	node := c.fakeNode(object{"name": "n"})
	step := object{"interface": "bios", "step": "apply", "args": object{"a": "b"}, "priority": 10.0}
	for _, x := range []struct {
		path, key     string
		given, change object // the fields of the body, and those of a patch
		bad           []object
	}{
		{"chassis", "chassis", object{"description": "В ряду", "extra": object{"row": 7.0}}, object{"description": "second"}, []object{{"description": 7}}},
		{"portgroups", "portgroups", object{"node_uuid": node, "address": "52:54:00:00:00:77", "name": "bond0", "mode": "802.3ad",
			"properties": object{"miimon": 100.0}, "standalone_ports_supported": false, "extra": object{}},
			object{"name": "bond1", "mode": "balance-rr", "standalone_ports_supported": true}, []object{{"address": "x"}, {"node_uuid": "none"}, {"name": "a b"}}},
		{"volume/connectors", "connectors", object{"node_uuid": node, "type": "iqn", "connector_id": "iqn.2026:a", "extra": object{"a": 1.0}},
			object{"connector_id": "iqn.2026:b"}, []object{{"type": "x"}, {"connector_id": nil}}},
		{"volume/targets", "targets", object{"node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": 0.0, "properties": object{"target_iqn": "x"}, "extra": object{}},
			object{"volume_id": "w", "boot_index": 2}, []object{{"boot_index": -1}, {"volume_type": ""}}},
		{"deploy_templates", "deploy_templates", object{"name": "CUSTOM_A", "steps": []any{step}, "extra": object{}},
			object{"name": "CUSTOM_B"}, []object{{"name": "b"}, {"steps": []any{}}, {"steps": []any{step, step}}}},
	} {
		t.Run(x.key, func(t *testing.T) {
			c.call(Admin, "PUT", "/v1/nodes/n/states/power", object{"target": "power off"}, 202) // or volumes stay as they are
			if err := c.Engine.RunDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			has := func(got, want object) {
				t.Helper()
				for name, value := range want {
					if !reflect.DeepEqual(got[name], value) {
						t.Errorf("%s is %v, want %v", name, got[name], value)
					}
				}
			}
			path := "/v1/" + x.path
			made := c.call(Admin, "POST", path, x.given, 201)
			has(made.Body, x.given)
			at := path + "/" + made.Body["uuid"].(string)
			if !strings.HasSuffix(made.Header.Get("Location"), at) || made.Body["updated_at"] != nil {
				t.Errorf("%s, %v", made.Header.Get("Location"), made.Body)
			}
			if shown := c.call(Admin, "GET", at, nil, 200).Body; !reflect.DeepEqual(shown, made.Body) {
				t.Errorf("%v, made as %v", shown, made.Body)
			}
			for _, query := range []string{"?detail=true", "?limit=1&fields=uuid", ""} {
				if all := c.call(Admin, "GET", path+query, nil, 200).Body[x.key].([]any); len(all) != 1 || all[0].(object)["uuid"] != made.Body["uuid"] {
					t.Errorf("%s: %v", query, all)
				}
			}
			if x.path != "chassis" { // of which there may be two alike
				c.call(Admin, "POST", path, x.given, 409)
			}
			var operations []object
			for name, value := range x.change {
				operations = append(operations, object{"op": "replace", "path": "/" + name, "value": value})
			}
			operations = append(operations, object{"op": "add", "path": "/extra/new", "value": "yes"})
			for _, bad := range x.bad {
				for name, value := range bad {
					c.call(Admin, "PATCH", at, append(slices.Clone(operations), object{"op": "add", "path": "/" + name, "value": value}), 400)
				}
			}
			if shown := c.call(Admin, "GET", at, nil, 200).Body; !reflect.DeepEqual(shown, made.Body) {
				t.Errorf("a patch that was refused left %v of %v", shown, made.Body)
			}
			changed := c.call(Admin, "PATCH", at, operations, 200).Body
			if changed["extra"].(object)["new"] != "yes" || changed["updated_at"] == nil {
				t.Errorf("%v", changed)
			}
			for name, value := range x.change {
				if number, ok := value.(int); ok {
					value = float64(number)
				}
				has(changed, object{name: value})
			}
			c.call(Admin, "DELETE", at, nil, 204)
			c.call(Admin, "GET", at, nil, 404)
			c.call(Admin, "PATCH", at, operations, 404)
			c.call(Admin, "DELETE", at, nil, 404)
		})
	}
}

// Steps are patched by their index.
func TestPatchOfLists(t *testing.T) {
	c := boot(t)
	step := func(name string) object {
		return object{"interface": "bios", "step": name, "args": object{}, "priority": 1.0}
	}
	c.call(Admin, "POST", "/v1/deploy_templates", object{"name": "CUSTOM_T", "steps": []any{step("a"), step("b")}}, 201)
	patch := func(status int, operations ...object) []any {
		t.Helper()
		got := c.call(Admin, "PATCH", "/v1/deploy_templates/CUSTOM_T", operations, status)
		steps, _ := got.Body["steps"].([]any)
		return steps
	}
	names := func(steps []any) (names string) {
		for _, s := range steps {
			names += s.(object)["step"].(string)
		}
		return names
	}
	if got := names(patch(200, object{"op": "add", "path": "/steps/0", "value": step("c")}, object{"op": "add", "path": "/steps/-", "value": step("d")})); got != "cabd" {
		t.Error(got)
	}
	if got := names(patch(200, object{"op": "remove", "path": "/steps/1"}, object{"op": "replace", "path": "/steps/1/step", "value": "e"})); got != "ced" {
		t.Error(got)
	}
	for _, bad := range []object{
		{"op": "add", "path": "/steps/4", "value": step("x")}, {"op": "remove", "path": "/steps/3"}, {"op": "remove", "path": "/steps/-1"},
		{"op": "replace", "path": "/steps/-", "value": step("x")}, {"op": "add", "path": "/steps/x", "value": step("x")}, {"op": "remove", "path": "/steps"},
		{"op": "add", "path": "/steps/0/step/x", "value": "x"},
	} {
		patch(400, bad)
	}
}

// The volumes of a node change only while it is off, since its firmware reads of them when it starts.
func TestVolumesOfARunningNode(t *testing.T) {
	c := boot(t)
	c.Start()
	node := c.fakeNode(nil)
	connector := c.call(Admin, "POST", "/v1/volume/connectors", object{"node_uuid": node, "type": "ip", "connector_id": "10.0.0.1"}, 201).Body["uuid"].(string)
	target := c.call(Admin, "POST", "/v1/volume/targets", object{"node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": 1}, 201).Body["uuid"].(string)
	power := func(target string) {
		c.call(Admin, "PUT", "/v1/nodes/"+node+"/states/power", object{"target": target}, 202)
	}
	patch := []object{{"op": "add", "path": "/extra/a", "value": 1}}
	power("power on")
	for _, at := range []string{"/v1/volume/connectors/" + connector, "/v1/volume/targets/" + target} {
		for method, body := range map[string]any{"PATCH": patch, "DELETE": nil} {
			if got := c.call(Admin, method, at, body, 400); !strings.Contains(got.Text, "can not be performed on node") {
				t.Error(got.Text)
			}
		}
	}
	power("power off") // and at once, as clients do
	c.call(Admin, "PATCH", "/v1/volume/connectors/"+connector, patch, 200)
	c.call(Admin, "DELETE", "/v1/volume/targets/"+target, nil, 204)
	if got := c.call(Admin, "GET", "/v1/nodes/"+node+"/volume/connectors", nil, 200).Body["connectors"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// A bond's members are of one node and on one network; neither bond nor chassis goes while something is in it.
func TestMembership(t *testing.T) {
	c := boot(t)
	chassis := c.call(Admin, "POST", "/v1/chassis", object{}, 201).Body["uuid"].(string)
	node, other := c.fakeNode(object{"chassis_uuid": chassis}), c.fakeNode(nil)
	group := c.call(Admin, "POST", "/v1/portgroups", object{"node_uuid": node, "name": "bond"}, 201).Body["uuid"].(string)
	port := func(node, mac, physical string, status int) string {
		body := object{"node_uuid": node, "address": mac, "portgroup_uuid": group, "physical_network": physical}
		id, _ := c.call(Admin, "POST", "/v1/ports", body, status).Body["uuid"].(string)
		return id
	}
	first := port(node, "52:54:00:00:00:01", "east", 201)
	port(node, "52:54:00:00:00:02", "west", 409)
	port(other, "52:54:00:00:00:03", "east", 400)
	second := port(node, "52:54:00:00:00:04", "east", 201)
	c.call(Admin, "PATCH", "/v1/ports/"+second, []object{{"op": "replace", "path": "/physical_network", "value": "west"}}, 409)
	for _, path := range []string{"/v1/portgroups/bond/ports", "/v1/ports?portgroup=bond", "/v1/portgroups/" + group + "/ports/detail"} {
		if ports := c.call(Admin, "GET", path, nil, 200).Body["ports"].([]any); len(ports) != 2 || ports[0].(object)["uuid"] != first {
			t.Errorf("%s: %v", path, ports)
		}
	}
	c.call(Admin, "DELETE", "/v1/portgroups/bond", nil, 400)
	c.call(Admin, "DELETE", "/v1/chassis/"+chassis, nil, 400)
	if nodes := c.call(Admin, "GET", "/v1/chassis/"+chassis+"/nodes", nil, 200).Body["nodes"].([]any); len(nodes) != 1 || nodes[0].(object)["uuid"] != node {
		t.Errorf("%v", nodes)
	}
	c.call(Admin, "DELETE", "/v1/nodes/"+node, nil, 204)
	c.call(Admin, "GET", "/v1/portgroups/bond", nil, 404)
	c.call(Admin, "DELETE", "/v1/chassis/"+chassis, nil, 204)
}

// What a project leases it sees and uses, and how the node is driven stays its owner's.
func TestLessee(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	c.call(Demo, "GET", "/v1/nodes/m", nil, 404)
	c.call(Admin, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/lessee", "value": DemoProject}}, 200)
	got := c.call(Demo, "GET", "/v1/nodes/m", nil, 200)
	if strings.Contains(got.Text, "redfish_address") || strings.Contains(got.Text, c.Machines[0].BMC.Address) || got.Body["lessee"] != DemoProject {
		t.Errorf("%s", got.Text)
	}
	for _, query := range []string{"", "?lessee=" + DemoProject, "?project=" + DemoProject} {
		if nodes := c.call(Demo, "GET", "/v1/nodes"+query, nil, 200).Body["nodes"].([]any); len(nodes) != 1 {
			t.Errorf("%s: %v", query, nodes)
		}
	}
	c.call(Demo, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/instance_info/display_name", "value": "x"}}, 200)
	c.call(Demo, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/description", "value": "x"}}, 403)
	c.call(Demo, "PATCH", "/v1/nodes/m", []object{{"op": "remove", "path": "/lessee"}}, 403)
	c.call(Reader, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/extra/x", "value": 1}}, 403)
	c.call(Demo, "PUT", "/v1/nodes/m/states/power", object{"target": "power on"}, 202)
	c.call(Other, "GET", "/v1/nodes/m", nil, 404)
}

// Nodes are counted by shard and found by it and by their parent.
func TestShardsAndChildren(t *testing.T) {
	c := boot(t)
	parent := c.fakeNode(object{"name": "p", "shard": "a"})
	child := c.fakeNode(object{"parent_node": "p", "shard": "b"})
	c.fakeNode(nil)
	if got := c.call(Admin, "GET", "/v1/shards", nil, 200).Text; !strings.Contains(got, `[{"count":1,"name":null},{"count":1,"name":"a"},{"count":1,"name":"b"}]`) {
		t.Error(got)
	}
	for query, want := range map[string]int{"shard=a": 1, "shard=a,b": 2, "sharded=true": 2, "sharded=false": 1, "parent_node=" + parent: 1, "shard=c": 0} {
		if nodes := c.call(Admin, "GET", "/v1/nodes?"+query, nil, 200).Body["nodes"].([]any); len(nodes) != want {
			t.Errorf("%s: %v", query, nodes)
		}
	}
	if got := c.call(Admin, "GET", "/v1/nodes/p/children", nil, 200).Body["children"].([]any); len(got) != 1 || got[0] != child {
		t.Errorf("%v", got)
	}
}
