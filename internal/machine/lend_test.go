package machine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/workflow"
)

func claim(t *testing.T, rig *machinetest.Rig, instance string, want machine.Want) (m *machine.Machine, err error) {
	t.Helper()
	err = rig.DB.Tx(context.Background(), func(tx *db.Tx) (err error) {
		m, err = rig.Service.Claim(context.Background(), tx, instance, want)
		return err
	})
	return m, err
}

func release(t *testing.T, rig *machinetest.Rig, c *machinetest.Computer, instance, blame string) {
	t.Helper()
	check(t, rig.DB.Tx(t.Context(), func(tx *db.Tx) error {
		return rig.Service.Release(t.Context(), tx, c.ID, instance, "req", blame)
	}))
}

func TestRacesForTheLastMachine(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b"})
		rig.Start()
		rig.Spares()
		const rivals = 8
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			given = map[string]int{}
			empty int
		)
		for i := range rivals {
			wg.Go(func() {
				m, err := claim(t, rig, string(rune('a'+i)), machine.Want{})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					given[m.Name]++
				case fault.Is(err, fault.Exhausted):
					empty++
				default:
					t.Errorf("a rival got %v", err)
				}
			})
		}
		wg.Wait()
		if given["a"] != 1 || given["b"] != 1 || empty != rivals-2 {
			t.Errorf("given %v, refused %d", given, empty)
		}
	})
}

func TestWhichMachineIsClaimed(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t),
		machinetest.Spec{Name: "large", CPUs: 16, MemoryMiB: 65536, ResourceClass: "gold", Traits: []string{"CUSTOM_GPU"}},
		machinetest.Spec{Name: "small"},
		machinetest.Spec{Name: "cold", MemoryMiB: 4096})
	rig.Start()
	rig.Spares()
	cold := rig.Machines[2]
	cold.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	cold.Sim.Crash()
	rig.Clock.Step(70 * time.Second)
	rig.Eventually("the warm ones to speak", func() bool {
		for _, c := range rig.Machines[:2] {
			boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, c.ID)
			check(t, err)
			if !boot.Live(rig.Clock.Now()) {
				return false
			}
		}
		return true
	})
	var failed []string
	for _, c := range []struct {
		why  string
		want machine.Want
		name string
	}{
		{"the smallest of those that are warm", machine.Want{}, "small"},
		{"by class", machine.Want{ResourceClass: "gold"}, "large"},
		{"by trait", machine.Want{Traits: []string{"CUSTOM_GPU"}}, "large"},
		{"by size", machine.Want{Capacity: machine.Capacity{VCPUs: 8}}, "large"},
		{"not what failed before: a cold one rather than none", machine.Want{Exclude: []string{"small", "large"}}, "cold"},
		{"no such class", machine.Want{ResourceClass: "platinum"}, ""},
		{"too large", machine.Want{Capacity: machine.Capacity{DiskGiB: 101}}, ""},
	} {
		for i, name := range c.want.Exclude {
			for _, computer := range rig.Machines {
				if computer.Spec.Name == name {
					c.want.Exclude[i] = computer.ID
				}
			}
		}
		undo := fault.New(fault.Conflict, "undo")
		var got string
		err := rig.DB.Tx(t.Context(), func(tx *db.Tx) error {
			m, err := rig.Service.Claim(t.Context(), tx, "i", c.want)
			if err != nil {
				return err
			}
			got = m.Name
			return undo
		})
		if c.name == "" && !fault.Is(err, fault.Exhausted) || got != c.name {
			failed = append(failed, c.why+": "+got)
		}
	}
	if failed != nil {
		t.Error(failed)
	}
}

func TestReleaseCleans(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "a"})
		rig.Start()
		rig.Spares()
		a := rig.Machines[0]
		m, err := claim(t, rig, "i1", machine.Want{})
		check(t, err)
		if m.State != machine.Deploying || m.Target != machine.Active || m.Instance != "i1" {
			t.Fatalf("claimed: %+v", m)
		}
		release(t, rig, a, "somebody else", "")
		if a.Record().State != machine.Deploying {
			t.Fatal("an instance released a machine that it does not have")
		}
		check(t, rig.DB.Tx(t.Context(), func(tx *db.Tx) error {
			if err := rig.Service.HandOver(t.Context(), tx, a.ID, true); err != nil {
				return err
			}
			return rig.Service.Activate(t.Context(), tx, a.ID)
		}))
		if lease, err := rig.Service.Reservation(t.Context(), a.MACs[0]); err != nil || lease != nil {
			t.Errorf("the quarantine network still answers a tenant's machine: %+v %v", lease, err)
		}
		if err := rig.Service.Provision(t.Context(), a.ID, machine.Manage, "req"); !fault.Is(err, fault.Invalid) {
			t.Errorf("an operator took a tenant's machine: %v", err)
		}
		check(t, rig.Service.SetMaintenance(t.Context(), a.ID, true, "a fan is loud")) // and it outlives the cleaning
		release(t, rig, a, "i1", "")
		m = a.Await(machine.Available)
		if m.Instance != "" || m.HandedOver || a.Erasures() != 2 || len(a.Boots()) != 2 || m.Erased == nil {
			t.Errorf("released: %+v, %d erasures, %d boots", m, a.Erasures(), len(a.Boots()))
		}
		if m.Spare() || m.MaintenanceReason != "a fan is loud" {
			t.Errorf("cleaning ended an operator's maintenance: %+v", m)
		}
		check(t, rig.Service.SetMaintenance(t.Context(), a.ID, false, ""))
		if !a.Record().Spare() {
			t.Error("no spare after the maintenance")
		}
	})
}

