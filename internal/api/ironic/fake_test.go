package ironic_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
)

// to has a node go through provision verbs, each with the state it leads to.
func (c *cloud) to(node string, steps ...string) object {
	c.t.Helper()
	var shown object
	for i := 0; i < len(steps); i += 2 {
		c.call(Admin, "PUT", "/v1/nodes/"+node+"/states/provision", object{"target": steps[i]}, 202)
		c.Eventually(steps[i]+" to lead to "+steps[i+1], func() bool {
			shown = c.call(Admin, "GET", "/v1/nodes/"+node, nil, 200).Body
			return shown["provision_state"] == steps[i+1] && shown["reservation"] == nil
		})
		if shown["last_error"] != nil {
			c.t.Fatalf("%s: %v", steps[i], shown["last_error"])
		}
	}
	return shown
}

// A node of fake hardware goes through all states without a machine.
func TestFakeHardware(t *testing.T) {
	c := boot(t)
	c.Start()
	node := c.fakeNode(object{"name": "f", "properties": object{"cpus": "12"}})
	shown := c.to("f", "manage", "manageable", "inspect", "manageable", "provide", "available", "active", "active", "rebuild", "active")
	if shown["power_state"] != "power on" || shown["properties"].(object)["cpus"] != "12" {
		t.Errorf("%v", shown)
	}
	c.call(Admin, "DELETE", "/v1/nodes/f", nil, 409)
	c.to("f", "deleted", "available", "manage", "manageable", "adopt", "active", "undeploy", "available")
	c.call(Admin, "PUT", "/v1/nodes/f/states/console", object{"enabled": true}, 202)
	if got := c.call(Admin, "GET", "/v1/nodes/states/console/f", nil, 200).Body; got["console_enabled"] != true {
		t.Errorf("%v", got)
	}
	raid := object{"logical_disks": []any{object{"size_gb": 100.0, "raid_level": "1"}}}
	c.call(Admin, "PUT", "/v1/nodes/f/states/raid", raid, 204)
	c.call(Admin, "PUT", "/v1/nodes/f/states/raid", object{"logical_disks": []any{object{"size_gb": 100}}}, 400)
	if got := c.call(Admin, "GET", "/nodes/f", nil, 200).Body; got["target_raid_config"].(object)["logical_disks"] == nil { // by its bookmark
		t.Errorf("%v", got)
	}
	c.call(Admin, "PATCH", "/v1/nodes/f", []object{{"op": "add", "path": "/raid_interface", "value": "no-raid"}}, 200)
	c.call(Admin, "PUT", "/v1/nodes/f/states/raid", raid, 400)
	if verdicts := c.call(Admin, "GET", "/v1/nodes/f/validate", nil, 200).Body; verdicts["raid"].(object)["result"] != nil || verdicts["deploy"].(object)["result"] != true {
		t.Errorf("%v", verdicts)
	}
	ipmi := []object{{"op": "replace", "path": "/driver", "value": "ipmi"}}
	c.call(Admin, "PATCH", "/v1/nodes/f", ipmi, 400)
	if got := c.call(Admin, "PATCH", "/v1/nodes/f?reset_interfaces=true", ipmi, 200).Body; got["boot_interface"] != "ipxe" || got["raid_interface"] != "no-raid" {
		t.Errorf("%v", got)
	}

	c.version = "1.10" // in which nodes begin as available; a real one must be cleaned first all the same
	if got := c.call(Admin, "POST", "/v1/nodes", object{"driver": "fake-hardware"}, 201).Body; got["provision_state"] != "available" {
		t.Errorf("%v", got)
	}
	if got := c.call(Admin, "POST", "/v1/nodes", object{"driver": "ipmi"}, 201).Body; got["provision_state"] != "enroll" {
		t.Errorf("%v", got)
	}
	_ = node
}

// Where nobody asked for fake hardware, there is none.
func TestNoFakeHardware(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t))
	s := Serve(t, ironic.Dialect(ironic.Services{DB: rig.DB, Machines: rig.Service, Engine: rig.Engine}))
	if got := s.Do(Admin, "POST", "/baremetal/v1/nodes", object{"driver": "fake-hardware"}); got.Status != 400 {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	if got := s.Do(Admin, "GET", "/baremetal/v1/drivers", nil); strings.Contains(got.Text, "fake") {
		t.Error(got.Text)
	}
}

