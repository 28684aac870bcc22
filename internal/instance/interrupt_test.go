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

// An interrupt reaches the machine once and is on record with how it ended; where the state forbids it nothing is sent and
// nothing is on record.
func TestInterrupt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a")
		ctx, viewer := t.Context(), instancetest.Viewer
		i := c.Await(c.Create(c.Upload()).ID, instance.Active)
		computer, by := c.On(i), instancetest.By()
		c.Check(c.Instances.Interrupt(ctx, viewer, i.ID, by))
		c.Eventually("the interrupt to arrive", func() bool { return computer.Interrupts() == 1 })
		a, err := c.Instances.Action(ctx, i.ID, by.Request)
		c.Check(err)
		if a.Action != "trigger_crash_dump" || a.Failed || a.Event.Name != "inject-nmi" || a.Event.Ended.IsZero() || a.Owner != by.User {
			t.Errorf("%+v", a)
		}

		computer.Faults.Unavailable(1000) // the BMC is down
		by = instancetest.By()
		if err := c.Instances.Interrupt(ctx, viewer, i.ID, by); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		computer.Faults.Unavailable(0)
		a, err = c.Instances.Action(ctx, i.ID, by.Request)
		c.Check(err)
		if !a.Failed || !a.Event.Failed || !strings.HasPrefix(a.Event.Words, "Send the machine a diagnostic interrupt: ") || a.Event.Ended.IsZero() {
			t.Errorf("%+v", a)
		}

		had, err := c.Instances.Actions(ctx, i.ID)
		c.Check(err)
		if err := c.Instances.Interrupt(ctx, instance.Viewer{Project: "another"}, i.ID, instancetest.By()); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		c.Check(c.Instances.Lock(ctx, viewer, i.ID, instancetest.By(), ""))
		if err := c.Instances.Interrupt(ctx, viewer, i.ID, instancetest.By()); !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		c.Check(c.Instances.Unlock(ctx, viewer, i.ID, instancetest.By()))
		c.Check(c.Instances.Stop(ctx, viewer, i.ID, instancetest.By()))
		if err := c.Instances.Interrupt(ctx, viewer, i.ID, instancetest.By()); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "task_state") {
			t.Error(err)
		}
		c.Await(i.ID, instance.Stopped)
		if err := c.Instances.Interrupt(ctx, viewer, i.ID, instancetest.By()); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "vm_state stopped") {
			t.Error(err)
		}
		has, err := c.Instances.Actions(ctx, i.ID)
		c.Check(err)
		if len(has) != len(had)+3 || computer.Interrupts() != 1 { // lock, unlock, stop
			t.Errorf("%d actions after %d, %d interrupts", len(has), len(had), computer.Interrupts())
		}
	})
}
