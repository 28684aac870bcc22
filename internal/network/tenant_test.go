package network_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

var (
	prefix = netip.MustParsePrefix
	demo   = network.Viewer{Project: "demo"}
	other  = network.Viewer{Project: "other"}
)

// within runs f, which makes or changes something, in a transaction of its own and a second later than the last.
func within[T any](w *world, f func(ctx context.Context, tx *db.Tx) (T, error)) (made T, err error) {
	w.clock.Step(time.Second)
	err = w.tx(func(tx *db.Tx) error {
		made, err = f(w.t.Context(), tx)
		return err
	})
	return made, err
}

func (w *world) tryNetwork(spec network.NewNetwork) (*network.Network, error) {
	if spec.Project == "" {
		spec.Project = "demo"
	}
	return within(w, func(ctx context.Context, tx *db.Tx) (*network.Network, error) { return w.CreateNetwork(ctx, tx, spec) })
}

func (w *world) network(spec network.NewNetwork) *network.Network {
	w.t.Helper()
	n, err := w.tryNetwork(spec)
	w.must(err)
	return n
}

func (w *world) trySubnet(n *network.Network, spec network.NewSubnet) (*network.Subnet, error) {
	spec.Network = n.ID
	if spec.Project == "" {
		spec.Project = n.Project
	}
	return within(w, func(ctx context.Context, tx *db.Tx) (*network.Subnet, error) { return w.CreateSubnet(ctx, tx, spec) })
}

func (w *world) subnet(n *network.Network, spec network.NewSubnet) *network.Subnet {
	w.t.Helper()
	s, err := w.trySubnet(n, spec)
	w.must(err)
	return s
}

func (w *world) tryOn(n *network.Network, spec network.NewPort) (*network.Port, error) {
	spec.Network = n.ID
	if spec.Project == "" {
		spec.Project = "demo"
	}
	return within(w, func(ctx context.Context, tx *db.Tx) (*network.Port, error) { return w.CreatePort(ctx, tx, spec) })
}

func (w *world) on(n *network.Network, spec network.NewPort) *network.Port {
	w.t.Helper()
	p, err := w.tryOn(n, spec)
	w.must(err)
	return p
}

func (w *world) change(p *network.Port, c network.PortChange) error {
	_, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.Port, error) { return w.ChangePort(ctx, tx, p.ID, c) })
	return err
}

func (w *world) changeNetwork(n *network.Network, c network.NetworkChange) error {
	_, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.Network, error) {
		return w.ChangeNetwork(ctx, tx, network.Everything, n.ID, c)
	})
	return err
}

func (w *world) delete(f func(context.Context, *db.Tx, string) error, id string) error {
	w.clock.Step(time.Second)
	return w.tx(func(tx *db.Tx) error { return f(w.t.Context(), tx, id) })
}

// marks are the scopes marked since the last call, without those of a prefix.
func (w *world) marks() []string {
	w.t.Helper()
	keys, err := db.List(w.t.Context(), w.db, func(row db.Scanner) (key string, err error) { return key, row.Scan(&key) }, `SELECT key FROM reconcile_mark ORDER BY key`)
	w.must(err)
	_, err = w.db.ExecContext(w.t.Context(), `DELETE FROM reconcile_mark`)
	w.must(err)
	return keys
}

// marked demands that exactly these scopes were marked.
func (w *world) marked(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.marks(); !slices.Equal(got, want) {
		w.t.Errorf("marked %v, want %v", got, want)
	}
}

func addresses(p *network.Port) (list []string) {
	for _, f := range p.FixedIPs {
		list = append(list, f.Addr.String())
	}
	return list
}

func ptr[T any](v T) *T { return &v }

