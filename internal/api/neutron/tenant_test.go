package neutron_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

func TestNetworksAndSubnetsOfATenant(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		n := c.make(demo, "network", object{"name": "own", "description": "d", "mtu": 1400, "port_security_enabled": true, "availability_zone_hints": []string{"nova"}, "dns_domain": "example.org."})
		for field, want := range map[string]any{
			"project_id": demoProject, "shared": false, "router:external": false, "mtu": 1400.0, "port_security_enabled": true, "is_default": false,
			"status": "ACTIVE", "revision_number": 1.0, "dns_domain": "example.org.", "provider:network_type": nil, "qos_policy_id": nil,
		} {
			if n[field] != want {
				t.Errorf("%s is %v, want %v", field, n[field], want)
			}
		}
		path := "/networks/" + n["id"].(string)
		if seen := c.call(admin, "GET", path, nil, 200)["network"].(object); seen["provider:network_type"] != "geneve" || seen["provider:segmentation_id"].(float64) < 1 {
			t.Errorf("as admin: %v", seen)
		}
		s := c.make(demo, "subnet", object{
			"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.254", "dns_nameservers": []string{"9.9.9.9"},
			"host_routes": []object{{"destination": "10.9.0.0/16", "nexthop": "10.1.0.9"}}, "allocation_pools": []object{{"start": "10.1.0.10", "end": "10.1.0.20"}}, "segment_id": nil,
		})
		if got := fmt.Sprint(s["gateway_ip"], s["allocation_pools"], s["host_routes"], s["dns_nameservers"]); got != "10.1.0.254[map[end:10.1.0.20 start:10.1.0.10]] [map[destination:10.9.0.0/16 nexthop:10.1.0.9]] [9.9.9.9]" {
			t.Errorf("the subnet: %s", got)
		}
		six := c.make(demo, "subnet", object{"network_id": n["id"], "ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "gateway_ip": nil})
		if six["ipv6_ra_mode"] != "slaac" || six["gateway_ip"] != nil {
			t.Errorf("IPv6: %v", six)
		}
		p := c.make(demo, "port", object{"network_id": n["id"], "mac_address": "fa:16:3e:00:00:01"})
		if got := fmt.Sprint(p["fixed_ips"]); !strings.Contains(got, "fd00::f816:3eff:fe00:1") || !strings.Contains(got, "10.1.0.") {
			t.Errorf("its addresses: %s", got)
		}
		n = c.call(demo, "PUT", path, object{"network": object{"name": "new", "shared": false, "router:external": "False", "admin_state_up": true}}, 200, "If-Match: revision_number=3")["network"].(object)
		if n["name"] != "new" || n["revision_number"] != 4.0 || len(n["subnets"].([]any)) != 2 {
			t.Errorf("changed: %v", n)
		}
		s = c.call(demo, "PUT", "/subnets/"+s["id"].(string), object{"subnet": object{"gateway_ip": nil, "dns_nameservers": []string{}, "enable_dhcp": false, "name": "s"}}, 200)["subnet"].(object)
		if s["gateway_ip"] != nil || len(s["dns_nameservers"].([]any)) != 0 || s["enable_dhcp"] != false || s["revision_number"] != 1.0 {
			t.Errorf("the changed subnet: %v", s)
		}
		for query, want := range map[string]string{
			"networks?name=new&router:external=False": "new", "networks?is_default=true": "", "networks?shared=true": "flat", "networks?mtu=1400&sort_key=name&sort_dir=asc": "new",
			"subnets?name=s&enable_dhcp=False": "s", "subnets?ipv6_ra_mode=slaac&ip_version=6": "", "subnets?network_id=" + n["id"].(string) + "&ip_version=4": "s",
		} {
			key, filter, _ := strings.Cut(query, "?")
			if got := strings.Join(c.names(demo, key, filter), ","); got != want {
				t.Errorf("%s: %q", query, got)
			}
		}
		if got := c.names(admin, "networks", "provider:network_type=geneve"); len(got) != 1 {
			t.Errorf("by its wire: %v", got)
		}
		c.fails(demo, "DELETE", path, nil, 409, "NetworkInUse")
		c.fails(demo, "DELETE", "/subnets/"+s["id"].(string), nil, 409, "SubnetInUse")
		c.call(demo, "DELETE", "/ports/"+p["id"].(string), nil, 204)
		c.call(demo, "DELETE", path, nil, 204)
		c.fails(demo, "GET", "/subnets/"+s["id"].(string), nil, 404, "SubnetNotFound")
	})
}

