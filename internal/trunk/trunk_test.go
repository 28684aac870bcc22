package trunk_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/network/networktest"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// world is a service with a network and four ports of the project p: parent, red, blue and spare; foreign is q's.
type world struct {
	*trunk.Service
	t        *testing.T
	db       *db.DB
	networks *network.Service
	net      string
	ports    map[string]string
}

func each(t *testing.T, test func(w *world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := clock.NewFake()
		w := &world{t: t, db: d, networks: network.New(d, c, slog.New(slog.DiscardHandler)), ports: map[string]string{}}
		w.Service = trunk.New(c, w.networks)
		n := networktest.Shared(t, d, w.networks, network.NewSubnet{Project: "operators", CIDR: netip.MustParsePrefix("10.0.0.0/24")})
		w.net = n.ID
		for name, project := range map[string]string{"parent": "p", "red": "p", "blue": "p", "spare": "p", "foreign": "q"} {
			w.do(func(ctx context.Context, tx *db.Tx) error {
				p, err := w.networks.CreatePort(ctx, tx, network.NewPort{Network: n.ID, Project: project, Name: name})
				w.ports[name] = p.ID
				return err
			})
		}
		w.marked()
		test(w)
	})
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

var viewer = network.Viewer{Project: "p"}

func (w *world) create(parent string, subports ...trunk.NewSubport) (t *trunk.Trunk) {
	w.t.Helper()
	w.do(func(ctx context.Context, tx *db.Tx) (err error) {
		t, err = w.Create(ctx, tx, viewer, trunk.NewTrunk{Project: "p", Name: "t", Port: w.ports[parent], Subports: subports})
		return err
	})
	return t
}

func (w *world) sub(port string, vlan int) trunk.NewSubport {
	return trunk.NewSubport{Port: w.ports[port], VLAN: vlan}
}

// marked names the ports that were marked since the last time.
func (w *world) marked() (names []string) {
	w.t.Helper()
	keys, err := db.List(w.t.Context(), w.db, func(row db.Scanner) (key string, err error) { return key, row.Scan(&key) }, `DELETE FROM reconcile_mark RETURNING key`)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, id := range w.ports {
		if slices.Contains(keys, "port/"+id) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (w *world) expect(names ...string) {
	w.t.Helper()
	if got := w.marked(); !slices.Equal(got, names) {
		w.t.Errorf("marked: %v, want %v", got, names)
	}
}

func (w *world) port(name string) *network.Port {
	w.t.Helper()
	p, err := w.networks.Port(w.t.Context(), w.db, network.Everything, w.ports[name])
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestSubportsComeAndGo(t *testing.T) {
	each(t, func(w *world) {
		tr := w.create("parent", w.sub("red", 100))
		w.expect("parent", "red")
		if tr.Status != trunk.Down || !tr.AdminUp || len(tr.Subports) != 1 || tr.Subports[0] != (trunk.Subport{Port: w.ports["red"], VLAN: 100, MAC: w.port("red").MAC}) {
			t.Errorf("made: %+v", tr)
		}
		w.do(func(ctx context.Context, tx *db.Tx) (err error) {
			tr, err = w.AddSubports(ctx, tx, viewer, tr.ID, []trunk.NewSubport{w.sub("blue", 7)})
			return err
		})
		w.expect("blue", "parent")
		if tr.Revision != 2 || len(tr.Subports) != 2 || tr.Subports[0].VLAN != 7 || w.port("blue").DeviceOwner != trunk.SubportOwner {
			t.Errorf("added: %+v", tr)
		}
		of, err := w.OfParents(t.Context(), w.db, []string{w.ports["parent"], w.ports["red"]})
		if err != nil || len(of) != 1 || of[w.ports["parent"]].ID != tr.ID {
			t.Errorf("of parents: %v %v", of, err)
		}
		if carrier, vlan, err := w.Carrier(t.Context(), w.db, w.ports["red"]); err != nil || carrier.ID != tr.ID || vlan != 100 {
			t.Errorf("red's carrier: %v %d %v", carrier, vlan, err)
		}
		w.do(func(ctx context.Context, tx *db.Tx) (err error) {
			tr, err = w.RemoveSubports(ctx, tx, tr.ID, []string{w.ports["red"]})
			return err
		})
		w.expect("parent", "red")
		if len(tr.Subports) != 1 || w.port("red").DeviceOwner != "" {
			t.Errorf("removed: %+v", tr)
		}
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, tr.ID) })
		w.expect("blue", "parent")
		if w.port("blue").DeviceOwner != "" {
			t.Error("a subport is not free after its trunk")
		}
		if _, err := w.Trunk(t.Context(), w.db, viewer, tr.ID); !errors.Is(err, trunk.NoSuchTrunk) {
			t.Errorf("the deleted trunk: %v", err)
		}
	})
}

