package nova_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

// wire gives the machines' NICs edges, and carries whatever is plugged into them, as OVN does.
func wire(t *testing.T, c *instancetest.Cloud) {
	t.Helper()
	ctx := t.Context()
	c.Check(c.DB.Tx(ctx, func(tx *db.Tx) error {
		nics, err := c.Service.NICs(ctx, tx, "")
		for _, nic := range nics {
			nic.Link = map[string]any{"switch_info": "ovs", "port_id": "if-" + nic.ID}
			if err := c.Service.UpdateNIC(ctx, tx, nic); err != nil {
				return err
			}
		}
		return err
	}))
	go func() {
		for ctx.Err() == nil {
			_ = c.DB.Tx(ctx, func(tx *db.Tx) error { return carry(ctx, tx, c) }) // the next round sees what this one did not
			time.Sleep(20 * time.Millisecond)
		}
	}()
}

func carry(ctx context.Context, tx *db.Tx, c *instancetest.Cloud) error {
	ports, err := c.Networks.Ports(ctx, tx, network.Everything, network.PortFilter{})
	for _, p := range ports {
		if !p.Plugged || p.Up {
			continue
		}
		if err := c.Networks.SetUp(ctx, tx, p.ID, true); err != nil {
			return err
		}
		if err := c.Instances.NetworkSeen(ctx, tx, p.DeviceID); err != nil {
			return err
		}
	}
	return err
}

// net makes a network of the demo project with a subnet, and gives its id.
func (c *cloud) net(name, cidr string) string {
	c.t.Helper()
	var id string
	c.Check(c.DB.Tx(c.t.Context(), func(tx *db.Tx) error {
		n, err := c.Networks.CreateNetwork(c.t.Context(), tx, network.NewNetwork{Project: DemoProject, Name: name})
		if err != nil {
			return err
		}
		id = n.ID
		_, err = c.Networks.CreateSubnet(c.t.Context(), tx, network.NewSubnet{Project: DemoProject, Network: n.ID, CIDR: netip.MustParsePrefix(cidr)})
		return err
	}))
	return id
}

