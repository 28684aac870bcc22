package neutron_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
)

// post makes a thing of a collection and gives it as it was answered.
func (c *cloud) post(token, collection, key string, fields object) object {
	c.t.Helper()
	c.clock.Step(time.Second)
	return c.call(token, "POST", "/"+collection, object{key: fields}, 201)[key].(object)
}

// guards are one of each kind of thing that guards a port, all one project's.
type guards struct {
	ids        map[string]string // by the first part of their paths
	rule, port string            // the policy's, and the trunk's
}

func (c *cloud) guards(token string) guards {
	c.t.Helper()
	g := guards{ids: map[string]string{}, port: c.port(token, nil)["id"].(string)}
	keep := func(collection string, o object) object { g.ids[collection] = o["id"].(string); return o }
	group := keep("security-groups", c.post(token, "security-groups", "security_group", object{"name": "web"}))
	keep("security-group-rules", c.post(token, "security-group-rules", "security_group_rule", object{"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}))
	keep("address-groups", c.post(token, "address-groups", "address_group", object{"name": "offices", "addresses": []string{"10.1.0.0/16"}}))
	keep("trunks", c.post(token, "trunks", "trunk", object{"port_id": g.port}))
	policy := c.post(admin, "qos/policies", "policy", object{"name": "gold", "tenant_id": projects[token]})["id"].(string)
	g.rule = c.post(admin, "qos/policies/"+policy+"/bandwidth_limit_rules", "bandwidth_limit_rule", object{"max_kbps": 1000})["id"].(string)
	for _, collection := range []string{"security-groups", "trunks"} {
		c.call(token, "PUT", "/"+collection+"/"+g.ids[collection]+"/tags/red", nil, 201)
	}
	c.call(admin, "PUT", "/qos/policies/"+policy+"/tags/red", nil, 201)
	g.ids["qos"] = policy
	return g
}

// Each route that leads to a guard answers another project as if there were none; each list leaves it out.
func TestForeignGuards(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	g := c.guards(demo)
	addresses := object{"addresses": []string{"10.0.0.0/8"}}
	subports := object{"sub_ports": []object{{"port_id": "some", "segmentation_type": "vlan", "segmentation_id": 5}}}
	bodies := map[string]object{
		"security-groups": {"security_group": object{"name": "mine"}}, "address-groups": {"address_group": object{"name": "mine"}}, "trunks": {"trunk": object{"name": "mine"}},
		"add_addresses": addresses, "remove_addresses": addresses, "add_subports": subports, "remove_subports": subports, "tags": {"tags": []string{"mine"}},
	}
	tried := 0
	for _, route := range neutron.Dialect(c.services(), c.db).Routes {
		parts := strings.Split(strings.TrimPrefix(route.Pattern, "/v2.0/"), "/")
		if g.ids[parts[0]] == "" || !strings.Contains(route.Pattern, "{") || parts[1] == "rule-types" {
			continue
		}
		noun := parts[len(parts)-1]
		if strings.HasPrefix(noun, "{") {
			noun = parts[len(parts)-2]
		}
		id := g.ids[parts[0]]
		if strings.HasSuffix(route.Pattern, "_rules/{id}") {
			id = g.rule
		}
		path := "/" + strings.NewReplacer("{policy}", g.ids["qos"], "{id}", id, "{tag}", "red").Replace(strings.Join(parts, "/"))
		var body any
		if route.Method == "PUT" && !strings.HasSuffix(path, "/red") {
			body = bodies[noun]
		}
		want := 404
		if route.Policy.String() == osapi.Admin.String() {
			want = 403
		}
		got := c.Do(other, route.Method, "/network/v2.0"+path, body)
		if got.Status != want || got.Body["NeutronError"] == nil {
			t.Errorf("%s %s: %d %s, want %d", route.Method, route.Pattern, got.Status, got.Text, want)
		}
		tried++
	}
	if tried < 55 {
		t.Errorf("only %d routes", tried)
	}
	for _, path := range []string{"security-groups", "security-group-rules", "address-groups", "trunks", "qos/policies"} {
		got := c.Do(other, "GET", "/network/v2.0/"+path, nil)
		for _, id := range g.ids {
			if got.Status != 200 || strings.Contains(got.Text, id) {
				t.Errorf("another project sees %s of %s: %d %s", id, path, got.Status, got.Text)
			}
		}
	}
	// What is another's cannot be named in a body either.
	own := c.post(other, "security-groups", "security_group", object{"name": "own"})["id"]
	rule := func(field string, value any) object {
		o := object{"security_group_id": own, "direction": "ingress"}
		o[field] = value
		return object{"security_group_rule": o}
	}
	c.fails(other, "POST", "/security-group-rules", rule("security_group_id", g.ids["security-groups"]), 404, "SecurityGroupNotFound")
	c.fails(other, "POST", "/security-group-rules", rule("remote_group_id", g.ids["security-groups"]), 404, "SecurityGroupNotFound")
	c.fails(other, "POST", "/security-group-rules", rule("remote_address_group_id", g.ids["address-groups"]), 404, "AddressGroupNotFound")
	c.fails(other, "POST", "/trunks", object{"trunk": object{"port_id": g.port}}, 404, "PortNotFound")
	net := c.make(other, "network", object{"name": "own"})["id"]
	c.fails(other, "POST", "/ports", object{"port": object{"network_id": net, "security_groups": []string{g.ids["security-groups"]}}}, 404, "SecurityGroupNotFound")
	c.fails(other, "POST", "/ports", object{"port": object{"network_id": net, "qos_policy_id": g.ids["qos"]}}, 404, "QosPolicyNotFound")
}

func TestSecurityGroups(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		names := func(token, query string) string {
			t.Helper()
			var names []string
			for _, g := range c.call(token, "GET", "/security-groups?"+query, nil, 200)["security_groups"].([]any) {
				names = append(names, g.(object)["name"].(string))
			}
			return strings.Join(names, " ")
		}
		if got := names(demo, "") + "," + names(reader, "tenant_id="+demoProject+"&shared=False") + "," + names(demo, "shared=True"); got != "default,default," {
			t.Errorf("at first: %s", got)
		}
		if got := names(admin, "project_id="+otherProject); got != "default" {
			t.Errorf("an admin asks about another project: %s", got)
		}
		g := c.post(demo, "security-groups", "security_group", object{"name": "web", "description": "d"})
		path := "/security-groups/" + g["id"].(string)
		if got := c.call(demo, "PUT", path, object{"security_group": object{"name": "www", "stateful": false}}, 200)["security_group"].(object); got["name"] != "www" || got["stateful"] != false || got["revision_number"] != 2.0 {
			t.Errorf("changed: %v", got)
		}
		c.fails(demo, "PUT", path, object{"security_group": object{"name": "default"}}, 409, "SecurityGroupDefaultAlreadyExists")
		c.fails(demo, "PUT", path, object{"security_group": object{"name": strings.Repeat("x", 256)}}, 400, "HTTPBadRequest")
		c.fails(demo, "PUT", path, object{"security_group": object{"name": nil}}, 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/security-groups", object{"security_group": object{"name": "default"}}, 409, "SecurityGroupDefaultAlreadyExists")
		c.fails(demo, "POST", "/security-groups", object{"security_groups": []object{{"name": "one"}, {"name": "default"}}}, 409, "SecurityGroupDefaultAlreadyExists")
		if got := names(demo, "sort_key=name&sort_dir=asc"); got != "default www" {
			t.Errorf("there are: %s", got)
		}
		own := c.call(demo, "GET", "/security-groups?name=default", nil, 200)["security_groups"].([]any)[0].(object)["id"].(string)
		c.fails(demo, "PUT", "/security-groups/"+own, object{"security_group": object{"name": "mine"}}, 409, "SecurityGroupCannotUpdateDefault")
		c.fails(demo, "DELETE", "/security-groups/"+own, nil, 409, "SecurityGroupCannotRemoveDefault")
		if err := d.Tx(t.Context(), func(tx *db.Tx) error { return c.groups.SetPort(t.Context(), tx, "port", []string{g["id"].(string)}) }); err != nil {
			t.Fatal(err)
		}
		c.fails(demo, "DELETE", path, nil, 409, "SecurityGroupInUse")
		if err := d.Tx(t.Context(), func(tx *db.Tx) error { return c.groups.SetPort(t.Context(), tx, "port", nil) }); err != nil {
			t.Fatal(err)
		}
		c.call(demo, "DELETE", path, nil, 204)
		c.fails(demo, "GET", path, nil, 404, "SecurityGroupNotFound")
		c.call(admin, "DELETE", "/security-groups/"+own, nil, 204) // it is made again when it is needed
		if got := names(demo, ""); got != "default" {
			t.Errorf("at last: %s", got)
		}
	})
}

func TestSecurityGroupRules(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		g := c.post(demo, "security-groups", "security_group", object{"name": "web", "description": "d", "stateful": "False"})
		if g["stateful"] != false || g["shared"] != false || len(g["security_group_rules"].([]any)) != 2 || g["revision_number"] != 1.0 {
			t.Errorf("made: %v", g)
		}
		rule := c.post(demo, "security-group-rules", "security_group_rule", object{
			"security_group_id": g["id"], "direction": "ingress", "ethertype": "ipv4", "protocol": 6, "port_range_min": "80", "port_range_max": 90,
			"remote_ip_prefix": "10.1.2.3/8", "remote_group_id": nil, "description": "",
		})
		for field, want := range map[string]any{
			"protocol": "6", "port_range_min": 80.0, "port_range_max": 90.0, "remote_ip_prefix": "10.1.2.3/8", "normalized_cidr": "10.0.0.0/8",
			"ethertype": "IPv4", "direction": "ingress", "remote_group_id": nil, "project_id": demoProject, "belongs_to_default_sg": false,
		} {
			if rule[field] != want {
				t.Errorf("%s is %v, want %v", field, rule[field], want)
			}
		}
		if got := c.call(demo, "GET", "/security-groups/"+g["id"].(string), nil, 200)["security_group"].(object); got["revision_number"] != 2.0 || len(got["security_group_rules"].([]any)) != 3 {
			t.Errorf("after a rule: %v", got)
		}
		count := func(query string, want int) {
			t.Helper()
			if got := c.call(demo, "GET", "/security-group-rules?"+query, nil, 200)["security_group_rules"].([]any); len(got) != want {
				t.Errorf("%s: %d rules, want %d", query, len(got), want)
			}
		}
		count("", 7)
		count("security_group_id="+g["id"].(string), 3)
		count("direction=ingress&protocol=6", 1)
		count("belongs_to_default_sg=True", 4)
		base := func(field string, value any) object {
			o := object{"security_group_id": g["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 1, "port_range_max": 2}
			o[field] = value
			return object{"security_group_rule": o}
		}
		for _, x := range []struct {
			field     string
			value     any
			status    int
			exception string
		}{
			{"direction", "sideways", 400, "HTTPBadRequest"},
			{"direction", nil, 400, "HTTPBadRequest"},
			{"ethertype", "IPv5", 400, "SecurityGroupRuleInvalidEtherType"},
			{"ethertype", 4, 400, "HTTPBadRequest"},
			{"protocol", "carrier-pigeon", 400, "SecurityGroupRuleInvalidProtocol"},
			{"protocol", -1, 400, "SecurityGroupRuleInvalidProtocol"},
			{"protocol", []string{"tcp"}, 400, "HTTPBadRequest"},
			{"protocol", nil, 400, "SecurityGroupProtocolRequiredWithPorts"},
			{"protocol", "gre", 400, "SecurityGroupInvalidProtocolForPort"},
			{"protocol", "ipv6-icmp", 400, "SecurityGroupEthertypeConflictWithProtocol"},
			{"port_range_max", 0, 400, "SecurityGroupInvalidPortValue"},
			{"port_range_max", 65536, 400, "SecurityGroupInvalidPortValue"},
			{"port_range_max", -1, 400, "SecurityGroupInvalidPortValue"},
			{"port_range_min", 3, 400, "SecurityGroupInvalidPortRange"},
			{"port_range_min", nil, 400, "SecurityGroupInvalidPortRange"},
			{"remote_ip_prefix", "10.0.0.0/33", 400, "InvalidCIDR"},
			{"remote_ip_prefix", "::ffff:10.0.0.1", 400, "InvalidCIDR"},
			{"remote_ip_prefix", "2001:db8::/32", 400, "SecurityGroupRuleParameterConflict"},
			{"remote_group_id", "some", 404, "SecurityGroupNotFound"},
			{"remote_address_group_id", "some", 404, "AddressGroupNotFound"},
			{"security_group_id", "some", 404, "SecurityGroupNotFound"},
			{"tenant_id", otherProject, 400, "HTTPBadRequest"},
			{"colour", "red", 400, "HTTPBadRequest"},
		} {
			c.fails(demo, "POST", "/security-group-rules", base(x.field, x.value), x.status, x.exception)
		}
		icmp := func(first, last any, exception string) {
			t.Helper()
			c.fails(demo, "POST", "/security-group-rules", object{"security_group_rule": object{"security_group_id": g["id"], "direction": "ingress", "protocol": "icmp", "port_range_min": first, "port_range_max": last}}, 400, exception)
		}
		icmp(256, nil, "SecurityGroupInvalidIcmpValue")
		icmp(nil, 0, "SecurityGroupMissingIcmpType")
		both := base("remote_ip_prefix", "10.0.0.0/8")
		both["security_group_rule"].(object)["remote_group_id"] = g["id"]
		c.fails(demo, "POST", "/security-group-rules", both, 400, "SecurityGroupRemoteGroupAndRemoteIpPrefix")
		c.fails(demo, "POST", "/security-group-rules", object{"security_group_rules": []object{
			base("description", "one")["security_group_rule"].(object), base("description", "two")["security_group_rule"].(object),
		}}, 409, "SecurityGroupRuleExists")
		c.fails(reader, "POST", "/security-group-rules", base("description", ""), 403, "PolicyNotAuthorized")
		count("", 7) // none of the refused left a trace
		path := "/security-group-rules/" + rule["id"].(string)
		c.fails(demo, "DELETE", path, nil, 412, "RevisionNumberConstraintFailed", "If-Match: revision_number=7")
		c.call(demo, "DELETE", path, nil, 204)
		c.fails(demo, "GET", path, nil, 404, "SecurityGroupRuleNotFound")
	})
}

func TestAddressGroups(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	g := c.post(demo, "address-groups", "address_group", object{"name": "offices", "addresses": []string{"10.1.2.3", "10.2.3.4/16"}})
	path := "/address-groups/" + g["id"].(string)
	holds := func(o any, want string) {
		t.Helper()
		if got := fmt.Sprint(o.(object)["addresses"]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	holds(g, "[10.1.2.3/32 10.2.0.0/16]")
	add := func(addresses ...string) object { return object{"addresses": addresses} }
	holds(c.call(demo, "PUT", path+"/add_addresses", add("2001:db8::/32"), 200)["address_group"], "[10.1.2.3/32 10.2.0.0/16 2001:db8::/32]")
	holds(c.call(demo, "PUT", path+"/remove_addresses", add("10.1.2.3/32"), 200)["address_group"], "[10.2.0.0/16 2001:db8::/32]")
	c.fails(demo, "PUT", path+"/add_addresses", add("10.2.0.0/16"), 400, "AddressesAlreadyExist")
	c.fails(demo, "PUT", path+"/remove_addresses", add("10.1.2.3"), 404, "AddressesNotFound")
	c.fails(demo, "PUT", path+"/add_addresses", add("ten"), 400, "InvalidCIDR")
	c.fails(demo, "PUT", path+"/add_addresses", add(), 400, "HTTPBadRequest")
	c.fails(demo, "PUT", path, object{"address_group": add("10.0.0.0/8")}, 400, "HTTPBadRequest")
	c.fails(demo, "GET", "/address-groups?tags=red", nil, 400, "HTTPBadRequest")
	group := c.post(demo, "security-groups", "security_group", object{"name": "g"})
	c.post(demo, "security-group-rules", "security_group_rule", object{"security_group_id": group["id"], "direction": "ingress", "remote_address_group_id": g["id"]})
	c.fails(demo, "DELETE", path, nil, 409, "AddressGroupInUse")
	c.call(demo, "DELETE", "/security-groups/"+group["id"].(string), nil, 204)
	c.call(demo, "DELETE", path, nil, 204)
	c.fails(demo, "GET", path, nil, 404, "AddressGroupNotFound")
}

func TestQoS(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		c.fails(demo, "POST", "/qos/policies", object{"policy": object{"name": "mine"}}, 403, "PolicyNotAuthorized")
		p := c.post(admin, "qos/policies", "policy", object{"name": "gold", "shared": true, "is_default": true})
		path := "/qos/policies/" + p["id"].(string)
		limits, marks := path+"/bandwidth_limit_rules", path+"/dscp_marking_rules"
		limit := c.post(admin, limits[1:], "bandwidth_limit_rule", object{"max_kbps": 1000, "max_burst_kbps": 100})
		if limit["direction"] != "egress" || limit["max_kbps"] != 1000.0 || len(limit) != 4 {
			t.Errorf("limit: %v", limit)
		}
		mark := c.post(admin, marks[1:], "dscp_marking_rule", object{"dscp_mark": 26})
		seen := c.call(demo, "GET", path, nil, 200)["policy"].(object)
		rule, _ := seen["rules"].([]any)[0].(object)
		if seen["shared"] != true || seen["is_default"] != true || len(seen["rules"].([]any)) != 2 || rule["type"] != "bandwidth_limit" || rule["qos_policy_id"] != p["id"] {
			t.Errorf("as a tenant: %v", seen)
		}
		c.call(demo, "GET", limits+"/"+limit["id"].(string), nil, 200)
		alias := "/qos/alias_bandwidth_limit_rules/" + limit["id"].(string)
		if got := c.call(admin, "PUT", alias, object{"alias_bandwidth_limit_rule": object{"max_kbps": "2000"}}, 200)["alias_bandwidth_limit_rule"].(object); got["max_kbps"] != 2000.0 {
			t.Errorf("by its alias: %v", got)
		}
		if got := c.call(admin, "PUT", limits+"/"+limit["id"].(string), object{"bandwidth_limit_rule": object{"direction": "ingress"}}, 200)["bandwidth_limit_rule"].(object); got["direction"] != "ingress" {
			t.Errorf("turned: %v", got)
		}
		body := func(fields object) object { return object{"bandwidth_limit_rule": fields} }
		c.fails(admin, "POST", limits, body(object{"max_kbps": 1, "direction": "ingress"}), 409, "QoSRulesConflict")
		c.fails(admin, "POST", limits, body(object{"max_kbps": 0}), 400, "HTTPBadRequest")
		c.fails(admin, "POST", limits, body(object{"max_burst_kbps": 1}), 400, "HTTPBadRequest")
		c.fails(admin, "POST", limits, body(object{"max_kbps": 1, "direction": "any"}), 400, "HTTPBadRequest")
		c.fails(admin, "POST", limits, body(object{"max_kbps": 1, "dscp_mark": 26}), 400, "HTTPBadRequest")
		c.fails(admin, "POST", marks, object{"dscp_marking_rule": object{"dscp_mark": 7}}, 400, "HTTPBadRequest")
		c.fails(admin, "POST", marks, body(object{"dscp_mark": 8}), 400, "HTTPBadRequest")
		c.fails(admin, "POST", "/qos/policies/some/bandwidth_limit_rules", body(object{"max_kbps": 1}), 404, "QosPolicyNotFound")
		c.fails(admin, "POST", path+"/minimum_bandwidth_rules", object{"minimum_bandwidth_rule": object{"min_kbps": 1}}, 501, "HTTPNotImplemented")
		c.fails(admin, "GET", marks+"/"+limit["id"].(string), nil, 404, "QosRuleNotFound")
		c.fails(admin, "POST", "/qos/policies", object{"policy": object{"name": "second", "is_default": true}}, 409, "QosPolicyDefaultAlreadyExists")
		c.fails(admin, "POST", "/qos/policies", object{"policy": object{}}, 400, "HTTPBadRequest")
		types := c.call(demo, "GET", "/qos/rule-types", nil, 200)["rule_types"].([]any)
		if fmt.Sprint(types) != "[map[type:bandwidth_limit] map[type:dscp_marking]]" {
			t.Errorf("types: %v", types)
		}
		c.call(admin, "GET", "/qos/rule-types/dscp_marking", nil, 200)
		c.fails(admin, "GET", "/qos/rule-types/minimum_bandwidth", nil, 404, "HTTPNotFound")
		c.call(admin, "DELETE", marks+"/"+mark["id"].(string), nil, 204)
		c.call(admin, "DELETE", alias, nil, 204)
		c.call(admin, "DELETE", path, nil, 204)
		c.fails(admin, "GET", path, nil, 404, "QosPolicyNotFound")
	})
}

func TestTrunks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		ids := map[string]string{}
		for _, name := range []string{"a", "b", "c", "d"} {
			ids[name] = c.port(demo, object{"name": name})["id"].(string)
		}
		sub := func(port string, vlan any) object {
			return object{"port_id": ids[port], "segmentation_type": "vlan", "segmentation_id": vlan}
		}
		tr := c.post(demo, "trunks", "trunk", object{"port_id": ids["a"], "name": "t", "sub_ports": []object{sub("b", 100)}})
		path := "/trunks/" + tr["id"].(string)
		if tr["status"] != "DOWN" || tr["admin_state_up"] != true || fmt.Sprint(tr["sub_ports"]) != fmt.Sprint([]any{sub("b", 100)}) {
			t.Errorf("made: %v", tr)
		}
		subports := func(list ...object) object { return object{"sub_ports": list} }
		if got := c.call(demo, "PUT", path+"/add_subports", subports(sub("c", "7")), 200); len(got["sub_ports"].([]any)) != 2 || got["id"] != tr["id"] {
			t.Errorf("added: %v", got)
		}
		c.fails(demo, "PUT", path+"/add_subports", subports(sub("d", 7)), 409, "DuplicateSubPort")
		c.fails(demo, "PUT", path+"/add_subports", subports(sub("c", 8)), 409, "PortInUseAsSubPort")
		c.fails(demo, "PUT", path+"/add_subports", subports(object{"port_id": ids["d"]}), 400, "HTTPBadRequest")
		c.fails(demo, "PUT", path+"/add_subports", subports(object{"port_id": ids["d"], "segmentation_type": "vxlan", "segmentation_id": 5}), 400, "HTTPBadRequest")
		c.fails(demo, "PUT", path+"/add_subports", subports(object{"port_id": ids["d"], "segmentation_type": "inherit"}), 400, "HTTPBadRequest")
		c.fails(demo, "PUT", path+"/remove_subports", subports(object{"port_id": ids["d"]}), 404, "SubPortNotFound")
		c.fails(demo, "POST", "/trunks", object{"trunk": object{"port_id": ids["a"]}}, 409, "PortInUseAsTrunkParent")
		c.fails(demo, "POST", "/trunks", object{"trunk": object{"name": "x"}}, 400, "HTTPBadRequest")
		c.fails(demo, "DELETE", "/ports/"+ids["a"], nil, 409, "PortInUseAsTrunkParent")
		c.fails(demo, "DELETE", "/ports/"+ids["b"], nil, 409, "PortInUseAsSubPort")
		parent := c.call(demo, "GET", "/ports/"+ids["a"], nil, 200)["port"].(object)
		details, _ := parent["trunk_details"].(object)
		first := details["sub_ports"].([]any)[0].(object)
		if details["trunk_id"] != tr["id"] || first["port_id"] != ids["c"] || first["segmentation_id"] != 7.0 || first["mac_address"] == "" {
			t.Errorf("the parent tells: %v", details)
		}
		if p := c.call(demo, "GET", "/ports/"+ids["b"], nil, 200)["port"].(object); p["device_owner"] != "trunk:subport" || p["trunk_details"] != nil {
			t.Errorf("a subport: %v", p)
		}
		c.call(demo, "PUT", path, object{"trunk": object{"admin_state_up": false}}, 200)
		c.fails(demo, "PUT", path+"/remove_subports", subports(object{"port_id": ids["c"]}), 409, "TrunkDisabled")
		c.fails(demo, "DELETE", path, nil, 409, "TrunkDisabled")
		c.call(demo, "PUT", path, object{"trunk": object{"admin_state_up": true}}, 200)
		if got := c.call(demo, "PUT", path+"/remove_subports", subports(object{"port_id": ids["c"]}), 200); len(got["sub_ports"].([]any)) != 1 {
			t.Errorf("removed: %v", got)
		}
		if got := c.call(demo, "GET", path+"/get_subports", nil, 200); len(got["sub_ports"].([]any)) != 1 {
			t.Errorf("its subports: %v", got)
		}
		c.call(demo, "DELETE", path, nil, 204)
		c.call(demo, "DELETE", "/ports/"+ids["a"], nil, 204)
	})
}

