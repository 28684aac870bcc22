package instance_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
)

// A rescued server has its own machine, disk and networks, and nobody speaks for the machine any more; it comes back as it was.
func TestRescue(t *testing.T) {
	c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b"})
	c.Run()
	c.Spares()
	ctx, viewer := t.Context(), instancetest.Viewer
	made, err := c.Instances.Create(ctx, instancetest.By(), instance.Spec{
		Name: "web", Flavor: instancetest.Flavor, Image: c.Upload(), NICs: []instance.NIC{{Network: c.Network.ID}}, KeyName: "mine", PublicKey: "ssh-ed25519 AAAA mine\n",
	})
	c.Check(err)
	before := c.Await(made[0].ID, instance.Active)
	computer, disk := c.On(before), c.On(before).Deployed()
	for _, stopped := range []bool{false, true} {
		if stopped {
			c.Check(c.Instances.Stop(ctx, viewer, before.ID, instancetest.By()))
			c.Await(before.ID, instance.Stopped)
		}
		c.Check(c.Instances.Rescue(ctx, viewer, before.ID, instancetest.By(), "s3cret"))
		after := c.Await(before.ID, instance.Rescued)
		c.Eventually("the rescue system to run", func() bool { return computer.Rescued() != nil })
		told, m := computer.Rescued(), computer.Record()
		if told.Hostname != "web" || len(told.Keys) != 1 || told.Keys[0] != "ssh-ed25519 AAAA mine" || !agentapi.CheckPassword(told.PasswordHash, "s3cret") {
			t.Errorf("it was told %+v", told)
		}
		if after.Machine != before.Machine || after.Power != machine.PowerOn || m.State != machine.Active || !m.HandedOver || computer.Deployed() != disk {
			t.Errorf("the server is %+v, its machine %s", after, m.State)
		}
		if ports, err := c.Networks.PortsOf(ctx, c.DB, before.ID); err != nil || len(ports) != 1 || !ports[0].Plugged || ports[0].Host != before.Machine {
			t.Errorf("its ports: %+v, %v", ports, err)
		}
		if boot, err := c.Service.CurrentBoot(ctx, c.DB, m.ID); boot != nil || err != nil {
			t.Errorf("the agent's session goes on: %+v, %v", boot, err)
		}
		for action, do := range map[string]func() error{
			"rescue": func() error { return c.Instances.Rescue(ctx, viewer, before.ID, instancetest.By(), "again") },
			"reboot": func() error { return c.Instances.Reboot(ctx, viewer, before.ID, instancetest.By(), true) },
			"stop":   func() error { return c.Instances.Stop(ctx, viewer, before.ID, instancetest.By()) },
		} {
			if err := do(); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "Cannot '"+action+"' instance "+before.ID+" while it is in vm_state rescued") {
				t.Errorf("%s: %v", action, err)
			}
		}
		c.Check(c.Instances.Unrescue(ctx, viewer, before.ID, instancetest.By()))
		c.Await(before.ID, instance.Active)
		c.Eventually("the tenant's system to run from its disk", computer.TenantRuns)
		if computer.Rescued() != nil || computer.Commands(agentapi.KindDeploy) != 1 {
			t.Error("something of the rescue is left, or the disk was written anew")
		}
	}
	if err := c.Instances.Unrescue(ctx, viewer, before.ID, instancetest.By()); !fault.Is(err, fault.Conflict) {
		t.Errorf("unrescue of what is not rescued: %v", err)
	}

	c.Check(c.Instances.Rescue(ctx, viewer, before.ID, instancetest.By(), "s3cret"))
	c.Await(before.ID, instance.Rescued)
	erasures := computer.Erasures()
	c.Check(c.Instances.Delete(ctx, viewer, before.ID, instancetest.By()))
	c.Await(before.ID, instance.Deleted)
	computer.Await(machine.Available)
	if computer.Erasures() != erasures+1 {
		t.Error("the machine of a server that was rescued was not erased")
	}
}