func TestWhatNetworksAndSubnetsCannotBe(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	for field, value := range map[string]any{
		"shared": true, "router:external": true, "is_default": true, "provider:network_type": "vlan", "provider:physical_network": "physnet2", "provider:segmentation_id": 4,
	} {
		c.fails(demo, "POST", "/networks", object{"network": object{field: value}}, 403, "PolicyNotAuthorized")
	}
	vlan := object{"provider:network_type": "vlan", "provider:physical_network": "physnet2", "provider:segmentation_id": 4}
	c.make(admin, "network", vlan)
	c.fails(admin, "POST", "/networks", object{"network": vlan}, 409, "VlanIdInUse")
	c.fails(admin, "POST", "/networks", object{"network": object{"provider:network_type": "flat", "provider:physical_network": "physnet1"}}, 409, "FlatNetworkInUse")
	c.fails(admin, "POST", "/networks", object{"network": object{"provider:network_type": "vxlan"}}, 400, "InvalidInput")
	c.fails(demo, "POST", "/networks", object{"network": object{"qos_policy_id": "some"}}, 404, "QosPolicyNotFound")
	c.fails(demo, "POST", "/networks", object{"network": object{"availability_zone_hints": []string{"moon"}}}, 404, "AvailabilityZoneNotFound")
	c.fails(demo, "POST", "/networks", object{"network": object{"segments": []object{}}}, 400, "HTTPBadRequest")
	c.fails(demo, "POST", "/networks", object{"networks": []object{{"name": "one"}, {"mtu": 9000}}}, 400, "InvalidInput")
	if names := c.names(demo, "networks", ""); len(names) != 1 {
		t.Errorf("half a bulk is left: %v", names)
	}
	made := c.call(demo, "POST", "/networks", object{"networks": []object{{"name": "one"}, {"name": "two"}}}, 201)["networks"].([]any)
	one := made[0].(object)["id"].(string)
	path := "/networks/" + one
	for field, value := range map[string]any{"shared": true, "router:external": true, "provider:segmentation_id": 9} {
		c.fails(demo, "PUT", path, object{"network": object{field: value}}, 403, "PolicyNotAuthorized")
	}
	c.fails(admin, "PUT", path, object{"network": object{"provider:segmentation_id": 1}}, 400, "InvalidInput")
	c.fails(demo, "PUT", path, object{"network": object{"tenant_id": otherProject}}, 400, "HTTPBadRequest")

	subnet := func(status int, exception string, fields object) {
		t.Helper()
		body := object{"network_id": one, "ip_version": 4, "cidr": "10.2.0.0/24"}
		for k, v := range fields {
			body[k] = v
		}
		c.fails(demo, "POST", "/subnets", object{"subnet": body}, status, exception)
	}
	c.make(demo, "subnet", object{"network_id": one, "ip_version": 4, "cidr": "10.1.0.0/24"})
	pools := func(texts ...string) []object {
		list := []object{}
		for _, text := range texts {
			first, last, _ := strings.Cut(text, "-")
			list = append(list, object{"start": first, "end": last})
		}
		return list
	}
	subnet(400, "InvalidInput", object{"cidr": "10.1.0.0/16"})
	subnet(400, "HTTPBadRequest", object{"cidr": "10.2.0.1/24"})
	subnet(400, "HTTPBadRequest", object{"cidr": "nonsense"})
	subnet(400, "HTTPBadRequest", object{"ip_version": 5})
	subnet(400, "InvalidInput", object{"ip_version": 6})
	subnet(400, "BadRequest", object{"cidr": nil})
	subnet(404, "SubnetPoolNotFound", object{"subnetpool_id": "some"})
	subnet(409, "GatewayConflictWithAllocationPools", object{"gateway_ip": "10.2.0.9", "allocation_pools": pools("10.2.0.2-10.2.0.99")})
	subnet(400, "OutOfBoundsAllocationPool", object{"allocation_pools": pools("10.3.0.2-10.3.0.99")})
	subnet(400, "InvalidAllocationPool", object{"allocation_pools": pools("10.2.0.9-10.2.0.8")})
	subnet(409, "OverlappingAllocationPools", object{"allocation_pools": pools("10.2.0.9-10.2.0.19", "10.2.0.10-10.2.0.12")})
	subnet(400, "HTTPBadRequest", object{"allocation_pools": pools("ten-eleven")})
	subnet(400, "HTTPBadRequest", object{"dns_nameservers": []string{"dns.example.org"}})
	subnet(400, "HTTPBadRequest", object{"host_routes": []object{{"destination": "10.0.0.0/8"}}})
	subnet(400, "HTTPBadRequest", object{"gateway_ip": "gate"})
	subnet(404, "SegmentNotFound", object{"segment_id": "some"})
	subnet(404, "NetworkNotFound", object{"network_id": "some"})
	subnet(400, "HTTPBadRequest", object{"network_id": nil})
	c.fails(demo, "GET", "/auto-allocated-topology/"+demoProject, nil, 404, "HTTPNotFound")
	c.fails(demo, "GET", "/segments", nil, 404, "HTTPNotFound")
}

