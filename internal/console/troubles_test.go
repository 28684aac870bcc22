package console_test

import (
	"testing"
	"time"

	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/machine"
)

const panics = "[    0.000000] Linux version 6.1.0\r\n[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"

// What goes wrong at a boot is put on record of the instance whose machine it is, once, and not lost to a database that does
// not answer.
func TestTroublesArePutOnRecord(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	broken, fine := r.instance("m1"), r.instance("m2")
	r.Deafen(true)
	r.Print("m1", panics)
	r.Print("m2", "[    0.000000] Linux version 6.1.0\r\nweb login: ")
	r.says(broken, "Kernel panic")
	r.clock.by.Add(int64(time.Minute)) // it stands
	time.Sleep(50 * time.Millisecond)  // several looks, in vain
	r.Deafen(false)
	Eventually(t, "the trouble to be on record", func() bool { return len(r.Troubles(broken)) > 0 })
	r.clock.by.Add(int64(time.Minute))
	time.Sleep(50 * time.Millisecond) // it would come again here
	if got := r.Troubles(broken); len(got) != 1 || got[0].Fault != "kernel-panic" || got[0].Phase.String() != "kernel" || got[0].Began.IsZero() {
		t.Errorf("%+v", got)
	}
	if got := r.Troubles(fine); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// The hardware's log is read when the instance gets its machine, slowly from then on, and at once when a boot goes wrong; what
// it says is in the report of the boot and on record.
func TestHardwareIsAskedWhenABootGoesWrong(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	Eventually(t, "the first reading", func() bool { return r.Readings("m1") == 1 })
	r.Print("m1", panics)
	r.says(i, "Kernel panic")
	r.Ail(i, machine.HardwareEvent{At: r.clock.Now(), Severity: "Critical", Message: "Memory 0x53: Uncorrectable ECC"})
	time.Sleep(50 * time.Millisecond) // several looks
	if got := r.Readings("m1"); got != 1 {
		t.Errorf("the log was read %d times", got)
	}
	r.clock.by.Add(int64(time.Minute)) // the panic stands
	Eventually(t, "the hardware's fault to be on record", func() bool { return len(r.Troubles(i)) == 2 })
	if got := r.Troubles(i)[1]; got.Fault != "hardware-memory" || got.Says != "The memory failed or had to be corrected: Memory 0x53: Uncorrectable ECC." {
		t.Errorf("%+v", got)
	}
	Eventually(t, "the report to have it", func() bool {
		report, err := r.Boots(t.Context(), i)
		must(t, err)
		found := report.Latest().Findings
		return len(found) == 2 && found[1].Fault == "hardware-memory"
	})
	before := r.Readings("m1")
	r.clock.by.Add(int64(time.Hour))
	Eventually(t, "the slow reading", func() bool { return r.Readings("m1") > before })
}
