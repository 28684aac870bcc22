// Package machinetest is a rack for tests: simulated machines whose BMCs speak Redfish or IPMI over the network, the
// real BMC drivers, the agents' door over TLS, and the agent's real loop on hardware that does as the test says. Only
// firmware and disks are made up. A machine's whole way from its BMC's address to a spare takes well under a second.
//
//	rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b", IPMI: true})
//	instances := instance.New(…, rig.Engine, rig.Service, …) // flows of others are registered before Start
//	rig.Start()
//	rig.Spares()
package machinetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/agentdoor"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/driver/bmc"
	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/secret"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Clock is the real one, set forward or back at will.
type Clock struct{ ahead atomic.Int64 }

// Now implements clock.Clock.
func (c *Clock) Now() time.Time { return clock.Real{}.Now().Add(time.Duration(c.ahead.Load())) }

// Step moves the clock, to either side.
func (c *Clock) Step(d time.Duration) { c.ahead.Add(int64(d)) }

// Rig is a rack with its control plane.
type Rig struct {
	DB       *db.DB
	Clock    *Clock
	Engine   *workflow.Engine
	Service  *machine.Service
	Door     *agentdoor.Door
	Access   machine.Access
	Machines []*Computer

	// Images are what agents fetch; nil: there are none. To be set before Start.
	Images agentdoor.Images

	t    testing.TB
	log  *slog.Logger
	door *httptest.Server
}

// NewRig makes machines that are off and unknown to the service. All of it ends with the test.
func NewRig(t testing.TB, d *db.DB, specs ...Spec) *Rig {
	t.Helper()
	rig := &Rig{DB: d, Clock: &Clock{}, t: t, log: slog.New(slog.DiscardHandler)}
	if testing.Verbose() {
		rig.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	dir := t.TempDir()
	keys, err := secret.Open(filepath.Join(dir, "keys"))
	rig.check(err)
	certificate, pin, err := agentdoor.Certificate(dir)
	rig.check(err)

	rig.door = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rig.Door.ServeHTTP(w, r) }))
	rig.door.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	rig.door.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	rig.door.StartTLS()
	t.Cleanup(rig.door.Close)
	artefacts := httptest.NewServer(http.HandlerFunc(rig.artefact))
	t.Cleanup(artefacts.Close)

	url := func(key string) string { return artefacts.URL + "/" + key }
	rig.Access = machine.Access{
		URL: rig.door.URL, Pin: pin, Kernel: "console=ttyS0", Media: url, HTTP: url, Rescue: true,
		Quarantine: machine.Range{First: netip.MustParseAddr("172.31.0.10"), Last: netip.MustParseAddr("172.31.3.254"), Bits: 22},
	}
	rig.Engine = workflow.New(d, rig.Clock, rig.log, 8)
	dial := bmc.New(bmc.Options{Log: rig.log, Retry: around.Policy{Attempts: 2, Base: 10 * time.Millisecond}, Timeout: 10 * time.Second, Fake: true})
	rig.Service = machine.New(d, rig.Clock, rig.log, rig.Engine, keys, dial, rig.Access)
	rig.Door = agentdoor.New(rig.Service, rigImages{rig}, rig.log)
	rig.Door.PollWait = 500 * time.Millisecond // so that an agent shows signs of life often
	for i, spec := range specs {
		rig.Machines = append(rig.Machines, newComputer(rig, i, spec))
	}
	return rig
}

// Start lets the engine work, until the test ends.
func (r *Rig) Start() {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Engine.Run(ctx) })
	r.t.Cleanup(func() { stop(); running.Wait() })
}

// artefact stands for ISO image and unified kernel image alike: what matters of them is the command line.
func (r *Rig) artefact(w http.ResponseWriter, q *http.Request) {
	artefact, err := r.Service.Artefact(q.Context(), strings.TrimPrefix(q.URL.Path, "/"))
	if err != nil {
		http.Error(w, fault.Message(err), http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, artefact.Params.Cmdline()) // the reader is gone: it has its reasons
}

// rigImages are the images that the test sets later.
type rigImages struct{ rig *Rig }

func (i rigImages) Manifest(ctx context.Context, id string) (deployimage.Manifest, error) {
	if i.rig.Images == nil {
		return deployimage.Manifest{}, fault.New(fault.NotFound, "There is no image %s.", id)
	}
	return i.rig.Images.Manifest(ctx, id)
}

func (i rigImages) OpenBlob(ctx context.Context, id string) (io.ReadSeekCloser, error) {
	if i.rig.Images == nil {
		return nil, fault.New(fault.NotFound, "There is no image %s.", id)
	}
	return i.rig.Images.OpenBlob(ctx, id)
}

// patience of all waiting: generous, since it passes only where a test fails.
const patience = 60 * time.Second

// Eventually waits until is gives true.
func (r *Rig) Eventually(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	told := ""
	for _, c := range r.Machines {
		if c.ID != "" {
			m := c.Record()
			told += fmt.Sprintf("\n%s is %s, power %s, last error %q; %d boots, the agent runs: %v", m.Name, m.State, m.Power, m.LastError, len(c.Boots()), c.AgentRuns())
			if run, err := workflow.ActiveOf(context.Background(), r.DB, machine.Resource(c.ID)); err == nil && run != nil {
				told += fmt.Sprintf("; %s is at %s, attempt %d, waiting for %q, error %q", run.Flow, run.Step, run.Attempt, run.Waiting, run.Err)
			}
		}
	}
	r.t.Fatalf("waited in vain for %s%s", what, told)
}

// Idle waits until nothing works on the machine.
func (r *Rig) Idle(c *Computer) {
	r.t.Helper()
	r.Eventually("no work on "+c.Spec.Name, func() bool {
		run, err := workflow.ActiveOf(context.Background(), r.DB, machine.Resource(c.ID))
		r.check(err)
		return run == nil
	})
}

// Look lets the service look at its machines, as the server does at intervals.
func (r *Rig) Look() []*machine.Machine {
	r.t.Helper()
	changed, err := r.Service.Look(context.Background())
	r.check(err)
	return changed
}

// Spares takes all machines from unknown to available.
func (r *Rig) Spares() {
	r.t.Helper()
	for _, verb := range []machine.Verb{"", machine.Manage, machine.Inspect, machine.Provide} {
		for _, c := range r.Machines {
			if verb == "" {
				c.Enrol()
			} else {
				c.Ask(verb)
			}
		}
		for _, c := range r.Machines {
			r.Idle(c)
		}
	}
	for _, c := range r.Machines {
		if m := c.Record(); !m.Spare() {
			r.t.Fatalf("%s is no spare: %s, %q", m.Name, m.State, m.LastError)
		}
	}
}

func (r *Rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
