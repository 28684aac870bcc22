package machine_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/workflow"
)

func TestFromAnAddressToASpare(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
		rig.Start()
		began := time.Now()
		rig.Spares()
		t.Logf("two machines became spares in %s", time.Since(began).Round(time.Millisecond))
		for _, c := range rig.Machines {
			m := c.Record()
			if want := (machine.Capacity{VCPUs: 4, MemoryMiB: 8192, DiskGiB: 100}); m.Capacity() != want {
				t.Errorf("%s has %+v", m.Name, m.Capacity())
			}
			if m.Erased == nil || len(m.Erased.Disks) != 2 || m.LastError != "" || m.Fault != "" || m.Target != "" || m.Power != machine.PowerOn {
				t.Errorf("%s: %+v", m.Name, m)
			}
			if got := len(c.Boots()); got != 1 {
				t.Errorf("%s went through firmware %d times; the agent that inspected should also clean", m.Name, got)
			}
			nics, err := rig.Service.NICs(t.Context(), d, m.ID)
			check(t, err)
			if len(nics) != 2 || nics[0].MAC != c.MACs[0] || !nics[0].PXE || !strings.HasPrefix(nics[0].Address, "172.31.0.") {
				t.Errorf("%s has NICs %+v", m.Name, nics)
			}
			boot, err := rig.Service.CurrentBoot(t.Context(), d, m.ID)
			check(t, err)
			if want := map[bool]machine.Method{false: machine.ByMedia, true: machine.ByPXE}[c.Spec.IPMI]; boot.Method != want || !boot.Live(rig.Clock.Now()) {
				t.Errorf("%s was started by %s, and its agent is there: %v", m.Name, boot.Method, boot.Live(rig.Clock.Now()))
			}
		}
		if rig.Machines[0].Record().Identity.Serial != "SER0000" {
			t.Errorf("the BMC told %+v", rig.Machines[0].Record().Identity)
		}
	})
}

func TestABMCThatDoesNotLetUsIn(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	nobody := closed.Addr().String()
	check(t, closed.Close())
	for _, c := range []struct {
		name  string
		ipmi  bool
		spoil func(*machine.BMC)
		says  string
	}{
		{"wrong password", false, func(b *machine.BMC) { b.Password = "wrong" }, "user name or password"},
		{"wrong password over IPMI", true, func(b *machine.BMC) { b.Password = "wrong" }, "user name or password"},
		{"nobody listens", false, func(b *machine.BMC) { b.Address = "https://" + nobody }, "answer"},
		{"a certificate that nobody vouches for", false, func(b *machine.BMC) { b.CA = "" }, "certificate"},
		{"no such kind", false, func(b *machine.BMC) { b.Kind = "telepathy" }, "kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "nobody listens" && testing.Short() {
				t.Skip("it takes a while until nobody answers for sure")
			}
			rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a", IPMI: c.ipmi})
			rig.Start()
			a := rig.Machines[0]
			bmc := a.BMC
			c.spoil(&bmc)
			a.EnrolAs(bmc)
			a.Ask(machine.Manage)
			rig.Idle(a)
			m := a.Record()
			if m.State != machine.Enroll || !strings.Contains(strings.ToLower(m.LastError), c.says) || strings.Contains(m.LastError, bmc.Password) {
				t.Errorf("%s, last error %q", m.State, m.LastError)
			}
			check(t, rig.DB.Tx(t.Context(), func(tx *db.Tx) error { // the operator mends it
				m.BMC = a.BMC
				return rig.Service.Update(t.Context(), tx, m)
			}))
			a.Ask(machine.Manage)
			if m := a.Await(machine.Manageable); m.LastError != "" {
				t.Errorf("mended, but says %q", m.LastError)
			}
		})
	}
}

func TestOneMachineEnrolledTwice(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b"})
	rig.Start()
	a, b := rig.Machines[0], rig.Machines[1]
	a.Enrol()
	a.Ask(machine.Manage)
	a.Await(machine.Manageable)
	b.EnrolAs(a.BMC)
	b.Ask(machine.Manage)
	rig.Idle(b)
	if m := b.Record(); m.State != machine.Enroll || !strings.Contains(m.LastError, "enrolled twice") {
		t.Errorf("%s, %q", m.State, m.LastError)
	}
}

