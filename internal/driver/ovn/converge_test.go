package ovn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
)

type wants = map[ovn.Scope][]ovn.Row

// drawWants draws rows of all tables, with few IDs, so that two drawings have much in common.
func drawWants(t *rapid.T, label string) wants {
	w := wants{}
	ids := func(what string, max int) []string {
		all := make([]string, max)
		for i := range all {
			all[i] = fmt.Sprint(what, i)
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, max, rapid.ID[string]).Draw(t, label+" "+what)
	}
	number := func(what string, max int) int { return rapid.IntRange(0, max).Draw(t, label+" "+what) }
	word := func(what string) string {
		return rapid.SampledFrom([]string{"a", "b", "c d", "é\"\\"}).Draw(t, label+" "+what)
	}
	refs := func(of func(string) ovn.Ref, ids []string) []ovn.Ref {
		var in []ovn.Ref
		for _, id := range ids {
			if rapid.Bool().Draw(t, label+" in "+id) {
				in = append(in, of(id))
			}
		}
		return in
	}
	optional := func(r ovn.Ref) *string {
		if rapid.Bool().Draw(t, label+" refers") {
			return new(r.UUID())
		}
		return nil
	}
	groups, networks, routers := ids("g", 3), ids("n", 3), ids("r", 2)
	for _, g := range groups {
		rows := []ovn.Row{{ID: g, Model: &nbdb.PortGroup{Name: g}}}
		for _, id := range ids(g+"acl", 3) {
			rows = append(rows, ovn.Row{ID: id, In: []ovn.Ref{ovn.Group(g)}, Model: &nbdb.ACL{Direction: "to-lport", Priority: number("priority", 9),
				Action: rapid.SampledFrom([]string{"drop", "allow-related"}).Draw(t, label+" action"), Match: word("match"), Tier: number("tier", 1), Log: rapid.Bool().Draw(t, label+" log")}})
		}
		w[ovn.Scope("group/"+g)] = rows
	}
	for _, id := range ids("ha", 2) {
		w[ovn.Scope("ha/"+id)] = []ovn.Row{{ID: id, Model: &nbdb.HAChassisGroup{Name: id}},
			{ID: id + "c", In: []ovn.Ref{ovn.ChassisGroup(id)}, Model: &nbdb.HAChassis{ChassisName: word("chassis"), Priority: number("priority", 9)}}}
	}
	for _, id := range ids("m", 1) {
		w["meter"] = []ovn.Row{{ID: id, Model: &nbdb.Meter{Name: id, Unit: "kbps", Fair: new(true)}},
			{ID: id + "b", In: []ovn.Ref{ovn.Meter(id)}, Model: &nbdb.MeterBand{Action: "drop", Rate: 1 + number("rate", 2)}}}
	}
	for _, n := range networks {
		w[ovn.Scope("network/"+n)] = []ovn.Row{
			{ID: n, Model: &nbdb.LogicalSwitch{Name: word("name"), OtherConfig: map[string]string{"mcast_snoop": word("snoop")}}},
			{ID: n, Model: &nbdb.DHCPOptions{Cidr: "10.0.0.0/24", Options: map[string]string{word("option"): word("value")}}},
			{ID: n, In: []ovn.Ref{ovn.Switch(n)}, Model: &nbdb.DNS{Records: map[string]string{word("host"): "10.0.0.1"}}},
			{ID: n, In: []ovn.Ref{ovn.Switch(n)}, Model: &nbdb.QoS{Direction: "to-lport", Match: word("match"), Bandwidth: map[string]int{"rate": 1 + number("rate", 2)}}},
		}
	}
	if len(networks) > 0 {
		for _, p := range ids("p", 5) {
			n := rapid.SampledFrom(networks).Draw(t, label+" network")
			m := &nbdb.LogicalSwitchPort{Name: p, Addresses: []string{"02:00:00:00:00:01 10.0.0.2", word("address")}, PortSecurity: []string{word("address")},
				Dhcpv4Options: optional(ovn.DHCPOptions(n)), Options: map[string]string{"requested-chassis": word("chassis")}}
			if tag := number("tag", 2); tag > 0 {
				m.Tag, m.ParentName = &tag, new("trunk")
			}
			w[ovn.Scope("port/"+p)] = []ovn.Row{{ID: p, Model: m, In: append(refs(ovn.Group, groups), ovn.Switch(n))}}
		}
	}
	for _, r := range routers {
		rows := []ovn.Row{{ID: r, Model: &nbdb.LogicalRouter{Name: word("name"), Enabled: new(rapid.Bool().Draw(t, label+" enabled"))}},
			{ID: r, In: []ovn.Ref{ovn.Router(r)}, Model: &nbdb.LogicalRouterPort{Name: "lrp-" + r, MAC: "02:00:00:00:00:09", Networks: []string{"10.0.0.1/24"}}},
			{ID: r, Model: &nbdb.BFD{LogicalPort: "lrp-" + r, DstIP: "192.0.2.1"}},
			{ID: r, In: []ovn.Ref{ovn.RouterPort(r)}, Model: &nbdb.GatewayChassis{Name: "gw-" + r, ChassisName: word("chassis"), Priority: number("priority", 3)}},
			{ID: r, In: []ovn.Ref{ovn.Router(r)}, Model: &nbdb.LogicalRouterStaticRoute{IPPrefix: "0.0.0.0/0", Nexthop: "192.0.2.1", BFD: optional(ovn.BFD(r))}}}
		for _, id := range ids(r+"nat", 2) {
			rows = append(rows, ovn.Row{ID: id, In: []ovn.Ref{ovn.Router(r)}, Model: &nbdb.NAT{Type: "snat", ExternalIP: "192.0.2.9", LogicalIP: word("ip"), GatewayPort: optional(ovn.RouterPort(r))}})
		}
		w[ovn.Scope("router/"+r)] = rows
	}
	for _, l := range ids("l", 2) {
		w[ovn.Scope("balancer/"+l)] = []ovn.Row{
			{ID: l, In: slices.Concat(refs(ovn.Switch, networks), refs(ovn.Router, routers)), Model: &nbdb.LoadBalancer{Name: l, Protocol: new("tcp"), Vips: map[string]string{"10.0.0.8:80": word("backends")}}},
			{ID: l, In: []ovn.Ref{ovn.LoadBalancer(l)}, Model: &nbdb.LoadBalancerHealthCheck{Vip: "10.0.0.8:80"}}}
	}
	return w
}

