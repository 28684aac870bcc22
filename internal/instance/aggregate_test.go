package instance_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
)

// order asks for a server, and gives it when it rests: with its machine, or without one in error.
func order(t *testing.T, c *instancetest.Cloud, spec instance.Spec) *instance.Instance {
	t.Helper()
	spec.Name, spec.Image = "web", c.Upload()
	if spec.Flavor.ID == "" {
		spec.Flavor = instancetest.Flavor
	}
	made, err := c.Instances.Create(t.Context(), instancetest.By(), spec)
	c.Check(err)
	c.Eventually("the server to rest", func() bool { return c.Get(made[0].ID).TaskState == instance.NoTask })
	return c.Get(made[0].ID)
}

// Racks are zones: a server gets a machine of the zone that it asks for, and the zone is not taken away under it.
func TestZones(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a", "b", "c")
		ctx, s := t.Context(), c.Instances
		rack, err := s.CreateAggregate(ctx, "rack 1", "west")
		c.Check(err)
		other, err := s.CreateAggregate(ctx, "rack 2", "east")
		c.Check(err)
		refused := func(what string, err error, kind fault.Kind, words string) {
			t.Helper()
			if !fault.Is(err, kind) || !strings.Contains(fault.Message(err), words) {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = s.CreateAggregate(ctx, "rack 1", "")
		refused("the name again", err, fault.Conflict, "Aggregate rack 1 already exists.")
		_, err = s.Create(ctx, instancetest.By(), instance.Spec{Name: "web", Flavor: instancetest.Flavor, Image: c.Upload(), Zone: "west"})
		refused("a zone without machines", err, fault.Invalid, "The requested availability zone is not available")
		_, err = s.AddMachine(ctx, rack.ID, "nowhere")
		refused("no such machine", err, fault.NotFound, "Compute host nowhere could not be found.")

		rack, err = s.AddMachine(ctx, rack.ID, "b")
		if err != nil || len(rack.Machines) != 1 || rack.Machines[0] != c.Machines[1].ID || rack.Updated.IsZero() {
			t.Fatalf("%+v, %v", rack, err)
		}
		_, err = s.AddMachine(ctx, rack.ID, c.Machines[1].ID)
		refused("the machine again", err, fault.Conflict, "already has host")
		_, err = s.AddMachine(ctx, other.ID, "b")
		refused("two zones", err, fault.Conflict, "already in availability zone(s)")
		if got, err := s.Aggregate(ctx, c.DB, other.ID); err != nil || len(got.Machines) != 0 {
			t.Errorf("what failed left %v, %v", got.Machines, err)
		}

		i := order(t, c, instance.Spec{Zone: "west"})
		if i.Machine != c.Machines[1].ID {
			t.Errorf("it is on %s", i.Machine)
		}
		if i := order(t, c, instance.Spec{Zone: "west"}); i.VMState != instance.Errored || !strings.HasPrefix(i.Fault.Message, "No valid host was found.") {
			t.Errorf("where there is no other it is %s, %+v", i.VMState, i.Fault)
		}
		_, err = s.RemoveMachine(ctx, rack.ID, "b")
		refused("out of its zone", err, fault.Conflict, "One or more hosts contain instances in this zone.")
		_, err = s.ChangeAggregate(ctx, rack.ID, func(a *instance.Aggregate) error { a.Zone = "north"; return nil })
		refused("another zone", err, fault.Conflict, "One or more hosts contain instances in this zone.")
		if i := order(t, c, instance.Spec{Zone: instance.DefaultZone}); i.Machine == "" || i.Machine == c.Machines[1].ID {
			t.Errorf("the default zone is on %q", i.Machine)
		}
		zones, err := s.Zones(ctx, c.DB)
		if err != nil || zones.OfInstance(i) != "west" || zones.Of(c.Machines[0].ID) != instance.DefaultZone {
			t.Errorf("%v, %v", zones, err)
		}

		refused("not empty", s.DeleteAggregate(ctx, rack.ID), fault.Invalid, "not empty")
		c.Check(s.Delete(ctx, instancetest.Viewer, i.ID, instancetest.By()))
		c.Await(i.ID, instance.Deleted)
		_, err = s.RemoveMachine(ctx, rack.ID, "b")
		c.Check(err)
		_, err = s.RemoveMachine(ctx, rack.ID, "b")
		refused("removed twice", err, fault.NotFound, "")
		c.Check(s.DeleteAggregate(ctx, rack.ID))
		refused("deleted twice", s.DeleteAggregate(ctx, rack.ID), fault.NotFound, "could not be found")
	})
}

// Aggregates keep machines for some projects, and for flavors that ask for what their metadata says.
func TestWhoGetsMachinesOfAggregates(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a", "b", "c")
	ctx, s := t.Context(), c.Instances
	for name, metadata := range map[string]map[string]string{"a": {"filter_tenant_id": "somebody"}, "b": {"gpu": "yes", "filter_tenant_id": "somebody," + instancetest.Project}} {
		a, err := s.CreateAggregate(ctx, name, "")
		c.Check(err)
		_, err = s.ChangeAggregate(ctx, a.ID, func(a *instance.Aggregate) error { a.Metadata = metadata; return nil })
		c.Check(err)
		_, err = s.AddMachine(ctx, a.ID, name)
		c.Check(err)
	}
	gpu := instancetest.Flavor
	gpu.ExtraSpecs = map[string]string{"aggregate_instance_extra_specs:gpu": "yes"}
	if i := order(t, c, instance.Spec{Flavor: gpu}); i.Machine != c.Machines[1].ID {
		t.Errorf("the one with a GPU is on %s", i.Machine)
	}
	if i := order(t, c, instance.Spec{}); i.Machine != c.Machines[2].ID {
		t.Errorf("another one is on %s", i.Machine)
	}
	if i := order(t, c, instance.Spec{}); i.VMState != instance.Errored {
		t.Errorf("the machine of another project carries it: %s", i.VMState)
	}
	if i := order(t, c, instance.Spec{Machine: c.Machines[0].ID}); i.Machine != c.Machines[0].ID {
		t.Errorf("an operator's choice is on %q", i.Machine)
	}
}
