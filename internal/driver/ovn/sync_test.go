package ovn_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/fault"
)

// seen collects events.
type seen struct {
	mu     sync.Mutex
	events []ovn.Event
}

func (s *seen) add(e ovn.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *seen) has(want ovn.Event) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range s.events {
			if e == want {
				return true
			}
		}
		return false
	}
}

// TestNorthd has ovn-northd carry out what is written, with chassis that are only rows.
func TestNorthd(t *testing.T) {
	nb, sb := ovntest.Northbound(t), ovntest.Southbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint(), SB: sb.Endpoint()})
	if err := c.Sync(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before ovn-northd ran: %v", err)
	}
	ovntest.Northd(t, nb, sb)
	ovntest.Eventually(t, "ovn-northd has begun", func() bool { return c.Sync(t.Context()) == nil })
	var events seen
	stop := c.Watch(events.add)

	for _, name := range []string{"gw1", "gw2"} {
		sb.Control("ovn-sbctl", "chassis-add", name, "geneve", map[string]string{"gw1": "127.0.0.1", "gw2": "127.0.0.2"}[name])
		ovntest.Eventually(t, name+" came", events.has(ovn.Event{Kind: ovn.ChassisCame, Chassis: name}))
	}
	chassis, err := c.Chassis()
	if err != nil || len(chassis) != 2 || chassis[0].Name != "gw1" || chassis[1].Name != "gw2" {
		t.Errorf("chassis: %+v, %v", chassis, err)
	}

	sb.Control("ovn-sbctl", "set", "Chassis", "gw1", "other_config:ovn-cms-options=x,enable-chassis-as-gw")
	ovntest.Eventually(t, "gw1 says that it is a gateway", func() bool {
		chassis, err := c.Chassis()
		return err == nil && chassis[0].Gateway && !chassis[1].Gateway
	})

	apply(t, c, "network/net", network("net"))
	apply(t, c, "port/p", port("p", "net"))
	if rows, err := c.RowsOf("port/p"); err != nil || len(rows) != 1 || rows[0] != ovn.Port("p") {
		t.Errorf("rows of the port's scope: %v, %v", rows, err)
	}
	apply(t, c, "router/r", ovn.Row{ID: "r", Model: &nbdb.LogicalRouter{Name: "r"}},
		ovn.Row{ID: "ha", Model: &nbdb.HAChassisGroup{Name: "ha"}},
		ovn.Row{ID: "ha1", In: []ovn.Ref{ovn.ChassisGroup("ha")}, Model: &nbdb.HAChassis{ChassisName: "gw1", Priority: 2}},
		ovn.Row{ID: "ha2", In: []ovn.Ref{ovn.ChassisGroup("ha")}, Model: &nbdb.HAChassis{ChassisName: "gw2", Priority: 1}},
		ovn.Row{ID: "rp", In: []ovn.Ref{ovn.Router("r")}, Model: &nbdb.LogicalRouterPort{Name: "rp", MAC: "02:00:00:00:00:09",
			Networks: []string{"192.0.2.1/24"}, HaChassisGroup: new(ovn.ChassisGroup("ha").UUID())}})

	// The chassis have not said anything yet.
	sb.Control("ovn-sbctl", "--", "--id=@a", "create", "Chassis_Private", "name=gw1", "nb_cfg=1000", "nb_cfg_timestamp=1764000000000",
		"--", "--id=@b", "create", "Chassis_Private", "name=gw2", "nb_cfg=0")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Sync(ctx); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "gw2") || strings.Contains(err.Error(), "gw1") {
		t.Errorf("a chassis that is behind: %v", err)
	}
	sb.Control("ovn-sbctl", "set", "Chassis_Private", "gw2", "nb_cfg=1000")
	if err := c.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	if chassis, err := c.Chassis(); err != nil || chassis[0].Reached != 1000 || chassis[0].At.UnixMilli() != 1764000000000 || !chassis[1].At.IsZero() {
		t.Errorf("what the chassis said: %+v, %v", chassis, err)
	}

	if up, err := c.PortUp("p"); up || err != nil {
		t.Errorf("a port that nobody has: %v, %v", up, err)
	}
	for again := range 2 {
		// The second time the port has been deleted and made again with the same UUID.
		events.mu.Lock()
		events.events = nil
		events.mu.Unlock()
		sb.Control("ovn-sbctl", "lsp-bind", "p", "gw1")
		sb.Control("ovn-sbctl", "set", "Port_Binding", "p", "up=true")
		ovntest.Eventually(t, "the port is up", func() bool { up, err := c.PortUp("p"); return up && err == nil })
		ovntest.Eventually(t, "that is told", events.has(ovn.Event{Kind: ovn.PortUp, Port: "p", Scope: "port/p"}))
		if b, err := c.Binding("p"); err != nil || b != (ovn.Binding{Chassis: "gw1", Up: true}) {
			t.Errorf("binding: %+v, %v", b, err)
		}
		if n := apply(t, c, "port/p", port("p", "net")); n != 0 {
			t.Errorf("a port that came up differs from what was wanted: %d operations", n)
		}
		if again == 1 {
			apply(t, c, "port/q", port("p", "net")) // the row moves to another scope, and stays up
			ovntest.Eventually(t, "whose it is then is told", events.has(ovn.Event{Kind: ovn.PortUp, Port: "p", Scope: "port/q"}))
			break
		}
		apply(t, c, "port/p")
		ovntest.Eventually(t, "its end is told", events.has(ovn.Event{Kind: ovn.PortDown, Port: "p", Scope: "port/p"}))
		if _, err := c.PortUp("p"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a port that is gone: %v", err)
		}
		ovntest.Eventually(t, "ovn-northd has seen that", func() bool { _, err := c.Binding("p"); return fault.Is(err, fault.NotFound) })
		apply(t, c, "port/p", port("p", "net"))
		ovntest.Eventually(t, "ovn-northd has seen the new one", func() bool { _, err := c.Binding("p"); return err == nil })
	}

	ovntest.Eventually(t, "the gateway is there", func() bool { _, err := c.Gateway("rp"); return err == nil })
	for _, name := range []string{"gw1", "gw2"} {
		uuid := sb.Control("ovn-sbctl", "--bare", "--columns=_uuid", "find", "Chassis", "name="+name)
		sb.Control("ovn-sbctl", "set", "Port_Binding", "cr-rp", "chassis="+uuid)
		ovntest.Eventually(t, "the gateway moved", events.has(ovn.Event{Kind: ovn.GatewayMoved, Port: "rp", Chassis: name}))
		if gw, err := c.Gateway("rp"); gw != name || err != nil {
			t.Errorf("the gateway is on %q, %v", gw, err)
		}
	}
	sb.Control("ovn-sbctl", "chassis-del", "gw2")
	ovntest.Eventually(t, "gw2 is gone", events.has(ovn.Event{Kind: ovn.ChassisGone, Chassis: "gw2"}))
	stop()

	without := connect(t, ovn.Options{NB: nb.Endpoint()})
	if _, err := without.Chassis(); !fault.Is(err, fault.Unsupported) {
		t.Errorf("without a southbound database: %v", err)
	}
}

// TestDeletedTogether deletes a port and makes it again, with the same UUID, before ovn-northd looks.
func TestDeletedTogether(t *testing.T) {
	nb, sb := ovntest.Northbound(t), ovntest.Southbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint(), SB: sb.Endpoint()})
	ovntest.Northd(t, nb, sb)
	ovntest.Eventually(t, "ovn-northd has begun", func() bool { return c.Sync(t.Context()) == nil })
	rows := someRows()
	for range 20 {
		for _, want := range []wants{rows, nil} {
			if _, err := c.ApplyAll(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.ApplyAll(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		name := fmt.Sprint("p", i)
		ovntest.Eventually(t, name+" has a binding", func() bool { _, err := c.Binding(name); return err == nil })
	}
	groups := sb.Control("ovn-sbctl", "--bare", "--columns=ports", "list", "Port_Group")
	if n := len(strings.Fields(groups)); n != 20 {
		t.Errorf("ovn-northd sees %d ports in the group", n)
	}
}
