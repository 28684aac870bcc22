package router_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

// float makes a floating IP of out for the viewer's project.
func (w *world) float(v network.Viewer, spec router.NewFloatingIP) (f *router.FloatingIP, err error) {
	spec.Network, spec.Project = w.out, v.Project
	err = w.tx(func(tx *db.Tx) error { f, err = w.CreateFloatingIP(w.t.Context(), tx, v, spec); return err })
	return f, err
}

func (w *world) aim(v network.Viewer, f *router.FloatingIP, to router.Target) error {
	return w.tx(func(tx *db.Tx) error {
		_, err := w.ChangeFloatingIP(w.t.Context(), tx, v, f.ID, router.FloatingIPChange{Target: &to})
		return err
	})
}

func (w *world) current(f *router.FloatingIP) *router.FloatingIP {
	w.t.Helper()
	f, err := w.FloatingIP(w.t.Context(), w.db, admin, f.ID)
	w.must(err)
	return f
}

// reachable gives the tenant a router between its network and out, and a port.
func (w *world) reachable(v network.Viewer, on string) (*router.Router, *network.Port) {
	w.t.Helper()
	r := w.router(v, true)
	_, err := w.add(v, r, w.subnets(on)[0])
	w.must(err)
	return r, w.port(on, v, network.FixedIP{Subnet: w.subnets(on)[0]})
}

var onMachine = network.Place{Host: "machine", MAC: "52:54:00:00:00:07", Edge: network.Edge{Kind: network.EdgeOVS, Interface: "nic"}}

func TestAFloatingIPFollowsItsPort(t *testing.T) {
	each(t, func(w *world) {
		r, p := w.reachable(red, w.red)
		f, err := w.float(red, router.NewFloatingIP{Description: "d"})
		w.must(err)
		if f.Active() || !netip.MustParsePrefix("203.0.113.0/29").Contains(f.Addr) || f.Revision != 1 {
			w.t.Errorf("made: %+v", f)
		}
		w.marks()
		w.must(w.aim(red, f, router.Target{Port: p.ID}))
		w.marked("floatingip/" + f.ID)
		if got := w.current(f); got.FixedAddr != p.FixedIPs[0].Addr || got.Router != r.ID || !got.Active() || got.Revision != 2 {
			w.t.Errorf("associated: %+v", got)
		}
		_, err = w.remove(red, r, "", w.subnets(w.red)[0])
		w.refused(err, fault.Conflict, router.InterfaceInUseByFIP)
		w.refused(w.change(red, r, router.Change{NoGateway: true}), fault.Conflict, router.GatewayInUse)

		// Binding the port changes what the row says; the association stays.
		w.marks()
		w.must(w.tx(func(tx *db.Tx) error { return w.networks.Bind(w.t.Context(), tx, p.ID, onMachine) }))
		w.marked("floatingip/" + f.ID)

		// With the address goes the association: the next one to have it may be somebody else.
		other := []network.FixedIP{{Subnet: w.subnets(w.red)[0], Addr: ip("10.0.0.7")}}
		if p.FixedIPs[0].Addr == other[0].Addr {
			other[0].Addr = ip("10.0.0.6")
		}
		w.must(w.tx(func(tx *db.Tx) error {
			_, err := w.networks.ChangePort(w.t.Context(), tx, p.ID, network.PortChange{FixedIPs: &other})
			return err
		}))
		if got := w.current(f); got.Active() || got.FixedPort != "" {
			w.t.Errorf("after another address: %+v", got)
		}
		w.must(w.aim(red, f, router.Target{Port: p.ID, Addr: other[0].Addr}))
		w.marks()
		w.must(w.tx(func(tx *db.Tx) error { return w.networks.DeletePort(w.t.Context(), tx, p.ID) }))
		w.marked("floatingip/" + f.ID)
		if got := w.current(f); got.Active() || got.FixedPort != "" || got.FixedAddr.IsValid() {
			w.t.Errorf("after the port: %+v", got)
		}
		w.must(w.tx(func(tx *db.Tx) error { return w.DeleteFloatingIP(w.t.Context(), tx, f.ID) }))
		_, err = w.networks.Port(w.t.Context(), w.db, admin, f.Port)
		w.refused(err, fault.NotFound, network.NoSuchPort)
	})
}