// A rescue that fails says why and leaves a server that its tenant has every way out with.
func TestARescueThatFails(t *testing.T) {
	c := cloud(t, dbtest.SQLite(t), "a")
	ctx, viewer, computer := t.Context(), instancetest.Viewer, c.Machines[0]
	id := running(t, c)
	fail := func() {
		t.Helper()
		computer.Set(func(b *machinetest.Behaviour) {
			b.Fail = map[agentapi.Kind]error{agentapi.KindRescue: failure.New(agentapi.FaultMachine, "No memory is left.")}
		})
		c.Check(c.Instances.Rescue(ctx, viewer, id, instancetest.By(), "s3cret"))
		i := c.Await(id, instance.Errored)
		ports, err := c.Networks.Ports(ctx, c.DB, network.Everything, network.PortFilter{})
		c.Check(err)
		if i.Fault == nil || i.Fault.Message != "No memory is left." || computer.Sim.Power() || !computer.Record().HandedOver || !ports[0].Plugged {
			t.Errorf("it is %+v, on %v", i.Fault, computer.Sim.Power())
		}
		computer.Set(func(b *machinetest.Behaviour) { b.Fail = nil })
	}
	for name, out := range map[string]func() error{
		"unrescue": func() error { return c.Instances.Unrescue(ctx, viewer, id, instancetest.By()) },
		"reboot":   func() error { return c.Instances.Reboot(ctx, viewer, id, instancetest.By(), true) },
	} {
		t.Run(name, func(t *testing.T) {
			fail()
			c.Check(out())
			c.Await(id, instance.Active)
			c.Eventually("the tenant's system to run", computer.TenantRuns)
		})
	}
	fail()
	c.Check(c.Instances.Rescue(ctx, viewer, id, instancetest.By(), "s3cret"))
	c.Await(id, instance.Rescued)
	c.Check(c.Instances.Unrescue(ctx, viewer, id, instancetest.By()))
	c.Await(id, instance.Active)
	fail()
	c.Check(c.Instances.Delete(ctx, viewer, id, instancetest.By()))
	c.Await(id, instance.Deleted)
	computer.Await(machine.Available)
}

// A delete in the middle of a rescue, at each of its steps, ends with no server and a clean spare.
func TestDeleteInTheMiddleOfARescue(t *testing.T) {
	for _, step := range new(instance.Service).RescueFlow().Steps {
		t.Run(step.Name, func(t *testing.T) {
			c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"})
			stop := c.Run()
			c.Spares()
			id := running(t, c)
			stop()
			c.Check(c.Instances.Rescue(t.Context(), instancetest.Viewer, id, instancetest.By(), "s3cret"))
			reach(t, c, id, step.Name)
			c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, id, instancetest.By()))
			c.Run()
			settle(t, c)
			c.Await(id, instance.Deleted)
			if m := c.Machines[0].Await(machine.Available); m.Instance != "" || m.Fault != "" || c.Machines[0].Deployed() != nil {
				t.Errorf("the machine has %q, fault %q", m.Instance, m.Fault)
			}
		})
	}
}

// The tenant's system is down once the rescue has begun: what fails then leaves the server off, in error.
func TestRescueSurvivesCrashes(t *testing.T) {
	show(t, sceneOf((*instance.Service).RescueFlow, running, func(ctx context.Context, c *instancetest.Cloud, id string) string {
		c.Check(c.Instances.Rescue(ctx, instancetest.Viewer, id, instancetest.By(), "s3cret"))
		return id
	}), "power-off", "quarantine", "agent", "boot-order", "hand-over", "enter", "plug", "carried", "end")
}

// The rescue system is not started again: what fails leaves the server in error, to be unrescued once more.
func TestUnrescueSurvivesCrashes(t *testing.T) {
	show(t, sceneOf((*instance.Service).UnrescueFlow, func(t *testing.T, c *instancetest.Cloud) string {
		id := running(t, c)
		c.Check(c.Instances.Rescue(t.Context(), instancetest.Viewer, id, instancetest.By(), "s3cret"))
		c.Await(id, instance.Rescued)
		return id
	}, func(ctx context.Context, c *instancetest.Cloud, id string) string {
		c.Check(c.Instances.Unrescue(ctx, instancetest.Viewer, id, instancetest.By()))
		return id
	}), "power-off", "boot-order", "power-on", "end")
}
