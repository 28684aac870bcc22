package ironic_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// message is the sentence in Ironic's envelope, which is JSON within JSON.
func message(t *testing.T, got Answer) string {
	t.Helper()
	text, _ := got.Body["error_message"].(string)
	var inner struct{ Faultcode, Faultstring string }
	if err := json.Unmarshal([]byte(text), &inner); err != nil || inner.Faultstring == "" || inner.Faultcode != "Client" {
		t.Fatalf("no envelope of Ironic's: %s", got.Text)
	}
	return inner.Faultstring
}

// Bad input is refused with a sentence that names it, and changes nothing.
func TestBadInput(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"}, machinetest.Spec{Name: "other", IPMI: true})
	m := c.Machines[0]
	c.enrol(m)
	c.enrol(c.Machines[1])
	port := c.call(Admin, "GET", "/v1/nodes/m/ports", nil, 200).Body["ports"].([]any)[0].(object)["uuid"].(string)
	set := func(path string, value any) []object { return []object{{"op": "add", "path": path, "value": value}} }
	before := c.call(Admin, "GET", "/v1/nodes/detail", nil, 200).Body
	for _, x := range []struct {
		method, path string
		body         any
		status       int
		says         string
	}{
		{"POST", "/nodes", `{"driver": `, 400, "JSON"},
		{"POST", "/nodes", nil, 400, "JSON body"},
		{"POST", "/nodes", object{"name": "x"}, 400, "'driver' is a required"},
		{"POST", "/nodes", object{"driver": "snmp"}, 400, "snmp"},
		{"POST", "/nodes", object{"driver": 7}, 400, "driver"},
		{"POST", "/nodes", object{"driver": "ipmi", "color": "red"}, 400, "'color'"},
		{"POST", "/nodes", object{"driver": "ipmi", "provision_state": "active"}, 400, "'provision_state'"},
		{"POST", "/nodes", object{"driver": "ipmi", "uuid": "m"}, 400, "UUID"},
		{"POST", "/nodes", object{"driver": "ipmi", "uuid": m.ID}, 409, m.ID},
		{"POST", "/nodes", object{"driver": "ipmi", "name": "m"}, 409, "already exists"},
		{"POST", "/nodes", object{"driver": "ipmi", "name": "states"}, 400, "states"},
		{"POST", "/nodes", object{"driver": "ipmi", "name": "a/b"}, 400, "a/b"},
		{"POST", "/nodes", object{"driver": "ipmi", "name": m.ID}, 400, "invalid name"},
		{"POST", "/nodes", object{"driver": "ipmi", "lessee": 7}, 400, "lessee"},
		{"POST", "/nodes", object{"driver": "ipmi", "automated_clean": false}, 400, "always on"},
		{"POST", "/nodes", object{"driver": "ipmi", "chassis_uuid": m.ID}, 400, "Chassis"},
		{"POST", "/nodes", object{"driver": "ipmi", "parent_node": "none"}, 400, "none"},
		{"POST", "/nodes", object{"driver": "ipmi", "conductor_group": "east"}, 400, "conductor_group"},
		{"POST", "/nodes", object{"driver": "ipmi", "network_data": object{"nics": []any{}}}, 400, "network_data"},
		{"POST", "/nodes", object{"driver": "ipmi", "retired_reason": "old"}, 400, "retired"},
		{"POST", "/nodes", object{"driver": "fake-hardware", "boot_interface": "ipxe"}, 400, "boot_interface"},
		{"POST", "/nodes", object{"driver": "ipmi", "network_interface": "noop"}, 400, "network_interface"},
		{"POST", "/nodes", object{"driver": "ipmi", "properties": "many"}, 400, "properties"},
		{"POST", "/nodes", object{"driver": "ipmi", "resource_class": strings.Repeat("x", 81)}, 400, "resource_class"},
		{"POST", "/nodes", object{"driver": "ipmi", "instance_uuid": "mine"}, 400, "instance_uuid"},
		{"POST", "/nodes", object{"driver": "ipmi", "driver_info": object{"ipmi_adress": "h"}}, 400, "ipmi_adress"},
		{"POST", "/nodes", object{"driver": "ipmi", "driver_info": object{"redfish_address": "h"}}, 400, "redfish_address"},
		{"POST", "/nodes", object{"driver": "ipmi", "driver_info": object{"ipmi_address": "h", "ipmi_port": 70000}}, 400, "ipmi_port"},
		{"POST", "/nodes", object{"driver": "ipmi", "driver_info": object{"ipmi_address": "h:623"}}, 400, "ipmi_port"},
		{"POST", "/nodes", object{"driver": "ipmi", "driver_info": object{"ipmi_address": []int{1}}}, 400, "ipmi_address"},
		{"POST", "/nodes", object{"driver": "redfish", "driver_info": object{"redfish_address": "http://h"}}, 400, "http://h"},
		{"POST", "/nodes", object{"driver": "redfish", "driver_info": object{"redfish_address": "https://u:p@h"}}, 400, "https://address"},
		{"POST", "/nodes", object{"driver": "redfish", "driver_info": object{"redfish_address": "h", "redfish_system_id": "1"}}, 400, "redfish_system_id"},
		{"POST", "/nodes", object{"driver": "redfish", "driver_info": object{"redfish_address": "h", "redfish_verify_ca": "/etc/ssl/ca.pem"}}, 400, "Paths on the server"},

		{"PATCH", "/nodes/m", object{"name": "x"}, 400, ""},
		{"PATCH", "/nodes/m", []object{{"op": "move", "path": "/name", "from": "/x"}}, 400, ""},
		{"PATCH", "/nodes/m", []object{{"op": "test", "path": "/name", "value": "m"}}, 400, "test"},
		{"PATCH", "/nodes/m", []object{{"op": "add", "path": "/name"}}, 400, "/name"},
		{"PATCH", "/nodes/m", []object{{"op": "remove", "path": "/extra/none"}}, 400, "/extra/none"},
		{"PATCH", "/nodes/m", []object{{"op": "replace", "path": "/extra/none", "value": 1}}, 400, "/extra/none"},
		{"PATCH", "/nodes/m", set("/extra/a/b", 1), 400, "/extra/a/b"},
		{"PATCH", "/nodes/m", set("name", "x"), 400, "name"},
		{"PATCH", "/nodes/m", set("/uuid", m.ID), 400, "internal attribute"},
		{"PATCH", "/nodes/m", set("/power_state", "power on"), 400, "internal attribute"},
		{"PATCH", "/nodes/m", set("/nonsense", 1), 400, "/nonsense"},
		{"PATCH", "/nodes/m", set("/name", "other"), 409, "already exists"},
		{"PATCH", "/nodes/m", []object{{"op": "remove", "path": "/driver"}, {"op": "add", "path": "/driver", "value": "x"}}, 400, "x"},
		{"PATCH", "/nodes/m", []object{{"op": "remove", "path": "/driver"}}, 400, "driver"},
		{"PATCH", "/nodes/m", set("/driver", "ipmi"), 400, "redfish_"},
		{"PATCH", "/nodes/m", set("/protected", true), 409, "protected"},
		{"PATCH", "/nodes/m", set("/protected_reason", "x"), 400, "protected"},
		{"PATCH", "/nodes/m", set("/instance_info", "x"), 400, "instance_info"},
		{"PATCH", "/nodes/m?reset_interfaces=true", set("/extra/a", 1), 400, "reset_interfaces"},
		{"PATCH", "/nodes/m", set("/maintenance", "yes"), 400, "maintenance"},
		{"PATCH", "/nodes/m", []object{{"op": "add", "path": "/extra/a", "value": 1}, {"op": "add", "path": "/nonsense", "value": 1}}, 400, "/nonsense"},
		{"PATCH", "/nodes/none", set("/extra/a", 1), 404, "none"},

		{"PUT", "/nodes/m/states/provision", object{"target": "fly"}, 400, "fly"},
		{"PUT", "/nodes/m/states/provision", object{"target": "provide"}, 400, `in state "enroll"`},
		{"PUT", "/nodes/m/states/provision", object{"target": "active"}, 400, "Nova"},
		{"PUT", "/nodes/m/states/provision", object{"target": "rebuild"}, 400, "Nova"},
		{"PUT", "/nodes/m/states/provision", object{"target": "adopt"}, 400, `in state "enroll"`},
		{"PUT", "/nodes/m/states/provision", object{"target": "rescue", "rescue_password": "x"}, 400, "rescue"},
		{"PUT", "/nodes/m/states/provision", object{"target": "clean", "clean_steps": []any{}}, 400, "provide"},
		{"PUT", "/nodes/m/states/provision", object{"target": "unhold"}, 400, "no work"},
		{"PUT", "/nodes/m/states/provision", object{"target": "manage", "configdrive": "x"}, 400, "configdrive"},
		{"PUT", "/nodes/m/states/provision", object{"target": "manage", "now": true}, 400, "now"},
		{"PUT", "/nodes/m/states/provision", object{}, 400, "not known"},
		{"PUT", "/nodes/m/states/power", object{"target": "on"}, 400, "power on"},
		{"PUT", "/nodes/m/states/power", object{"target": "soft power off", "timeout": 0}, 400, "timeout"},
		{"PUT", "/nodes/m/states/power", object{"target": "soft power off", "timeout": -1}, 400, ""},
		{"PUT", "/nodes/m/states/raid", object{}, 400, "raid"},
		{"PUT", "/nodes/m/maintenance", `{"reason": 7}`, 400, "reason"},
		{"PUT", "/nodes/m/traits", object{"traits": []string{"fast"}}, 400, "fast"},
		{"PUT", "/nodes/m/traits/fast", nil, 400, "fast"},
		{"DELETE", "/nodes/m/traits/CUSTOM_NONE", nil, 404, "CUSTOM_NONE"},
		{"POST", "/nodes/m/vifs", object{"id": "x"}, 409, "quarantine"},
		{"POST", "/nodes/m/vifs", object{}, 400, "'id'"},
		{"DELETE", "/nodes/m/vifs/x", nil, 400, "not attached"},

		{"POST", "/ports", object{"address": "52:54:00:00:00:99"}, 400, "node_uuid"},
		{"POST", "/ports", object{"node_uuid": m.ID}, 400, "address"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": "52:54"}, 400, "52:54"},
		{"POST", "/ports", object{"node_uuid": "nobody", "address": "52:54:00:00:00:99"}, 400, "nobody"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": strings.ToUpper(m.MACs[0])}, 409, "already exists"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": "52:54:00:00:00:99", "uuid": port}, 409, "already exists"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": "52:54:00:00:00:99", "physical_network": ""}, 400, "physical_network"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": "52:54:00:00:00:99", "portgroup_uuid": m.ID}, 400, "Portgroup"},
		{"POST", "/ports", object{"node_uuid": m.ID, "address": "52:54:00:00:00:99", "speed": 1}, 400, "'speed'"},
		{"PATCH", "/ports/" + port, set("/node_uuid", m.ID), 400, "internal attribute"},
		{"PATCH", "/ports/" + port, set("/pxe_enabled", "maybe"), 400, "pxe_enabled"},
		{"PATCH", "/ports/" + port, set("/address", c.Machines[1].MACs[0]), 409, "already exists"},
		{"GET", "/ports/none", nil, 400, "none"},
		{"GET", "/ports/" + m.ID, nil, 404, m.ID},

		{"GET", "/nodes?limit=x", nil, 400, "limit"},
		{"GET", "/nodes?marker=none", nil, 400, "none"},
		{"GET", "/nodes?sort_key=links", nil, 400, "links"},
		{"GET", "/nodes?fields=uuid,color", nil, 400, "color"},
		{"GET", "/nodes?detail=true&fields=uuid", nil, 400, "detail"},
		{"GET", "/nodes?color=red", nil, 400, "color"},
		{"GET", "/ports?driver=ipmi", nil, 400, "driver"},
		{"GET", "/nodes?address=52:54:00:00:00:99", nil, 400, "address"},
		{"GET", "/nodes?maintenance=perhaps", nil, 400, "perhaps"},
		{"GET", "/nodes/m?fields=color", nil, 400, "color"},
		{"GET", "/nodes?fault=smoke", nil, 400, "smoke"},
		{"POST", "/chassis", object{"description": strings.Repeat("x", 256)}, 400, "255"},
		{"POST", "/chassis", object{"uuid": "x"}, 400, "UUID"},
		{"GET", "/chassis/none", nil, 400, "UUID"},
		{"POST", "/portgroups", object{"address": "52:54:00:00:00:99"}, 400, "node_uuid"},
		{"POST", "/portgroups", object{"node_uuid": m.ID, "address": "x"}, 400, "MAC"},
		{"POST", "/portgroups", object{"node_uuid": m.ID, "name": "a/b"}, 400, "a/b"},
		{"POST", "/volume/connectors", object{"node_uuid": m.ID, "type": "usb", "connector_id": "x"}, 400, "type"},
		{"POST", "/volume/targets", object{"node_uuid": m.ID, "volume_type": "iscsi", "volume_id": "x"}, 400, "boot_index"},
		{"POST", "/volume/targets", object{"node_uuid": m.ID, "volume_type": "iscsi", "volume_id": "x", "boot_index": "first"}, 400, "boot_index"},
		{"POST", "/deploy_templates", object{"name": "fast", "steps": []any{}}, 400, "trait"},
		{"POST", "/deploy_templates", object{"name": "CUSTOM_A", "steps": []any{}}, 400, "steps"},
		{"POST", "/deploy_templates", object{"name": "CUSTOM_A", "steps": []any{object{"interface": "bios", "step": "x"}}}, 400, "step"},
		{"POST", "/allocations", object{"name": "a"}, 400, "resource_class"},
		{"POST", "/allocations", object{"resource_class": "bm", "candidate_nodes": []string{"none"}}, 400, "none"},
		{"POST", "/allocations", object{"resource_class": "bm", "traits": []string{"fast"}}, 400, "fast"},
		{"POST", "/allocations", object{"node": "m"}, 409, "active"},
		{"GET", "/nodes/m/allocation", nil, 404, "Allocation"},
		{"POST", "/nodes/m/vendor_passthru/reset", nil, 400, "vendor_passthru"},
		{"GET", "/nodes/m/bios/boot", nil, 404, "boot"},
		{"GET", "/drivers/none", nil, 404, "none"},
		{"GET", "/conductors/none", nil, 404, "none"},
		{"GET", "/nodes/none", nil, 404, "none"},
	} {
		t.Run(fmt.Sprint(x.method, x.path, x.body), func(t *testing.T) {
			got := c.Do(Admin, x.method, "/baremetal/v1"+x.path, x.body, "X-OpenStack-Ironic-API-Version: latest")
			if got.Status != x.status {
				t.Fatalf("%d %s, want %d", got.Status, got.Text, x.status)
			}
			if text := message(t, got); !strings.Contains(text, x.says) {
				t.Errorf("%q does not speak of %q", text, x.says)
			}
		})
	}
	if after := c.call(Admin, "GET", "/v1/nodes/detail", nil, 200).Body; !reflect.DeepEqual(before, after) {
		t.Errorf("changed from\n%v to\n%v", before, after)
	}
}

