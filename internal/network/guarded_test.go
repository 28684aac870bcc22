package network_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// groups is a project with the group "web" beside its default one. Who is in which is kept in a table, so that
// it follows the transaction.
type groups struct{}

func (groups) table(w *world) {
	w.t.Helper()
	_, err := w.db.ExecContext(w.t.Context(), `CREATE TABLE member (port TEXT NOT NULL, grp TEXT NOT NULL)`)
	w.must(err)
}

func (groups) Default(_ context.Context, _ *db.Tx, project string) (string, error) {
	return "default-" + project, nil
}

func (groups) Check(_ context.Context, _ db.Querier, project string, ids []string) error {
	for _, id := range ids {
		if id != "web" && id != "default-"+project {
			return fault.Wrap(network.NoSuchGroup, fault.NotFound, "Security group %s does not exist", id)
		}
	}
	return nil
}

func (groups) SetPort(ctx context.Context, tx *db.Tx, port string, ids []string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM member WHERE port = $1`, port)
	for _, id := range ids {
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO member (port, grp) VALUES ($1, $2)`, port, id)
		}
	}
	return err
}

func (groups) OfPorts(ctx context.Context, q db.Querier, ports []string) (map[string][]string, error) {
	all, err := db.List(ctx, q, func(row db.Scanner) (m [2]string, err error) { return m, row.Scan(&m[0], &m[1]) }, `SELECT port, grp FROM member ORDER BY grp`)
	of := map[string][]string{}
	for _, m := range all {
		if slices.Contains(ports, m[0]) {
			of[m[0]] = append(of[m[0]], m[1])
		}
	}
	return of, err
}

// policies knows the policy "gold".
type policies struct{}

func (policies) Check(_ context.Context, _ db.Querier, _, id string) error {
	if id == "gold" {
		return nil
	}
	return fault.Wrap(network.NoSuchPolicy, fault.NotFound, "QoS policy %s could not be found.", id)
}

// surrounded is a cloud that has everything beside networks.
func surrounded(t *testing.T, test func(w *world)) {
	each(t, func(w *world) {
		groups{}.table(w)
		w.Surround(network.Surroundings{
			Groups: groups{}, Policies: policies{}, Wires: []string{"physnet1", "physnet2"}, MTU: 9000,
			Counts: map[string]network.Count{"router": func(context.Context, db.Querier, string) (int, error) { return 3, nil }},
			Owners: map[string]network.Owner{network.SharedSecurityGroup: func(_ context.Context, _ db.Querier, id string) (string, error) {
				if id == "web" {
					return "demo", nil
				}
				return "", fault.Wrap(network.NoSuchGroup, fault.NotFound, "none")
			}},
		})
		test(w)
	})
}

