package topology_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/network"
)

// Machines in quarantine, one at Open vSwitch and one behind a plain switch, meet the services and nobody else; and go to a
// tenant's network and back without anything but OVN's rows being touched.
func TestQuarantine(t *testing.T) {
	config := ovntest.Config(t, lab.ChassisSpec{Name: "one"}, lab.ChassisSpec{Name: "two"})
	cluster := ovntest.StartWith(t, config)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
		complaints(t, config.Dir)
	})
	tor, err := cluster.ToR(t.Context(), "rack1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Uplink(t.Context(), "one", "rack1-up"); err != nil {
		t.Fatal(err)
	}
	c := connect(t, cluster)
	m := &cloud{}
	m.Services = &topology.Services{MAC: "02:00:00:00:aa:01", Addrs: addrs("172.31.0.1")}
	m.Uplinks = []string{"rack1-up"}
	m.NICs = []*topology.NIC{
		{ID: "nic0", MAC: "52:54:00:00:00:01", Addr: netip.MustParseAddr("172.31.0.10"), Edge: network.Edge{Kind: network.EdgeOVS, Interface: "m1-nic0"}},
		{ID: "nic1", MAC: "52:54:00:00:00:02", Addr: netip.MustParseAddr("172.31.0.11"), Edge: network.Edge{Kind: network.EdgeTrunk, Interface: "rack1-up", VLAN: 102}},
	}
	m.network("red", "10.0.0.0/24")
	m.group("open", "out v4", "in v4")
	r := run(t, c, &m.Model)
	r.settled(t, c)
	prefix := func(a string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(a + "/24")} }
	services := ovntest.NewMachine(t, cluster, "two", ovntest.NIC{ID: topology.ServicesPort, MAC: m.Services.MAC, Address: prefix("172.31.0.1")})
	a := ovntest.NewMachine(t, cluster, "two", ovntest.NIC{ID: "m1-nic0", MAC: m.NICs[0].MAC, Address: prefix("172.31.0.10")})
	b := ovntest.NewMachineOnToR(t, tor, 102, "one", ovntest.NIC{ID: "m2-nic0", MAC: m.NICs[1].MAC, Address: prefix("172.31.0.11")})
	ovntest.Sync(t, cluster)
	services.Serve(t, 80, "services")
	a.Serve(t, 80, "a")
	b.Serve(t, 80, "b")
	meet := func() {
		t.Helper()
		for _, machine := range []*ovntest.Machine{a, b} {
			if got := machine.Get(t, "172.31.0.1:80", ovntest.Patience); got != "services" {
				t.Errorf("%s reached %q", machine.ID, got)
			}
		}
	}
	meet()
	if got := services.Get(t, "172.31.0.11:80", ovntest.Patience); got != "b" {
		t.Errorf("the services reached %q", got)
	}
	if got := a.Get(t, "172.31.0.11:80", soon) + b.Get(t, "172.31.0.10:80", soon); got != "" {
		t.Errorf("machines in quarantine reached each other: %q", got)
	}
	// Frames straight to the other, to all, and with false sources; and one to the services, which must arrive.
	const everybody = "ff:ff:ff:ff:ff:ff"
	from, other, service := netip.MustParseAddrPort("172.31.0.10:9"), netip.MustParseAddrPort("172.31.0.11:9"), netip.MustParseAddrPort("172.31.0.1:9")
	send := func() {
		a.Send(t, ovntest.UDP(a.MAC, b.MAC, from, other, "straight"))
		a.Send(t, ovntest.UDP(a.MAC, everybody, from, netip.MustParseAddrPort("255.255.255.255:9"), "to all"))
		a.Send(t, ovntest.UDP(a.MAC, b.MAC, netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67"), "not really DHCP"))
		a.Send(t, ovntest.UDP(a.MAC, services.MAC, other, service, "false address"))
		a.Send(t, ovntest.UDP(services.MAC, b.MAC, service, other, "false services"))
		a.Send(t, ovntest.ARPRequest(a.MAC, from.Addr(), other.Addr()))
		a.Send(t, ovntest.UDP(a.MAC, services.MAC, from, service, "the truth"))
	}
	stop := b.Capture(t)
	atServices := heard(t, services, []string{"the truth"}, send)
	var atB strings.Builder
	for _, frame := range stop() {
		atB.Write(frame)
	}
	for _, leak := range []string{"straight", "to all", "DHCP", "false"} {
		if strings.Contains(atB.String(), leak) {
			t.Errorf("the other machine heard %q", leak)
		}
		if leak == "false" && strings.Contains(atServices, leak) {
			t.Errorf("the services heard a false source")
		}
	}

	nics := m.NICs
	ports := []*network.Port{m.port("pa", "red", "10.0.0.10"), m.port("pb", "red", "10.0.0.11")}
	for i, p := range ports {
		p.MAC, p.Edge, p.Groups = nics[i].MAC, nics[i].Edge, []string{"open"}
	}
	r.do(t, func(m *topology.Model) { m.NICs = nil }, "nic/nic0", "nic/nic1", "port/pa", "port/pb")
	a.Configure(t, prefix("10.0.0.10"))
	b.Configure(t, prefix("10.0.0.11"))
	if got := a.Get(t, "10.0.0.11:80", ovntest.Patience); got != "b" {
		t.Errorf("on the tenant's network the machine reached %q", got)
	}
	if got := a.Get(t, "172.31.0.1:80", soon); got != "" {
		t.Errorf("from the tenant's network the machine reached %q", got)
	}
	r.do(t, func(m *topology.Model) {
		m.NICs = nics
		m.Ports = slices.DeleteFunc(m.Ports, func(p *network.Port) bool { return slices.Contains(ports, p) })
	}, "nic/nic0", "nic/nic1", "port/pa", "port/pb")
	r.settled(t, c)
	ovntest.Sync(t, cluster)
	meet()
	if got := a.Get(t, "10.0.0.11:80", soon); got != "" {
		t.Errorf("back in quarantine the machine reached %q", got)
	}
}
