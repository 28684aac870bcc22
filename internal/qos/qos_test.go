package qos_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/qos"
)

type world struct {
	*qos.Service
	t  *testing.T
	db *db.DB
}

func each(t *testing.T, test func(w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(&world{qos.New(clock.NewFake()), t, d}) })
}

func (w *world) do(f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error { return f(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) refused(kind fault.Kind, why error, f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error { return f(w.t.Context(), tx) })
	if !fault.Is(err, kind) || why != nil && !errors.Is(err, why) {
		w.t.Errorf("got %v, want %v", err, why)
	}
}

func (w *world) policy(p qos.Policy) (made *qos.Policy) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = w.CreatePolicy(ctx, tx, p)
		return err
	})
	return made
}

func (w *world) rule(r qos.Rule) (made *qos.Rule) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = w.CreateRule(ctx, tx, r)
		return err
	})
	return made
}

func TestWhoMayNameAPolicy(t *testing.T) {
	each(t, func(w *world) {
		own, all := w.policy(qos.Policy{Project: "p", Name: "own"}), w.policy(qos.Policy{Project: "p", Name: "all", Shared: true})
		for project, wanted := range map[string][]string{"p": {own.ID, all.ID}, "q": {all.ID}} {
			for _, id := range []string{own.ID, all.ID} {
				err := w.Check(t.Context(), w.db, project, id)
				if may := slices.Contains(wanted, id); may != (err == nil) || !may && !errors.Is(err, qos.NoSuchPolicy) {
					t.Errorf("%s names %s: %v", project, id, err)
				}
			}
		}
	})
}

func TestOneDefaultPolicyOfAProject(t *testing.T) {
	each(t, func(w *world) {
		first, second := w.policy(qos.Policy{Project: "p", Name: "first", Default: true}), w.policy(qos.Policy{Project: "p", Name: "second"})
		w.policy(qos.Policy{Project: "q", Name: "elsewhere", Default: true})
		yes, no := true, false
		takeover := func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangePolicy(ctx, tx, second.ID, qos.PolicyChange{Default: &yes})
			return err
		}
		w.refused(fault.Conflict, qos.DefaultExists, takeover)
		w.refused(fault.Conflict, qos.DefaultExists, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.CreatePolicy(ctx, tx, qos.Policy{Project: "p", Name: "third", Default: true})
			return err
		})
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangePolicy(ctx, tx, first.ID, qos.PolicyChange{Default: &no})
			return err
		})
		w.do(takeover)
		if id, err := w.Default(t.Context(), w.db, "p"); err != nil || id != second.ID {
			t.Errorf("the default is %s, %v", id, err)
		}
		if id, err := w.Default(t.Context(), w.db, "r"); err != nil || id != "" {
			t.Errorf("the default of a project without one is %s, %v", id, err)
		}
	})
}

