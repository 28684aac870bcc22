package ironic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

func TestCreateRefuses(t *testing.T) {
	b := newBench(t)
	with := func(more object) object {
		body := object{"driver": "redfish", "name": "n"}
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	for name, c := range map[string]struct {
		body   any
		status int
		says   string
	}{
		"no driver":            {object{"name": "n"}, 400, "required"},
		"another driver":       {object{"driver": "fake-hardware"}, 400, "fake-hardware"},
		"no object":            {"[]", 400, ""},
		"an unknown field":     {with(object{"colour": "red"}), 400, "colour"},
		"a state":              {with(object{"provision_state": "active"}), 400, "internal"},
		"a bad name":           {with(object{"name": "a b"}), 400, "invalid name"},
		"a UUID as name":       {with(object{"name": "11111111-2222-4333-8444-555555555555"}), 400, "invalid name"},
		"no UUID":              {with(object{"uuid": "x"}), 400, "UUID"},
		"a class that is none": {with(object{"resource_class": 7}), 400, "string"},
		"a long class":         {with(object{"resource_class": strings.Repeat("x", 81)}), 400, "longer"},
		"properties as list":   {with(object{"properties": []string{"a"}}), 400, "object"},
		"a lessee":             {with(object{"lessee": "me"}), 400, "lessee"},
		"an interface":         {with(object{"raid_interface": "agent"}), 400, "raid"},
		"plain http":           {with(object{"driver_info": object{"redfish_address": "http://10.0.0.1"}}), 400, "https"},
		"a password in a URL":  {with(object{"driver_info": object{"redfish_address": "https://u:p@10.0.0.1"}}), 400, "https"},
		"another's field":      {with(object{"driver_info": object{"ipmi_address": "10.0.0.1"}}), 400, "ipmi_address"},
		"a path as CA":         {with(object{"driver_info": object{"redfish_verify_ca": "/etc/ca.pem"}}), 400, "PEM"},
		"a number as user":     {with(object{"driver_info": object{"redfish_username": 7}}), 400, "string"},
		"an impossible port":   {object{"driver": "ipmi", "driver_info": object{"ipmi_port": 70000}}, 400, "port"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := b.refused(c.status, "POST", "/v1/nodes", c.body); !strings.Contains(got, c.says) {
				t.Errorf("it says %s", got)
			}
		})
	}
	if got := b.refused(406, "POST", "/v1/nodes", with(object{"owner": "me"}), "X-OpenStack-Ironic-API-Version: 1.34"); !strings.Contains(got, "1.50") {
		t.Errorf("it says %s", got)
	}
	b.want(201, "POST", "/v1/nodes", with(nil))
	b.refused(409, "POST", "/v1/nodes", with(nil))
	if list := b.want(200, "GET", "/v1/nodes", nil)["nodes"].([]any); len(list) != 1 {
		t.Errorf("refused nodes were created: %v", list)
	}
}

func TestPatch(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	a := b.rig.Machines[0]
	node := b.enrol(a, object{"extra": object{"list": []int{1, 2}, "keep": true}})
	op := func(op, path string, value any) object { return object{"op": op, "path": path, "value": value} }
	for _, c := range []struct {
		patch []object
		field string
		want  any
	}{
		{[]object{op("add", "/properties/cpus", 4)}, "properties", object{"cpus": 4.0}},
		{[]object{op("replace", "/properties/cpus", 8), op("add", "/properties/cpu_arch", "x86_64")}, "properties", object{"cpus": 8.0, "cpu_arch": "x86_64"}},
		{[]object{{"op": "remove", "path": "/properties/cpus"}}, "properties", object{"cpu_arch": "x86_64"}},
		{[]object{op("add", "/extra/list/-", 3), op("replace", "/extra/list/0", 0), {"op": "remove", "path": "/extra/list/1"}}, "extra", object{"list": []any{0.0, 3.0}, "keep": true}},
		{[]object{op("replace", "/name", "other")}, "name", "other"},
		{[]object{op("add", "/description", "in the cellar")}, "description", "in the cellar"},
		{[]object{{"op": "remove", "path": "/description"}}, "description", nil},
		{[]object{op("add", "/resource_class", "gold")}, "resource_class", "gold"},
		{[]object{op("replace", "/lessee", nil)}, "lessee", nil},
	} {
		if got := b.want(200, "PATCH", node, c.patch); cmp.Diff(c.want, got[c.field]) != "" {
			t.Errorf("%v gives %v", c.patch, got[c.field])
		}
		if got := b.want(200, "GET", node, nil); cmp.Diff(c.want, got[c.field]) != "" {
			t.Errorf("%v left %v", c.patch, got[c.field])
		}
	}
	before := b.want(200, "GET", node, nil)
	for name, patch := range map[string]any{
		"internal":          []object{op("replace", "/power_state", "power on")},
		"the id":            []object{op("replace", "/uuid", "11111111-2222-4333-8444-555555555555")},
		"unknown":           []object{op("add", "/colour", "red")},
		"absent":            []object{op("replace", "/extra/absent", 1)},
		"absent to remove":  []object{{"op": "remove", "path": "/extra/absent"}},
		"below a string":    []object{op("add", "/name/first", 1)},
		"past the list":     []object{op("add", "/extra/list/9", 1)},
		"no such operation": []object{op("move", "/extra/list", 1)},
		"no path":           []object{op("add", "extra", 1)},
		"no list":           object{"op": "add"},
		"an unknown member": []object{{"op": "add", "path": "/extra/a", "value": 1, "from": "/b"}},
		"the server":        []object{op("add", "/instance_uuid", "11111111-2222-4333-8444-555555555555")},
		"half of it wrong":  []object{op("add", "/extra/half", 1), op("add", "/lessee", "me")},
	} {
		t.Run(name, func(t *testing.T) { b.refused(400, "PATCH", node, patch) })
	}
	if diff := cmp.Diff(before, b.want(200, "GET", node, nil)); diff != "" {
		t.Errorf("a refused patch left a change:\n%s", diff)
	}
}

