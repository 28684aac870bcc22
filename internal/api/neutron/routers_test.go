package neutron_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
)

var projects = map[string]string{demo: demoProject, other: otherProject, admin: adminProject}

// newNetwork makes a network of the caller's with a subnet whose gateway has the first address.
func (c *cloud) newNetwork(token, cidr string, external bool) (net, subnet string) {
	c.t.Helper()
	return c.networkOf(projects[token], "n"+cidr, cidr, external)
}

func (c *cloud) networkOf(project, name, cidr string, external bool) (net, subnet string) {
	c.t.Helper()
	err := c.db.Tx(c.t.Context(), func(tx *db.Tx) error {
		n, err := c.networks.CreateNetwork(c.t.Context(), tx, network.NewNetwork{Project: project, Name: name, External: external})
		if err != nil {
			return err
		}
		s, err := c.networks.CreateSubnet(c.t.Context(), tx, network.NewSubnet{Network: n.ID, Project: project, CIDR: netip.MustParsePrefix(cidr)})
		if err != nil {
			return err
		}
		net, subnet = n.ID, s.ID
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return net, subnet
}

// layout is a port behind a router with a gateway on an external network.
type layout struct{ out, outSubnet, net, subnet, router, port string }

func (c *cloud) joined(token string) (l layout) {
	c.t.Helper()
	l.out, l.outSubnet = c.newNetwork(admin, "203.0.113.0/24", true)
	l.net, l.subnet = c.newNetwork(token, "10.1.0.0/24", false)
	l.router = c.router(token, object{"name": "main", "external_gateway_info": object{"network_id": l.out}})["id"].(string)
	c.call(token, "PUT", "/routers/"+l.router+"/add_router_interface", object{"subnet_id": l.subnet}, 200)
	l.port = c.port(token, object{"network_id": l.net, "name": "inside", "fixed_ips": []object{{"subnet_id": l.subnet}}})["id"].(string)
	return l
}

func (c *cloud) router(token string, fields object) object {
	c.t.Helper()
	return c.call(token, "POST", "/routers", object{"router": fields}, 201)["router"].(object)
}

func (c *cloud) floatingIP(token string, l layout, fields object) object {
	c.t.Helper()
	body := object{"floating_network_id": l.out}
	for k, v := range fields {
		body[k] = v
	}
	return c.call(token, "POST", "/floatingips", object{"floatingip": body}, 201)["floatingip"].(object)
}

func TestRouters(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		l := c.joined(demo)
		path := "/routers/" + l.router
		got := c.call(demo, "GET", path, nil, 200)["router"].(object)
		gateway := got["external_gateway_info"].(object)
		if gateway["network_id"] != l.out || gateway["enable_snat"] != true || gateway["external_fixed_ips"].([]any)[0].(object)["subnet_id"] != l.outSubnet {
			t.Errorf("gateway: %v", gateway)
		}
		if got["status"] != "ACTIVE" || got["distributed"] != nil || got["flavor_id"] != nil || fmt.Sprint(got["routes"], got["availability_zones"]) != "[] [nova]" {
			t.Errorf("router: %v", got)
		}
		if all := c.names(demo, "routers", "name=main&admin_state_up=True&tenant_id="+demoProject); len(all) != 1 {
			t.Errorf("listed: %v", all)
		}
		if all := c.names(other, "routers", ""); len(all) != 0 {
			t.Errorf("another project lists %v", all)
		}
		update := func(token string, status int, fields object) object {
			t.Helper()
			answer, _ := c.call(token, "PUT", path, object{"router": fields}, status)["router"].(object)
			return answer
		}
		// What only admins may say is 403, unless it is so anyway.
		update(demo, 403, object{"external_gateway_info": object{"network_id": l.out, "enable_snat": false}})
		update(demo, 403, object{"external_gateway_info": object{"network_id": l.out, "external_fixed_ips": []object{{"ip_address": "203.0.113.77"}}}})
		update(demo, 200, object{"external_gateway_info": gateway})
		set := update(admin, 200, object{"external_gateway_info": object{"network_id": l.out, "enable_snat": false, "external_fixed_ips": []object{{"ip_address": "203.0.113.77"}}}})
		if text := fmt.Sprint(set["external_gateway_info"]); !strings.Contains(text, "203.0.113.77") || !strings.Contains(text, "enable_snat:false") {
			t.Errorf("set by an admin: %s", text)
		}
		if set["distributed"] != false || set["ha"] != false {
			t.Errorf("as an admin: %v", set)
		}
		for _, body := range []object{
			{"name": strings.Repeat("x", 256)}, {"distributed": true}, {"ha": true}, {"flavor_id": "f"}, {"tenant_id": otherProject}, {"name": nil},
			{"routes": []object{{"destination": "10.0.0.1/8", "nexthop": "10.1.0.2"}}}, {"routes": []object{{"destination": "10.0.0.0/8", "nexthop": "x"}}},
			{"external_gateway_info": object{"network_id": l.net}},
		} {
			update(admin, 400, body)
		}
		c.fails(demo, "PUT", path, object{"router": object{"external_gateway_info": object{"network_id": "unknown"}}}, 404, "NetworkNotFound")
		c.fails(demo, "PUT", path, object{"router": object{"routes": []object{{"destination": "172.16.0.0/12", "nexthop": "192.0.2.1"}}}}, 400, "InvalidRoutes")
		c.fails(demo, "DELETE", path, nil, 409, "RouterInUse")
		c.fails(demo, "POST", "/routers", object{"router": object{"availability_zone_hints": []string{"mars"}}}, 404, "AvailabilityZoneNotFound")
		if got := update(demo, 200, object{"external_gateway_info": object{}}); got["external_gateway_info"] != nil {
			t.Errorf("cleared: %v", got)
		}
		if agents := c.call(admin, "GET", path+"/l3-agents", nil, 200)["agents"].([]any); len(agents) != 0 {
			t.Errorf("agents: %v", agents)
		}
	})
}