func TestPortsBoundByAdmins(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	n := c.make(demo, "network", nil)
	link := func(info, port string) object {
		return object{"local_link_information": []object{{"switch_id": "52:54:00:00:00:01", "switch_info": info, "port_id": port}}}
	}
	p := c.make(admin, "port", object{"network_id": n["id"], "tenant_id": demoProject, "binding:host_id": "elsewhere", "binding:profile": link("ovs", "nic-1")})
	if p["binding:vif_type"] != "ovs" || p["binding:host_id"] != "elsewhere" || p["binding:vnic_type"] != "baremetal" || p["status"] != "DOWN" {
		t.Errorf("bound: %v", p)
	}
	if details := p["binding:vif_details"].(object); details["port_filter"] != true || details["connectivity"] != "l2" || details["edge"] != "ovs" {
		t.Errorf("how strongly it is enforced: %v", details)
	}
	path := "/ports/" + p["id"].(string)
	p = c.call(admin, "PUT", path, object{"port": object{"binding:profile": link("trunk:tor1", "7")}}, 200)["port"].(object)
	if p["binding:vif_type"] != "other" || p["binding:vif_details"].(object)["edge"] != "trunk" {
		t.Errorf("behind a switch: %v", p)
	}
	c.fails(admin, "PUT", path, object{"port": object{"binding:profile": link("trunk:tor1", "x")}}, 400, "HTTPBadRequest")
	c.fails(admin, "PUT", path, object{"port": object{"binding:profile": object{}}}, 409, "PortBindingError")
	c.fails(demo, "PUT", path, object{"port": object{"binding:host_id": ""}}, 403, "PolicyNotAuthorized")
	p = c.call(admin, "PUT", path, object{"port": object{"binding:host_id": "", "binding:profile": object{}}}, 200)["port"].(object)
	if p["binding:vif_type"] != "unbound" || p["binding:host_id"] != "" || len(p["binding:vif_details"].(object)) != 0 {
		t.Errorf("unbound: %v", p)
	}
}

func TestPairsOptionsAndSecurity(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	n := c.make(demo, "network", nil)
	p := c.make(demo, "port", object{
		"network_id": n["id"], "security_groups": []string{}, "allowed_address_pairs": []object{{"ip_address": "10.0.0.7"}, {"ip_address": "10.9.0.0/16", "mac_address": "FA:16:3E:00:00:01"}},
		"extra_dhcp_opts": []object{{"opt_name": "bootfile-name", "opt_value": "x"}, {"opt_name": "mtu", "opt_value": nil}},
	})
	want := fmt.Sprintf("[map[ip_address:10.0.0.7 mac_address:%s] map[ip_address:10.9.0.0/16 mac_address:fa:16:3e:00:00:01]]", p["mac_address"])
	if got := fmt.Sprint(p["allowed_address_pairs"]); got != want {
		t.Errorf("pairs: %s", got)
	}
	if got := fmt.Sprint(p["extra_dhcp_opts"]); got != "[map[ip_version:4 opt_name:bootfile-name opt_value:x]]" {
		t.Errorf("options: %s", got)
	}
	path := "/ports/" + p["id"].(string)
	change := func(status int, exception, field string, value any) {
		t.Helper()
		c.fails(demo, "PUT", path, object{"port": object{field: value}}, status, exception)
	}
	change(409, "AddressPairAndPortSecurityRequired", "port_security_enabled", false)
	change(400, "AddressPairMissingIP", "allowed_address_pairs", []object{{"mac_address": "fa:16:3e:00:00:01"}})
	change(400, "DuplicateAddressPairInRequest", "allowed_address_pairs", []object{{"ip_address": "10.0.0.7"}, {"ip_address": "10.0.0.7/32"}})
	change(400, "HTTPBadRequest", "allowed_address_pairs", []object{{"ip_address": "seven"}})
	change(404, "SecurityGroupNotFound", "security_groups", []string{"some"})
	change(501, "HTTPNotImplemented", "propagate_uplink_status", true)
	p = c.call(demo, "PUT", path, object{"port": object{
		"allowed_address_pairs": []object{}, "port_security_enabled": false, "numa_affinity_policy": nil,
		"extra_dhcp_opts": []object{{"opt_name": "bootfile-name", "opt_value": nil}, {"opt_name": "domain-name", "opt_value": "y", "ip_version": 6}},
	}}, 200)["port"].(object)
	if got := fmt.Sprint(p["allowed_address_pairs"], p["port_security_enabled"], p["extra_dhcp_opts"]); got != "[] false [map[ip_version:6 opt_name:domain-name opt_value:y]]" {
		t.Errorf("changed: %s", got)
	}
}

