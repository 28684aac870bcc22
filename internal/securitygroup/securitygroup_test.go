package securitygroup_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// world is a service without surroundings.
type world struct {
	*securitygroup.Service
	t     *testing.T
	db    *db.DB
	clock *clock.Fake
}

func each(t *testing.T, test func(w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := clock.NewFake()
		test(&world{securitygroup.New(c), t, d, c})
	})
}

// do runs f in a transaction that must succeed, a second after what was before.
func (w *world) do(f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	w.clock.Step(time.Second)
	if err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error { return f(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

// refused runs f in a transaction that must fail for the reason.
func (w *world) refused(kind fault.Kind, why error, f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error { return f(w.t.Context(), tx) })
	if !fault.Is(err, kind) || !errors.Is(err, why) {
		w.t.Errorf("got %v, want %v", err, why)
	}
}

func (w *world) group(project, name string) (g *securitygroup.Group) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *db.Tx) (err error) {
		g, err = w.CreateGroup(ctx, tx, securitygroup.NewGroup{Project: project, Name: name})
		return err
	})
	return g
}

func (w *world) read(id string) *securitygroup.Group {
	w.t.Helper()
	g, err := w.Group(w.t.Context(), w.db, securitygroup.Everything, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// marked takes the keys that were marked since the last time.
func (w *world) marked() []string {
	w.t.Helper()
	keys, err := db.List(w.t.Context(), w.db, func(row db.Scanner) (key string, err error) { return key, row.Scan(&key) }, `DELETE FROM reconcile_mark RETURNING key`)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

func (w *world) expect(keys ...string) {
	w.t.Helper()
	slices.Sort(keys)
	if got := w.marked(); !slices.Equal(got, keys) {
		w.t.Errorf("marked: %v, want %v", got, keys)
	}
}

func viewer(project string) securitygroup.Viewer { return securitygroup.Viewer{Project: project} }

func TestEachProjectHasOneDefaultGroup(t *testing.T) {
	each(t, func(w *world) {
		var ids sync.Map
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				var id string
				err := w.db.Tx(t.Context(), func(tx *db.Tx) (err error) {
					id, err = w.Default(t.Context(), tx, "p")
					return err
				})
				if err != nil {
					t.Error(err)
				}
				ids.Store(id, true)
			})
		}
		all.Wait()
		count := 0
		ids.Range(func(any, any) bool { count++; return true })
		found, err := w.Groups(t.Context(), w.db, viewer("p"), securitygroup.Filter{})
		if err != nil || count != 1 || len(found) != 1 || found[0].Name != "default" || !found[0].Stateful || len(found[0].Rules) != 4 {
			t.Fatalf("%d ids, groups %v, %v", count, found, err)
		}
		among, free := 0, 0
		for _, r := range found[0].Rules {
			switch {
			case !r.Egress && r.RemoteGroup == found[0].ID:
				among++
			case r.Egress && r.RemoteGroup == "":
				free++
			}
		}
		if among != 2 || free != 2 {
			t.Errorf("rules: %d among, %d out", among, free)
		}
		if err := w.EnsureDefault(t.Context(), w.db, "p"); err != nil {
			t.Error(err)
		}
		id := found[0].ID
		name, same := "other", "default"
		w.refused(fault.Conflict, securitygroup.DefaultKeepsName, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangeGroup(ctx, tx, id, securitygroup.GroupChange{Name: &name})
			return err
		})
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangeGroup(ctx, tx, id, securitygroup.GroupChange{Name: &same, Description: &name})
			return err
		})
		w.refused(fault.Conflict, securitygroup.DefaultExists, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.CreateGroup(ctx, tx, securitygroup.NewGroup{Project: "p", Name: "Default"})
			return err
		})
		w.refused(fault.Conflict, securitygroup.DefaultStays, func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, id, false) })
		w.marked()
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, id, true) })
		w.expect("securitygroup/" + id)
	})
}

