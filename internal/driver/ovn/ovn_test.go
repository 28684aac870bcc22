package ovn_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/fault"
)

// connect gives a client that is connected.
func connect(t testing.TB, o ovn.Options) *ovn.Client {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	c, err := ovn.Connect(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	wait(t, c)
	return c
}

func wait(t testing.TB, c *ovn.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// apply applies and fails the test on an error.
func apply(t testing.TB, c *ovn.Client, scope ovn.Scope, rows ...ovn.Row) int {
	t.Helper()
	n, err := c.Apply(context.Background(), scope, rows)
	if err != nil {
		t.Fatalf("%s: %v", scope, err)
	}
	return n
}

func network(id string) ovn.Row {
	return ovn.Row{ID: id, Model: &nbdb.LogicalSwitch{Name: id}}
}

func port(id, network string, groups ...string) ovn.Row {
	in := []ovn.Ref{ovn.Switch(network)}
	for _, g := range groups {
		in = append(in, ovn.Group(g))
	}
	return ovn.Row{ID: id, Model: &nbdb.LogicalSwitchPort{Name: id, Addresses: []string{"02:00:00:00:00:01 10.0.0.5"}}, In: in}
}

func group(id string) ovn.Row {
	return ovn.Row{ID: id, Model: &nbdb.PortGroup{Name: id}}
}

func rule(id, group string) ovn.Row {
	return ovn.Row{ID: id, In: []ovn.Ref{ovn.Group(group)}, Model: &nbdb.ACL{Priority: 1000, Direction: nbdb.ACLDirectionToLport,
		Action: nbdb.ACLActionAllowRelated, Match: "outport == @" + group + " && ip4 && tcp.dst == 22"}}
}

func TestApply(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	net, sg := []ovn.Row{network("net1")}, []ovn.Row{group("sg1"), rule("r1", "sg1"), rule("r2", "sg1")}
	for scope, rows := range map[ovn.Scope][]ovn.Row{"network/net1": net, "group/sg1": sg, "group/sg2": {group("sg2")}} {
		if n := apply(t, c, scope, rows...); n == 0 {
			t.Errorf("%s: nothing was done", scope)
		}
		if n := apply(t, c, scope, rows...); n != 0 {
			t.Errorf("%s again: %d operations", scope, n)
		}
	}
	ports := func(table, name string) string {
		return nb.Control("ovn-nbctl", "--bare", "--columns=ports", "find", table, "name="+name)
	}
	p := ovn.Port("p1").UUID()
	apply(t, c, "port/p1", port("p1", "net1", "sg1"))
	if ports("Logical_Switch", "net1") != p || ports("Port_Group", "sg1") != p {
		t.Errorf("the port is not where it belongs: %q, %q", ports("Logical_Switch", "net1"), ports("Port_Group", "sg1"))
	}
	if n := apply(t, c, "port/p1", port("p1", "net1", "sg2")); n != 3 { // the mark, out of one group, into the other
		t.Errorf("another group: %d operations", n)
	}
	if ports("Port_Group", "sg1") != "" || ports("Port_Group", "sg2") != p {
		t.Errorf("the port changed its group to %q, %q", ports("Port_Group", "sg1"), ports("Port_Group", "sg2"))
	}
	if n := apply(t, c, "network/net1", net...) + apply(t, c, "group/sg2", group("sg2")); n != 0 {
		t.Errorf("a port bothers its network and group: %d operations", n)
	}
	apply(t, c, "group/sg1", group("sg1"), rule("r2", "sg1"))
	if acls := nb.Control("ovn-nbctl", "--bare", "--columns=external_ids", "list", "ACL"); acls == "" ||
		nb.Control("ovn-nbctl", "--bare", "--columns=_uuid", "list", "ACL") != (ovn.Ref{Table: nbdb.ACLTable, ID: "r2"}).UUID() {
		t.Errorf("the rules left are %q", acls)
	}
	apply(t, c, "port/p1")
	apply(t, c, "network/net1")
	if left := nb.Control("ovn-nbctl", "--bare", "--columns=name", "list", "Logical_Switch_Port") +
		nb.Control("ovn-nbctl", "--bare", "--columns=name", "list", "Logical_Switch"); left != "" {
		t.Errorf("still there: %q", left)
	}
}

func TestFaults(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	other := connect(t, ovn.Options{NB: nb.Endpoint(), Owner: "other"})
	nb.Control("ovn-nbctl", "pg-add", "taken")
	apply(t, other, "group/theirs", group("theirs"))
	for what, rows := range map[string][]ovn.Row{
		"no such switch":       {port("p", "nowhere")},
		"no such group":        {network("net"), port("p", "net", "nowhere")},
		"no such DHCP options": {network("net"), {ID: "p", In: []ovn.Ref{ovn.Switch("net")}, Model: &nbdb.LogicalSwitchPort{Name: "p", Dhcpv4Options: new(ovn.DHCPOptions("none").UUID())}}},
		"a stranger's name":    {group("taken")},
		"another cloud's row":  {group("theirs")},
		"in another's group":   {network("net"), port("p", "net", "theirs")},
	} {
		if n, err := c.Apply(t.Context(), "scope", rows); !fault.Is(err, fault.Conflict) || n != 0 {
			t.Errorf("%s: %d operations, %v", what, n, err)
		}
	}
	for what, rows := range map[string][]ovn.Row{
		"a port on no switch":     {{ID: "p", Model: &nbdb.LogicalSwitchPort{Name: "p"}}},
		"a port only in a group":  {group("g"), {ID: "p", Model: &nbdb.LogicalSwitchPort{Name: "p"}, In: []ovn.Ref{ovn.Group("g")}}},
		"twice":                   {network("net"), network("net")},
		"no ID":                   {{Model: &nbdb.LogicalSwitch{}}},
		"a space in an ID":        {network("a b")},
		"OVN's own settings":      {{ID: "x", Model: &nbdb.NBGlobal{}}},
		"no model":                {{ID: "x"}},
		"an empty model":          {{ID: "x", Model: (*nbdb.LogicalSwitch)(nil)}},
		"a network in a router":   {{ID: "x", Model: &nbdb.LogicalSwitch{}, In: []ovn.Ref{ovn.Router("r")}}},
		"a priority beyond limit": {network("net"), {ID: "r", In: []ovn.Ref{ovn.Switch("net")}, Model: &nbdb.ACL{Priority: 1 << 20, Direction: "to-lport", Action: "drop"}}},
	} {
		if n, err := c.Apply(t.Context(), "scope", rows); err == nil || fault.KindOf(err) != fault.Internal || n != 0 {
			t.Errorf("%s: %d operations, %v", what, n, err)
		}
	}
	if n, err := c.ApplyAll(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("something was left of that: %d operations, %v", n, err)
	}
	if n := apply(t, other, "group/theirs", group("theirs")); n != 0 {
		t.Errorf("another cloud's row was changed: %d operations", n)
	}
}
