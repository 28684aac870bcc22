package ovn_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
)

// soon is how long an answer may take that must not come: nothing in these networks is slower.
const soon = 500 * time.Millisecond

func prefixes(text ...string) (all []netip.Prefix) {
	for _, one := range text {
		all = append(all, netip.MustParsePrefix(one))
	}
	return all
}

// addPort makes a logical port that only its own addresses may come from.
func addPort(t *testing.T, c *ovn.Cluster, network, id, mac, ip string) {
	t.Helper()
	ovntest.NB(t, c, "lsp-add", network, id, "--", "lsp-set-addresses", id, mac+" "+ip, "--", "lsp-set-port-security", id, mac+" "+ip)
}

// machine makes a logical port and a machine on it. The last byte of its MAC is that of its address.
func machine(t *testing.T, c *ovn.Cluster, chassis, network, id, mac, address string, gateway ...netip.Addr) *ovntest.Machine {
	t.Helper()
	prefix := netip.MustParsePrefix(address)
	addPort(t, c, network, id, mac, prefix.Addr().String())
	return ovntest.NewMachine(t, c, chassis, ovntest.NIC{ID: id, MAC: mac, Address: []netip.Prefix{prefix}, Gateway: gateway})
}

const (
	macA = "52:54:00:00:00:0a"
	macB = "52:54:00:00:00:0b"
	macC = "52:54:00:00:00:0c"
)

// Two tenants with the same addresses, on two chassis: each reaches its own.
func TestTenantsWithEqualAddressesAreApart(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}, ovn.ChassisSpec{Name: "two"})
	for _, tenant := range []string{"red", "blue"} {
		ovntest.NB(t, c, "ls-add", tenant)
	}
	redA := machine(t, c, "one", "red", "red-a", macA, "10.0.0.10/24")
	redB := machine(t, c, "two", "red", "red-b", macB, "10.0.0.11/24")
	blueA := machine(t, c, "two", "blue", "blue-a", macA, "10.0.0.10/24")
	blueB := machine(t, c, "one", "blue", "blue-b", macB, "10.0.0.11/24")
	machine(t, c, "one", "blue", "blue-c", macC, "10.0.0.12/24")
	ovntest.Sync(t, c)
	redB.Serve(t, 80, "red")
	blueB.Serve(t, 80, "blue")
	if got := redA.Get(t, "10.0.0.11:80", ovntest.Patience); got != "red" {
		t.Errorf("red reached %q", got)
	}
	if got := blueA.Get(t, "10.0.0.11:80", ovntest.Patience); got != "blue" {
		t.Errorf("blue reached %q", got)
	}
	// Large segments go through the tunnel whole.
	large := strings.Repeat("red", 1<<20)
	redB.Serve(t, 81, large)
	if got := redA.Get(t, "10.0.0.11:81", ovntest.Patience); got != large {
		t.Errorf("of %d bytes red received %d", len(large), len(got))
	}
	if !blueA.Ping(t, "10.0.0.12", ovntest.Patience) {
		t.Error("blue does not reach its third machine")
	}
	if redA.Ping(t, "10.0.0.12", soon) {
		t.Error("red reaches blue's third machine")
	}
}

func TestPortSecurity(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"})
	ovntest.NB(t, c, "ls-add", "red")
	a := machine(t, c, "one", "red", "a", macA, "10.0.0.10/24")
	b := machine(t, c, "one", "red", "b", macB, "10.0.0.11/24")
	ovntest.Sync(t, c)
	if !a.Ping(t, "10.0.0.11", ovntest.Patience) {
		t.Fatal("the machines do not reach each other")
	}
	from, spoofed, to := netip.MustParseAddrPort("10.0.0.10:9"), netip.MustParseAddrPort("10.0.0.99:9"), netip.MustParseAddrPort("10.0.0.11:9")
	stop := b.Capture(t)
	a.Send(t, ovntest.UDP(macA, macB, spoofed, to, "false address"))
	a.Send(t, ovntest.UDP(macC, macB, from, to, "false MAC"))
	a.Send(t, ovntest.ARPRequest(macA, spoofed.Addr(), to.Addr()))
	a.Send(t, ovntest.UDP(macA, macB, from, to, "the truth"))
	var frames [][]byte
	ovntest.Eventually(t, "the true frame arrives", func() bool {
		frames = append(frames, stop()...)
		stop = b.Capture(t)
		return strings.Contains(text(frames), "the truth")
	})
	stop()
	for _, frame := range frames {
		if s := string(frame); strings.Contains(s, "false") || strings.Contains(s, string(spoofed.Addr().AsSlice())) {
			t.Errorf("arrived: %q", s)
		}
	}
}