func TestWhatATrunkCannotBe(t *testing.T) {
	each(t, func(w *world) {
		tr := w.create("parent", w.sub("red", 100))
		w.marked()
		if _, err := w.db.ExecContext(t.Context(), `UPDATE network_port SET device = 'x', device_owner = 'compute:nova' WHERE id = $1`, w.ports["spare"]); err != nil {
			t.Fatal(err)
		}
		for name, x := range map[string]struct {
			spec trunk.NewTrunk
			kind fault.Kind
			why  error
		}{
			"of a port that is a parent":  {trunk.NewTrunk{Port: w.ports["parent"]}, fault.Conflict, trunk.ParentInUse},
			"of a port that is a subport": {trunk.NewTrunk{Port: w.ports["red"]}, fault.Conflict, trunk.SubportInUse},
			"of a foreign port":           {trunk.NewTrunk{Port: w.ports["foreign"]}, fault.NotFound, network.NoSuchPort},
		} {
			t.Run(name, func(*testing.T) {
				w.refused(x.kind, x.why, func(ctx context.Context, tx *db.Tx) error {
					x.spec.Project = "p"
					_, err := w.Create(ctx, tx, viewer, x.spec)
					return err
				})
			})
		}
		for name, x := range map[string]struct {
			sub  trunk.NewSubport
			kind fault.Kind
			why  error
		}{
			"a VLAN twice":             {w.sub("blue", 100), fault.Conflict, trunk.VLANInUse},
			"VLAN 0":                   {w.sub("blue", 0), fault.Invalid, nil},
			"VLAN 4095":                {w.sub("blue", 4095), fault.Invalid, nil},
			"a VLAN that none has":     {trunk.NewSubport{Port: w.ports["blue"], Inherit: true}, fault.Invalid, nil},
			"the parent itself":        {w.sub("parent", 5), fault.Conflict, trunk.NotAParent},
			"a subport twice":          {w.sub("red", 5), fault.Conflict, trunk.SubportInUse},
			"a port of a server":       {w.sub("spare", 5), fault.Conflict, trunk.NotASubport},
			"a foreign port":           {w.sub("foreign", 5), fault.NotFound, network.NoSuchPort},
			"a port that is not there": {trunk.NewSubport{Port: "some", VLAN: 5}, fault.NotFound, network.NoSuchPort},
		} {
			t.Run(name, func(*testing.T) {
				w.refused(x.kind, x.why, func(ctx context.Context, tx *db.Tx) error {
					_, err := w.AddSubports(ctx, tx, viewer, tr.ID, []trunk.NewSubport{x.sub})
					return err
				})
			})
		}
		w.refused(fault.NotFound, trunk.NoSuchSubport, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.RemoveSubports(ctx, tx, tr.ID, []string{w.ports["red"], w.ports["blue"]})
			return err
		})
		down := false
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Change(ctx, tx, tr.ID, trunk.Change{AdminUp: &down})
			return err
		})
		w.refused(fault.Conflict, trunk.TrunkDisabled, func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, tr.ID) })
		w.expect()
	})
}

