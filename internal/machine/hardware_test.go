package machine_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// Only what came into the hardware's log while an instance had the machine is the instance's: neither what was there before,
// nor what came between two loans, nor what comes after; not even when the log is cleared and its ids begin anew.
func TestHardwareEventsBelongToWhoHadTheMachine(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "m"})
		computer := rig.Machines[0]
		computer.Enrol()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		lend := func(instance string) {
			t.Helper()
			_, err := d.ExecContext(ctx, `UPDATE machine SET instance = $2, epoch = epoch + 1 WHERE id = $1`, computer.ID, instance)
			must(err)
		}
		ail := func(message string) { computer.Sim.Ail(vbmc.Event{Severity: "Critical", Message: message}) }
		want := func(instance, want string) {
			t.Helper()
			events, err := rig.Service.HardwareEvents(ctx, instance)
			must(err)
			var messages []string
			for _, e := range events {
				messages = append(messages, e.Message)
				if e.At.IsZero() || e.Severity != "Critical" {
					t.Errorf("%+v", e)
				}
			}
			if got := strings.Join(messages, ", "); got != want {
				t.Errorf("%s has %q, want %q", instance, got, want)
			}
		}
		read := func(instance string) { t.Helper(); must(rig.Service.ReadHardware(ctx, computer.ID, instance)) }

		ail("of nobody")
		lend("one")
		ail("before the first reading")
		read("one")
		want("one", "")
		ail("first")
		read("one")
		read("one")
		want("one", "first")
		ail("after the last reading")
		lend("two")
		read("one") // too late
		read("two")
		ail("second")
		bmc, err := rig.Service.Dial(ctx, computer.Record())
		must(err)
		logger := bmc.(machine.EventLogger)
		must(logger.ClearEventLog(ctx))
		must(bmc.Close())
		ail("third")
		read("two")
		want("one", "first")
		want("two", "third") // the second was cleared before anybody read it
		lend("one")          // it comes back
		ail("between")
		read("one")
		want("one", "first")

		computer.Faults.Unavailable(1000)
		if err := rig.Service.ReadHardware(ctx, computer.ID, "one"); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		computer.Faults.Unavailable(0)
		ail("in the end")
		read("one")
		want("one", "first, in the end")
	})
}