// Each way to write how a BMC is reached, and how it is shown then.
func TestDriverInfo(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	ca := c.Machines[0].BMC.CA
	for _, x := range []struct {
		driver      string
		given, want object
		address     string
	}{
		{"ipmi", object{}, object{}, ""},
		{"ipmi", object{"ipmi_address": "10.0.0.1"}, object{"ipmi_address": "10.0.0.1"}, "10.0.0.1"},
		{"ipmi", object{"ipmi_address": "10.0.0.1", "ipmi_port": 6230}, object{"ipmi_address": "10.0.0.1", "ipmi_port": "6230"}, "10.0.0.1:6230"},
		{"ipmi", object{"ipmi_address": "fd00::1"}, object{"ipmi_address": "fd00::1"}, "[fd00::1]"},
		{"ipmi", object{"ipmi_address": "fd00::1", "ipmi_port": "623"}, object{"ipmi_address": "fd00::1", "ipmi_port": "623"}, "[fd00::1]:623"},
		{"redfish", object{"redfish_address": "bmc.example.com"}, object{"redfish_address": "https://bmc.example.com"}, "https://bmc.example.com"},
		{"redfish", object{"redfish_address": "https://h:8443/", "redfish_system_id": "/redfish/v1/Systems/1"},
			object{"redfish_address": "https://h:8443", "redfish_system_id": "/redfish/v1/Systems/1"}, "https://h:8443/redfish/v1/Systems/1"},
		{"redfish", object{"redfish_address": "h", "redfish_verify_ca": "False"}, object{"redfish_address": "https://h", "redfish_verify_ca": false}, "https://h"},
		{"redfish", object{"redfish_address": "h", "redfish_verify_ca": true}, object{"redfish_address": "https://h"}, "https://h"},
		{"redfish", object{"redfish_address": "h", "redfish_verify_ca": ca}, object{"redfish_address": "https://h", "redfish_verify_ca": ca}, "https://h"},
		{"redfish", object{"redfish_address": "h", "redfish_username": "u", "redfish_password": "secret"},
			object{"redfish_address": "https://h", "redfish_username": "u", "redfish_password": "******"}, "https://h"},
	} {
		node := c.call(Admin, "POST", "/v1/nodes", object{"driver": x.driver, "driver_info": x.given}, 201).Body
		if !reflect.DeepEqual(node["driver_info"], x.want) {
			t.Errorf("%v is shown as %v", x.given, node["driver_info"])
		}
		m, err := c.Service.Get(t.Context(), c.DB, node["uuid"].(string))
		if err != nil || m.BMC.Address != x.address || m.BMC.Insecure != (x.want["redfish_verify_ca"] == false) {
			t.Errorf("%v: %+v, %v", x.given, m.BMC, err)
		}
	}
}

