package network_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/network/networktest"
)

var ip = netip.MustParseAddr

// flat has three addresses for ports.
func flat() network.NewSubnet {
	return network.NewSubnet{
		Project: "operators", CIDR: netip.MustParsePrefix("10.0.0.0/24"), DNS: []netip.Addr{ip("10.0.0.1"), ip("9.9.9.9")},
		Pools: []network.Pool{{First: ip("10.0.0.10"), Last: ip("10.0.0.12")}},
	}
}

// world is a service with a flat network.
type world struct {
	*network.Service
	t     *testing.T
	db    *db.DB
	clock *clock.Fake
	net   *network.Network
}

func begin(t *testing.T, d *db.DB, subnet network.NewSubnet) *world {
	t.Helper()
	w := &world{t: t, db: d, clock: clock.NewFake()}
	w.Service = network.New(d, w.clock, slog.New(slog.DiscardHandler))
	w.net = networktest.Shared(t, d, w.Service, subnet)
	return w
}

func each(t *testing.T, test func(w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(begin(t, d, flat())) })
}

func (w *world) tx(f func(tx *db.Tx) error) error { return w.db.Tx(w.t.Context(), f) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(spec network.NewPort) (p *network.Port, err error) {
	spec.Network = w.net.ID
	if spec.Project == "" {
		spec.Project = "demo"
	}
	w.clock.Step(time.Second)
	err = w.tx(func(tx *db.Tx) error {
		p, err = w.CreatePort(w.t.Context(), tx, spec)
		return err
	})
	return p, err
}

func (w *world) port(spec network.NewPort) *network.Port {
	w.t.Helper()
	p, err := w.try(spec)
	w.must(err)
	return p
}

// again reads a port.
func (w *world) again(p *network.Port) *network.Port {
	w.t.Helper()
	p, err := w.Port(w.t.Context(), w.db, network.Everything, p.ID)
	w.must(err)
	return p
}

func (w *world) bind(p *network.Port, host, mac string) error {
	return w.tx(func(tx *db.Tx) error { return w.Bind(w.t.Context(), tx, p.ID, network.Place{Host: host, MAC: mac}) })
}

// refused demands a refusal for that reason.
func (w *world) refused(err error, kind fault.Kind, why network.Reason) {
	w.t.Helper()
	if !fault.Is(err, kind) || !errors.Is(err, why) {
		w.t.Errorf("got %v, want a refusal because of %q", err, why)
	}
}

func TestWithoutARangeThePoolIsAllButTheGateway(t *testing.T) {
	f := flat()
	f.CIDR, f.Gateway, f.Pools = netip.MustParsePrefix("10.0.0.0/29"), new(ip("10.0.0.3")), nil
	w := begin(t, dbtest.SQLite(t), f)
	var got []string
	for range 5 {
		got = append(got, w.port(network.NewPort{}).FixedIPs[0].Addr.String())
	}
	slices.Sort(got)
	if want := []string{"10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err := w.try(network.NewPort{})
	w.refused(err, fault.Exhausted, network.OutOfAddresses)
}

func TestAPoolRunsOutAndAFailedCreateLeavesNothing(t *testing.T) {
	each(t, func(w *world) {
		first := w.port(network.NewPort{Name: "first"})
		w.port(network.NewPort{})
		w.port(network.NewPort{})
		_, err := w.try(network.NewPort{})
		w.refused(err, fault.Exhausted, network.OutOfAddresses)
		ports, err := w.Ports(w.t.Context(), w.db, network.Everything, network.PortFilter{})
		w.must(err)
		if len(ports) != 3 {
			w.t.Errorf("%d ports are left of 3 creates and a failed one", len(ports))
		}
		w.must(w.tx(func(tx *db.Tx) error { return w.DeletePort(w.t.Context(), tx, first.ID) }))
		if again := w.port(network.NewPort{}); again.FixedIPs[0] != first.FixedIPs[0] {
			w.t.Errorf("the one free address is %v, got %v", first.FixedIPs, again.FixedIPs)
		}
		if p := w.port(network.NewPort{FixedIPs: []network.FixedIP{}}); len(w.again(p).FixedIPs) != 0 {
			w.t.Errorf("a port that wanted no address has %v", p.FixedIPs)
		}
		err = w.tx(func(tx *db.Tx) error { return w.DeletePort(w.t.Context(), tx, first.ID) })
		w.refused(err, fault.NotFound, network.NoSuchPort)
	})
}

func TestRacesForAddresses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := flat()
		f.Pools[0].Last = ip("10.0.0.17") // eight
		w := begin(t, d, f)
		race := func(n int, spec network.NewPort) (won []string, lost []error) {
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					p, err := w.try(spec)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						lost = append(lost, err)
					} else {
						won = append(won, p.FixedIPs[0].Addr.String())
					}
				})
			}
			wg.Wait()
			return won, lost
		}
		won, lost := race(6, network.NewPort{FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.10")}}})
		if len(won) != 1 {
			t.Errorf("%d ports got the same address", len(won))
		}
		for _, err := range lost {
			w.refused(err, fault.Conflict, network.AddressInUse)
		}
		won, lost = race(10, network.NewPort{})
		slices.Sort(won)
		if len(won) != 7 || len(slices.Compact(won)) != 7 || len(lost) != 3 {
			t.Errorf("of seven addresses and ten creates came %v and %d refusals", won, len(lost))
		}
		for _, err := range lost {
			w.refused(err, fault.Exhausted, network.OutOfAddresses)
		}
	})
}