// What happens to ports is what happens to their trunks.
func TestTrunksFollowTheirPorts(t *testing.T) {
	each(t, func(w *world) {
		tr := w.create("parent", w.sub("red", 100), w.sub("blue", 7))
		w.marked()
		for _, name := range []string{"parent", "red"} {
			if err := w.Free(t.Context(), w.db, w.ports[name]); !fault.Is(err, fault.Conflict) {
				t.Errorf("%s is free: %v", name, err)
			}
		}
		if err := w.Free(t.Context(), w.db, w.ports["spare"]); err != nil {
			t.Error(err)
		}
		name := "renamed"
		w.do(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.networks.ChangePort(ctx, tx, w.ports["parent"], network.PortChange{Name: &name})
			return err
		})
		if got := w.marked(); !slices.Contains(got, "red") || !slices.Contains(got, "blue") {
			t.Errorf("marked: %v", got)
		}
		w.refused(fault.Conflict, trunk.SubportInUse, func(ctx context.Context, tx *db.Tx) error {
			_, err := w.networks.Attach(ctx, tx, w.ports["red"], "p", network.Use{DeviceID: "server", DeviceOwner: "compute:nova"})
			return err
		})
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.networks.DeletePort(ctx, tx, w.ports["red"]) })
		if got, err := w.Trunk(t.Context(), w.db, viewer, tr.ID); err != nil || len(got.Subports) != 1 || got.Revision != 2 {
			t.Errorf("after a subport: %+v %v", got, err)
		}
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.networks.DeletePort(ctx, tx, w.ports["parent"]) })
		if _, err := w.Trunk(t.Context(), w.db, viewer, tr.ID); !errors.Is(err, trunk.NoSuchTrunk) {
			t.Errorf("after the parent: %v", err)
		}
		if w.port("blue").DeviceOwner != "" {
			t.Error("a subport is not free after its parent")
		}
	})
}

// A status is what the ports make of it.
func TestStatus(t *testing.T) {
	each(t, func(w *world) {
		tr := w.create("parent")
		status := func(want trunk.Status) {
			t.Helper()
			if got, err := w.Trunk(t.Context(), w.db, viewer, tr.ID); err != nil || got.Status != want {
				t.Errorf("it is %s, want %s (%v)", got.Status, want, err)
			}
		}
		bind := func(edge network.Edge) func(context.Context, *db.Tx) error {
			return func(ctx context.Context, tx *db.Tx) error {
				return w.networks.Bind(ctx, tx, w.ports["parent"], network.Place{Host: "machine", MAC: "52:54:00:00:00:01", Edge: edge})
			}
		}
		add := func(ctx context.Context, tx *db.Tx) error {
			_, err := w.AddSubports(ctx, tx, viewer, tr.ID, []trunk.NewSubport{w.sub("red", 100)})
			return err
		}
		up := func(port string) {
			t.Helper()
			w.do(func(ctx context.Context, tx *db.Tx) error { return w.networks.SetUp(ctx, tx, w.ports[port], true) })
		}
		status(trunk.Down)
		w.do(bind(network.Edge{}))
		status(trunk.Active)
		w.refused(fault.Conflict, trunk.EdgeCarriesNone, add) // nothing sorts tags where this machine plugs in
		w.do(func(ctx context.Context, tx *db.Tx) error { return w.networks.Unbind(ctx, tx, w.ports["parent"]) })
		w.do(add)
		status(trunk.Down)
		w.refused(fault.Conflict, trunk.EdgeCarriesNone, bind(network.Edge{Kind: network.EdgeTrunk, Interface: "uplink", VLAN: 7}))
		w.marked()
		w.do(bind(network.Edge{Kind: network.EdgeOVS, Interface: "nic"}))
		w.expect("parent", "red")
		status(trunk.Build)
		up("parent")
		status(trunk.Build)
		up("red")
		status(trunk.Active)
	})
}