func TestRulesOfAGroup(t *testing.T) {
	each(t, func(w *world) {
		web, db1 := w.group("p", "web"), w.group("p", "db")
		w.marked()
		port := 5432
		var rule *securitygroup.Rule
		w.do(func(ctx context.Context, tx *db.Tx) (err error) {
			rule, err = w.CreateRule(ctx, tx, viewer("p"), securitygroup.NewRule{Group: db1.ID, Protocol: "TCP", First: &port, Last: &port, RemoteGroup: web.ID})
			return err
		})
		w.expect("securitygroup/" + db1.ID)
		if got := w.read(db1.ID); len(got.Rules) != 3 || got.Revision != 2 || !cmp.Equal(got.Rules[2], rule, cmpopts.EquateComparable(netip.Prefix{})) || rule.Spelling != "tcp" || rule.Protocol != 6 {
			t.Errorf("got %+v", got)
		}
		// The group that a rule names goes, and the rule with it.
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, web.ID, false) })
		w.expect("securitygroup/"+web.ID, "securitygroup/"+db1.ID)
		if got := w.read(db1.ID); len(got.Rules) != 2 || got.Revision != 3 {
			t.Errorf("got %+v", got)
		}
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteRule(ctx, tx, w.read(db1.ID).Rules[0].ID) })
		w.expect("securitygroup/" + db1.ID)
		w.refused(fault.NotFound, securitygroup.NoSuchRule, func(ctx context.Context, tx *db.Tx) error { return w.DeleteRule(ctx, tx, rule.ID) })
		if len(w.read(db1.ID).Rules) != 1 {
			t.Error("more than one rule is left")
		}
	})
}

func TestWhatCannotBeARule(t *testing.T) {
	number := func(n int) *int { return &n }
	cidr := netip.MustParsePrefix
	each(t, func(w *world) {
		g, foreign := w.group("p", "g"), w.group("q", "g")
		w.marked()
		for name, x := range map[string]struct {
			spec securitygroup.NewRule
			kind fault.Kind
			why  error
		}{
			"a protocol of no name":       {securitygroup.NewRule{Protocol: "carrier-pigeon"}, fault.Invalid, securitygroup.NoSuchProtocol},
			"a protocol of no number":     {securitygroup.NewRule{Protocol: "256"}, fault.Invalid, securitygroup.NoSuchProtocol},
			"ports of any protocol":       {securitygroup.NewRule{First: number(1), Last: number(2)}, fault.Invalid, securitygroup.PortsNeedProtocol},
			"ports of GRE":                {securitygroup.NewRule{Protocol: "gre", First: number(1), Last: number(2)}, fault.Invalid, securitygroup.ProtocolWithoutPorts},
			"a range upside down":         {securitygroup.NewRule{Protocol: "tcp", First: number(2), Last: number(1)}, fault.Invalid, securitygroup.BadPortRange},
			"half a range":                {securitygroup.NewRule{Protocol: "17", First: number(2)}, fault.Invalid, securitygroup.BadPortRange},
			"port 0":                      {securitygroup.NewRule{Protocol: "udplite", First: number(0), Last: number(1)}, fault.Invalid, securitygroup.BadPort},
			"port 65536":                  {securitygroup.NewRule{Protocol: "tcp", First: number(1), Last: number(65536)}, fault.Invalid, securitygroup.BadPort},
			"port -1":                     {securitygroup.NewRule{Protocol: "tcp", First: number(-1), Last: number(-1)}, fault.Invalid, securitygroup.BadPort},
			"ICMP type 256":               {securitygroup.NewRule{Protocol: "icmp", First: number(256)}, fault.Invalid, securitygroup.BadICMP},
			"ICMP code 256":               {securitygroup.NewRule{Protocol: "icmp", First: number(8), Last: number(256)}, fault.Invalid, securitygroup.BadICMP},
			"an ICMP code alone":          {securitygroup.NewRule{Protocol: "1", Last: number(0)}, fault.Invalid, securitygroup.ICMPNeedsType},
			"ICMPv6 over IPv4":            {securitygroup.NewRule{Protocol: "ipv6-icmp"}, fault.Invalid, securitygroup.WrongVersion},
			"protocol 58 over IPv4":       {securitygroup.NewRule{Protocol: "58"}, fault.Invalid, securitygroup.WrongVersion},
			"an IPv6 prefix for IPv4":     {securitygroup.NewRule{RemoteCIDR: cidr("2001:db8::/32")}, fault.Invalid, securitygroup.WrongCIDR},
			"an IPv4 prefix for IPv6":     {securitygroup.NewRule{Version: 6, RemoteCIDR: cidr("10.0.0.0/8")}, fault.Invalid, securitygroup.WrongCIDR},
			"a prefix and a group":        {securitygroup.NewRule{RemoteCIDR: cidr("10.0.0.0/8"), RemoteGroup: g.ID}, fault.Invalid, securitygroup.ManyRemotes},
			"a foreign group as remote":   {securitygroup.NewRule{RemoteGroup: foreign.ID}, fault.NotFound, securitygroup.NoSuchGroup},
			"an unknown address group":    {securitygroup.NewRule{RemoteAddressGroup: "some"}, fault.NotFound, securitygroup.NoSuchAddressGroup},
			"a foreign group":             {securitygroup.NewRule{Group: foreign.ID}, fault.NotFound, securitygroup.NoSuchGroup},
			"what each group has already": {securitygroup.NewRule{Egress: true}, fault.Conflict, securitygroup.RuleExists},
			"the same, said otherwise":    {securitygroup.NewRule{Egress: true, RemoteCIDR: cidr("0.0.0.0/0")}, fault.Conflict, securitygroup.RuleExists},
		} {
			t.Run(name, func(*testing.T) {
				if x.spec.Group == "" {
					x.spec.Group = g.ID
				}
				w.refused(x.kind, x.why, func(ctx context.Context, tx *db.Tx) error {
					_, err := w.CreateRule(ctx, tx, viewer("p"), x.spec)
					return err
				})
			})
		}
		w.expect()
		if got := w.read(g.ID); got.Revision != 1 || len(got.Rules) != 2 {
			t.Errorf("a refused rule left something: %+v", got)
		}
	})
}

