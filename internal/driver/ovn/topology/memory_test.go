package topology_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/reconcile"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// memory is a Reader that gives exactly what Reader promises for each scope, of a model in memory.
type memory struct {
	mu sync.Mutex
	m  *topology.Model
}

func (r *memory) change(f func(m *topology.Model)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.m)
}

func (r *memory) Everything(context.Context) (*topology.Model, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := *r.m
	m.Ports = copies(m.Ports) // tests change ports in place
	m.NICs = copies(m.NICs)
	return &m, nil
}

func copies[T any](list []*T) (all []*T) {
	for _, item := range list {
		one := *item
		all = append(all, &one)
	}
	return all
}

func (r *memory) Holder(ctx context.Context, edge network.Edge) (ovn.Scope, error) {
	m, err := r.Everything(ctx)
	for _, p := range m.Ports {
		if p.Edge == edge {
			return topology.PortKind.Of(p.ID), err
		}
	}
	for _, n := range m.NICs {
		if n.Edge == edge {
			return topology.NICKind.Of(n.ID), err
		}
	}
	return "", err
}

func (r *memory) Scope(ctx context.Context, scope ovn.Scope) (*topology.Model, error) {
	all, err := r.Everything(ctx)
	kind, id, _ := strings.Cut(string(scope), "/")
	m := &topology.Model{NeedToFrag: all.NeedToFrag}
	networks := func(ids ...string) {
		m.Networks = append(m.Networks, pick(all.Networks, func(n *network.Network) bool { return slices.Contains(ids, n.ID) })...)
	}
	subnets := func(of func(s *network.Subnet) bool) { m.Subnets = append(m.Subnets, pick(all.Subnets, of)...) }
	routerOf := func(id string) { m.Routers = pick(all.Routers, func(r *router.Router) bool { return r.ID == id }) }
	policy := func(id string) { m.Policies = pick(all.Policies, func(p *qos.Policy) bool { return p.ID == id }) }
	switch topology.Kind(kind) {
	case topology.NetworkKind:
		networks(id)
		subnets(func(s *network.Subnet) bool { return s.Network == id })
	case topology.PortKind:
		m.Ports = pick(all.Ports, func(p *network.Port) bool { return p.ID == id })
		m.Trunks = pick(all.Trunks, func(t *trunk.Trunk) bool {
			return t.Port == id || slices.ContainsFunc(t.Subports, func(s trunk.Subport) bool { return s.Port == id })
		})
		for _, p := range m.Ports {
			networks(p.Network)
			subnets(func(s *network.Subnet) bool { return onSubnet(p, s) })
			if policy(p.QoS); p.QoS == "" && len(m.Networks) > 0 {
				policy(m.Networks[0].QoS)
			}
		}
		for _, t := range m.Trunks {
			m.Ports = append(m.Ports, pick(all.Ports, func(p *network.Port) bool { return p.ID == t.Port && p.ID != id })...)
		}
	case topology.RouterKind:
		routerOf(id)
		m.Ports = pick(all.Ports, func(p *network.Port) bool { return p.DeviceID == id })
		for _, p := range m.Ports {
			networks(p.Network)
			subnets(func(s *network.Subnet) bool { return onSubnet(p, s) })
		}
	case topology.FloatingIPKind:
		m.FloatingIPs = pick(all.FloatingIPs, func(f *router.FloatingIP) bool { return f.ID == id })
		m.Forwardings = pick(all.Forwardings, func(f *router.Forwarding) bool { return f.FloatingIP == id })
		for _, f := range m.FloatingIPs {
			routerOf(f.Router)
			policy(f.QoS)
		}
	case topology.SecurityGroupKind:
		m.Groups = pick(all.Groups, func(g *securitygroup.Group) bool { return g.ID == id })
	case topology.AddressGroupKind:
		m.AddressGroups = pick(all.AddressGroups, func(g *securitygroup.AddressGroup) bool { return g.ID == id })
	case topology.NICKind:
		m.NICs = pick(all.NICs, func(n *topology.NIC) bool { return n.ID == id })
	case topology.UplinkKind:
		m.Uplinks = all.Uplinks
	case topology.Kind(topology.Quarantine):
		m.Services = all.Services
	default:
		return nil, fmt.Errorf("no such scope: %s", scope)
	}
	return m, err
}

func onSubnet(p *network.Port, s *network.Subnet) bool {
	return slices.ContainsFunc(p.FixedIPs, func(ip network.FixedIP) bool { return ip.Subnet == s.ID })
}

func pick[T any](list []*T, is func(*T) bool) (found []*T) {
	for _, item := range list {
		if is(item) {
			found = append(found, item)
		}
	}
	return found
}

// control is a control plane with a reader in memory.
type control struct {
	*memory
	db   *db.DB
	loop *reconcile.Loop
	stop func()

	mu sync.Mutex
	up map[string]bool
}

// run starts the loop over OVN. It ends with stop, or with the test.
func run(t testing.TB, c *ovn.Client, m *topology.Model) *control {
	t.Helper()
	r := &control{memory: &memory{m: m}, db: dbtest.SQLite(t), up: map[string]bool{}}
	log := slog.New(slog.DiscardHandler)
	reconciler := topology.New(topology.Options{OVN: c, Reader: r, Log: log, Beat: 500 * time.Millisecond, Up: func(_ context.Context, port string, up bool) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.up[port] = up
		return nil
	}})
	r.loop = reconcile.New(reconcile.Options{Queue: reconcile.Networks, DB: r.db, Clock: clock.Real{}, Log: log,
		Work: reconciler.Work, All: reconciler.All, Order: topology.Order,
		Beside: func(ctx context.Context) { reconciler.Run(ctx, r.loop.Look) }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.loop.Run(ctx) }()
	r.stop = func() { cancel(); <-ended }
	t.Cleanup(r.stop)
	return r
}

// do changes the model and marks what changed, as a transaction of the domain would.
func (r *control) do(t testing.TB, f func(m *topology.Model), scopes ...ovn.Scope) {
	t.Helper()
	r.change(f)
	err := r.db.Tx(context.Background(), func(tx *db.Tx) error {
		for _, scope := range scopes {
			if err := reconcile.Mark(context.Background(), tx, reconcile.Networks, string(scope)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.loop.Poke()
}

// settled waits until nothing is marked and OVN is as the model says.
func (r *control) settled(t testing.TB, c *ovn.Client) {
	t.Helper()
	var why string
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		p, err := r.loop.Pending(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		why = fmt.Sprintf("%d marks are left, failing %v", p.Marks, p.Failing)
		if p.Marks == 0 {
			m, _ := r.Everything(context.Background())
			scopes, err := c.Differing(m.All())
			// Which chassis there are OVN knows, not the model.
			scopes = slices.DeleteFunc(scopes, func(s ovn.Scope) bool { return s == topology.Gateways })
			if err == nil && len(scopes) == 0 {
				return
			}
			why = fmt.Sprintf("%v differ: %v", scopes, err)
		}
		if time.Now().After(end) {
			t.Fatal("OVN is not as it should be: ", why)
		}
	}
}

func (r *control) isUp(port string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up[port]
}