func TestPortsInGroups(t *testing.T) {
	surrounded(t, func(w *world) {
		n := w.network(network.NewNetwork{})
		if n.MTU != 9000-58 {
			w.t.Errorf("in a cloud of jumbo frames a tunnel carries %d bytes", n.MTU)
		}
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		w.marks()
		p := w.on(n, network.NewPort{})
		w.marked("port/" + p.ID)
		in := func(want ...string) {
			w.t.Helper()
			if got := w.again(p).Groups; !slices.Equal(got, want) {
				w.t.Errorf("it is in %v, want %v", got, want)
			}
		}
		in("default-demo")
		w.must(w.change(p, network.PortChange{Groups: &[]string{"web", "default-demo", "web"}}))
		w.marked("port/" + p.ID)
		in("default-demo", "web")
		w.refused(w.change(p, network.PortChange{Groups: &[]string{"default-other"}}), fault.NotFound, network.NoSuchGroup)
		w.refused(w.change(p, network.PortChange{PortSecurity: ptr(false)}), fault.Conflict, network.SecurityHasGroups)
		in("default-demo", "web")
		w.must(w.change(p, network.PortChange{PortSecurity: ptr(false), Groups: &[]string{}}))
		in()
		w.refused(w.change(p, network.PortChange{Groups: &[]string{"web"}}), fault.Invalid, network.GroupsNeedSecurity)
		w.must(w.change(p, network.PortChange{PortSecurity: ptr(true), Groups: &[]string{"web"}}))
		w.must(w.delete(w.DeletePort, p.ID))
		if left, err := (groups{}).OfPorts(w.t.Context(), w.db, []string{p.ID}); err != nil || len(left) != 0 {
			w.t.Errorf("the deleted port is in %v %v", left, err)
		}
		_, err := w.tryOn(n, network.NewPort{PortSecurity: ptr(false), SecurityGroups: []string{"web"}})
		w.refused(err, fault.Invalid, network.GroupsNeedSecurity)
		for what, spec := range map[string]network.NewPort{
			"no groups": {SecurityGroups: []string{}}, "no security": {PortSecurity: ptr(false)}, "a router's": {DeviceOwner: "network:router_interface"},
		} {
			if got := w.again(w.on(n, spec)); len(got.Groups) != 0 || got.PortSecurity != (what == "no groups") {
				w.t.Errorf("%s: %+v", what, got)
			}
		}
		w.must(w.changeNetwork(n, network.NetworkChange{PortSecurity: ptr(false)}))
		if got := w.on(n, network.NewPort{}); got.PortSecurity || len(got.Groups) != 0 {
			w.t.Errorf("on a network without security: %+v", got)
		}
		_, err = w.tryNetwork(network.NewNetwork{Wire: network.Wire{Kind: network.VLANKind, Physical: "physnet9", Segment: 4}})
		w.refused(err, fault.Invalid, network.BadInput)
		if used, err := w.Usage(w.t.Context(), w.db, "demo"); err != nil || used["router"] != 3 {
			w.t.Errorf("used: %v %v", used, err)
		}
		share := func(v network.Viewer, object string) error {
			_, err := within(w, func(ctx context.Context, tx *db.Tx) (*network.RBAC, error) {
				return w.CreateRBAC(ctx, tx, v, network.RBAC{Project: v.Project, Kind: network.SharedSecurityGroup, Object: object, Action: network.AsShared, Target: "x"})
			})
			return err
		}
		w.must(share(demo, "web"))
		w.refused(share(other, "web"), fault.NotFound, network.NoSuchObject)
		w.refused(share(demo, "some"), fault.NotFound, network.NoSuchGroup)
		if ids, err := w.SharedWith(w.t.Context(), w.db, network.SharedSecurityGroup, "x"); err != nil || !slices.Equal(ids, []string{"web"}) {
			w.t.Errorf("shared: %v %v", ids, err)
		}
	})
}

func TestPairsAndOptions(t *testing.T) {
	surrounded(t, func(w *world) {
		n := w.network(network.NewNetwork{QoS: "gold"})
		pair := network.AddressPair{Addr: prefix("10.1.0.7/32")}
		option := network.DHCPOption{Name: "bootfile-name", Value: "x", Version: 4}
		p := w.on(n, network.NewPort{AllowedPairs: []network.AddressPair{pair}, DHCPOptions: []network.DHCPOption{option}})
		if got := w.again(p); !slices.Equal(got.AllowedPairs, []network.AddressPair{pair}) || !slices.Equal(got.DHCPOptions, []network.DHCPOption{option}) || got.NetworkQoS != "gold" || got.QoS != "" {
			w.t.Errorf("made %+v", got)
		}
		six := network.DHCPOption{Name: "bootfile-name", Value: "y", Version: 6}
		w.must(w.change(p, network.PortChange{QoS: ptr("gold"), DHCPOptions: []network.DHCPOption{six, {Name: "bootfile-name", Version: 4}, {Name: "never-there", Version: 4}}}))
		if got := w.again(p); !slices.Equal(got.DHCPOptions, []network.DHCPOption{six}) || got.QoS != "gold" {
			w.t.Errorf("changed: %+v", got)
		}
		w.refused(w.change(p, network.PortChange{QoS: ptr("lead")}), fault.NotFound, network.NoSuchPolicy)
		w.refused(w.change(p, network.PortChange{AllowedPairs: &[]network.AddressPair{pair, pair}}), fault.Invalid, network.PairTwice)
		w.refused(w.change(p, network.PortChange{PortSecurity: ptr(false), Groups: &[]string{}}), fault.Conflict, network.PairsNeedSecurity)
		many := []network.AddressPair{}
		for i := range 11 {
			many = append(many, network.AddressPair{Addr: netip.PrefixFrom(ip(fmt.Sprintf("10.1.0.%d", i)), 32)})
		}
		w.refused(w.change(p, network.PortChange{AllowedPairs: &many}), fault.Invalid, network.TooManyPairs)
		for _, bad := range []network.DHCPOption{{Name: "a b", Value: "x", Version: 4}, {Name: "a", Value: "x", Version: 5}} {
			if err := w.change(p, network.PortChange{DHCPOptions: []network.DHCPOption{bad}}); !fault.Is(err, fault.Invalid) {
				w.t.Errorf("%v: %v", bad, err)
			}
		}
		w.marks()
		w.must(w.changeNetwork(n, network.NetworkChange{QoS: ptr("")}))
		w.marked("network/"+n.ID, "port/"+p.ID)
	})
}