func TestSubnetPoolsAndAddressScopes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		scope := c.make(demo, "address_scope", object{"name": "s", "ip_version": 4})
		pool := c.make(demo, "subnetpool", object{"name": "p", "prefixes": []string{"10.0.0.0/16"}, "default_prefixlen": "24", "address_scope_id": scope["id"], "default_quota": 1024})
		if pool["ip_version"] != 4.0 || pool["default_prefixlen"] != "24" || pool["min_prefixlen"] != "8" || pool["default_quota"] != 1024.0 || pool["shared"] != false {
			t.Errorf("made %v", pool)
		}
		n := c.make(demo, "network", nil)
		s := c.make(demo, "subnet", object{"network_id": n["id"], "ip_version": 4, "subnetpool_id": pool["id"]})
		if s["cidr"] != "10.0.0.0/24" || s["subnetpool_id"] != pool["id"] {
			t.Errorf("cut: %v", s)
		}
		if seen := c.call(demo, "GET", "/networks/"+n["id"].(string), nil, 200)["network"].(object); seen["ipv4_address_scope"] != scope["id"] {
			t.Errorf("the network's scope: %v", seen)
		}
		path := "/subnetpools/" + pool["id"].(string)
		c.fails(demo, "DELETE", path, nil, 400, "SubnetPoolDeleteError")
		c.fails(demo, "DELETE", "/address-scopes/"+scope["id"].(string), nil, 409, "AddressScopeInUse")
		c.fails(demo, "PUT", path, object{"subnetpool": object{"prefixes": []string{"10.0.0.0/20"}}}, 400, "IllegalSubnetPoolPrefixUpdate")
		c.fails(demo, "PUT", path, object{"subnetpool": object{"is_default": true}}, 403, "PolicyNotAuthorized")
		c.fails(demo, "POST", "/subnetpools", object{"subnetpool": object{"prefixes": []string{"10.0.0.0/16"}, "shared": true}}, 403, "PolicyNotAuthorized")
		c.fails(demo, "POST", "/subnetpools", object{"subnetpool": object{"name": "p"}}, 400, "EmptySubnetPoolPrefixList")
		c.fails(demo, "POST", "/address-scopes", object{"address_scope": object{"ip_version": 4, "shared": true}}, 403, "PolicyNotAuthorized")
		if got := c.call(demo, "PUT", path+"/add_prefixes", object{"prefixes": []string{"10.1.0.0/16"}}, 200); fmt.Sprint(got["prefixes"]) != "[10.0.0.0/15]" {
			t.Errorf("more prefixes: %v", got)
		}
		changed := c.call(demo, "PUT", path, object{"subnetpool": object{"default_quota": nil, "max_prefixlen": 28, "description": "d"}}, 200)["subnetpool"].(object)
		if changed["default_quota"] != nil || changed["max_prefixlen"] != "28" || changed["revision_number"] != 2.0 {
			t.Errorf("changed: %v", changed)
		}
		c.call(demo, "PUT", path+"/tags/red", nil, 201)
		if got := c.names(demo, "subnetpools", "tags=red&ip_version=4"); len(got) != 1 {
			t.Errorf("by tag: %v", got)
		}
		if got := c.call(demo, "PUT", "/address-scopes/"+scope["id"].(string), object{"address_scope": object{"name": "new"}}, 200)["address_scope"].(object); got["name"] != "new" {
			t.Errorf("renamed: %v", got)
		}
		c.make(admin, "subnetpool", object{"name": "default", "prefixes": []string{"192.168.0.0/16"}, "default_prefixlen": 26, "is_default": true, "shared": true})
		if s := c.make(demo, "subnet", object{"network_id": c.make(demo, "network", nil)["id"], "ip_version": 4, "use_default_subnetpool": true}); s["cidr"] != "192.168.0.0/26" {
			t.Errorf("from the default pool: %v", s)
		}
	})
}