func TestInterfaces(t *testing.T) {
	c := start(t, 1)
	wire(t, c.Cloud)
	blue := c.net("blue", "10.1.0.0/24")
	id := c.create(object{"networks": []object{{"uuid": blue, "tag": "front"}}}, at("2.42"))
	path := "/servers/" + id + "/os-interface"
	made := c.ask(200, Demo, "POST", path, object{"interfaceAttachment": object{"net_id": blue, "fixed_ips": []object{{"ip_address": "10.1.0.99"}}, "tag": "back"}}, at("2.70"))
	attached, _ := made.Body["interfaceAttachment"].(map[string]any)
	if got := strings.Join(keys(attached), " "); got != "fixed_ips mac_addr net_id port_id port_state tag" || attached["tag"] != "back" || attached["net_id"] != blue {
		t.Fatal(made.Text)
	}
	port := attached["port_id"].(string)
	c.Eventually("the port to be carried", func() bool {
		shown := c.ask(200, Demo, "GET", path+"/"+port, nil).Body["interfaceAttachment"].(map[string]any)
		return shown["port_state"] == "ACTIVE"
	})
	var tags []any
	for _, one := range c.ask(200, Demo, "GET", path, nil, at("2.70")).Body["interfaceAttachments"].([]any) {
		tags = append(tags, one.(map[string]any)["tag"])
	}
	if fmt.Sprint(tags) != "[front back]" {
		t.Errorf("the tags are %v", tags)
	}
	if got := c.show(Demo, id)["addresses"].(map[string]any)["blue"].([]any); len(got) != 2 {
		t.Errorf("the addresses are %v", got)
	}
	const nobody = "11111111-2222-3333-4444-555555555555"
	for _, x := range []struct {
		status  int
		body    object
		words   string
		version string
	}{
		{400, object{"net_id": blue}, "Failed to attach network adapter device to " + id, "2.1"}, // there is no third NIC
		{404, object{"port_id": nobody}, "Port " + nobody + " could not be found.", "2.1"},
		{404, object{"net_id": nobody}, "Network " + nobody + " could not be found.", "2.1"},
		{409, object{"port_id": port}, "Port " + port + " is still in use.", "2.1"},
		{400, object{"port_id": port, "net_id": blue}, "Must not input both network_id and port_id", "2.1"},
		{400, object{"fixed_ips": []object{{"ip_address": "10.1.0.9"}}}, "Must input network_id when request IP address", "2.1"},
		{400, object{"net_id": blue, "fixed_ips": []object{}}, "fixed_ips", "2.1"},
		{400, object{"net_id": blue, "fixed_ips": []object{{"ip_address": "x"}}}, "ip_address", "2.1"},
		{409, object{"net_id": blue, "fixed_ips": []object{{"ip_address": "10.1.0.99"}}}, "already allocated", "2.1"},
		{400, object{"net_id": "x"}, "net_id", "2.1"},
		{400, object{"net_id": 7}, "net_id", "2.1"},
		{400, object{"net_id": blue, "tag": "late"}, "tag", "2.48"},
		{400, object{"net_id": blue, "tag": "a,b"}, "tag", "2.49"},
		{400, object{"more": 1}, "more", "2.1"},
		{400, object{}, "Multiple possible networks found", "2.1"}, // the flat one is shared
	} {
		if got := c.ask(x.status, Demo, "POST", path, object{"interfaceAttachment": x.body}, at(x.version)); !strings.Contains(got.Text, x.words) {
			t.Errorf("%v: %s", x.body, got.Text)
		}
	}
	c.ask(404, Demo, "DELETE", path+"/"+nobody, nil)
	c.ask(404, Other, "DELETE", path+"/"+port, nil)
	c.ask(202, Demo, "DELETE", path+"/"+port, nil)
	c.ask(404, Demo, "GET", path+"/"+port, nil)
	act := func(status int, action, version string, arguments object) {
		t.Helper()
		c.ask(status, Demo, "POST", "/servers/"+id+"/action", object{action: arguments}, at(version))
	}
	act(202, "addFixedIp", "2.43", object{"networkId": blue})
	act(404, "addFixedIp", "2.44", object{"networkId": blue})
	act(404, "addFixedIp", "2.43", object{"networkId": nobody})
	act(400, "addFixedIp", "2.43", object{})
	ips := c.ask(200, Demo, "GET", "/servers/"+id+"/ips/blue", nil).Body["blue"].([]any)
	if len(ips) != 2 {
		t.Fatalf("the addresses are %v", ips)
	}
	act(202, "removeFixedIp", "2.43", object{"address": ips[1].(map[string]any)["addr"]})
	act(400, "removeFixedIp", "2.43", object{"address": ips[1].(map[string]any)["addr"]})
	act(400, "removeFixedIp", "2.43", object{"address": "x"})
	if got := c.names(Demo, "ip=10.1.0"); got != "web" {
		t.Errorf("by its address: %q", got)
	}
}

