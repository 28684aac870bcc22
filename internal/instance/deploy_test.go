package instance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
)

func cloud(t *testing.T, d *db.DB, names ...string) *instancetest.Cloud {
	t.Helper()
	var specs []machinetest.Spec
	for _, name := range names {
		specs = append(specs, machinetest.Spec{Name: name})
	}
	c := instancetest.New(t, d, specs...)
	c.Run()
	c.Spares()
	return c
}

func TestFromNothingToAServerAndBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a")
		image, computer := c.Upload(), c.Machines[0]
		boots := len(computer.Boots())
		i := c.Await(c.Create(image).ID, instance.Active)
		if i.Power != machine.PowerOn || i.Launched.IsZero() || i.Fault != nil || i.Machine != computer.ID {
			t.Errorf("%+v", i)
		}
		if !computer.TenantRuns() || computer.AgentRuns() {
			t.Error("the tenant's system does not run alone")
		}
		if n := len(computer.Boots()); n != boots {
			t.Errorf("a spare that waits went through firmware %d times", n-boots)
		}
		m := computer.Record()
		if m.State != machine.Active || m.Instance != i.ID || !m.HandedOver {
			t.Errorf("the machine is %+v", m)
		}
		order := computer.Deployed()
		if order.Image != image || order.RootDisk.MinSize != 10<<30 || len(order.ConfigDrive) == 0 {
			t.Errorf("the agent was told %s %+v %d", order.Image, order.RootDisk, len(order.ConfigDrive))
		}
		ports, err := c.Networks.PortsOf(t.Context(), c.DB, i.ID)
		c.Check(err)
		if len(ports) != 1 || ports[0].Host != m.ID || ports[0].MAC != computer.MACs[0] {
			t.Errorf("the port is %+v", ports)
		}
		if holds(t, c) != 0 {
			t.Error("the image is still held")
		}

		c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, i.ID, instancetest.By()))
		i = c.Await(i.ID, instance.Deleted)
		m = computer.Await(machine.Available)
		if i.Deleted.IsZero() || m.Instance != "" || m.HandedOver || computer.Deployed() != nil || computer.Erasures() != 2 {
			t.Errorf("%+v, the machine is %s for %q, erased %d times", i, m.State, m.Instance, computer.Erasures())
		}
		if left, err := c.Networks.Ports(t.Context(), c.DB, network.Everything, network.PortFilter{}); err != nil || len(left) != 0 {
			t.Errorf("ports are left: %v, %v", left, err)
		}
	})
}