func TestNetworksOfTenants(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		w.marks()
		n := w.network(network.NewNetwork{Name: "own"})
		w.marked("network/" + n.ID)
		if n.Kind != network.GeneveKind || n.Segment < 1 || n.Segment >= 1<<24 || n.MTU != 1442 || !n.PortSecurity || n.Shared || n.External {
			w.t.Errorf("made %+v", n)
		}
		seen, err := w.Network(ctx, w.db, demo, n.ID)
		w.must(err)
		if seen.Name != "own" || seen.Segment != n.Segment || seen.Revision != 1 {
			w.t.Errorf("it reads as %+v", seen)
		}
		_, err = w.Network(ctx, w.db, other, n.ID)
		w.refused(err, fault.NotFound, network.NoSuchNetwork)

		w.must(w.changeNetwork(n, network.NetworkChange{Name: ptr("new"), MTU: ptr(1300), PortSecurity: ptr(false), DNSDomain: ptr("example.org.")}))
		w.marked("network/" + n.ID)
		seen, err = w.Network(ctx, w.db, demo, n.ID)
		w.must(err)
		if seen.Name != "new" || seen.MTU != 1300 || seen.PortSecurity || seen.DNSDomain != "example.org." || seen.Revision != 2 {
			w.t.Errorf("changed: %+v", seen)
		}
		w.refused(w.changeNetwork(n, network.NetworkChange{MTU: ptr(1443)}), fault.Invalid, network.BadInput)
		w.subnet(n, network.NewSubnet{CIDR: prefix("fd00::/64")})
		w.refused(w.changeNetwork(n, network.NetworkChange{MTU: ptr(1279)}), fault.Invalid, network.MTUTooSmall)

		p := w.on(n, network.NewPort{})
		w.refused(w.delete(w.DeleteNetwork, n.ID), fault.Conflict, network.NetworkInUse)
		w.must(w.delete(w.DeletePort, p.ID))
		w.on(n, network.NewPort{DeviceOwner: "network:dhcp"})
		w.must(w.delete(w.DeleteNetwork, n.ID))
		_, err = w.Network(ctx, w.db, demo, n.ID)
		w.refused(err, fault.NotFound, network.NoSuchNetwork)
		if used, err := w.Usage(ctx, w.db, "demo"); err != nil || used["network"]+used["subnet"]+used["port"] != 0 {
			w.t.Errorf("left: %v %v", used, err)
		}
	})
}

func TestWhatANetworkCannotBe(t *testing.T) {
	each(t, func(w *world) {
		wire := func(kind network.Kind, physical string, segment int) network.NewNetwork {
			return network.NewNetwork{Wire: network.Wire{Kind: kind, Physical: physical, Segment: segment}}
		}
		w.network(wire(network.VLANKind, "physnet2", 5))
		w.network(wire(network.GeneveKind, "", 77))
		w.network(network.NewNetwork{External: true, Default: true})
		for name, x := range map[string]struct {
			spec network.NewNetwork
			kind fault.Kind
			why  network.Reason
		}{
			"the flat wire":       {wire(network.FlatKind, "physnet1", 0), fault.Conflict, network.FlatInUse},
			"a VLAN twice":        {wire(network.VLANKind, "physnet2", 5), fault.Conflict, network.VLANInUse},
			"a tunnel twice":      {wire(network.GeneveKind, "", 77), fault.Conflict, network.TunnelInUse},
			"flat without a wire": {wire(network.FlatKind, "", 0), fault.Invalid, network.BadInput},
			"flat with a VLAN":    {wire(network.FlatKind, "physnet3", 4), fault.Invalid, network.BadInput},
			"VLAN 0":              {wire(network.VLANKind, "physnet2", 0), fault.Invalid, network.BadInput},
			"VLAN 4095":           {wire(network.VLANKind, "physnet2", 4095), fault.Invalid, network.BadInput},
			"a tunnel on a wire":  {wire(network.GeneveKind, "physnet2", 4), fault.Invalid, network.BadInput},
			"a large tunnel":      {wire(network.GeneveKind, "", 1<<24), fault.Invalid, network.BadInput},
			"an unknown kind":     {wire("vxlan", "", 1), fault.Invalid, network.BadInput},
			"no kind":             {wire("", "physnet2", 9), fault.Invalid, network.BadInput},
			"too large packets":   {network.NewNetwork{MTU: 1443}, fault.Invalid, network.BadInput},
			"a foreign zone":      {network.NewNetwork{Zones: []string{"moon"}}, fault.NotFound, network.NoSuchZone},
			"a policy":            {network.NewNetwork{QoS: "some"}, fault.NotFound, network.NoSuchPolicy},
			"a second default":    {network.NewNetwork{External: true, Default: true}, fault.Conflict, network.SecondDefault},
			"an inner default":    {network.NewNetwork{Default: true}, fault.Invalid, network.BadInput},
		} {
			if _, err := w.tryNetwork(x.spec); !fault.Is(err, x.kind) {
				w.t.Errorf("%s: got %v", name, err)
			} else {
				w.refused(err, x.kind, x.why)
			}
		}
		for name, spec := range map[string]network.NewNetwork{
			"a long name": {Name: strings.Repeat("x", 256)}, "tiny packets": {MTU: 67}, "a domain without its dot": {DNSDomain: "example.org"},
		} {
			if _, err := w.tryNetwork(spec); !fault.Is(err, fault.Invalid) {
				w.t.Errorf("%s: got %v", name, err)
			}
		}
		w.must(w.tx(func(tx *db.Tx) error { return w.SetLimits(w.t.Context(), tx, "demo", network.Limits{"network": 3}) }))
		_, err := w.tryNetwork(network.NewNetwork{})
		w.refused(err, fault.Quota, network.OverQuota)
		_, err = w.tryNetwork(network.NewNetwork{Project: "other"})
		w.must(err)
	})
}

