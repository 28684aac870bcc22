package up

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/snakeoil"
)

const configFile = "ingot.yaml"

// runName names what a home makes on the host, so that several can run at once.
func runName(home string) string {
	sum := sha256.Sum256([]byte(home))
	return hex.EncodeToString(sum[:3])
}

// daemon is a background process of a home: it has a file with its process id and a log. Mark is the argument by which
// a process is known to be this home's.
type daemon struct {
	name, pidfile, log, program, mark string
	args                              []string
}

func (s *site) lab() daemon {
	dir := s.path("lab")
	if s.Simulate > 0 {
		return daemon{"the simulated rack", s.path("lab.pid"), s.path("lab.log"), s.program, dir,
			[]string{"lab", "sim", "--machines", strconv.Itoa(s.Simulate), "--dir", dir, "--name", s.name, "--fabric", s.Fabric}}
	}
	return daemon{"the virtual rack", s.path("lab.pid"), s.path("lab.log"), s.program, dir,
		[]string{"lab", "run", "--rack", s.Rack, "--dir", dir, "--name", s.name}}
}

func (s *site) server() daemon {
	file := s.path(configFile)
	return daemon{"the control plane", s.path("serve.pid"), s.path("serve.log"), s.program, file, []string{"serve", "--config", file}}
}

