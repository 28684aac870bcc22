package router_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

var ip = netip.MustParseAddr

// The tenants, and an admin.
var (
	red, blue = network.Viewer{Project: "red"}, network.Viewer{Project: "blue"}
	admin     = network.Everything
)

// gold is the one QoS policy there is.
type gold struct{}

func (gold) Check(_ context.Context, _ db.Querier, _, id string) error {
	if id == "gold" {
		return nil
	}
	return fault.New(fault.NotFound, "QoS policy %s could not be found.", id)
}

// world has an external network, out, and a network of each tenant with the same addresses.
type world struct {
	*router.Service
	t        *testing.T
	db       *db.DB
	clock    *clock.Fake
	networks *network.Service
	out      string // 203.0.113.0/29: five addresses beside the gateway's
	red      string // 10.0.0.0/24
	blue     string // 10.0.0.0/24
}

func each(t *testing.T, test func(w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := &world{t: t, db: d, clock: clock.NewFake()}
		w.networks = network.New(d, w.clock, slog.New(slog.DiscardHandler))
		w.Service = router.New(w.clock, w.networks)
		w.networks.Surround(network.Surroundings{Counts: w.Counts(), Policies: gold{}})
		w.out = w.network("operators", true)
		w.subnet(w.out, "operators", "203.0.113.0/29")
		w.red, w.blue = w.network("red", false), w.network("blue", false)
		w.subnet(w.red, "red", "10.0.0.0/24")
		w.subnet(w.blue, "blue", "10.0.0.0/24")
		test(w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tx(f func(tx *db.Tx) error) error { return w.db.Tx(w.t.Context(), f) }

func (w *world) network(project string, external bool) string {
	w.t.Helper()
	var n *network.Network
	w.must(w.tx(func(tx *db.Tx) (err error) {
		n, err = w.networks.CreateNetwork(w.t.Context(), tx, network.NewNetwork{Project: project, External: external})
		return err
	}))
	return n.ID
}

// subnet makes one whose gateway has the first address.
func (w *world) subnet(of, project, cidr string) string {
	w.t.Helper()
	w.clock.Step(time.Second)
	var subnet *network.Subnet
	w.must(w.tx(func(tx *db.Tx) (err error) {
		subnet, err = w.networks.CreateSubnet(w.t.Context(), tx, network.NewSubnet{Network: of, Project: project, CIDR: netip.MustParsePrefix(cidr)})
		return err
	}))
	return subnet.ID
}

// subnets are those of a network.
func (w *world) subnets(of string) []string {
	w.t.Helper()
	n, err := w.networks.Network(w.t.Context(), w.db, admin, of)
	w.must(err)
	return n.Subnets
}

func (w *world) port(on string, v network.Viewer, ips ...network.FixedIP) *network.Port {
	w.t.Helper()
	var p *network.Port
	w.must(w.tx(func(tx *db.Tx) (err error) {
		p, err = w.networks.CreatePort(w.t.Context(), tx, network.NewPort{Network: on, Project: v.Project, FixedIPs: ips})
		return err
	}))
	return p
}

// router makes one, with a gateway on out or without.
func (w *world) router(v network.Viewer, gateway bool) *router.Router {
	w.t.Helper()
	spec := router.NewRouter{Project: v.Project}
	if gateway {
		spec.Gateway = &router.GatewayWish{Network: w.out, SNAT: true}
	}
	var r *router.Router
	w.must(w.tx(func(tx *db.Tx) (err error) { r, err = w.Create(w.t.Context(), tx, v, spec); return err }))
	return r
}

func (w *world) again(r *router.Router) *router.Router {
	w.t.Helper()
	r, err := w.Router(w.t.Context(), w.db, admin, r.ID)
	w.must(err)
	return r
}

func (w *world) change(v network.Viewer, r *router.Router, c router.Change) error {
	return w.tx(func(tx *db.Tx) error { _, err := w.Change(w.t.Context(), tx, v, r.ID, c); return err })
}

func (w *world) add(v network.Viewer, r *router.Router, subnet string) (at *router.Interface, err error) {
	err = w.tx(func(tx *db.Tx) error { at, err = w.AddSubnet(w.t.Context(), tx, v, r.ID, subnet); return err })
	return at, err
}

func (w *world) addPort(v network.Viewer, r *router.Router, port string) error {
	return w.tx(func(tx *db.Tx) error { _, err := w.AddPort(w.t.Context(), tx, v, r.ID, port); return err })
}

func (w *world) remove(v network.Viewer, r *router.Router, port, subnet string) (at *router.Interface, err error) {
	err = w.tx(func(tx *db.Tx) error { at, err = w.Remove(w.t.Context(), tx, v, r.ID, port, subnet); return err })
	return at, err
}

func (w *world) delete(r *router.Router) error {
	return w.tx(func(tx *db.Tx) error { return w.Delete(w.t.Context(), tx, r.ID) })
}

func (w *world) refused(err error, kind fault.Kind, why network.Reason) {
	w.t.Helper()
	if !fault.Is(err, kind) || !errors.Is(err, why) {
		w.t.Errorf("got %v, want a refusal because of %q", err, why)
	}
}

// marks are the scopes that were marked since the last call, but the ports' and networks'.
func (w *world) marks() string {
	w.t.Helper()
	keys, err := db.List(w.t.Context(), w.db, func(row db.Scanner) (key string, err error) { err = row.Scan(&key); return key, err }, `SELECT key FROM reconcile_mark ORDER BY key`)
	w.must(err)
	_, err = w.db.ExecContext(w.t.Context(), `DELETE FROM reconcile_mark`)
	w.must(err)
	keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "port/") || strings.HasPrefix(key, "network/") })
	return strings.Join(keys, " ")
}

