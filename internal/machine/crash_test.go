package machine_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/bmc"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/secret"
	"github.com/ingotcloud/ingot/internal/workflow"
	"github.com/ingotcloud/ingot/internal/workflow/workflowtest"
)

// stage is one machine whose agent speaks only when it is its turn: the crash harness steps the clock itself.
type stage struct {
	t       *testing.T
	db      *db.DB
	clock   *clock.Fake
	service *machine.Service
	id      string
	sim     *vbmc.Simulated

	mu     sync.Mutex
	line   string // the command line of a boot whose agent did not speak yet
	secret string
	at     agentapi.Welcome
}

var discard = slog.New(slog.DiscardHandler)

func newStage(t *testing.T, d *db.DB, from machine.State) *stage {
	s := &stage{t: t, db: d, clock: clock.NewFake()}
	info := vbmc.Info{
		Name: "a", UUID: "12345678-0000-4000-8000-000000000001", Serial: "S1", UEFI: true, Cores: 4, CPUs: 1, MemoryMiB: 8192,
		NICs: []vbmc.NIC{{ID: "1", MAC: "52:54:00:00:00:01"}},
	}
	s.sim = vbmc.NewSimulated(info, vbmc.SimOptions{OnBoot: s.boot})
	dir := t.TempDir()
	server, err := vbmc.NewRedfish(s.sim, vbmc.RedfishOptions{Username: "u", Password: "p", Logger: discard, MediaDir: dir})
	check(t, err)
	t.Cleanup(func() { _ = server.Close() }) // sessions under way are cut
	artefacts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		artefact, err := s.service.Artefact(r.Context(), strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, artefact.Params.Cmdline()) // the reader is gone: it has its reasons
	}))
	t.Cleanup(artefacts.Close)
	keys, err := secret.Open(filepath.Join(dir, "keys"))
	check(t, err)
	s.service = machine.New(d, s.clock, discard, workflow.New(d, s.clock, discard, 1), keys, bmc.New(bmc.Options{Log: discard}), machine.Access{
		URL: "https://127.0.0.1:1", Pin: strings.Repeat("ab", 32), Media: func(key string) string { return artefacts.URL + "/" + key },
		Quarantine: machine.Range{First: netip.MustParseAddr("172.31.0.10"), Last: netip.MustParseAddr("172.31.0.20"), Bits: 24},
	})
	check(t, d.Tx(t.Context(), func(tx *db.Tx) error {
		m := &machine.Machine{Name: "a", BMC: machine.BMC{Kind: "redfish", Address: server.URL(), Username: "u", Password: "p", CA: string(server.CertificatePEM())}}
		if err := s.service.Create(t.Context(), tx, m); err != nil {
			return err
		}
		s.id = m.ID
		if from == machine.Enroll {
			return nil
		}
		m.State, m.Abilities = from, machine.Abilities{VirtualMedia: true, UEFI: true}
		if from == machine.Available {
			m.Inventory = &agentapi.Inventory{}
		}
		if err := s.service.Update(t.Context(), tx, m); err != nil {
			return err
		}
		return s.service.AddNIC(t.Context(), tx, &machine.NIC{Machine: m.ID, MAC: "52:54:00:00:00:01", PXE: true})
	}))
	return s
}