func TestRacesForAVLAN(t *testing.T) {
	each(t, func(w *world) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		won, lost := 0, []error{}
		for range 6 {
			wg.Go(func() {
				_, err := w.tryNetwork(network.NewNetwork{Wire: network.Wire{Kind: network.VLANKind, Physical: "physnet2", Segment: 100}})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else {
					lost = append(lost, err)
				}
			})
		}
		wg.Wait()
		if won != 1 || len(lost) != 5 {
			w.t.Errorf("%d networks have the VLAN", won)
		}
		for _, err := range lost {
			w.refused(err, fault.Conflict, network.VLANInUse)
		}
	})
}

func TestSharing(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		n := w.network(network.NewNetwork{Name: "private"})
		subnet := w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		sees := func(network bool, subnets bool, shared bool) {
			w.t.Helper()
			found, err := w.Network(ctx, w.db, other, n.ID)
			if (err == nil) != network || err == nil && found.Shared != shared {
				w.t.Errorf("the other project: %+v %v", found, err)
			}
			if _, err := w.Subnet(ctx, w.db, other, subnet.ID); (err == nil) != subnets {
				w.t.Errorf("its subnet: %v", err)
			}
		}
		share := func(v network.Viewer, action, target string) (*network.RBAC, error) {
			return within(w, func(ctx context.Context, tx *db.Tx) (*network.RBAC, error) {
				return w.CreateRBAC(ctx, tx, v, network.RBAC{Project: v.Project, Kind: network.SharedNetwork, Object: n.ID, Action: action, Target: target})
			})
		}
		unshare := func(id string) error {
			return w.tx(func(tx *db.Tx) error { return w.DeleteRBAC(ctx, tx, demo, id) })
		}
		sees(false, false, false)
		_, err := share(other, network.AsShared, "other")
		w.refused(err, fault.NotFound, network.NoSuchNetwork)
		rbac, err := share(demo, network.AsShared, "other")
		w.must(err)
		sees(true, true, true)
		_, err = share(demo, network.AsShared, "other")
		w.refused(err, fault.Conflict, network.RBACTwice)
		if mine, err := w.Network(ctx, w.db, demo, n.ID); err != nil || mine.Shared {
			w.t.Errorf("for its owner: %+v %v", mine, err)
		}
		p := w.on(n, network.NewPort{Project: "other"})
		if _, err := w.Port(ctx, w.db, demo, p.ID); err != nil {
			w.t.Errorf("the network's owner does not see who is on it: %v", err)
		}
		err = w.tx(func(tx *db.Tx) error {
			_, err := w.Attach(ctx, tx, p.ID, "demo", network.Use{DeviceID: "server", DeviceOwner: "compute:nova"})
			return err
		})
		w.refused(err, fault.NotFound, network.NoSuchPort)
		w.refused(unshare(rbac.ID), fault.Conflict, network.RBACInUse)
		everybody, err := share(demo, network.AsShared, network.Everybody)
		w.must(err)
		w.must(unshare(rbac.ID)) // the other policy still allows it
		w.refused(unshare(everybody.ID), fault.Conflict, network.RBACInUse)
		w.refused(w.changeNetwork(n, network.NetworkChange{Shared: ptr(false)}), fault.Conflict, network.SharedNetworkUsed)
		w.must(w.delete(w.DeletePort, p.ID))
		w.must(w.changeNetwork(n, network.NetworkChange{Shared: ptr(false)}))
		sees(false, false, false)

		external, err := share(demo, network.AsExternal, "other")
		w.must(err)
		sees(true, false, false)
		if found, err := w.Network(ctx, w.db, other, n.ID); err != nil || !found.External {
			w.t.Errorf("external: %+v %v", found, err)
		}
		_, err = w.tryOn(n, network.NewPort{Project: "other", DeviceOwner: "compute:nova"})
		if !fault.Is(err, fault.Forbidden) {
			w.t.Errorf("a server on an external network: %v", err)
		}
		w.on(n, network.NewPort{DeviceOwner: "compute:nova"})
		moved, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.RBAC, error) {
			return w.ChangeRBAC(ctx, tx, demo, external.ID, "another")
		})
		if err != nil || moved.ID != external.ID || moved.Target != "another" {
			w.t.Errorf("retargeted: %+v %v", moved, err)
		}
		sees(false, false, false)
		w.must(unshare(external.ID))
		if found, err := w.Network(ctx, w.db, demo, n.ID); err != nil || found.External {
			w.t.Errorf("no more external: %+v %v", found, err)
		}
		if ids, err := w.SharedWith(ctx, w.db, network.SharedNetwork, "demo"); err != nil || !slices.Equal(ids, []string{w.net.ID}) {
			w.t.Errorf("shared with it: %v %v", ids, err)
		}
	})
}

