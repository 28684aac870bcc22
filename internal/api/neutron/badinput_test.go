package neutron_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
)

// bodies are good requests with all fields that a body may have, by route. Texts with a dollar stand for the ids of things.
var bodies = map[string]string{
	"POST /v2.0/networks": `{"network": {"name": "n", "description": "d", "admin_state_up": true, "port_security_enabled": true, "mtu": 1400, "qos_policy_id": "$policy",
		"dns_domain": "a.b.", "availability_zone_hints": ["nova"], "project_id": "$project", "tenant_id": "$project"}}`,
	"POST /v2.0/networks by an admin": `{"network": {"shared": false, "router:external": false, "is_default": false, "qos_policy_id": "$policy",
		"provider:network_type": "geneve", "provider:physical_network": "", "provider:segmentation_id": 77}}`,
	"PUT /v2.0/networks/{id}": `{"network": {"name": "n", "description": "d", "admin_state_up": true, "shared": false, "router:external": false, "is_default": false,
		"port_security_enabled": true, "mtu": 1400, "qos_policy_id": "$policy", "dns_domain": "a.b."}}`,
	"POST /v2.0/subnets": `{"subnet": {"network_id": "$network", "name": "s", "description": "d", "ip_version": 4, "cidr": "10.77.0.0/24", "subnetpool_id": null,
		"use_default_subnetpool": false, "gateway_ip": "10.77.0.1", "enable_dhcp": true, "dns_nameservers": ["9.9.9.9"],
		"allocation_pools": [{"start": "10.77.0.9", "end": "10.77.0.99"}], "host_routes": [{"destination": "10.78.0.0/24", "nexthop": "10.77.0.7"}],
		"ipv6_ra_mode": null, "ipv6_address_mode": null, "service_types": ["compute:nova"], "segment_id": null}}`,
	"POST /v2.0/subnets from a pool": `{"subnet": {"network_id": "$pooled", "ip_version": 4, "subnetpool_id": "$pool", "prefixlen": 26}}`,
	"PUT /v2.0/subnets/{id}": `{"subnet": {"name": "s", "description": "d", "gateway_ip": "10.1.0.1", "enable_dhcp": true, "dns_nameservers": ["9.9.9.9"],
		"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.99"}], "host_routes": [{"destination": "10.78.0.0/24", "nexthop": "10.1.0.7"}], "service_types": []}}`,
	"POST /v2.0/ports": `{"port": {"network_id": "$network", "name": "p", "description": "d", "admin_state_up": true, "mac_address": "fa:16:3e:00:00:77",
		"fixed_ips": [{"subnet_id": "$subnet", "ip_address": "10.1.0.77"}], "device_id": "x", "device_owner": "y", "dns_name": "z", "port_security_enabled": true,
		"security_groups": ["$group"], "allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:78", "ip_address": "10.1.0.78"}],
		"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "v", "ip_version": 4}], "qos_policy_id": "$policy", "binding:vnic_type": "normal", "tags": ["red"]}}`,
	"PUT /v2.0/ports/{id}": `{"port": {"name": "p", "description": "d", "admin_state_up": true, "mac_address": "fa:16:3e:00:00:79",
		"fixed_ips": [{"subnet_id": "$subnet", "ip_address": "10.1.0.79"}], "device_id": "x", "device_owner": "y", "dns_name": "z", "port_security_enabled": true,
		"security_groups": ["$group"], "allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:78", "ip_address": "10.1.0.78"}],
		"extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "v", "ip_version": 4}], "qos_policy_id": "$policy", "binding:vnic_type": "normal"}}`,
	"PUT /v2.0/ports/{id} by an admin": `{"port": {"binding:host_id": "", "binding:profile": {"local_link_information": [{"switch_info": "ovs", "port_id": "if"}]}}}`,
	"POST /v2.0/routers": `{"router": {"name": "r", "description": "d", "admin_state_up": true, "availability_zone_hints": ["nova"],
		"external_gateway_info": {"network_id": "$out"}, "routes": [{"destination": "10.9.0.0/24", "nexthop": "203.0.113.7"}]}}`,
	"PUT /v2.0/routers/{id}": `{"router": {"name": "r", "description": "d", "admin_state_up": true, "routes": [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.7"}],
		"external_gateway_info": {"network_id": "$out"}}}`,
	"PUT /v2.0/routers/{id} by an admin": `{"router": {"external_gateway_info": {"network_id": "$out", "enable_snat": true,
		"external_fixed_ips": [{"subnet_id": "$outsubnet", "ip_address": "203.0.113.99"}]}}}`,
	"PUT /v2.0/routers/{id}/add_router_interface":              `{"subnet_id": "$subnet"}`,
	"PUT /v2.0/routers/{id}/add_router_interface by port":      `{"port_id": "$port"}`,
	"PUT /v2.0/routers/{id}/remove_router_interface":           `{"subnet_id": "$subnet", "port_id": "$port"}`,
	"PUT /v2.0/routers/{id}/add_extraroutes":                   `{"router": {"routes": [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.7"}]}}`,
	"PUT /v2.0/routers/{id}/remove_extraroutes":                `{"router": {"routes": [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.7"}]}}`,
	"POST /v2.0/floatingips":                                   `{"floatingip": {"floating_network_id": "$out", "port_id": "$port", "fixed_ip_address": "10.1.0.5", "description": "d", "qos_policy_id": "$policy", "dns_name": "a", "dns_domain": "b."}}`,
	"POST /v2.0/floatingips by an admin":                       `{"floatingip": {"floating_network_id": "$out", "floating_ip_address": "203.0.113.98", "subnet_id": "$outsubnet"}}`,
	"PUT /v2.0/floatingips/{id}":                               `{"floatingip": {"port_id": "$port", "fixed_ip_address": "10.1.0.5", "description": "d", "qos_policy_id": "$policy"}}`,
	"POST /v2.0/floatingips/{id}/port_forwardings":             `{"port_forwarding": {"internal_port_id": "$port", "internal_ip_address": "10.1.0.5", "internal_port": 22, "external_port": 22, "protocol": "tcp", "description": "d"}}`,
	"POST /v2.0/floatingips/{id}/port_forwardings of ports":    `{"port_forwarding": {"internal_port_id": "$port", "internal_port_range": "22:23", "external_port_range": "22:23", "protocol": "tcp"}}`,
	"PUT /v2.0/floatingips/{id}/port_forwardings/{forwarding}": `{"port_forwarding": {"internal_port_id": "$port", "internal_ip_address": "10.1.0.5", "internal_port": 22, "external_port": 22, "protocol": "tcp", "description": "d"}}`,
	"POST /v2.0/subnetpools": `{"subnetpool": {"name": "p", "description": "d", "prefixes": ["10.2.0.0/16"], "default_prefixlen": 26, "min_prefixlen": 24, "max_prefixlen": 28, "default_quota": 9,
		"is_default": false, "shared": false, "address_scope_id": "$scope"}}`,
	"PUT /v2.0/subnetpools/{id}":                                 `{"subnetpool": {"name": "p", "description": "d", "prefixes": ["10.2.0.0/15"], "default_prefixlen": 26, "min_prefixlen": 24, "max_prefixlen": 28, "default_quota": 9, "is_default": false, "address_scope_id": "$scope"}}`,
	"PUT /v2.0/subnetpools/{id}/add_prefixes":                    `{"prefixes": ["10.4.0.0/16"]}`,
	"PUT /v2.0/subnetpools/{id}/remove_prefixes":                 `{"prefixes": ["10.4.0.0/16"]}`,
	"POST /v2.0/address-scopes":                                  `{"address_scope": {"name": "s", "ip_version": 4, "shared": false}}`,
	"PUT /v2.0/address-scopes/{id}":                              `{"address_scope": {"name": "s", "shared": false}}`,
	"POST /v2.0/rbac-policies":                                   `{"rbac_policy": {"object_type": "network", "object_id": "$network", "action": "access_as_shared", "target_tenant": "third"}}`,
	"PUT /v2.0/rbac-policies/{id}":                               `{"rbac_policy": {"target_tenant": "fourth"}}`,
	"POST /v2.0/security-groups":                                 `{"security_group": {"name": "g", "description": "d", "stateful": true}}`,
	"PUT /v2.0/security-groups/{id}":                             `{"security_group": {"name": "g", "description": "d", "stateful": true}}`,
	"POST /v2.0/security-group-rules":                            `{"security_group_rule": {"security_group_id": "$group", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "10.0.0.0/8", "description": "d"}}`,
	"POST /v2.0/security-group-rules of a group":                 `{"security_group_rule": {"security_group_id": "$group", "direction": "egress", "remote_group_id": "$group"}}`,
	"POST /v2.0/security-group-rules of a list":                  `{"security_group_rule": {"security_group_id": "$group", "direction": "egress", "remote_address_group_id": "$addresses"}}`,
	"POST /v2.0/address-groups":                                  `{"address_group": {"name": "a", "description": "d", "addresses": ["10.0.0.0/8"]}}`,
	"PUT /v2.0/address-groups/{id}":                              `{"address_group": {"name": "a", "description": "d"}}`,
	"PUT /v2.0/address-groups/{id}/add_addresses":                `{"addresses": ["10.5.0.0/16"]}`,
	"PUT /v2.0/address-groups/{id}/remove_addresses":             `{"addresses": ["10.5.0.0/16"]}`,
	"POST /v2.0/qos/policies":                                    `{"policy": {"name": "q", "description": "d", "shared": false, "is_default": false}}`,
	"PUT /v2.0/qos/policies/{id}":                                `{"policy": {"name": "q", "description": "d", "shared": false, "is_default": false}}`,
	"POST /v2.0/qos/policies/{policy}/bandwidth_limit_rules":     `{"bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "ingress"}}`,
	"PUT /v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}": `{"bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "egress"}}`,
	"PUT /v2.0/qos/alias_bandwidth_limit_rules/{id}":             `{"alias_bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "egress"}}`,
	"POST /v2.0/qos/policies/{policy}/dscp_marking_rules":        `{"dscp_marking_rule": {"dscp_mark": 26}}`,
	"PUT /v2.0/qos/policies/{policy}/dscp_marking_rules/{id}":    `{"dscp_marking_rule": {"dscp_mark": 26}}`,
	"PUT /v2.0/qos/alias_dscp_marking_rules/{id}":                `{"alias_dscp_marking_rule": {"dscp_mark": 26}}`,
	"POST /v2.0/trunks":                                          `{"trunk": {"port_id": "$free", "name": "t", "description": "d", "admin_state_up": true, "sub_ports": [{"port_id": "$child", "segmentation_type": "vlan", "segmentation_id": 5}]}}`,
	"PUT /v2.0/trunks/{id}":                                      `{"trunk": {"name": "t", "description": "d", "admin_state_up": true}}`,
	"PUT /v2.0/trunks/{id}/add_subports":                         `{"sub_ports": [{"port_id": "$child", "segmentation_type": "vlan", "segmentation_id": 6}]}`,
	"PUT /v2.0/trunks/{id}/remove_subports":                      `{"sub_ports": [{"port_id": "$child"}]}`,
	"PUT /v2.0/quotas/{project}":                                 `{"quota": {"network": 10, "port": -1}}`,
	"PUT tags":                                                   `{"tags": ["red", "blue"]}`,
}

