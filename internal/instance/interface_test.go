package instance_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/network"
)

// placed tells of a server's ports, in their order, on which NIC of its machine each is: "0 1"; "-" is on none.
func placed(t *testing.T, c *instancetest.Cloud, i *instance.Instance) string {
	t.Helper()
	ports, err := c.Networks.PortsOf(t.Context(), c.DB, i.ID)
	c.Check(err)
	i.Order(ports)
	var at []string
	for _, p := range ports {
		n := slices.Index(c.On(i).MACs, p.MAC)
		if n < 0 || p.Host != i.Machine || !p.Plugged {
			at = append(at, "-")
			continue
		}
		at = append(at, string(rune('0'+n)))
	}
	return strings.Join(at, " ")
}

// port makes one on the flat network.
func port(t *testing.T, c *instancetest.Cloud, spec network.NewPort) *network.Port {
	t.Helper()
	spec.Network = c.Network.ID
	if spec.Project == "" {
		spec.Project = instancetest.Project
	}
	var made *network.Port
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) (err error) {
		made, err = c.Networks.CreatePort(t.Context(), tx, spec)
		return err
	}))
	return made
}

// A port that is attached is on a free NIC at once, the others stay where they are, and what a project made itself it has
// again in the end.
func TestInterfacesComeAndGo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a")
		ctx, viewer := t.Context(), instancetest.Viewer
		i := c.Await(c.Create(c.Upload()).ID, instance.Active)
		second, err := c.Instances.AttachInterface(ctx, viewer, i.ID, instancetest.By(), instance.NIC{Network: c.Network.ID, FixedIP: netip.MustParseAddr("10.20.0.77"), Tag: "storage"})
		c.Check(err)
		if i = c.Get(i.ID); second.FixedIPs[0].Addr.String() != "10.20.0.77" || placed(t, c, i) != "0 1" || i.PortTag(second.ID) != "storage" {
			t.Errorf("%v on %s, tag %q", second.FixedIPs, placed(t, c, i), i.PortTag(second.ID))
		}
		if _, err := c.Instances.AttachInterface(ctx, viewer, i.ID, instancetest.By(), instance.NIC{}); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Message(err), "Failed to attach network adapter device to "+i.ID) {
			t.Errorf("with no NIC left: %v", err)
		}
		if i = c.Get(i.ID); len(i.Ports) != 2 {
			t.Errorf("what failed left %d ports", len(i.Ports))
		}
		c.Check(c.Instances.DetachInterface(ctx, viewer, i.ID, i.Ports[0].ID, instancetest.By()))
		own := port(t, c, network.NewPort{})
		if _, err := c.Instances.AttachInterface(ctx, viewer, i.ID, instancetest.By(), instance.NIC{Port: own.ID}); err != nil {
			t.Fatal(err)
		}
		if i = c.Get(i.ID); placed(t, c, i) != "1 0" {
			t.Errorf("the ports are on %s", placed(t, c, i))
		}
		_, err = c.Instances.Rebuild(ctx, viewer, i.ID, instancetest.By(), func(*instance.Instance) error { return nil })
		c.Check(err)
		if i = c.Await(i.ID, instance.Active); placed(t, c, i) != "1 0" {
			t.Errorf("after a rebuild the ports are on %s", placed(t, c, i))
		}
		c.Check(c.Instances.Delete(ctx, viewer, i.ID, instancetest.By()))
		c.Await(i.ID, instance.Deleted)
		left, err := c.Networks.Ports(ctx, c.DB, network.Everything, network.PortFilter{})
		if err != nil || len(left) != 1 || left[0].ID != own.ID || left[0].DeviceID != "" || left[0].Host != "" {
			t.Errorf("left are %d ports, %v", len(left), err)
		}
		var actions []string
		done, err := c.Instances.Actions(ctx, i.ID)
		c.Check(err)
		for _, a := range done {
			actions = append(actions, a.Action)
		}
		slices.Sort(actions)
		if got := strings.Join(actions, " "); got != "attach_interface attach_interface create delete detach_interface rebuild" {
			t.Errorf("the actions are %s", got)
		}
	})
}