func TestExtraRoutes(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	l := c.joined(demo)
	path := "/routers/" + l.router
	one, two := object{"destination": "172.16.0.0/12", "nexthop": "10.1.0.7"}, object{"destination": "192.0.2.0/24", "nexthop": "203.0.113.9"}
	body := func(routes ...object) object { return object{"router": object{"routes": routes}} }
	c.call(demo, "PUT", path+"/add_extraroutes", body(one, two), 200)
	got := c.call(demo, "PUT", path+"/add_extraroutes", body(one), 200)["router"].(object)
	if len(got["routes"].([]any)) != 2 {
		t.Errorf("added: %v", got["routes"])
	}
	c.fails(demo, "PUT", path+"/remove_router_interface", object{"subnet_id": l.subnet}, 409, "RouterInterfaceInUseByRoute")
	got = c.call(demo, "PUT", path+"/remove_extraroutes", body(one, object{"destination": "172.16.0.0/12", "nexthop": "10.1.0.8"}), 200)["router"].(object)
	if fmt.Sprint(got["routes"]) != "[map[destination:192.0.2.0/24 nexthop:203.0.113.9]]" {
		t.Errorf("removed: %v", got["routes"])
	}
	c.fails(demo, "PUT", path, object{"router": object{"external_gateway_info": nil}}, 400, "InvalidRoutes")
	c.call(demo, "PUT", path, object{"router": object{"routes": nil, "external_gateway_info": nil}}, 200)
}