func TestRulesOfAPolicy(t *testing.T) {
	each(t, func(w *world) {
		p := w.policy(qos.Policy{Project: "p", Name: "gold"})
		out := w.rule(qos.Rule{Policy: p.ID, Kind: qos.BandwidthLimit, Egress: true, Rate: 1000, Burst: 100})
		w.rule(qos.Rule{Policy: p.ID, Kind: qos.BandwidthLimit, Rate: 2000})
		w.rule(qos.Rule{Policy: p.ID, Kind: qos.DSCPMarking, Egress: true, DSCP: 26})
		for name, x := range map[string]struct {
			rule qos.Rule
			kind fault.Kind
			why  error
		}{
			"a second limit of one direction": {qos.Rule{Kind: qos.BandwidthLimit, Egress: true, Rate: 5}, fault.Conflict, qos.RuleConflicts},
			"a second mark":                   {qos.Rule{Kind: qos.DSCPMarking, Egress: true, DSCP: 8}, fault.Conflict, qos.RuleConflicts},
			"no bandwidth":                    {qos.Rule{Kind: qos.BandwidthLimit}, fault.Invalid, nil},
			"a burst below nothing":           {qos.Rule{Kind: qos.BandwidthLimit, Rate: 1, Burst: -1}, fault.Invalid, nil},
			"an unknown mark":                 {qos.Rule{Kind: qos.DSCPMarking, DSCP: 7}, fault.Invalid, nil},
			"a rule of no policy":             {qos.Rule{Policy: "some", Kind: qos.BandwidthLimit, Rate: 1}, fault.NotFound, qos.NoSuchPolicy},
		} {
			t.Run(name, func(*testing.T) {
				if x.rule.Policy == "" {
					x.rule.Policy = p.ID
				}
				w.refused(x.kind, x.why, func(ctx context.Context, tx *db.Tx) error {
					_, err := w.CreateRule(ctx, tx, x.rule)
					return err
				})
			})
		}
		ingress, rate := false, 3000
		w.refused(fault.Conflict, qos.RuleConflicts, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangeRule(ctx, tx, p.ID, qos.BandwidthLimit, out.ID, qos.RuleChange{Egress: &ingress})
			return err
		})
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.ChangeRule(ctx, tx, "", qos.BandwidthLimit, out.ID, qos.RuleChange{Rate: &rate})
			return err
		})
		w.refused(fault.NotFound, qos.NoSuchRule, func(ctx context.Context, tx *db.Tx) error {
			return w.DeleteRule(ctx, tx, p.ID, qos.DSCPMarking, out.ID)
		})
		got, err := w.Policy(t.Context(), w.db, qos.Everything, p.ID)
		if err != nil || got.Revision != 5 || len(got.Rules) != 3 || *got.Rules[0] != (qos.Rule{ID: out.ID, Policy: p.ID, Kind: qos.BandwidthLimit, Egress: true, Rate: 3000, Burst: 100}) {
			t.Errorf("got %+v %v", got, err)
		}
		w.do(func(ctx context.Context, tx *db.Tx) error {
			return w.DeleteRule(ctx, tx, "", qos.BandwidthLimit, out.ID)
		})
		if got, err := w.Policy(t.Context(), w.db, qos.Everything, p.ID); err != nil || got.Revision != 6 || len(got.Rules) != 2 {
			t.Errorf("got %+v %v", got, err)
		}
	})
}

// network is a network whose policy is gold, with two ports.
type network struct{ gold string }

func (n *network) UsersOf(_ context.Context, _ db.Querier, policy string) ([]qos.User, error) {
	if policy != n.gold {
		return nil, nil
	}
	return []qos.User{{Noun: "network", ID: "n", Scopes: []string{"port/a", "port/b"}}}, nil
}

func TestWhatNamesAPolicy(t *testing.T) {
	each(t, func(w *world) {
		p, unused := w.policy(qos.Policy{Project: "p", Name: "gold"}), w.policy(qos.Policy{Project: "p", Name: "lead"})
		users := &network{p.ID}
		w.Users = []qos.Users{users}
		w.rule(qos.Rule{Policy: p.ID, Kind: qos.BandwidthLimit, Egress: true, Rate: 1000})
		w.rule(qos.Rule{Policy: unused.ID, Kind: qos.BandwidthLimit, Egress: true, Rate: 1000})
		marked, err := db.List(t.Context(), w.db, func(row db.Scanner) (key string, err error) { return key, row.Scan(&key) }, `SELECT key FROM reconcile_mark ORDER BY key`)
		if err != nil || !slices.Equal(marked, []string{"port/a", "port/b"}) {
			t.Errorf("marked: %v %v", marked, err)
		}
		remove := func(id string) func(context.Context, *db.Tx) error {
			return func(ctx context.Context, tx *db.Tx) error { return w.DeletePolicy(ctx, tx, id) }
		}
		w.refused(fault.Conflict, qos.PolicyInUse, remove(p.ID))
		w.do(remove(unused.ID))
		users.gold = ""
		w.do(remove(p.ID))
		w.refused(fault.NotFound, qos.NoSuchPolicy, remove(p.ID))
	})
}