func TestNetworksOfNewServers(t *testing.T) {
	c := start(t, 2)
	wire(t, c.Cloud)
	blue := c.net("blue", "10.1.0.0/24")
	var empty, own, used string
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		n, err := c.Networks.CreateNetwork(t.Context(), tx, network.NewNetwork{Project: DemoProject, Name: "empty"})
		if err != nil {
			return err
		}
		empty = n.ID
		p, err := c.Networks.CreatePort(t.Context(), tx, network.NewPort{Project: DemoProject, Network: blue})
		if err != nil {
			return err
		}
		own = p.ID
		p, err = c.Networks.CreatePort(t.Context(), tx, network.NewPort{Project: DemoProject, Network: blue, DeviceID: "something"})
		used = p.ID
		return err
	}))
	for _, x := range []struct {
		change  object
		status  int
		words   string
		version string
	}{
		{object{"networks": []object{{"uuid": empty}}}, 400, "Network " + empty + " requires a subnet", "2.1"},
		{object{"networks": []object{{"port": used}}}, 409, "Port " + used + " is still in use.", "2.1"},
		{object{"networks": []object{{"port": own}, {"port": own}}}, 400, "Duplicate port", "2.1"},
		{object{"networks": []object{{"uuid": blue, "tag": "x"}}}, 400, "tag", "2.31"},
		{object{"networks": []object{{"uuid": blue, "tag": "x"}}}, 400, "tag", "2.41"},
		{object{"networks": []object{{"uuid": blue, "tag": "a/b"}}}, 400, "tag", "2.42"},
		{object{"networks": "auto"}, 409, "Multiple possible networks found", "2.37"},
		{object{"networks": absent}, 409, "Multiple possible networks found", "2.1"},
		{object{"security_groups": []object{{"name": "nobody's"}}}, 400, "Security group nobody's not found for project", "2.1"},
		{object{"availability_zone": "nova:x:y"}, 403, "requested_destination", "2.1"},
		{object{"host": "x", "networks": "none"}, 403, "requested_destination", "2.74"},
	} {
		if got := c.ask(x.status, Demo, "POST", "/servers", c.server(x.change), at(x.version)); !strings.Contains(got.Text, x.words) {
			t.Errorf("%v: %s", x.change, got.Text)
		}
	}
	id := c.create(object{"networks": []object{{"port": own}, {"uuid": blue}}})
	i := c.Get(id)
	ports, err := c.Networks.PortsOf(t.Context(), c.DB, id)
	c.Check(err)
	i.Order(ports)
	macs := c.On(i).MACs
	if ports[0].ID != own || ports[0].MAC != macs[0] || ports[1].MAC != macs[1] {
		t.Errorf("%s is on %s, %s on %s", ports[0].ID, ports[0].MAC, ports[1].ID, ports[1].MAC)
	}
	if got := c.ask(400, Admin, "POST", "/servers", c.server(object{"host": "nowhere", "networks": "none"}), at("2.74")); !strings.Contains(got.Text, "Compute host nowhere could not be found.") {
		t.Error(got.Text)
	}
	free := slices.DeleteFunc(slices.Clone(c.Machines), func(m *machinetest.Computer) bool { return m.ID == i.Machine })[0]
	_, err = c.Images.Update(t.Context(), image.Caller{Project: DemoProject, Admin: true}, c.image, func(i *image.Image) error { i.Visibility = image.Public; return nil })
	c.Check(err)
	answer := c.ask(202, Admin, "POST", "/servers", c.server(object{"availability_zone": "nova:" + free.ID, "networks": "none"}), at("2.74"))
	made := answer.Body["server"].(map[string]any)["id"].(string)
	c.Eventually("it to be where it is to be", func() bool {
		server := c.show(Admin, made, at("2.74"))
		return server["status"] == "ACTIVE" && server["OS-EXT-SRV-ATTR:host"] == free.ID && server["OS-EXT-AZ:availability_zone"] == "nova"
	})
}

