package server

import (
	"log/slog"
	"testing"

	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// What OVN has no words for is refused when it is asked for, and not left out when it is carried out.
func TestWhatOVNCannotHoldIsRefused(t *testing.T) {
	t.Setenv("INGOT_HOME", t.TempDir())
	c, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	p, err := build(t.Context(), c, slog.New(slog.DiscardHandler), machine.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	dccp := func(first, last *int) error {
		return p.db.Tx(t.Context(), func(tx *db.Tx) error {
			id, err := p.groups.Default(t.Context(), tx, "demo")
			if err != nil {
				return err
			}
			_, err = p.groups.CreateRule(t.Context(), tx, securitygroup.Everything, securitygroup.NewRule{Group: id, Protocol: "dccp", First: first, Last: last})
			return err
		})
	}
	option := func(change bool, o network.DHCPOption) error {
		return p.db.Tx(t.Context(), func(tx *db.Tx) error {
			n, err := p.networks.CreateNetwork(t.Context(), tx, network.NewNetwork{Project: "demo"})
			if err != nil {
				return err
			}
			spec := network.NewPort{Project: "demo", Network: n.ID}
			if !change {
				spec.DHCPOptions = []network.DHCPOption{o}
			}
			port, err := p.networks.CreatePort(t.Context(), tx, spec)
			if err == nil && change {
				_, err = p.networks.ChangePort(t.Context(), tx, port.ID, network.PortChange{DHCPOptions: []network.DHCPOption{o}})
			}
			return err
		})
	}
	if err := dccp(nil, nil); err != nil {
		t.Errorf("a rule for a protocol: %v", err)
	}
	if err := dccp(new(22), new(23)); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a rule with ports of DCCP: %v", err)
	}
	const held = fault.Kind(-1)
	for _, change := range []bool{false, true} {
		for o, kind := range map[network.DHCPOption]fault.Kind{
			{Name: "ntp-server", Value: "10.0.0.7, 10.0.0.8", Version: 4}: held, {Name: "tag:!ipxe,67", Value: "undionly.kpxe", Version: 4}: held, {Name: "dns-server", Value: "fd00::7", Version: 6}: held,
			{Name: "no-such-option", Value: "x", Version: 4}: fault.Unsupported, {Name: "ntp-server", Value: "fd00::7", Version: 4}: fault.Invalid,
			{Name: "dns-server", Value: "10.0.0.7", Version: 6}: fault.Invalid, {Name: "mtu", Value: "70000", Version: 4}: fault.Invalid,
		} {
			if err := option(change, o); kind == held && err != nil || kind != held && !fault.Is(err, kind) {
				t.Errorf("%v (changed: %t): %v", o, change, err)
			}
		}
	}
}
