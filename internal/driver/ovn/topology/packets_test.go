package topology_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// soon is how long an answer may take that must not come.
const soon = 400 * time.Millisecond

// plugged is a machine on a port of the model.
func plugged(t *testing.T, cluster *lab.Cluster, chassis string, p *network.Port, gateway ...netip.Addr) *ovntest.Machine {
	t.Helper()
	nic := ovntest.NIC{ID: p.ID, MAC: p.MAC, MTU: 1442, Gateway: gateway}
	for _, ip := range p.FixedIPs {
		bits := 24
		if ip.Addr.Is6() {
			bits = 64
		}
		nic.Address = append(nic.Address, netip.PrefixFrom(ip.Addr, bits))
	}
	return ovntest.NewMachine(t, cluster, chassis, nic)
}

// The sample with real packets: two tenants with equal addresses, each behind a router of its own, on two chassis.
func TestPackets(t *testing.T) {
	config := ovntest.Config(t, lab.ChassisSpec{Name: "one", Gateway: true}, lab.ChassisSpec{Name: "two"})
	cluster := ovntest.StartWith(t, config)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
		complaints(t, config.Dir)
	})
	inet, err := cluster.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, cluster)
	m := &cloud{}
	m.external(public, lab.PhysicalNetwork, "203.0.113.0/24")
	gateway := netip.MustParseAddr("10.0.0.1")
	gateway6 := netip.MustParseAddr("2001:db8:1::1")
	machines := map[string]*network.Port{}
	for i, tenant := range []string{"red", "blue"} {
		n := m.network(tenant, "10.0.0.0/24", "2001:db8:1::/64")
		m.network(tenant+"2", "10.0.1.0/24")
		m.group(tenant+"-web", "in v4 tcp 80", "in v6 tcp 80")
		m.group(tenant+"-default", "out v4", "out v6", "in v4 from @"+tenant+"-default", "in v6 from @"+tenant+"-default")
		r := m.router(tenant+"-r", tenant, tenant+"2")
		m.gateway(r, public, []string{"203.0.113.10", "203.0.113.11"}[i])
		for _, id := range []string{"a", "b"} {
			p := m.port(tenant+"-"+id, n.ID, map[string]string{"a": "10.0.0.10", "b": "10.0.0.11"}[id], map[string]string{"a": "2001:db8:1::a", "b": "2001:db8:1::b"}[id])
			p.MAC = map[string]string{"a": "52:54:01:00:00:0a", "b": "52:54:01:00:00:0b"}[id] // each tenant's
			p.Groups = []string{tenant + "-default"}
			machines[p.ID] = p
		}
		far := m.port(tenant+"-far", tenant+"2", "10.0.1.10")
		far.Groups = []string{tenant + "-default"}
		machines[far.ID] = far
	}
	machines["red-n"] = m.port("red-n", "red")
	machines["red-n"].Groups = []string{"red-default"}
	machines["red-a"].Groups = append(machines["red-a"].Groups, "red-web")
	machines["red-b"].AllowedPairs = []network.AddressPair{{Addr: netip.MustParsePrefix("10.99.0.0/24")}}
	m.floating("fip", m.Routers[0], "203.0.113.20", machines["red-a"])
	m.floating("shared", m.Routers[0], "203.0.113.21", nil)
	m.Forwardings = append(m.Forwardings, &router.Forwarding{ID: "forward", FloatingIP: "shared", Protocol: "tcp",
		Outside: router.PortRange{First: 8080, Last: 8080}, Addr: netip.MustParseAddr("10.0.0.10"), Inside: router.PortRange{First: 80, Last: 80}})
	r := run(t, c, &m.Model)
	r.settled(t, c)
	at := map[string]*ovntest.Machine{}
	for id, chassis := range map[string]string{"red-a": "one", "red-b": "two", "red-n": "one", "blue-a": "two", "blue-b": "one"} {
		var gateways []netip.Addr
		if len(machines[id].FixedIPs) > 0 {
			gateways = []netip.Addr{gateway, gateway6}
		}
		at[id] = plugged(t, cluster, chassis, machines[id], gateways...)
	}
	for _, tenant := range []string{"red", "blue"} {
		at[tenant+"-far"] = plugged(t, cluster, "two", machines[tenant+"-far"], netip.MustParseAddr("10.0.1.1"))
	}
	ovntest.Sync(t, cluster)
	for id := range machines {
		ovntest.Eventually(t, id+" is said to be up", func() bool { return r.isUp(id) })
	}
	for id, machine := range at {
		for _, port := range []int{80, 81} {
			machine.Serve(t, port, id)
		}
	}
	ovntest.ServeIn(t, inet.Namespace, 80, "outside")

	t.Run("reachability", func(t *testing.T) {
		for _, want := range []struct{ from, to, answer string }{
			{"red-b", "10.0.0.10:81", "red-a"}, {"red-b", "10.0.1.10:81", "red-far"}, {"red-far", "10.0.0.11:80", "red-b"}, {"red-b", "[2001:db8:1::a]:80", "red-a"},
			{"blue-b", "10.0.0.10:80", "blue-a"}, {"blue-a", "10.0.1.10:81", "blue-far"}, {"blue-b", "[2001:db8:1::a]:81", "blue-a"},
			{"red-b", "203.0.113.1:80", "outside"}, {"red-a", "203.0.113.1:80", "outside"}, {"blue-far", "203.0.113.1:80", "outside"},
			{"blue-a", "203.0.113.20:80", "red-a"}, {"red-b", "203.0.113.20:80", "red-a"},
		} {
			if got := at[want.from].Get(t, want.to, ovntest.Patience); got != want.answer {
				t.Errorf("%s reached %q at %s, not %q", want.from, got, want.to, want.answer)
			}
		}
		if got := ovntest.GetFrom(t, inet.Namespace, "203.0.113.20:80", ovntest.Patience); got != "red-a" {
			t.Errorf("at the floating IP the Internet reached %q", got)
		}
		if got := ovntest.GetFrom(t, inet.Namespace, "203.0.113.21:8080", ovntest.Patience); got != "red-a" {
			t.Errorf("at the forwarded port the Internet reached %q", got)
		}
		if got := ovntest.GetFrom(t, inet.Namespace, "203.0.113.20:81", soon) + ovntest.GetFrom(t, inet.Namespace, "203.0.113.21:80", soon); got != "" {
			t.Errorf("at closed ports the Internet reached %q", got)
		}
		if got := at["blue-a"].Get(t, "203.0.113.20:81", soon); got != "" {
			t.Errorf("at a closed port another tenant reached %q", got)
		}
	})
	t.Run("sources", func(t *testing.T) {
		a, b := at["red-a"], at["red-b"]
		to := netip.MustParseAddrPort("10.0.0.10:80")
		send := func(mac, src, payload string) {
			b.Send(t, ovntest.UDP(mac, a.MAC, netip.MustParseAddrPort(src+":9"), to, payload))
		}
		r.do(t, func(*topology.Model) { m.Groups[0].Rules = append(m.Groups[0].Rules, openTo("red-web")) }, "securitygroup/red-web")
		r.settled(t, c)
		ovntest.Sync(t, cluster)
		nowhere := at["red-n"]
		seen := heard(t, a, []string{"the truth", "the pair"}, func() {
			send(b.MAC, "10.0.0.77", "false address")
			send("52:54:01:00:00:77", "10.0.0.11", "false MAC")
			nowhere.Send(t, ovntest.UDP(nowhere.MAC, a.MAC, netip.MustParseAddrPort("10.0.0.50:9"), to, "false, for it has no address"))
			send(b.MAC, "10.99.0.7", "the pair")
			send(b.MAC, "10.0.0.11", "the truth")
		})
		if strings.Contains(seen, "false") {
			t.Errorf("arrived: %q", seen)
		}
	})
	t.Run("dhcp and metadata", func(t *testing.T) { dhcpAndMetadata(t, cluster, r, m) })
}