func TestWantedAddresses(t *testing.T) {
	each(t, func(w *world) {
		subnet := w.net.Subnets[0]
		want := func(project, addr, of string) error {
			f := network.FixedIP{Subnet: of}
			if addr != "" {
				f.Addr = ip(addr)
			}
			_, err := w.try(network.NewPort{Project: project, FixedIPs: []network.FixedIP{f}})
			return err
		}
		w.must(want("demo", "10.0.0.11", ""))
		w.must(want("demo", "", subnet))
		w.must(want("operators", "10.0.0.99", subnet)) // outside the pools, on its own network
		w.refused(want("demo", "10.0.0.11", ""), fault.Conflict, network.AddressInUse)
		w.refused(want("demo", "10.0.0.98", subnet), fault.Invalid, network.AddressNotOnSubnet)
		w.refused(want("demo", "10.0.0.1", ""), fault.Invalid, network.AddressNotOnSubnet)
		w.refused(want("operators", "10.0.0.1", ""), fault.Conflict, network.AddressInUse)
		w.refused(want("operators", "10.0.0.255", ""), fault.Invalid, network.AddressNotOnSubnet)
		w.refused(want("demo", "10.1.0.1", ""), fault.Invalid, network.AddressNotOnNetwork)
		w.refused(want("demo", "10.1.0.1", subnet), fault.Invalid, network.AddressNotOnSubnet)
		if err := want("demo", "", "elsewhere"); !fault.Is(err, fault.Invalid) {
			w.t.Errorf("a subnet of nobody's: %v", err)
		}
	})
}

