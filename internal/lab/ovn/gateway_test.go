package ovn_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
)

// route makes a router with a gateway into the external network, preferring the gateways in their order, and gives its
// uplink's name.
func route(t *testing.T, c *ovn.Cluster, network, inside, outside, nexthop string, gateways ...string) {
	t.Helper()
	ovntest.NB(t, c, "lr-add", "r",
		"--", "lrp-add", "r", "r-in", "02:00:00:00:01:01", inside,
		"--", "lsp-add", network, "to-r", "--", "lsp-set-type", "to-r", "router", "--", "lsp-set-addresses", "to-r", "router",
		"--", "lsp-set-options", "to-r", "router-port=r-in",
		"--", "ls-add", "ext",
		"--", "lsp-add", "ext", "ext-wire", "--", "lsp-set-type", "ext-wire", "localnet", "--", "lsp-set-addresses", "ext-wire", "unknown",
		"--", "lsp-set-options", "ext-wire", "network_name="+ovn.PhysicalNetwork,
		"--", "lrp-add", "r", "r-out", "02:00:00:00:02:01", outside,
		"--", "lsp-add", "ext", "ext-to-r", "--", "lsp-set-type", "ext-to-r", "router", "--", "lsp-set-addresses", "ext-to-r", "router",
		"--", "lsp-set-options", "ext-to-r", "router-port=r-out", "nat-addresses=router",
		"--", "lr-route-add", "r", "0.0.0.0/0", nexthop)
	for i, gateway := range gateways {
		ovntest.NB(t, c, "lrp-set-gateway-chassis", "r-out", gateway, []string{"30", "20", "10"}[i])
	}
}

// A floating IP is reached from the Internet and a machine reaches the Internet through its router; when the active
// gateway dies, the next takes over.
func TestFloatingIPAndGatewayFailover(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one", Gateway: true}, ovn.ChassisSpec{Name: "two", Gateway: true}, ovn.ChassisSpec{Name: "three"})
	inet, err := c.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	ovntest.NB(t, c, "ls-add", "red")
	route(t, c, "red", "10.0.0.1/24", "203.0.113.10/24", "203.0.113.1", "one", "two")
	ovntest.NB(t, c, "lr-nat-add", "r", "snat", "203.0.113.10", "10.0.0.0/24",
		"--", "lr-nat-add", "r", "dnat_and_snat", "203.0.113.20", "10.0.0.10")
	a := machine(t, c, "three", "red", "a", macA, "10.0.0.10/24", netip.MustParseAddr("10.0.0.1"))
	b := machine(t, c, "three", "red", "b", macB, "10.0.0.11/24", netip.MustParseAddr("10.0.0.1"))
	ovntest.Sync(t, c)
	a.Serve(t, 80, "floating")
	ovntest.ServeIn(t, inet.Namespace, 80, "outside")
	fromOutside := func() bool { return ovntest.GetFrom(t, inet.Namespace, "203.0.113.20:80", time.Second) == "floating" }
	fromInside := func() bool { return b.Get(t, "203.0.113.1:80", time.Second) == "outside" }
	ovntest.Eventually(t, "the Internet reaches the floating IP", fromOutside)
	ovntest.Eventually(t, "a machine without a floating IP reaches the Internet", fromInside)
	conn, err := inet.Dial(t.Context(), "tcp", "203.0.113.20:80")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	ctx, cancel := context.WithTimeout(t.Context(), ovntest.Patience)
	defer cancel()
	if err := c.PowerOff(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	// With two gateways OVN does not fail over by itself: whoever watches them takes the dead one out.
	ovntest.NB(t, c, "lrp-del-gateway-chassis", "r-out", "one")
	ovntest.Eventually(t, "the Internet reaches the floating IP through the second gateway", fromOutside)
	t.Log("the second gateway took over within", time.Since(died).Round(time.Millisecond))
	ovntest.Eventually(t, "a machine reaches the Internet through the second gateway", fromInside)

	if err := c.PowerOn(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	ovntest.NB(t, c, "lrp-set-gateway-chassis", "r-out", "one", "30")
	ovntest.Sync(t, c)
	ovntest.Eventually(t, "the Internet reaches the floating IP again through the first gateway", fromOutside)
}

// Nobody but the Internet's own namespace has its addresses.
func TestInternetIsNotTheHost(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one", Gateway: true})
	inet, err := c.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24"), netip.MustParsePrefix("2001:db8::1/64"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"203.0.113.1:0", "[2001:db8::1]:0"} {
		listener, err := netns.Listen(inet.Namespace, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		if listener, err := netns.Listen("", "tcp", address); err == nil {
			listener.Close()
			t.Errorf("the host has %s", address)
		}
	}
	if _, err := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}).Internet(t.Context()); err == nil {
		t.Error("an Internet without a gateway is accepted")
	}
}
