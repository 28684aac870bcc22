package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// plane is a control plane that hands out a queue of commands and remembers what it was told.
type plane struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	hellos   []agentapi.Hello
	session  string // the valid one; empty refuses all but hello
	queue    []agentapi.Command
	reports  []agentapi.Report
	conflict map[string]bool // commands no longer wanted
	failing  int             // this many next requests are answered 503
	last     http.Header
}

func newPlane(t *testing.T) *plane {
	p := &plane{t: t, conflict: map[string]bool{}}
	p.server = httptest.NewUnstartedServer(p.handler())
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.server.StartTLS()
	t.Cleanup(func() { p.server.Close() })
	return p
}

func (p *plane) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.PathHello, func(w http.ResponseWriter, r *http.Request) {
		var h agentapi.Hello
		if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
			p.t.Errorf("hello: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hellos = append(p.hellos, h)
		p.session = fmt.Sprintf("session-%d", len(p.hellos))
		json.NewEncoder(w).Encode(agentapi.Welcome{Session: p.session, Now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)})
	})
	mux.HandleFunc("GET "+agentapi.PathCommand, p.guarded(func(w http.ResponseWriter, r *http.Request) {
		deadline := time.Now().Add(50 * time.Millisecond)
		for time.Now().Before(deadline) {
			if c, ok := p.pop(); ok {
				json.NewEncoder(w).Encode(c)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("POST "+agentapi.PathReport, p.guarded(func(w http.ResponseWriter, r *http.Request) {
		var report agentapi.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			p.t.Errorf("report: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reports = append(p.reports, report)
		if p.conflict[report.Command] {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	return mux
}

func (p *plane) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		failing, known := p.failing > 0, p.session != "" && r.Header.Get(agentapi.HeaderSession) == p.session
		if failing {
			p.failing--
		}
		p.last = r.Header
		p.mu.Unlock()
		switch {
		case failing:
			http.Error(w, `{"error": "not now"}`, http.StatusServiceUnavailable)
		case !known:
			http.Error(w, `{"error": "no such session"}`, http.StatusUnauthorized)
		default:
			next(w, r)
		}
	}
}

func (p *plane) pop() (agentapi.Command, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return agentapi.Command{}, false
	}
	c := p.queue[0]
	p.queue = p.queue[1:]
	return c, true
}

func (p *plane) order(commands ...agentapi.Command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, commands...)
}

func (p *plane) with(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// final waits for the nth last report of a command.
func (p *plane) final(id string, nth int) agentapi.Report {
	p.t.Helper()
	var found agentapi.Report
	p.eventually("a last report of "+id, func() bool {
		n := 0
		for _, r := range p.reports {
			if r.Command == id && r.State != agentapi.Running {
				if n++; n == nth {
					found = r
					return true
				}
			}
		}
		return false
	})
	return found
}

func (p *plane) eventually(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return
		}
	}
	p.t.Fatalf("waited in vain for %s", what)
}

// machine is a hardware whose commands do what a test tells them.
type machine struct {
	mu       sync.Mutex
	inspects int
	inspect  func(ctx context.Context, progress Progress) (agentapi.Inventory, error)
	jumped   chan struct{}
}

func (m *machine) Inspect(ctx context.Context, progress Progress) (agentapi.Inventory, error) {
	m.mu.Lock()
	m.inspects++
	m.mu.Unlock()
	if m.inspect != nil {
		return m.inspect(ctx, progress)
	}
	return agentapi.Inventory{Product: "test"}, nil
}

func (m *machine) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inspects
}

func (m *machine) Erase(context.Context, agentapi.Erase, Progress) (agentapi.EraseResult, error) {
	return agentapi.EraseResult{}, failure.Wrap(errors.New("secret cause"), agentapi.FaultMachine, "The disk is broken.")
}

func (m *machine) Deploy(ctx context.Context, o agentapi.Deploy, images Images, _ Progress) (agentapi.DeployResult, error) {
	_, err := images.Manifest(ctx, o.Image)
	return agentapi.DeployResult{}, err
}

func (m *machine) Boot(context.Context, agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	return agentapi.BootResult{Kexec: true}, func() error { close(m.jumped); return nil }, nil
}

func (m *machine) Rescue(context.Context, agentapi.Rescue) (func() error, error) {
	return func() error { close(m.jumped); return nil }, nil
}

func startAgent(t *testing.T, p *plane, m *machine, change ...func(*Options)) *Agent {
	t.Helper()
	o := Options{
		Boot:      agentapi.Boot{URL: p.server.URL, Pin: pinOf(p.server), Token: "token"},
		Hardware:  m,
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)),
		Version:   "test",
		UUID:      "uuid",
		LogText:   func() string { return "the log" },
		RetryMin:  time.Millisecond,
		RetryMax:  20 * time.Millisecond,
		Heartbeat: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return a
}

func pinOf(s *httptest.Server) string {
	sum := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func inspect(id string, epoch int64) agentapi.Command {
	return agentapi.Command{ID: id, Epoch: epoch, Kind: agentapi.KindInspect}
}

func TestRunsACommandAndReports(t *testing.T) {
	p, m := newPlane(t), &machine{}
	var clock time.Time
	startAgent(t, p, m, func(o *Options) { o.SetClock = func(now time.Time) { clock = now } })
	p.order(inspect("a", 1))
	report := p.final("a", 1)
	var inv agentapi.Inventory
	if err := json.Unmarshal(report.Result, &inv); err != nil || report.State != agentapi.Done || inv.Product != "test" {
		t.Errorf("got %+v, %v", report, err)
	}
	p.with(func() {
		h := p.hellos[0]
		if h.Token != "token" || len(h.Secret) != 64 || h.UUID != "uuid" || p.last.Get(agentapi.HeaderSecret) != h.Secret {
			t.Errorf("hello %+v, then headers %v", h, p.last)
		}
		if clock.Year() != 2030 {
			t.Errorf("the clock was set to %v", clock)
		}
	})
}

func TestRepeatedCommandRunsOnce(t *testing.T) {
	p, m := newPlane(t), &machine{}
	startAgent(t, p, m)
	p.order(inspect("a", 1), inspect("a", 1))
	p.final("a", 1)
	p.order(inspect("a", 1))
	p.final("a", 2)
	p.order(inspect("b", 1))
	p.final("b", 1)
	if n := m.count(); n != 2 {
		t.Errorf("two commands ran %d times", n)
	}
}

func TestOlderEpochIsRefused(t *testing.T) {
	p, m := newPlane(t), &machine{}
	startAgent(t, p, m)
	p.order(inspect("new", 7), inspect("old", 6))
	if r := p.final("old", 1); r.State != agentapi.Failed || r.Fault != agentapi.FaultRequest {
		t.Errorf("got %+v", r)
	}
	if n := m.count(); n != 1 {
		t.Errorf("ran %d commands", n)
	}
}

// blocker is an inspect that runs until it is cancelled and tells so.
func blocker(started, stopped chan struct{}) func(context.Context, Progress) (agentapi.Inventory, error) {
	return func(ctx context.Context, progress Progress) (agentapi.Inventory, error) {
		progress(agentapi.Progress{Step: "Waiting", Done: 1, Total: 2})
		close(started)
		<-ctx.Done()
		close(stopped)
		return agentapi.Inventory{}, ctx.Err()
	}
}

func TestConflictStopsTheCommand(t *testing.T) {
	p, m := newPlane(t), &machine{}
	started, stopped := make(chan struct{}), make(chan struct{})
	m.inspect = blocker(started, stopped)
	startAgent(t, p, m)
	p.order(inspect("a", 1))
	<-started
	p.eventually("progress", func() bool {
		for _, r := range p.reports {
			if r.State == agentapi.Running && r.Progress != nil && r.Progress.Done == 1 {
				return true
			}
		}
		return false
	})
	p.with(func() { p.conflict["a"] = true })
	<-stopped
	m.mu.Lock()
	m.inspect = nil
	m.mu.Unlock()
	p.order(inspect("b", 1))
	p.final("b", 1)
	p.with(func() {
		for _, r := range p.reports {
			if r.Command == "a" && r.State != agentapi.Running {
				t.Errorf("a command nobody wants was reported: %+v", r)
			}
		}
	})
}

func TestReleaseStopsAnOlderEpoch(t *testing.T) {
	p, m := newPlane(t), &machine{}
	started, stopped := make(chan struct{}), make(chan struct{})
	m.inspect = blocker(started, stopped)
	startAgent(t, p, m)
	p.order(inspect("a", 1))
	<-started
	p.order(agentapi.Command{ID: "r", Epoch: 2, Kind: agentapi.KindRelease})
	if r := p.final("r", 1); r.State != agentapi.Done {
		t.Errorf("got %+v", r)
	}
	select {
	case <-stopped:
	default:
		t.Error("release was reported before the older command had stopped")
	}
}

func TestLogBesideARunningCommand(t *testing.T) {
	p, m := newPlane(t), &machine{}
	started, stopped := make(chan struct{}), make(chan struct{})
	m.inspect = blocker(started, stopped)
	startAgent(t, p, m)
	p.order(inspect("a", 1), agentapi.Command{ID: "l", Epoch: 1, Kind: agentapi.KindLog})
	if r := p.final("l", 1); string(r.Result) != `"the log"` {
		t.Errorf("got %+v", r)
	}
	<-started
}

func TestFaultsReachTheControlPlaneWithoutTheirCause(t *testing.T) {
	p, m := newPlane(t), &machine{}
	startAgent(t, p, m)
	p.order(
		agentapi.Command{ID: "erase", Epoch: 1, Kind: agentapi.KindErase, Erase: &agentapi.Erase{}},
		agentapi.Command{ID: "empty", Epoch: 1, Kind: agentapi.KindErase},
		agentapi.Command{ID: "strange", Epoch: 1, Kind: "dance"},
		agentapi.Command{ID: "noimage", Epoch: 1, Kind: agentapi.KindDeploy, Deploy: &agentapi.Deploy{Image: "x"}},
	)
	for id, want := range map[string]agentapi.Fault{
		"erase": agentapi.FaultMachine, "empty": agentapi.FaultRequest, "strange": agentapi.FaultRequest, "noimage": agentapi.FaultRequest,
	} {
		if r := p.final(id, 1); r.State != agentapi.Failed || r.Fault != want || r.Error == "" {
			t.Errorf("%s: got %+v", id, r)
		}
	}
	if r := p.final("erase", 1); r.Error != "The disk is broken." {
		t.Errorf("the report says %q", r.Error)
	}
}

func TestPanicFailsTheCommandOnly(t *testing.T) {
	p, m := newPlane(t), &machine{}
	m.inspect = func(context.Context, Progress) (agentapi.Inventory, error) { panic("oh") }
	startAgent(t, p, m)
	p.order(inspect("a", 1), agentapi.Command{ID: "l", Epoch: 1, Kind: agentapi.KindLog})
	if r := p.final("a", 1); r.Fault != agentapi.FaultMachine {
		t.Errorf("got %+v", r)
	}
	p.final("l", 1)
}

func TestSessionRefusedSaysHelloAgain(t *testing.T) {
	p, m := newPlane(t), &machine{}
	startAgent(t, p, m)
	p.order(inspect("a", 1))
	p.final("a", 1)
	p.with(func() { p.session = "" })
	p.eventually("a second hello", func() bool { return len(p.hellos) >= 2 })
	p.order(inspect("b", 1))
	p.final("b", 1)
	p.with(func() {
		if p.hellos[1].Secret != p.hellos[0].Secret || p.hellos[1].Token != p.hellos[0].Token {
			t.Error("the second hello has another secret or token")
		}
	})
}

func TestSurvivesAControlPlaneRestart(t *testing.T) {
	p, m := newPlane(t), &machine{}
	release := make(chan struct{})
	m.inspect = func(context.Context, Progress) (agentapi.Inventory, error) {
		<-release
		return agentapi.Inventory{Product: "after"}, nil
	}
	startAgent(t, p, m)
	p.order(inspect("a", 1))
	p.eventually("a running report", func() bool { return len(p.reports) > 0 })

	address, config := p.server.Listener.Addr().String(), p.server.TLS
	p.server.CloseClientConnections()
	p.server.Close()
	close(release) // the command ends while nobody listens
	p.with(func() { p.failing = 3 })
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p.server = &httptest.Server{Listener: listener, TLS: config, Config: &http.Server{Handler: p.handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}}
	p.server.StartTLS()

	if r := p.final("a", 1); r.State != agentapi.Done {
		t.Errorf("got %+v", r)
	}
	p.with(func() {
		if len(p.hellos) != 1 {
			t.Errorf("a valid session was thrown away: %d hellos", len(p.hellos))
		}
	})
	if n := m.count(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}

func TestJumpsOnlyAfterTheReportIsTaken(t *testing.T) {
	p, m := newPlane(t), &machine{jumped: make(chan struct{})}
	startAgent(t, p, m)
	p.with(func() { p.conflict["unwanted"] = true })
	p.order(agentapi.Command{ID: "unwanted", Epoch: 1, Kind: agentapi.KindBoot, Boot: &agentapi.BootInto{}})
	p.eventually("the unwanted boot's end", func() bool {
		for _, r := range p.reports {
			if r.Command == "unwanted" {
				return true
			}
		}
		return false
	})
	p.order(inspect("between", 1))
	p.final("between", 1)
	select {
	case <-m.jumped:
		t.Fatal("jumped although the boot was no longer wanted")
	default:
	}
	p.with(func() { p.failing = 2 })
	p.order(agentapi.Command{ID: "boot", Epoch: 1, Kind: agentapi.KindBoot, Boot: &agentapi.BootInto{}})
	<-m.jumped
	p.with(func() {
		if r := p.reports[len(p.reports)-1]; r.Command != "boot" || r.State != agentapi.Done {
			t.Errorf("jumped after %+v", r)
		}
	})
}

func TestForeignKeyIsNotSpokenTo(t *testing.T) {
	p, m := newPlane(t), &machine{}
	a, err := New(Options{Boot: agentapi.Boot{URL: p.server.URL, Pin: hex.EncodeToString(make([]byte, 32)), Token: "token"}, Hardware: m, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.poll(context.Background()); err == nil {
		t.Error("spoke to a control plane with another key")
	}
	if len(p.hellos) != 0 {
		t.Error("the token went to a foreign key")
	}
}

func TestImagesByRange(t *testing.T) {
	p := newPlane(t)
	blob := []byte("0123456789")
	mux := http.NewServeMux()
	mux.Handle("/", p.handler())
	mux.HandleFunc("GET /agent/v1/images/i/manifest", p.guarded(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{") }))
	mux.HandleFunc("GET /agent/v1/images/i/blob", p.guarded(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}))
	p.server.Config.Handler = mux
	a, err := New(Options{Boot: agentapi.Boot{URL: p.server.URL, Pin: pinOf(p.server), Token: "t"}, Hardware: &machine{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	body, total, err := a.client.Range(context.Background(), "i", 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	body.Close()
	if string(got) != "3456" || total != 10 || err != nil {
		t.Errorf("got %q of %d, %v", got, total, err)
	}
	if _, _, err := a.client.Range(context.Background(), "i", 30, 4); !isFault(err, agentapi.FaultRequest) {
		t.Errorf("past the end: %v", err)
	}
	if _, err := a.client.Manifest(context.Background(), "missing"); !isFault(err, agentapi.FaultRequest) {
		t.Errorf("missing image: %v", err)
	}
	if _, err := a.client.Manifest(context.Background(), "i"); err == nil || isFault(err, agentapi.FaultRequest) {
		t.Errorf("a manifest that breaks off may be the network's fault: %v", err)
	}
}

func isFault(err error, want agentapi.Fault) bool {
	var f *failure.Error
	return errors.As(err, &f) && f.Fault == want
}
