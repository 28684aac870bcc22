package nova_test

import (
	"net/netip"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/network"
)

// bodies are good requests, with all fields that they may have.
var bodies = Bodies{
	"POST /v2.1/servers": `{"server": {"name": "n", "imageRef": "$image", "flavorRef": "1", "key_name": "$key", "networks": [{"uuid": "$network", "tag": "t"}], "min_count": 1, "max_count": 1,
		"metadata": {"a": "b"}, "user_data": "YQ==", "config_drive": true, "availability_zone": "nova", "description": "d", "tags": ["t"], "hostname": "h",
		"security_groups": [{"name": "default"}], "accessIPv4": "10.0.0.1", "accessIPv6": "fd00::1", "OS-DCF:diskConfig": "AUTO", "adminPass": "p", "return_reservation_id": false,
		"trusted_image_certificates": null, "block_device_mapping_v2": [{"boot_index": 0, "uuid": "$image", "source_type": "image", "destination_type": "local",
		"delete_on_termination": true, "device_name": null, "device_type": "disk", "disk_bus": null, "guest_format": null, "volume_size": 1, "no_device": false}]},
		"os:scheduler_hints": {"group": "$group"}}`,
	"POST /v2.1/servers on a port":                          `{"server": {"name": "n", "imageRef": "$image", "flavorRef": "1", "networks": [{"port": "$port"}]}}`,
	"POST /v2.1/servers in a group":                         `{"server": {"name": "n", "imageRef": "$image", "flavorRef": "1", "networks": [{"uuid": "$network"}]}, "os:scheduler_hints": {"group": "$group"}}`,
	"POST /v2.1/servers by an admin":                        `{"server": {"name": "n", "imageRef": "$image", "flavorRef": "1", "networks": "none", "host": "m0", "hypervisor_hostname": "m0"}}`,
	"POST /v2.1/os-volumes_boot":                            `{"server": {"name": "n", "imageRef": "$image", "flavorRef": "1", "networks": "none"}}`,
	"POST /v2.1/os-volumes":                                 `{"volume": {"size": 1, "display_name": "n"}}`,
	"POST /v2.1/os-snapshots":                               `{"snapshot": {"volume_id": "$image", "force": true, "display_name": "n"}}`,
	"POST /v2.1/os-assisted-volume-snapshots":               `{"snapshot": {"volume_id": "$image", "create_info": {"snapshot_id": "$image", "type": "qcow2", "new_file": "f"}}}`,
	"POST /v2.1/servers/{id}/migrations/{migration}/action": `{"force_complete": null}`,
	"PUT /v2.1/servers/{id}":                                `{"server": {"name": "n", "description": "d", "hostname": "h", "accessIPv4": "10.0.0.1", "accessIPv6": "fd00::1", "OS-DCF:diskConfig": "MANUAL"}}`,
	"POST /v2.1/servers/{id}/action":                        `{"os-start": null}`,
	"POST /v2.1/servers/{id}/action stop":                   `{"os-stop": null}`,
	"POST /v2.1/servers/{id}/action reboot":                 `{"reboot": {"type": "SOFT"}}`,
	"POST /v2.1/servers/{id}/action lock":                   `{"lock": {"locked_reason": "r"}}`,
	"POST /v2.1/servers/{id}/action unlock":                 `{"unlock": null}`,
	"POST /v2.1/servers/{id}/action rebuild": `{"rebuild": {"imageRef": "$image", "name": "n", "metadata": {"a": "b"}, "description": "d", "key_name": null, "user_data": "YQ==",
		"accessIPv4": "10.0.0.1", "accessIPv6": "fd00::1", "OS-DCF:diskConfig": "AUTO", "adminPass": "p", "preserve_ephemeral": false, "hostname": "h", "trusted_image_certificates": null}}`,
	"POST /v2.1/servers/{id}/action console":                `{"os-getConsoleOutput": {"length": 5}}`,
	"POST /v2.1/servers/{id}/action vnc":                    `{"os-getVNCConsole": {"type": "novnc"}}`,
	"POST /v2.1/servers/{id}/action group":                  `{"addSecurityGroup": {"name": "$security"}}`,
	"POST /v2.1/servers/{id}/action image":                  `{"createImage": {"name": "i", "metadata": {"a": "b"}}}`,
	"POST /v2.1/servers/{id}/action resize":                 `{"resize": {"flavorRef": "1", "OS-DCF:diskConfig": "AUTO"}}`,
	"POST /v2.1/servers/{id}/action rescue":                 `{"rescue": {"adminPass": "p", "rescue_image_ref": "$image"}}`,
	"POST /v2.1/servers/{id}/action by an admin":            `{"os-resetState": {"state": "active"}}`,
	"POST /v2.1/servers/{id}/remote-consoles":               `{"remote_console": {"type": "novnc", "protocol": "vnc"}}`,
	"POST /v2.1/servers/{id}/metadata":                      `{"metadata": {"a": "b"}}`,
	"PUT /v2.1/servers/{id}/metadata":                       `{"metadata": {"a": "b"}}`,
	"PUT /v2.1/servers/{id}/metadata/{key}":                 `{"meta": {"a": "b"}}`,
	"PUT /v2.1/servers/{id}/tags":                           `{"tags": ["a"]}`,
	"PUT /v2.1/servers/{id}/tags/{tag}":                     "",
	"POST /v2.1/servers/{id}/os-interface":                  `{"interfaceAttachment": {"net_id": "$network", "fixed_ips": [{"ip_address": "10.0.0.9"}], "tag": "t"}}`,
	"POST /v2.1/servers/{id}/os-interface by port":          `{"interfaceAttachment": {"port_id": "$port"}}`,
	"POST /v2.1/servers/{id}/os-volume_attachments":         `{"volumeAttachment": {"volumeId": "11111111-2222-4333-8444-555555555555", "device": "/dev/vdb", "tag": "t", "delete_on_termination": true}}`,
	"PUT /v2.1/servers/{id}/os-volume_attachments/{volume}": `{"volumeAttachment": {"volumeId": "11111111-2222-4333-8444-555555555555"}}`,
	"POST /v2.1/flavors":                                    `{"flavor": {"name": "f", "id": "auto", "ram": 64, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 0, "swap": 0, "rxtx_factor": 1.0, "os-flavor-access:is_public": true, "description": "d"}}`,
	"PUT /v2.1/flavors/{id}":                                `{"flavor": {"description": "d"}}`,
	"POST /v2.1/flavors/{id}/action":                        `{"addTenantAccess": {"tenant": "$project"}}`,
	"POST /v2.1/flavors/{id}/os-extra_specs":                `{"extra_specs": {"capabilities:boot_mode": "uefi", "resources:CUSTOM_A": "1"}}`,
	"PUT /v2.1/flavors/{id}/os-extra_specs/{key}":           `{"a": "1"}`,
	"POST /v2.1/os-keypairs":                                `{"keypair": {"name": "k", "type": "ssh"}}`,
	"POST /v2.1/os-keypairs imported":                       `{"keypair": {"name": "k", "type": "ssh", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqBYz0mNtC7mkGHCfN1yJ2q1XyX2y7l1X0a4b2q9l5T a"}}`,
	"POST /v2.1/os-keypairs by an admin":                    `{"keypair": {"name": "k", "user_id": "user-demo"}}`,
	"POST /v2.1/images/{id}/metadata":                       `{"metadata": {"a": "b"}}`,
	"PUT /v2.1/images/{id}/metadata":                        `{"metadata": {"a": "b"}}`,
	"PUT /v2.1/images/{id}/metadata/{key}":                  `{"meta": {"a": "b"}}`,
	"POST /v2.1/os-floating-ips":                            `{"pool": "public"}`,
	"POST /v2.1/os-security-groups":                         `{"security_group": {"name": "g", "description": "d"}}`,
	"PUT /v2.1/os-security-groups/{id}":                     `{"security_group": {"name": "g", "description": "d"}}`,
	"POST /v2.1/os-security-group-rules":                    `{"security_group_rule": {"parent_group_id": "$security", "ip_protocol": "tcp", "from_port": 22, "to_port": 23, "cidr": "10.0.0.0/8"}}`,
	"POST /v2.1/os-security-group-rules of one":             `{"security_group_rule": {"parent_group_id": "$security", "ip_protocol": "icmp", "from_port": -1, "to_port": -1, "group_id": "$security"}}`,
	"PUT /v2.1/os-quota-sets/{project}":                     `{"quota_set": {"instances": 10, "cores": -1, "ram": 9, "key_pairs": 9, "metadata_items": 9, "server_groups": 9, "server_group_members": 9, "force": true}}`,
	"PUT /v2.1/os-quota-class-sets/{class}":                 `{"quota_class_set": {"instances": 10}}`,
	"PUT /v2.1/os-services/{id}":                            `{"status": "disabled", "disabled_reason": "r", "forced_down": false}`,
	"PUT /v2.1/os-hosts/{host}":                             `{"status": "enable", "maintenance_mode": "disable"}`,
	"POST /v2.1/os-aggregates":                              `{"aggregate": {"name": "a", "availability_zone": "z"}}`,
	"PUT /v2.1/os-aggregates/{id}":                          `{"aggregate": {"name": "a", "availability_zone": "z"}}`,
	"POST /v2.1/os-aggregates/{id}/action":                  `{"set_metadata": {"metadata": {"a": "b"}}}`,
	"POST /v2.1/os-aggregates/{id}/action host":             `{"add_host": {"host": "m0"}}`,
	"POST /v2.1/os-aggregates/{id}/images":                  `{"cache": [{"id": "$image"}]}`,
	"POST /v2.1/os-server-external-events":                  `{"events": [{"name": "network-changed", "server_uuid": "$server", "status": "completed", "tag": "t"}]}`,
	"POST /v2.1/os-server-groups":                           `{"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 1}}}`,
}