func (s *stage) boot(_ vbmc.Boot, media string) {
	line, err := os.ReadFile(media)
	if err != nil {
		return // nothing to start from
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = string(line)
}

// turn lets the agent say and do what it can now.
func (s *stage) turn(ctx context.Context, _ *workflow.Engine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != "" {
		boot, err := agentapi.ParseCmdline(s.line)
		if err != nil {
			return err
		}
		s.line, s.secret = "", strings.Repeat("s", 64)
		if s.at, err = s.service.Hello(ctx, agentapi.Hello{Token: boot.Token, Secret: s.secret}); err != nil {
			return err
		}
	}
	if s.at.Session == "" {
		time.Sleep(2 * time.Millisecond) // the firmware's goroutine may be on its way
		return nil
	}
	boot, err := s.service.Session(ctx, s.at.Session, s.secret)
	if err != nil {
		return err
	}
	command, err := s.service.NextCommand(ctx, boot, 20*time.Millisecond)
	if err != nil || command == nil {
		return err
	}
	disk := agentapi.Disk{ID: "D1", Name: "/dev/vda", Size: 10 << 30}
	var result any = agentapi.EraseResult{Disks: []agentapi.ErasedDisk{{ID: disk.ID, Method: "blkdiscard", Bytes: disk.Size, Verified: 1 << 20}}}
	if command.Kind == agentapi.KindInspect {
		result = agentapi.Inventory{BootMode: "uefi", Memory: 8 << 30, CPU: agentapi.CPU{Threads: 4}, Disks: []agentapi.Disk{disk}, NICs: []agentapi.NIC{{MAC: "52:54:00:00:00:02"}}}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return s.service.Report(ctx, boot, agentapi.Report{Command: command.ID, State: agentapi.Done, Result: text})
}

// world is all that a flow may change, without what differs from run to run.
func (s *stage) world(ctx context.Context) (any, error) {
	m, err := s.service.Get(ctx, s.db, s.id)
	if err != nil {
		return nil, err
	}
	nics, err := s.service.NICs(ctx, s.db, s.id)
	if err != nil {
		return nil, err
	}
	macs := []string{}
	for _, n := range nics {
		macs = append(macs, n.MAC)
	}
	return map[string]any{
		"state": m.State, "target": m.Target, "spare": m.Spare(), "error": m.LastError, "fault": m.Fault, "maintenance": m.MaintenanceReason,
		"on": s.sim.Power(), "boot": s.sim.Boot(), "inventory": m.Inventory, "erased": m.Erased, "nics": macs, "identity": m.Identity, "able": m.Abilities,
	}, nil
}

// outcome is what a failed flow must leave: a machine that nobody got, that says why, and of which the same verb may be
// asked again. What was learned of it may stay.
func (s *stage) outcome(ctx context.Context) (any, error) {
	m, err := s.service.Get(ctx, s.db, s.id)
	if err != nil {
		return nil, err
	}
	state := map[machine.State]machine.State{machine.InspectFailed: machine.Manageable, machine.CleanFailed: machine.Manageable, machine.AdoptFailed: machine.Manageable}[m.State]
	if state == "" {
		state = m.State
	}
	return map[string]any{"state": state, "target": m.Target, "instance": m.Instance, "handed over": m.HandedOver}, nil
}

func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("each point of each step is a run of its own")
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		open := dbtest.SQLite
		if d.Engine == db.Postgres { // the longest flow stands for all: each of its many databases takes a while to make
			crash(t, dbtest.Postgres, "clean", machine.Manageable, (*machine.Service).CleanFlow)
			return
		}
		crash(t, open, "verify", machine.Enroll, (*machine.Service).VerifyFlow)
		crash(t, open, "inspect", machine.Manageable, (*machine.Service).InspectFlow)
		crash(t, open, "clean", machine.Manageable, (*machine.Service).CleanFlow)
		crash(t, open, "adopt", machine.Manageable, (*machine.Service).AdoptFlow)
		crash(t, open, "warm", machine.Available, (*machine.Service).WarmFlow)
	})
}

func crash[S any](t *testing.T, open func(testing.TB) *db.DB, name string, from machine.State, flow func(*machine.Service) workflow.Flow[S]) {
	fresh := func(t *testing.T) (*stage, workflowtest.Case[S]) {
		s := newStage(t, open(t), from)
		return s, workflowtest.Case[S]{
			DB: s.db, Clock: s.clock, Flow: flow(s.service), Turn: s.turn, World: s.world,
			Start: func(ctx context.Context, e *workflow.Engine) (id string, err error) {
				err = s.db.Tx(ctx, func(tx *db.Tx) error {
					id, err = e.Start(ctx, tx, "machine-"+name, machine.Resource(s.id), "req", map[string]string{"Machine": s.id})
					return err
				})
				return id, err
			},
		}
	}
	t.Run(name+"/crash", func(t *testing.T) {
		workflowtest.Crash(t, func(t *testing.T) workflowtest.Case[S] { _, c := fresh(t); return c })
	})
	t.Run(name+"/unwind", func(t *testing.T) {
		workflowtest.Unwind(t, func(t *testing.T) workflowtest.Case[S] {
			s, c := fresh(t)
			c.World = s.outcome
			t.Cleanup(func() {
				if m, err := s.service.Get(context.Background(), s.db, s.id); err == nil && m.LastError == "" && strings.HasSuffix(t.Name(), "effect") {
					t.Errorf("the machine does not say why the work failed: %+v", m)
				}
			})
			return c
		})
	})
}