func TestWhatASubnetCannotBe(t *testing.T) {
	each(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		small := w.network(network.NewNetwork{MTU: 1200})
		pool := func(first, last string) []network.Pool { return []network.Pool{{First: ip(first), Last: ip(last)}} }
		two := prefix("10.2.0.0/24")
		six := prefix("fd00::/64")
		for name, x := range map[string]struct {
			spec network.NewSubnet
			kind fault.Kind
			why  network.Reason
		}{
			"an overlap":               {network.NewSubnet{CIDR: prefix("10.1.0.128/25")}, fault.Invalid, network.BadInput},
			"the other version":        {network.NewSubnet{CIDR: two, Version: 6}, fault.Invalid, network.BadInput},
			"neither CIDR nor pool":    {network.NewSubnet{}, fault.Invalid, network.BadRequest},
			"a length without a pool":  {network.NewSubnet{CIDR: two, Bits: 26}, fault.Invalid, network.BadRequest},
			"no default pool":          {network.NewSubnet{DefaultPool: true, Version: 4}, fault.Invalid, network.BadRequest},
			"a pool of nobody's":       {network.NewSubnet{SubnetPool: "some"}, fault.NotFound, network.NoSuchSubnetPool},
			"everything":               {network.NewSubnet{CIDR: prefix("0.0.0.0/0")}, fault.Invalid, network.BadInput},
			"loopback":                 {network.NewSubnet{CIDR: prefix("127.0.0.0/8")}, fault.Invalid, network.BadInput},
			"multicast":                {network.NewSubnet{CIDR: prefix("224.0.0.0/24")}, fault.Invalid, network.BadInput},
			"link local":               {network.NewSubnet{CIDR: prefix("fe80::/64")}, fault.Invalid, network.BadInput},
			"DHCP on two addresses":    {network.NewSubnet{CIDR: prefix("10.2.0.0/31")}, fault.Invalid, network.BadInput},
			"the broadcast as gateway": {network.NewSubnet{CIDR: two, Gateway: ptr(ip("10.2.0.255"))}, fault.Invalid, network.BadInput},
			"a v6 gateway":             {network.NewSubnet{CIDR: two, Gateway: ptr(ip("fd00::1"))}, fault.Invalid, network.BadInput},
			"the gateway in a pool":    {network.NewSubnet{CIDR: two, Pools: pool("10.2.0.1", "10.2.0.9")}, fault.Conflict, network.GatewayInPool},
			"a pool outside":           {network.NewSubnet{CIDR: two, Pools: pool("10.2.0.9", "10.2.1.9")}, fault.Invalid, network.PoolOutside},
			"a pool backwards":         {network.NewSubnet{CIDR: two, Pools: pool("10.2.0.9", "10.2.0.8")}, fault.Invalid, network.BadPool},
			"a mixed pool":             {network.NewSubnet{CIDR: two, Pools: pool("10.2.0.9", "fd00::1")}, fault.Invalid, network.BadPool},
			"overlapping pools":        {network.NewSubnet{CIDR: two, Pools: append(pool("10.2.0.9", "10.2.0.19"), pool("10.2.0.19", "10.2.0.29")...)}, fault.Conflict, network.PoolsOverlap},
			"six name servers":         {network.NewSubnet{CIDR: two, DNS: []netip.Addr{ip("1.0.0.1"), ip("1.0.0.2"), ip("1.0.0.3"), ip("1.0.0.4"), ip("1.0.0.5"), ip("1.0.0.6")}}, fault.Invalid, network.TooManyDNS},
			"a route of the other":     {network.NewSubnet{CIDR: two, Routes: []network.Route{{Destination: prefix("fd01::/64"), NextHop: ip("fd00::1")}}}, fault.Invalid, network.BadInput},
			"a mode for v4":            {network.NewSubnet{CIDR: two, RAMode: network.SLAAC}, fault.Invalid, network.BadInput},
			"two modes":                {network.NewSubnet{CIDR: six, RAMode: network.SLAAC, AddressMode: network.DHCPv6Stateful}, fault.Invalid, network.BadInput},
			"a mode without DHCP":      {network.NewSubnet{CIDR: six, AddressMode: network.SLAAC, NoDHCP: true}, fault.Invalid, network.BadInput},
			"SLAAC of a /80":           {network.NewSubnet{CIDR: prefix("fd00::/80"), AddressMode: network.SLAAC}, fault.Invalid, network.BadInput},
		} {
			if _, err := w.trySubnet(n, x.spec); !fault.Is(err, x.kind) {
				w.t.Errorf("%s: got %v", name, err)
			} else {
				w.refused(err, x.kind, x.why)
			}
		}
		_, err := w.trySubnet(n, network.NewSubnet{CIDR: netip.PrefixFrom(ip("10.2.0.7"), 24)})
		if !fault.Is(err, fault.Invalid) {
			w.t.Errorf("host bits: %v", err)
		}
		_, err = w.trySubnet(small, network.NewSubnet{CIDR: six})
		w.refused(err, fault.Invalid, network.BadInput)
	})
}

