package console_test

import (
	"testing"
	"time"

	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
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