// Secrets are not shown, and what is shown for them changes nothing when it comes back.
func TestDriverInfo(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	a := b.rig.Machines[0]
	node := b.enrol(a, nil)
	b.want(200, "PATCH", node, []object{{"op": "replace", "path": "/driver_info/redfish_password", "value": "wrong"}})
	b.verb(node, "manage")
	b.rig.Idle(a)
	shown := b.want(200, "GET", node, nil)
	if shown["provision_state"] != "enroll" || !strings.Contains(fmt.Sprint(shown["last_error"]), "user name or password") {
		t.Errorf("%v %v", shown["provision_state"], shown["last_error"])
	}
	power := b.want(200, "GET", node+"/validate", nil)["power"].(object)
	if power["result"] != false || !strings.Contains(fmt.Sprint(power["reason"]), "user name or password") {
		t.Errorf("validate says %v", power)
	}
	if got := b.refused(503, "GET", node+"/management/boot_device", nil); !strings.Contains(got, "user name or password") {
		t.Errorf("it says %s", got)
	}
	fixed := info(a)
	fixed["redfish_system_id"] = "/redfish/v1/Systems/system"
	b.want(200, "PATCH", node, []object{{"op": "replace", "path": "/driver_info", "value": fixed}})
	b.verb(node, "manage")
	a.Await(machine.Manageable)
	shown = b.want(200, "GET", node, nil)
	fixed["redfish_password"] = "******"
	if diff := cmp.Diff(fixed, shown["driver_info"]); diff != "" {
		t.Errorf("driver_info came back changed:\n%s", diff)
	}
	b.want(200, "PATCH", node, []object{{"op": "replace", "path": "/driver_info", "value": shown["driver_info"]}})
	b.verb(node, "manage")
	a.Await(machine.Manageable)
}

func TestTraits(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	node := b.enrol(b.rig.Machines[0], nil)
	b.want(204, "PUT", node+"/traits", object{"traits": []string{"HW_CPU_X86_VMX", "CUSTOM_B"}})
	b.want(204, "PUT", node+"/traits/CUSTOM_A", nil)
	b.want(204, "PUT", node+"/traits/CUSTOM_A", nil)
	b.refused(400, "PUT", node+"/traits/lower", nil)
	b.want(204, "DELETE", node+"/traits/CUSTOM_B", nil)
	b.refused(404, "DELETE", node+"/traits/CUSTOM_B", nil)
	if diff := cmp.Diff([]any{"CUSTOM_A", "HW_CPU_X86_VMX"}, b.want(200, "GET", node+"/traits", nil)["traits"]); diff != "" {
		t.Error(diff)
	}
	b.want(204, "DELETE", node+"/traits", nil)
	if got := b.want(200, "GET", node, nil)["traits"]; len(got.([]any)) != 0 {
		t.Errorf("traits %v", got)
	}
}

