package nova_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/network"
)

// What a client sends wrongly is told to it, in Nova's words, and leaves nothing behind.
func TestServersThatCannotBe(t *testing.T) {
	c := start(t, 0)
	ctx := context.Background()
	queued, err := c.Images.Create(ctx, image.Caller{Project: DemoProject}, image.Image{Name: "queued"})
	c.Check(err)
	foreign, err := c.Images.Create(ctx, image.Caller{Project: OtherProject}, image.Image{Name: "foreign", Visibility: image.Private})
	c.Check(err)
	demanding := c.Upload()
	_, err = c.Images.Update(ctx, image.Caller{Project: DemoProject}, demanding, func(i *image.Image) error { i.MinDisk, i.MinRAM = 11, 0; return nil })
	c.Check(err)
	hungry := c.Upload()
	_, err = c.Images.Update(ctx, image.Caller{Project: DemoProject}, hungry, func(i *image.Image) error { i.MinRAM = 1 << 20; return nil })
	c.Check(err)
	huge := c.Upload()
	_, err = c.DB.ExecContext(ctx, `UPDATE image SET virtual_size = $2 WHERE id = $1`, huge, int64(11)<<30)
	c.Check(err)
	foreignPort, taken := "", ""
	c.Check(c.DB.Tx(ctx, func(tx *db.Tx) error {
		p, err := c.Networks.CreatePort(ctx, tx, network.NewPort{Network: c.Network.ID, Project: OtherProject})
		if err == nil {
			foreignPort, taken = p.ID, p.FixedIPs[0].Addr.String()
		}
		return err
	}))
	const nobody = "11111111-2222-3333-4444-555555555555"
	for _, x := range []struct {
		change  object
		status  int
		words   string
		version string
	}{
		{object{"name": absent}, 400, "name", ""},
		{object{"name": ""}, 400, "name", ""},
		{object{"name": strings.Repeat("n", 256)}, 400, "255", ""},
		{object{"name": " web"}, 400, "space", ""},
		{object{"name": "we\x01b"}, 400, "printable", ""},
		{object{"name": "we\x00b"}, 400, "printable", ""},
		{object{"name": 7}, 400, "server.name", ""},
		{object{"flavorRef": absent}, 400, "flavorRef", ""},
		{object{"flavorRef": "none"}, 400, "Flavor none could not be found.", ""},
		{object{"flavorRef": 99}, 400, "Flavor 99 could not be found.", ""},
		{object{"imageRef": absent}, 400, "Invalid imageRef provided.", ""},
		{object{"imageRef": "x"}, 400, "Invalid imageRef provided.", ""},
		{object{"imageRef": nobody}, 400, "Can not find requested image", ""},
		{object{"imageRef": foreign.ID}, 400, "Can not find requested image", ""},
		{object{"imageRef": queued.ID}, 400, "Image " + queued.ID + " is not active.", ""},
		{object{"imageRef": huge}, 400, "Flavor's disk is too small for requested image. Flavor disk is 10737418240 bytes, image is 11811160064 bytes.", ""},
		{object{"imageRef": demanding}, 400, "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is 10737418240 bytes, minimum size is 11811160064 bytes.", ""},
		{object{"imageRef": hungry}, 400, "Flavor's memory is too small for requested image.", ""},
		{object{"key_name": "none"}, 400, "Invalid key_name provided.", ""},
		{object{"networks": absent}, 400, "networks", "2.37"},
		{object{"networks": "auto"}, 400, "networks", "2.36"},
		{object{"networks": "some"}, 400, "networks", "2.37"},
		{object{"networks": []object{{"uuid": "x"}}}, 400, "uuid", ""},
		{object{"networks": []object{{}}}, 400, "uuid", ""},
		{object{"networks": []object{{"uuid": nobody}}}, 400, "Network " + nobody + " could not be found.", ""},
		{object{"networks": []object{{"port": nobody}}}, 400, "Port " + nobody + " could not be found.", ""},
		{object{"networks": []object{{"port": foreignPort}}}, 400, "Port " + foreignPort + " could not be found.", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "fixed_ip": "10.99.0.1"}}}, 400, "not a valid IP", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "fixed_ip": "10.20.0.999"}}}, 400, "fixed_ip", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "fixed_ip": "10.20.0.1"}}}, 400, "not a valid IP", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "fixed_ip": taken}}}, 400, "already allocated", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "gateway": "x"}}}, 400, "gateway", ""},
		{object{"networks": []object{{"uuid": c.Network.ID, "fixed_ip": "10.20.0.9"}}, "max_count": 2}, 400, "fixed_ip", ""},
		{object{"min_count": 0}, 400, "min_count", ""},
		{object{"min_count": 3, "max_count": 2}, 400, "min_count must be <= max_count", ""},
		{object{"max_count": "x"}, 400, "max_count", ""},
		{object{"min_count": 1000, "max_count": 1000}, 403, "Quota exceeded", ""},
		{object{"metadata": object{"a": 1}}, 400, "metadata", ""},
		{object{"metadata": object{"": "x"}}, 400, "key", ""},
		{object{"metadata": object{"a": strings.Repeat("v", 256)}}, 400, "255", ""},
		{object{"metadata": many(129)}, 403, "Maximum number of metadata items exceeds 128", ""},
		{object{"user_data": "no base 64"}, 400, "base 64", ""},
		{object{"user_data": base64.StdEncoding.EncodeToString(make([]byte, 60000))}, 400, "User data too large", ""},
		{object{"availability_zone": "mars"}, 400, "The requested availability zone is not available", ""},
		{object{"description": "d"}, 400, "Additional properties are not allowed", "2.18"},
		{object{"description": strings.Repeat("d", 256)}, 400, "description", "2.19"},
		{object{"tags": []string{"a"}}, 400, "Additional properties are not allowed", "2.51"},
		{object{"tags": []string{"a/b"}, "networks": "none"}, 400, "tag", "2.52"},
		{object{"hostname": "a"}, 400, "Additional properties are not allowed", "2.89"},
		{object{"hostname": "a_b", "networks": "none"}, 400, "hostname", "2.90"},
		{object{"hostname": "a", "networks": "none", "max_count": 2}, 400, "hostname", "2.90"},
		{object{"personality": []object{{"path": "/a", "contents": ""}}}, 403, "Personality", ""},
		{object{"personality": []object{}, "networks": "none"}, 400, "Additional properties are not allowed", "2.57"},
		{object{"security_groups": []object{{"name": "mine"}}}, 400, "Security group mine not found", ""},
		{object{"security_groups": []object{{}}}, 400, "security_groups", ""},
		{object{"accessIPv4": "fe80::1"}, 400, "IPv4", ""},
		{object{"OS-DCF:diskConfig": "SOMETIMES"}, 400, "diskConfig", ""},
		{object{"config_drive": "perhaps"}, 400, "config_drive", ""},
		{object{"nonsense": 1}, 400, "nonsense", ""},
		{object{"imageRef": absent, "block_device_mapping_v2": []object{{"boot_index": 0, "uuid": nobody, "source_type": "volume", "destination_type": "volume"}}}, 400, "Block Device Mapping is Invalid", ""},
		{object{"block_device_mapping_v2": []object{{"boot_index": 1, "uuid": c.image, "source_type": "image", "destination_type": "local"}}}, 400, "Boot sequence", ""},
		{object{"block_device_mapping": []object{{"volume_id": nobody}}}, 400, "Block Device Mapping is Invalid", ""},
	} {
		version := x.version
		if version == "" {
			version = "2.1"
		}
		got := c.Do(Demo, "POST", "/compute/v2.1/servers", c.server(x.change), at(version))
		name := "badRequest"
		if x.status == 403 {
			name = "forbidden"
		}
		fault, _ := got.Body[name].(map[string]any)
		if message := fmt.Sprint(fault["message"]); got.Status != x.status || !strings.Contains(message, x.words) {
			t.Errorf("%v at %s: %d %s, want %q", x.change, version, got.Status, got.Text, x.words)
		}
	}
	for _, body := range []string{"", "{", "[]", "{}", `{"server": null}`, `{"server": []}`, `{"server": {}, "more": {}}`, `{"server": {}}`, strings.Repeat(`{"server":`, 60) + "1" + strings.Repeat("}", 60)} {
		c.ask(400, Demo, "POST", "/servers", body)
	}
	c.ask(400, Demo, "POST", "/servers", object{"server": c.server(nil)["server"], "os:scheduler_hints": object{"group": nobody}})
	for _, deleted := range []bool{false, true} {
		if left, err := c.Instances.List(ctx, "", deleted); err != nil || len(left) > 0 {
			t.Errorf("servers are left: %v, %v", left, err)
		}
	}
	if ports, err := c.Networks.Ports(ctx, c.DB, network.Everything, network.PortFilter{Projects: []string{DemoProject}}); err != nil || len(ports) > 0 {
		t.Errorf("ports are left: %v, %v", ports, err)
	}
}

