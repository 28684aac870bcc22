package faults

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/ingotcloud/ingot/internal/db"
)

// patience of all waiting: generous, since it passes only where a test fails. Some of what is waited for is done once a minute.
const patience = 3 * time.Minute

type object = map[string]any

// needs skips a test where it cannot run, with the reason.
func needs(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the control plane runs as a process: some seconds for each fault")
	}
	if os.Getuid() != 0 {
		t.Skip("the quarantine network's namespace needs root")
	}
}

// folder keeps the program for as long as the tests run.
var folder string

// program is the one that is installed, built once.
var program = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "build", "-o", folder+"/", "./cmd/ingot")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return filepath.Join(folder, "ingot"), nil
})

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "ingot-faults-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// options of a control plane.
type options struct {
	home        string // empty: a temporary folder
	database    string // empty: SQLite in home
	images      string // folder; empty: in home
	bootTimeout time.Duration
}

// server is one `ingot serve`, with what stays of it between its processes.
type server struct {
	t                   *testing.T
	home, url, database string
	namespace           string
	log                 string // path
	cmd                 *exec.Cmd
	ended               chan error // gets the process's end
}

// newServer prepares one; start runs it.
func newServer(t *testing.T, namespace string, o options) *server {
	t.Helper()
	if o.home == "" {
		o.home = t.TempDir()
	}
	s := &server{t: t, home: o.home, namespace: namespace, log: filepath.Join(t.TempDir(), "serve.log")}
	if s.database = o.database; o.database == "" {
		s.database = "sqlite:" + filepath.Join(o.home, "ingot.db")
	}
	uki := fakeUKI(t)
	machines := object{
		"namespace": namespace, "interface": "rack", "address": serverAddress + "/24", "media_listen": freeAddress(t),
		"kernel": uki, "initrd": uki, "uki": uki, "look_every": "1s",
	}
	if o.bootTimeout != 0 {
		machines["boot_timeout"] = o.bootTimeout.String()
	}
	listen := freeAddress(t)
	s.url = "http://" + listen
	text, err := yaml.Marshal(object{
		"home": o.home, "listen": listen, "database": s.database, "machines": machines, "images": object{"folder": o.images}, "ovn": object{"pretend": true},
		"identity": object{"admin_password": adminPassword},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text, _ := os.ReadFile(s.log) // it failed already
			t.Logf("the last words of %s:\n%s", s.url, text[max(0, len(text)-8000):])
		}
	})
	return s
}

func (s *server) config() string { return filepath.Join(filepath.Dir(s.log), "ingot.yaml") }

const adminPassword = "the faults' own"

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// launch starts the process without waiting for it to be ready.
func (s *server) launch() {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	s.cmd = exec.Command(path, "serve", "--config", s.config())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A process must not outlive a test that panics. It is its parent thread's end that the kernel goes by, so the thread
	// must stay.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	s.ended = ended
	go func(cmd *exec.Cmd) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}(s.cmd)
	if err := <-started; err != nil {
		s.cmd = nil
		s.t.Fatal(err)
	}
}

// start starts the process and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if a, err := s.ask("GET", "/identity/v3", "", nil); err == nil && a.status == 200 {
			return
		}
		select {
		case err := <-s.ended:
			s.cmd = nil
			s.t.Fatalf("the server ended at once: %v", err)
		default:
		}
		if time.Now().After(end) {
			s.t.Fatal("the server does not answer")
		}
	}
}

// kill is kill -9, and waits until the process is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
	s.cmd = nil
}

// stop asks the process to end and gives how it ended.
func (s *server) stop() error {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		s.cmd = nil
		return err
	case <-time.After(patience):
		s.t.Fatal("SIGTERM does not end the server")
		return nil
	}
}

func (s *server) said(text string) bool {
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes.Contains(log, []byte(text))
}

// open opens the database beside the server.
func (s *server) open() *db.DB {
	s.t.Helper()
	d, err := db.Open(context.Background(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return d
}

// newRack makes a quarantine network and n machines that are off and unknown.
func newRack(t *testing.T, n int) (namespace string, machines []*computer) {
	t.Helper()
	namespace = newNamespace(t, runName())
	return namespace, newMachines(t, n, newDoor(t, namespace))
}

func newMachines(t *testing.T, n int, d *door) (machines []*computer) {
	t.Helper()
	for i := range n {
		machines = append(machines, newComputer(t, i+1, d))
	}
	return machines
}

func runName() string { return "ingot-f-" + strings.ToLower(rand.Text()[:8]) }

// eventually waits until is says nothing any more; its last word is the failure.
func eventually(t *testing.T, is func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %v", err)
		}
	}
}