func TestPorts(t *testing.T) {
	b := newBench(t, machinetest.Spec{Name: "a"})
	node := b.enrol(b.rig.Machines[0], nil)
	create := func(more object) object {
		body := object{"node_uuid": strings.TrimPrefix(node, "/v1/nodes/"), "address": "52:54:00:AA:BB:CC"}
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	for name, body := range map[string]object{
		"no MAC": create(object{"address": "here"}), "a long MAC": create(object{"address": "00:11:22:33:44:55:66:77"}), "no address": create(object{"address": nil}),
		"no such node": create(object{"node_uuid": "11111111-2222-4333-8444-555555555555"}), "a group": create(object{"portgroup_uuid": "g"}),
		"unknown": create(object{"colour": "red"}), "a link of its own": create(object{"local_link_connection": object{"colour": "red"}}),
	} {
		t.Run(name, func(t *testing.T) { b.refused(400, "POST", "/v1/ports", body) })
	}
	link := object{"switch_id": "aa:bb:cc:dd:ee:ff", "port_id": "Eth1/1"}
	made := b.want(201, "POST", "/v1/ports", create(object{"local_link_connection": link, "extra": object{"a": 1}}))
	if made["address"] != "52:54:00:aa:bb:cc" || made["pxe_enabled"] != true || cmp.Diff(link, made["local_link_connection"]) != "" {
		t.Errorf("%v", made)
	}
	b.refused(409, "POST", "/v1/ports", create(nil))
	port := "/v1/ports/" + made["uuid"].(string)
	got := b.want(200, "PATCH", port, []object{{"op": "replace", "path": "/pxe_enabled", "value": false}, {"op": "add", "path": "/extra/b", "value": "x"}})
	if got["pxe_enabled"] != false || cmp.Diff(object{"a": 1.0, "b": "x"}, got["extra"]) != "" {
		t.Errorf("%v", got)
	}
	b.refused(400, "PATCH", port, []object{{"op": "replace", "path": "/node_uuid", "value": "x"}})
	for query, n := range map[string]int{"": 1, "?address=52:54:00:AA:BB:CC": 1, "?address=52:54:00:00:00:99": 0, "?node=a": 1, "?portgroup=x": 0, "?detail=true": 1} {
		if got := b.want(200, "GET", "/v1/ports"+query, nil)["ports"].([]any); len(got) != n {
			t.Errorf("%s lists %v", query, got)
		}
	}
	b.refused(404, "GET", "/v1/ports?node=nobody", nil)
	b.want(204, "DELETE", port, nil)
	b.refused(404, "GET", port, nil)
}

func TestLists(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		b.want(201, "POST", "/v1/nodes", object{"driver": []string{"redfish", "ipmi"}[i%2], "name": fmt.Sprintf("n%d", i), "resource_class": "c", "description": fmt.Sprintf("Rack %d", i)})
	}
	names := func(answer object) (found []string) {
		for _, n := range answer["nodes"].([]any) {
			found = append(found, n.(object)["name"].(string))
		}
		return found
	}
	for query, want := range map[string]string{
		"": "n0 n1 n2 n3 n4", "?driver=ipmi": "n1 n3", "?resource_class=x": "", "?sort_key=name&sort_dir=desc": "n4 n3 n2 n1 n0", "?limit=2": "n0 n1",
		"?maintenance=true": "", "?associated=false&limit=1": "n0", "?provision_state=enroll&limit=0": "n0 n1 n2 n3 n4", "?provision_state=active": "",
		"?description_contains=rack+3": "n3", "?detail=true&driver=ipmi": "n1 n3", "?fields=name,uuid&driver=ipmi": "n1 n3", "?owner=nobody": "",
	} {
		if got := strings.Join(names(b.want(200, "GET", "/v1/nodes"+query, nil)), " "); got != want {
			t.Errorf("%s lists %s, want %s", query, got, want)
		}
	}
	page := b.want(200, "GET", "/v1/nodes?limit=2&sort_key=name", nil)
	seen := names(page)
	for page["next"] != nil {
		page = b.want(200, "GET", strings.TrimPrefix(page["next"].(string), b.URL+"/baremetal"), nil)
		seen = append(seen, names(page)...)
	}
	if strings.Join(seen, " ") != "n0 n1 n2 n3 n4" {
		t.Errorf("page by page: %v", seen)
	}
	for _, query := range []string{"?limit=-1", "?sort_key=colour", "?sort_dir=up&sort_key=name", "?marker=nobody", "?fields=colour", "?colour=red", "?maintenance=perhaps"} {
		b.refused(400, "GET", "/v1/nodes"+query, nil)
	}
	if got := b.want(200, "GET", "/v1/nodes/n1?fields=uuid,power_state", nil); len(got) != 2 {
		t.Errorf("two fields: %v", got)
	}
}
