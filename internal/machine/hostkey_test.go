package machine_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// The first host key of a BMC is kept, and no other is trusted until the BMC is saved anew.
func TestHostKeyIsKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "m", SSH: true})
		computer := rig.Machines[0]
		computer.Enrol()
		open := func() error {
			t.Helper()
			bmc, err := rig.Service.Dial(t.Context(), computer.Record())
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
			line, err := bmc.(machine.SerialConsole).OpenConsole(t.Context())
			if err == nil {
				err = line.Close()
			}
			return err
		}
		save := func(bmc machine.BMC) {
			t.Helper()
			if err := d.Tx(t.Context(), func(tx *db.Tx) error {
				m := computer.Record()
				m.BMC = bmc
				return rig.Service.Update(t.Context(), tx, m)
			}); err != nil {
				t.Fatal(err)
			}
		}
		if key := computer.Record().BMC.HostKey; key != "" {
			t.Errorf("before the first use: %q", key)
		}
		for range 2 {
			if err := open(); err != nil {
				t.Fatal(err)
			}
		}
		kept := computer.Record().BMC.HostKey
		if !strings.HasPrefix(kept, "ecdsa-sha2-nistp256 ") {
			t.Errorf("%q", kept)
		}
		another := computer.BMC
		another.HostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBwWlC7nYPvZYfTtWkQJbOzYvvFnJrGBNqPxXkXJXkXJ"
		save(another)
		if err := open(); !fault.Is(err, fault.Invalid) {
			t.Errorf("another key: %v", err)
		}
		if got := computer.Record().BMC.HostKey; got != another.HostKey {
			t.Errorf("the kept key was replaced by %q", got)
		}
		save(computer.BMC)
		if err := open(); err != nil || computer.Record().BMC.HostKey != kept {
			t.Errorf("saved anew: %v", err)
		}
	})
}
