package ovn_test

import (
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
)

// Two servers behind a plain VLAN switch are on different networks, with all that a port has; what changes a server's
// chassis is the child port's parent and the VLAN's uplink.
func TestServersBehindAPlainSwitch(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}, ovn.ChassisSpec{Name: "two"}, ovn.ChassisSpec{Name: "three"})
	tor, err := c.ToR(t.Context(), "rack-one-top")
	if err != nil {
		t.Fatal(err)
	}
	ovntest.NB(t, c, "ls-add", "red", "--", "ls-add", "blue", "--", "ls-add", "trunks")
	for _, chassis := range []string{"one", "two"} {
		ovntest.NB(t, c, "lsp-add", "trunks", "trunk-"+chassis)
		if err := tor.Uplink(t.Context(), chassis, "trunk-"+chassis); err != nil {
			t.Fatal(err)
		}
	}
	addChild := func(network, id, mac, ip, tag string) {
		ovntest.NB(t, c, "lsp-add", network, id, "trunk-one", tag, "--", "lsp-set-addresses", id, mac+" "+ip, "--", "lsp-set-port-security", id, mac+" "+ip)
	}
	addChild("red", "s1", macA, "10.0.0.10", "101")
	addChild("blue", "s2", macB, "10.0.0.11", "102")
	s1 := ovntest.NewMachineOnToR(t, tor, 101, "one", ovntest.NIC{ID: "s1", MAC: macA, Address: prefixes("10.0.0.10/24")})
	s2 := ovntest.NewMachineOnToR(t, tor, 102, "one", ovntest.NIC{ID: "s2", MAC: macB, Address: prefixes("10.0.0.11/24")})
	red := machine(t, c, "three", "red", "r", macC, "10.0.0.12/24")
	ovntest.Sync(t, c)
	red.Serve(t, 80, "red")
	if got := s1.Get(t, "10.0.0.12:80", ovntest.Patience); got != "red" {
		t.Errorf("the first server reached %q", got)
	}
	if s2.Ping(t, "10.0.0.12", soon) || s1.Ping(t, "10.0.0.11", soon) {
		t.Error("a server reaches another network through the switch")
	}

	// A change of network is a change in OVN only.
	ovntest.NB(t, c, "lsp-del", "s2")
	addChild("red", "s2-red", macB, "10.0.0.11", "102")
	ovntest.Sync(t, c)
	if !s2.Ping(t, "10.0.0.12", ovntest.Patience) {
		t.Error("the second server does not reach its new network")
	}

	// The first chassis dies.
	if err := c.PowerOff(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	moved := time.Now()
	ovntest.NB(t, c, "set", "Logical_Switch_Port", "s1", "parent_name=trunk-two")
	if err := tor.Port(t.Context(), s1.Cable, 101, "two"); err != nil {
		t.Fatal(err)
	}
	if got := s1.Get(t, "10.0.0.12:80", ovntest.Patience); got != "red" {
		t.Errorf("through the second chassis the first server reached %q", got)
	}
	t.Log("moved to the second chassis within", time.Since(moved).Round(time.Millisecond))
}

func TestPortsOfAPlainSwitch(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"})
	tor, err := c.ToR(t.Context(), "top")
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.PortTap(t.Context(), "m0n0", 100, "one"); err == nil {
		t.Error("a port without an uplink is accepted")
	}
	if err := tor.Uplink(t.Context(), "one", "trunk"); err != nil {
		t.Fatal(err)
	}
	for vlan, fine := range map[uint16]bool{0: false, 1: true, 100: true, 4094: true, 4095: false} {
		if err := tor.PortTap(t.Context(), "m0n0", vlan, "one"); (err == nil) != fine {
			t.Errorf("VLAN %d: %v", vlan, err)
		}
	}
	if err := tor.Uplink(t.Context(), "nowhere", "trunk"); err == nil {
		t.Error("an uplink to no chassis is accepted")
	}
	if _, err := c.ToR(t.Context(), "../x"); err == nil {
		t.Error("a switch with a slash in its name is accepted")
	}
}
