package neutron_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
)

// bodies are good requests with all fields that a body may have, by route.
var bodies = Bodies{
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
	"PUT /v2.0/subnetpools/{id}":                                  `{"subnetpool": {"name": "p", "description": "d", "prefixes": ["10.2.0.0/15"], "default_prefixlen": 26, "min_prefixlen": 24, "max_prefixlen": 28, "default_quota": 9, "is_default": false, "address_scope_id": "$scope"}}`,
	"PUT /v2.0/subnetpools/{id}/add_prefixes":                     `{"prefixes": ["10.4.0.0/16"]}`,
	"PUT /v2.0/subnetpools/{id}/remove_prefixes":                  `{"prefixes": ["10.4.0.0/16"]}`,
	"POST /v2.0/address-scopes":                                   `{"address_scope": {"name": "s", "ip_version": 4, "shared": false}}`,
	"PUT /v2.0/address-scopes/{id}":                               `{"address_scope": {"name": "s", "shared": false}}`,
	"POST /v2.0/rbac-policies":                                    `{"rbac_policy": {"object_type": "network", "object_id": "$network", "action": "access_as_shared", "target_tenant": "third"}}`,
	"PUT /v2.0/rbac-policies/{id}":                                `{"rbac_policy": {"target_tenant": "fourth"}}`,
	"POST /v2.0/security-groups":                                  `{"security_group": {"name": "g", "description": "d", "stateful": true}}`,
	"PUT /v2.0/security-groups/{id}":                              `{"security_group": {"name": "g", "description": "d", "stateful": true}}`,
	"POST /v2.0/security-group-rules":                             `{"security_group_rule": {"security_group_id": "$group", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "10.0.0.0/8", "description": "d"}}`,
	"POST /v2.0/security-group-rules of a group":                  `{"security_group_rule": {"security_group_id": "$group", "direction": "egress", "remote_group_id": "$group"}}`,
	"POST /v2.0/security-group-rules of a list":                   `{"security_group_rule": {"security_group_id": "$group", "direction": "egress", "remote_address_group_id": "$addresses"}}`,
	"POST /v2.0/default-security-group-rules":                     `{"default_security_group_rule": {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "10.0.0.0/8", "description": "d", "used_in_default_sg": true, "used_in_non_default_sg": false}}`,
	"POST /v2.0/default-security-group-rules of the group itself": `{"default_security_group_rule": {"direction": "ingress", "ethertype": "IPv6", "protocol": "icmp", "remote_group_id": "PARENT"}}`,
	"POST /v2.0/address-groups":                                   `{"address_group": {"name": "a", "description": "d", "addresses": ["10.0.0.0/8"]}}`,
	"PUT /v2.0/address-groups/{id}":                               `{"address_group": {"name": "a", "description": "d"}}`,
	"PUT /v2.0/address-groups/{id}/add_addresses":                 `{"addresses": ["10.5.0.0/16"]}`,
	"PUT /v2.0/address-groups/{id}/remove_addresses":              `{"addresses": ["10.5.0.0/16"]}`,
	"POST /v2.0/qos/policies":                                     `{"policy": {"name": "q", "description": "d", "shared": false, "is_default": false}}`,
	"PUT /v2.0/qos/policies/{id}":                                 `{"policy": {"name": "q", "description": "d", "shared": false, "is_default": false}}`,
	"POST /v2.0/qos/policies/{policy}/bandwidth_limit_rules":      `{"bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "ingress"}}`,
	"PUT /v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}":  `{"bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "egress"}}`,
	"PUT /v2.0/qos/alias_bandwidth_limit_rules/{id}":              `{"alias_bandwidth_limit_rule": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "egress"}}`,
	"POST /v2.0/qos/policies/{policy}/dscp_marking_rules":         `{"dscp_marking_rule": {"dscp_mark": 26}}`,
	"PUT /v2.0/qos/policies/{policy}/dscp_marking_rules/{id}":     `{"dscp_marking_rule": {"dscp_mark": 26}}`,
	"PUT /v2.0/qos/alias_dscp_marking_rules/{id}":                 `{"alias_dscp_marking_rule": {"dscp_mark": 26}}`,
	"POST /v2.0/trunks":                                           `{"trunk": {"port_id": "$free", "name": "t", "description": "d", "admin_state_up": true, "sub_ports": [{"port_id": "$child", "segmentation_type": "vlan", "segmentation_id": 5}]}}`,
	"PUT /v2.0/trunks/{id}":                                       `{"trunk": {"name": "t", "description": "d", "admin_state_up": true}}`,
	"PUT /v2.0/trunks/{id}/add_subports":                          `{"sub_ports": [{"port_id": "$child", "segmentation_type": "vlan", "segmentation_id": 6}]}`,
	"PUT /v2.0/trunks/{id}/remove_subports":                       `{"sub_ports": [{"port_id": "$child"}]}`,
	"PUT /v2.0/quotas/{project}":                                  `{"quota": {"network": 10, "port": -1}}`,
}