func TestWhatAFloatingIPCannotLeadTo(t *testing.T) {
	each(t, func(w *world) {
		_, p := w.reachable(red, w.red)
		_, foreign := w.reachable(blue, w.blue)
		f, err := w.float(red, router.NewFloatingIP{})
		w.must(err)
		w.refused(w.aim(red, f, router.Target{Port: foreign.ID}), fault.NotFound, network.NoSuchPort)
		w.refused(w.aim(blue, f, router.Target{Port: foreign.ID}), fault.NotFound, router.NoSuchFloatingIP)
		w.refused(w.aim(red, f, router.Target{Port: p.ID, Addr: ip("10.0.0.99")}), fault.Invalid, network.BadRequest)
		w.refused(w.aim(red, f, router.Target{Port: p.ID, Addr: ip("fd00::1")}), fault.Invalid, network.BadRequest)
		w.refused(w.aim(red, f, router.Target{Addr: p.FixedIPs[0].Addr}), fault.Invalid, network.BadRequest)

		island := w.network("red", false)
		lonely := w.port(island, red, network.FixedIP{Subnet: w.subnet(island, "red", "10.5.0.0/24")})
		w.refused(w.aim(red, f, router.Target{Port: lonely.ID}), fault.NotFound, router.NotReachable)
		inner := w.router(red, false)
		_, err = w.add(red, inner, w.subnets(island)[0])
		w.must(err)
		w.refused(w.aim(red, f, router.Target{Port: lonely.ID}), fault.NotFound, router.NotReachable)

		subnet := network.FixedIP{Subnet: w.subnets(w.red)[0]}
		two := w.port(w.red, red, subnet, subnet)
		w.refused(w.aim(red, f, router.Target{Port: two.ID}), fault.Invalid, network.BadRequest)
		w.must(w.aim(red, f, router.Target{Port: two.ID, Addr: two.FixedIPs[1].Addr}))
		w.must(w.aim(red, f, router.Target{Port: two.ID, Addr: two.FixedIPs[0].Addr}))
		second, err := w.float(red, router.NewFloatingIP{Target: router.Target{Port: two.ID, Addr: two.FixedIPs[1].Addr}})
		w.must(err)
		w.refused(w.aim(red, second, router.Target{Port: two.ID, Addr: two.FixedIPs[0].Addr}), fault.Conflict, router.AlreadyAssociated)
		w.must(w.aim(red, f, router.Target{}))
		w.must(w.aim(red, second, router.Target{Port: two.ID, Addr: two.FixedIPs[0].Addr}))
	})
}

func TestWhichFloatingIPsThereAre(t *testing.T) {
	each(t, func(w *world) {
		subnet := w.subnets(w.out)[0]
		for _, spec := range []router.NewFloatingIP{
			{Addr: ip("203.0.113.1")}, {Addr: ip("fd00::1")}, {Subnet: w.subnets(w.red)[0]}, {DNSName: "www"}, {DNSDomain: "example.org."},
		} {
			_, err := w.float(admin, spec)
			w.refused(err, fault.Invalid, network.BadRequest)
		}
		if _, err := w.float(red, router.NewFloatingIP{QoS: "tin"}); !fault.Is(err, fault.NotFound) {
			w.t.Errorf("a policy that there is not: %v", err)
		}
		f, err := w.float(red, router.NewFloatingIP{Addr: ip("203.0.113.4"), Subnet: subnet, QoS: "gold", DNSName: "www", DNSDomain: "example.org."})
		w.must(err)
		_, err = w.float(red, router.NewFloatingIP{Addr: f.Addr})
		w.refused(err, fault.Conflict, network.AddressInUse)
		for range 4 {
			_, err := w.float(blue, router.NewFloatingIP{})
			w.must(err)
		}
		_, err = w.float(blue, router.NewFloatingIP{})
		w.refused(err, fault.Exhausted, network.OutOfAddresses)
		if mine, err := w.FloatingIPs(w.t.Context(), w.db, red, router.FloatingIPFilter{}); err != nil || len(mine) != 1 || mine[0].QoS != "gold" || mine[0].DNSName != "www" {
			w.t.Errorf("red's: %v %v", mine, err)
		}
		err = w.tx(func(tx *db.Tx) error {
			_, err := w.CreateFloatingIP(w.t.Context(), tx, red, router.NewFloatingIP{Project: "red", Network: w.red})
			return err
		})
		w.refused(err, fault.Invalid, network.BadRequest)
		pools, err := w.Pools(w.t.Context(), w.db, red)
		if err != nil || len(pools) != 1 || pools[0].Subnet.ID != subnet {
			w.t.Errorf("pools: %v %v", pools, err)
		}
	})
}