// A server's own port goes with the server, and the trunk that was made of it, too.
func TestAServersPortTakesItsTrunkAlong(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	ids := four(c)
	tr := c.post(demo, "trunks", "trunk", object{"port_id": ids["a"]})
	if err := c.db.Tx(t.Context(), func(tx *db.Tx) error { return c.networks.DeletePort(t.Context(), tx, ids["a"]) }); err != nil {
		t.Fatal(err)
	}
	c.fails(demo, "GET", "/trunks/"+tr["id"].(string), nil, 404, "TrunkNotFound")
	if _, err := c.networks.Port(t.Context(), c.db, network.Everything, ids["b"]); err != nil {
		t.Error(err)
	}
}

// What guards a port is named by the port and its network, and stays while it is.
func TestPortsAndTheirGuards(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		policy := c.post(admin, "qos/policies", "policy", object{"name": "gold", "shared": true})["id"].(string)
		own := c.post(admin, "qos/policies", "policy", object{"name": "usual", "tenant_id": demoProject, "is_default": true})["id"].(string)
		net := c.make(demo, "network", object{"name": "n"})
		if net["qos_policy_id"] != own {
			t.Errorf("a new network has the policy %v", net["qos_policy_id"])
		}
		c.make(demo, "subnet", object{"network_id": net["id"], "ip_version": 4, "cidr": "10.1.0.0/24"})
		port := c.make(demo, "port", object{"network_id": net["id"], "qos_policy_id": policy})
		group := c.call(demo, "GET", "/security-groups?name=default", nil, 200)["security_groups"].([]any)[0].(object)["id"].(string)
		if fmt.Sprint(port["security_groups"]) != "["+group+"]" || port["qos_policy_id"] != policy {
			t.Errorf("a new port: %v", port)
		}
		c.fails(admin, "DELETE", "/security-groups/"+group, nil, 409, "SecurityGroupInUse")
		c.fails(admin, "DELETE", "/qos/policies/"+policy, nil, 409, "QosPolicyInUse")
		c.fails(admin, "DELETE", "/qos/policies/"+own, nil, 409, "QosPolicyInUse")
		marked := func(want string) {
			t.Helper()
			keys, err := db.List(t.Context(), d, func(row db.Scanner) (key string, err error) { return key, row.Scan(&key) }, `DELETE FROM reconcile_mark RETURNING key`)
			if got := strings.Join(keys, " "); err != nil || got != want {
				t.Errorf("marked: %q %v, want %q", got, err, want)
			}
		}
		bare := c.make(demo, "port", object{"network_id": net["id"], "security_groups": []string{}})["id"].(string)
		if _, err := d.ExecContext(t.Context(), `DELETE FROM reconcile_mark`); err != nil {
			t.Fatal(err)
		}
		c.post(admin, "qos/policies/"+policy+"/bandwidth_limit_rules", "bandwidth_limit_rule", object{"max_kbps": 1000})
		marked("port/" + port["id"].(string))
		c.post(admin, "qos/policies/"+own+"/bandwidth_limit_rules", "bandwidth_limit_rule", object{"max_kbps": 1000})
		marked("port/" + bare)
		c.call(demo, "DELETE", "/ports/"+port["id"].(string), nil, 204)
		c.call(admin, "DELETE", "/qos/policies/"+policy, nil, 204)
		c.call(admin, "DELETE", "/security-groups/"+group, nil, 204)
	})
}