func TestReaddressing(t *testing.T) {
	each(t, func(w *world) {
		ctx, subnet := w.t.Context(), w.net.Subnets[0]
		taken := w.port(network.NewPort{FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.10")}}})
		p := w.port(network.NewPort{FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.11")}}})
		change := func(ips ...network.FixedIP) error {
			return w.tx(func(tx *db.Tx) error {
				_, err := w.ChangePort(ctx, tx, p.ID, network.PortChange{FixedIPs: &ips})
				return err
			})
		}
		holds := func(want ...string) {
			w.t.Helper()
			var got []string
			for _, f := range w.again(p).FixedIPs {
				got = append(got, f.Addr.String())
			}
			if !slices.Equal(got, want) {
				w.t.Errorf("it has %v, want %v", got, want)
			}
		}
		w.must(change(network.FixedIP{Subnet: subnet})) // the one it has will do
		holds("10.0.0.11")
		w.must(change(network.FixedIP{Addr: ip("10.0.0.12")}, network.FixedIP{Addr: ip("10.0.0.11")}))
		holds("10.0.0.12", "10.0.0.11")
		w.refused(change(network.FixedIP{Addr: taken.FixedIPs[0].Addr}), fault.Conflict, network.AddressInUse)
		holds("10.0.0.12", "10.0.0.11")
		w.must(change())
		holds()
	})
}

func TestBinding(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		p := w.port(network.NewPort{DeviceID: "server", DeviceOwner: "compute:nova"})
		other := w.port(network.NewPort{})
		if p.Status() != "DOWN" || p.VNIC() != network.VNICNormal {
			t.Errorf("new: %s %s", p.Status(), p.VNIC())
		}
		w.must(w.bind(p, "machine-1", "52:54:00:AA:bb:01"))
		bound := w.again(p)
		if bound.MAC != "52:54:00:aa:bb:01" || bound.Host != "machine-1" || bound.Status() != "ACTIVE" || bound.VNIC() != network.VNICBaremetal || bound.Revision != p.Revision+1 {
			w.t.Errorf("bound: %+v", bound)
		}
		w.must(w.bind(p, "machine-1", "52:54:00:aa:bb:01"))
		if again := w.again(p); again.Revision != bound.Revision {
			w.t.Error("binding it again to the same NIC changed it")
		}
		w.refused(w.bind(other, "machine-1", "52:54:00:aa:bb:01"), fault.Conflict, network.MACInUse)
		mac := "52:54:00:aa:bb:02"
		err := w.tx(func(tx *db.Tx) error {
			_, err := w.ChangePort(ctx, tx, p.ID, network.PortChange{MAC: &mac})
			return err
		})
		w.refused(err, fault.Conflict, network.PortBound)

		unbind := func() error { return w.tx(func(tx *db.Tx) error { return w.Unbind(ctx, tx, p.ID) }) }
		w.must(unbind())
		w.must(unbind())
		free := w.again(p)
		if free.MAC == bound.MAC || free.MAC[:8] != "fa:16:3e" || free.Status() != "DOWN" || free.Revision != bound.Revision+1 {
			w.t.Errorf("unbound: %+v", free)
		}
		w.must(w.bind(other, "machine-1", "52:54:00:aa:bb:01"))
		w.must(w.tx(func(tx *db.Tx) error { return w.DeletePort(ctx, tx, p.ID) }))
		w.must(unbind()) // nothing is left to do
		w.refused(w.bind(p, "machine-2", mac), fault.NotFound, network.NoSuchPort)
	})
}

func TestAttachAndDetach(t *testing.T) {
	each(t, func(w *world) {
		p := w.port(network.NewPort{})
		attach := func(project, server string) error {
			return w.tx(func(tx *db.Tx) error {
				_, err := w.Attach(w.t.Context(), tx, p.ID, project, network.Use{DeviceID: server, DeviceOwner: "compute:nova", Hostname: "host"})
				return err
			})
		}
		w.refused(attach("other", "theirs"), fault.NotFound, network.NoSuchPort)
		w.must(attach("demo", "one"))
		w.must(attach("demo", "one"))
		w.refused(attach("demo", "two"), fault.Conflict, network.PortInUse)
		if used := w.again(p); used.DNSName != "host" || used.Revision != 2 {
			w.t.Errorf("attached: %+v", used)
		}
		w.must(w.bind(p, "machine", "52:54:00:00:00:01"))
		detach := func() error { return w.tx(func(tx *db.Tx) error { return w.Detach(w.t.Context(), tx, p.ID) }) }
		w.must(detach())
		w.must(detach())
		if left := w.again(p); left.DeviceID != "" || left.DeviceOwner != "" || left.Host != "" || left.DNSName != "" || left.FixedIPs[0] != p.FixedIPs[0] {
			w.t.Errorf("detached: %+v", left)
		}
		w.must(w.tx(func(tx *db.Tx) error { return w.DeletePort(w.t.Context(), tx, p.ID) }))
		w.must(detach())
	})
}

func TestNetworkData(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		p := w.port(network.NewPort{DeviceID: "server", DeviceOwner: "compute:nova", FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.10")}}})
		w.port(network.NewPort{DeviceID: "server", DeviceOwner: "Compute:forged"}) // what a tenant can say is no server's
		w.must(w.bind(p, "machine", "52:54:00:00:00:01"))
		got, err := w.NetworkData(ctx, w.db, "server")
		w.must(err)
		type m = map[string]any
		dns := []any{m{"type": "dns", "address": "10.0.0.1"}, m{"type": "dns", "address": "9.9.9.9"}}
		link := "tap" + p.ID[:11]
		want := m{
			"links": []any{m{"id": link, "vif_id": p.ID, "type": "phy", "mtu": 1500, "ethernet_mac_address": "52:54:00:00:00:01"}},
			"networks": []any{m{
				"id": "network0", "type": "ipv4", "link": link, "network_id": w.net.ID, "ip_address": "10.0.0.10", "netmask": "255.255.255.0",
				"routes": []any{m{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}}, "services": dns,
			}},
			"services": dns,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Error(diff)
		}
		addresses, err := w.ServerAddresses(ctx, w.db, "server", "none")
		w.must(err)
		shown := []network.ServerAddress{{Network: "flat", Addr: ip("10.0.0.10"), MAC: "52:54:00:00:00:01"}}
		if len(addresses) != 1 || !slices.Equal(addresses["server"], shown) {
			w.t.Errorf("addresses: %v", addresses)
		}
	})
}

func TestVisibility(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		mine := w.port(network.NewPort{})
		w.port(network.NewPort{Project: "other"})
		demo, other := network.Viewer{Project: "demo"}, network.Viewer{Project: "other"}
		_, err := w.Port(ctx, w.db, other, mine.ID)
		w.refused(err, fault.NotFound, network.NoSuchPort)
		for v, want := range map[network.Viewer]int{demo: 1, other: 1, network.Everything: 2, {}: 0} {
			ports, err := w.Ports(ctx, w.db, v, network.PortFilter{Networks: []string{w.net.ID, "another"}})
			w.must(err)
			if len(ports) != want {
				w.t.Errorf("%+v sees %d ports, not %d", v, len(ports), want)
			}
		}
		// A network that is not shared is its owner's alone.
		_, err = w.db.ExecContext(ctx, `DELETE FROM network_rbac`)
		w.must(err)
		_, err = w.Network(ctx, w.db, demo, w.net.ID)
		w.refused(err, fault.NotFound, network.NoSuchNetwork)
		_, err = w.Subnet(ctx, w.db, demo, w.net.Subnets[0])
		w.refused(err, fault.NotFound, network.NoSuchSubnet)
		_, err = w.try(network.NewPort{})
		w.refused(err, fault.NotFound, network.NoSuchNetwork)
		subnets, err := w.Subnets(ctx, w.db, demo, network.SubnetFilter{})
		w.must(err)
		networks, err := w.Networks(ctx, w.db, demo, network.NetworkFilter{})
		w.must(err)
		if len(subnets)+len(networks) != 0 {
			w.t.Errorf("it is seen: %v %v", networks, subnets)
		}
		w.port(network.NewPort{Project: "operators"})
	})
}

