package ovn_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
)

const portsEach = 10

// cloud is that many networks with DHCP options, a security group with rules and ten ports in both, in the order in which
// they may be applied.
func cloud(networks int) (scopes []ovn.Scope, rows wants) {
	rows = wants{}
	add := func(scope string, r ...ovn.Row) {
		scopes = append(scopes, ovn.Scope(scope))
		rows[ovn.Scope(scope)] = r
	}
	for n := range networks {
		id := fmt.Sprintf("n%d", n)
		add("network/"+id, network(id), ovn.Row{ID: id, Model: &nbdb.DHCPOptions{Cidr: "10.0.0.0/24",
			Options: map[string]string{"server_id": "10.0.0.1", "server_mac": "02:00:00:00:00:01", "lease_time": "3600", "router": "10.0.0.1"}}})
		add("group/g"+id, group("g"+id), rule("ssh"+id, "g"+id), rule("http"+id, "g"+id), rule("icmp"+id, "g"+id))
	}
	for n := range networks {
		for p := range portsEach {
			r := onePort(n, p)
			add("port/"+r.ID, r)
		}
	}
	return scopes, rows
}

func onePort(n, p int) ovn.Row {
	network := fmt.Sprintf("n%d", n)
	id := fmt.Sprintf("%s-p%d", network, p)
	address := fmt.Sprintf("02:00:00:%02x:%02x:%02x 10.0.0.%d", n>>8, n&255, p, p+10)
	return ovn.Row{ID: id, In: []ovn.Ref{ovn.Switch(network), ovn.Group("g" + network)}, Model: &nbdb.LogicalSwitchPort{Name: id,
		Addresses: []string{address}, PortSecurity: []string{address}, Dhcpv4Options: new(ovn.DHCPOptions(network).UUID()),
		Options: map[string]string{"requested-chassis": "edge1"}}}
}

// BenchmarkWrite writes 1,000 networks with ten ports each, scope by scope from eight callers, and the same rows straight
// in batches of 1,000 operations without the driver. The metric is how many times as long the first takes.
func BenchmarkWrite(b *testing.B) {
	const networks = 1000
	scopes, rows := cloud(networks)
	for b.Loop() {
		nb := ovntest.Northbound(b)
		c := connect(b, ovn.Options{NB: nb.Endpoint()})
		began := time.Now()
		work := func(part []ovn.Scope, callers int) {
			next := make(chan ovn.Scope)
			var done sync.WaitGroup
			for range callers {
				done.Go(func() {
					for scope := range next {
						if _, err := c.Apply(context.Background(), scope, rows[scope]); err != nil {
							b.Errorf("%s: %v", scope, err)
						}
					}
				})
			}
			for _, scope := range part {
				next <- scope
			}
			close(next)
			done.Wait()
		}
		work(scopes[:2*networks], 8)
		work(scopes[2*networks:], 8)
		apart := time.Since(began)
		c.Close()

		nb = ovntest.Northbound(b)
		straight := straightBatches(b, nb, networks)

		nb = ovntest.Northbound(b)
		c = connect(b, ovn.Options{NB: nb.Endpoint()})
		began = time.Now()
		if _, err := c.ApplyAll(context.Background(), rows); err != nil {
			b.Fatal(err)
		}
		all := time.Since(began)
		began = time.Now()
		if n, err := c.ApplyAll(context.Background(), rows); n != 0 || err != nil {
			b.Fatal(n, err)
		}
		again := time.Since(began)
		c.Close()
		b.ReportMetric(apart.Seconds(), "s-apply")
		b.ReportMetric(straight.Seconds(), "s-straight")
		b.ReportMetric(all.Seconds(), "s-applyall")
		b.ReportMetric(again.Seconds(), "s-compare")
		b.ReportMetric(apart.Seconds()/straight.Seconds(), "ratio-apply")
		b.ReportMetric(all.Seconds()/straight.Seconds(), "ratio-applyall")
	}
}

// straightBatches writes the same rows as plain operations.
func straightBatches(b *testing.B, nb *ovntest.Database, networks int) time.Duration {
	r := dial(b, nb)
	text := func(m map[string]string) []any {
		var pairs []any
		for k, v := range m {
			pairs = append(pairs, []any{k, v})
		}
		return []any{"map", pairs}
	}
	began := time.Now()
	var ops []op
	flush := func() {
		if _, err := r.transact(ops...); err != nil {
			b.Fatal(err)
		}
		ops = nil
	}
	for n := range networks {
		id := fmt.Sprintf("n%d", n)
		var ports []any
		acl := func(i int) op {
			return op{"op": "insert", "table": "ACL", "uuid-name": fmt.Sprintf("acl%d_%d", n, i), "row": op{"priority": 1000, "direction": "to-lport",
				"action": "allow-related", "match": "outport == @g" + id + " && ip4 && tcp.dst == 22", "external_ids": text(map[string]string{"id": id})}}
		}
		ops = append(ops, op{"op": "insert", "table": "DHCP_Options", "uuid-name": "dhcp" + id, "row": op{"cidr": "10.0.0.0/24", "options": text(map[string]string{
			"server_id": "10.0.0.1", "server_mac": "02:00:00:00:00:01", "lease_time": "3600", "router": "10.0.0.1"}), "external_ids": text(map[string]string{"id": id})}},
			acl(0), acl(1), acl(2))
		for p := range portsEach {
			name := fmt.Sprintf("port%d_%d", n, p)
			ports = append(ports, []any{"named-uuid", name})
			address := fmt.Sprintf("02:00:00:%02x:%02x:%02x 10.0.0.%d", n>>8, n&255, p, p+10)
			ops = append(ops, op{"op": "insert", "table": "Logical_Switch_Port", "uuid-name": name, "row": op{"name": name, "addresses": address, "port_security": address,
				"dhcpv4_options": []any{"named-uuid", "dhcp" + id}, "options": text(map[string]string{"requested-chassis": "edge1"}),
				"external_ids": text(map[string]string{"id": name, "scope": "port/" + name, "owner": "ingot", "in": id})}})
		}
		acls := []any{"set", []any{[]any{"named-uuid", fmt.Sprintf("acl%d_0", n)}, []any{"named-uuid", fmt.Sprintf("acl%d_1", n)}, []any{"named-uuid", fmt.Sprintf("acl%d_2", n)}}}
		ops = append(ops, op{"op": "insert", "table": "Logical_Switch", "row": op{"name": id, "ports": []any{"set", ports}, "external_ids": text(map[string]string{"id": id})}},
			op{"op": "insert", "table": "Port_Group", "row": op{"name": "g" + id, "ports": []any{"set", ports}, "acls": acls, "external_ids": text(map[string]string{"id": id})}})
		if len(ops) >= 1000 {
			flush()
		}
	}
	if len(ops) > 0 {
		flush()
	}
	return time.Since(began)
}

// BenchmarkOneChange binds and unbinds one port among 10, 100 and 1,000 networks. It shall take the same in all of them.
func BenchmarkOneChange(b *testing.B) {
	for _, networks := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(networks), func(b *testing.B) {
			nb := ovntest.Northbound(b)
			c := connect(b, ovn.Options{NB: nb.Endpoint()})
			_, rows := cloud(networks)
			if _, err := c.ApplyAll(context.Background(), rows); err != nil {
				b.Fatal(err)
			}
			r := onePort(networks/2, portsEach)
			for b.Loop() {
				apply(b, c, ovn.Scope("port/"+r.ID), r)
				apply(b, c, ovn.Scope("port/"+r.ID))
			}
		})
	}
}
