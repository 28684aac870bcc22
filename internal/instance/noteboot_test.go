package instance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
)

// A boot's fault is one action of the instance, however often it is told.
func TestNoteBoot(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a")
		ctx := t.Context()
		i := c.Await(c.Create(c.Upload()).ID, instance.Active)
		began := c.Clock.Now().Add(-time.Minute)
		panicked := instance.Event{Name: "kernel-panic", Words: "The kernel gave up.", Started: began.Add(time.Second), Ended: began.Add(time.Second), Failed: true}
		for range 2 {
			c.Check(c.Instances.NoteBoot(ctx, i.ID, began, panicked))
		}
		c.Check(c.Instances.NoteBoot(ctx, i.ID, began.Add(time.Second), panicked)) // another boot
		all, err := c.Instances.Actions(ctx, i.ID)
		c.Check(err)
		var boots []*instance.Action
		for _, a := range all {
			if a.Action == "boot" {
				boots = append(boots, a)
			}
		}
		if len(boots) != 2 {
			t.Fatalf("%d actions", len(boots))
		}
		a := boots[0]
		if !a.Failed || a.Event.Name != "kernel-panic" || a.Event.Words != "The kernel gave up." || a.Owner != "" || a.Project != instancetest.Project ||
			!strings.HasPrefix(a.Request, "req-") || !a.Started.Equal(panicked.Started) || !a.Event.Ended.Equal(panicked.Ended) {
			t.Errorf("%+v", a)
		}
		for _, id := range []string{uuid.NewString(), "no-uuid"} {
			if err := c.Instances.NoteBoot(ctx, id, began, panicked); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}