// A floating IP's policy is a policy in use, too.
func TestFloatingIPsNamePolicies(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	policy := c.post(admin, "qos/policies", "policy", object{"name": "gold", "shared": true})["id"].(string)
	floating := c.floatingIP(demo, c.joined(demo), object{"qos_policy_id": policy})["id"].(string)
	c.fails(admin, "DELETE", "/qos/policies/"+policy, nil, 409, "QosPolicyInUse")
	if _, err := c.db.ExecContext(t.Context(), `DELETE FROM reconcile_mark`); err != nil {
		t.Fatal(err)
	}
	c.post(admin, "qos/policies/"+policy+"/bandwidth_limit_rules", "bandwidth_limit_rule", object{"max_kbps": 1000})
	var key string
	if err := c.db.QueryRowContext(t.Context(), `SELECT key FROM reconcile_mark`).Scan(&key); err != nil || key != "floatingip/"+floating {
		t.Errorf("marked: %s %v", key, err)
	}
	c.call(demo, "DELETE", "/floatingips/"+floating, nil, 204)
	c.call(admin, "DELETE", "/qos/policies/"+policy, nil, 204)
}

// Who shares a group lets the other project look at it and put ports into it, not change it.
func TestSharedGuards(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	g := c.post(demo, "security-groups", "security_group", object{"name": "web"})
	path := "/security-groups/" + g["id"].(string)
	c.fails(other, "GET", path, nil, 404, "SecurityGroupNotFound")
	share := object{"object_type": "security_group", "object_id": g["id"], "action": "access_as_shared", "target_tenant": otherProject}
	c.fails(other, "POST", "/rbac-policies", object{"rbac_policy": share}, 404, "HTTPNotFound")
	c.make(demo, "rbac_policy", share)
	if seen := c.call(other, "GET", path, nil, 200)["security_group"].(object); seen["shared"] != true {
		t.Errorf("seen by the other: %v", seen)
	}
	if seen := c.call(other, "GET", "/security-groups?shared=True", nil, 200)["security_groups"].([]any); len(seen) != 1 {
		t.Errorf("shared with the other: %v", seen)
	}
	c.fails(other, "PUT", path, object{"security_group": object{"name": "mine"}}, 403, "PolicyNotAuthorized")
	c.fails(other, "DELETE", path, nil, 403, "PolicyNotAuthorized")
	c.fails(other, "POST", "/security-group-rules", object{"security_group_rule": object{"security_group_id": g["id"], "direction": "ingress"}}, 403, "PolicyNotAuthorized")
	net := c.make(other, "network", object{"name": "n"})["id"]
	c.make(other, "subnet", object{"network_id": net, "ip_version": 4, "cidr": "10.1.0.0/24"})
	port := c.make(other, "port", object{"network_id": net, "security_groups": []any{g["id"]}})
	c.fails(demo, "DELETE", path, nil, 409, "SecurityGroupInUse")
	c.call(other, "DELETE", "/ports/"+port["id"].(string), nil, 204)
	c.call(demo, "DELETE", path, nil, 204)
	if left := c.call(demo, "GET", "/rbac-policies", nil, 200)["rbac_policies"].([]any); len(left) != 0 {
		t.Errorf("the deleted group is still shared: %v", left)
	}
	for _, x := range []struct {
		token, kind, id string
	}{
		{demo, "address_group", c.post(demo, "address-groups", "address_group", object{"name": "offices"})["id"].(string)},
		{admin, "qos_policy", c.post(admin, "qos/policies", "policy", object{"name": "gold"})["id"].(string)},
	} {
		path := map[string]string{"address_group": "/address-groups/", "qos_policy": "/qos/policies/"}[x.kind] + x.id
		c.call(other, "GET", path, nil, 404)
		c.make(x.token, "rbac_policy", object{"object_type": x.kind, "object_id": x.id, "action": "access_as_shared", "target_tenant": otherProject})
		c.call(other, "GET", path, nil, 200)
	}
}

