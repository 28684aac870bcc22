package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/console"
	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// ahead is the real clock, set forward at will.
type ahead struct{ by atomic.Int64 }

func (a *ahead) Now() time.Time { return clock.Real{}.Now().Add(time.Duration(a.by.Load())) }

// rig is one process over a rack in memory.
type rig struct {
	*console.Service
	*Rack
	t      testing.TB
	db     *db.DB
	clock  *ahead
	folder string
	stop   func()
}

// quick is a configuration that does not wait.
func quick(folder string) console.Config {
	return console.Config{Folder: folder, URL: "http://" + filepath.Base(filepath.Dir(folder)), Settle: time.Millisecond, LookEvery: 10 * time.Millisecond, TakeAfter: time.Hour}
}

func newRig(t testing.TB, d *db.DB) *rig {
	r := &rig{Rack: New(), t: t, db: d, clock: &ahead{}, folder: filepath.Join(t.TempDir(), "consoles")}
	r.start(quick(r.folder), NoPeers{})
	return r
}

// start runs a process; stop ends it cleanly.
func (r *rig) start(c console.Config, peers console.Peers) {
	r.Service = console.New(r.db, r.clock, slog.New(slog.DiscardHandler), c, r.Rack, r.Rack, peers)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	r.t.Cleanup(r.stop)
}

// instance has a machine of its own, whose line is open.
func (r *rig) instance(id string) (instance string) {
	instance = uuid.NewString()
	r.Lend(id, instance)
	r.recorded(instance)
	return instance
}

func (r *rig) recorded(instance string) {
	r.t.Helper()
	Eventually(r.t, "the console to be recorded", func() bool { return strings.Contains(r.text(instance), "the serial console is") })
}

func (r *rig) text(instance string) string {
	r.t.Helper()
	text, err := r.Tail(context.Background(), instance, -1)
	must(r.t, err)
	return text
}