// A rule means the same however it is written.
func TestTheSameRuleTwice(t *testing.T) {
	port := 22
	for name, pair := range map[string][2]securitygroup.NewRule{
		"protocol by name and number": {{Protocol: "tcp", First: &port, Last: &port}, {Protocol: "6", First: &port, Last: &port}},
		"ICMPv6 by its old name":      {{Version: 6, Protocol: "icmp"}, {Version: 6, Protocol: "ipv6-icmp"}},
		"bits behind the prefix":      {{RemoteCIDR: netip.MustParsePrefix("10.1.2.3/8")}, {RemoteCIDR: netip.MustParsePrefix("10.0.0.0/8")}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				g := w.group("p", "g")
				for i := range pair {
					pair[i].Group = g.ID
				}
				w.do(func(ctx context.Context, tx *db.Tx) error {
					_, err := w.CreateRule(ctx, tx, viewer("p"), pair[0])
					return err
				})
				w.refused(fault.Conflict, securitygroup.RuleExists, func(ctx context.Context, tx *db.Tx) error {
					_, err := w.CreateRule(ctx, tx, viewer("p"), pair[1])
					return err
				})
			})
		})
	}
}

func TestPortsInGroups(t *testing.T) {
	each(t, func(w *world) {
		a, b, foreign := w.group("p", "a"), w.group("p", "b"), w.group("q", "c")
		w.marked()
		check := func(project string, ids ...string) error { return w.Check(t.Context(), w.db, project, ids) }
		if err := errors.Join(check("p"), check("p", a.ID, b.ID), check("q", foreign.ID)); err != nil {
			t.Error(err)
		}
		if err := check("p", a.ID, foreign.ID); !errors.Is(err, securitygroup.NoSuchGroup) {
			t.Errorf("a foreign group: %v", err)
		}
		put := func(port string, ids ...string) {
			t.Helper()
			w.do(func(ctx context.Context, tx *db.Tx) error { return w.SetPort(ctx, tx, port, ids) })
		}
		put("one", b.ID, a.ID)
		put("two", a.ID)
		w.expect("port/one", "port/two")
		put("two", a.ID)
		w.expect()
		of, err := w.OfPorts(t.Context(), w.db, []string{"one", "two", "three"})
		if err != nil || !slices.Equal(of["one"], []string{b.ID, a.ID}) || !slices.Equal(of["two"], []string{a.ID}) || of["three"] != nil {
			t.Errorf("groups of ports: %v %v", of, err)
		}
		if in, err := w.PortsIn(t.Context(), w.db, a.ID); err != nil || !slices.Equal(in, []string{"one", "two"}) {
			t.Errorf("ports of a group: %v %v", in, err)
		}
		stateful := false
		w.refused(fault.Conflict, securitygroup.GroupInUse, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangeGroup(ctx, tx, a.ID, securitygroup.GroupChange{Stateful: &stateful})
			return err
		})
		w.refused(fault.Conflict, securitygroup.GroupInUse, func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, a.ID, true) })
		put("one")
		put("two")
		w.expect("port/one", "port/two")
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, a.ID, true) })
	})
}

// shares lets one project use things of another.
type shares struct{ with, id string }

func (s *shares) SharedWith(_ context.Context, _ db.Querier, _, project string) ([]string, error) {
	if project == s.with {
		return []string{s.id}, nil
	}
	return nil, nil
}

func (s *shares) Unshare(_ context.Context, _ *db.Tx, _, id string) error {
	if id == s.id {
		*s = shares{}
	}
	return nil
}