// A deploy that is given up while the agent writes: the agent drops that order for the erasure.
func TestReleaseInTheMiddleOfADeploy(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	rig.Spares()
	a := rig.Machines[0]
	_, err := claim(t, rig, "i1", machine.Want{})
	check(t, err)
	a.Set(func(b *machinetest.Behaviour) { b.Hangs = agentapi.KindBoot })
	order := agentapi.Command{Kind: agentapi.KindBoot, Boot: &agentapi.BootInto{}}
	deploy := &workflow.Run{ID: "a-deploy"}
	if err := rig.Service.Ask(t.Context(), deploy, a.ID, "boot", order, nil); err == nil || err.Error() != "waiting for the agent" {
		t.Fatalf("asked the agent: %v", err)
	}
	rig.Eventually("the agent to be at it", func() bool {
		var state string
		check(t, rig.DB.QueryRow(`SELECT state FROM machine_command WHERE run = 'a-deploy'`).Scan(&state))
		return state == string(agentapi.Running)
	})
	release(t, rig, a, "i1", "")
	var failed *machine.AgentError
	if err := rig.Service.Ask(t.Context(), deploy, a.ID, "boot", order, nil); !errors.As(err, &failed) {
		t.Errorf("the deploy that lost the machine was told %v", err)
	}
	if m := a.Await(machine.Available); !m.Spare() || a.Erasures() != 2 || len(a.Boots()) != 1 {
		t.Errorf("%+v, %d erasures, %d boots", m, a.Erasures(), len(a.Boots()))
	}
}

func TestReleaseWithBlame(t *testing.T) {
	for _, out := range []struct {
		name string
		take func(t *testing.T, rig *machinetest.Rig, a *machinetest.Computer)
	}{
		{"undeploy cleans it", func(_ *testing.T, _ *machinetest.Rig, a *machinetest.Computer) { a.Ask(machine.Undo) }},
		{"manage, inspect, provide", func(_ *testing.T, _ *machinetest.Rig, a *machinetest.Computer) {
			a.Ask(machine.Manage)
			a.Await(machine.Manageable)
			a.Ask(machine.Inspect)
			a.Await(machine.Manageable)
			a.Ask(machine.Provide)
		}},
	} {
		t.Run(out.name, func(t *testing.T) {
			rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
			rig.Start()
			rig.Spares()
			a := rig.Machines[0]
			_, err := claim(t, rig, "i1", machine.Want{})
			check(t, err)
			release(t, rig, a, "i1", "The disk /dev/nvme0n1 fails.")
			m := a.Record()
			if m.State != machine.DeployFailed || !m.Maintenance || m.Fault != "The disk /dev/nvme0n1 fails." || m.Instance != "" {
				t.Fatalf("blamed: %+v", m)
			}
			if boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, a.ID); err != nil || boot != nil {
				t.Errorf("its agent is still trusted: %+v %v", boot, err)
			}
			if _, err := claim(t, rig, "i2", machine.Want{}); !fault.Is(err, fault.Exhausted) {
				t.Errorf("the blamed machine was given away: %v", err)
			}
			out.take(t, rig, a)
			if m := a.Await(machine.Available); !m.Spare() || m.Fault != "" || m.MaintenanceReason != "" {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	rig.Spares()
	a := rig.Machines[0]
	remove := func() error {
		return rig.DB.Tx(t.Context(), func(tx *db.Tx) error { return rig.Service.Delete(t.Context(), tx, a.Record()) })
	}
	_, err := claim(t, rig, "i1", machine.Want{})
	check(t, err)
	if err := remove(); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "i1") {
		t.Errorf("deleting an instance's machine: %v", err)
	}
	release(t, rig, a, "i1", "")
	a.Await(machine.Available)
	a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	a.Sim.Crash()
	silence(t, rig, a)
	run := waiting(t, rig, a) // it is being warmed: that is no reason to keep it
	check(t, remove())
	rig.Eventually("the warming to end", func() bool {
		var status string
		check(t, rig.DB.QueryRow(`SELECT status FROM workflow_run WHERE id = $1`, run.ID).Scan(&status))
		return status == "aborted"
	})
	if _, err := rig.Service.Get(t.Context(), rig.DB, a.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the machine is still there: %v", err)
	}
}