// things are the ids of one thing of each kind, by the word that stands for it in bodies, and by the first part of its path.
func (c *cloud) things(token string, l layout) Things {
	c.t.Helper()
	g := c.guards(token)
	id := func(o object) string { return o["id"].(string) }
	ids := Things{
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
	ids["policies"] = ids["qos"]
	ids["floatingips"] = id(c.floatingIP(token, l, nil))
	forwarding := object{"port_forwarding": object{"internal_port_id": l.port, "internal_port": 80, "external_port": 80, "protocol": "tcp"}}
	ids["{forwarding}"] = id(c.call(token, "POST", "/floatingips/"+ids["floatingips"]+"/port_forwardings", forwarding, 201)["port_forwarding"].(object))
	mark := object{"dscp_marking_rule": object{"dscp_mark": 26}}
	ids["dscp_marking_rules"] = id(c.call(admin, "POST", "/qos/policies/"+g.ids["qos"]+"/dscp_marking_rules", mark, 201)["dscp_marking_rule"].(object))
	ids["alias_dscp_marking_rules"] = ids["dscp_marking_rules"]
	return ids
}

// unlimited is a cloud in which no project has limits.
func unlimited(t *testing.T, d *db.DB) *cloud {
	c := boot(t, d)
	limits := network.Limits{}
	for resource := range network.DefaultLimits() {
		limits[resource] = network.Unlimited
	}
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for _, project := range projects {
			if err := c.networks.SetLimits(t.Context(), tx, project, limits); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told finds what is wrong with how a refusal is told: every one has a type, a message and a detail.
func told(a Answer) error {
	inner, _ := a.Body["NeutronError"].(object)
	kind, _ := inner["type"].(string)
	message, _ := inner["message"].(string)
	if _, detailed := inner["detail"].(string); kind == "" || message == "" || !detailed || !utf8.ValidString(message) || len(message) > 4000 {
		return errors.New("this is not told as Neutron does")
	}
	return nil
}

func TestBrokenRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some thousand requests")
	}
	d := dbtest.Postgres(t) // which takes less than SQLite does
	c := unlimited(t, d)
	dialect := neutron.Dialect(c.services(), d)
	b := Broken{Server: c.Server, Dialect: dialect, Things: c.things(demo, c.joined(demo)), Bodies: complete(dialect.Routes), Told: told, Least: 200}
	b.Run(t)
}

func TestStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some thousand requests")
	}
	d := dbtest.SQLite(t)
	c := unlimited(t, d)
	dialect := neutron.Dialect(c.services(), d)
	theirs, mine := c.joined(other), c.joined(demo)
	foreign := c.things(other, theirs)
	delete(foreign, "$out") // what everybody sees
	delete(foreign, "$outsubnet")
	s := Strangers{Server: c.Server, Dialect: dialect, Mine: c.things(demo, mine), Foreign: foreign, Bodies: complete(dialect.Routes), Least: 500}
	s.Run(t)
}

// complete are the bodies, with one for the tags of each kind of things.
func complete(routes []osapi.Route) Bodies {
	all := maps.Clone(bodies)
	for _, route := range routes {
		switch name := route.Method + " " + route.Pattern; {
		case strings.HasSuffix(name, "/tags"):
			all[name] = `{"tags": ["red", "blue"]}`
		case strings.HasSuffix(name, "/{tag}"):
			all[name] = ""
		case strings.Contains(name, "/vpn/") || strings.Contains(name, "minimum_") || strings.Contains(name, "packet_rate"):
			all[name] = `{}` // not there yet
		}
	}
	return all
}