// heard is what arrives at a machine while send is called again and again, until all that is awaited is among it.
func heard(t *testing.T, at *ovntest.Machine, awaited []string, send func()) string {
	t.Helper()
	var seen strings.Builder
	stop := at.Capture(t)
	ovntest.Eventually(t, strings.Join(awaited, " and ")+" arrives", func() bool {
		send()
		for _, frame := range stop() {
			seen.Write(frame)
		}
		stop = at.Capture(t)
		for _, text := range awaited {
			if !strings.Contains(seen.String(), text) {
				return false
			}
		}
		return true
	})
	stop()
	return seen.String()
}

// openTo lets any UDP into a group.
func openTo(group string) *securitygroup.Rule {
	udp := rule("in v4 udp")
	udp.ID, udp.Group = group+"-udp", group
	return udp
}

// A rule that came to the chassis before the group and the list that it names holds as soon as they come.
func TestNamedLater(t *testing.T) {
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one"})
	c := connect(t, cluster)
	m := &cloud{}
	m.network("red", "10.0.0.0/24")
	m.group("target", "out v4", "in v4 tcp 80 from @later", "in v4 tcp 81 from $later")
	m.group("source", "out v4")
	target, source := m.port("target", "red", "10.0.0.10"), m.port("source", "red", "10.0.0.11")
	target.Groups, source.Groups = []string{"target"}, []string{"source"}
	r := run(t, c, &m.Model)
	r.settled(t, c)
	at, from := plugged(t, cluster, "one", target), plugged(t, cluster, "one", source)
	ovntest.Sync(t, cluster)
	at.Serve(t, 80, "group")
	at.Serve(t, 81, "list")
	if got := from.Get(t, "10.0.0.10:80", soon) + from.Get(t, "10.0.0.10:81", soon); got != "" {
		t.Errorf("what names nothing let %q through", got)
	}
	r.do(t, func(*topology.Model) {
		m.group("later")
		source.Groups = append(source.Groups, "later")
		m.AddressGroups = append(m.AddressGroups, &securitygroup.AddressGroup{ID: "later", Addresses: prefixes("10.0.0.11/32")})
	}, "securitygroup/later", "addressgroup/later", "port/source")
	for port, want := range map[string]string{"80": "group", "81": "list"} {
		ovntest.Eventually(t, want+" holds", func() bool { return from.Get(t, "10.0.0.10:"+port, soon) == want })
	}
}