// pid of the running process; 0 when it does not run. A process id that was given to another program since does not
// count.
func (d daemon) pid() int {
	text, err := os.ReadFile(d.pidfile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !slices.Contains(strings.Split(string(line), "\x00"), d.mark) {
		return 0
	}
	return pid
}

// start runs the process unless it runs already.
func (d daemon) start() error {
	if d.pid() != 0 {
		return nil
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	cmd := exec.Command(d.program, d.args...)
	cmd.Stdout, cmd.Stderr = log, log
	// It outlives the login, and with it a temporary folder that is the login's.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") })
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // only so that an early end leaves no zombie; await sees it
	return os.WriteFile(d.pidfile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600)
}

// stop ends the process cleanly, and with force when it does not obey. It reports whether there was one.
func (d daemon) stop(ctx context.Context) (bool, error) {
	pid := d.pid()
	if pid == 0 {
		return false, nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return false, err
	}
	asked := time.Now()
	for d.pid() != 0 {
		if time.Since(asked) > 30*time.Second {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return false, err
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return false, err
		}
	}
	return true, os.Remove(d.pidfile)
}

// await waits until ready says so, or the process is dead: then its last words are the error.
func (d daemon) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !ready() {
		if d.pid() == 0 {
			return fmt.Errorf("%s ended at once; the end of %s:\n%s", d.name, d.log, lastLines(d.log, 8))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%s is not ready: %w; see %s", d.name, err, d.log)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\r\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (s *site) startLab(ctx context.Context) error {
	d := s.lab()
	running := d.pid() != 0
	if err := d.start(); err != nil {
		return err
	}
	err := d.await(ctx, func() bool {
		conn, err := lab.Dial(ctx, s.path("lab", "dial.sock"), "127.0.0.1:1")
		if conn != nil {
			conn.Close() //nolint:errcheck,gosec // it was only a knock
		}
		_, statErr := os.Stat(s.path("lab", lab.DescriptionFile))
		return statErr == nil && (err == nil || !errors.Is(err, syscall.ENOENT) && !isNoListener(err))
	})
	if err != nil {
		return err
	}
	if s.rack, err = lab.ReadDescription(s.path("lab")); err != nil {
		return err
	}
	for _, m := range s.rack.Machines {
		s.show.note("%s: %s at %s", m.Name, m.BMC.Kind, m.BMC.Address)
	}
	if running {
		s.show.note("(it was running)")
	}
	return nil
}

func isNoListener(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED)
}

func (s *site) startServer(ctx context.Context) error {
	d := s.server()
	started := time.Now()
	if d.pid() == 0 {
		if err := s.writeConfig(ctx); err != nil {
			return err
		}
		if err := d.start(); err != nil {
			return err
		}
	}
	// Its own word is asked for, since another program may answer at the address.
	said := func() bool { pid := d.pid(); return pid != 0 && config.ReadyPID(s.Home) == pid }
	if err := d.await(ctx, said); err != nil {
		return err
	}
	s.show.note("%s answers after %.1f s", s.apiURL(), time.Since(started).Seconds())
	return nil
}

// writeConfig writes the control plane's configuration before it starts. What an operator changed in it stays, but for
// what follows the rack and the build, and for addresses that somebody else has taken.
func (s *site) writeConfig(ctx context.Context) error {
	path := s.path(configFile)
	c := map[string]any{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &c)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	machines, ok := c["machines"].(map[string]any)
	if !ok {
		machines = map[string]any{}
	}
	machines["namespace"], machines["interface"], machines["address"] = s.rack.Netns, s.rack.Interface, s.rack.Network
	machines["kernel"], machines["initrd"], machines["uki"] = s.artifacts.Kernel, s.artifacts.Initrd, s.artifacts.UKI
	machines["rescue_initrd"], machines["rescue_uki"] = s.artifacts.RescueInitrd, s.artifacts.RescueUKI
	c["home"], c["machines"] = s.Home, machines
	if err := s.configureMetadata(s.configureOVN(c)); err != nil {
		return err
	}
	if c["listen"], err = freeAddress(c["listen"], "127.0.0.1:8000"); err != nil {
		return err
	}
	// Kept from start to start, because a BMC may have a medium from before.
	if machines["media_listen"], err = freeAddress(machines["media_listen"], "127.0.0.1:0"); err != nil {
		return err
	}
	if s.Simulate > 0 {
		if err := configureSimulated(machines); err != nil {
			return err
		}
		c["identity"] = map[string]any{"password_hash_rounds": 4} // nothing here is worth stealing, and Tempest makes thousands of users
	} else if machines["signing_key"] == nil {
		if machines["signing_key"], machines["signing_cert"], err = s.signingPair(ctx); err != nil {
			return err
		}
	}
	if text, err = yaml.Marshal(c); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// configureOVN names the rack's OVN, and gives that part of the configuration.
func (s *site) configureOVN(c map[string]any) map[string]any {
	ovn, ok := c["ovn"].(map[string]any)
	if !ok {
		ovn = map[string]any{}
		c["ovn"] = ovn
	}
	at := s.rack.OVN
	ovn["nb"], ovn["sb"], ovn["external_physical"], ovn["pretend"] = at.NB, at.SB, at.ExternalPhysical, at.NB == ""
	ovn["need_to_frag"] = !at.UserspaceTSO
	return ovn
}

// signingPair is what the lab's firmware trusts under Secure Boot.
func (s *site) signingPair(ctx context.Context) (key, cert string, err error) {
	key = s.path("secure-boot.key")
	return key, snakeoil.Cert, snakeoil.UnlockKey(ctx, key)
}

// freeAddress gives the address that is configured, or the usual one, when nobody has it, and another one on the same host
// otherwise.
func freeAddress(configured any, usual string) (string, error) {
	want, ok := configured.(string)
	if !ok {
		want = usual
	}
	listener, err := net.Listen("tcp", want)
	if err != nil {
		host, _, splitErr := net.SplitHostPort(want)
		if splitErr != nil {
			return "", splitErr
		}
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	return listener.Addr().String(), listener.Close()
}

func (s *site) apiURL() string {
	var c struct {
		Listen    string `yaml:"listen"`
		PublicURL string `yaml:"public_url"`
	}
	text, err := os.ReadFile(s.path(configFile))
	if err == nil {
		err = yaml.Unmarshal(text, &c)
	}
	switch {
	case err != nil:
		return ""
	case c.PublicURL != "":
		return c.PublicURL
	}
	return "http://" + c.Listen
}

func shortPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