// says waits until the log has the text.
func (r *rig) says(instance, text string) {
	r.t.Helper()
	Eventually(r.t, text, func() bool { return strings.Contains(r.text(instance), text) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%v, want kind %d", err, kind)
	}
}

func TestRecordedWhetherWatchedOrNot(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	r.Print("m1", "\x1b[1mone\x1b[0m\r\ntwo\r\nlogin: ")
	r.says(i, "one\ntwo\nlogin: ")
	for lines, want := range map[int]string{0: "", 1: "login: ", 2: "two\nlogin: "} {
		text, err := r.Tail(t.Context(), i, lines)
		must(t, err)
		if text != want {
			t.Errorf("%d lines: %q", lines, text)
		}
	}
	if text, err := r.Tail(t.Context(), i, 1000); err != nil || text != r.text(i) {
		t.Errorf("%q, %v", text, err)
	}
	text, err := r.Text(t.Context(), i, true)
	must(t, err)
	for _, line := range strings.Split(text, "\n") {
		if _, err := time.Parse(time.RFC3339, strings.Split(line, " ")[0]); err != nil {
			t.Errorf("%q has no time", line)
		}
	}
}

func TestSurvivesRestarts(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	first := "before the restart: " + strings.Repeat("x", 100) + "\n"
	r.Print("m1", first)
	r.says(i, first)
	r.stop()
	r.Print("m1", "unheard\n")
	r.start(quick(r.folder), NoPeers{})
	Eventually(t, "the line to be open again", func() bool { return strings.Count(r.text(i), "the serial console is recorded") == 2 })
	r.Print("m1", "after it\n")
	r.says(i, "after it")
	if text := r.text(i); strings.Count(text, "before the restart") != 1 || strings.Contains(text, "unheard") {
		t.Error(text)
	}
}

// A BMC that starts anew costs what was printed meanwhile, and the log says so. What it replays is not shown twice.
func TestGapsAreMarked(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	heard := "heard, " + strings.Repeat("0123456789", 10) + "\r\n"
	r.Print("m1", heard)
	r.says(i, "heard")
	r.Greet("m1", "of the tenant before\r\n"+heard+"in the gap\r\n")
	r.Break(fault.New(fault.Unavailable, "The BMC does not answer."))
	r.Cut("m1")
	r.says(i, "the serial console is out of reach: the BMC does not answer]")
	r.Break(nil)
	r.says(i, "the serial console is back after")
	r.says(i, "in the gap")
	if text := r.text(i); strings.Count(text, "heard") != 1 || strings.Contains(text, "tenant before") {
		t.Error(text)
	}
}

func TestNothingOfTheTenantBefore(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	r.Greet("m1", strings.Repeat("a secret of the tenant before\r\n", 100))
	first := uuid.NewString()
	r.Lend("m1", first)
	r.recorded(first)
	r.Print("m1", "my own\n")
	r.says(first, "my own")
	if text := r.text(first); strings.Contains(text, "secret") {
		t.Error(text)
	}
	viewer, err := r.Watch(first, "alice")
	must(t, err)
	defer viewer.Close()
	r.Return(first, true)
	second := uuid.NewString()
	r.Lend("m1", second)
	r.Greet("m1", strings.Repeat("a secret of the tenant before\r\n", 100)+"my own\n")
	r.recorded(second)
	if text := r.text(second); strings.Contains(text, "secret") || strings.Contains(text, "my own") {
		t.Error(text)
	}
	Eventually(t, "the viewer's end", func() bool {
		_, err := viewer.Next(t.Context(), make([]byte, 1000))
		return fault.Is(err, fault.Unavailable)
	})
	Eventually(t, "the recording to be wiped", func() bool {
		_, err := os.Stat(filepath.Join(r.folder, first))
		return errors.Is(err, os.ErrNotExist)
	})
}

// An instance in error keeps its log while it is there, whatever becomes of its machine.
func TestLogOutlivesTheMachine(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	r.Print("m1", "panic\n")
	r.says(i, "panic")
	r.Return(i, false)
	Eventually(t, "the line to be let go of", func() bool {
		_, err := r.Watch(i, "alice")
		return fault.Is(err, fault.Unavailable)
	})
	r.Lend("m2", i)
	Eventually(t, "the other machine's line", func() bool { return strings.Count(r.text(i), "the serial console is recorded") == 2 })
	r.Print("m2", "better\n")
	r.says(i, "better")
	if !strings.Contains(r.text(i), "panic") {
		t.Error("the first machine's output is gone")
	}
}

func TestSomebodyElseHasTheLine(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	r.stop()
	i := uuid.NewString()
	r.Lend("m1", i)
	r.Occupy("m1", true)
	r.start(quick(r.folder), NoPeers{})
	r.says(i, "the machine's serial console is in use")
	r.stop()
	r.Occupy("m1", true)
	c := quick(r.folder)
	c.TakeAfter = time.Nanosecond
	r.start(c, NoPeers{})
	r.says(i, "the serial console is back after")
	r.Print("m1", "ours\n")
	r.says(i, "ours")
}

func TestBoots(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	Eventually(t, "the power to be seen", func() bool {
		r.Power(i, machine.PowerOff)
		time.Sleep(30 * time.Millisecond) // some looks
		r.Power(i, machine.PowerOn)
		return strings.Contains(r.text(i), "the machine was switched on")
	})
	r.Print("m1", "[    0.000000] Linux version 6.1.0\r\n[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n")
	r.says(i, "kill init")
	Eventually(t, "the report", func() bool {
		report, err := r.Boots(t.Context(), i)
		must(t, err)
		return slices.ContainsFunc(report.Boots, func(boot forensics.Boot) bool { // the power may have been seen to come once more
			return boot.Trouble() != nil && boot.Trouble().Fault == "kernel-panic"
		})
	})
}

// watcher remembers what a viewer was shown.
type watcher struct {
	*console.Viewer
	t      *testing.T
	text   string
	status console.Status
}

func (r *rig) watch(t *testing.T, instance, name string) *watcher {
	t.Helper()
	v, err := r.Watch(instance, name)
	must(t, err)
	t.Cleanup(v.Close)
	return &watcher{Viewer: v, t: t}
}

// until reads on until it is so.
func (w *watcher) until(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	buffer := make([]byte, 4096)
	for !is() {
		news, err := w.Next(ctx, buffer)
		if err != nil {
			w.t.Fatalf("%v while waiting for %s; status %+v after %q", err, what, w.status, w.text)
		}
		w.text += string(news.Output)
		if news.Status != nil {
			w.status = *news.Status
		}
	}
}

func (w *watcher) sees(text string) {
	w.t.Helper()
	w.until(text, func() bool { return strings.Contains(w.text, text) })
}

func (w *watcher) told(what string, is func(console.Status) bool) {
	w.t.Helper()
	w.until(what, func() bool { return is(w.status) })
}

func TestOneTypesManyWatch(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	r.Print("m1", "what was before\n")
	r.says(i, "before")
	alice, bob := r.watch(t, i, "alice"), r.watch(t, i, "bob")
	alice.sees("what was before")
	must(t, alice.Type([]byte("from alice\n")))
	alice.sees("from alice")
	bob.sees("from alice")
	bob.told("that alice types", func(s console.Status) bool { return s.Keyboard == "alice" && !s.Mine && s.Viewers == 2 })
	wantKind(t, bob.Type([]byte("from bob\n")), fault.Conflict)
	bob.Take()
	alice.told("of the hand-over", func(s console.Status) bool { return s.Keyboard == "bob" && !s.Mine })
	wantKind(t, alice.Type([]byte("no")), fault.Conflict)
	must(t, bob.Type([]byte("from bob\n")))
	alice.sees("from bob")
	r.clock.by.Add(int64(11 * time.Second)) // bob is idle: the keyboard is whose keys come
	must(t, alice.Type([]byte("alice again\n")))
	alice.Close()
	must(t, bob.Type([]byte("alone\n")))
	bob.sees("alone")
	if strings.Contains(bob.text, "no") {
		t.Error(bob.text)
	}
	r.Break(fault.New(fault.Unavailable, "The BMC does not answer."))
	r.Cut("m1")
	bob.told("of the gap", func(s console.Status) bool { return strings.Contains(s.Away, "does not answer") })
	wantKind(t, bob.Type([]byte("x")), fault.Unavailable)
}

func TestTokens(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		i := r.instance("m1")
		grant := func(kind console.Kind) string {
			token, err := r.Grant(t.Context(), console.Grant{Kind: kind, Instance: i, Project: "p", UserID: "u", UserName: "alice", Request: "req-1"})
			must(t, err)
			return token
		}
		open := func(token string) error {
			s, err := r.Open(t.Context(), token, "192.0.2.1")
			if err == nil {
				s.Close()
			}
			return err
		}
		token := grant(console.Serial)
		if g, err := r.Look(t.Context(), token); err != nil || g.Instance != i {
			t.Errorf("%+v, %v", g, err)
		}
		var opened atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := open(token); err == nil {
					opened.Add(1)
				} else if !fault.Is(err, fault.Unauthorized) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := opened.Load(); n != 1 {
			t.Errorf("a token was good %d times", n)
		}
		_, err := r.Look(t.Context(), token)
		wantKind(t, err, fault.Unauthorized)
		wantKind(t, open("no token"), fault.Unauthorized)
		wantKind(t, open(""), fault.Unauthorized)
		wantKind(t, open(grant(console.Log)), fault.Unauthorized)
		late := grant(console.Serial)
		r.clock.by.Add(int64(11 * time.Minute))
		wantKind(t, open(late), fault.Unauthorized)

		page, key, err := r.OpenPage(t.Context(), grant(console.Screen), "192.0.2.1")
		must(t, err)
		if _, err := r.Page(t.Context(), ""); !fault.Is(err, fault.Unauthorized) {
			t.Error(err)
		}
		again, err := r.Page(t.Context(), key)
		must(t, err)
		if again.Instance != i || again.ID != page.ID || again.UserName != "alice" || again.Project != "p" {
			t.Errorf("%+v", again)
		}
		more, err := r.GrantMore(t.Context(), again, console.Serial, "req-2")
		must(t, err)
		_, _, err = r.OpenPage(t.Context(), more, "")
		wantKind(t, err, fault.Unauthorized) // a page's token opens no other page
		more, err = r.GrantMore(t.Context(), again, console.Serial, "req-2")
		must(t, err)
		session, err := r.Open(t.Context(), more, "192.0.2.7")
		must(t, err)
		session.Typed.Add(7)
		r.clock.by.Add(int64(5 * time.Second))
		session.Close()
		var typed, open5 int
		var peer, parent string
		var from, until time.Time
		must(t, d.QueryRowContext(t.Context(), `SELECT typed, peer, parent, opened_at, closed_at FROM console_session WHERE id = $1`, session.ID).Scan(&typed, &peer, &parent, &from, &until))
		if open5 = int(until.Sub(from).Seconds()); typed != 7 || peer != "192.0.2.7" || parent != page.ID || open5 < 5 {
			t.Errorf("on record: %d bytes, %s, %s, %d s", typed, peer, parent, open5)
		}
		r.clock.by.Add(int64(16 * time.Minute)) // silent for long
		_, err = r.Page(t.Context(), key)
		wantKind(t, err, fault.Unauthorized)
		gone := grant(console.Serial)
		r.Return(i, true)
		wantKind(t, open(gone), fault.Unauthorized)
		var plain int
		must(t, d.QueryRowContext(t.Context(), `SELECT count(*) FROM console_token WHERE hash = $1`, token).Scan(&plain))
		if plain != 0 {
			t.Error("a token is in the database as it is")
		}
	})
}

