package ironic_test

import (
	"maps"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// bodies are good requests, with all fields that they may have.
var bodies = Bodies{
	"POST /v1/nodes": `{"name": "n", "driver": "fake-hardware", "driver_info": {"a": "b"}, "properties": {"cpus": 1, "memory_mb": 1, "local_gb": 1, "cpu_arch": "x86_64", "capabilities": "a:b"},
		"resource_class": "baremetal", "extra": {"a": 1}, "chassis_uuid": "$chassis", "owner": "$project", "lessee": "$project", "description": "d", "conductor_group": "", "automated_clean": true,
		"protected": false, "protected_reason": null, "retired": false, "retired_reason": null, "network_interface": "noop", "storage_interface": "noop", "boot_interface": "fake", "deploy_interface": "fake",
		"bios_interface": "fake", "raid_interface": "fake", "power_interface": "fake", "instance_info": {}, "network_data": {}, "parent_node": null, "shard": "s", "disable_power_off": false,
		"uuid": "11111111-2222-4333-8444-000000000001"}`,
	"PATCH /v1/nodes/{node}": `[{"op": "replace", "path": "/extra", "value": {"a": 1}}, {"op": "add", "path": "/properties/cpus", "value": 2}, {"op": "add", "path": "/description", "value": "d"},
		{"op": "remove", "path": "/description"}, {"op": "add", "path": "/instance_info/capabilities", "value": {"a": "b"}}, {"op": "add", "path": "/chassis_uuid", "value": "$chassis"},
		{"op": "add", "path": "/retired", "value": false}, {"op": "add", "path": "/shard", "value": "x"}, {"op": "add", "path": "/network_data", "value": {}}]`,
	"PUT /v1/nodes/{node}/maintenance":                              `{"reason": "r"}`,
	"PUT /v1/nodes/{node}/states/power":                             `{"target": "power on", "timeout": 60}`,
	"PUT /v1/nodes/{node}/states/provision":                         `{"target": "manage", "configdrive": null, "clean_steps": null, "deploy_steps": null, "service_steps": null, "rescue_password": null, "disable_ramdisk": null, "runbook": null}`,
	"PUT /v1/nodes/{node}/states/provision to clean":                `{"target": "clean", "clean_steps": [{"interface": "deploy", "step": "erase_devices", "args": {}, "priority": 1}]}`,
	"PUT /v1/nodes/{node}/states/console":                           `{"enabled": true}`,
	"PUT /v1/nodes/{node}/states/raid":                              `{"logical_disks": [{"size_gb": 100, "raid_level": "1", "is_root_volume": true, "volume_name": "v", "physical_disks": ["a"], "controller": "c"}]}`,
	"PUT /v1/nodes/{node}/states/boot_mode":                         `{"target": "uefi"}`,
	"PUT /v1/nodes/{node}/states/secure_boot":                       `{"target": true}`,
	"PUT /v1/nodes/{node}/management/boot_device":                   `{"boot_device": "pxe", "persistent": true}`,
	"PUT /v1/nodes/{node}/management/inject_nmi":                    `{}`,
	"PUT /v1/nodes/{node}/management/indicators/{component}/{name}": `{"state": "ON"}`,
	"PUT /v1/nodes/{node}/traits":                                   `{"traits": ["CUSTOM_A", "CUSTOM_B"]}`,
	"PUT /v1/nodes/{node}/traits/{trait}":                           "",
	"POST /v1/nodes/{node}/vifs":                                    `{"id": "$port", "port_uuid": "$nic", "portgroup_uuid": "$group"}`,
	"POST /v1/nodes/{node}/vendor_passthru/{method}":                `{"a": "b"}`,
	"PUT /v1/nodes/{node}/vendor_passthru/{method}":                 `{"a": "b"}`,
	"POST /v1/drivers/{driver}/vendor_passthru/{method}":            `{"a": "b"}`,
	"PUT /v1/drivers/{driver}/vendor_passthru/{method}":             `{"a": "b"}`,
	"POST /v1/allocations":                                          `{"name": "a", "resource_class": "baremetal", "candidate_nodes": ["$node"], "traits": ["CUSTOM_A"], "extra": {"a": 1}, "owner": "$project", "node": null, "uuid": "11111111-2222-4333-8444-000000000002"}`,
	"PATCH /v1/allocations/{id}":                                    `[{"op": "replace", "path": "/name", "value": "b"}, {"op": "add", "path": "/extra/a", "value": 1}]`,
	"POST /v1/ports": `{"node_uuid": "$node", "address": "52:54:00:00:00:b1", "name": "p", "extra": {"a": 1}, "pxe_enabled": true, "is_smartnic": false, "physical_network": "physnet1",
		"portgroup_uuid": "$group", "local_link_connection": {"switch_id": "52:54:00:00:00:01", "port_id": "1", "switch_info": "ovs"}, "uuid": "11111111-2222-4333-8444-000000000003", "description": "d"}`,
	"PATCH /v1/ports/{port}": `[{"op": "replace", "path": "/address", "value": "52:54:00:00:00:b2"}, {"op": "add", "path": "/extra/a", "value": 1}, {"op": "add", "path": "/portgroup_uuid", "value": "$group"},
		{"op": "add", "path": "/pxe_enabled", "value": false}, {"op": "add", "path": "/local_link_connection/port_id", "value": "x"}, {"op": "add", "path": "/name", "value": "p"}]`,
	"POST /v1/portgroups": `{"node_uuid": "$node", "address": "52:54:00:00:00:c1", "name": "g", "mode": "802.3ad", "properties": {"miimon": 100}, "extra": {}, "standalone_ports_supported": true,
		"physical_network": null, "uuid": "11111111-2222-4333-8444-000000000004"}`,
	"PATCH /v1/portgroups/{id}":        `[{"op": "replace", "path": "/mode", "value": "active-backup"}, {"op": "add", "path": "/extra/a", "value": 1}]`,
	"POST /v1/chassis":                 `{"description": "d", "extra": {"a": 1}, "uuid": "11111111-2222-4333-8444-000000000005"}`,
	"PATCH /v1/chassis/{id}":           `[{"op": "replace", "path": "/description", "value": "x"}, {"op": "add", "path": "/extra/a", "value": 1}]`,
	"POST /v1/volume/connectors":       `{"node_uuid": "$node", "type": "iqn", "connector_id": "iqn.2026-11.a:b", "extra": {}, "uuid": "11111111-2222-4333-8444-000000000006"}`,
	"PATCH /v1/volume/connectors/{id}": `[{"op": "replace", "path": "/connector_id", "value": "iqn.2026-11.a:c"}]`,
	"POST /v1/volume/targets":          `{"node_uuid": "$node", "volume_type": "iscsi", "boot_index": 0, "volume_id": "v", "properties": {"a": "b"}, "extra": {}, "uuid": "11111111-2222-4333-8444-000000000007"}`,
	"PATCH /v1/volume/targets/{id}":    `[{"op": "replace", "path": "/boot_index", "value": 1}]`,
	"POST /v1/deploy_templates":        `{"name": "CUSTOM_T", "steps": [{"interface": "deploy", "step": "x", "args": {"a": 1}, "priority": 10}], "extra": {}, "uuid": "11111111-2222-4333-8444-000000000008"}`,
	"PATCH /v1/deploy_templates/{id}":  `[{"op": "replace", "path": "/name", "value": "CUSTOM_U"}, {"op": "add", "path": "/steps/0/priority", "value": 5}]`,
	"POST /v1/runbooks":                `{"name": "CUSTOM_R", "steps": [{"interface": "deploy", "step": "x", "args": {"a": 1}, "order": 1}], "public": false, "owner": "$project", "extra": {}, "uuid": "11111111-2222-4333-8444-000000000009"}`,
	"PATCH /v1/runbooks/{id}":          `[{"op": "replace", "path": "/name", "value": "CUSTOM_S"}]`,
	"POST /v1/lookup":                  `{}`, "POST /v1/events": `{"events": [{"event": "network.bind_port", "port_id": "11111111-2222-4333-8444-000000000010", "mac_address": "52:54:00:00:00:c1", "status": "ACTIVE", "device_id": "d", "binding:host_id": "h", "binding:vnic_type": "baremetal"}]}`,
}

func TestBrokenRequests(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	c.enrol(c.Machines[0])
	fake := c.fakeNode(object{"name": "f"})
	made := func(path string, body object) string {
		return c.call(Admin, "POST", path, body, 201).Body["uuid"].(string)
	}
	things := Things{"$node": fake, "{node}": fake, "nodes": fake, "$project": DemoProject, "{driver}": "fake-hardware", "drivers": "fake-hardware", "{host}": "h", "{trait}": "CUSTOM_A", "{component}": "system", "{name}": "led"}
	things["chassis"] = made("/v1/chassis", object{})
	things["portgroups"] = made("/v1/portgroups", object{"node_uuid": fake, "name": "g"})
	things["ports"] = made("/v1/ports", object{"node_uuid": fake, "address": "52:54:00:00:00:a1"})
	things["connectors"] = made("/v1/volume/connectors", object{"node_uuid": fake, "type": "iqn", "connector_id": "iqn.2026-11.a:a"})
	things["targets"] = made("/v1/volume/targets", object{"node_uuid": fake, "volume_type": "iscsi", "boot_index": 0, "volume_id": "w"})
	things["deploy_templates"] = made("/v1/deploy_templates", object{"name": "CUSTOM_D", "steps": []object{{"interface": "deploy", "step": "x", "args": object{}, "priority": 1}}})
	things["$chassis"], things["$group"], things["$nic"], things["$port"] = things["chassis"], things["portgroups"], things["ports"], fake
	all := maps.Clone(bodies)
	for field := range c.call(Admin, "GET", "/v1/nodes/f", nil, 200).Body { // patched or not, and as what it is not
		all["PATCH /v1/nodes/{node} of its "+field+" by an admin"] = `[{"op": "add", "path": "/` + field + `", "value": "x"}, {"op": "remove", "path": "/` + field + `/a"}]`
	}
	d := ironic.Dialect(services(c.Rig, c.networks))
	b := Broken{Server: c.Server, Dialect: d, Things: things, Bodies: all, Truth: []int{503}, Least: 40}
	b.Run(t)
	node := c.Machines[0].ID // with a BMC
	things["{node}"], things["nodes"], things["$node"], b.Bodies = node, node, node, bodies
	b.Run(t)
}
