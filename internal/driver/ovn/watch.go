package ovn

import (
	"context"
	"strings"
	"sync"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/sbdb"
)

// Event is something that OVN did. An event may be told twice, and says only that it is worth looking.
type Event struct {
	Kind    EventKind
	Port    string // PortUp, PortDown: the ID of the row; GatewayMoved: the name of the router's port
	Scope   Scope  // PortUp, PortDown: the row's
	Chassis string // ChassisCame, ChassisGone, GatewayMoved: the name; empty: none has the gateway
}

// EventKind says what an event is about.
type EventKind int

const (
	// Resync says that a database has just been connected. What happened before is not told: look at everything.
	Resync       EventKind = iota
	PortUp                 // a port of ours is carried out by its chassis
	PortDown               // it is not any more
	ChassisCame            // a chassis is new
	ChassisGone            // a chassis was deleted; one that only died is not told
	GatewayMoved           // a router's gateway is on another chassis
)

// Watch calls f for each event from now on, one after the other, until stop is called. Events wait while f runs, so f does
// its work elsewhere when that takes long.
func (c *Client) Watch(f func(Event)) (stop func()) {
	e := &c.events
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	id := e.next
	if e.watchers == nil {
		e.watchers = map[int]func(Event){}
	}
	e.watchers[id] = f
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, id)
	}
}

// events stand between the library, whose queue drops events when a handler is slow, and those who watch.
type events struct {
	wake chan struct{} // holds one

	mu       sync.Mutex
	queue    []Event
	next     int
	watchers map[int]func(Event)
}

func (e *events) tell(event Event) {
	e.mu.Lock()
	e.queue = append(e.queue, event)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *events) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		}
		e.mu.Lock()
		queue := e.queue
		e.queue = nil
		var watchers []func(Event)
		for _, id := range sortedKeys(e.watchers) {
			watchers = append(watchers, e.watchers[id])
		}
		e.mu.Unlock()
		for _, event := range queue {
			for _, f := range watchers {
				f(event)
			}
		}
	}
}

// globalChange is closed when NB_Global changes from now on.
func (c *Client) globalChange() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.global
}

func (c *Client) northboundEvents() cache.EventHandler {
	ours := func(m model.Model) (*nbdb.LogicalSwitchPort, bool) {
		port, ok := m.(*nbdb.LogicalSwitchPort)
		return port, ok && port.ExternalIDs[ownerKey] == c.owner
	}
	tell := func(kind EventKind, port *nbdb.LogicalSwitchPort) {
		c.events.tell(Event{Kind: kind, Port: port.ExternalIDs[idKey], Scope: Scope(port.ExternalIDs[scopeKey])})
	}
	return &cache.EventHandlerFuncs{
		AddFunc: func(_ string, m model.Model) {
			if port, ok := ours(m); ok && isUp(port) {
				tell(PortUp, port)
			}
		},
		UpdateFunc: func(_ string, before, after model.Model) {
			if _, ok := after.(*nbdb.NBGlobal); ok {
				c.mu.Lock()
				close(c.global)
				c.global = make(chan struct{})
				c.mu.Unlock()
				return
			}
			port, ok := ours(after)
			if !ok {
				return
			}
			old := before.(*nbdb.LogicalSwitchPort)
			if isUp(port) == isUp(old) && port.ExternalIDs[scopeKey] == old.ExternalIDs[scopeKey] {
				return
			}
			if isUp(port) {
				tell(PortUp, port)
			} else {
				tell(PortDown, port)
			}
		},
		DeleteFunc: func(_ string, m model.Model) {
			if port, ok := ours(m); ok && isUp(port) {
				tell(PortDown, port)
			}
		},
	}
}

func (c *Client) southboundEvents() cache.EventHandler {
	gateway := func(m model.Model) (*sbdb.PortBinding, bool) {
		binding, ok := m.(*sbdb.PortBinding)
		return binding, ok && binding.Type == gatewayType
	}
	moved := func(binding *sbdb.PortBinding) {
		event := Event{Kind: GatewayMoved, Port: strings.TrimPrefix(binding.LogicalPort, gatewayPrefix)}
		if s, err := c.sb.session(); err == nil {
			event.Chassis = s.chassisName(binding.Chassis)
		}
		c.events.tell(event)
	}
	return &cache.EventHandlerFuncs{
		AddFunc: func(_ string, m model.Model) {
			if chassis, ok := m.(*sbdb.Chassis); ok {
				c.events.tell(Event{Kind: ChassisCame, Chassis: chassis.Name})
			} else if binding, ok := gateway(m); ok && binding.Chassis != nil {
				moved(binding)
			}
		},
		UpdateFunc: func(_ string, before, after model.Model) {
			if binding, ok := gateway(after); ok {
				old := before.(*sbdb.PortBinding).Chassis
				if (old == nil) != (binding.Chassis == nil) || old != nil && *old != *binding.Chassis {
					moved(binding)
				}
			}
		},
		DeleteFunc: func(_ string, m model.Model) {
			if chassis, ok := m.(*sbdb.Chassis); ok {
				c.events.tell(Event{Kind: ChassisGone, Chassis: chassis.Name})
			}
		},
	}
}
