package instance_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/workflow"
	"github.com/ingotcloud/ingot/internal/workflow/workflowtest"
)

type object = map[string]any

// scene is a flow in a cloud of one machine.
type scene[S any] struct {
	flow    func(*instance.Service) workflow.Flow[S]
	prepare func(t *testing.T, c *instancetest.Cloud) (id string)              // of the server, if it is there before
	start   func(ctx context.Context, c *instancetest.Cloud, id string) string // gives the server's id
}

// fresh sets the scene up on a database of its own.
func (s scene[S]) fresh(open func(testing.TB) *db.DB, counting bool) func(t *testing.T) workflowtest.Case[S] {
	return func(t *testing.T) workflowtest.Case[S] {
		c := instancetest.New(t, open(t), machinetest.Spec{Name: "a"})
		stop := c.Run()
		c.Spares()
		id := s.prepare(t, c)
		stop()
		return workflowtest.Case[S]{
			DB: c.DB, Clock: c.Clock, Flow: s.flow(c.Instances), Others: c.Flows,
			Start: func(ctx context.Context, _ *workflow.Engine) (string, error) {
				run, err := c.Instances.Running(ctx, s.start(ctx, c, id))
				return run.ID, err
			},
			Turn:  func(ctx context.Context, _ *workflow.Engine) error { return turn(ctx, c) },
			World: func(ctx context.Context) (any, error) { return world(t, c, counting), nil },
		}
	}
}

// turn gives the agents a moment: until there is news for a run, or it waits for something else.
func turn(ctx context.Context, c *instancetest.Cloud) error {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var due int
		if err := c.DB.QueryRowContext(ctx, `SELECT count(*) FROM workflow_run WHERE status = 'active' AND wake_at <= $1`, c.Clock.Now()).Scan(&due); err != nil || due > 0 {
			return err
		}
	}
	return nil
}

// world is what a tenant and an operator see when all has come to rest; counting adds what agents did on the way.
func world(t *testing.T, c *instancetest.Cloud, counting bool) any {
	t.Helper()
	stop := c.Run()
	settle(t, c)
	stop()
	servers := []object{}
	for _, deleted := range []bool{false, true} {
		list, err := c.Instances.List(t.Context(), "", deleted)
		c.Check(err)
		for _, i := range list {
			if i.VMState == instance.Errored {
				continue // what fails leaves a server in error, with its ports until it is deleted
			}
			servers = append(servers, object{"vm": i.VMState, "task": i.TaskState, "power": i.Power, "carried": i.Machine != ""})
		}
	}
	computer := c.Machines[0]
	m := computer.Record()
	if m.State == machine.Active && computer.Sim.Power() { // the agent tells that it goes before it goes
		c.Eventually("the tenant's system to run, or that of its rescue", func() bool { return computer.TenantRuns() || computer.Rescued() != nil })
	}
	ports, err := c.Networks.Ports(t.Context(), c.DB, network.Everything, network.PortFilter{})
	c.Check(err)
	seen := object{
		"servers": servers, "holds": holds(t, c), "bound": slices.ContainsFunc(ports, func(p *network.Port) bool { return p.Host != "" }),
		"machine": object{"state": m.State, "lent": m.Instance != "", "over": m.HandedOver, "maintenance": m.Maintenance, "fault": m.Fault},
		"disk":    computer.Deployed() != nil, "tenant": computer.TenantRuns(), "rescued": computer.Rescued() != nil, "on": computer.Sim.Power(),
	}
	if counting {
		seen["writes"], seen["starts"], seen["erasures"] = computer.Commands(agentapi.KindDeploy), computer.Commands(agentapi.KindBoot), computer.Erasures()
	}
	return seen
}

func show[S any](t *testing.T, s scene[S], beyond ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("each point of each step gets a cloud of its own: a minute in all")
	}
	t.Run("crash", func(t *testing.T) { workflowtest.Crash(t, s.fresh(dbtest.SQLite, true)) })
	t.Run("unwind", func(t *testing.T) { workflowtest.Unwind(t, s.fresh(dbtest.SQLite, false), beyond...) })
}

func nobody(*testing.T, *instancetest.Cloud) string { return "" }

func running(t *testing.T, c *instancetest.Cloud) string {
	t.Helper()
	return c.Await(c.Create(c.Upload()).ID, instance.Active).ID
}

// sceneOf infers the flow's state, which only its own package can name.
func sceneOf[S any](flow func(*instance.Service) workflow.Flow[S], prepare func(*testing.T, *instancetest.Cloud) string,
	start func(context.Context, *instancetest.Cloud, string) string,
) scene[S] {
	return scene[S]{flow, prepare, start}
}

func TestCreateSurvivesCrashes(t *testing.T) {
	s := sceneOf((*instance.Service).DeployFlow, nobody, func(_ context.Context, c *instancetest.Cloud, _ string) string {
		return c.Create(c.Upload()).ID
	})
	show(t, s)
	if !testing.Short() {
		t.Run("crash on PostgreSQL", func(t *testing.T) {
			dbtest.Postgres(t) // keeps the server for all the cases
			workflowtest.Crash(t, s.fresh(dbtest.Postgres, true))
		})
	}
}

// Once a server is being deleted there is no way back: only a failure before anything was done leaves it as it was.
func TestDeleteSurvivesCrashes(t *testing.T) {
	show(t, sceneOf((*instance.Service).DeleteFlow, running, func(ctx context.Context, c *instancetest.Cloud, id string) string {
		c.Check(c.Instances.Delete(ctx, instancetest.Viewer, id, instancetest.By()))
		return id
	}), "power-off", "unplug", "release")
}

// A machine that was switched is not switched back behind its tenant.
func TestPowerSurvivesCrashes(t *testing.T) {
	show(t, sceneOf((*instance.Service).PowerFlow, running, func(ctx context.Context, c *instancetest.Cloud, id string) string {
		c.Check(c.Instances.Reboot(ctx, instancetest.Viewer, id, instancetest.By(), true))
		return id
	}), "off", "on", "end")
}

// The machine is the instance's own: what fails once the old system is gone leaves it there, in error.
func TestRebuildSurvivesCrashes(t *testing.T) {
	show(t, sceneOf((*instance.Service).RebuildFlow, running, func(ctx context.Context, c *instancetest.Cloud, id string) string {
		_, err := c.Instances.Rebuild(ctx, instancetest.Viewer, id, instancetest.By(), func(*instance.Instance) error { return nil })
		c.Check(err)
		return id
	}), "retake", "agent", "write-image", "boot-order", "hand-over", "start", "plug", "carried", "activate")
}
