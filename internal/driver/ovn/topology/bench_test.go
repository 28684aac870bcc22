package topology_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// onePort is a Reader of a single port, as a database gives it: at a cost that does not depend on the others.
type onePort struct{ m topology.Model }

func (r *onePort) Scope(context.Context, ovn.Scope) (*topology.Model, error) { return &r.m, nil }
func (r *onePort) Everything(context.Context) (*topology.Model, error)       { return &r.m, nil }
func (r *onePort) Holder(context.Context, network.Edge) (ovn.Scope, error)   { return "", nil }

// BenchmarkOneChange carries out a change of one port's security group among 10, 100 and 1,000 networks with ten ports each. It
// shall take the same in all of them.
func BenchmarkOneChange(b *testing.B) {
	for _, networks := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(networks), func(b *testing.B) {
			_, c := databases(b)
			m := &cloud{}
			for n := range networks {
				net := &network.Network{Meta: network.Meta{ID: fmt.Sprint("n", n)}, AdminUp: true, MTU: 1442}
				m.Networks = append(m.Networks, net)
				s := m.subnet(net, "10.0.0.0/24")
				for _, group := range []string{"a", "b"} {
					m.group(net.ID+group, "out v4", "in v4 tcp 22", "in v4 from @"+net.ID+group)
				}
				for k := range 10 {
					p := &network.Port{Meta: network.Meta{ID: fmt.Sprintf("%s-%d", net.ID, k)}, Network: net.ID, AdminUp: true, PortSecurity: true,
						MAC: fmt.Sprintf("52:54:00:%02x:%02x:%02x", n>>8, n&255, k), Groups: []string{net.ID + "a"}}
					p.FixedIPs = []network.FixedIP{{Subnet: s.ID, Addr: addrs(fmt.Sprintf("10.0.0.%d", 10+k))[0]}}
					m.Ports = append(m.Ports, p)
				}
			}
			if _, err := c.ApplyAll(context.Background(), m.All()); err != nil {
				b.Fatal(err)
			}
			p := m.Ports[len(m.Ports)/2]
			reader := &onePort{topology.Model{Ports: []*network.Port{p}, Networks: []*network.Network{m.networkByID(p.Network)},
				Subnets: []*network.Subnet{m.Subnets[slices.IndexFunc(m.Subnets, func(s *network.Subnet) bool { return s.Network == p.Network })]}}}
			r := topology.New(topology.Options{OVN: c, Reader: reader, Log: slog.New(slog.DiscardHandler)})
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				p.Groups = []string{p.Network + []string{"b", "a"}[i%2]}
				began := time.Now()
				if err := r.Work(context.Background(), "port/"+p.ID); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			b.ReportMetric(median(times), "ms-median")
		})
	}
}

// BenchmarkPortUp makes a port for a NIC that is plugged in, until Up is told: marked, compiled, applied, carried by OVN's
// daemons to the chassis and back.
func BenchmarkPortUp(b *testing.B) {
	cluster := ovntest.Start(b, lab.ChassisSpec{Name: "one"})
	c := connect(b, cluster)
	m := &cloud{}
	m.network("red", "10.0.0.0/24")
	m.Groups = append(m.Groups, &securitygroup.Group{ID: "open", Stateful: true, Rules: []*securitygroup.Rule{rule("out v4")}})
	m.Groups[0].Rules[0].ID = "rule"
	r := run(b, c, &m.Model)
	r.settled(b, c)
	ovntest.NewMachine(b, cluster, "one", ovntest.NIC{ID: "nic0"})
	ovntest.Sync(b, cluster)
	var times []time.Duration
	for b.Loop() {
		p := m.port("p", "red", "10.0.0.10")
		p.Groups, p.Edge = []string{"open"}, network.Edge{Kind: network.EdgeOVS, Interface: "nic0"}
		m.Ports = m.Ports[:0]
		began := time.Now()
		r.do(b, func(*topology.Model) { m.Ports = append(m.Ports, p) }, "port/p")
		for !r.isUp("p") {
			time.Sleep(time.Millisecond)
		}
		times = append(times, time.Since(began))
		r.do(b, func(*topology.Model) { m.Ports = m.Ports[:0] }, "port/p")
		for r.isUp("p") {
			time.Sleep(time.Millisecond)
		}
		ovntest.Sync(b, cluster)
	}
	b.ReportMetric(median(times), "ms-median")
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Microseconds()) / 1000
}

func (c *cloud) networkByID(id string) *network.Network {
	return c.Networks[slices.IndexFunc(c.Networks, func(n *network.Network) bool { return n.ID == id })]
}