func TestRBACOnTheWire(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	n := c.make(demo, "network", object{"name": "private"})
	policy := func(fields object) object {
		body := object{"object_type": "network", "object_id": n["id"], "action": "access_as_shared", "target_tenant": otherProject}
		for k, v := range fields {
			body[k] = v
		}
		return object{"rbac_policy": body}
	}
	c.fails(demo, "POST", "/rbac-policies", policy(object{"target_tenant": "*"}), 403, "PolicyNotAuthorized")
	c.fails(demo, "POST", "/rbac-policies", policy(object{"action": "access_as_external"}), 403, "PolicyNotAuthorized")
	c.fails(demo, "POST", "/rbac-policies", policy(object{"action": "access_as_owner"}), 400, "InvalidInput")
	c.fails(demo, "POST", "/rbac-policies", policy(object{"object_type": "router"}), 400, "InvalidInput")
	c.fails(demo, "POST", "/rbac-policies", policy(object{"object_id": c.net.ID}), 404, "NetworkNotFound")
	c.fails(demo, "POST", "/rbac-policies", policy(object{"target_tenant": ""}), 400, "HTTPBadRequest")
	made := c.call(demo, "POST", "/rbac-policies", policy(nil), 201)["rbac_policy"].(object)
	c.fails(demo, "POST", "/rbac-policies", policy(nil), 409, "DuplicateRbacPolicy")
	path := "/rbac-policies/" + made["id"].(string)
	if got := c.names(other, "networks", "name=private&shared=True"); len(got) != 1 {
		t.Errorf("the other project sees %v", got)
	}
	c.fails(other, "PUT", "/networks/"+n["id"].(string), object{"network": object{"name": "mine"}}, 403, "PolicyNotAuthorized")
	c.fails(other, "GET", path, nil, 404, "RbacPolicyNotFound")
	p := c.make(other, "port", object{"network_id": n["id"]})
	c.fails(demo, "DELETE", path, nil, 409, "RbacPolicyInUse")
	c.fails(demo, "PUT", path, object{"rbac_policy": object{"target_tenant": "third"}}, 409, "RbacPolicyInUse")
	c.call(other, "DELETE", "/ports/"+p["id"].(string), nil, 204)
	if got := c.call(demo, "PUT", path, object{"rbac_policy": object{"target_tenant": "third"}}, 200)["rbac_policy"].(object); got["target_tenant"] != "third" || got["id"] != made["id"] {
		t.Errorf("retargeted: %v", got)
	}
	if got := c.names(other, "networks", "name=private"); len(got) != 0 {
		t.Errorf("the other project still sees %v", got)
	}
	c.call(demo, "DELETE", path, nil, 204)
	// What is external for everybody says so, and is seen without its subnets.
	ext := c.make(admin, "network", object{"name": "ext", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "physnet2", "is_default": true})
	c.make(admin, "subnet", object{"network_id": ext["id"], "ip_version": 4, "cidr": "203.0.113.0/24", "name": "outside"})
	if got := c.names(demo, "networks", "router:external=True"); len(got) != 1 || len(c.names(demo, "subnets", "name=outside")) != 0 {
		t.Errorf("external: %v", got)
	}
	if got := c.call(admin, "GET", "/rbac-policies?action=access_as_external", nil, 200)["rbac_policies"].([]any); len(got) != 1 || got[0].(object)["target_tenant"] != "*" {
		t.Errorf("its policy: %v", got)
	}
}

