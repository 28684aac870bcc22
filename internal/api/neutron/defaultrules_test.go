package neutron_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// What operators say new groups begin with holds for new groups, and for those only.
func TestDefaultRules(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		const path = "/default-security-group-rules"
		rules := func(filter string) string {
			var found []string
			for _, rule := range c.call(reader, "GET", path+"?"+filter, nil, 200)["default_security_group_rules"].([]any) {
				r := rule.(object)
				found = append(found, fmt.Sprint(r["direction"], r["ethertype"], r["protocol"], r["remote_group_id"], r["used_in_default_sg"], r["used_in_non_default_sg"]))
			}
			return strings.Join(found, ", ")
		}
		// As Neutron's own begin (its migration of 2023.2).
		if got := rules(""); got != "egressIPv4<nil> <nil> true true, egressIPv6<nil> <nil> true true, ingressIPv4<nil>PARENTtrue false, ingressIPv6<nil>PARENTtrue false" {
			t.Errorf("at first: %s", got)
		}
		of := func(group object) string {
			var found []string
			for _, rule := range group["security_group_rules"].([]any) {
				r := rule.(object)
				itself := r["remote_group_id"] == group["id"]
				found = append(found, fmt.Sprint(r["direction"], r["ethertype"], r["protocol"], r["port_range_min"], itself))
			}
			slices.Sort(found) // those of a new group are of one instant
			return strings.Join(found, ", ")
		}
		old := c.post(demo, "security-groups", "security_group", object{"name": "old"})
		ssh := object{"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "used_in_default_sg": true}
		made := c.call(admin, "POST", path, object{"default_security_group_rule": ssh}, 201)["default_security_group_rule"].(object)
		c.call(admin, "POST", path, object{"default_security_group_rule": object{"direction": "ingress", "protocol": "udp", "remote_group_id": "PARENT"}}, 201)
		c.fails(admin, "POST", path, object{"default_security_group_rule": ssh}, 409, "DefaultSecurityGroupRuleExists")
		if len(made) != 12 || made["used_in_non_default_sg"] != true {
			t.Errorf("made: %v", made)
		}
		for _, id := range []string{"?direction=egress&ethertype=IPv6", "?direction=egress&ethertype=IPv4"} {
			found := c.call(admin, "GET", path+id, nil, 200)["default_security_group_rules"].([]any)[0].(object)["id"].(string)
			c.call(admin, "DELETE", path+"/"+found, nil, 204)
			c.fails(admin, "GET", path+"/"+found, nil, 404, "DefaultSecurityGroupRuleNotFound")
		}
		if got := of(c.post(demo, "security-groups", "security_group", object{"name": "new"})); got != "ingressIPv4tcp22 false, ingressIPv4udp<nil> true" {
			t.Errorf("a new group: %s", got)
		}
		if got := of(c.call(demo, "GET", "/security-groups/"+old["id"].(string), nil, 200)["security_group"].(object)); got != "egressIPv4<nil> <nil> false, egressIPv6<nil> <nil> false" {
			t.Errorf("an old group: %s", got)
		}
		theirs := c.call(other, "GET", "/security-groups?name=default", nil, 200)["security_groups"].([]any)[0].(object)
		if got := of(theirs); !strings.Contains(got, "tcp22") || strings.Contains(got, "udp") || strings.Contains(got, "egress") || !strings.Contains(got, "ingressIPv6<nil> <nil> true") {
			t.Errorf("a new default group: %s", got)
		}
		c.fails(demo, "POST", path, object{"default_security_group_rule": ssh}, 403, "PolicyNotAuthorized")
		c.fails(demo, "DELETE", path+"/"+made["id"].(string), nil, 403, "PolicyNotAuthorized")
		c.fails(admin, "PUT", path+"/"+made["id"].(string), object{"default_security_group_rule": object{"description": "d"}}, 405, "HTTPMethodNotAllowed")
		c.fails(admin, "POST", path, object{"default_security_group_rule": object{"direction": "ingress", "remote_group_id": "none"}}, 404, "SecurityGroupNotFound")
		c.fails(admin, "POST", path, object{"default_security_group_rule": object{"direction": "ingress", "security_group_id": old["id"]}}, 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/security-group-rules", object{"security_group_rule": object{"security_group_id": old["id"], "direction": "ingress", "remote_group_id": "PARENT"}}, 404, "SecurityGroupNotFound")
	})
}
