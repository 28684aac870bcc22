package topology

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Options of a Reconciler. All but Beat are required.
type Options struct {
	OVN    *ovn.Client
	Reader Reader
	Log    *slog.Logger
	// Up is told whether a port is carried: a chassis has it, with its flows. It may be told what it knows, and of ports
	// that are gone. When it fails it is told again.
	Up func(ctx context.Context, port string, up bool) error
	// Beat is how often the chassis must say that they live; 0: 3 seconds. One that has been silent for three beats and
	// longer is taken out of the gateways.
	Beat time.Duration
}

// Reconciler makes OVN equal to the model. Work, All, Run and Order are what a reconcile.Loop wants (Options: Work, All,
// Beside, Order).
type Reconciler struct {
	o     Options
	locks locks
	ups   ups
}

// New makes a reconciler.
func New(o Options) *Reconciler {
	if o.Beat == 0 {
		o.Beat = 3 * time.Second
	}
	return &Reconciler{o: o, ups: ups{wake: make(chan struct{}, 1), scopes: map[ovn.Scope]bool{}}}
}

// Work mends one scope. The faults are those of ovn.Client.Apply, and the reader's.
func (r *Reconciler) Work(ctx context.Context, key string) error {
	scope := ovn.Scope(key)
	kind, id := split(scope)
	if kind == QoSKind {
		return nil
	}
	if kind == PortKind || kind == NICKind {
		if err := r.handOver(ctx, scope); err != nil {
			return err
		}
	}
	m, err := r.apply(ctx, scope)
	if err != nil {
		return err
	}
	// The subports of a trunk name its parent's row, which is another one when the parent was bound.
	for _, t := range m.Trunks {
		if kind != PortKind || t.Port != id {
			continue
		}
		for _, sub := range t.Subports {
			if _, err := r.apply(ctx, PortKind.Of(sub.Port)); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply reads a scope and makes its rows so. Two calls for the same scope do it one after the other, so that the one that
// read later also writes later.
func (r *Reconciler) apply(ctx context.Context, scope ovn.Scope) (*Model, error) {
	defer r.locks.lock(scope)()
	m, err := r.read(ctx, scope)
	if err != nil {
		return nil, err
	}
	rows := m.Rows(scope)
	for _, needed := range needs(rows) {
		if _, err := r.apply(ctx, needed); err != nil { // these need nothing themselves
			return nil, err
		}
	}
	_, err = r.o.OVN.Apply(ctx, scope, rows)
	return m, err
}

func (r *Reconciler) read(ctx context.Context, scope ovn.Scope) (*Model, error) {
	if scope == Gateways {
		gateways, err := r.gateways()
		return &Model{Gateways: gateways}, err
	}
	return r.o.Reader.Scope(ctx, scope)
}

// needs are the scopes that nobody marks, and whose rows these rows refer to.
func needs(rows []ovn.Row) []ovn.Scope {
	var scopes []ovn.Scope
	for _, row := range rows {
		if name := uplinkOf(row); name != "" {
			scopes = append(scopes, UplinkKind.Of(name))
		}
		if port, ok := row.Model.(*nbdb.LogicalRouterPort); ok && port.HaChassisGroup != nil {
			scopes = append(scopes, Gateways)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// handOver gives the rows of NICs that a scope has and that belong to another now to that one, which moves each in one
// transaction. Without it the scope would remove the row and the other make it again. Where the other cannot be made now the
// row is removed all the same: what was revoked must not stay.
func (r *Reconciler) handOver(ctx context.Context, scope ovn.Scope) error {
	rows, err := r.o.OVN.RowsOf(scope)
	if err != nil {
		return err
	}
	for _, row := range rows {
		edge, is := parseEdge(row.ID)
		if !is || row.Table != nbdb.LogicalSwitchPortTable {
			continue
		}
		holder, err := r.o.Reader.Holder(ctx, edge)
		if err != nil {
			return err
		}
		if holder == scope || holder == "" {
			continue
		}
		if _, err := r.apply(ctx, holder); err != nil {
			r.o.Log.Warn("a NIC leaves its network before it is on the next one", "from", scope, "to", holder, "error", err)
		}
	}
	return nil
}

// All compares everything, and gives the scopes that differ. Ports that are up or down unlike the model says are told.
func (r *Reconciler) All(ctx context.Context) ([]string, error) {
	m, err := r.o.Reader.Everything(ctx)
	if err != nil {
		return nil, err
	}
	if m.Gateways, err = r.gateways(); err != nil {
		return nil, err
	}
	rows := m.All()
	scopes, err := r.o.OVN.Differing(rows)
	if err != nil {
		return nil, err
	}
	for _, p := range m.Ports {
		if up, err := r.up(rows[PortKind.Of(p.ID)]); err != nil {
			return nil, err
		} else if up != p.Up {
			r.ups.tell(PortKind.Of(p.ID))
		}
	}
	keys := make([]string, len(scopes))
	for i, scope := range scopes {
		keys[i] = string(scope)
	}
	slices.SortFunc(keys, Order)
	return keys, nil
}

// up reports whether one of the rows is a machine's port that is up.
func (r *Reconciler) up(rows []ovn.Row) (bool, error) {
	for _, row := range rows {
		if !portRow(row) {
			continue
		}
		if up, err := r.isUp(row.ID); up || err != nil {
			return up, err
		}
	}
	return false, nil
}

func (r *Reconciler) isUp(row string) (bool, error) {
	up, err := r.o.OVN.PortUp(row)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return up, err
}

// locks are one for each scope.
type locks struct {
	mu   sync.Mutex
	held map[ovn.Scope]*lock
}

type lock struct {
	sync.Mutex
	users int
}

func (l *locks) lock(scope ovn.Scope) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[ovn.Scope]*lock{}
	}
	one := l.held[scope]
	if one == nil {
		one = &lock{}
		l.held[scope] = one
	}
	one.users++
	l.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.held, scope)
		}
	}
}