// A protected node is not taken from its tenant, and a retired one does not come back into the pool.
func TestProtectedAndRetired(t *testing.T) {
	c := boot(t)
	c.Start()
	c.fakeNode(object{"name": "f"})
	set := func(status int, path string, value any) {
		t.Helper()
		c.call(Admin, "PATCH", "/v1/nodes/f", []object{{"op": "add", "path": path, "value": value}}, status)
	}
	c.to("f", "manage", "manageable", "provide", "available")
	set(409, "/protected", true)
	set(409, "/retired", true)
	c.to("f", "active", "active")
	set(200, "/protected", true)
	set(200, "/protected_reason", "ours")
	c.call(Admin, "PUT", "/v1/nodes/f/states/provision", object{"target": "deleted"}, 403)
	c.call(Admin, "PUT", "/v1/nodes/f/states/provision", object{"target": "rebuild"}, 403)
	set(200, "/maintenance", true)
	c.call(Admin, "DELETE", "/v1/nodes/f", nil, 403)
	set(200, "/maintenance", false)
	set(200, "/protected", false)
	if node := c.call(Admin, "GET", "/v1/nodes/f", nil, 200).Body; node["protected_reason"] != nil {
		t.Errorf("%v", node)
	}
	set(200, "/retired", true)
	c.to("f", "deleted", "manageable")
	c.call(Admin, "PUT", "/v1/nodes/f/states/provision", object{"target": "provide"}, 409)
	if nodes := c.call(Admin, "GET", "/v1/nodes?retired=true", nil, 200).Body["nodes"].([]any); len(nodes) != 1 {
		t.Errorf("%v", nodes)
	}
}

// A machine that runs something already is taken over with it, and erased like any other when it is given back.
func TestAdopt(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	m := c.Machines[0]
	c.enrol(m)
	c.to("m", "manage", "manageable", "adopt", "active")
	if record := m.Record(); !record.HandedOver || record.Spare() || m.Erasures() != 0 {
		t.Errorf("%+v, %d erasures", record, m.Erasures())
	}
	c.to("m", "deleted", "available")
	if record := m.Record(); record.HandedOver || !record.Spare() || m.Erasures() != 1 {
		t.Errorf("%+v, %d erasures", record, m.Erasures())
	}
}

