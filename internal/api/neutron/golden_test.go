package neutron_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// The keys that are optional depend on who asks, on the kind of network, or on a service that is not there yet.
var shape = osapitest.Shape{Optional: []string{
	"standard_attr_id", "belongs_to_default_sg", // the number of a row of Neutron's database; a field that Zed has not got
	"is_default", "endpoint_group", "vpnservice", "ipsec_site_connection", "ipsecpolicy", "ikepolicy", "provider:*", "binding:*",
}}

// The recorded answers of a real Neutron (Zed): ours have the same status, the same keys and the same types.
func TestGolden(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	port := c.port(demo, object{"name": "n", "dns_name": "n"})["id"].(string)
	own := c.make(demo, "network", nil)["id"].(string)
	l := c.joined(demo)
	_, second := c.newNetwork(demo, "10.9.0.0/24", false)
	ids := map[string]string{
		"networks": c.net.ID, "subnets": c.subnet, "ports": port, "quotas": demoProject, "routers": l.router, "floatingips": c.floatingIP(demo, l, nil)["id"].(string),
		"security-groups": c.make(demo, "security_group", object{"name": "recorded"})["id"].(string),
	}
	bodies := map[string]any{
		"POST_v2.0_ports":      object{"port": object{"name": "cliport", "network_id": c.net.ID, "admin_state_up": true}},
		"POST_v2.0_networks":   object{"network": object{"admin_state_up": true, "name": "clinet"}},
		"POST_v2.0_subnets":    object{"subnet": object{"network_id": own, "name": "hzsub2", "cidr": "10.10.0.0/24", "ip_version": 4, "gateway_ip": "10.10.0.1", "enable_dhcp": true}},
		"PUT_v2.0_ports_ID":    object{"port": object{"security_groups": []string{}}},
		"PUT_v2.0_networks_ID": object{"network": object{"name": "hznet2", "admin_state_up": true}},
		"PUT_v2.0_quotas_ID":   object{"quota": object{"floatingip": 50, "port": -1, "router": 10, "subnet": 1000, "network": 1000, "security_group_rule": 10000, "security_group": 1000}},

		"POST_v2.0_routers":                        object{"router": object{"name": "hzrouter", "admin_state_up": true, "external_gateway_info": object{"network_id": l.out}}},
		"PUT_v2.0_routers_ID":                      object{"router": object{"name": "hzrouter2", "admin_state_up": true}},
		"PUT_v2.0_routers_ID_add_router_interface": object{"subnet_id": second},
		"POST_v2.0_floatingips":                    object{"floatingip": object{"floating_network_id": l.out, "tenant_id": demoProject}},
		"PUT_v2.0_floatingips_ID":                  object{"floatingip": object{"port_id": l.port}},
	}
	bodies["POST_v2.0_security-groups"] = object{"security_group": object{"name": "clisg", "description": "clisg"}}
	bodies["POST_v2.0_security-group-rules"] = object{"security_group_rule": object{
		"security_group_id": ids["security-groups"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
		"remote_ip_prefix": "0.0.0.0/0", "remote_group_id": nil, "description": "",
	}}
	admins := map[string]bool{"PUT_v2.0_networks_ID": true} // the network is not the tenant's here
	for _, recorded := range osapitest.Recordings(t, 20) {
		name := recorded.Name
		t.Run(name, func(t *testing.T) {
			token := recorded.Caller
			if admins[name] {
				token = admin
			}
			parts := strings.Split(recorded.Request.Path, "/")
			for i := 3; i < len(parts); i++ {
				if id := ids[parts[i-1]]; id != "" {
					parts[i] = id
				}
			}
			path := "/network" + strings.Join(parts, "/")
			if recorded.Request.Query != "" && !strings.Contains(recorded.Request.Query, "=5c17c869") { // the recording's project
				path += "?" + recorded.Request.Query
			}
			shape.Check(t, recorded, c.Do(token, recorded.Request.Method, path, bodies[name]))
		})
	}
}