func holds(t *testing.T, c *instancetest.Cloud) (n int) {
	t.Helper()
	c.Check(c.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM image_hold`).Scan(&n))
	return n
}

// A machine that never calls home is not the tenant's trouble.
func TestAMachineThatNeverCallsHome(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a", "b")
	for _, computer := range c.Machines {
		computer.Sim.Crash()
	}
	c.Clock.Step(3 * time.Minute)
	bad, good := c.Machines[0], c.Machines[1]
	bad.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	c.Check(c.Service.SetMaintenance(t.Context(), good.ID, true, "it is to be the second"))
	i := c.Create(c.Upload())
	c.Eventually("the first machine to be told to boot", func() bool {
		run, err := c.Instances.Running(t.Context(), i.ID)
		c.Check(err)
		return run != nil && strings.HasPrefix(run.Waiting, "the agent")
	})
	c.Check(c.Service.SetMaintenance(t.Context(), good.ID, false, ""))
	c.Clock.Step(16 * time.Minute)
	i = c.Await(i.ID, instance.Active)
	if i.Machine != good.ID {
		t.Errorf("it runs on %s", i.Machine)
	}
	m := bad.Record()
	if m.State != machine.DeployFailed || !m.Maintenance || !strings.Contains(m.Fault, "did not start the agent within") {
		t.Errorf("the machine is %s, fault %q", m.State, m.Fault)
	}
}

func TestAnImageThatCannotBeWritten(t *testing.T) {
	for _, x := range []struct {
		fault   agentapi.Fault
		state   instance.VMState // of the server, with a good machine left
		machine machine.State    // of the bad one
	}{
		{agentapi.FaultMachine, instance.Active, machine.DeployFailed},
		{agentapi.FaultTooSmall, instance.Active, machine.Available},
		{agentapi.FaultRetry, instance.Active, machine.Available},
		{agentapi.FaultRequest, instance.Errored, machine.Available},
	} {
		t.Run(string(x.fault), func(t *testing.T) {
			c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "bad", MemoryMiB: 4096}, machinetest.Spec{Name: "good"})
			c.Run()
			c.Spares()
			bad := c.Machines[0] // the smaller one is taken first
			bad.Set(func(b *machinetest.Behaviour) {
				b.Fail = map[agentapi.Kind]error{agentapi.KindDeploy: failure.New(x.fault, "The disk does not like it.")}
			})
			i := c.Await(c.Create(c.Upload()).ID, x.state)
			if x.state == instance.Active && i.Machine != c.Machines[1].ID {
				t.Error("it does not run on the good machine")
			}
			if x.state == instance.Errored && (i.Machine != "" || i.Fault == nil || i.Fault.Message != "The disk does not like it.") {
				t.Errorf("%+v", i.Fault)
			}
			m := bad.Await(x.machine)
			if quarantined := x.machine == machine.DeployFailed; m.Maintenance != quarantined || quarantined && m.Fault != "The disk does not like it." {
				t.Errorf("maintenance %v, fault %q", m.Maintenance, m.Fault)
			}
			if holds(t, c) != 0 {
				t.Error("the image is still held")
			}
		})
	}
}

// Two tenants want the last machine: one gets it, the other learns that there is none.
func TestARaceForTheLastMachine(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := cloud(t, d, "a")
		image := c.Upload()
		made, err := c.Instances.Create(t.Context(), instancetest.By(), instance.Spec{Name: "web", Flavor: instancetest.Flavor, Image: image, AutoNetwork: true, Count: 2})
		c.Check(err)
		c.Eventually("both to rest", func() bool {
			return c.Get(made[0].ID).TaskState == instance.NoTask && c.Get(made[1].ID).TaskState == instance.NoTask
		})
		states := map[instance.VMState]*instance.Instance{}
		for _, i := range made {
			states[c.Get(i.ID).VMState] = c.Get(i.ID)
		}
		lost := states[instance.Errored]
		if states[instance.Active] == nil || lost == nil || lost.Fault.Message != "No valid host was found. There are not enough hosts available." {
			t.Fatalf("%+v", states)
		}
		if made[0].Name != "web-1" || made[1].Name != "web-2" || made[0].Reservation != made[1].Reservation {
			t.Errorf("%s %s", made[0].Name, made[1].Name)
		}
		c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, lost.ID, instancetest.By()))
		c.Await(lost.ID, instance.Deleted)
		if again := c.Get(states[instance.Active].ID); again.VMState != instance.Active {
			t.Errorf("the winner is %s", again.VMState)
		}
	})
}

// A delete in the middle of a deploy, at each of its steps, ends with no server and a clean spare.
func TestDeleteInTheMiddleOfADeploy(t *testing.T) {
	for _, step := range new(instance.Service).DeployFlow().Steps {
		t.Run(step.Name, func(t *testing.T) {
			c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
			stop := c.Run()
			c.Spares()
			stop()
			i := c.Create(c.Upload())
			reach(t, c, i.ID, step.Name)
			c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, i.ID, instancetest.By()))
			c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, i.ID, instancetest.By())) // twice is no error
			c.Run()
			settle(t, c)
			if i = c.Await(i.ID, instance.Deleted); i.Fault != nil {
				t.Errorf("it has the fault %+v", i.Fault)
			}
			if m := c.Machines[0].Await(machine.Available); m.Instance != "" || m.Fault != "" || c.Machines[0].Deployed() != nil {
				t.Errorf("the machine has %q, fault %q", m.Instance, m.Fault)
			}
			if holds(t, c) != 0 {
				t.Error("the image is still held")
			}
		})
	}
}

// reach works until the deploy is about to run the step.
func reach(t *testing.T, c *instancetest.Cloud, id, step string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); c.Engine.Run(ctx) }()
	for {
		run, err := c.Instances.Running(t.Context(), id)
		c.Check(err)
		if run == nil || run.Step == step {
			break
		}
	}
	stop()
	<-done
}

// settle lets the world come to rest: machines that lost their agent are noticed.
func settle(t *testing.T, c *instancetest.Cloud) {
	t.Helper()
	c.Eventually("all machines to rest", func() bool {
		changed, err := c.Service.Look(t.Context())
		c.Check(err)
		for _, m := range changed {
			c.Check(c.Instances.PowerSeen(t.Context(), m))
		}
		var busy int
		c.Check(c.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM workflow_run WHERE status IN ('active', 'queued', 'stuck')`).Scan(&busy))
		if busy > 0 {
			c.Clock.Step(2 * time.Second)
		}
		return busy == 0
	})
}