func TestSubnetsOfTenants(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		n := w.network(network.NewNetwork{})
		w.marks()
		s := w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24"), Routes: []network.Route{{Destination: prefix("10.9.0.0/16"), NextHop: ip("10.1.0.9")}}, ServiceTypes: nil})
		w.marked("network/" + n.ID)
		if s.Gateway != ip("10.1.0.1") || fmt.Sprint(s.Pools) != "[10.1.0.2-10.1.0.254]" || !s.DHCP || s.Revision != 0 {
			w.t.Errorf("made %+v", s)
		}
		for cidr, want := range map[string]string{
			"10.2.0.0/30": "10.2.0.1 [10.2.0.2-10.2.0.2]", "10.3.0.0/31": "10.3.0.0 [10.3.0.1-10.3.0.1]", "10.4.0.7/32": "10.4.0.7 []",
			"fd01::/64": "fd01::1 [fd01::2-fd01::ffff:ffff:ffff:ffff]",
		} {
			got := w.subnet(n, network.NewSubnet{CIDR: prefix(cidr), NoDHCP: true})
			if text := fmt.Sprint(got.Gateway, got.Pools); text != want {
				w.t.Errorf("%s: %s", cidr, text)
			}
		}
		none := w.subnet(n, network.NewSubnet{CIDR: prefix("10.5.0.0/29"), Gateway: &netip.Addr{}})
		if none.Gateway.IsValid() || fmt.Sprint(none.Pools) != "[10.5.0.1-10.5.0.6]" {
			w.t.Errorf("without a gateway: %+v", none)
		}
		again, err := w.Subnet(ctx, w.db, demo, s.ID)
		w.must(err)
		if len(again.Routes) != 1 || again.Routes[0].NextHop != ip("10.1.0.9") {
			w.t.Errorf("it reads as %+v", again)
		}
		change := func(c network.SubnetChange) error {
			_, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.Subnet, error) { return w.ChangeSubnet(ctx, tx, s.ID, c) })
			return err
		}
		w.marks()
		w.must(change(network.SubnetChange{DNS: &[]netip.Addr{ip("9.9.9.9")}, DHCP: ptr(false), Pools: &[]network.Pool{{First: ip("10.1.0.10"), Last: ip("10.1.0.20")}}}))
		w.marked("network/" + n.ID)
		w.refused(change(network.SubnetChange{Gateway: ptr(ip("10.1.0.15"))}), fault.Conflict, network.GatewayInPool)
		router := w.on(n, network.NewPort{DeviceOwner: "network:router_interface", FixedIPs: []network.FixedIP{{Addr: ip("10.1.0.1")}}})
		w.refused(change(network.SubnetChange{Gateway: ptr(ip("10.1.0.2"))}), fault.Conflict, network.GatewayInUse)
		w.refused(w.delete(w.DeleteSubnet, s.ID), fault.Conflict, network.SubnetInUse)
		w.must(w.delete(w.DeletePort, router.ID))
		w.must(change(network.SubnetChange{Gateway: ptr(ip("10.1.0.2"))}))
		w.must(w.delete(w.DeleteSubnet, s.ID))
		_, err = w.Subnet(ctx, w.db, demo, s.ID)
		w.refused(err, fault.NotFound, network.NoSuchSubnet)
	})
}

