package network_test

import (
	"net/netip"
	"testing"

	"github.com/ingotcloud/ingot/internal/network"
)

// A port is found by what it sends from, on its own network only.
func TestWhichPortSendsFromAnAddress(t *testing.T) {
	each(t, func(w *world) {
		p := w.port(network.NewPort{MAC: "52:54:00:12:34:56", FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.11")}}})
		w.port(network.NewPort{FixedIPs: []network.FixedIP{{Addr: ip("10.0.0.12")}}})
		for _, c := range []struct {
			network string
			from    netip.Addr
			want    string
		}{
			{w.net.ID, ip("10.0.0.11"), p.ID},
			{w.net.ID, ip("fe80::5054:ff:fe12:3456"), p.ID}, // made of the MAC
			{w.net.ID, ip("fe80::5054:ff:fe12:3457"), ""},
			{w.net.ID, ip("fe80::1"), ""}, // made of none
			{w.net.ID, ip("10.0.0.10"), ""},
			{"another", ip("10.0.0.11"), ""},
			{"another", ip("fe80::5054:ff:fe12:3456"), ""},
		} {
			found, err := w.PortAt(t.Context(), w.db, c.network, c.from)
			w.must(err)
			got := ""
			if found != nil {
				got = found.ID
			}
			if got != c.want {
				t.Errorf("%s on %s: %q, want %q", c.from, c.network, got, c.want)
			}
		}
	})
}