// of reaches another process of the test.
type of struct{ other **rig }

func (o of) Records(ctx context.Context, _, token string) (io.ReadCloser, error) {
	var all bytes.Buffer
	err := (*o.other).WriteRecords(ctx, token, &all)
	return io.NopCloser(&all), err
}

func TestSeveralProcesses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		a := newRig(t, d)
		i := a.instance("m1")
		a.Exclusive()
		b := &rig{Rack: a.Rack, t: t, db: d, clock: a.clock, folder: filepath.Join(t.TempDir(), "b")}
		b.start(quick(b.folder), of{&a})
		a.Print("m1", "recorded by a\n")
		a.says(i, "recorded by a")
		b.says(i, "recorded by a")
		if _, err := b.Watch(i, "bob"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("b has the line too: %v", err)
		}
		if n := a.Opened(); n != 1 {
			t.Errorf("the line was opened %d times", n)
		}
		token, err := a.Grant(t.Context(), console.Grant{Kind: console.Serial, Instance: i})
		must(t, err)
		if _, err := b.Look(t.Context(), token); err != nil { // given by one, opened at the other
			t.Error(err)
		}
		a.stop()
		Eventually(t, "b to take over", func() bool {
			v, err := b.Watch(i, "bob")
			if err == nil {
				v.Close()
			}
			return err == nil
		})
		b.recorded(i)
		b.Print("m1", "recorded by b\n")
		b.says(i, "recorded by b")
	})
}