func TestGuardsHaveQuotas(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	for resource, body := range map[string]object{"security_group": {"name": "g"}, "trunk": {"port_id": c.port(demo, nil)["id"]}} {
		c.call(admin, "PUT", "/quotas/"+demoProject, object{"quota": object{resource: 0}}, 200)
		c.fails(demo, "POST", collection(resource), object{resource: body}, 409, "OverQuota")
	}
	group := c.call(demo, "GET", "/security-groups", nil, 200)["security_groups"].([]any)[0].(object)["id"]
	c.call(admin, "PUT", "/quotas/"+demoProject, object{"quota": object{"security_group_rule": 4}}, 200)
	c.fails(demo, "POST", "/security-group-rules", object{"security_group_rule": object{"security_group_id": group, "direction": "ingress"}}, 409, "OverQuota")
	details := c.call(demo, "GET", "/quotas/"+demoProject+"/details", nil, 200)["quota"].(object)
	if got := fmt.Sprint(details["security_group"], details["security_group_rule"]); got != "map[limit:0 reserved:0 used:1] map[limit:4 reserved:0 used:4]" {
		t.Errorf("details: %s", got)
	}
}

// The openstack CLI with what guards ports.
func TestCLIGuards(t *testing.T) {
	_, run := commandLine(t)
	says(t, run, []step{
		{"security group list -f value -c Name", "default"},
		{"security group create --description d web -f value -c stateful", "True"},
		{"security group rule create --protocol tcp --dst-port 22 web -f value -c port_range_min", "22"},
		{"security group rule create --protocol icmp --icmp-type 8 --icmp-code 0 web -f value -c protocol", "icmp"},
		{"security group rule create --ethertype IPv6 --protocol ipv6-icmp --remote-group web web -f value -c protocol", "ipv6-icmp"},
		{"address group create --address 10.1.0.0/16 offices -f value -c addresses", "10.1.0.0/16"},
		{"address group set --address 10.2.0.7 offices", ""},
		{"address group unset --address 10.1.0.0/16 offices", ""},
		{"address group show offices -f value -c addresses", "['10.2.0.7/32']"},
		{"security group rule create --egress --remote-address-group offices web -f value -c direction", "egress"},
		{"security group rule list web -f value", "22:22"},
		{"security group set --name www --stateless --tag red web", ""},
		{"security group show www -f value -c stateful", "False"},
		{"security group list --tags red -f value -c Name", "www"},
		{"security group delete www", ""},
		{"address group delete offices", ""},

		{"port create --network flat parent -f value -c name", "parent"},
		{"port create --network flat child -f value -c name", "child"},
		{"network trunk create --parent-port parent --subport port=child,segmentation-type=vlan,segmentation-id=100 t -f value -c status", "DOWN"},
		{"network trunk list -f value -c Name", "t"},
		{"network subport list --trunk t -f value", "100"},
		{"port show parent -f value -c trunk_details", "trunk_id"},
		{"network trunk unset --subport child t", ""},
		{"network trunk delete t", ""},

		{"admin: network qos policy create --share gold -f value -c shared", "True"},
		{"admin: network qos rule create --type bandwidth-limit --max-kbps 1000 --max-burst-kbits 100 --ingress gold -f value -c direction", "ingress"},
		{"admin: network qos rule create --type dscp-marking --dscp-mark 26 gold -f value -c dscp_mark", "26"},
		{"network qos rule list gold -f value", "bandwidth_limit"},
		{"network qos rule type list -f value", "dscp_marking"},
		{"network qos policy list -f value -c Name", "gold"},
		{"port set --qos-policy gold child", ""},
	})
	if out, err := run("admin: network qos policy delete gold"); err == nil || !strings.Contains(out, "is used by port") {
		t.Errorf("a policy in use: %v\n%s", err, out)
	}
}