func TestAMachineThatNeverCallsHome(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "a"})
		rig.Start()
		a := rig.Machines[0]
		a.Enrol()
		a.Ask(machine.Manage)
		a.Await(machine.Manageable)
		a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
		a.Ask(machine.Inspect)
		rig.Eventually("the machine to boot", func() bool { return len(a.Boots()) == 1 })
		waiting(t, rig, a)
		rig.Clock.Step(16 * time.Minute)
		m := a.Await(machine.InspectFailed)
		if !strings.Contains(m.LastError, "did not start the agent within 15m") || m.Fault == "" {
			t.Errorf("last error %q, fault %q", m.LastError, m.Fault)
		}
		a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = false })
		a.Ask(machine.Inspect)
		if m := a.Await(machine.Manageable); m.Fault != "" || m.LastError != "" {
			t.Errorf("inspected at last, but says %q %q", m.Fault, m.LastError)
		}
	})
}

// waiting waits until the work on a machine is parked.
func waiting(t *testing.T, rig *machinetest.Rig, c *machinetest.Computer) *workflow.Run {
	t.Helper()
	var run *workflow.Run
	rig.Eventually("the work to wait", func() (parked bool) {
		var err error
		run, err = workflow.ActiveOf(context.Background(), rig.DB, machine.Resource(c.ID))
		check(t, err)
		return run != nil && run.Waiting != ""
	})
	return run
}

// ready takes the rig's machines to manageable with an inventory, their agents there.
func ready(rig *machinetest.Rig) {
	for _, verb := range []machine.Verb{machine.Manage, machine.Inspect} {
		for _, c := range rig.Machines {
			if c.ID == "" {
				c.Enrol()
			}
			c.Ask(verb)
			c.Await(machine.Manageable)
		}
	}
}

func TestCleaningThatFails(t *testing.T) {
	for _, c := range []struct {
		name string
		ill  machinetest.Behaviour
		says string
	}{
		{"a disk refuses", machinetest.Behaviour{Fail: map[agentapi.Kind]error{agentapi.KindErase: failure.New(agentapi.FaultMachine, "The disk x refuses.")}}, "The disk x refuses."},
		{"a proof that misses a disk", machinetest.Behaviour{ForgetDisk: true}, "no proof that disk /dev/nvme1n1 (a-DISK1)"},
		{"the agent falls silent", machinetest.Behaviour{Silent: agentapi.KindErase}, "stopped answering"},
		{"the power fails", machinetest.Behaviour{Dies: agentapi.KindErase}, "stopped answering"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
			rig.Start()
			ready(rig)
			a := rig.Machines[0]
			a.Set(func(b *machinetest.Behaviour) { *b = c.ill })
			a.Ask(machine.Provide)
			if c.ill.Silent != "" || c.ill.Dies != "" {
				for lost := range 3 { // a lost agent is started again twice
					rig.Eventually("the agent to be silent", func() bool {
						run, err := workflow.ActiveOf(t.Context(), rig.DB, machine.Resource(a.ID))
						check(t, err)
						return run != nil && run.Step == "erase" && run.Waiting != "" && a.Commands(agentapi.KindErase) > lost
					})
					silence(t, rig, a)
				}
			}
			m := a.Await(machine.CleanFailed)
			if !strings.Contains(m.LastError, c.says) || m.Fault == "" || m.Spare() || m.Erased != nil {
				t.Errorf("last error %q, fault %q, spare %v", m.LastError, m.Fault, m.Spare())
			}
			a.Set(func(b *machinetest.Behaviour) { *b = machinetest.Behaviour{} })
			a.Ask(machine.Provide)
			if m := a.Await(machine.Available); !m.Spare() || m.Fault != "" || m.LastError != "" {
				t.Errorf("clean at last: %+v", m)
			}
		})
	}
}

