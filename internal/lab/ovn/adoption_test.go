package ovn_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
)

const (
	victimConfig = "OVN_TEST_VICTIM" // in the environment of the process that is killed
	victimReady  = "the victim is ready"
)

var (
	nicA = ovntest.NIC{ID: "a", MAC: macA, Address: prefixes("10.0.0.10/24")}
	nicB = ovntest.NIC{ID: "b", MAC: macB, Address: prefixes("10.0.0.11/24")}
)

// TestVictim is no test but the lab that TestAdoption kills.
func TestVictim(t *testing.T) {
	text := os.Getenv(victimConfig)
	if text == "" {
		t.Skip("only a part of TestAdoption")
	}
	var config ovn.Config
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	c := ovntest.StartWith(t, config)
	ovntest.NB(t, c, "ls-add", "red")
	addPort(t, c, "red", "a", macA, "10.0.0.10")
	addPort(t, c, "red", "b", macB, "10.0.0.11")
	ovntest.NewMachine(t, c, "one", nicA)
	ovntest.NewMachine(t, c, "two", nicB)
	if err := c.PlugTap(t.Context(), "two", "m0n0", "tap"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ToR(t.Context(), "top"); err != nil {
		t.Fatal(err)
	}
	ovntest.Sync(t, c)
	pids, err := json.Marshal(pids(c))
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString(victimReady + string(pids) + "\n")
	select {}
}

func pids(c *ovn.Cluster) map[string]int {
	all := map[string]int{}
	for _, daemon := range c.Daemons() {
		all[daemon.Name] = daemon.PID
	}
	return all
}

// killedLab starts a cluster in a process of its own, kills that with SIGKILL and gives the pids of the daemons.
func killedLab(t *testing.T, config ovn.Config) (old map[string]int) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	victim.Env = append(os.Environ(), victimConfig+"="+string(text))
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait() // killed: that is its error
	defer victim.Process.Kill()
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ready, ok := strings.CutPrefix(lines.Text(), victimReady); ok {
			if err := json.Unmarshal([]byte(ready), &old); err != nil {
				t.Fatal(err)
			}
			if _, err := ovn.Start(t.Context(), config); err == nil {
				t.Fatal("a second lab starts in the same folder")
			}
			return old
		}
		said.WriteString(lines.Text() + "\n")
	}
	if strings.Contains(said.String(), "--- SKIP") {
		t.Skip(said.String())
	}
	t.Fatal(said.String())
	return nil
}

// After a kill -9 of the lab traffic goes on, and the next lab adopts the daemons that live, starts those that do not, and
// takes all of it down in the end.
func TestAdoption(t *testing.T) {
	config := ovntest.Config(t, ovn.ChassisSpec{Name: "one", Gateway: true}, ovn.ChassisSpec{Name: "two"})
	before := onHost(t, config)
	old := killedLab(t, config)
	const dead = "two/controller"
	if process, err := os.FindProcess(old[dead]); err != nil {
		t.Fatal(err)
	} else if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	c := ovntest.StartWith(t, config)
	a := ovntest.FindMachine(t, "ingot-"+config.Name+"-chassis-one", nicA)
	ovntest.FindMachine(t, "ingot-"+config.Name+"-chassis-two", nicB)
	if !a.Ping(t, "10.0.0.11", ovntest.Patience) {
		t.Error("the machines do not reach each other")
	}
	if err := c.PlugTap(t.Context(), "two", "m0n0", "tap"); err != nil {
		t.Errorf("what is plugged in cannot be plugged in again: %v", err)
	}
	if _, err := c.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24")); err != nil {
		t.Error(err)
	}
	if _, err := c.ToR(t.Context(), "top"); err != nil {
		t.Error(err)
	}
	now := pids(c)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(old)), slices.Sorted(maps.Keys(now))); diff != "" {
		t.Error(diff)
	}
	for name, pid := range old {
		if adopted := now[name] == pid; adopted == (name == dead) {
			t.Errorf("%s had pid %d and has %d", name, pid, now[name])
		}
	}
	if err := c.Kill(t.Context(), "one/vswitchd"); err != nil {
		t.Error(err)
	}
	ovntest.Sync(t, c)
	if !a.Ping(t, "10.0.0.11", ovntest.Patience) {
		t.Error("an adopted daemon that died is not started again")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, onHost(t, config)); diff != "" {
		t.Errorf("left on the host: %s", diff)
	}
}

// A lab with another description adopts nothing of a killed one, and leaves nothing of it but the northbound database.
func TestSweep(t *testing.T) {
	config := ovntest.Config(t, ovn.ChassisSpec{Name: "one", Gateway: true}, ovn.ChassisSpec{Name: "two"})
	before := onHost(t, config)
	old := killedLab(t, config)
	ovntest.FindMachine(t, "ingot-"+config.Name+"-chassis-one", nicA)
	ovntest.FindMachine(t, "ingot-"+config.Name+"-chassis-two", nicB)
	config.Chassis = config.Chassis[:1]
	c := ovntest.StartWith(t, config)
	for name, pid := range pids(c) {
		if old[name] == pid {
			t.Errorf("%s is adopted", name)
		}
	}
	if !strings.Contains(ovntest.NB(t, c, "show"), "red") {
		t.Error("the northbound database is lost")
	}
	if netns.Exists("ingot-" + config.Name + "-chassis-two") {
		t.Error("a chassis that is no longer wanted is still there")
	}
	if err := c.Destroy(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, onHost(t, config)); diff != "" {
		t.Errorf("left on the host: %s", diff)
	}
}