// Of several floating IPs that are led to one port at once, one is.
func TestOnePortHasOneFloatingIP(t *testing.T) {
	each(t, func(w *world) {
		_, p := w.reachable(red, w.red)
		var rivals []*router.FloatingIP
		for range 4 {
			f, err := w.float(red, router.NewFloatingIP{})
			w.must(err)
			rivals = append(rivals, f)
		}
		errs := make([]error, len(rivals))
		var wg sync.WaitGroup
		for i, f := range rivals {
			wg.Go(func() { errs[i] = w.aim(red, f, router.Target{Port: p.ID}) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, router.AlreadyAssociated) {
				w.t.Error(err)
			}
		}
		if won != 1 {
			w.t.Errorf("%d of %d lead to the port: %v", won, len(rivals), errs)
		}
	})
}

// The router that is the subnet's gateway comes first.
func TestTheGatewayLeadsOut(t *testing.T) {
	each(t, func(w *world) {
		subnet := w.subnets(w.red)[0]
		side := w.router(red, true)
		w.must(w.addPort(red, side, w.port(w.red, red, network.FixedIP{Subnet: subnet}).ID))
		p := w.port(w.red, red, network.FixedIP{Subnet: subnet})
		f, err := w.float(red, router.NewFloatingIP{Target: router.Target{Port: p.ID}})
		w.must(err)
		if f.Router != side.ID {
			w.t.Errorf("by %s, want %s", f.Router, side.ID)
		}
		main := w.router(red, true)
		_, err = w.add(red, main, subnet)
		w.must(err)
		w.must(w.aim(red, f, router.Target{}))
		w.must(w.aim(red, f, router.Target{Port: p.ID}))
		if got := w.current(f); got.Router != main.ID {
			w.t.Errorf("by %s, want %s", got.Router, main.ID)
		}
	})
}

func TestForwardings(t *testing.T) {
	each(t, func(w *world) {
		r, p := w.reachable(red, w.red)
		f, err := w.float(red, router.NewFloatingIP{})
		w.must(err)
		forward := func(wish router.Forwarding) (made *router.Forwarding, err error) {
			w.clock.Step(time.Second)
			err = w.tx(func(tx *db.Tx) error { made, err = w.CreateForwarding(w.t.Context(), tx, red, f.ID, wish); return err })
			return made, err
		}
		one := func(port int) router.PortRange { return router.PortRange{First: port, Last: port} }
		web := router.Forwarding{Protocol: "tcp", Port: p.ID, Outside: one(80), Inside: one(8080)}
		w.marks()
		first, err := forward(web)
		w.must(err)
		w.marked("floatingip/" + f.ID)
		if first.Addr != p.FixedIPs[0].Addr || w.current(f).Router != r.ID || !w.current(f).Active() {
			w.t.Errorf("made %+v on %+v", first, w.current(f))
		}
		for name, spoil := range map[string]func(*router.Forwarding){
			"the same outside":  func(f *router.Forwarding) { f.Inside = one(1) },
			"the same inside":   func(f *router.Forwarding) { f.Outside = one(1) },
			"a range around it": func(f *router.Forwarding) { f.Outside, f.Inside = router.PortRange{First: 79, Last: 81}, one(1) },
			"no port":           func(f *router.Forwarding) { f.Outside = one(0) },
			"too high a port":   func(f *router.Forwarding) { f.Outside = one(65536) },
			"backwards":         func(f *router.Forwarding) { f.Outside = router.PortRange{First: 90, Last: 81} },
			"unequal ranges": func(f *router.Forwarding) {
				f.Outside, f.Inside = router.PortRange{First: 90, Last: 99}, router.PortRange{First: 90, Last: 91}
			},
			"ICMP":                func(f *router.Forwarding) { f.Protocol = "icmp" },
			"an address too many": func(f *router.Forwarding) { f.Addr = ip("10.0.0.250") },
		} {
			bad := web
			spoil(&bad)
			if _, err := forward(bad); !errors.Is(err, network.BadRequest) {
				w.t.Errorf("%s: %v", name, err)
			}
		}
		dns := web
		dns.Protocol = "udp"
		second, err := forward(dns)
		w.must(err)
		many := router.Forwarding{Protocol: "tcp", Port: p.ID, Outside: router.PortRange{First: 1000, Last: 1009}, Inside: router.PortRange{First: 2000, Last: 2009}}
		_, err = forward(many)
		w.must(err)

		w.refused(w.aim(red, f, router.Target{Port: p.ID}), fault.Conflict, router.FloatingIPForwards)
		w.refused(w.tx(func(tx *db.Tx) error { return w.DeleteFloatingIP(w.t.Context(), tx, f.ID) }), fault.Conflict, router.FloatingIPForwards)
		_, err = w.remove(red, r, "", w.subnets(w.red)[0])
		w.refused(err, fault.Conflict, router.InterfaceInUseByFIP)
		_, err = w.float(red, router.NewFloatingIP{Target: router.Target{Port: p.ID}})
		w.refused(err, fault.Invalid, router.PortForwards)
		w.must(w.aim(red, f, router.Target{}))
		if !w.current(f).Active() {
			w.t.Error("a floating IP that forwards lost its router")
		}

		move := func(id string, to int) error {
			return w.tx(func(tx *db.Tx) error {
				_, err := w.ChangeForwarding(w.t.Context(), tx, red, f.ID, id, func(f *router.Forwarding) error { f.Outside = one(to); return nil })
				return err
			})
		}
		w.must(move(first.ID, 81))
		w.refused(move(first.ID, 1004), fault.Invalid, network.BadRequest)
		w.refused(move("unknown", 1), fault.NotFound, router.NoSuchForwarding)
		w.must(w.tx(func(tx *db.Tx) error { return w.DeleteForwarding(w.t.Context(), tx, red, f.ID, second.ID) }))
		if got := w.current(f).Forwardings; len(got) != 2 || got[0].Outside != one(81) {
			w.t.Errorf("left: %+v", got)
		}
		w.marks()
		w.must(w.tx(func(tx *db.Tx) error { return w.networks.DeletePort(w.t.Context(), tx, p.ID) }))
		w.marked("floatingip/" + f.ID)
		if got := w.current(f); len(got.Forwardings) != 0 || got.Active() {
			w.t.Errorf("after the port: %+v", got)
		}
	})
}

func TestAnAssociatedFloatingIPForwardsNothing(t *testing.T) {
	each(t, func(w *world) {
		_, p := w.reachable(red, w.red)
		f, err := w.float(red, router.NewFloatingIP{Target: router.Target{Port: p.ID}})
		w.must(err)
		free, err := w.float(red, router.NewFloatingIP{})
		w.must(err)
		wish := router.Forwarding{Protocol: "tcp", Port: p.ID, Outside: router.PortRange{First: 22, Last: 22}, Inside: router.PortRange{First: 22, Last: 22}}
		for id, why := range map[string]network.Reason{f.ID: router.AlreadyAssociated, free.ID: router.PortHasFloatingIP} {
			w.refused(w.tx(func(tx *db.Tx) error {
				_, err := w.CreateForwarding(w.t.Context(), tx, red, id, wish)
				return err
			}), fault.Conflict, why)
		}
	})
}