func TestSharedGroups(t *testing.T) {
	each(t, func(w *world) {
		g := w.group("p", "g")
		shared := &shares{"q", g.ID}
		w.Shares = shared
		for project, want := range map[string]error{"p": nil, "q": nil, "r": securitygroup.NoSuchGroup} {
			got, err := w.Group(t.Context(), w.db, viewer(project), g.ID)
			if !errors.Is(err, want) || err == nil && got.Shared != (project == "q") {
				t.Errorf("as %s: %+v %v", project, got, err)
			}
			if err := w.Check(t.Context(), w.db, project, []string{g.ID}); !errors.Is(err, want) {
				t.Errorf("as %s: %v", project, err)
			}
		}
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteGroup(ctx, tx, g.ID, false) })
		if shared.id != "" {
			t.Error("the deleted group is still shared")
		}
	})
}

// most lets every project have one of everything.
type most struct{ *world }

var errFull = errors.New("full")

func (m most) WithinQuota(ctx context.Context, tx *db.Tx, project, kind string) error {
	count := map[string]func(context.Context, db.Querier, string) (int, error){securitygroup.GroupKind: m.CountGroups, securitygroup.RuleKind: m.CountRules}[kind]
	used, err := count(ctx, tx, project)
	if err == nil && used > 1 { // the default group does not ask
		err = fault.Wrap(errFull, fault.Quota, "full")
	}
	return err
}

func TestQuotas(t *testing.T) {
	each(t, func(w *world) {
		w.Quotas = most{w}
		g := w.group("p", "first")
		w.refused(fault.Quota, errFull, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.CreateGroup(ctx, tx, securitygroup.NewGroup{Project: "p"})
			return err
		})
		w.refused(fault.Quota, errFull, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.CreateRule(ctx, tx, viewer("p"), securitygroup.NewRule{Group: g.ID, Protocol: "tcp"})
			return err
		})
	})
}

func TestAddressGroups(t *testing.T) {
	list := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	each(t, func(w *world) {
		var g *securitygroup.AddressGroup
		holds := func(want ...string) {
			t.Helper()
			got, err := w.AddressGroup(t.Context(), w.db, viewer("p"), g.ID)
			if err != nil || !slices.Equal(got.Addresses, list(want...)) {
				t.Errorf("got %v %v, want %v", got, err, want)
			}
			w.expect("addressgroup/" + g.ID)
		}
		w.do(func(ctx context.Context, tx *db.Tx) (err error) {
			g, err = w.CreateAddressGroup(ctx, tx, securitygroup.AddressGroup{Project: "p", Name: "offices", Addresses: list("10.2.0.7/16", "2001:db8::/32", "10.2.0.0/16")})
			return err
		})
		holds("10.2.0.0/16", "2001:db8::/32")
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.AddAddresses(ctx, tx, g.ID, list("10.1.0.1/32"))
			return err
		})
		holds("10.1.0.1/32", "10.2.0.0/16", "2001:db8::/32")
		w.refused(fault.Invalid, securitygroup.AddressesExist, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.AddAddresses(ctx, tx, g.ID, list("10.9.0.0/16", "10.2.1.1/16"))
			return err
		})
		w.refused(fault.NotFound, securitygroup.NoSuchAddresses, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.RemoveAddresses(ctx, tx, g.ID, list("10.2.0.0/16", "10.9.0.0/16"))
			return err
		})
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.RemoveAddresses(ctx, tx, g.ID, list("10.2.0.0/16"))
			return err
		})
		holds("10.1.0.1/32", "2001:db8::/32")
		if _, err := w.AddressGroup(t.Context(), w.db, viewer("q"), g.ID); !errors.Is(err, securitygroup.NoSuchAddressGroup) {
			t.Errorf("as another project: %v", err)
		}
		guard := w.group("p", "guard")
		var rule *securitygroup.Rule
		w.do(func(ctx context.Context, tx *db.Tx) (err error) {
			rule, err = w.CreateRule(ctx, tx, viewer("p"), securitygroup.NewRule{Group: guard.ID, RemoteAddressGroup: g.ID})
			return err
		})
		w.refused(fault.Conflict, securitygroup.AddressGroupInUse, func(ctx context.Context, tx *db.Tx) error { return w.DeleteAddressGroup(ctx, tx, g.ID) })
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteRule(ctx, tx, rule.ID) })
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.DeleteAddressGroup(ctx, tx, g.ID) })
		w.refused(fault.NotFound, securitygroup.NoSuchAddressGroup, func(ctx context.Context, tx *db.Tx) error { return w.DeleteAddressGroup(ctx, tx, g.ID) })
	})
}
