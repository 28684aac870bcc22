package topology

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
)

// Run watches OVN until ctx ends: it tells Up of ports, keeps dead chassis out of the gateways, and calls look when everything
// must be looked at again, because a database was connected anew. One process does this, the one that works.
func (r *Reconciler) Run(ctx context.Context, look func()) {
	regroup := make(chan struct{}, 1)
	stop := r.o.OVN.Watch(func(e ovn.Event) {
		switch e.Kind {
		case ovn.Resync:
			look()
		case ovn.PortUp, ovn.PortDown:
			if kind, _ := split(e.Scope); kind == PortKind {
				r.ups.tell(e.Scope)
			}
		case ovn.ChassisCame, ovn.ChassisGone:
			select {
			case regroup <- struct{}{}:
			default:
			}
		case ovn.GatewayMoved:
			r.o.Log.Info("a router's gateway moved", "port", e.Port, "chassis", e.Chassis)
		}
	})
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { r.tellUps(ctx) })
	beat := time.NewTicker(r.o.Beat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-regroup:
		case <-beat.C:
			r.ask(ctx)
		}
		if !r.o.OVN.Connected() {
			continue // Resync comes
		}
		if _, err := r.apply(ctx, Gateways); err != nil && ctx.Err() == nil {
			r.o.Log.Warn("the gateways could not be regrouped; it is tried again", "error", err)
		}
	}
}

// ask makes all living chassis say that they are, and waits for them for less than a beat.
func (r *Reconciler) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Beat/2)
	defer cancel()
	_ = r.o.OVN.Sync(ctx) // that somebody did not answer shows in what gateways sees
}

// gateways are the chassis that say they may be one.
func (r *Reconciler) gateways() ([]Gateway, error) {
	chassis, err := r.o.OVN.Chassis()
	if err != nil {
		return nil, err
	}
	return living(chassis, 3*r.o.Beat), nil
}

// living tells dead chassis from living ones: the dead are behind the others by three numbers and by the time. Both, because
// numbers can be raised fast, and a chassis' clock can be wrong. Where all are silent nobody is dead: then it is OVN.
func living(chassis []ovn.Chassis, silence time.Duration) []Gateway {
	var newest time.Time
	reached := 0
	for _, c := range chassis {
		reached = max(reached, c.Reached)
		if c.At.After(newest) {
			newest = c.At
		}
	}
	var gateways []Gateway
	for _, c := range chassis {
		if c.Gateway {
			dead := reached-c.Reached >= 3 && newest.Sub(c.At) > silence
			gateways = append(gateways, Gateway{c.Name, !dead})
		}
	}
	return gateways
}

// ups are the ports of which must be told whether they are up. What it is is read when it is told, so news about the same port
// become one.
type ups struct {
	wake chan struct{}

	mu     sync.Mutex
	scopes map[ovn.Scope]bool
}

func (u *ups) tell(scope ovn.Scope) {
	u.mu.Lock()
	u.scopes[scope] = true
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *ups) take() []ovn.Scope {
	u.mu.Lock()
	defer u.mu.Unlock()
	var scopes []ovn.Scope
	for scope := range u.scopes {
		scopes = append(scopes, scope)
	}
	clear(u.scopes)
	slices.Sort(scopes)
	return scopes
}

func (r *Reconciler) tellUps(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.ups.wake:
		}
		for _, scope := range r.ups.take() {
			if err := r.tellUp(ctx, scope); err != nil && ctx.Err() == nil {
				r.o.Log.Warn("a port's state was not recorded; it is tried again", "port", scope, "error", err)
				time.AfterFunc(time.Second, func() { r.ups.tell(scope) })
			}
		}
	}
}

func (r *Reconciler) tellUp(ctx context.Context, scope ovn.Scope) error {
	refs, err := r.o.OVN.RowsOf(scope)
	if err != nil {
		return err
	}
	up := false
	for _, ref := range refs {
		if ref.Table == nbdb.LogicalSwitchPortTable {
			if up, err = r.isUp(ref.ID); err != nil {
				return err
			}
		}
	}
	_, id := split(scope)
	return r.o.Up(ctx, id, up)
}
