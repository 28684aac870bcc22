package topology_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/dhcpv6/nclient6"
	"github.com/vishvananda/netlink"

	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/network"
)

// What machines learn of IPv6 and of names from their networks alone, each network in another way.
func TestMachinesLearnFromTheirNetwork(t *testing.T) {
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one"})
	c := connect(t, cluster)
	m := &cloud{}
	dns := addrs("2001:db8::53")
	m.group("open", "out v4", "out v6", "in v4", "in v6")
	machines := map[string]*network.Port{}
	for i, mode := range []network.AddressMode{network.SLAAC, network.DHCPv6Stateful, network.DHCPv6Stateless} {
		prefix := []string{"2001:db8:1::", "2001:db8:2::", "2001:db8:3::"}[i]
		id := string(mode)
		m.network(id, prefix+"/64", "10.0.0.0/24")
		s := m.Subnets[len(m.Subnets)-2]
		s.RAMode, s.AddressMode, s.DNS = mode, mode, dns
		m.router(id+"-r", id)
		p := m.port(id, id, "10.0.0.10")
		at := netip.MustParseAddr(prefix + "abcd")
		if mode != network.DHCPv6Stateful {
			at = fromMAC(t, netip.MustParsePrefix(prefix+"/64"), p.MAC)
		}
		p.FixedIPs = append(p.FixedIPs, network.FixedIP{Subnet: s.ID, Addr: at})
		p.Groups, p.DNSName = []string{"open"}, id
		machines[id] = p
	}
	run(t, c, &m.Model).settled(t, c)
	at := map[string]*ovntest.Machine{}
	for id, p := range machines {
		at[id] = ovntest.NewMachine(t, cluster, "one", ovntest.NIC{ID: p.ID, MAC: p.MAC, Address: []netip.Prefix{netip.MustParsePrefix("10.0.0.10/24")}})
	}
	ovntest.Sync(t, cluster)

	for _, mode := range []network.AddressMode{network.SLAAC, network.DHCPv6Stateless} {
		id := string(mode)
		t.Run(id+" addresses", func(t *testing.T) {
			want := machines[id].FixedIPs[1].Addr
			ovntest.Eventually(t, "the machine gives itself "+want.String(), func() bool {
				return slices.Contains(globals(t, at[id]), want)
			})
			if got := globals(t, at[id]); len(got) != 1 {
				t.Errorf("the machine has the addresses %v", got)
			}
			if mtu := setting(t, at[id], "mtu"); mtu != "1442" {
				t.Errorf("the router told the MTU %s", mtu)
			}
			if router := netip.PrefixFrom(want, 64).Masked().Addr().Next().String(); !at[id].Ping(t, router, ovntest.Patience) {
				t.Errorf("the router does not answer at %s", router)
			}
		})
	}
	t.Run("stateful", func(t *testing.T) {
		m, want := at[string(network.DHCPv6Stateful)], machines[string(network.DHCPv6Stateful)].FixedIPs[1].Addr
		var reply *dhcpv6.Message
		asking(t, m, func(client *nclient6.Client) (err error) {
			offer, err := client.Solicit(t.Context())
			if err == nil {
				reply, err = client.Request(t.Context(), offer)
			}
			return err
		})
		if got := reply.Options.OneIANA().Options.OneAddress(); got == nil || !got.IPv6Addr.Equal(want.AsSlice()) {
			t.Errorf("DHCPv6 gave %v, not %s", got, want)
		}
		checkDNS(t, reply, dns)
		if got := globals(t, m); len(got) != 0 {
			t.Errorf("and by itself the machine took %v", got)
		}
		m.Configure(t, []netip.Prefix{netip.PrefixFrom(want, 64)})
		if !m.Ping(t, "2001:db8:2::1", ovntest.Patience) {
			t.Error("with this address the router is not reached")
		}
	})
	t.Run("stateless", func(t *testing.T) {
		var reply *dhcpv6.Message
		asking(t, at[string(network.DHCPv6Stateless)], func(client *nclient6.Client) error {
			question, err := dhcpv6.NewMessage(dhcpv6.WithClientID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: client.InterfaceAddr()}),
				dhcpv6.WithRequestedOptions(dhcpv6.OptionDNSRecursiveNameServer))
			if err != nil {
				return err
			}
			question.MessageType = dhcpv6.MessageTypeInformationRequest
			reply, err = client.SendAndRead(t.Context(), nclient6.AllDHCPRelayAgentsAndServers, question, nclient6.IsMessageType(dhcpv6.MessageTypeReply))
			return err
		})
		checkDNS(t, reply, dns)
		if reply.Options.OneIANA() != nil {
			t.Error("DHCPv6 gave an address where machines choose their own")
		}
	})
	t.Run("names", func(t *testing.T) {
		from := at[string(network.SLAAC)]
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return netns.Dial(ctx, from.Namespace, "udp", "10.0.0.1:53") // any: OVN answers in its stead
		}}
		ctx, cancel := context.WithTimeout(t.Context(), ovntest.Patience)
		defer cancel()
		got, err := resolver.LookupNetIP(ctx, "ip", string(network.SLAAC)+".")
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = got[i].Unmap()
		}
		slices.SortFunc(got, netip.Addr.Compare)
		want := []netip.Addr{netip.MustParseAddr("10.0.0.10"), machines[string(network.SLAAC)].FixedIPs[1].Addr}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Error(d)
		}
	})
}

// fromMAC is the address that a machine makes of its MAC (RFC 4291, appendix A).
func fromMAC(t *testing.T, prefix netip.Prefix, text string) netip.Addr {
	t.Helper()
	mac, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	a := prefix.Addr().As16()
	copy(a[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	return netip.AddrFrom16(a)
}

// globals are the machine's IPv6 addresses but for that of the link alone.
func globals(t *testing.T, m *ovntest.Machine) (found []netip.Addr) {
	t.Helper()
	err := netns.Do(m.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(link, netlink.FAMILY_V6)
		for _, a := range list {
			if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.IsGlobalUnicast() {
				found = append(found, ip)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// setting is one of the kernel's for IPv6 on eth0.
func setting(t *testing.T, m *ovntest.Machine, name string) (value string) {
	t.Helper()
	err := netns.Do(m.Namespace, func() error {
		text, err := os.ReadFile("/proc/sys/net/ipv6/conf/eth0/" + name)
		value = strings.TrimSpace(string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// asking is done with a DHCPv6 client of the machine.
func asking(t *testing.T, m *ovntest.Machine, ask func(*nclient6.Client) error) {
	t.Helper()
	err := netns.Do(m.Namespace, func() error {
		client, err := nclient6.New("eth0", nclient6.WithRetry(20), nclient6.WithTimeout(2*time.Second))
		if err != nil {
			return err
		}
		defer client.Close() //nolint:errcheck // only read
		return ask(client)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkDNS(t *testing.T, reply *dhcpv6.Message, want []netip.Addr) {
	t.Helper()
	var got []netip.Addr
	for _, ip := range reply.Options.DNS() {
		if a, ok := netip.AddrFromSlice(ip); ok {
			got = append(got, a)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("DHCPv6 told the DNS servers %v, not %v", got, want)
	}
}
