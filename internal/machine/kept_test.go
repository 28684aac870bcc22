package machine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// What operators note of a machine is kept as it was written, once, and goes with the machine.
func TestWhatIsNotedIsKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d)
		s, ctx := rig.Service, t.Context()
		tx := func(do func(tx *db.Tx) error) error { return d.Tx(ctx, do) }
		must := func(err error) {
			t.Helper()
			check(t, err)
		}
		conflict := func(err error) {
			t.Helper()
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%v is no conflict", err)
			}
		}
		clean := true
		m := &machine.Machine{
			BMC: machine.BMC{Kind: machine.FakeHardware}, Lessee: "l", Holder: "h", Chassis: "c", Protected: true, Retired: true,
			Notes: machine.Notes{Shard: "s", AutomatedClean: &clean, InstanceInfo: map[string]any{"a": "b"}, Interfaces: map[string]string{"bios_interface": "no-bios"}},
		}
		must(tx(func(tx *db.Tx) error { return s.Create(ctx, tx, m) }))
		got, err := s.Get(ctx, d, m.ID)
		must(err)
		if diff := cmp.Diff(m.Notes, got.Notes); diff != "" || got.Lessee != "l" || got.Holder != "h" || got.Chassis != "c" || !got.Protected || !got.Retired {
			t.Errorf("%+v: %s", got, diff)
		}

		card := machine.Card{Extra: map[string]any{"x": "y"}}
		chassis := &machine.Chassis{Card: card, Description: "d"}
		group := &machine.PortGroup{Card: card, Machine: m.ID, Name: "g", MAC: "52:54:00:00:00:01", Mode: "m", Properties: map[string]any{"p": "q"}, Standalone: true, VIF: "v"}
		connector := &machine.VolumeConnector{Card: card, Machine: m.ID, Type: "iqn", ConnectorID: "i"}
		target := &machine.VolumeTarget{Card: card, Machine: m.ID, VolumeType: "iscsi", VolumeID: "v", BootIndex: 1, Properties: map[string]any{"p": "q"}}
		template := &machine.DeployTemplate{Card: card, Name: "T", Steps: []machine.DeployStep{{Interface: "bios", Step: "s", Args: map[string]any{"a": "b"}, Priority: 3}}}
		allocation := &machine.Allocation{Card: card, Name: "a", Owner: "o", ResourceClass: "r", Traits: []string{"T"}, Candidates: []string{m.ID}, State: machine.Unmet, LastError: "e"}
		saved := func(want, got any, err error) {
			t.Helper()
			must(err)
			if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { f := p.Last().String(); return f == ".Created" || f == ".Updated" }, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
		}
		for range 2 { // made, and then changed
			must(tx(func(tx *db.Tx) error { return s.SaveChassis(ctx, tx, chassis) }))
			must(tx(func(tx *db.Tx) error { return s.SavePortGroup(ctx, tx, group) }))
			must(tx(func(tx *db.Tx) error { return s.SaveVolumeConnector(ctx, tx, connector) }))
			must(tx(func(tx *db.Tx) error { return s.SaveVolumeTarget(ctx, tx, target) }))
			must(tx(func(tx *db.Tx) error { return s.SaveDeployTemplate(ctx, tx, template) }))
			must(tx(func(tx *db.Tx) error { return s.SaveAllocation(ctx, tx, allocation) }))
			c, err := s.GetChassis(ctx, d, chassis.ID)
			saved(chassis, c, err)
			g, err := s.PortGroup(ctx, d, "g")
			saved(group, g, err)
			v, err := s.VolumeConnector(ctx, d, connector.ID)
			saved(connector, v, err)
			w, err := s.VolumeTarget(ctx, d, target.ID)
			saved(target, w, err)
			tt, err := s.DeployTemplate(ctx, d, "T")
			saved(template, tt, err)
			a, err := s.Allocation(ctx, d, "a")
			saved(allocation, a, err)
			chassis.Description, group.Mode, connector.ConnectorID, target.BootIndex, template.Name, allocation.LastError = "e", "n", "j", 2, "T", ""
		}
		again := machine.Card{}
		conflict(tx(func(tx *db.Tx) error {
			return s.SavePortGroup(ctx, tx, &machine.PortGroup{Card: again, Machine: m.ID, Name: "g"})
		}))
		conflict(tx(func(tx *db.Tx) error {
			return s.SaveVolumeConnector(ctx, tx, &machine.VolumeConnector{Machine: m.ID, Type: "iqn", ConnectorID: "j"})
		}))
		conflict(tx(func(tx *db.Tx) error {
			return s.SaveVolumeTarget(ctx, tx, &machine.VolumeTarget{Machine: m.ID, VolumeType: "x", VolumeID: "y", BootIndex: 2})
		}))
		conflict(tx(func(tx *db.Tx) error { return s.SaveDeployTemplate(ctx, tx, &machine.DeployTemplate{Name: "T"}) }))
		conflict(tx(func(tx *db.Tx) error { return s.SaveAllocation(ctx, tx, &machine.Allocation{Name: "a"}) }))

		if err := tx(func(tx *db.Tx) error { return s.Delete(ctx, tx, m) }); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a protected machine: %v", err)
		}
		m.Protected, m.Maintenance = false, true
		must(tx(func(tx *db.Tx) error { return s.Delete(ctx, tx, m) }))
		if left, err := s.PortGroups(ctx, d, ""); err != nil || len(left) > 0 {
			t.Errorf("%v, %v", left, err)
		}
		if left, err := s.VolumeTargets(ctx, d, ""); err != nil || len(left) > 0 {
			t.Errorf("%v, %v", left, err)
		}
	})
}

// A server does not let go of a machine that is protected.
func TestAProtectedMachineStays(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	rig.Spares()
	s, ctx, a := rig.Service, t.Context(), rig.Machines[0]
	check(t, rig.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := s.Claim(ctx, tx, "i", machine.Want{})
		if err == nil {
			err = s.Activate(ctx, tx, a.ID)
		}
		if err != nil {
			return err
		}
		m, err := s.Get(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		m.Protected = true
		return s.Update(ctx, tx, m)
	}))
	for name, do := range map[string]func(tx *db.Tx) error{
		"delete":  func(tx *db.Tx) error { return s.Deleting(ctx, tx, a.ID) },
		"rebuild": func(tx *db.Tx) error { return s.Retake(ctx, tx, a.ID, "i") },
	} {
		if err := rig.DB.Tx(ctx, do); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m := a.Record(); m.State != machine.Active || m.Instance != "i" {
		t.Errorf("%+v", m)
	}
}
