package topology_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/network"
)

// databases gives a client of an OVN without chassis.
func databases(t testing.TB) (*ovntest.Database, *ovn.Client) {
	t.Helper()
	nb, sb := ovntest.Northbound(t), ovntest.Southbound(t)
	c, err := ovn.Connect(t.Context(), ovn.Options{NB: nb.Endpoint(), SB: sb.Endpoint(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return nb, c
}

// What Reader promises for a scope is enough: the rows are those of the whole model.
func TestScopesAreEnough(t *testing.T) {
	for name, build := range topologies {
		m := build()
		r := &memory{m: m}
		for scope, want := range m.All() {
			if scope == topology.Gateways {
				continue
			}
			part, err := r.Scope(t.Context(), scope)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, part.Rows(scope)); diff != "" {
				t.Errorf("%s: %s: %s", name, scope, diff)
			}
		}
	}
}

// All the examples are written by the loop, drift is mended, a lost database is filled again, and what the model does not have
// any more goes.
func TestOVNFollowsTheModel(t *testing.T) {
	for name, build := range topologies {
		t.Run(name, func(t *testing.T) {
			nb, c := databases(t)
			m := build()
			r := run(t, c, m)
			r.settled(t, c)

			for _, table := range []string{"Logical_Switch", "Port_Group", "Logical_Router"} {
				nb.Control("ovn-nbctl", "--all", "destroy", table)
			}
			r.loop.Look()
			r.settled(t, c)

			nb.Kill()
			nb.Wipe()
			nb.Start()
			r.settled(t, c)

			r.change(func(m *topology.Model) { *m = topology.Model{} })
			r.loop.Look()
			r.settled(t, c)
			if left := nb.Control("ovn-nbctl", "--bare", "--columns=name", "list", "Logical_Switch"); left != "" {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// A NIC goes from quarantine to a tenant's network and back as one row, which is never away.
func TestNICMovesAsOneRow(t *testing.T) {
	nb, c := databases(t)
	m := quarantine()
	cloud := &cloud{Model: *m}
	cloud.network("red", "10.0.0.0/24")
	p := cloud.port("p", "red", "10.0.0.10")
	r := run(t, c, &cloud.Model)
	r.settled(t, c)
	edge := network.Edge{Kind: network.EdgeOVS, Interface: "m1-nic0"}
	row := ovn.Port("ovs/m1-nic0").UUID()
	switchOf := func() string {
		return nb.Control("ovn-nbctl", "--bare", "--columns=name", "find", "Logical_Switch", "ports{>=}"+row)
	}
	// Nobody but ovn-northd, which does not run, would set it again if the row were made anew.
	nb.Control("ovn-nbctl", "set", "Logical_Switch_Port", "m1-nic0", "up=true")
	nic := m.NICs[0]
	for range 3 {
		r.do(t, func(m *topology.Model) {
			p.Edge = edge
			m.NICs = slices.DeleteFunc(m.NICs, func(n *topology.NIC) bool { return n == nic })
		}, "port/p", "nic/nic0")
		r.settled(t, c)
		if got := switchOf(); got != "red" {
			t.Fatalf("a bound NIC is on %q", got)
		}
		r.do(t, func(m *topology.Model) { p.Edge = network.Edge{}; m.NICs = append(m.NICs, nic) }, "port/p", "nic/nic0")
		r.settled(t, c)
		if got := switchOf(); got != "quarantine" {
			t.Fatalf("a NIC that was given back is on %q", got)
		}
	}
	if up, err := c.PortUp("ovs/m1-nic0"); !up || err != nil {
		t.Errorf("the row was away meanwhile (%v)", err)
	}
}

// Subports follow their parent when it is bound.
func TestSubportsFollowTheirParent(t *testing.T) {
	nb, c := databases(t)
	m := edges()
	r := run(t, c, m)
	r.settled(t, c)
	parentOf := func(port string) string {
		return nb.Control("ovn-nbctl", "--bare", "--columns=parent_name", "find", "Logical_Switch_Port", "name="+port)
	}
	if got := parentOf("sub-of-unbound"); got != "unbound" {
		t.Errorf("before: %q", got)
	}
	r.do(t, func(m *topology.Model) {
		for _, p := range m.Ports {
			if p.ID == "unbound" {
				p.Edge = network.Edge{Kind: network.EdgeOVS, Interface: "m9-nic0"}
			}
		}
	}, "port/unbound")
	r.settled(t, c)
	if got := parentOf("sub-of-unbound"); got != "m9-nic0" {
		t.Errorf("after: %q", got)
	}
}
