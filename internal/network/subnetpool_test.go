package network_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

func (w *world) tryPool(p network.SubnetPool) (*network.SubnetPool, error) {
	if p.Project == "" {
		p.Project = "demo"
	}
	if p.Quota == 0 {
		p.Quota = network.Unlimited
	}
	return within(w, func(ctx context.Context, tx *db.Tx) (*network.SubnetPool, error) {
		return w.CreateSubnetPool(ctx, tx, p)
	})
}

func (w *world) pool(p network.SubnetPool) *network.SubnetPool {
	w.t.Helper()
	made, err := w.tryPool(p)
	w.must(err)
	return made
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, prefix(text))
	}
	return list
}

func TestSubnetsFromAPool(t *testing.T) {
	each(t, func(w *world) {
		p := w.pool(network.SubnetPool{Prefixes: prefixes("10.0.1.0/24", "10.0.0.0/24", "10.8.0.0/30", "10.0.0.0/25"), DefaultBits: 25, Quota: 500})
		if fmt.Sprint(p.Prefixes) != "[10.0.0.0/23 10.8.0.0/30]" || p.LeastBits != 8 || p.MostBits != 32 {
			w.t.Errorf("made %+v", p)
		}
		n := w.network(network.NewNetwork{})
		cut := func(spec network.NewSubnet, want string) *network.Subnet {
			w.t.Helper()
			spec.SubnetPool = p.ID
			s := w.subnet(n, spec)
			if s.CIDR.String() != want || s.SubnetPool != p.ID {
				w.t.Errorf("got %s of %s, want %s", s.CIDR, s.SubnetPool, want)
			}
			return s
		}
		cut(network.NewSubnet{Version: 4}, "10.0.0.0/25")
		cut(network.NewSubnet{CIDR: prefix("10.0.1.0/26")}, "10.0.1.0/26")
		gap := cut(network.NewSubnet{}, "10.0.0.128/25")
		cut(network.NewSubnet{Bits: 26}, "10.0.1.64/26")
		_, err := w.trySubnet(n, network.NewSubnet{SubnetPool: p.ID})
		w.refused(err, fault.Quota, network.SubnetPoolOverQuota) // 384 of 500 are spent, and it would be another 128
		w.must(w.delete(w.DeleteSubnet, gap.ID))
		cut(network.NewSubnet{Bits: 28}, "10.0.0.128/28")
		for name, x := range map[string]struct {
			spec network.NewSubnet
			kind fault.Kind
			why  network.Reason
		}{
			"taken":       {network.NewSubnet{CIDR: prefix("10.0.1.0/27")}, fault.Conflict, network.SubnetPoolShort},
			"outside":     {network.NewSubnet{CIDR: prefix("10.0.2.0/27")}, fault.Conflict, network.SubnetPoolShort},
			"too large":   {network.NewSubnet{Bits: 7}, fault.Invalid, network.PrefixTooShort},
			"v6":          {network.NewSubnet{Version: 6}, fault.Invalid, network.BadInput},
			"another one": {network.NewSubnet{CIDR: prefix("10.99.0.0/24"), SubnetPool: "none"}, fault.Invalid, network.SubnetPoolAffinity},
		} {
			if x.spec.SubnetPool = p.ID; name == "another one" {
				x.spec.SubnetPool = ""
			}
			_, err := w.trySubnet(n, x.spec)
			w.refused(err, x.kind, x.why)
		}
		w.refused(w.delete(w.DeleteSubnetPool, p.ID), fault.Invalid, network.SubnetPoolInUse)
		w.must(w.delete(w.DeleteNetwork, n.ID))
		w.must(w.delete(w.DeleteSubnetPool, p.ID))
	})
}