func TestSecurityGroups(t *testing.T) {
	c := start(t, 1)
	wire(t, c.Cloud)
	blue := c.net("blue", "10.1.0.0/24")
	group := func(status int, body object) map[string]any {
		t.Helper()
		made, _ := c.ask(status, Demo, "POST", "/os-security-groups", object{"security_group": body}).Body["security_group"].(map[string]any)
		return made
	}
	web, ssh := group(200, object{"name": "web", "description": "w"}), group(200, object{"name": "ssh", "description": "s"})
	group(400, object{"name": "default", "description": ""})
	group(400, object{"name": "", "description": ""})
	group(400, object{"name": "x"})
	group(400, object{"name": "x", "description": strings.Repeat("d", 256)})
	id := c.create(object{"networks": []object{{"uuid": blue}}, "security_groups": []object{{"name": "web"}}})
	groups := func() string {
		t.Helper()
		var names []string
		list, _ := c.show(Demo, id)["security_groups"].([]any)
		for _, g := range list {
			names = append(names, g.(map[string]any)["name"].(string))
		}
		return strings.Join(names, " ")
	}
	act := func(status int, action string, arguments object) {
		t.Helper()
		c.ask(status, Demo, "POST", "/servers/"+id+"/action", object{action: arguments}, at("2.96"))
	}
	if got := groups(); got != "web" {
		t.Errorf("at first it is in %q", got)
	}
	act(202, "addSecurityGroup", object{"name": ssh["id"]})
	act(202, "addSecurityGroup", object{"name": "ssh"}) // it is there already
	act(404, "addSecurityGroup", object{"name": "nobody's"})
	act(400, "addSecurityGroup", object{"name": ""})
	act(400, "addSecurityGroup", object{})
	if got := groups(); got != "ssh web" {
		t.Errorf("then it is in %q", got)
	}
	if got := c.ask(200, Demo, "GET", "/servers/"+id+"/os-security-groups", nil).Text; !strings.Contains(got, `"ssh"`) || !strings.Contains(got, `"web"`) {
		t.Error(got)
	}
	c.ask(400, Demo, "DELETE", "/os-security-groups/"+web["id"].(string), nil) // it is in use
	act(202, "removeSecurityGroup", object{"name": "web"})
	act(404, "removeSecurityGroup", object{"name": "web"})
	act(202, "removeSecurityGroup", object{"name": "ssh"})
	if _, there := c.show(Demo, id)["security_groups"]; there {
		t.Error("it is in none, and shows some")
	}

	rule := func(status int, body object) map[string]any {
		t.Helper()
		made, _ := c.ask(status, Demo, "POST", "/os-security-group-rules", object{"security_group_rule": body}).Body["security_group_rule"].(map[string]any)
		return made
	}
	with := func(change object) object {
		body := object{"parent_group_id": web["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": "22", "cidr": "10.2.3.124/24"}
		maps.Copy(body, change)
		return body
	}
	made := rule(200, with(nil))
	if got := fmt.Sprintf("%v %v %v %v %v", made["ip_range"], made["from_port"], made["to_port"], made["ip_protocol"], made["group"]); got != "map[cidr:10.2.3.124/24] 22 22 tcp map[]" {
		t.Error(got)
	}
	if got := rule(200, with(object{"cidr": nil, "group_id": ssh["id"]})); fmt.Sprint(got["group"]) != "map[name:ssh tenant_id:"+DemoProject+"]" {
		t.Errorf("%v", got)
	}
	rule(200, with(object{"cidr": nil, "ip_protocol": "icmp", "from_port": -1, "to_port": -1}))
	for _, change := range []object{
		nil, {"ip_protocol": "999"}, {"from_port": 70000}, {"to_port": 70000}, {"from_port": 23}, {"parent_group_id": "x"}, {"cidr": "x"}, {"ip_protocol": nil},
		{"from_port": "x"}, {"group_id": "x"}, {"more": 1},
	} {
		rule(400, with(change)) // nil: it is there already
	}
	rule(404, with(object{"parent_group_id": "11111111-2222-3333-4444-555555555555"}))
	if rules := c.ask(200, Demo, "GET", "/os-security-groups/"+web["id"].(string), nil).Body["security_group"].(map[string]any)["rules"].([]any); len(rules) != 3 {
		t.Errorf("it has %d rules", len(rules))
	}
	c.ask(404, Other, "DELETE", "/os-security-group-rules/"+made["id"].(string), nil)
	c.ask(202, Demo, "DELETE", "/os-security-group-rules/"+made["id"].(string), nil)
	c.ask(200, Demo, "PUT", "/os-security-groups/"+web["id"].(string), object{"security_group": object{"name": "new", "description": "n"}})
	c.ask(404, Other, "GET", "/os-security-groups/"+web["id"].(string), nil)
	c.ask(404, Demo, "GET", "/os-security-groups/"+web["id"].(string), nil, at("2.36"))
	c.ask(202, Demo, "DELETE", "/os-security-groups/"+web["id"].(string), nil)
	if got := c.ask(200, Demo, "GET", "/os-security-groups", nil).Body["security_groups"].([]any); len(got) != 2 {
		t.Errorf("%d groups are left", len(got))
	}
}

func TestFloatingIPs(t *testing.T) {
	c := start(t, 1)
	wire(t, c.Cloud)
	blue := c.net("blue", "10.1.0.0/24")
	c.ask(404, Demo, "POST", "/os-floating-ips", object{"pool": nil})
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		outside, err := c.Networks.CreateNetwork(t.Context(), tx, network.NewNetwork{Project: "admin", Name: "outside", External: true})
		if err != nil {
			return err
		}
		if _, err := c.Networks.CreateSubnet(t.Context(), tx, network.NewSubnet{Project: "admin", Network: outside.ID, CIDR: netip.MustParsePrefix("203.0.113.0/28")}); err != nil {
			return err
		}
		r, err := c.Routers.Create(t.Context(), tx, network.Viewer{Project: DemoProject}, router.NewRouter{Project: DemoProject, Gateway: &router.GatewayWish{Network: outside.ID}})
		if err != nil {
			return err
		}
		subnets, err := c.Networks.Subnets(t.Context(), tx, network.Everything, network.SubnetFilter{Networks: []string{blue}})
		if err != nil {
			return err
		}
		_, err = c.Routers.AddSubnet(t.Context(), tx, network.Viewer{Project: DemoProject}, r.ID, subnets[0].ID)
		return err
	}))
	id := c.create(object{"networks": []object{{"uuid": blue}}})
	made := c.ask(200, Demo, "POST", "/os-floating-ips", object{"pool": "outside"}).Body["floating_ip"].(map[string]any)
	if made["pool"] != "outside" || made["instance_id"] != nil || made["fixed_ip"] != nil {
		t.Errorf("%v", made)
	}
	c.ask(404, Demo, "POST", "/os-floating-ips", object{"pool": "elsewhere"})
	if got := c.ask(200, Demo, "GET", "/os-floating-ip-pools", nil).Text; got != `{"floating_ip_pools":[{"name":"outside"}]}` {
		t.Error(got)
	}
	act := func(status int, action, version string, arguments object) {
		t.Helper()
		c.ask(status, Demo, "POST", "/servers/"+id+"/action", object{action: arguments}, at(version))
	}
	act(202, "addFloatingIp", "2.43", object{"address": made["ip"]})
	act(404, "addFloatingIp", "2.44", object{"address": made["ip"]})
	act(404, "addFloatingIp", "2.43", object{"address": "0.0.0.0"})
	act(400, "addFloatingIp", "2.43", object{"address": ""})
	act(400, "addFloatingIp", "2.43", object{"address": made["ip"], "fixed_address": "10.9.9.9"})
	second := c.ask(200, Demo, "POST", "/os-floating-ips", nil).Body["floating_ip"].(map[string]any)
	act(400, "addFloatingIp", "2.43", object{"address": second["ip"]}) // the address has one
	act(409, "removeFloatingIp", "2.43", object{"address": second["ip"]})
	var told []string
	for _, x := range c.show(Demo, id)["addresses"].(map[string]any)["blue"].([]any) {
		told = append(told, fmt.Sprint(x.(map[string]any)["OS-EXT-IPS:type"], " ", x.(map[string]any)["addr"]))
	}
	if len(told) != 2 || told[1] != "floating "+made["ip"].(string) {
		t.Errorf("the addresses are %v", told)
	}
	shown := c.ask(200, Demo, "GET", "/os-floating-ips/"+made["id"].(string), nil).Body["floating_ip"].(map[string]any)
	if shown["instance_id"] != id || !strings.HasPrefix(shown["fixed_ip"].(string), "10.1.0.") {
		t.Errorf("%v", shown)
	}
	c.ask(404, Other, "GET", "/os-floating-ips/"+made["id"].(string), nil)
	c.ask(404, Other, "DELETE", "/os-floating-ips/"+made["id"].(string), nil)
	c.ask(404, Demo, "GET", "/os-floating-ips", nil, at("2.36"))
	act(202, "removeFloatingIp", "2.43", object{"address": made["ip"]})
	c.ask(202, Demo, "DELETE", "/os-floating-ips/"+made["id"].(string), nil)
	if got := c.ask(200, Demo, "GET", "/os-floating-ips", nil).Body["floating_ips"].([]any); len(got) != 1 {
		t.Errorf("%v are left", got)
	}
	c.Await(id, instance.Active)
}