func TestIPAvailabilities(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	c.port(demo, nil)
	n := c.make(demo, "network", object{"name": "six"})
	c.make(demo, "subnet", object{"network_id": n["id"], "ip_version": 6, "cidr": "fd00::/64"})
	got := c.Do(admin, "GET", "/network/v2.0/network-ip-availabilities?network_name=six", nil)
	var body struct {
		List []struct {
			Total   json.Number `json:"total_ips"`
			Used    int         `json:"used_ips"`
			Subnets []object    `json:"subnet_ip_availability"`
		} `json:"network_ip_availabilities"`
	}
	if err := json.Unmarshal([]byte(got.Text), &body); err != nil || len(body.List) != 1 || body.List[0].Total.String() != "18446744073709551614" || len(body.List[0].Subnets) != 1 {
		t.Errorf("%v %s", err, got.Text)
	}
	one := c.call(admin, "GET", "/network-ip-availabilities/"+c.net.ID, nil, 200)["network_ip_availability"].(object)
	if one["total_ips"] != 100.0 || one["used_ips"] != 1.0 {
		t.Errorf("the flat one: %v", one)
	}
	if list := c.call(admin, "GET", "/network-ip-availabilities?ip_version=4", nil, 200)["network_ip_availabilities"].([]any); len(list) != 2 {
		t.Errorf("of IPv4: %v", list)
	}
	c.fails(admin, "GET", "/network-ip-availabilities/some", nil, 404, "NetworkNotFound")
}

func TestWhatTheCloudRefusesToUndo(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	out, _ := c.newNetwork(admin, "203.0.113.0/24", true)
	policy := c.call(admin, "GET", "/rbac-policies?object_id="+out, nil, 200)["rbac_policies"].([]any)[0].(object)["id"].(string)
	c.call(admin, "PUT", "/networks/"+out, object{"network": object{"is_default": true}}, 200)
	c.fails(admin, "DELETE", "/rbac-policies/"+policy, nil, 409, "RbacPolicyInUse")
	c.call(admin, "PUT", "/networks/"+out, object{"network": object{"is_default": false}}, 200)
	router := c.router(demo, object{"external_gateway_info": object{"network_id": out}})["id"].(string)
	c.fails(admin, "DELETE", "/rbac-policies/"+policy, nil, 409, "NetworkInUse")
	c.call(demo, "DELETE", "/routers/"+router, nil, 204)

	// An external network goes with floating IPs that lead nowhere, and not with others.
	l := c.joined(demo)
	idle := c.floatingIP(demo, l, nil)["id"].(string)
	busy := c.floatingIP(demo, l, object{"port_id": l.port})["id"].(string)
	c.call(demo, "PUT", "/floatingips/"+busy, object{"floatingip": object{"port_id": nil}}, 200)
	c.call(demo, "PUT", "/routers/"+l.router, object{"router": object{"external_gateway_info": nil}}, 200)
	c.call(admin, "DELETE", "/networks/"+l.out, nil, 204)
	c.fails(demo, "GET", "/floatingips/"+idle, nil, 404, "FloatingIPNotFound")
	c.call(admin, "DELETE", "/rbac-policies/"+policy, nil, 204)
	if n := c.call(admin, "GET", "/networks/"+out, nil, 200)["network"].(object); n["router:external"] != false {
		t.Errorf("nobody may use it as an external network, and it is one: %v", n)
	}
}

func TestPortsByAdminsAndAsTheyAre(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	net, _ := c.newNetwork(demo, "10.1.0.0/24", false)
	if p := c.port(admin, object{"network_id": net}); p["project_id"] != adminProject {
		t.Errorf("an admin's port on a tenant's network: %v", p)
	}
	l := c.joined(demo)
	legs := c.call(demo, "GET", "/ports?device_id="+l.router, nil, 200)["ports"].([]any)
	leg := legs[0].(object)["id"].(string)
	c.call(demo, "PUT", "/ports/"+leg, object{"port": object{"fixed_ips": []object{{"subnet_id": l.subnet}}}}, 200) // it has that
	c.fails(demo, "PUT", "/ports/"+leg, object{"port": object{"fixed_ips": []object{{"ip_address": "10.1.0.9"}}}}, 409, "ServicePortInUse")
	c.fails(demo, "PUT", "/ports/"+l.port, object{"port": object{"security_groups": []string{"a", "b", "a"}}}, 400, "HTTPBadRequest")
	if got := c.names(demo, "subnets", "shared=true"); len(got) != 1 {
		t.Errorf("subnets of shared networks: %v", got)
	}
	if got := c.names(demo, "subnets", "shared=false"); len(got) != 2 {
		t.Errorf("subnets of networks that are not: %v", got)
	}
}
