package octavia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/octavia"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

// What octavia-dashboard and openstack ask of a cloud without load balancers.
func TestEmptyAndTruthful(t *testing.T) {
	s := Serve(t, octavia.Dialect())
	for _, x := range []struct {
		status                    int
		token, method, path, want string
	}{
		{200, "", "GET", "/", `"id":"v2.0"`},
		{401, "", "GET", "/v2.0/lbaas/loadbalancers", "authenti"},
		{200, Demo, "GET", "/v2.0/lbaas/loadbalancers?project_id=" + DemoProject, `{"loadbalancers":[],"loadbalancers_links":[]}`},
		{200, Demo, "GET", "/v2.0/lbaas/availabilityzones", `"availability_zones":[]`},
		{200, Demo, "GET", "/v2.0/lbaas/providers", `"providers":[]`},
		{200, Demo, "GET", "/v2.0/lbaas/quotas/" + DemoProject, `"load_balancer":0`},
		{200, Demo, "GET", "/v2.0/lbaas/quotas/defaults", `"load_balancer":0`},
		{403, Demo, "GET", "/v2.0/lbaas/quotas/" + OtherProject, "Policy"},
		{404, Demo, "GET", "/v2.0/lbaas/loadbalancers/none", `"faultstring":"Load Balancer none not found."`},
		{404, Demo, "DELETE", "/v2.0/lbaas/pools/none?cascade=True", "Pool none not found."},
		{501, Demo, "POST", "/v2.0/lbaas/loadbalancers", "no load balancers yet"},
		{403, Reader, "POST", "/v2.0/lbaas/loadbalancers", "project-member"},
		{403, Demo, "POST", "/v2.0/lbaas/flavors", "admin"},
	} {
		answer := s.Do(x.token, x.method, "/load-balancer"+x.path, nil)
		if text := strings.ReplaceAll(answer.Text, " ", ""); answer.Status != x.status || !strings.Contains(text, strings.ReplaceAll(x.want, " ", "")) {
			t.Errorf("%s: %d: %s", fmt.Sprint(x), answer.Status, answer.Text)
		}
	}
}

func TestBrokenRequests(t *testing.T) {
	d := octavia.Dialect()
	b := Broken{Server: Serve(t, d), Dialect: d, Bodies: Bodies{"*": `{"thing": {"name": "x"}}`}}
	b.Run(t)
}