// marked demands that these scopes were marked, and no others.
func (w *world) marked(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.marks(); got != strings.Join(want, " ") {
		w.t.Errorf("marked %s, want %s", got, want)
	}
}

func TestARouterJoinsNetworks(t *testing.T) {
	each(t, func(w *world) {
		r := w.router(red, true)
		w.marked("router/" + r.ID)
		if g := r.Gateway; g == nil || g.Network != w.out || !g.SNAT || len(g.FixedIPs) != 1 || !netip.MustParsePrefix("203.0.113.0/29").Contains(g.FixedIPs[0].Addr) {
			t.Fatalf("gateway: %+v", g)
		}
		subnet := w.subnets(w.red)[0]
		at, err := w.add(red, r, subnet)
		w.must(err)
		w.marked("router/" + r.ID)
		p, err := w.networks.Port(w.t.Context(), w.db, red, at.Port)
		w.must(err)
		if p.FixedIPs[0].Addr != ip("10.0.0.1") || p.DeviceID != r.ID || p.DeviceOwner != router.InterfaceOwner || p.Project != "red" {
			w.t.Errorf("the interface's port: %+v", p)
		}
		if mine, err := w.networks.Ports(w.t.Context(), w.db, red, network.PortFilter{}); err != nil || len(mine) != 1 {
			w.t.Errorf("a tenant sees the gateway's port: %v %v", mine, err)
		}
		if got := w.again(r); got.Revision != r.Revision+1 {
			w.t.Errorf("revision %d after %d", got.Revision, r.Revision)
		}
		_, err = w.add(red, r, subnet)
		w.refused(err, fault.Invalid, network.BadRequest)
		w.refused(w.delete(r), fault.Conflict, router.RouterInUse)
		w.refused(p.CheckUnowned("deleted"), fault.Conflict, network.PortOwned)
		w.marked()
		gone, err := w.remove(red, r, "", subnet)
		if err != nil || fmt.Sprint(*gone) != fmt.Sprint(*at) {
			w.t.Errorf("removed %v, %v; added %v", gone, err, at)
		}
		w.must(w.delete(r))
		w.marked("router/" + r.ID)
		if left, err := w.networks.Ports(w.t.Context(), w.db, admin, network.PortFilter{}); err != nil || len(left) != 0 {
			w.t.Errorf("ports are left: %v %v", left, err)
		}
	})
}