func TestRouterInterfaces(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		l := c.joined(demo)
		add, remove := "/routers/"+l.router+"/add_router_interface", "/routers/"+l.router+"/remove_router_interface"
		net, subnet := c.newNetwork(demo, "10.2.0.0/24", false)
		_, foreign := c.newNetwork(other, "10.3.0.0/24", false)
		at := c.call(demo, "PUT", add, object{"subnet_id": subnet}, 200)
		if at["id"] != l.router || at["subnet_id"] != subnet || at["network_id"] != net || at["tenant_id"] != demoProject || fmt.Sprint(at["subnet_ids"]) != "["+subnet+"]" {
			t.Errorf("added: %v", at)
		}
		port := at["port_id"].(string)
		if p := c.call(demo, "GET", "/ports/"+port, nil, 200)["port"].(object); p["device_owner"] != "network:router_interface" || p["device_id"] != l.router {
			t.Errorf("its port: %v", p)
		}
		for _, x := range []struct {
			path      string
			body      any
			status    int
			exception string
		}{
			{add, object{}, 400, "BadRequest"},
			{add, object{"subnet_id": subnet, "port_id": port}, 400, "BadRequest"},
			{add, object{"subnet_id": subnet}, 400, "BadRequest"},
			{add, object{"subnet_id": foreign}, 404, "SubnetNotFound"},
			{add, object{"port_id": "unknown"}, 404, "PortNotFound"},
			{add, object{"port_id": port}, 409, "PortInUse"},
			{remove, object{"subnet_id": foreign}, 404, "SubnetNotFound"},
			{remove, object{"port_id": "unknown"}, 404, "RouterInterfaceNotFound"},
			{remove, object{"port_id": port, "subnet_id": l.subnet}, 400, "SubnetMismatchForPort"},
		} {
			c.fails(demo, "PUT", x.path, x.body, x.status, x.exception)
		}
		// Nobody pulls a router's port away or gives it to another: neither its tenant nor an admin.
		for _, token := range []string{demo, admin} {
			c.fails(token, "DELETE", "/ports/"+port, nil, 409, "ServicePortInUse")
			c.call(token, "PUT", "/ports/"+port, object{"port": object{"fixed_ips": []object{{"ip_address": "10.2.0.9"}}}}, 409)
			c.call(token, "PUT", "/ports/"+port, object{"port": object{"device_id": "another"}}, 409)
			c.call(token, "POST", "/ports", object{"port": object{"network_id": net, "device_owner": "network:router_interface", "device_id": l.router, "project_id": demoProject}}, 403)
			c.call(token, "PUT", "/ports/"+l.port, object{"port": object{"device_owner": "network:router_gateway", "device_id": l.router}}, 403)
		}
		c.call(demo, "PUT", "/ports/"+port, object{"port": object{"name": "uplink"}}, 200)
		gone := c.call(demo, "PUT", remove, object{"port_id": port, "subnet_id": subnet}, 200)
		if fmt.Sprint(gone) != fmt.Sprint(at) {
			t.Errorf("removed %v, added %v", gone, at)
		}
		c.fails(demo, "PUT", remove, object{"subnet_id": subnet}, 404, "RouterInterfaceNotFoundForSubnet")
	})
}