// An allocation claims a spare that fits, which no server gets then; deleting it gives the spare back.
func TestAllocations(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "real"})
	c.Start()
	c.enrol(c.Machines[0])
	c.to("real", "manage", "manageable", "inspect", "manageable", "provide", "available")
	id := c.Machines[0].ID
	c.call(Admin, "PUT", "/v1/nodes/real/traits", object{"traits": []string{"CUSTOM_FAST"}}, 204)
	allocate := func(who string, body object) object {
		t.Helper()
		made := c.call(who, "POST", "/v1/allocations", body, 201).Body
		if made["state"] != "allocating" || made["node_uuid"] != nil {
			t.Errorf("%v", made)
		}
		c.Eventually("the allocation to be done", func() bool {
			made = c.call(Admin, "GET", "/v1/allocations/"+made["uuid"].(string), nil, 200).Body
			return made["state"] != "allocating"
		})
		return made
	}
	for _, unmet := range []object{{"resource_class": "other"}, {"resource_class": "baremetal", "traits": []string{"CUSTOM_GPU"}}} {
		if got := allocate(Admin, unmet); got["state"] != "error" || got["last_error"] == nil {
			t.Errorf("%v", got)
		}
	}
	if got := allocate(Demo, object{"resource_class": "baremetal"}); got["state"] != "error" { // it is not theirs
		t.Errorf("%v", got)
	}
	got := allocate(Admin, object{"resource_class": "baremetal", "name": "mine", "traits": []string{"CUSTOM_FAST"}, "candidate_nodes": []string{"real"}})
	if got["state"] != "active" || got["node_uuid"] != id {
		t.Fatalf("%v", got)
	}
	if node := c.call(Admin, "GET", "/v1/nodes/real", nil, 200).Body; node["instance_uuid"] != got["uuid"] || node["allocation_uuid"] != got["uuid"] {
		t.Errorf("%v", node)
	}
	if err := c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := c.Service.Claim(t.Context(), tx, "server", machine.Want{})
		return err
	}); err == nil {
		t.Error("a server got the machine too")
	}
	c.call(Demo, "GET", "/v1/allocations/mine", nil, 404)
	c.call(Admin, "DELETE", "/v1/nodes/real", nil, 409)
	if again := allocate(Admin, object{"resource_class": "baremetal"}); again["state"] != "error" {
		t.Errorf("%v", again)
	}
	for query, want := range map[string]int{"": 5, "?state=active": 1, "?state=error": 4, "?node=real": 1, "?resource_class=other": 1, "?owner=" + DemoProject: 1} {
		if list := c.call(Admin, "GET", "/v1/allocations"+query, nil, 200).Body["allocations"].([]any); len(list) != want {
			t.Errorf("%s: %v", query, list)
		}
	}
	if list := c.call(Demo, "GET", "/v1/allocations", nil, 200).Body["allocations"].([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
	if got := c.call(Admin, "PATCH", "/v1/allocations/mine", []object{{"op": "add", "path": "/extra/a", "value": 1}}, 200).Body; got["extra"].(object)["a"] != 1.0 {
		t.Errorf("%v", got)
	}
	c.call(Admin, "PATCH", "/v1/allocations/mine", []object{{"op": "add", "path": "/state", "value": "error"}}, 400)
	if of := c.call(Admin, "GET", "/v1/nodes/real/allocation", nil, 200).Body; of["name"] != "mine" {
		t.Errorf("%v", of)
	}
	c.call(Admin, "DELETE", "/v1/allocations/mine", nil, 204)
	if record := c.Machines[0].Record(); !record.Spare() {
		t.Errorf("%+v", record)
	}

	c.fakeNode(object{"name": "f", "resource_class": "x"})
	c.to("f", "manage", "manageable", "provide", "available", "active", "active")
	backfilled := c.call(Admin, "POST", "/v1/allocations", object{"node": "f"}, 201).Body
	if backfilled["state"] != "active" || backfilled["resource_class"] != "x" {
		t.Errorf("%v", backfilled)
	}
	c.call(Admin, "DELETE", "/v1/nodes/f/allocation", nil, 409) // the node is in use
	c.to("f", "deleted", "available")
	c.call(Admin, "GET", "/v1/nodes/f/allocation", nil, 404)
}

// A network port is put on a NIC or a bond of a node, shown there, and taken off again.
func TestVIFs(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	ports := []string{}
	if err := c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		n, err := c.networks.CreateNetwork(t.Context(), tx, network.NewNetwork{Project: AdminProject, Name: "n", NoPortSecurity: true, Wire: network.Wire{Kind: network.VLANKind, Physical: "p", Segment: 7}})
		for err == nil && len(ports) < 3 {
			var p *network.Port
			if p, err = c.networks.CreatePort(t.Context(), tx, network.NewPort{Network: n.ID, Project: AdminProject}); err == nil {
				ports = append(ports, p.ID)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	vifs := func(node string) string {
		t.Helper()
		text := c.call(Admin, "GET", "/v1/nodes/"+node+"/vifs", nil, 200).Text
		for i, id := range ports {
			text = strings.ReplaceAll(text, id, string(rune('a'+i)))
		}
		return strings.TrimSpace(text)
	}
	expect := func(node, want string) {
		t.Helper()
		if got := vifs(node); got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
	attach := func(node, vif string, status int) {
		t.Helper()
		c.call(Admin, "POST", "/v1/nodes/"+node+"/vifs", object{"id": vif}, status)
	}
	fake := c.fakeNode(object{"name": "f"})
	attach("f", ports[0], 400) // no port yet
	nic := c.call(Admin, "POST", "/v1/ports", object{"node_uuid": fake, "address": "52:54:00:00:00:a1"}, 201).Body["uuid"].(string)
	attach("f", "none", 400)
	attach("f", ports[0], 204)
	attach("f", ports[0], 409)
	attach("f", ports[1], 400) // no other NIC
	expect("f", `{"vifs":[{"id":"a"}]}`)
	if got := c.call(Admin, "GET", "/v1/ports/"+nic, nil, 200).Body["internal_info"].(object); got["tenant_vif_port_id"] != ports[0] {
		t.Errorf("%v", got)
	}
	c.call(Admin, "DELETE", "/v1/nodes/f/vifs/"+ports[0], nil, 204)
	expect("f", `{"vifs":[]}`)
	group := c.call(Admin, "POST", "/v1/portgroups", object{"node_uuid": fake, "standalone_ports_supported": false}, 201).Body["uuid"].(string)
	c.call(Admin, "PATCH", "/v1/ports/"+nic, []object{{"op": "add", "path": "/portgroup_uuid", "value": group}}, 200)
	attach("f", ports[0], 204)
	if got := c.call(Admin, "GET", "/v1/portgroups/"+group, nil, 200).Body["internal_info"].(object); got["tenant_vif_port_id"] != ports[0] {
		t.Errorf("%v", got)
	}
	attach("f", ports[1], 400)
	c.call(Admin, "DELETE", "/v1/nodes/f", nil, 204) // which frees the port

	c.enrol(c.Machines[0])
	attach("m", ports[0], 409) // in quarantine
	c.to("m", "manage", "manageable", "adopt", "active")
	attach("m", ports[0], 204)
	expect("m", `{"vifs":[{"id":"a"}]}`)
	bound := func() *network.Port {
		p, err := c.networks.Port(t.Context(), c.DB, network.Everything, ports[0])
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := bound(); p.Host != c.Machines[0].ID || p.MAC != c.Machines[0].MACs[0] || !p.Plugged {
		t.Errorf("%+v", p)
	}
	c.to("m", "deleted", "available")
	if p := bound(); p.Host != "" || p.DeviceID != "" {
		t.Errorf("%+v", p)
	}
	expect("m", `{"vifs":[]}`)
}
