package neutron_test

import (
	"fmt"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
)

const (
	portsEach = 10  // of a network
	atOnce    = 100 // things that one request makes
)

// crowd makes networks of demo's with a subnet and ports each, by bulk requests, and gives their ids and those of the ports.
func (c *cloud) crowd(networks int) (nets, ports []string) {
	c.t.Helper()
	err := c.db.Tx(c.t.Context(), func(tx *db.Tx) error {
		return c.networks.SetLimits(c.t.Context(), tx, demoProject, network.Limits{"network": network.Unlimited, "subnet": network.Unlimited, "port": network.Unlimited})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	bulk := func(kind string, wanted []object) (ids []string) {
		for len(wanted) > 0 {
			some := wanted[:min(atOnce, len(wanted))]
			for _, o := range c.call(demo, "POST", "/"+kind, object{kind: some}, 201)[kind].([]any) {
				ids = append(ids, o.(object)["id"].(string))
			}
			wanted = wanted[len(some):]
		}
		return ids
	}
	var wanted, subnets, plugs []object
	for i := range networks {
		wanted = append(wanted, object{"name": fmt.Sprint("n", i)})
	}
	nets = bulk("networks", wanted)
	for _, id := range nets {
		subnets = append(subnets, object{"network_id": id, "ip_version": 4, "cidr": "10.1.0.0/24"})
		for i := range portsEach {
			plugs = append(plugs, object{"network_id": id, "name": fmt.Sprint("p", i)})
		}
	}
	bulk("subnets", subnets)
	return nets, bulk("ports", plugs)
}

// What one request costs beside 10 and beside 1,000 networks: it should be the same.
func BenchmarkOneChange(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *db.DB{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		for _, networks := range []int{10, 1000} {
			b.Run(fmt.Sprintf("%s/networks=%d", engine, networks), func(b *testing.B) {
				c := boot(b, open(b))
				nets, ports := c.crowd(networks)
				port := ports[len(ports)/2]
				one := func(name string, f func(i int)) {
					b.Run(name, func(b *testing.B) {
						for i := range b.N {
							f(i)
						}
					})
				}
				one("rename-port", func(i int) {
					c.call(demo, "PUT", "/ports/"+port, object{"port": object{"name": fmt.Sprint(i)}}, 200)
				})
				one("port-comes-and-goes", func(i int) {
					made := c.call(demo, "POST", "/ports", object{"port": object{"network_id": nets[i%len(nets)]}}, 201)["port"].(object)
					c.call(demo, "DELETE", "/ports/"+made["id"].(string), nil, 204)
				})
				one("network-comes-and-goes", func(int) {
					made := c.call(demo, "POST", "/networks", object{"network": object{}}, 201)["network"].(object)
					c.call(demo, "POST", "/subnets", object{"subnet": object{"network_id": made["id"], "ip_version": 4, "cidr": "10.1.0.0/24"}}, 201)
					c.call(demo, "DELETE", "/networks/"+made["id"].(string), nil, 204)
				})
				one("resize-network", func(i int) {
					c.call(demo, "PUT", "/networks/"+nets[0], object{"network": object{"mtu": 1300 + i%2}}, 200)
				})
				one("rule-comes-and-goes", func(int) {
					group := c.call(demo, "GET", "/security-groups?name=default", nil, 200)["security_groups"].([]any)[0].(object)["id"]
					made := c.call(demo, "POST", "/security-group-rules", object{"security_group_rule": object{"security_group_id": group, "direction": "ingress", "protocol": "tcp"}}, 201)
					c.call(demo, "DELETE", "/security-group-rules/"+made["security_group_rule"].(object)["id"].(string), nil, 204)
				})
				one("show-port", func(i int) { c.call(demo, "GET", "/ports/"+ports[i%len(ports)], nil, 200) })
				one("show-network", func(i int) { c.call(demo, "GET", "/networks/"+nets[i%len(nets)], nil, 200) })
				one("ports-of-a-network", func(i int) { c.call(demo, "GET", "/ports?network_id="+nets[i%len(nets)], nil, 200) })
				one("ports-by-subnet", func(i int) {
					c.call(demo, "GET", "/ports?network_id="+nets[i%len(nets)]+"&fixed_ips=ip_address%3D10.1.0.9", nil, 200)
				})
				one("network-by-name", func(i int) { c.call(demo, "GET", "/networks?name=n5", nil, 200) })
				one("page-of-ports", func(int) { c.call(demo, "GET", "/ports?limit=20", nil, 200) })
				one("page-of-networks", func(int) { c.call(demo, "GET", "/networks?limit=20", nil, 200) })
			})
		}
	}
}

// BenchmarkCrowd makes 1,000 networks with 10 ports each, all in the default group.
func BenchmarkCrowd(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *db.DB{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		for _, networks := range []int{100, 1000} {
			b.Run(fmt.Sprintf("%s/networks=%d", engine, networks), func(b *testing.B) {
				for range b.N {
					boot(b, open(b)).crowd(networks)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*networks*(2+portsEach)), "µs/thing")
			})
		}
	}
}