func TestEdges(t *testing.T) {
	surrounded(t, func(w *world) {
		ctx := w.t.Context()
		n := w.network(network.NewNetwork{})
		w.subnet(n, network.NewSubnet{CIDR: prefix("10.1.0.0/24")})
		p := w.on(n, network.NewPort{})
		bind := func(edge network.Edge) error {
			return w.tx(func(tx *db.Tx) error {
				return w.Bind(ctx, tx, p.ID, network.Place{Host: "machine", MAC: "52:54:00:00:00:01", Edge: edge})
			})
		}
		status := func(want string) {
			w.t.Helper()
			if got := w.again(p).Status(); got != want {
				w.t.Errorf("it is %s, want %s", got, want)
			}
		}
		w.refused(bind(network.Edge{}), fault.Conflict, network.PortUnguarded) // a tunnel does not reach there
		ovs, trunk := network.Edge{Kind: network.EdgeOVS, Interface: "nic"}, network.Edge{Kind: network.EdgeTrunk, Interface: "uplink", VLAN: 7}
		w.must(w.tx(func(tx *db.Tx) error {
			return w.Bind(ctx, tx, p.ID, network.Place{Host: "machine", MAC: "52:54:00:00:00:01", Edge: ovs, Reserved: true})
		}))
		if got := w.again(p); got.Plugged || got.Host != "machine" || got.MAC != "52:54:00:00:00:01" {
			w.t.Errorf("on a NIC that is still in quarantine: %+v", got)
		}
		w.marks()
		w.must(bind(ovs))
		w.marked("port/" + p.ID)
		if !w.again(p).Plugged {
			w.t.Error("bound once more it is not plugged in")
		}
		status("DOWN")
		up := func(up bool) {
			w.t.Helper()
			w.must(w.tx(func(tx *db.Tx) error { return w.SetUp(ctx, tx, p.ID, up) }))
		}
		up(true)
		status("ACTIVE")
		revision := w.again(p).Revision
		up(true)
		if got := w.again(p).Revision; got != revision {
			w.t.Errorf("what was so already raised the revision from %d to %d", revision, got)
		}
		w.marked()
		w.must(w.change(p, network.PortChange{AdminUp: ptr(false)}))
		status("DOWN")
		w.must(w.change(p, network.PortChange{AdminUp: ptr(true)}))
		w.must(bind(trunk))
		status("DOWN") // OVN has not said anything of the new place
		if got := w.again(p).Edge; got != trunk {
			w.t.Errorf("its edge is %+v", got)
		}
		up(true)
		w.marks()
		w.must(w.tx(func(tx *db.Tx) error { return w.Unbind(ctx, tx, p.ID) }))
		w.marked("port/" + p.ID)
		if got := w.again(p); got.Up || got.Edge != (network.Edge{}) || got.Host != "" {
			w.t.Errorf("unbound: %+v", got)
		}
		w.must(w.delete(w.DeletePort, p.ID))
		w.marked("port/" + p.ID)
		up(true) // a port that is gone

		wire := w.network(network.NewNetwork{Wire: network.Wire{Kind: network.VLANKind, Physical: "physnet2", Segment: 4}})
		p = w.on(wire, network.NewPort{})
		w.refused(bind(network.Edge{}), fault.Conflict, network.PortUnguarded) // nobody would keep its groups
		w.must(w.change(p, network.PortChange{PortSecurity: ptr(false), Groups: &[]string{}}))
		w.must(bind(network.Edge{}))
		status("ACTIVE")
		w.refused(w.change(p, network.PortChange{PortSecurity: ptr(true)}), fault.Conflict, network.PortUnguarded)
	})
}

func TestParseEdge(t *testing.T) {
	for _, x := range []struct {
		info, port string
		want       network.Edge
		bad        bool
	}{
		{"", "", network.Edge{}, false},
		{"ovs", "nic-1", network.Edge{Kind: network.EdgeOVS, Interface: "nic-1"}, false},
		{"trunk:tor1", "101", network.Edge{Kind: network.EdgeTrunk, Interface: "tor1", VLAN: 101}, false},
		{"ovs", "", network.Edge{}, true},
		{"trunk:", "101", network.Edge{}, true},
		{"trunk:tor1", "4095", network.Edge{}, true},
		{"trunk:tor1", "x", network.Edge{}, true},
		{"cumulus", "swp1", network.Edge{}, true},
	} {
		got, err := network.ParseEdge(x.info, x.port)
		if got != x.want || fault.Is(err, fault.Invalid) != x.bad {
			t.Errorf("%q %q: %+v %v", x.info, x.port, got, err)
		}
	}
}