func TestWhatASubnetPoolCannotBe(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		scope, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.AddressScope, error) {
			return w.CreateAddressScope(ctx, tx, network.AddressScope{Project: "demo", Name: "s", Version: 4})
		})
		w.must(err)
		first := w.pool(network.SubnetPool{Prefixes: prefixes("10.0.0.0/16"), AddressScope: scope.ID})
		w.pool(network.SubnetPool{Prefixes: prefixes("10.0.0.0/16"), Default: true})
		for name, x := range map[string]struct {
			spec network.SubnetPool
			kind fault.Kind
			why  network.Reason
		}{
			"empty":                   {network.SubnetPool{}, fault.Invalid, network.SubnetPoolEmpty},
			"mixed":                   {network.SubnetPool{Prefixes: prefixes("10.0.0.0/16", "fd00::/48")}, fault.Invalid, network.SubnetPoolMixed},
			"bounds crossed":          {network.SubnetPool{Prefixes: prefixes("10.0.0.0/16"), LeastBits: 24, MostBits: 20}, fault.Invalid, network.SubnetPoolBounds},
			"default out of bounds":   {network.SubnetPool{Prefixes: prefixes("10.0.0.0/16"), DefaultBits: 31, MostBits: 30}, fault.Invalid, network.SubnetPoolBounds},
			"too long":                {network.SubnetPool{Prefixes: prefixes("10.0.0.0/16"), MostBits: 33}, fault.Invalid, network.SubnetPoolBounds},
			"a second default":        {network.SubnetPool{Prefixes: prefixes("10.5.0.0/16"), Default: true}, fault.Invalid, network.BadInput},
			"twice in a scope":        {network.SubnetPool{Prefixes: prefixes("10.0.7.0/24"), AddressScope: scope.ID}, fault.Conflict, network.AddressScopeClash},
			"v6 in a scope of v4":     {network.SubnetPool{Prefixes: prefixes("fd00::/48"), AddressScope: scope.ID}, fault.Invalid, network.AddressScopeVersion},
			"another project's scope": {network.SubnetPool{Meta: network.Meta{Project: "other"}, Prefixes: prefixes("10.7.0.0/16"), AddressScope: scope.ID}, fault.NotFound, network.NoSuchAddressScope},
		} {
			if _, err := w.tryPool(x.spec); !fault.Is(err, x.kind) {
				w.t.Errorf("%s: got %v", name, err)
			} else {
				w.refused(err, x.kind, x.why)
			}
		}
		change := func(c network.SubnetPoolChange) (*network.SubnetPool, error) {
			return within(w, func(ctx context.Context, tx *db.Tx) (*network.SubnetPool, error) {
				return w.ChangeSubnetPool(ctx, tx, first.ID, c)
			})
		}
		_, err = change(network.SubnetPoolChange{Prefixes: ptr(prefixes("10.0.0.0/17"))})
		w.refused(err, fault.Invalid, network.SubnetPoolShrinks)
		wider, err := change(network.SubnetPoolChange{Prefixes: ptr(prefixes("10.0.0.0/15")), Name: ptr("wider")})
		if err != nil || fmt.Sprint(wider.Prefixes) != "[10.0.0.0/15]" || wider.Name != "wider" {
			w.t.Errorf("wider: %+v %v", wider, err)
		}
		ops := func(f func(context.Context, *db.Tx, string, []netip.Prefix) (*network.SubnetPool, error), texts ...string) (string, error) {
			p, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.SubnetPool, error) {
				return f(ctx, tx, first.ID, prefixes(texts...))
			})
			if err != nil {
				return "", err
			}
			return fmt.Sprint(p.Prefixes), nil
		}
		if got, err := ops(w.AddPrefixes, "10.9.0.0/16"); err != nil || got != "[10.0.0.0/15 10.9.0.0/16]" {
			w.t.Errorf("more: %s %v", got, err)
		}
		if got, err := ops(w.RemovePrefixes, "10.9.0.0/16"); err != nil || got != "[10.0.0.0/15]" {
			w.t.Errorf("less: %s %v", got, err)
		}
		_, err = ops(w.RemovePrefixes, "10.0.0.0/15")
		w.refused(err, fault.Invalid, network.SubnetPoolShrinks)

		// A network tells the scope of its subnets.
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{SubnetPool: first.ID, Bits: 24})
		if seen, err := w.Network(ctx, w.db, demo, n.ID); err != nil || seen.Scope4 != scope.ID || seen.Scope6 != "" {
			w.t.Errorf("its scopes: %+v %v", seen, err)
		}
		w.refused(w.delete(w.DeleteAddressScope, scope.ID), fault.Conflict, network.AddressScopeInUse)
		w.must(w.delete(w.DeleteNetwork, n.ID))
		w.must(w.delete(w.DeleteSubnetPool, first.ID))
		w.must(w.delete(w.DeleteAddressScope, scope.ID))

		_, err = w.trySubnet(w.network(network.NewNetwork{Project: "other"}), network.NewSubnet{SubnetPool: first.ID})
		w.refused(err, fault.NotFound, network.NoSuchSubnetPool)
		shared := w.pool(network.SubnetPool{Prefixes: prefixes("172.16.0.0/12"), DefaultBits: 24, Shared: true})
		if s := w.subnet(w.network(network.NewNetwork{Project: "other"}), network.NewSubnet{SubnetPool: shared.ID}); s.CIDR != prefix("172.16.0.0/24") {
			w.t.Errorf("from a shared pool: %s", s.CIDR)
		}
	})
}

func TestHowFullNetworksAre(t *testing.T) {
	each(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		w.subnet(n, network.NewSubnet{CIDR: prefix("fd00::/64")})
		w.on(n, network.NewPort{})
		fills, err := w.Fills(w.t.Context(), w.db)
		w.must(err)
		got := ""
		for _, f := range fills[n.ID] {
			got += fmt.Sprintf("%s %d of %s; ", f.CIDR, f.Used, f.Total)
		}
		if want := "10.1.0.0/24 1 of 253; fd00::/64 1 of 18446744073709551614; "; got != want {
			w.t.Errorf("got %s", got)
		}
	})
}