func TestWhatCannotBeAnInterface(t *testing.T) {
	each(t, func(w *world) {
		r, subnet := w.router(red, true), w.subnets(w.red)[0]
		_, err := w.add(red, r, w.subnets(w.blue)[0])
		w.refused(err, fault.NotFound, network.NoSuchSubnet)
		_, err = w.add(blue, r, w.subnets(w.blue)[0])
		w.refused(err, fault.NotFound, router.NoSuchRouter)
		w.refused(w.addPort(red, r, w.port(w.blue, blue).ID), fault.NotFound, network.NoSuchPort)
		w.refused(w.addPort(red, r, w.port(w.red, red, []network.FixedIP{}...).ID), fault.Invalid, network.BadRequest)

		_, err = w.add(red, r, subnet)
		w.must(err)
		other := w.router(red, false)
		_, err = w.add(red, other, subnet)
		w.refused(err, fault.Conflict, network.AddressInUse)
		w.must(w.addPort(red, other, w.port(w.red, red, network.FixedIP{Subnet: subnet}).ID))

		// The same addresses twice, and a part of them.
		for _, cidr := range []string{"10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"} {
			again := w.network("red", false)
			_, err := w.add(red, r, w.subnet(again, "red", cidr))
			w.refused(err, fault.Invalid, network.BadRequest)
		}
		used := w.port(w.red, red, network.FixedIP{Subnet: subnet})
		w.must(w.tx(func(tx *db.Tx) error {
			_, err := w.networks.Attach(w.t.Context(), tx, used.ID, "red", network.Use{DeviceID: "server", DeviceOwner: "compute:nova"})
			return err
		}))
		w.refused(w.addPort(red, r, used.ID), fault.Conflict, network.PortInUse)

		_, err = w.remove(red, r, used.ID, "")
		w.refused(err, fault.NotFound, router.NoSuchInterface)
		_, err = w.remove(red, r, w.again(r).Gateway.Port, "")
		w.refused(err, fault.NotFound, router.NoSuchInterface)
		_, err = w.remove(red, other, "", w.subnet(w.network("red", false), "red", "10.7.0.0/24"))
		w.refused(err, fault.NotFound, router.NoInterfaceOnSubnet)
		at, err := w.Interfaces(w.t.Context(), w.db, r.ID)
		w.must(err)
		_, err = w.remove(red, r, at[r.ID][0].ID, w.subnets(w.out)[0])
		w.refused(err, fault.Invalid, router.SubnetNotOfPort)
	})
}

// Nobody takes the gateway's address of a network that is only shared with him.
func TestAGuestDoesNotBecomeTheGateway(t *testing.T) {
	each(t, func(w *world) {
		r := w.router(blue, false)
		w.share(w.red)
		_, err := w.add(blue, r, w.subnets(w.red)[0])
		if !fault.Is(err, fault.Forbidden) {
			w.t.Errorf("got %v", err)
		}
		w.must(w.addPort(blue, r, w.port(w.red, blue).ID))
		// Nor does the network's owner take a guest's port.
		w.refused(w.addPort(red, w.router(red, false), w.port(w.red, blue).ID), fault.NotFound, network.NoSuchPort)
	})
}

func (w *world) share(id string) {
	w.t.Helper()
	w.must(w.tx(func(tx *db.Tx) error {
		_, err := w.networks.CreateRBAC(w.t.Context(), tx, red, network.RBAC{Project: "red", Kind: network.SharedNetwork, Object: id, Action: network.AsShared, Target: "blue"})
		return err
	}))
}

func TestIPv6SubnetsOfANetworkShareAPort(t *testing.T) {
	each(t, func(w *world) {
		r := w.router(red, false)
		four := w.subnets(w.red)[0]
		one, two := w.subnet(w.red, "red", "fd00:1::/64"), w.subnet(w.red, "red", "fd00:2::/64")
		ports := map[string]string{}
		for _, subnet := range []string{four, one, two} {
			at, err := w.add(red, r, subnet)
			w.must(err)
			ports[subnet] = at.Port
		}
		if ports[one] != ports[two] || ports[one] == ports[four] {
			w.t.Errorf("ports: %v", ports)
		}
		_, err := w.remove(red, r, "", one)
		w.must(err)
		p, err := w.networks.Port(w.t.Context(), w.db, red, ports[two])
		w.must(err)
		if len(p.FixedIPs) != 1 || p.FixedIPs[0].Subnet != two {
			w.t.Errorf("left: %v", p.FixedIPs)
		}
		second := w.port(w.red, red, network.FixedIP{Subnet: one})
		w.refused(w.addPort(red, r, second.ID), fault.Invalid, network.BadRequest)
		gone, err := w.remove(red, r, ports[two], two)
		if err != nil || len(gone.Subnets) != 1 {
			w.t.Errorf("removed %v, %v", gone, err)
		}
	})
}