// silence lets time pass until the service gives the machine's agent up.
func silence(t *testing.T, rig *machinetest.Rig, c *machinetest.Computer) {
	t.Helper()
	rig.Clock.Step(70 * time.Second)
	rig.Look()
	if boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, c.ID); err != nil || boot == nil {
		t.Fatalf("the agent was given up without grace: %v", err)
	}
	rig.Clock.Step(30 * time.Second)
	rig.Look()
	boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, c.ID)
	check(t, err)
	if boot != nil && boot.Session != "" {
		t.Fatalf("the agent is silent since %s, and its session goes on", rig.Clock.Now().Sub(boot.Seen))
	}
}

func TestAClockThatJumpsKillsNoAgent(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
			rig.Start()
			rig.Spares()
			a := rig.Machines[0]
			before, err := rig.Service.CurrentBoot(t.Context(), rig.DB, a.ID)
			check(t, err)
			rig.Clock.Step(jump)
			rig.Look()
			rig.Eventually("the agent to speak at the new time", func() bool {
				boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, a.ID)
				check(t, err)
				return boot.Key == before.Key && rig.Clock.Now().Sub(boot.Seen).Abs() < 10*time.Second
			})
			rig.Clock.Step(30 * time.Second)
			rig.Look()
			if boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, a.ID); err != nil || boot == nil || boot.Key != before.Key || len(a.Boots()) != 1 {
				t.Errorf("the agent was given up: %+v %v", boot, err)
			}
			if m := a.Record(); !m.Spare() {
				t.Errorf("no spare any more: %+v", m)
			}
			a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
			a.KillAgent() // and an agent that is really gone is noticed
			silence(t, rig, a)
		})
	}
}

func TestLookWarmsASpare(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "a"})
		rig.Start()
		rig.Spares()
		a := rig.Machines[0]
		a.Sim.Crash()
		rig.Eventually("the agent to be gone", func() bool { return !a.AgentRuns() })
		if changed := rig.Look(); len(changed) != 1 || changed[0].Power != machine.PowerOff {
			t.Errorf("changed: %+v", changed)
		}
		silence(t, rig, a)
		rig.Eventually("the agent to be back", a.AgentRuns)
		m := a.Await(machine.Available)
		if !m.Spare() || len(a.Boots()) != 2 || a.Erasures() != 1 {
			t.Errorf("spare %v, %d boots, %d erasures", m.Spare(), len(a.Boots()), a.Erasures())
		}
	})
}

func TestASpareThatCannotBeWarmedIsQuarantined(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	rig.Spares()
	a := rig.Machines[0]
	a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	a.Sim.Crash()
	silence(t, rig, a)
	rig.Eventually("the machine to be started", func() bool { return len(a.Boots()) == 2 })
	waiting(t, rig, a)
	rig.Clock.Step(16 * time.Minute)
	rig.Idle(a)
	m := a.Record()
	if m.State != machine.Available || m.Spare() || !strings.HasPrefix(m.MaintenanceReason, "Quarantined: ") || m.Fault == "" {
		t.Fatalf("%+v", m)
	}
	if _, err := claim(t, rig, "i1", machine.Want{}); !fault.Is(err, fault.Exhausted) {
		t.Errorf("a quarantined machine was given away: %v", err)
	}
	a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = false })
	check(t, rig.Service.SetMaintenance(t.Context(), a.ID, false, ""))
	rig.Look()
	rig.Eventually("the agent to be back", a.AgentRuns)
	if m := a.Await(machine.Available); !m.Spare() || m.Fault != "" {
		t.Errorf("%+v", m)
	}
}

// An operator's verb does not wait for the warming of a spare.
func TestAnOperatorInterruptsWarming(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	rig.Spares()
	a := rig.Machines[0]
	a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	a.Sim.Crash()
	silence(t, rig, a)
	waiting(t, rig, a)
	a.Ask(machine.Manage)
	a.Set(func(b *machinetest.Behaviour) { b.NeverCalls = false })
	a.Ask(machine.Inspect)
	rig.Eventually("the interrupted warming to make room", func() bool { return a.Record().State == machine.Inspecting })
	check(t, a.Sim.Do(t.Context(), vbmc.ForceRestart)) // it obeys the override that is still in force
	if m := a.Await(machine.Manageable); m.LastError != "" || m.Maintenance {
		t.Errorf("%+v", m)
	}
}