func TestFloatingIPs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		l := c.joined(demo)
		f := c.floatingIP(demo, l, object{"description": "d", "subnet_id": l.outSubnet})
		path := "/floatingips/" + f["id"].(string)
		if f["status"] != "DOWN" || f["port_id"] != nil || f["port_details"] != nil || f["router_id"] != nil || f["name"] != nil || f["description"] != "d" {
			t.Errorf("made: %v", f)
		}
		aim := func(to object) object { return object{"floatingip": to} }
		f = c.call(demo, "PUT", path, aim(object{"port_id": l.port}), 200)["floatingip"].(object)
		details, _ := f["port_details"].(object)
		if f["status"] != "ACTIVE" || f["port_id"] != l.port || f["router_id"] != l.router || f["fixed_ip_address"] == nil || details["name"] != "inside" || details["network_id"] != l.net {
			t.Errorf("associated: %v", f)
		}
		for query, want := range map[string]int{
			"port_id=" + l.port: 1, "port_id=unknown": 0, "status=ACTIVE": 1, "floating_ip_address=" + f["floating_ip_address"].(string): 1,
			"floating_network_id=" + l.out: 1, "router_id=" + l.router: 1, "tenant_id=" + otherProject: 0,
		} {
			if got := c.call(demo, "GET", "/floatingips?"+query, nil, 200)["floatingips"].([]any); len(got) != want {
				t.Errorf("%s: %v", query, got)
			}
		}
		second := c.floatingIP(demo, l, nil)["id"].(string)
		c.fails(demo, "PUT", "/floatingips/"+second, aim(object{"port_id": l.port}), 409, "FloatingIPPortAlreadyAssociated")
		c.fails(demo, "PUT", "/floatingips/"+second, aim(object{"fixed_ip_address": "10.1.0.2"}), 400, "BadRequest")
		c.fails(demo, "PUT", "/floatingips/"+second, aim(object{"floating_network_id": l.out}), 400, "HTTPBadRequest")
		c.fails(demo, "PUT", "/floatingips/"+second, aim(object{"qos_policy_id": "gold"}), 404, "QosPolicyNotFound")
		lonely, _ := c.newNetwork(demo, "10.4.0.0/24", false)
		p := c.port(demo, object{"network_id": lonely})["id"].(string)
		c.fails(demo, "PUT", "/floatingips/"+second, aim(object{"port_id": p}), 404, "ExternalGatewayForFloatingIPNotFound")
		c.fails(demo, "PUT", "/routers/"+l.router, object{"router": object{"external_gateway_info": nil}}, 409, "RouterExternalGatewayInUseByFloatingIp")
		c.fails(demo, "PUT", "/routers/"+l.router+"/remove_router_interface", object{"subnet_id": l.subnet}, 409, "RouterInterfaceInUseByFloatingIP")
		c.fails(demo, "POST", "/floatingips", aim(object{"floating_network_id": l.net}), 400, "BadRequest")
		c.fails(demo, "POST", "/floatingips", aim(object{}), 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/floatingips", aim(object{"floating_network_id": l.out, "floating_ip_address": "203.0.113.9"}), 403, "PolicyNotAuthorized")
		chosen := c.floatingIP(admin, l, object{"floating_ip_address": "203.0.113.199", "project_id": demoProject})
		if chosen["floating_ip_address"] != "203.0.113.199" || chosen["project_id"] != demoProject {
			t.Errorf("chosen by an admin: %v", chosen)
		}
		c.call(demo, "PUT", path+"/tags/red", nil, 201)
		c.call(demo, "DELETE", "/ports/"+l.port, nil, 204)
		f = c.call(demo, "GET", path, nil, 200)["floatingip"].(object)
		if f["status"] != "DOWN" || f["port_id"] != nil || f["fixed_ip_address"] != nil || fmt.Sprint(f["tags"]) != "[red]" {
			t.Errorf("after its port: %v", f)
		}
		c.call(demo, "DELETE", path, nil, 204)
		c.fails(demo, "GET", path, nil, 404, "FloatingIPNotFound")
		pools := c.call(demo, "GET", "/floatingip_pools?cidr=203.0.113.0/24", nil, 200)["floatingip_pools"].([]any)
		if len(pools) != 1 || pools[0].(object)["subnet_id"] != l.outSubnet {
			t.Errorf("pools: %v", pools)
		}
	})
}