func TestGateways(t *testing.T) {
	each(t, func(w *world) {
		r := w.router(red, false)
		set := func(wish router.GatewayWish) error { return w.change(red, r, router.Change{Gateway: &wish}) }
		w.refused(set(router.GatewayWish{Network: w.red}), fault.Invalid, network.BadRequest)
		w.refused(set(router.GatewayWish{Network: w.blue}), fault.NotFound, network.NoSuchNetwork)
		w.refused(set(router.GatewayWish{Network: w.network("operators", true)}), fault.Invalid, network.BadRequest)
		at := func(a string) []network.FixedIP { return []network.FixedIP{{Subnet: w.subnets(w.out)[0], Addr: ip(a)}} }
		w.refused(set(router.GatewayWish{Network: w.out, FixedIPs: at("203.0.113.1")}), fault.Invalid, network.BadRequest)
		w.must(set(router.GatewayWish{Network: w.out, FixedIPs: at("203.0.113.5")}))
		first := w.again(r).Gateway
		if first.SNAT || first.FixedIPs[0].Addr != ip("203.0.113.5") {
			w.t.Errorf("got %+v", first)
		}
		w.must(set(router.GatewayWish{Network: w.out, SNAT: true}))
		if g := w.again(r).Gateway; !g.SNAT || g.FixedIPs[0] != first.FixedIPs[0] || g.Port != first.Port {
			w.t.Errorf("SNAT switched on: %+v", g)
		}
		w.must(set(router.GatewayWish{Network: w.out, SNAT: true, FixedIPs: at("203.0.113.6")}))
		if g := w.again(r).Gateway; g.FixedIPs[0].Addr != ip("203.0.113.6") || g.Port != first.Port {
			w.t.Errorf("other address: %+v", g)
		}
		second := w.network("operators", true)
		w.subnet(second, "operators", "198.51.100.0/24")
		w.must(set(router.GatewayWish{Network: second, SNAT: true}))
		if g := w.again(r).Gateway; g.Network != second || g.Port == first.Port {
			w.t.Errorf("other network: %+v", g)
		}
		w.must(w.change(red, r, router.Change{NoGateway: true}))
		if got := w.again(r); got.Gateway != nil {
			w.t.Errorf("cleared: %+v", got.Gateway)
		}
		if left, err := w.networks.Ports(w.t.Context(), w.db, admin, network.PortFilter{}); err != nil || len(left) != 0 {
			w.t.Errorf("ports are left: %v %v", left, err)
		}
	})
}

func TestRoutes(t *testing.T) {
	each(t, func(w *world) {
		r, subnet := w.router(red, true), w.subnets(w.red)[0]
		_, err := w.add(red, r, subnet)
		w.must(err)
		to := func(cidr, hop string) network.Route {
			return network.Route{Destination: netip.MustParsePrefix(cidr), NextHop: ip(hop)}
		}
		set := func(routes ...network.Route) error { return w.change(red, r, router.Change{Routes: &routes}) }
		w.refused(set(to("172.16.0.0/12", "10.9.0.7")), fault.Invalid, router.InvalidRoutes)
		w.refused(set(to("172.16.0.0/12", "10.0.0.1")), fault.Invalid, router.InvalidRoutes)
		w.refused(set(to("fd00::/64", "10.0.0.7")), fault.Invalid, router.InvalidRoutes)
		w.refused(set(to("172.16.0.0/12", "10.0.0.7"), to("172.16.0.0/12", "10.0.0.7")), fault.Invalid, router.InvalidRoutes)
		many := []network.Route{}
		for i := range 31 {
			many = append(many, to(fmt.Sprintf("172.16.%d.0/24", i), "10.0.0.7"))
		}
		w.refused(set(many...), fault.Invalid, router.TooManyRoutes)
		w.must(set(many[:2]...))
		w.must(w.tx(func(tx *db.Tx) error {
			_, err := w.AddRoutes(w.t.Context(), tx, red, r.ID, many[1:4])
			return err
		}))
		w.must(w.tx(func(tx *db.Tx) error {
			_, err := w.RemoveRoutes(w.t.Context(), tx, red, r.ID, []network.Route{many[0], many[9]})
			return err
		}))
		if got := w.again(r).Routes; !slices.Equal(got, many[1:4]) {
			w.t.Errorf("routes: %v", got)
		}
		_, err = w.remove(red, r, "", subnet)
		w.refused(err, fault.Conflict, router.InterfaceInUseByRoute)
		outside := []network.Route{to("172.16.0.0/12", "203.0.113.1")}
		w.must(w.change(red, r, router.Change{Routes: &outside}))
		w.refused(w.change(red, r, router.Change{NoGateway: true}), fault.Invalid, router.InvalidRoutes)
		w.must(w.change(red, r, router.Change{NoGateway: true, Routes: &[]network.Route{}}))
	})
}

func TestQuota(t *testing.T) {
	each(t, func(w *world) {
		w.must(w.tx(func(tx *db.Tx) error {
			return w.networks.SetLimits(w.t.Context(), tx, "red", network.Limits{"router": 1, "floatingip": 1})
		}))
		w.router(red, false)
		w.router(blue, false)
		w.refused(w.tx(func(tx *db.Tx) error {
			_, err := w.Create(w.t.Context(), tx, red, router.NewRouter{Project: "red"})
			return err
		}), fault.Quota, network.OverQuota)
		_, err := w.float(red, router.NewFloatingIP{})
		w.must(err)
		_, err = w.float(red, router.NewFloatingIP{})
		w.refused(err, fault.Quota, network.OverQuota)
	})
}