func TestInterfacesThatCannotBe(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a")
	ctx, viewer := t.Context(), instancetest.Viewer
	i := c.Await(c.Create(c.Upload()).ID, instance.Active)
	foreign, bare := port(t, c, network.NewPort{Project: "other"}), port(t, c, network.NewPort{FixedIPs: []network.FixedIP{}})
	const nobody = "11111111-2222-3333-4444-555555555555"
	for what, x := range map[string]struct {
		nic   instance.NIC
		kind  fault.Kind
		words string
	}{
		"no such port":      {instance.NIC{Port: nobody}, fault.NotFound, "could not be found"},
		"no such network":   {instance.NIC{Network: nobody}, fault.NotFound, "could not be found"},
		"another's port":    {instance.NIC{Port: foreign.ID}, fault.NotFound, "could not be found"},
		"its own port":      {instance.NIC{Port: i.Ports[0].ID}, fault.Conflict, "is still in use"},
		"without addresses": {instance.NIC{Port: bare.ID}, fault.Invalid, "requires a FixedIP"},
		"a taken address":   {instance.NIC{Network: c.Network.ID, FixedIP: foreign.FixedIPs[0].Addr}, fault.Conflict, "already allocated"},
	} {
		if _, err := c.Instances.AttachInterface(ctx, viewer, i.ID, instancetest.By(), x.nic); !fault.Is(err, x.kind) || !strings.Contains(fault.Message(err), x.words) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := c.Instances.DetachInterface(ctx, viewer, i.ID, foreign.ID, instancetest.By()); !fault.Is(err, fault.NotFound) {
		t.Errorf("another's port is detached: %v", err)
	}
	c.Check(c.Instances.Lock(ctx, viewer, i.ID, instancetest.By(), ""))
	for what, err := range map[string]error{
		"attach": func() error {
			_, err := c.Instances.AttachInterface(ctx, viewer, i.ID, instancetest.By(), instance.NIC{})
			return err
		}(),
		"detach":  c.Instances.DetachInterface(ctx, viewer, i.ID, i.Ports[0].ID, instancetest.By()),
		"address": c.Instances.AddAddress(ctx, viewer, i.ID, c.Network.ID, instancetest.By()),
	} {
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%s while it is locked: %v", what, err)
		}
	}
	if i = c.Get(i.ID); len(i.Ports) != 1 || placed(t, c, i) != "0" {
		t.Errorf("%d ports, on %s", len(i.Ports), placed(t, c, i))
	}
}

func TestMoreAddresses(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a")
	ctx, viewer := t.Context(), instancetest.Viewer
	i := c.Await(c.Create(c.Upload()).ID, instance.Active)
	addresses := func() []network.FixedIP {
		ports, err := c.Networks.PortsOf(ctx, c.DB, i.ID)
		c.Check(err)
		return ports[0].FixedIPs
	}
	first := addresses()
	c.Check(c.Instances.AddAddress(ctx, viewer, i.ID, c.Network.ID, instancetest.By()))
	both := addresses()
	if len(both) != 2 || both[0] != first[0] {
		t.Fatalf("the addresses are %v", both)
	}
	c.Check(c.Instances.RemoveAddress(ctx, viewer, i.ID, both[1].Addr, instancetest.By()))
	if got := addresses(); !slices.Equal(got, first) {
		t.Errorf("the addresses are %v", got)
	}
	if err := c.Instances.RemoveAddress(ctx, viewer, i.ID, both[1].Addr, instancetest.By()); !fault.Is(err, fault.Invalid) {
		t.Errorf("removed twice: %v", err)
	}
	if err := c.Instances.AddAddress(ctx, viewer, i.ID, "elsewhere", instancetest.By()); !fault.Is(err, fault.NotFound) {
		t.Errorf("on a network that it is not on: %v", err)
	}
}