// bad are values, as JSON, of which hardly any fits anywhere.
func bad() []string {
	list := []string{
		`null`, `true`, `0`, `-1`, `1.5`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `1e400`, `""`, `" "`, `"-1"`, `"x"`, `"ä\u0000b"`, `"\ud800"`, "\"\xff\"",
		`"0.0.0.0/0"`, `"::1/129"`, `"::ffff:10.0.0.1"`, `"fe80::1%eth0"`, `"255.255.255.255"`, `"ff:ff:ff:ff:ff:ff"`, `"22:99999999999999999999"`, `"'; DROP TABLE network; --"`,
		`[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `{"a": 1}`, `{"a": {"a": {"a": []}}}`, `["x", "x"]`, `[1]`,
		many(70000), // more than a statement may have values
		`"` + strings.Repeat("x", 900<<10) + `"`,
	}
	return append(list, strconv.Quote(uuid.NewString()))
}

// many is a list of so many texts, none twice.
func many(n int) string {
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, `,"x%d"`, i)
	}
	return "[" + list.String()[1:] + "]"
}

// wrong are whole bodies.
func wrong(good string) []string {
	return []string{
		"", " ", "null", "true", "1", `"x"`, "[]", "{}", `[{}]`, "{", good[:len(good)-1], good + "x", good + good, "\xff", "\x00", `{"": {}}`,
		strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000), `{"a": "` + strings.Repeat("x", 1<<20) + `"}`,
		good[:len(good)-1] + `, "x": 1}`,                                              // an unknown field
		"{" + strings.TrimSuffix(strings.TrimPrefix(good, "{"), "}") + "," + good[1:], // each field twice
		strings.Replace(good, `": {`, `": {"no such field": 1, `, 1),
		strings.Replace(good, `": {`, `": {"name": "a", "name": "b", `, 1),
	}
}

// spots calls f with the good body changed at each of its places: raw stands there.
func spots(t *testing.T, good string, raw string, f func(place, changed string)) {
	var tree any
	if err := json.Unmarshal([]byte(good), &tree); err != nil {
		t.Fatalf("%s: %v", good, err)
	}
	const mark = "a place"
	write := func() string {
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(string(text), strconv.Quote(mark), raw, 1)
	}
	var walk func(place string, value any)
	walk = func(place string, value any) {
		switch value := value.(type) {
		case object:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				was := value[key]
				value[key] = mark
				f(place+"."+key, write())
				value[key] = was
				walk(place+"."+key, was)
			}
		case []any:
			for i, was := range value {
				value[i] = mark
				f(fmt.Sprintf("%s[%d]", place, i), write())
				value[i] = was
				walk(fmt.Sprintf("%s[%d]", place, i), was)
			}
		}
	}
	walk("", tree)
}

// things are the ids of one thing of each kind, by the word that stands for it in bodies, and by the first part of its path.
func (c *cloud) things(token string, l layout) map[string]string {
	c.t.Helper()
	g := c.guards(token)
	id := func(o object) string { return o["id"].(string) }
	ids := map[string]string{
		"$network": l.net, "$subnet": l.subnet, "$port": l.port, "$out": l.out, "$outsubnet": l.outSubnet, "$project": projects[token],
		"$group": g.ids["security-groups"], "$addresses": g.ids["address-groups"], "$policy": g.ids["qos"],
		"networks": l.net, "subnets": l.subnet, "ports": l.port, "routers": l.router,
		"{policy}": g.ids["qos"], "{tag}": "red", "{project}": projects[token], "{alias}": "router", "{type}": "dscp_marking",
		"bandwidth_limit_rules": g.rule, "alias_bandwidth_limit_rules": g.rule,
	}
	maps.Copy(ids, g.ids)
	ids["$scope"] = id(c.make(token, "address_scope", object{"name": "a", "ip_version": 4}))
	ids["$pool"] = id(c.make(token, "subnetpool", object{"name": "p", "prefixes": []string{"10.3.0.0/16"}, "address_scope_id": ids["$scope"]}))
	ids["$pooled"] = id(c.make(token, "network", nil))
	ids["$free"], ids["$child"] = id(c.make(token, "port", object{"network_id": l.net})), id(c.make(token, "port", object{"network_id": l.net}))
	ids["address-scopes"], ids["subnetpools"] = ids["$scope"], ids["$pool"]
	ids["rbac-policies"] = id(c.make(token, "rbac_policy", object{"object_type": "network", "object_id": l.net, "action": "access_as_shared", "target_tenant": "another"}))
	ids["floatingips"] = id(c.floatingIP(token, l, nil))
	forwarding := object{"port_forwarding": object{"internal_port_id": l.port, "internal_port": 80, "external_port": 80, "protocol": "tcp"}}
	ids["{forwarding}"] = id(c.call(token, "POST", "/floatingips/"+ids["floatingips"]+"/port_forwardings", forwarding, 201)["port_forwarding"].(object))
	mark := object{"dscp_marking_rule": object{"dscp_mark": 26}}
	ids["dscp_marking_rules"] = id(c.call(admin, "POST", "/qos/policies/"+g.ids["qos"]+"/dscp_marking_rules", mark, 201)["dscp_marking_rule"].(object))
	ids["alias_dscp_marking_rules"] = ids["dscp_marking_rules"]
	return ids
}

// abuse is a cloud in which two projects have one thing of each kind, without limits.
type abuse struct {
	*cloud
	mine, foreign map[string]string
	tried         int
}

func abused(t *testing.T, d *db.DB) *abuse {
	c := boot(t, d)
	unlimited := network.Limits{}
	for resource := range network.DefaultLimits() {
		unlimited[resource] = network.Unlimited
	}
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for _, project := range projects {
			if err := c.networks.SetLimits(t.Context(), tx, project, unlimited); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs := c.joined(other)
	mine := c.joined(demo)
	return &abuse{cloud: c, mine: c.things(demo, mine), foreign: c.things(other, theirs)}
}

// path of a route, with the id of the project's own thing in it.
func (a *abuse) path(route osapi.Route, ids map[string]string) string {
	parts := strings.Split(strings.TrimPrefix(route.Pattern, "/v2.0/"), "/")
	for i, part := range parts {
		switch {
		case part == "{id}" && ids[parts[i-1]] != "":
			parts[i] = ids[parts[i-1]]
		case part == "{id}" && ids[parts[0]] != "":
			parts[i] = ids[parts[0]]
		case ids[part] != "" && part[0] == '{':
			parts[i] = ids[part]
		}
	}
	return "/network/v2.0/" + strings.Join(parts, "/")
}

// caller may do what the route does.
func caller(route osapi.Route) string {
	switch route.Policy.String() {
	case osapi.Admin.String(), osapi.SystemReader.String():
		return admin
	}
	return demo
}

// send makes a request that need not succeed: but what is refused is refused in Neutron's words, whatever it was.
func (a *abuse) send(what, token, method, path, body string, headers ...string) osapi.Object {
	a.t.Helper()
	a.tried++
	var sent any
	if body != "" {
		sent = body
	}
	got := a.Do(token, method, path, sent, headers...)
	if got.Status >= 500 && got.Status != 501 {
		a.t.Errorf("%s: %s %.200s as %s: %d %.500s", what, method, path, token, got.Status, got.Text)
		return nil
	}
	if got.Status < 400 {
		return nil
	}
	inner, _ := got.Body["NeutronError"].(object)
	kind, _ := inner["type"].(string)
	message, _ := inner["message"].(string)
	if _, detailed := inner["detail"].(string); kind == "" || message == "" || !detailed || !utf8.ValidString(message) || len(message) > 4000 {
		a.t.Errorf("%s: %s %.200s: %d is not told as Neutron does: %.500s", what, method, path, got.Status, got.Text)
	}
	return object{"status": got.Status, "type": kind, "message": message}
}

// good is the route's body, with the ids of things.
func good(body string, ids map[string]string) string {
	for word, id := range ids {
		if word[0] == '$' {
			body = strings.ReplaceAll(body, strconv.Quote(word), strconv.Quote(id))
		}
	}
	return body
}

// bodiesOf are a route's good bodies, by what they are.
func bodiesOf(route osapi.Route) map[string]string {
	name := route.Method + " " + route.Pattern
	if strings.HasSuffix(route.Pattern, "/tags") && route.Method == "PUT" {
		return map[string]string{name: bodies["PUT tags"]}
	}
	found := map[string]string{}
	for key, body := range bodies {
		if key == name || strings.HasPrefix(key, name+" ") {
			found[key] = body
		}
	}
	return found
}

// Whatever is sent to whichever route, the answer is Neutron's and never a failure of ours.
func TestBadInput(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some ten thousand requests")
	}
	d := dbtest.Postgres(t) // which takes less than SQLite does
	a := abused(t, d)
	values := bad()
	for _, route := range neutron.Dialect(a.services(), d).Routes {
		name, token, path := route.Method+" "+route.Pattern, caller(route), a.path(route, a.mine)
		all := bodiesOf(route)
		if len(all) == 0 && (route.Method == "POST" || route.Method == "PUT" && !strings.HasSuffix(route.Pattern, "{tag}")) && !strings.Contains(route.Pattern, "agents") {
			all[name] = "{}"
			if !strings.Contains(name, "packet_rate") && !strings.Contains(name, "minimum_") && !strings.Contains(name, "/vpn/") { // these are not there yet
				t.Errorf("%s: a good body is missing here", name)
			}
		}
		for what, body := range all {
			body = good(body, a.mine)
			for i, text := range wrong(body) {
				a.send(fmt.Sprintf("%s: wrong body %d", what, i), token, route.Method, path, text)
			}
			for _, form := range []string{"text/plain", "application/xml", "multipart/form-data", "x", "application/json; charset=\"", "application/octet-stream"} {
				a.send(what+" as "+form, token, route.Method, path, body, "Content-Type: "+form)
			}
			by := token
			if strings.HasSuffix(what, "by an admin") {
				by = admin
			}
			for _, raw := range values {
				spots(t, body, raw, func(place, changed string) {
					a.send(fmt.Sprintf("%s: %s is %.40s", what, place, raw), by, route.Method, path, changed)
				})
			}
		}
		a.badPaths(route)
		if route.Method == "GET" {
			a.badQueries(name, token, path)
		}
	}
	t.Logf("%d requests", a.tried)
}

// badPaths puts what is no id where ids stand.
func (a *abuse) badPaths(route osapi.Route) {
	body := ""
	for _, one := range bodiesOf(route) {
		body = good(one, a.mine)
	}
	for _, part := range strings.Split(route.Pattern, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		for _, id := range []string{"%00", "a%00b", "%ff", "%ED%A0%80", "%2f", "..%2f..", "%F0%9F%98%80", "'", "*", "-1", "x%20y", strings.Repeat("x", 10000), uuid.NewString()} {
			path := a.path(osapi.Route{Pattern: strings.Replace(route.Pattern, part, "§", 1)}, a.mine)
			path = strings.Replace(path, "§", id, 1)
			a.send("the path "+path[:min(len(path), 200)], caller(route), route.Method, path, body)
		}
	}
}

// badQueries asks for pages and filters that make no sense.
func (a *abuse) badQueries(name, token, path string) {
	keys := []string{"fields"}
	if _, list, ok := strings.Cut(strings.TrimSuffix(path, "/"), "/v2.0/"); ok && !strings.Contains(list, "/") {
		keys = append(keys, "limit", "marker", "sort_key", "sort_dir", "page_reverse", "tags", "not-tags-any", "no such field")
		if all, ok := a.Do(token, "GET", path, nil).Body[strings.ReplaceAll(list, "-", "_")].([]any); ok && len(all) > 0 {
			keys = append(keys, slices.Collect(maps.Keys(all[0].(object)))...)
		}
	}
	for _, key := range keys {
		for _, value := range []string{"", "\x00", "\xff", "-1", "99999999999999999999", "ip_address='", strings.Repeat("x", 20000)} {
			a.send(fmt.Sprintf("%s by %s=%.20q", name, key, value), token, "GET", path+"?"+url.QueryEscape(key)+"="+url.QueryEscape(value), "")
		}
	}
	for _, query := range []string{"%zz=1", ";", "=", "&&&", "sort_key=id&sort_dir=asc&sort_dir=x", strings.Repeat("id=x&", 70000) + "id=x", strings.Repeat("id=x&", 6000) + "id=x"} {
		a.send(fmt.Sprintf("%s by %.40s", name, query), token, "GET", path+"?"+query, "")
	}
}

// Another project's thing is, wherever its id stands, as if there were none: the answer is that for an id of nothing.
func TestForeignIDs(t *testing.T) {
	a := abused(t, dbtest.SQLite(t))
	tried := 0
	for _, route := range neutron.Dialect(a.services(), a.db).Routes {
		if caller(route) != demo {
			continue
		}
		for what, body := range bodiesOf(route) {
			if strings.HasSuffix(what, "by an admin") {
				continue
			}
			for word := range a.mine {
				if word[0] != '$' || !strings.Contains(body, strconv.Quote(word)) || word == "$out" || word == "$outsubnet" || word == "$project" {
					continue // what everybody sees
				}
				unknown := uuid.NewString()
				say := func(id string) object {
					ids := maps.Clone(a.mine)
					ids[word] = id
					said := a.send(fmt.Sprintf("%s: %s", what, word), demo, route.Method, a.path(route, a.mine), good(body, ids))
					if said == nil {
						t.Fatalf("%s takes %s of another project, or of nobody", what, word)
					}
					said["message"] = strings.ReplaceAll(said["message"].(string), id, "ID")
					return said
				}
				if got, want := fmt.Sprint(say(a.foreign[word])), fmt.Sprint(say(unknown)); got != want {
					t.Errorf("%s tells that %s is another project's: %s, and for no thing %s", what, word, got, want)
				}
				tried++
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d places of ids", tried)
	}
}
