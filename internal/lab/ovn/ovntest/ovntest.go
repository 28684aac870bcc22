// Package ovntest gives tests an OVN of their own and small machines on it: network namespaces with one interface, which
// take milliseconds where a QEMU takes seconds. They speak through the same kernel interfaces as a QEMU's tap.
package ovntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/ovn"
)

// Patience is how long a test waits for what must come.
const Patience = 60 * time.Second

// Start gives a cluster that ends with the test. It skips the test where there can be none.
func Start(t testing.TB, chassis ...ovn.ChassisSpec) *ovn.Cluster {
	t.Helper()
	config := Config(t, chassis...)
	cluster := StartWith(t, config)
	t.Cleanup(func() {
		if t.Failed() {
			tell(t, cluster, config)
		}
		if err := cluster.Destroy(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

// tell writes down what the chassis of a test that failed know of each other.
func tell(t testing.TB, cluster *ovn.Cluster, config ovn.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	say := func(chassis, program string, args ...string) {
		cmd, err := cluster.Command(ctx, chassis, program, args...)
		if err != nil {
			t.Log(err)
			return
		}
		out, err := cmd.CombinedOutput()
		t.Logf("%s %s %q: %v\n%s", chassis, program, args, err, out)
	}
	for _, ch := range config.Chassis {
		control := filepath.Join(config.Dir, "chassis-"+ch.Name, "vswitchd.ctl")
		for _, question := range []string{"ovs/route/show", "tnl/neigh/show", "tnl/ports/show", "dpif/show", "dpctl/dump-flows"} {
			say(ch.Name, "ovs-appctl", "--timeout=5", "-t", control, question)
		}
		say(ch.Name, "ovs-vsctl", "--timeout=5", "--db="+cluster.OVS(ch.Name), "--columns=name,type,ofport,error,external_ids,options,status", "list", "Interface")
	}
	say("", "ovn-sbctl", "--timeout=5", "--columns=chassis_name,ip,type", "list", "Encap")
	say("", "ovn-sbctl", "--timeout=5", "--columns=logical_port,type,chassis,up", "list", "Port_Binding")
}

// StartWith is Start for a test that ends the cluster itself.
func StartWith(t testing.TB, config ovn.Config) *ovn.Cluster {
	t.Helper()
	cluster, err := ovn.Start(t.Context(), config)
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// Config is of a run that nothing else on the host collides with. It skips the test where no cluster can start.
func Config(t testing.TB, chassis ...ovn.ChassisSpec) ovn.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an OVN")
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	// Shorter than t.TempDir(), for the sockets in it.
	dir, err := os.MkdirTemp("", "ovn-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(ovn.Sweep(dir), os.RemoveAll(dir)); err != nil { // the sweep is for tests that failed early
			t.Error(err)
		}
	})
	unique := make([]byte, 4)
	rand.Read(unique)
	return ovn.Config{Name: "t" + hex.EncodeToString(unique), Dir: dir, Chassis: chassis}
}

// NB writes the northbound database with ovn-nbctl and gives what it says.
func NB(t testing.TB, cluster *ovn.Cluster, args ...string) string {
	t.Helper()
	return Run(t, cluster, "", "ovn-nbctl", args...)
}

// Run runs a program of OVN's or Open vSwitch's packages; see ovn.Cluster.Command.
func Run(t testing.TB, cluster *ovn.Cluster, chassis, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd, err := cluster.Command(ctx, chassis, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
	return string(bytes.TrimSpace(out))
}

// Sync waits until the chassis do what the northbound database says.
func Sync(t testing.TB, cluster *ovn.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := cluster.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until the condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