func TestAbort(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	rig.Start()
	ready(rig)
	a := rig.Machines[0]
	a.Set(func(b *machinetest.Behaviour) { b.Slow = time.Hour })
	a.Ask(machine.Provide)
	waiting(t, rig, a)
	if err := rig.Service.Provision(t.Context(), a.ID, machine.Inspect, "req"); !fault.Is(err, fault.Invalid) {
		t.Errorf("inspect while cleaning gave %v", err)
	}
	a.Ask(machine.Abort)
	if m := a.Await(machine.CleanFailed); m.LastError != "An operator aborted it." {
		t.Errorf("last error %q", m.LastError)
	}
	a.Set(func(b *machinetest.Behaviour) { b.Slow = 0 })
	a.Ask(machine.Provide) // the agent must drop the erasure of before: its epoch is over
	a.Await(machine.Available)
}

// A tenant's own verbs are not asked here: an instance's are.
func TestVerbsThatDoNotFit(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
	a := rig.Machines[0]
	a.Enrol()
	for _, verb := range []machine.Verb{machine.Inspect, machine.Provide, machine.Undo, machine.Abort, "dance"} {
		if err := rig.Service.Provision(t.Context(), a.ID, verb, "req"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s gave %v", verb, err)
		}
	}
	if err := rig.Service.Provision(t.Context(), "nobody", machine.Manage, "req"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown machine gave %v", err)
	}
	a.Ask(machine.Manage)
	if err := rig.Service.Provision(t.Context(), a.ID, machine.Manage, "req"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second verb at once gave %v", err)
	}
}

func TestPower(t *testing.T) {
	for _, ipmi := range []bool{false, true} {
		t.Run(fmt.Sprintf("ipmi %v", ipmi), func(t *testing.T) {
			t.Parallel()
			rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a", IPMI: ipmi})
			rig.Start()
			c := rig.Machines[0]
			c.Enrol()
			for _, step := range []struct {
				action  machine.PowerAction
				restart bool
				want    machine.PowerState
			}{
				{machine.ActionOn, false, machine.PowerOn}, {machine.ActionOn, false, machine.PowerOn}, {machine.ActionReset, false, machine.PowerOn},
				{machine.ActionShutdown, true, machine.PowerOn}, {machine.ActionShutdown, false, machine.PowerOff},
				{machine.ActionReset, false, machine.PowerOn}, {machine.ActionOff, false, machine.PowerOff},
			} {
				check(t, rig.Service.SetPower(t.Context(), c.ID, step.action, step.restart, 0, "req"))
				rig.Idle(c)
				if m := c.Record(); m.Power != step.want || c.Sim.Power() != (step.want == machine.PowerOn) || m.PowerTarget != "" || m.LastError != "" {
					t.Fatalf("after %s the power is %s, target %q, %q", step.action, m.Power, m.PowerTarget, m.LastError)
				}
			}
		})
	}
}

// An operating system that does not obey is not cut off: the operator hears of it.
func TestAShutdownThatIsNotObeyed(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a", Deaf: true})
	rig.Start()
	a := rig.Machines[0]
	a.Enrol()
	check(t, rig.Service.SetPower(t.Context(), a.ID, machine.ActionOn, false, 0, "req"))
	rig.Idle(a)
	check(t, rig.Service.SetPower(t.Context(), a.ID, machine.ActionShutdown, false, time.Minute, "req"))
	if m := a.Record(); m.PowerTarget != machine.ActionShutdown {
		t.Errorf("target %q", m.PowerTarget)
	}
	if err := rig.Service.SetPower(t.Context(), a.ID, machine.ActionOff, false, 0, "req"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second order at once: %v", err)
	}
	waiting(t, rig, a)
	rig.Clock.Step(2 * time.Minute)
	rig.Idle(a)
	if m := a.Record(); m.LastError != "The operating system did not shut down within 1m0s." || m.PowerTarget != "" || !a.Sim.Power() {
		t.Errorf("%q, target %q, on %v", m.LastError, m.PowerTarget, a.Sim.Power())
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
