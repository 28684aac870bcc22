package router_test

import (
	"net/netip"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

// A router's rows have its subnets' gateways and DNS servers, and its networks' MTU in them.
func TestARouterIsMarkedWithItsNetworks(t *testing.T) {
	each(t, func(w *world) {
		r, _ := w.reachable(red, w.red)
		w.reachable(blue, w.blue)
		inside, outside := w.subnets(w.red)[0], w.subnets(w.out)[0]
		w.marks()
		subnet := func(id string, c network.SubnetChange) {
			t.Helper()
			w.must(w.tx(func(tx *db.Tx) error { _, err := w.networks.ChangeSubnet(w.t.Context(), tx, id, c); return err }))
		}
		size := func(id string, mtu int) {
			t.Helper()
			w.must(w.tx(func(tx *db.Tx) error {
				_, err := w.networks.ChangeNetwork(w.t.Context(), tx, admin, id, network.NetworkChange{MTU: &mtu})
				return err
			}))
		}
		name := "new"
		subnet(inside, network.SubnetChange{DNS: &[]netip.Addr{ip("9.9.9.9")}})
		w.marked("router/" + r.ID)
		subnet(inside, network.SubnetChange{Name: &name})
		w.marked()
		size(w.red, 1300)
		w.marked("router/" + r.ID)

		second, _ := w.router(red, true), w.router(red, false)
		w.marks()
		size(w.out, 1300)
		gateways, err := w.Routers(t.Context(), w.db, admin, router.RouterFilter{})
		w.must(err)
		var want []string
		for _, r := range gateways {
			if r.Gateway != nil {
				want = append(want, "router/"+r.ID)
			}
		}
		if len(want) != 3 {
			t.Fatalf("%v have gateways, %s among them", want, second.ID)
		}
		w.marked(want...)
		subnet(outside, network.SubnetChange{Gateway: &netip.Addr{}})
		w.marked(want...)
	})
}

func TestARoutersPortsMarkIt(t *testing.T) {
	each(t, func(w *world) {
		r, _ := w.reachable(red, w.red)
		legs, err := w.Interfaces(t.Context(), w.db, r.ID)
		w.must(err)
		w.marks()
		down := false
		for _, port := range []string{legs[r.ID][0].ID, r.Gateway.Port} {
			w.must(w.tx(func(tx *db.Tx) error {
				_, err := w.networks.ChangePort(w.t.Context(), tx, port, network.PortChange{AdminUp: &down})
				return err
			}))
			w.marked("router/" + r.ID)
		}
	})
}

// A floating IP's rows name the gateway of its router.
func TestAGatewaysChangeMarksItsFloatingIPs(t *testing.T) {
	each(t, func(w *world) {
		r, p := w.reachable(red, w.red)
		f, err := w.float(red, router.NewFloatingIP{Target: router.Target{Port: p.ID}})
		w.must(err)
		_, err = w.float(red, router.NewFloatingIP{})
		w.must(err)
		w.marks()
		w.must(w.change(red, r, router.Change{Gateway: &router.GatewayWish{Network: w.out}}))
		w.marked("router/"+r.ID, "floatingip/"+f.ID)
		name := "new"
		w.must(w.change(red, r, router.Change{Name: &name}))
		w.marked("router/" + r.ID)
	})
}