func text(frames [][]byte) string {
	var all strings.Builder
	for _, frame := range frames {
		all.Write(frame)
	}
	return all.String()
}

func TestDHCP(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"})
	ovntest.NB(t, c, "ls-add", "red")
	addPort(t, c, "red", "a", macA, "10.0.0.10")
	options := ovntest.NB(t, c, "--", "--id=@o", "create", "DHCP_Options", "cidr=10.0.0.0/24",
		`options:lease_time="3600"`, `options:router="10.0.0.1"`, `options:server_id="10.0.0.1"`,
		`options:server_mac="02:00:00:00:00:01"`, `options:mtu="1442"`)
	ovntest.NB(t, c, "lsp-set-dhcpv4-options", "a", options)
	a := ovntest.NewMachine(t, c, "one", ovntest.NIC{ID: "a", MAC: macA})
	ovntest.Sync(t, c)
	var lease *nclient4.Lease
	err := netns.Do(a.Namespace, func() error {
		client, err := nclient4.New("eth0", nclient4.WithRetry(10), nclient4.WithTimeout(2*time.Second))
		if err != nil {
			return err
		}
		defer client.Close()
		lease, err = client.Request(t.Context(), dhcpv4.WithRequestedOptions(dhcpv4.OptionInterfaceMTU))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, lease.ACK.Options)
	if err != nil || mtu != 1442 || !lease.ACK.YourIPAddr.Equal(net.IPv4(10, 0, 0, 10)) || !lease.ACK.Router()[0].Equal(net.IPv4(10, 0, 0, 1)) {
		t.Errorf("got the lease %v (%v)", lease.ACK, err)
	}
}

// A security group is stateful, and taking a rule away ends what it let in.
func TestSecurityGroup(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}, ovn.ChassisSpec{Name: "two"})
	ovntest.NB(t, c, "ls-add", "red")
	a := machine(t, c, "one", "red", "a", macA, "10.0.0.10/24")
	b := machine(t, c, "two", "red", "b", macB, "10.0.0.11/24")
	ovntest.NB(t, c, "pg-add", "web", "b",
		"--", "acl-add", "web", "to-lport", "1000", "outport == @web && ip", "drop",
		"--", "acl-add", "web", "from-lport", "1001", "inport == @web && ip4", "allow-related",
		"--", "acl-add", "web", "to-lport", "1002", "outport == @web && tcp.dst == 80", "allow-related")
	ovntest.Sync(t, c)
	b.Serve(t, 80, "open")
	b.Serve(t, 81, "closed")
	a.Serve(t, 81, "reply")
	if got := a.Get(t, "10.0.0.11:80", ovntest.Patience); got != "open" {
		t.Errorf("port 80 answered %q", got)
	}
	if got := a.Get(t, "10.0.0.11:81", soon); got != "" {
		t.Errorf("port 81 answered %q", got)
	}
	if got := b.Get(t, "10.0.0.10:81", ovntest.Patience); got != "reply" {
		t.Errorf("what the group's own machine asked for was answered %q", got)
	}
	ovntest.NB(t, c, "acl-del", "web", "to-lport", "1002", "outport == @web && tcp.dst == 80")
	ovntest.Sync(t, c)
	if got := a.Get(t, "10.0.0.11:80", soon); got != "" {
		t.Errorf("without its rule port 80 answered %q", got)
	}
}