func TestAddressesThatMachinesMakeThemselves(t *testing.T) {
	each(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		before := w.on(n, network.NewPort{MAC: "fa:16:3e:00:00:01"})
		router := w.on(n, network.NewPort{DeviceOwner: "network:router_interface", FixedIPs: []network.FixedIP{{Addr: ip("10.1.0.1")}}})
		w.marks()
		six := w.subnet(n, network.NewSubnet{CIDR: prefix("fd00::/64"), RAMode: network.SLAAC, AddressMode: network.SLAAC})
		w.marked("network/"+n.ID, "port/"+before.ID)
		if got := addresses(w.again(before)); len(got) != 2 || got[1] != "fd00::f816:3eff:fe00:1" {
			w.t.Errorf("the port that was there: %v", got)
		}
		if got := addresses(w.again(router)); len(got) != 1 {
			w.t.Errorf("the router's: %v", got)
		}
		p := w.on(n, network.NewPort{MAC: "fa:16:3e:00:00:02"})
		if got := addresses(p); len(got) != 2 || got[1] != "fd00::f816:3eff:fe00:2" {
			w.t.Errorf("a new port: %v", got)
		}
		_, err := w.tryOn(n, network.NewPort{FixedIPs: []network.FixedIP{{Addr: ip("fd00::7")}}})
		w.refused(err, fault.Invalid, network.AddressIsAutomatic)
		w.on(n, network.NewPort{DeviceOwner: "network:router_interface", FixedIPs: []network.FixedIP{{Subnet: six.ID, Addr: ip("fd00::1")}}})

		w.must(w.change(p, network.PortChange{MAC: ptr("fa:16:3e:00:00:03")}))
		if got := addresses(w.again(p)); got[1] != "fd00::f816:3eff:fe00:3" {
			w.t.Errorf("with another MAC: %v", got)
		}
		w.must(w.tx(func(tx *db.Tx) error {
			return w.Bind(w.t.Context(), tx, p.ID, network.Place{Host: "machine", MAC: "52:54:00:00:00:09", Edge: network.Edge{Kind: network.EdgeOVS, Interface: "nic"}})
		}))
		if got := addresses(w.again(p)); got[1] != "fd00::5054:ff:fe00:9" {
			w.t.Errorf("bound: %v", got)
		}
		w.refused(w.delete(w.DeleteSubnet, six.ID), fault.Conflict, network.SubnetInUse) // the router's
	})
}

func TestServiceTypes(t *testing.T) {
	each(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24"), ServiceTypes: []string{"network:floatingip"}})
		if p := w.on(n, network.NewPort{}); len(p.FixedIPs) != 0 {
			w.t.Errorf("a plain port got %v", p.FixedIPs)
		}
		if p := w.on(n, network.NewPort{DeviceOwner: "network:floatingip"}); len(p.FixedIPs) != 1 || p.Status() != "N/A" {
			w.t.Errorf("a floating IP's got %v %s", p.FixedIPs, p.Status())
		}
	})
}