func TestPatch(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	patch := func(operations ...object) object {
		t.Helper()
		return c.call(Admin, "PATCH", "/v1/nodes/"+c.Machines[0].ID, operations, 200).Body
	}
	before := c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body
	after := patch(
		object{"op": "add", "path": "/extra/a", "value": object{"b": []int{1, 2}}},
		object{"op": "add", "path": "/extra/x~1y", "value": "slash"},
		object{"op": "replace", "path": "/extra/a/b", "value": 3},
		object{"op": "add", "path": "/properties", "value": object{"cpus": 8}},
		object{"op": "replace", "path": "/name", "value": "n"},
		object{"op": "add", "path": "/description", "value": "Größe"},
		object{"op": "remove", "path": "/resource_class"},
		object{"op": "add", "path": "/lessee", "value": nil},
		object{"op": "replace", "path": "/network_interface", "value": "neutron"},
		object{"op": "remove", "path": "/power_interface"},
		object{"op": "add", "path": "/driver_info/redfish_system_id", "value": "/redfish/v1/Systems/1"},
	)
	want := maps.Clone(before)
	want["extra"], want["properties"], want["name"] = object{"a": object{"b": 3.0}, "x/y": "slash"}, object{"cpus": 8.0}, "n"
	want["description"], want["resource_class"], want["updated_at"] = "Größe", nil, after["updated_at"]
	want["driver_info"] = maps.Clone(before["driver_info"].(object))
	want["driver_info"].(object)["redfish_system_id"] = "/redfish/v1/Systems/1"
	if !reflect.DeepEqual(after, want) {
		t.Errorf("got\n%v, want\n%v", after, want)
	}
	if again := c.call(Admin, "GET", "/v1/nodes/n", nil, 200).Body; !reflect.DeepEqual(again, after) {
		t.Errorf("kept\n%v, answered\n%v", again, after)
	}
	after = patch(object{"op": "remove", "path": "/extra"}, object{"op": "remove", "path": "/name"}, object{"op": "add", "path": "/maintenance", "value": true},
		object{"op": "add", "path": "/maintenance_reason", "value": "fan"})
	if len(after["extra"].(object)) > 0 || after["name"] != nil || after["maintenance"] != true || after["maintenance_reason"] != "fan" {
		t.Errorf("%v", after)
	}
	if after = patch(object{"op": "replace", "path": "/maintenance", "value": false}); after["maintenance_reason"] != nil {
		t.Errorf("%v", after)
	}
}