func many(n int) object {
	metadata := object{}
	for i := range n {
		metadata[fmt.Sprint("k", i)] = "v"
	}
	return metadata
}

// Everything that a server may be asked with comes out again.
func TestAllOfAServer(t *testing.T) {
	c := start(t, 2)
	c.ask(201, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "key"}}, at("2.2"))
	port := ""
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		p, err := c.Networks.CreatePort(t.Context(), tx, network.NewPort{Network: c.Network.ID, Project: DemoProject, Name: "mine"})
		if err == nil {
			port = p.ID
		}
		return err
	}))
	id := c.create(object{
		"imageRef": absent, "block_device_mapping_v2": []object{{"boot_index": "0", "uuid": c.image, "source_type": "image", "destination_type": "local", "delete_on_termination": true}},
		"key_name": "key", "networks": []object{{"port": port}, {"uuid": c.Network.ID, "fixed_ip": "10.20.0.77"}}, "metadata": object{"a": "b"},
		"user_data": "I2Nsb3VkLWNvbmZpZwo=", "config_drive": true, "availability_zone": "nova", "description": "words", "tags": []string{"x", "y"},
		"hostname": "box.example.com", "security_groups": []object{{"name": "default"}}, "accessIPv4": "1.2.3.4", "accessIPv6": "fe80::1", "OS-DCF:diskConfig": "AUTO",
	}, at("2.96"))
	got := c.show(Demo, id, at("2.96"))
	wanted := object{
		"status": "ACTIVE", "key_name": "key", "metadata": object{"a": "b"}, "config_drive": "True", "description": "words", "tags": []any{"x", "y"},
		"OS-EXT-SRV-ATTR:hostname": "box.example.com", "accessIPv4": "1.2.3.4", "accessIPv6": "fe80::1", "OS-DCF:diskConfig": "AUTO", "locked": false,
		"pinned_availability_zone": "nova", "OS-EXT-AZ:availability_zone": "nova", "server_groups": []any{}, "trusted_image_certificates": nil,
		"OS-EXT-STS:power_state": 1.0, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": nil, "locked_reason": nil, "progress": 0.0,
	}
	for name, want := range wanted {
		if fmt.Sprint(got[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["flavor"].(map[string]any)["original_name"] != "bm.small" || len(got["hostId"].(string)) != 56 {
		t.Errorf("%v %v", got["flavor"], got["hostId"])
	}
	addresses := got["addresses"].(map[string]any)["flat"].([]any)
	if len(addresses) != 2 || addresses[1].(map[string]any)["addr"] != "10.20.0.77" {
		t.Errorf("%v", addresses)
	}
	if admins := c.show(Admin, id, at("2.96")); admins["OS-EXT-SRV-ATTR:hypervisor_hostname"] != c.Get(id).Machine || admins["host_status"] != "UP" {
		t.Errorf("%v", admins)
	}

	interfaces := c.ask(200, Demo, "GET", "/servers/"+id+"/os-interface", nil).Body["interfaceAttachments"].([]any)
	if len(interfaces) != 2 || interfaces[0].(map[string]any)["port_id"] != port || interfaces[0].(map[string]any)["port_state"] != "ACTIVE" {
		t.Errorf("%v", interfaces)
	}
	c.ask(200, Demo, "GET", "/servers/"+id+"/os-interface/"+port, nil)
	c.ask(404, Demo, "GET", "/servers/"+id+"/os-interface/"+id, nil)
	c.ask(200, Demo, "GET", "/servers/"+id+"/ips", nil)
	c.ask(200, Demo, "GET", "/servers/"+id+"/ips/flat", nil)
	c.ask(404, Demo, "GET", "/servers/"+id+"/ips/none", nil)

	c.ask(204, Demo, "DELETE", "/servers/"+id, nil)
	c.Await(id, instance.Deleted)
	c.ask(404, Demo, "GET", "/servers/"+id, nil)
	ports, err := c.Networks.Ports(t.Context(), c.DB, network.Everything, network.PortFilter{})
	c.Check(err)
	if len(ports) != 1 || ports[0].ID != port || ports[0].DeviceID != "" || ports[0].Host != "" {
		t.Errorf("the tenant's own port is not all that is left, free: %+v", ports)
	}
}

func TestFlavorsChooseMachines(t *testing.T) {
	c := start(t, 1)
	_, err := flavor.NewStore(c.DB, c.Clock).Create(t.Context(), flavor.Flavor{ID: "gold", Name: "gold", RAM: 1, VCPUs: 1, Public: true, ExtraSpecs: map[string]string{"resources:CUSTOM_BAREMETAL_GOLD": "1"}})
	c.Check(err)
	answer := c.ask(202, Demo, "POST", "/servers", c.server(object{"flavorRef": "gold"}))
	id := answer.Body["server"].(map[string]any)["id"].(string)
	c.Await(id, instance.Errored)
	got := c.show(Demo, id)
	if fault, _ := got["fault"].(map[string]any); got["status"] != "ERROR" || fault["message"] != "No valid host was found. There are not enough hosts available." || fault["code"] != 500.0 {
		t.Errorf("%v", got)
	}
	c.ask(204, Demo, "DELETE", "/servers/"+id, nil)
	c.Await(id, instance.Deleted)
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		m := c.Machines[0].Record()
		m.ResourceClass = "baremetal.gold"
		return c.Service.Update(t.Context(), tx, m)
	}))
	c.create(object{"flavorRef": "gold"})
}