// things of a project: one of each kind, all with the name, a server and a network of its own.
func (c *cloud) things(token, project, name string) Things {
	c.t.Helper()
	field := func(a Answer, noun, field string) string {
		inner, ok := a.Body[noun].(map[string]any)
		if !ok {
			c.t.Fatal(a.Text)
		}
		return inner[field].(string)
	}
	first := func(path, list, field string) string {
		return c.ask(200, token, "GET", path, nil).Body[list].([]any)[0].(map[string]any)[field].(string)
	}
	ctx, owner := c.t.Context(), image.Caller{Project: project}
	img, err := c.Images.Create(ctx, owner, image.Image{Name: name, DiskFormat: "raw", ContainerFormat: "bare"})
	c.Check(err)
	c.Check(c.Images.Upload(ctx, owner, img.ID, strings.NewReader(strings.Repeat(name, 1000)), image.Expect{}))
	var net *network.Network
	c.Check(c.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		if net, err = c.Networks.CreateNetwork(ctx, tx, network.NewNetwork{Project: project, Name: name}); err != nil {
			return err
		}
		_, err = c.Networks.CreateSubnet(ctx, tx, network.NewSubnet{Project: project, Network: net.ID, CIDR: netip.MustParsePrefix("10.9.0.0/16")})
		return err
	}))
	group := field(c.ask(200, token, "POST", "/os-server-groups", object{"server_group": object{"name": name, "policies": []string{"anti-affinity"}}}), "server_group", "id")
	security := field(c.ask(200, token, "POST", "/os-security-groups", object{"security_group": object{"name": name, "description": name}}), "security_group", "id")
	rule := field(c.ask(200, token, "POST", "/os-security-group-rules", object{"security_group_rule": object{
		"parent_group_id": security, "ip_protocol": "tcp", "from_port": 1, "to_port": 2,
	}}), "security_group_rule", "id")
	c.ask(200, token, "POST", "/os-keypairs", object{"keypair": object{"name": name + "-key"}})
	server := field(c.ask(202, token, "POST", "/servers", c.server(object{
		"name": name, "imageRef": img.ID, "metadata": object{"a": name},
	})), "server", "id")
	c.Eventually(name+" to be active", func() bool { return c.show(token, server)["status"] != "BUILD" })
	port := first("/servers/"+server+"/os-interface", "interfaceAttachments", "port_id")
	return Things{
		"servers": server, "$server": server, "os-server-groups": group, "$group": group, "flavors": "1", "$image": img.ID, "images": img.ID, "$network": net.ID,
		"os-security-groups": security, "$security": security, "os-security-group-rules": rule, "os-keypairs": name + "-key", "$key": name + "-key",
		"os-interface": port, "$port": port, "os-instance-actions": first("/servers/"+server+"/os-instance-actions", "instanceActions", "request_id"),
		"os-quota-sets": project, "os-simple-tenant-usage": project, "$project": project, "os-hosts": "m0", "os-hypervisors": c.Machines[0].ID, "os-aggregates": "1",
		"os-tenant-networks": net.ID, "os-networks": net.ID, "os-quota-class-sets": "default", "ips": "flat", "metadata": "a", "{tag}": "red", "os-extra_specs": "a",
	}
}

func TestBrokenRequests(t *testing.T) {
	c := start(t, 3)
	mine := c.things(Demo, DemoProject, "mine")
	c.ask(200, Admin, "POST", "/os-aggregates", object{"aggregate": object{"name": "one"}})
	b := Broken{Server: c.Server, Dialect: c.dialect, Things: mine, Bodies: bodies, Least: 40}
	b.Run(t)
}

func TestStrangers(t *testing.T) {
	c := start(t, 3)
	mine, foreign := c.things(Demo, DemoProject, "mine"), c.things(Other, OtherProject, "foreigner")
	s := Strangers{Server: c.Server, Dialect: c.dialect, Mine: mine, Foreign: foreign, Bodies: bodies, Secrets: []string{"foreigner"}, Least: 500}
	s.Run(t)
}
