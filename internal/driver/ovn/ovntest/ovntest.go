// Package ovntest runs OVN's databases, and ovn-northd where a test needs it, for one test: programs of the installed
// packages in a folder of their own. No chassis runs; a test that wants one writes its rows with ovn-sbctl (Control).
package ovntest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn/schema"
)

// Database is one ovsdb-server with one database.
type Database struct {
	t      testing.TB
	dir    string
	name   string
	schema []byte
	args   []string
	server *exec.Cmd // nil: stopped
}

// Northbound starts a northbound database. args are added to ovsdb-server's own. It skips the test where ovsdb-server is not
// installed.
func Northbound(t testing.TB, args ...string) *Database {
	return WithSchema(t, "nb", schema.Northbound, args...)
}

// Southbound starts a southbound database.
func Southbound(t testing.TB) *Database { return WithSchema(t, "sb", schema.Southbound) }

// WithSchema starts a database with that schema.
func WithSchema(t testing.TB, name string, schema []byte, args ...string) *Database {
	t.Helper()
	// Not t.TempDir: the names of Unix sockets are short.
	dir, err := os.MkdirTemp("", "ovntest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &Database{t: t, dir: dir, name: name, schema: schema, args: args}
	d.Wipe()
	d.Start()
	t.Cleanup(d.Kill)
	return d
}

// Endpoint is where the database listens.
func (d *Database) Endpoint() string { return "unix:" + d.socket() }

// Port is the TCP port that a server with a remote on port 0 listens on.
func (d *Database) Port() string {
	d.t.Helper()
	log := filepath.Join(d.dir, "ovsdb-server.log")
	var port string
	Eventually(d.t, "ovsdb-server tells its port", func() bool {
		text, err := os.ReadFile(log)
		if err != nil {
			d.t.Fatal(err)
		}
		if m := listening.FindSubmatch(text); m != nil {
			port = string(m[1])
		}
		return port != ""
	})
	return port
}

var listening = regexp.MustCompile(`[Ll]istening on port (\d+)`)

func (d *Database) socket() string { return filepath.Join(d.dir, d.name+".sock") }
func (d *Database) file() string   { return filepath.Join(d.dir, d.name+".db") }

// Wipe makes an empty database in place of what there is, while the server is stopped.
func (d *Database) Wipe() {
	d.t.Helper()
	if err := os.Remove(d.file()); err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	schemaFile := filepath.Join(d.dir, d.name+".ovsschema")
	if err := os.WriteFile(schemaFile, d.schema, 0o600); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command(program(d.t, "ovsdb-tool"), "create", d.file(), schemaFile).CombinedOutput(); err != nil {
		d.t.Fatalf("ovsdb-tool create: %v\n%s", err, out)
	}
}

// Start starts the server, and returns when it listens.
func (d *Database) Start() {
	d.t.Helper()
	args := append([]string{"--remote=punix:" + d.socket(), "--unixctl=" + filepath.Join(d.dir, d.name+".ctl"), "-vconsole:info"}, d.args...)
	d.server = start(d.t, d.dir, "ovsdb-server", append(args, d.file())...)
	Eventually(d.t, "ovsdb-server listens", func() bool {
		c, err := net.Dial("unix", d.socket())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// Kill stops the server as a crash would.
func (d *Database) Kill() {
	if d.server != nil {
		kill(d.server)
		d.server = nil
		os.Remove(d.socket())
	}
}

// Pause stops the server from answering; the connections stay. The function returned lets it go on.
func (d *Database) Pause() (resume func()) {
	d.t.Helper()
	if err := d.server.Process.Signal(syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	return func() { _ = d.server.Process.Signal(syscall.SIGCONT) }
}

// Northd starts ovn-northd between the databases.
func Northd(t testing.TB, nb, sb *Database) {
	t.Helper()
	cmd := start(t, nb.dir, "ovn-northd", "--ovnnb-db="+nb.Endpoint(), "--ovnsb-db="+sb.Endpoint(),
		"--unixctl="+filepath.Join(nb.dir, "northd.ctl"), "-vconsole:warn")
	t.Cleanup(func() { kill(cmd) })
}

// Control runs one of OVN's own programs (ovn-nbctl, ovn-sbctl) on a database: what an operator's hand does.
func (d *Database) Control(name string, args ...string) string {
	d.t.Helper()
	cmd := exec.Command(program(d.t, name), append([]string{"--db=" + d.Endpoint(), "--timeout=20", "--no-leader-only"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Eventually waits until something is so, and ends the test when it is not after a minute.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (packages ovn-common and ovn-central)", name)
	}
	return path
}

func start(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir, "OVN_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVN_LOGDIR="+dir)
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // the error is that it was killed
}
