package instance_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// process is a control plane's engine beside the cloud's own, with a database connection of its own that can be cut.
type process struct {
	db   *db.DB
	stop context.CancelFunc
	done sync.WaitGroup
}

// startProcess starts one that takes two runs at once, and has each body wait until every process is at the meeting.
func startProcess(t *testing.T, c *instancetest.Cloud, dsn string, meeting *sync.WaitGroup) *process {
	t.Helper()
	d, err := db.Open(t.Context(), dsn)
	c.Check(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &process{db: d, stop: stop}
	e := workflow.New(d, c.Clock, slog.New(slog.DiscardHandler), 2)
	c.Flows(e)
	var arrive sync.Once
	workflow.Register(e, c.Instances.DeployFlow().Wrap(func(_ string, _ bool, call func() error) error {
		arrive.Do(meeting.Done)
		meeting.Wait()
		return call()
	}))
	p.done.Go(func() { e.Run(ctx) })
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9 as the others see it: the connection is gone first, so that no lease can be given back.
func (p *process) kill() {
	_ = p.db.Close() // closing twice is fine
	p.stop()
	p.done.Wait()
}

// Two processes on one PostgreSQL share the work. One dies in the middle of deploys; the other takes over, and no agent
// is told anything twice.
func TestAnotherProcessTakesOver(t *testing.T) {
	dsn := dbtest.PostgresDSN(t)
	d, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	const servers = 6
	specs := make([]machinetest.Spec, servers)
	for n := range specs {
		specs[n].Name = string(rune('a' + n))
	}
	c := instancetest.New(t, d, specs...)
	stop := c.Run()
	c.Spares()
	stop()
	for _, computer := range c.Machines { // so that the death comes in the middle of deploys
		computer.Set(func(b *machinetest.Behaviour) { b.Slow = 200 * time.Millisecond })
	}
	var meeting sync.WaitGroup
	meeting.Add(2)
	first := startProcess(t, c, dsn, &meeting)
	startProcess(t, c, dsn, &meeting)
	made, err := c.Instances.Create(t.Context(), instancetest.By(), instance.Spec{Name: "web", Flavor: instancetest.Flavor, Image: c.Upload(), AutoNetwork: true, Count: servers})
	c.Check(err)
	meeting.Wait() // both have a hand in it
	began := clock.Real{}.Now()
	first.kill()
	for _, i := range made {
		c.Await(i.ID, instance.Active)
	}
	t.Logf("%d servers were active %s after the other process died", servers, clock.Real{}.Now().Sub(began))
	for _, computer := range c.Machines {
		if writes, starts := computer.Commands(agentapi.KindDeploy), computer.Commands(agentapi.KindBoot); writes != 1 || starts != 1 {
			t.Errorf("%s wrote %d times and started %d times", computer.Spec.Name, writes, starts)
		}
	}
	var failed int
	c.Check(c.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM workflow_step WHERE outcome = 'failed'`).Scan(&failed))
	if failed > 0 {
		t.Errorf("%d steps failed", failed)
	}
}