// byHand changes rows as an operator might who does not know of ingot. Not all of it is possible; what the database refuses
// is left.
func byHand(t *rapid.T, r *raw, keep map[string]row) {
	ours, _, uuids := r.dump()
	var names []string
	for name := range ours {
		names = append(names, name)
	}
	slices.Sort(names)
	where := func(name string) []any {
		return []any{[]any{"_uuid", "==", []any{"uuid", uuids[name]}}}
	}
	for range rapid.IntRange(0, 6).Draw(t, "changes by hand") {
		if len(names) == 0 {
			return
		}
		name := rapid.SampledFrom(names).Draw(t, "row")
		table, id, _ := strings.Cut(name, "/")
		change := op{"op": "update", "table": table, "where": where(name)}
		set := func(column string, value any) { change["row"] = op{column: value} }
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			change = op{"op": "delete", "table": table, "where": where(name)}
		case 1:
			if keep[name] == nil { // without its mark, nobody knows it for an orphan
				continue
			}
			set("external_ids", []any{"map", []any{}})
		case 2:
			column := map[string]string{"Logical_Switch": "name", "ACL": "match", "Logical_Switch_Port": "addresses", "NAT": "logical_ip", "Load_Balancer": "name"}[table]
			if column == "" {
				column = "external_ids"
			}
			set(column, "by hand")
			if column == "external_ids" {
				change = op{"op": "mutate", "table": table, "where": where(name), "mutations": []any{[]any{column, "insert", []any{"map", []any{[]any{"by", "hand"}}}}}}
			}
		case 3:
			column := map[string]string{"Logical_Switch": "ports", "Port_Group": "acls", "Logical_Router": "nat", "Load_Balancer": "health_check"}[table]
			if column == "" {
				continue
			}
			set(column, []any{"set", []any{}})
		case 4: // one port in everything
			var ports []any
			for _, other := range names {
				if strings.HasPrefix(other, "Logical_Switch_Port/") {
					ports = append(ports, []any{"uuid", uuids[other]})
				}
			}
			if table != "Logical_Switch" && table != "Port_Group" {
				continue
			}
			set("ports", []any{"set", ports})
		case 5: // a copy in place of the row
			if table != "Port_Group" {
				continue
			}
			marks := []any{"map", []any{[]any{"ingot:owner", "ingot"}, []any{"ingot:id", id + "-copy"}, []any{"ingot:scope", "group/" + id}}}
			_, _ = r.transact(op{"op": "delete", "table": table, "where": where(name)},
				op{"op": "insert", "table": table, "row": op{"name": id, "external_ids": marks}})
			continue
		}
		_, _ = r.transact(change)
	}
}