func TestPortForwardings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		l := c.joined(demo)
		id := c.floatingIP(demo, l, nil)["id"].(string)
		path := "/floatingips/" + id + "/port_forwardings"
		body := func(change object) object {
			b := object{"internal_port_id": l.port, "internal_port": 22, "external_port": 2222, "protocol": "TCP"}
			for k, v := range change {
				b[k] = v
				if v == nil {
					delete(b, k)
				}
			}
			return object{"port_forwarding": b}
		}
		made := c.call(demo, "POST", path, body(object{"description": "ssh"}), 201)["port_forwarding"].(object)
		if made["protocol"] != "tcp" || made["external_port"] != 2222.0 || made["internal_port_range"] != "22:22" || made["description"] != "ssh" || made["internal_ip_address"] == nil {
			t.Errorf("made: %v", made)
		}
		ranged := c.call(demo, "POST", path, body(object{"internal_port": nil, "external_port": nil, "internal_port_range": "80:89", "external_port_range": "8080:8089"}), 201)["port_forwarding"].(object)
		if ranged["external_port"] != nil || ranged["external_port_range"] != "8080:8089" {
			t.Errorf("a range: %v", ranged)
		}
		for _, bad := range []object{
			{"internal_port": 23}, {"external_port": 8085, "internal_port": 1}, {"external_port": 70000}, {"protocol": "gre"}, {"internal_port_id": nil},
			{"external_port_range": "1:2"}, {"external_port": nil, "external_port_range": "x"}, {"internal_ip_address": "10.1.0.250"},
		} {
			if got := c.Do(demo, "POST", "/network/v2.0"+path, body(bad)); got.Status != 400 {
				t.Errorf("%v: %d %s", bad, got.Status, got.Text)
			}
		}
		f := c.call(demo, "GET", "/floatingips/"+id, nil, 200)["floatingip"].(object)
		if len(f["port_forwardings"].([]any)) != 2 || f["status"] != "ACTIVE" || f["port_id"] != nil || f["router_id"] != l.router {
			t.Errorf("the floating IP: %v", f)
		}
		if got := c.call(demo, "GET", path+"?protocol=tcp&external_port=2222", nil, 200)["port_forwardings"].([]any); len(got) != 1 {
			t.Errorf("listed: %v", got)
		}
		c.fails(demo, "PUT", "/floatingips/"+id, object{"floatingip": object{"port_id": l.port}}, 409, "FipInUseByPortForwarding")
		c.fails(demo, "DELETE", "/floatingips/"+id, nil, 409, "FipInUseByPortForwarding")
		one := path + "/" + made["id"].(string)
		if got := c.call(demo, "PUT", one, object{"port_forwarding": object{"external_port": 2223}}, 200)["port_forwarding"].(object); got["external_port"] != 2223.0 || got["internal_port"] != 22.0 {
			t.Errorf("changed: %v", got)
		}
		c.call(demo, "DELETE", one, nil, 204)
		c.fails(demo, "GET", one, nil, 404, "PortForwardingNotFound")
		c.fails(other, "GET", path, nil, 404, "FloatingIPNotFound")
	})
}

// Each route that leads to something of a router or a floating IP answers another project as if it did not exist.
func TestForeignRouters(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	l := c.joined(demo)
	floating := c.floatingIP(demo, l, nil)["id"].(string)
	forwarding := c.call(demo, "POST", "/floatingips/"+floating+"/port_forwardings", object{"port_forwarding": object{
		"internal_port_id": l.port, "internal_port": 22, "external_port": 22, "protocol": "tcp",
	}}, 201)["port_forwarding"].(object)["id"].(string)
	ids := map[string]string{"routers": l.router, "floatingips": floating}
	bodies := map[string]object{
		"routers": {"router": object{"name": "mine"}}, "floatingips": {"floatingip": object{"description": "mine"}},
		"add_extraroutes": {"router": object{"routes": []object{}}}, "remove_extraroutes": {"router": object{"routes": []object{}}},
		"add_router_interface": {"subnet_id": l.subnet}, "remove_router_interface": {"subnet_id": l.subnet},
		"port_forwardings": {"port_forwarding": object{"internal_port_id": l.port, "internal_port": 1, "external_port": 1, "protocol": "tcp"}},
		"tags":             {"tags": []string{"mine"}},
	}
	tried := 0
	for _, route := range neutron.Dialect(c.services(), c.db).Routes {
		parts := strings.Split(strings.TrimPrefix(route.Pattern, "/v2.0/"), "/")
		if ids[parts[0]] == "" || len(parts) < 2 || route.Policy.String() == osapi.SystemReader.String() {
			continue
		}
		noun := parts[len(parts)-1]
		if strings.HasPrefix(noun, "{") {
			noun = parts[len(parts)-2]
		}
		path := "/" + strings.NewReplacer("{id}", ids[parts[0]], "{forwarding}", forwarding, "{tag}", "mine").Replace(strings.Join(parts, "/"))
		var body any
		if route.Method != "GET" && route.Method != "DELETE" && !strings.HasSuffix(path, "/tags/mine") {
			body = bodies[noun]
		}
		if got := c.Do(other, route.Method, "/network/v2.0"+path, body); got.Status != 404 {
			t.Errorf("%s %s: %d %s", route.Method, route.Pattern, got.Status, got.Text)
		}
		tried++
	}
	if tried < 20 {
		t.Errorf("only %d routes", tried)
	}
	// What is another's cannot be named in a body either.
	_, subnet := c.newNetwork(other, "10.6.0.0/24", false)
	mine := c.router(other, object{"external_gateway_info": object{"network_id": l.out}})["id"].(string)
	f := c.floatingIP(other, l, nil)["id"].(string)
	c.call(other, "PUT", "/routers/"+mine+"/add_router_interface", object{"subnet_id": subnet}, 200)
	c.fails(other, "PUT", "/routers/"+mine+"/add_router_interface", object{"subnet_id": l.subnet}, 404, "SubnetNotFound")
	c.fails(other, "PUT", "/routers/"+mine+"/add_router_interface", object{"port_id": l.port}, 404, "PortNotFound")
	c.fails(other, "PUT", "/floatingips/"+f, object{"floatingip": object{"port_id": l.port}}, 404, "PortNotFound")
	c.fails(other, "POST", "/floatingips/"+f+"/port_forwardings", bodies["port_forwardings"], 404, "PortNotFound")
	c.fails(other, "POST", "/floatingips", object{"floatingip": object{"floating_network_id": l.net}}, 404, "NetworkNotFound")
	c.fails(other, "PUT", "/routers/"+mine, object{"router": object{"external_gateway_info": object{"network_id": l.net}}}, 404, "NetworkNotFound")
}