func TestLists(t *testing.T) {
	c := boot(t)
	for i := range 5 {
		body := object{"driver": []string{"redfish", "ipmi"}[i%2], "name": fmt.Sprintf("n%d", 4-i), "resource_class": fmt.Sprintf("c%d", i/2), "description": fmt.Sprintf("rack %d", i)}
		node := c.call(Admin, "POST", "/v1/nodes", body, 201).Body
		c.call(Admin, "POST", "/v1/ports", object{"node_uuid": node["uuid"], "address": fmt.Sprintf("52:54:00:00:00:0%d", i), "extra": object{"n": i}}, 201)
	}
	c.call(Admin, "PUT", "/v1/nodes/n0/maintenance", object{"reason": "x"}, 202)
	names := func(query string) (names []string) {
		t.Helper()
		path := "/v1/nodes/detail?" + query
		for path != "" {
			got := c.call(Admin, "GET", path, nil, 200).Body
			for _, n := range got["nodes"].([]any) {
				names = append(names, n.(object)["name"].(string))
			}
			next, _ := got["next"].(string)
			_, path, _ = strings.Cut(next, "/baremetal")
		}
		return names
	}
	for query, want := range map[string][]string{
		"":                                  {"n4", "n3", "n2", "n1", "n0"},
		"sort_key=name":                     {"n0", "n1", "n2", "n3", "n4"},
		"sort_key=name&sort_dir=desc":       {"n4", "n3", "n2", "n1", "n0"},
		"limit=2":                           {"n4", "n3", "n2", "n1", "n0"},
		"limit=3&detail=true":               {"n4", "n3", "n2", "n1", "n0"},
		"limit=5":                           {"n4", "n3", "n2", "n1", "n0"},
		"limit=2&sort_key=name":             {"n0", "n1", "n2", "n3", "n4"},
		"limit=0&driver=ipmi":               {"n3", "n1"},
		"resource_class=c1":                 {"n2", "n1"},
		"resource_class=c1&driver=ipmi":     {"n1"},
		"maintenance=true":                  {"n0"},
		"maintenance=False&driver=redfish":  {"n4", "n2"},
		"associated=true":                   nil,
		"associated=false&limit=4":          {"n4", "n3", "n2", "n1", "n0"},
		"instance_uuid=none":                nil,
		"provision_state=enroll":            {"n4", "n3", "n2", "n1", "n0"},
		"provision_state=active":            nil,
		"owner=" + AdminProject:             {"n4", "n3", "n2", "n1", "n0"},
		"owner=" + DemoProject:              nil,
		"fault=none":                        {"n4", "n3", "n2", "n1", "n0"},
		"fault=power%20failure":             nil,
		"lessee=" + DemoProject:             nil,
		"shard=a":                           nil,
		"description_contains=rack%203":     {"n1"},
		"retired=true":                      nil,
		"conductor_group=":                  {"n4", "n3", "n2", "n1", "n0"},
		"project=" + DemoProject:            nil,
		"include_children=true&driver=ipmi": {"n3", "n1"},
	} {
		if got := names(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for path, want := range map[string]string{
		"/v1/nodes?fields=name&limit=1&sort_key=name":                     `"nodes":[{"name":"n0"}]`,
		"/v1/nodes?fields=name&limit=1":                                   `"nodes":[{"name":"n4"}]`,
		"/v1/nodes/n0?fields=name,resource_class":                         `{"name":"n0","resource_class":"c2"}`,
		"/v1/ports?address=52:54:00:00:00:03&fields=address":              `{"ports":[{"address":"52:54:00:00:00:03"}]}`,
		"/v1/ports?node=n4&fields=address":                                `{"ports":[{"address":"52:54:00:00:00:00"}]}`,
		"/v1/nodes/n4/ports?fields=address":                               `{"ports":[{"address":"52:54:00:00:00:00"}]}`,
		"/v1/ports/detail?address=52:54:00:00:00:03&node=n4":              `{"ports":[]}`,
		"/v1/ports?detail=true&node=n3&address=52:54:00:00:00:01&limit=1": `"extra":{"n":1}`,
		"/v1/ports?portgroup=x":                                           `{"ports":[]}`,
		"/v1/nodes/n4/children":                                           `{"children":[]}`,
		"/v1/nodes/n4/bios":                                               `{"bios":[]}`,
		"/v1/deploy_templates":                                            `{"deploy_templates":[]}`,
		"/v1/volume/targets":                                              `{"targets":[]}`,
		"/v1/drivers?type=classic":                                        `{"drivers":[]}`,
	} {
		if got := c.call(Admin, "GET", path, nil, 200).Text; !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// What a version does not have yet is neither shown nor taken.
func TestVersions(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	at := "/v1/nodes/" + c.Machines[0].ID
	counts := map[string]int{}
	for _, x := range []struct{ version, has, not string }{
		{"1.1", "driver_info", "name"}, {"1.5", "name", "clean_step"}, {"1.21", "resource_class", "boot_interface"},
		{"1.50", "owner", "description"}, {"1.75", "boot_mode", "shard"}, {"1.87", "service_step", "disable_power_off"},
	} {
		c.version = x.version
		node := c.call(Admin, "GET", at, nil, 200).Body
		_, has := node[x.has]
		_, not := node[x.not]
		if !has || not {
			t.Errorf("%s: %s: %v, %s: %v", x.version, x.has, has, x.not, not)
		}
		counts[x.version] = len(node)
	}
	if counts["1.1"] != 22 || counts["1.87"] != 66 {
		t.Errorf("fields: %v", counts)
	}
	for _, x := range []struct {
		version, method, path string
		body                  any
		status                int
	}{
		{"1.0", "GET", at, nil, 406},
		{"1.99", "GET", at, nil, 406},
		{"one", "GET", at, nil, 400},
		{"1.49", "PATCH", at, []object{{"op": "add", "path": "/owner", "value": "x"}}, 406},
		{"1.20", "POST", "/v1/nodes", object{"driver": "ipmi", "resource_class": "x"}, 406},
		{"1.18", "POST", "/v1/ports", object{"node_uuid": c.Machines[0].ID, "address": "52:54:00:00:00:99", "pxe_enabled": false}, 406},
		{"1.3", "PUT", at + "/states/provision", object{"target": "manage"}, 406},
		{"1.26", "PUT", at + "/states/power", object{"target": "soft power off"}, 406},
		{"1.49", "GET", "/v1/nodes?owner=x", nil, 406},
		{"1.50", "GET", "/v1/nodes?fields=description", nil, 406},
		{"1.42", "GET", "/v1/nodes?detail=true", nil, 406},
		{"1.33", "GET", "/v1/ports?fields=physical_network", nil, 406},
		{"1.36", "GET", at + "/traits", nil, 406},
		{"1.36", "PUT", at + "/traits", object{"traits": []string{}}, 405},
		{"1.36", "DELETE", at + "/traits", nil, 404},
		{"1.22", "GET", "/v1/portgroups", nil, 404},
		{"1.54", "GET", "/v1/deploy_templates", nil, 404},
		{"1.51", "GET", "/v1/allocations", nil, 404},
		{"1.56", "PATCH", "/v1/allocations/x", []object{}, 405},
		{"1.44", "PATCH", at + "?reset_interfaces=true", []object{}, 406},
		{"1.48", "GET", "/v1/conductors", nil, 404},
		{"1.80", "GET", at + "/inventory", nil, 404},
	} {
		c.version = x.version
		c.call(Admin, x.method, x.path, x.body, x.status)
	}
	got := c.Do("", "GET", "/baremetal/", nil)
	if v := got.Body["default_version"].(object); v["min_version"] != "1.1" || v["version"] != "1.87" || got.Header.Get("X-OpenStack-Ironic-API-Maximum-Version") != "1.87" {
		t.Errorf("%s %v", got.Text, got.Header)
	}
	c.version = "1.87"
	if v1 := c.call("", "GET", "/v1/", nil, 200).Body; v1["shards"] == nil || v1["nodes"] == nil || v1["lookup"] != nil {
		t.Errorf("%v", v1)
	}
}

func TestTraitsAndPorts(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	traits := func(want ...any) {
		t.Helper()
		if got := c.call(Admin, "GET", "/v1/nodes/m/traits", nil, 200).Body["traits"].([]any); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	traits()
	c.call(Admin, "PUT", "/v1/nodes/m/traits", object{"traits": []string{"HW_CPU_X86_VMX", "CUSTOM_A", "CUSTOM_A"}}, 204)
	c.call(Admin, "PUT", "/v1/nodes/m/traits/CUSTOM_B", nil, 204)
	traits("CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_VMX")
	c.call(Admin, "DELETE", "/v1/nodes/m/traits/CUSTOM_A", nil, 204)
	traits("CUSTOM_B", "HW_CPU_X86_VMX")
	c.call(Admin, "DELETE", "/v1/nodes/m/traits", nil, 204)
	traits()

	link := object{"switch_id": "00:11:22:33:44:55", "port_id": "Ethernet1"}
	port := c.call(Admin, "POST", "/v1/ports", object{"node_uuid": c.Machines[0].ID, "address": "52:54:00:AA:00:99", "local_link_connection": link, "pxe_enabled": false}, 201).Body
	if port["address"] != "52:54:00:aa:00:99" || port["pxe_enabled"] != false || !reflect.DeepEqual(port["local_link_connection"], link) {
		t.Errorf("%v", port)
	}
	at := "/v1/ports/" + port["uuid"].(string)
	port = c.call(Admin, "PATCH", at, []object{{"op": "replace", "path": "/address", "value": "52:54:00:aa:00:98"}, {"op": "remove", "path": "/pxe_enabled"},
		{"op": "remove", "path": "/local_link_connection/port_id"}, {"op": "add", "path": "/extra/x", "value": 1}}, 200).Body
	if port["address"] != "52:54:00:aa:00:98" || port["pxe_enabled"] != true || len(port["local_link_connection"].(object)) != 1 {
		t.Errorf("%v", port)
	}
	if again := c.call(Admin, "GET", at, nil, 200).Body; !reflect.DeepEqual(again, port) {
		t.Errorf("%v", again)
	}
	c.call(Admin, "DELETE", at, nil, 204)
	c.call(Admin, "GET", at, nil, 404)
}