// TestConverge goes from any rows, changed by hand, to any others, both at once and scope by scope.
func TestConverge(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	r := dial(t, nb)
	if _, err := r.transact(
		op{"op": "insert", "table": "Logical_Switch", "row": op{"name": "n0", "ports": []any{"named-uuid", "port"}}},
		op{"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "port", "row": op{"name": "theirs"}},
		op{"op": "insert", "table": "Port_Group", "row": op{"name": "theirs", "ports": []any{"named-uuid", "port"}}},
		op{"op": "insert", "table": "Load_Balancer", "row": op{"name": "l0", "external_ids": []any{"map", []any{[]any{"ingot:owner", "another"}, []any{"ingot:scope", "balancer/l0"}}}}},
	); err != nil {
		t.Fatal(err)
	}
	_, theirs, _ := r.dump()
	rapid.Check(t, func(t *rapid.T) {
		check := func(want wants) {
			t.Helper()
			ours, others, _ := r.dump()
			if diff := cmp.Diff(expected(want), ours); diff != "" {
				t.Fatalf("the rows are not those wanted:\n%s", diff)
			}
			if diff := cmp.Diff(theirs, others); diff != "" {
				t.Fatalf("other people's rows were changed:\n%s", diff)
			}
		}
		all := func(want wants) {
			t.Helper()
			if _, err := c.ApplyAll(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			if n, err := c.ApplyAll(t.Context(), want); n != 0 || err != nil {
				t.Fatalf("again: %d operations, %v", n, err)
			}
			if scopes, err := c.Differing(want); len(scopes) != 0 || err != nil {
				t.Fatalf("differing: %v, %v", scopes, err)
			}
			check(want)
		}
		first, second, third := drawWants(t, "1"), drawWants(t, "2"), drawWants(t, "3")
		all(first)
		byHand(t, r, expected(second))
		all(second)

		// First what others need, last what nothing needs any more.
		order := []string{"ha", "meter", "network", "group", "router", "balancer", "port"}
		rank := func(s ovn.Scope) int {
			kind, _, _ := strings.Cut(string(s), "/")
			return slices.Index(order, kind)
		}
		var scopes, gone []ovn.Scope
		for s := range third {
			scopes = append(scopes, s)
		}
		for s := range second {
			if third[s] == nil {
				gone = append(gone, s)
			}
		}
		slices.SortFunc(scopes, func(a, b ovn.Scope) int { return rank(a) - rank(b) })
		slices.SortFunc(gone, func(a, b ovn.Scope) int { return rank(b) - rank(a) })
		for _, s := range append(scopes, gone...) {
			if _, err := c.Apply(t.Context(), s, third[s]); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if n, err := c.Apply(t.Context(), s, third[s]); n != 0 || err != nil {
				t.Fatalf("%s again: %d operations, %v", s, n, err)
			}
		}
		check(third)
	})
}