func TestQuota(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		limit := func(l network.Limits) error {
			return w.tx(func(tx *db.Tx) error { return w.SetLimits(ctx, tx, "demo", l) })
		}
		w.must(limit(network.Limits{"port": 1, "network": network.DefaultLimits()["network"]}))
		w.port(network.NewPort{})
		_, err := w.try(network.NewPort{})
		w.refused(err, fault.Quota, network.OverQuota)
		w.port(network.NewPort{Project: "other"})
		used, err := w.Usage(ctx, w.db, "demo")
		w.must(err)
		changed, err := w.ChangedLimits(ctx, w.db, "")
		w.must(err)
		if used["port"] != 1 || used["router"] != 0 || !cmp.Equal(changed, map[string]network.Limits{"demo": {"port": 1}}) {
			w.t.Errorf("used %v, changed %v", used, changed)
		}
		w.must(limit(network.Limits{"port": network.Unlimited}))
		w.port(network.NewPort{})
		w.must(limit(network.Limits{"port": network.DefaultLimits()["port"]}))
		if limits, err := w.Limits(ctx, w.db, "demo"); err != nil || !cmp.Equal(limits, network.DefaultLimits()) {
			w.t.Errorf("got %v %v", limits, err)
		}
		for _, wrong := range []network.Limits{{"cookies": 1}, {"port": -2}} {
			if err := limit(wrong); !fault.Is(err, fault.Invalid) {
				w.t.Errorf("%v: %v", wrong, err)
			}
		}
	})
}

func TestTheQuotaHoldsInARace(t *testing.T) {
	each(t, func(w *world) {
		w.must(w.tx(func(tx *db.Tx) error { return w.SetLimits(context.Background(), tx, "demo", network.Limits{"port": 2}) }))
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := w.try(network.NewPort{}); err != nil {
					w.refused(err, fault.Quota, network.OverQuota)
				}
			})
		}
		wg.Wait()
		if used, err := w.Usage(w.t.Context(), w.db, "demo"); err != nil || used["port"] != 2 {
			w.t.Errorf("used %v %v", used, err)
		}
	})
}