// A process that died holds its lease until it runs out; whoever takes over takes the line from the dead one's session.
func TestTakesOverFromTheDead(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	r.stop()
	i := uuid.NewString()
	r.Lend("m1", i)
	r.Occupy("m1", true) // the dead one's SOL session
	_, err := r.db.ExecContext(t.Context(), `INSERT INTO console_lease (instance, machine, holder, url, until) VALUES ($1, 'm1', 'dead', '', $2)`, i, r.clock.Now().Add(10*time.Second))
	must(t, err)
	r.start(quick(r.folder), NoPeers{})
	time.Sleep(100 * time.Millisecond) // several looks
	if n := r.Opened(); n != 0 {
		t.Fatalf("the line was opened %d times while the lease was good", n)
	}
	r.clock.by.Add(int64(11 * time.Second))
	r.recorded(i)
	r.Print("m1", "alive\n")
	r.says(i, "alive")
}

// wire is a line that waits for its reader, so that whatever is missing was lost by us.
type wire struct {
	*Rack
	*io.PipeReader
}

func (w wire) OpenSerial(context.Context, string, bool) (io.ReadWriteCloser, error) { return w, nil }

func (wire) Write(p []byte) (int, error) { return len(p), nil }

// 200 viewers, one of which never reads, of a machine that prints as fast as it can: the recording has the whole end of it
// within its bound, those who read see the end, and memory does not grow with either.
func TestManyViewersOfMuchOutput(t *testing.T) {
	printed, machine := io.Pipe()
	r := &rig{Rack: New(), t: t, db: dbtest.SQLite(t), clock: &ahead{}, folder: filepath.Join(t.TempDir(), "consoles")}
	c := quick(r.folder)
	r.Service = console.New(r.db, r.clock, slog.New(slog.DiscardHandler), c, wire{r.Rack, printed}, r.Rack, NoPeers{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	i := r.instance("m1")
	var watching sync.WaitGroup
	var skipped atomic.Int64
	for n := range 200 {
		v, err := r.Watch(i, fmt.Sprint("viewer ", n))
		must(t, err)
		t.Cleanup(v.Close)
		if n == 0 {
			continue // never reads
		}
		watching.Go(func() {
			buffer, tail := make([]byte, 32<<10), ""
			for !strings.Contains(tail, "THE END") {
				news, err := v.Next(t.Context(), buffer)
				if err != nil {
					t.Error(err)
					return
				}
				skipped.Add(news.Skipped)
				tail = tail[max(0, len(tail)-10):] + string(news.Output)
			}
		})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const lines = 40_000 // of 256 bytes: 10 MB
	began := time.Now()
	for n := range lines {
		_, err := fmt.Fprintf(machine, "%08d %0246d\n", n, 0)
		must(t, err)
	}
	_, err := io.WriteString(machine, "THE END\n")
	must(t, err)
	watching.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("10 MB in %s; %d MB were skipped by 199 viewers; the heap went from %d to %d KiB", time.Since(began).Round(time.Millisecond),
		skipped.Load()>>20, before.HeapAlloc>>10, after.HeapAlloc>>10)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	r.says(i, "THE END")
	kept := strings.Split(strings.TrimSpace(r.text(i)), "\n")
	if len(kept) < 14_000 { // 4 MiB, less the segment that is dropped
		t.Errorf("%d lines are kept", len(kept))
	}
	for n, line := range kept[1 : len(kept)-1] { // the first may be cut by the bound
		if want := fmt.Sprintf("%08d ", lines-len(kept)+2+n); !strings.HasPrefix(line, want) {
			t.Fatalf("line %s is missing: %.20s", want, line)
		}
	}
}