// All examples make sense to OVN's daemons.
func TestExamplesAreUnderstood(t *testing.T) {
	config := ovntest.Config(t, lab.ChassisSpec{Name: "one", Gateway: true})
	cluster := ovntest.StartWith(t, config)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
		complaints(t, config.Dir)
	})
	c := connect(t, cluster)
	for name, build := range topologies {
		for range 2 {
			if _, err := c.ApplyAll(t.Context(), build().All()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ovntest.Sync(t, cluster)
		}
	}
}

// complaints are what OVN's daemons logged about rows that they do not understand.
func complaints(t *testing.T, dir string) {
	t.Helper()
	bad := regexp.MustCompile(`\|(WARN|ERR|EMER)\|.*(pars|syntax|match|action|DHCP|invalid|unknown|not defined|duplicate)`)
	logs, err := filepath.Glob(filepath.Join(dir, "*", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs in %s (%v)", dir, err)
	}
	for _, file := range logs {
		if base := filepath.Base(file); base != "northd.log" && base != "controller.log" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			// A rule may come before the group or list that it names: TestNamedLater.
			if bad.MatchString(line) && !strings.Contains(line, "expecting address set name") {
				t.Errorf("%s: %s", filepath.Base(file), line)
			}
		}
	}
}

// A machine gets its address, and finds the metadata service on the wire, as DHCP says.
func dhcpAndMetadata(t *testing.T, cluster *lab.Cluster, r *control, m *cloud) {
	service := ovntest.NewMachine(t, cluster, "two", ovntest.NIC{ID: topology.MetadataPort("red"), MAC: topology.MetadataMAC("red"),
		Address: []netip.Prefix{netip.MustParsePrefix(topology.MetadataV4 + "/32")}})
	err := netns.Do(service.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: net.IPv4(10, 0, 0, 0), Mask: net.CIDRMask(24, 32)}, Src: net.ParseIP(topology.MetadataV4)})
	})
	if err != nil {
		t.Fatal(err)
	}
	service.Serve(t, 80, "metadata")
	var p *network.Port
	r.do(t, func(*topology.Model) {
		p = m.port("red-c", "red", "10.0.0.12")
		p.Groups = []string{"red-default"}
		p.DHCPOptions = []network.DHCPOption{{Name: "bootfile-name", Value: "pxe.0", Version: 4}, {Name: "tag:ipxe,67", Value: "http://10.0.0.1/x", Version: 4},
			{Name: "domain-name", Value: "example.org", Version: 4}, {Name: "ntp-server", Value: "10.0.0.5,10.0.0.6", Version: 4}, {Name: "150", Value: "10.0.0.7", Version: 4},
			{Name: "lease-time", Value: "600", Version: 4}, {Name: "mtu", Value: "1400", Version: 4}, {Name: "12", Value: "host", Version: 4}}
	}, "port/red-c")
	machine := ovntest.NewMachine(t, cluster, "two", ovntest.NIC{ID: p.ID, MAC: p.MAC})
	var ack *dhcpv4.DHCPv4
	err = netns.Do(machine.Namespace, func() error {
		client, err := nclient4.New("eth0", nclient4.WithRetry(20), nclient4.WithTimeout(time.Second))
		if err != nil {
			return err
		}
		defer client.Close()
		lease, err := client.Request(t.Context(), dhcpv4.WithRequestedOptions(dhcpv4.OptionInterfaceMTU, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionDomainName, dhcpv4.OptionBootfileName))
		if err == nil {
			ack = lease.ACK
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options)
	if err != nil || mtu != 1400 || !ack.YourIPAddr.Equal(net.IPv4(10, 0, 0, 12)) || ack.DomainName() != "example.org" || ack.BootFileNameOption() != "pxe.0" {
		t.Errorf("the lease is %v (%v)", ack.Summary(), err)
	}
	onWire := false
	for _, route := range ack.ClasslessStaticRoute() {
		if route.Dest.String() == topology.MetadataV4+"/32" && route.Router.IsUnspecified() {
			onWire = true
		}
	}
	if !onWire {
		t.Errorf("the metadata service is not on the wire: %v", ack.ClasslessStaticRoute())
	}
	machine.Configure(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.12/24")}, netip.MustParseAddr("10.0.0.1"))
	err = netns.Do(machine.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: net.ParseIP(topology.MetadataV4), Mask: net.CIDRMask(32, 32)}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := machine.Get(t, topology.MetadataV4+":80", ovntest.Patience); got != "metadata" {
		t.Errorf("at the metadata service the machine reached %q", got)
	}
}
