package network_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (w *world) changeSubnet(s *network.Subnet, c network.SubnetChange) error {
	_, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.Subnet, error) { return w.ChangeSubnet(ctx, tx, s.ID, c) })
	return err
}

// A port with DHCP options of its own has rows with its subnet's options and its network's MTU in them; a router's port is
// advertised with them. Other ports only refer to the network's rows.
func TestWhatCopiesItsSubnetIsMarkedWithIt(t *testing.T) {
	surrounded(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		one := w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		two := w.subnet(n, network.NewSubnet{CIDR: prefix("10.2.0.0/24")})
		at := func(s *network.Subnet, spec network.NewPort) *network.Port {
			spec.FixedIPs = []network.FixedIP{{Subnet: s.ID}}
			return w.on(n, spec)
		}
		options := []network.DHCPOption{{Name: "bootfile-name", Value: "x", Version: 4}}
		own, elsewhere := at(one, network.NewPort{DHCPOptions: options}), at(two, network.NewPort{DHCPOptions: options})
		leg := at(one, network.NewPort{DeviceID: "r", DeviceOwner: "network:router_interface"})
		at(one, network.NewPort{})
		w.on(w.network(network.NewNetwork{}), network.NewPort{DHCPOptions: options})
		w.marks()
		scope := "network/" + n.ID
		for what, c := range map[string]network.SubnetChange{
			"gateway": {Gateway: &netip.Addr{}}, "DHCP": {DHCP: ptr(false)}, "DNS": {DNS: &[]netip.Addr{ip("9.9.9.9")}},
			"routes": {Routes: &[]network.Route{{Destination: prefix("10.9.0.0/16"), NextHop: ip("10.1.0.9")}}},
		} {
			t.Log(what)
			w.must(w.changeSubnet(one, c))
			w.marked(scope, "port/"+own.ID, "port/"+leg.ID)
		}
		w.must(w.changeSubnet(one, network.SubnetChange{Name: ptr("new")}))
		w.marked(scope)
		w.must(w.changeNetwork(n, network.NetworkChange{MTU: ptr(1300)}))
		w.marked(scope, "port/"+own.ID, "port/"+elsewhere.ID, "port/"+leg.ID)
		w.must(w.changeNetwork(n, network.NetworkChange{MTU: ptr(1300), Name: ptr("new")}))
		w.marked(scope)
		w.must(w.changeNetwork(n, network.NetworkChange{AdminUp: ptr(false)}))
		w.marked(scope)
	})
}

func TestANetworksPolicyMarksItsPorts(t *testing.T) {
	surrounded(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		p := w.on(n, network.NewPort{})
		w.on(w.network(network.NewNetwork{}), network.NewPort{})
		w.marks()
		for _, policy := range []string{"gold", ""} {
			w.must(w.changeNetwork(n, network.NetworkChange{QoS: &policy}))
			w.marked("network/"+n.ID, "port/"+p.ID)
		}
		w.must(w.changeNetwork(n, network.NetworkChange{QoS: ptr("")}))
		w.marked("network/" + n.ID)
	})
}