// A BMC that is dead does not keep a server from being deleted; nobody gets the machine afterwards.
func TestDeleteOnAMachineWithADeadBMC(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a")
	i := c.Await(c.Create(c.Upload()).ID, instance.Active)
	b := c.Machines[0].BMC
	c.Check(c.DB.Tx(t.Context(), func(tx *db.Tx) error {
		m := c.Machines[0].Record()
		m.BMC = b
		m.BMC.Address, m.BMC.Password = "https://127.0.0.1:1", "" // nobody listens there
		return c.Service.Update(t.Context(), tx, m)
	}))
	c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, i.ID, instancetest.By()))
	go func() { // the patience with a BMC need not pass in real time
		for t.Context().Err() == nil {
			c.Clock.Step(time.Second)
			time.Sleep(50 * time.Millisecond)
		}
	}()
	c.Await(i.ID, instance.Deleted)
	m := c.Machines[0].Record()
	if m.State != machine.DeployFailed || !m.Maintenance || !strings.Contains(m.Fault, "It could not be switched off when its server was deleted") || m.Instance != "" {
		t.Errorf("the machine is %s, maintenance %v, fault %q", m.State, m.Maintenance, m.Fault)
	}
}

func TestPower(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a")
	computer := c.Machines[0]
	i := c.Await(c.Create(c.Upload()).ID, instance.Active)
	ctx, viewer := t.Context(), instancetest.Viewer
	c.Check(c.Instances.Stop(ctx, viewer, i.ID, instancetest.By()))
	if i = c.Await(i.ID, instance.Stopped); i.Power != machine.PowerOff || computer.Sim.Power() {
		t.Errorf("stopped: %s", i.Power)
	}
	if err := c.Instances.Stop(ctx, viewer, i.ID, instancetest.By()); err == nil || !strings.Contains(err.Error(), "Cannot 'stop' instance "+i.ID+" while it is in vm_state stopped") {
		t.Errorf("stopped twice: %v", err)
	}
	c.Check(c.Instances.Start(ctx, viewer, i.ID, instancetest.By()))
	if i = c.Await(i.ID, instance.Active); i.Power != machine.PowerOn || !computer.Sim.Power() {
		t.Errorf("started: %s", i.Power)
	}
	c.Eventually("the tenant's system to start from the disk", computer.TenantRuns)
	for _, hard := range []bool{false, true} {
		boots := len(computer.Boots())
		c.Check(c.Instances.Reboot(ctx, viewer, i.ID, instancetest.By(), hard))
		c.Await(i.ID, instance.Active)
		c.Eventually("the tenant's system to be back", computer.TenantRuns)
		if n := len(computer.Boots()); n != boots+1 {
			t.Errorf("hard %v: %d starts", hard, n-boots)
		}
	}

	// The tenant's own poweroff, and an operator's hand on the button.
	computer.Sim.Crash()
	settle(t, c)
	if i = c.Get(i.ID); i.VMState != instance.Stopped || i.Power != machine.PowerOff {
		t.Errorf("after a poweroff: %s, %s", i.VMState, i.Power)
	}
	c.Check(computer.Sim.Do(ctx, "On"))
	settle(t, c)
	if i = c.Get(i.ID); i.VMState != instance.Active || i.Power != machine.PowerOn {
		t.Errorf("after a power on: %s, %s", i.VMState, i.Power)
	}
}

// A clock that jumps, to either side, in the middle of a deploy changes nothing.
func TestAClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -24 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			c := cloud(t, dbtest.SQLite(t), "a")
			c.Machines[0].Set(func(b *machinetest.Behaviour) { b.Slow = 300 * time.Millisecond })
			i := c.Create(c.Upload())
			c.Eventually("the image to be written", func() bool { return c.Get(i.ID).TaskState == instance.Spawning })
			c.Clock.Step(jump)
			i = c.Await(i.ID, instance.Active)
			if m := c.Machines[0].Record(); m.Fault != "" || m.Instance != i.ID {
				t.Errorf("the machine has %q, fault %q", m.Instance, m.Fault)
			}
		})
	}
}
