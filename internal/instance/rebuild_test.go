package instance_test

import (
	"testing"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// A rebuilt server has another image on the same machine, behind the same ports; one that was off stays off.
func TestRebuild(t *testing.T) {
	c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b"})
	c.Run()
	c.Spares()
	before := c.Await(c.Create(c.Upload()).ID, instance.Active)
	other := c.Upload()
	rebuild := func() error {
		_, err := c.Instances.Rebuild(t.Context(), instancetest.Viewer, before.ID, instancetest.By(), func(i *instance.Instance) error {
			i.Image = other
			return nil
		})
		return err
	}
	carrier := func() *machinetest.Computer {
		for _, m := range c.Machines {
			if m.ID == before.Machine {
				return m
			}
		}
		t.Fatal("no machine carries the server")
		return nil
	}
	c.Check(rebuild())
	if err := rebuild(); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second rebuild meanwhile: %v", err)
	}
	after := c.Await(before.ID, instance.Active)
	if after.Machine != before.Machine || len(after.Ports) != 1 || after.Ports[0] != before.Ports[0] || after.Image != other {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	if disk := carrier().Deployed(); disk == nil || disk.Image != other {
		t.Errorf("on the disk is %+v", disk)
	}
	c.Eventually("the new system to run", carrier().TenantRuns)

	c.Check(c.Instances.Stop(t.Context(), instancetest.Viewer, before.ID, instancetest.By()))
	c.Await(before.ID, instance.Stopped)
	c.Check(rebuild())
	c.Await(before.ID, instance.Stopped)
	if carrier().Sim.Power() {
		t.Error("the machine of a stopped server is on")
	}

	carrier().Set(func(b *machinetest.Behaviour) {
		b.Fail = map[agentapi.Kind]error{agentapi.KindDeploy: failure.New(agentapi.FaultMachine, "The disk is broken.")}
	})
	c.Check(rebuild())
	failed := c.Await(before.ID, instance.Errored)
	if failed.Machine != before.Machine || failed.Fault == nil || failed.Fault.Message != "The disk is broken." {
		t.Errorf("after the failure it is %+v", failed)
	}
	if at := placed(t, c, failed); at != "0" {
		t.Errorf("after the failure its port is on %s", at)
	}

	// Meanwhile the machine is in quarantine, where the agent reaches the control plane.
	carrier().Set(func(b *machinetest.Behaviour) { b.Fail, b.Hangs = nil, agentapi.KindDeploy })
	c.Check(rebuild())
	c.Eventually("the port to be out of the tenant's network", func() bool { return placed(t, c, c.Get(before.ID)) == "-" })
	c.Check(c.Instances.Delete(t.Context(), instancetest.Viewer, before.ID, instancetest.By()))
	c.Await(before.ID, instance.Deleted)
}