// The openstack CLI: from two networks to a machine that is reached from outside.
func TestCLIRouters(t *testing.T) {
	c, run := commandLine(t)
	ask := func(command string) []string {
		t.Helper()
		out, err := run(command)
		if err != nil {
			t.Fatalf("openstack %s: %v\n%s", command, err, out)
		}
		return strings.Fields(out)
	}
	c.networkOf("operators", "public", "203.0.113.0/24", true)
	_, subnet := c.networkOf(ask("token issue -f value -c project_id")[0], "inner", "10.1.0.0/24", false)
	says(t, run, []step{
		{"router create main", "ACTIVE"},
		{"router set --external-gateway public --name edge main", ""},
		{"router add subnet edge " + subnet, ""},
		{"router show edge -f value -c external_gateway_info", "203.0.113."},
		{"router list -f value -c Name", "edge"},
		{"router add route --route destination=172.16.0.0/12,gateway=10.1.0.9 edge", ""},
		{"router show edge -f value -c routes", "172.16.0.0/12"},
		{"router remove route --route destination=172.16.0.0/12,gateway=10.1.0.9 edge", ""},
		{"port create --network inner --fixed-ip ip-address=10.1.0.7 web", "DOWN"},
		{"floating ip create --port web --description d public", "ACTIVE"},
	})
	address := ask("floating ip list --port web -f value")[1]
	forward := "floating ip port forwarding "
	says(t, run, []step{
		{"floating ip show " + address + " -f value -c fixed_ip_address", "10.1.0.7"},
		{"floating ip unset --port " + address, ""},
		{"floating ip set --tag red " + address, ""},
		{"floating ip list --status DOWN --tags red -f value", address},
		{forward + "create --internal-ip-address 10.1.0.7 --port web --internal-protocol-port 22 --external-protocol-port 2222 --protocol tcp " + address, "2222"},
	})
	forwarding := address + " " + ask(forward + "list -f value " + address)[0]
	says(t, run, []step{
		{forward + "set --external-protocol-port 2223 " + forwarding, ""},
		{forward + "show " + forwarding, "2223"},
		{forward + "delete " + forwarding, ""},
		{"floating ip delete " + address, ""},
		{"port delete web", ""},
		{"router unset --external-gateway edge", ""},
		{"router remove subnet edge " + subnet, ""},
		{"router delete edge", ""},
	})
	if out, err := run("router show edge"); err == nil || !strings.Contains(out, "No Router found for edge") {
		t.Errorf("the deleted router: %v\n%s", err, out)
	}
}
