package topology_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
)

// Each of OVN's daemons is killed while the model changes, and the control plane is stopped in the middle of a change: what was
// changed comes to be.
func TestFaults(t *testing.T) {
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one"}, lab.ChassisSpec{Name: "two"})
	c := connect(t, cluster)
	m := &cloud{}
	m.network("red", "10.0.0.0/24")
	m.group("open", "out v4", "in v4")
	a, b := m.port("a", "red", "10.0.0.10"), m.port("b", "red", "10.0.0.11")
	a.Groups, b.Groups = []string{"open"}, []string{"open"}
	r := run(t, c, &m.Model)
	r.settled(t, c)
	machineA, machineB := plugged(t, cluster, "one", a), plugged(t, cluster, "two", b)
	ovntest.Sync(t, cluster)
	machineB.Serve(t, 80, "b")
	reaches := func(want bool) func() bool {
		return func() bool { return (machineA.Get(t, "10.0.0.11:80", 2*soon) == "b") == want }
	}
	ovntest.Eventually(t, "the machines meet", reaches(true))
	for i, daemon := range []string{"northd", "nb", "sb", "one/controller", "two/vswitchd"} {
		began := time.Now()
		if err := cluster.Kill(t.Context(), daemon); err != nil {
			t.Fatal(err)
		}
		extra := fmt.Sprintf("extra%d", i)
		r.do(t, func(*topology.Model) {
			b.Groups = nil
			m.port(extra, "red", fmt.Sprintf("10.0.0.%d", 20+i))
		}, "port/b", topology.PortKind.Of(extra))
		r.settled(t, c)
		ovntest.Eventually(t, daemon+" killed: what was revoked is", reaches(false))
		r.do(t, func(*topology.Model) { b.Groups = []string{"open"} }, "port/b")
		ovntest.Eventually(t, daemon+" killed: what was granted is", reaches(true))
		t.Logf("%s killed: twice changed and carried out within %v", daemon, time.Since(began).Round(10*time.Millisecond))
	}
	r.do(t, func(*topology.Model) { b.Groups = nil }, "port/b")
	r.stop() // perhaps before, perhaps after
	second := run(t, c, &m.Model)
	second.settled(t, c)
	ovntest.Eventually(t, "the next control plane has revoked it", reaches(false))
}

// With two gateways OVN waits for a dead one for ever; the reconciler takes it out.
func TestGatewayFailover(t *testing.T) {
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one", Gateway: true}, lab.ChassisSpec{Name: "two", Gateway: true})
	inet, err := cluster.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, cluster)
	m := &cloud{}
	m.external(public, lab.PhysicalNetwork, "203.0.113.0/24")
	m.network("red", "10.0.0.0/24")
	m.group("open", "out v4", "in v4")
	lr := m.router("r", "red")
	m.gateway(lr, public, "203.0.113.10")
	a := m.port("a", "red", "10.0.0.10")
	a.Groups = []string{"open"}
	m.floating("fip", lr, "203.0.113.20", a)
	r := run(t, c, &m.Model)
	r.settled(t, c)
	first := ""
	ovntest.Eventually(t, "the gateway is somewhere", func() bool { first, err = c.Gateway("lrp-r-gw"); return first != "" && err == nil })
	second := map[string]string{"one": "two", "two": "one"}[first]
	machine := plugged(t, cluster, second, a, netip.MustParseAddr("10.0.0.1"))
	machine.Serve(t, 80, "a")
	reached := func() bool { return ovntest.GetFrom(t, inet.Namespace, "203.0.113.20:80", time.Second) == "a" }
	ovntest.Eventually(t, "the floating IP is reached", reached)
	if err := cluster.PowerOff(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	ovntest.Eventually(t, "the floating IP is reached through the second gateway", reached)
	t.Log("failed over within", time.Since(died).Round(10*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), ovntest.Patience)
	defer cancel()
	if err := cluster.PowerOn(ctx, first); err != nil {
		t.Fatal(err)
	}
	ovntest.Eventually(t, "the first one has it again", func() bool { at, err := c.Gateway("lrp-r-gw"); return at == first && err == nil })
	ovntest.Eventually(t, "the floating IP is reached through it", reached)
}
