package topology_test

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// topologies are the readable examples.
var topologies = map[string]func() *topology.Model{
	"networks":       networks,
	"ports":          ports,
	"edges":          edges,
	"router":         routed,
	"securitygroups": securityGroups,
	"quarantine":     quarantine,
}

func networks() *topology.Model {
	c := &cloud{}
	red := c.network("red")
	s := c.subnet(red, "10.0.0.0/24")
	s.DNS = addrs("192.0.2.53", "192.0.2.54")
	s.Routes = []network.Route{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")}}
	stateful := c.subnet(red, "2001:db8:1::/64")
	stateful.RAMode, stateful.AddressMode, stateful.DNS = network.DHCPv6Stateful, network.DHCPv6Stateful, addrs("2001:db8::53")
	quiet := c.network("quiet", "10.0.0.0/24")
	c.Subnets[len(c.Subnets)-1].DHCP = false
	quiet.AdminUp = false
	alone := c.network("alone")
	c.subnet(alone, "10.0.0.0/24").Gateway = netip.Addr{}
	vlan := c.external("public", "physnet1", "203.0.113.0/24")
	vlan.Kind, vlan.Segment = network.VLANKind, 42
	return &c.Model
}

func ports() *topology.Model {
	c := &cloud{}
	c.network("red", "10.0.0.0/24", "2001:db8:1::/64")
	c.Policies = append(c.Policies, &qos.Policy{ID: "slow", Rules: []*qos.Rule{
		{ID: "up", Kind: qos.BandwidthLimit, Egress: true, Rate: 1000}, {ID: "down", Kind: qos.BandwidthLimit, Rate: 2000, Burst: 500},
		{ID: "mark", Kind: qos.DSCPMarking, DSCP: 26}}})
	plain := c.port("plain", "red", "10.0.0.10", "2001:db8:1::10")
	plain.QoS = "slow"
	plain.Groups, plain.DNSName = []string{"web"}, "Web.example.org."
	c.group("web")
	open := c.port("open", "red", "10.0.0.11")
	open.PortSecurity, open.AdminUp = false, false
	pairs := c.port("pairs", "red", "10.0.0.12")
	pairs.AllowedPairs = []network.AddressPair{{Addr: netip.MustParsePrefix("10.0.0.100/32")}, {Addr: netip.MustParsePrefix("10.7.1.3/16")},
		{MAC: "52:54:00:AA:00:01", Addr: netip.MustParsePrefix("10.0.0.101/32")}}
	own := c.port("own", "red", "10.0.0.13")
	own.DHCPOptions = []network.DHCPOption{{Name: "bootfile-name", Value: "pxe.0", Version: 4}, {Name: "mtu", Value: "1400", Version: 4},
		{Name: "tftp-server", Value: `x"); output; (`, Version: 4}, {Name: "no-such", Value: "1", Version: 4}}
	silent := c.port("silent", "red", "10.0.0.14")
	silent.DHCPOptions = []network.DHCPOption{{Name: "dhcp_disabled", Value: "true", Version: 4}}
	c.port("nowhere", "red")
	return &c.Model
}

func edges() *topology.Model {
	c := &cloud{}
	for _, id := range []string{"red", "blue"} {
		c.network(id, "10.0.0.0/24")
	}
	a := c.port("on-dpu", "red", "10.0.0.10")
	a.Host, a.Edge = "machine-1", network.Edge{Kind: network.EdgeOVS, Interface: "m1-nic0"}
	b := c.port("on-switch", "red", "10.0.0.11")
	b.Host, b.Edge = "machine-2", network.Edge{Kind: network.EdgeTrunk, Interface: "rack1-up", VLAN: 102}
	none := c.port("not-enforced", "red", "10.0.0.12")
	none.Host = "machine-3"
	c.port("sub-of-dpu", "blue", "10.0.0.10")
	c.port("sub-of-switch", "blue", "10.0.0.11")
	c.port("sub-of-unbound", "blue", "10.0.0.12")
	c.port("unbound", "red", "10.0.0.13")
	for parent, sub := range map[string]string{"on-dpu": "sub-of-dpu", "on-switch": "sub-of-switch", "unbound": "sub-of-unbound"} {
		c.Trunks = append(c.Trunks, &trunk.Trunk{Meta: network.Meta{ID: "trunk-" + parent}, AdminUp: true, Port: parent,
			Subports: []trunk.Subport{{Port: sub, VLAN: 7}}})
	}
	c.Uplinks = []string{"rack1-up"}
	return &c.Model
}

func routed() *topology.Model {
	c := &cloud{}
	c.NeedToFrag = true
	c.external("public", "physnet1", "203.0.113.0/24", "2001:db8:ff::/64")
	c.network("red", "10.0.0.0/24", "2001:db8:1::/64")
	c.network("green", "10.0.1.0/24")
	r := c.router("r", "red", "green")
	c.gateway(r, "public", "203.0.113.10", "2001:db8:ff::10")
	r.Routes = []network.Route{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")}}
	a := c.port("a", "red", "10.0.0.10", "2001:db8:1::10")
	f := c.floating("fip", r, "203.0.113.20", a)
	f.QoS = "slow"
	c.Policies = append(c.Policies, &qos.Policy{ID: "slow", Rules: []*qos.Rule{{ID: "up", Kind: qos.BandwidthLimit, Egress: true, Rate: 1000}}})
	c.floating("shared", r, "203.0.113.21", nil)
	for i, to := range []string{"10.0.0.10", "10.0.0.11"} {
		c.Forwardings = append(c.Forwardings, &router.Forwarding{ID: fmt.Sprint("forward", i), FloatingIP: "shared", Protocol: "tcp",
			Outside: router.PortRange{First: 8000 + 10*i, Last: 8001 + 10*i}, Addr: netip.MustParseAddr(to), Inside: router.PortRange{First: 80, Last: 81}})
	}
	stopped := c.router("stopped", "green")
	stopped.AdminUp = false
	c.Gateways = []topology.Gateway{{Chassis: "gw1", Alive: true}, {Chassis: "gw2", Alive: false}, {Chassis: "gw3", Alive: true}}
	return &c.Model
}

func securityGroups() *topology.Model {
	c := &cloud{}
	c.group("0c5c4a3e-web", "out v4", "out v6", "in v4 tcp 22", "in v4 tcp 80 443 from 10.1.2.3/8", "in v6 udp 53 from 2001:db8::/32", "in v4 icmp 8 0",
		"in v6 icmp 128", "in v4 from @0c5c4a3e-web", "in v6 from @other", "in v4 sctp from $lists", "in v4 gre", "in v4 dccp 1 2", "in v4 from 0.0.0.0/0")
	c.group("stateless", "in v4 tcp 80", "out v4 tcp").Stateful = false
	c.AddressGroups = append(c.AddressGroups, &securitygroup.AddressGroup{ID: "lists", Addresses: prefixes("192.0.2.1/32", "198.51.100.7/24", "2001:db8::/32")})
	return &c.Model
}

func quarantine() *topology.Model {
	return &topology.Model{
		Services: &topology.Services{MAC: "02:00:00:00:AA:01", Addrs: addrs("172.31.0.1")},
		NICs: []*topology.NIC{
			{ID: "nic0", MAC: "52:54:00:00:00:01", Addr: netip.MustParseAddr("172.31.0.10"), Edge: network.Edge{Kind: network.EdgeOVS, Interface: "m1-nic0"}},
			{ID: "nic1", MAC: "52:54:00:00:00:02", Edge: network.Edge{Kind: network.EdgeTrunk, Interface: "rack1-up", VLAN: 102}},
			{ID: "nic2", MAC: "52:54:00:00:00:03"}},
		Uplinks: []string{"rack1-up"},
	}
}

func TestRows(t *testing.T) {
	for name, build := range topologies {
		t.Run(name, func(t *testing.T) {
			all := build().All()
			// What every example has is shown in one of them.
			maps.DeleteFunc(all, func(scope ovn.Scope, _ []ovn.Row) bool {
				return name != "router" && scope == topology.Gateways || name != "networks" && strings.HasPrefix(string(scope), "network/")
			})
			got := dump(all)
			file := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("go test -update writes the file anew\n%s", diff)
			}
		})
	}
}

// Rows of a single scope are those that a model of everything has.
func TestScopesAlone(t *testing.T) {
	for name, build := range topologies {
		m := build()
		for scope, want := range m.All() {
			if diff := cmp.Diff(want, m.Rows(scope)); diff != "" {
				t.Errorf("%s: %s: %s", name, scope, diff)
			}
		}
		if rows := m.Rows("port/none"); rows != nil {
			t.Errorf("rows of nothing: %v", rows)
		}
	}
}

// dump writes rows so that people can read them: what is zero is left out, references have names.
func dump(all map[ovn.Scope][]ovn.Row) string {
	names := map[string]string{}
	for _, rows := range all {
		for _, row := range rows {
			ref := ovn.Ref{Table: tableOf(row), ID: row.ID}
			names[ref.UUID()] = ref.String()
		}
	}
	var b strings.Builder
	scopes := slices.SortedFunc(maps.Keys(all), func(x, y ovn.Scope) int { return topology.Order(string(x), string(y)) })
	for _, scope := range scopes {
		fmt.Fprintf(&b, "%s\n", scope)
		for _, row := range all[scope] {
			fmt.Fprintf(&b, "    %s %s", tableOf(row), row.ID)
			for _, in := range row.In {
				fmt.Fprintf(&b, " in %s", in)
			}
			b.WriteByte('\n')
			v := reflect.ValueOf(row.Model).Elem()
			for i := range v.NumField() {
				f := v.Field(i)
				if f.IsZero() || f.Kind() == reflect.Map && f.Len() == 0 {
					continue
				}
				if f.Kind() == reflect.Pointer {
					f = f.Elem()
				}
				text := fmt.Sprint(f.Interface())
				if name := names[text]; name != "" {
					text = name
				}
				fmt.Fprintf(&b, "        %s: %s\n", v.Type().Field(i).Tag.Get("ovsdb"), strings.TrimPrefix(text, "map"))
			}
		}
	}
	return b.String()
}

// tableNames are by type of model.
var tableNames = func() map[reflect.Type]string {
	m, err := nbdb.FullDatabaseModel()
	if err != nil {
		panic(err)
	}
	names := map[reflect.Type]string{}
	for name, modelType := range m.Types() {
		names[modelType] = name
	}
	return names
}()

func tableOf(row ovn.Row) string { return tableNames[reflect.TypeOf(row.Model)] }
