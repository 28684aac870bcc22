package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/lab"
)

// TestStories runs the scripts one after the other, in the order of their names, against one cloud. The first brings it
// up and the last takes it down.
func TestStories(t *testing.T) {
	if testing.Short() {
		t.Skip("the stories boot machines: some minutes")
	}
	if os.Getuid() != 0 {
		t.Skip("the virtual rack's network needs root")
	}
	for _, program := range []string{"qemu-system-x86_64", "/usr/bin/openstack", "ssh"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (scripts/setup.sh test)", program)
		}
	}
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	bin := buildPrograms(t, repository)
	home, err := os.MkdirTemp("", "ingot") // short: socket paths have a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(filepath.Join(bin, "ingot"), "clean", "--home", home).CombinedOutput(); err != nil {
			t.Errorf("clean: %v: %s", err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	// An address of its own: while a story has killed the control plane, another cloud on this computer could take the usual one.
	listen := fmt.Sprintf("listen: 127.%d.%d.%d:8000\n", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	if err := os.WriteFile(filepath.Join(home, "ingot.yaml"), []byte(listen), 0o600); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if os.Getenv("INGOT_STORIES") == "long" {
		long, err := filepath.Glob("testdata/long/*.txtar")
		if err != nil || len(long) == 0 {
			t.Fatalf("no long scripts: %v", err)
		}
		scripts = append(scripts, long...)
	}
	slices.SortFunc(scripts, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for _, script := range scripts {
		ok := t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files: []string{script}, Setup: setup(repository, bin, home), RequireExplicitExec: true,
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"openrc": openrc, "retry": retry, "zeroed": zeroed, "machines": machines, "sigkill": sigkill, "stopped": stopped, "capture": capture,
					"image": image, "boot": boot,
				},
			})
		})
		if !ok {
			t.Logf("the control plane's last words:\n%s", tail(filepath.Join(home, "serve.log")))
			return // the stories build on each other
		}
	}
}

func buildPrograms(t *testing.T, repository string) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", bin+"/", "./cmd/...", "./internal/lab/tenantimage/cloudstart")
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func setup(repository, bin, home string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		env.Setenv("CLOUD", home)
		env.Setenv("REPOSITORY", repository)
		env.Setenv("XDG_CACHE_HOME", cache)
		env.Setenv("PATH", bin+":/usr/sbin:/usr/bin:/sbin:/bin")
		return nil
	}
}

// openrc USER logs the script in: the variables of the user's file hold from here on.
func openrc(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("CLOUD"), args[0]+"-openrc.sh"))
	ts.Check(err)
	for _, line := range strings.Split(string(text), "\n") {
		line, found := strings.CutPrefix(line, "export ")
		for _, pair := range strings.Fields(line) {
			if name, value, ok := strings.Cut(pair, "="); found && ok {
				ts.Setenv(name, value)
			}
		}
	}
}

// retry SECONDS TEXT COMMAND… runs the command until its output has the text; with ! until it has it no more.
func retry(ts *testscript.TestScript, neg bool, args []string) {
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		err := ts.Exec(args[2], args[3:]...)
		output := ts.ReadFile("stdout") + ts.ReadFile("stderr")
		if strings.Contains(output, args[1]) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %d s the output is still (%v):\n%s", seconds, err, output)
		}
		time.Sleep(time.Second)
	}
}

// capture NAME COMMAND… keeps what the command says in a variable.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// zeroed FILE… fails when a file has any byte that is not zero.
func zeroed(ts *testscript.TestScript, neg bool, args []string) {
	for _, path := range args {
		at, err := firstByte(path)
		ts.Check(err)
		if (at < 0) == neg {
			ts.Fatalf("%s: first byte that is not zero: %d (-1: none)", path, at)
		}
	}
}

// firstByte finds the first byte that is not zero; -1 when there is none. It looks only where the file has data.
func firstByte(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	block, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); ; {
		offset, err = file.Seek(offset, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			return -1, nil
		}
		if err != nil {
			return 0, err
		}
		n, err := file.ReadAt(block, offset)
		if n == 0 && errors.Is(err, io.EOF) {
			return -1, nil
		}
		if !bytes.Equal(block[:n], zero[:n]) {
			return offset + int64(bytes.IndexFunc(block[:n], func(r rune) bool { return r != 0 })), nil
		}
		offset += int64(n)
	}
}

// machines SECONDS STATE waits until every machine is in the state. The script must be logged in as admin.
func machines(ts *testscript.TestScript, _ bool, args []string) {
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		ts.Check(ts.Exec("openstack", "baremetal", "node", "list", "-f", "value", "-c", "Provisioning State"))
		states := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
		if !slices.ContainsFunc(states, func(state string) bool { return state != args[1] }) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %d s the machines are %q", seconds, states)
		}
		time.Sleep(time.Second)
	}
}

// sigkill NAME kills a daemon of the cloud (serve, lab) without warning.
func sigkill(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("CLOUD"), args[0]+".pid"))
	ts.Check(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// stopped fails when the cloud still has a process or a network namespace on this host.
func stopped(ts *testscript.TestScript, _ bool, _ []string) {
	home := ts.Getenv("CLOUD")
	rack, err := lab.ReadDescription(filepath.Join(home, "lab"))
	ts.Check(err)
	left, err := filepath.Glob(filepath.Join("/run/netns", rack.Netns+"*"))
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("network namespaces are left: %q", left)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(home)) { // otherwise it has just ended
			ts.Fatalf("a process is left: %q", text)
		}
	}
}

func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text[max(0, len(text)-6000):])
}
