package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// ingotLab runs a subcommand against a folder and gives what it printed.
func ingotLab(stdin string, args ...string) (string, error) {
	c := Commands()
	var out bytes.Buffer
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SilenceUsage = true
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

func TestTheCommandsReachARunningRack(t *testing.T) {
	c := prepare(t, biosRack)
	if _, err := ingotLab("", "status", "--dir", c.Dir); err == nil || !strings.Contains(err.Error(), "no lab answers") {
		t.Errorf("status without a lab: %v", err)
	}
	start(t, c)
	text, err := ingotLab("", "status", "--json", "--dir", c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []Status
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "b1" || got[0].On || !strings.HasPrefix(got[0].BMC, "ipmi 127.0.0.1:") {
		t.Errorf("status: %s", text)
	}
	if text, err := ingotLab("", "status", "--dir", c.Dir); err != nil || !strings.Contains(text, "b1       off    as usual") {
		t.Errorf("%s%v", text, err)
	}
	if _, err := ingotLab("", "power", "b1", "off", "--dir", c.Dir); err != nil {
		t.Error(err)
	}
	for want, args := range map[string][]string{
		`the rack has no machine "b2"`: {"power", "b2", "on"},
		`"melt" is no power action`:    {"power", "b1", "melt"},
		errDark.Error():                {"screenshot", "b1", filepath.Join(c.Dir, "shot.png")},
	} {
		if _, err := ingotLab("", append(args, "--dir", c.Dir)...); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}

func TestDialLeadsIntoTheRacksNetwork(t *testing.T) {
	c := prepare(t, biosRack)
	start(t, c)
	l, err := netns.Listen(namespace(c.Name), "tcp", "10.79.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // answers when the other side has said all
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			said, _ := io.ReadAll(conn)
			fmt.Fprintf(conn, "heard %s", said)
			conn.Close()
		}
	}()
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if got, err := ingotLab("hello", "dial", host, port, "--dir", c.Dir); err != nil || got != "heard hello" {
		t.Errorf("%q, %v", got, err)
	}
	l.Close()
	if _, err := ingotLab("", "dial", host, port, "--dir", c.Dir); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := ingotLab("", "dial", "localhost", "22", "--dir", c.Dir); err == nil || !strings.Contains(err.Error(), "an address is needed") {
		t.Errorf("a name: %v", err)
	}
	if info, err := os.Stat(filepath.Join(c.Dir, dialSocket)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestARacksFolderKeepsItsSecretsAndPorts(t *testing.T) {
	c := prepare(t, biosRack)
	first := start(t, c)
	before := first.Describe()
	if info, err := os.Stat(filepath.Join(c.Dir, DescriptionFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", DescriptionFile, info, err)
	}
	if _, err := Start(context.Background(), c); err == nil || !strings.Contains(err.Error(), "another lab runs in") {
		t.Errorf("a second lab in the folder: %v", err)
	}
	nic := before.Machines[0].NICs[0]
	err := netns.Do(nic.Netns, func() error {
		_, err := netlink.LinkByName(nic.Tap)
		return err
	})
	if err != nil {
		t.Errorf("the tap after a second lab was refused: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c)
	if d := cmp.Diff(before, again.Describe()); d != "" {
		t.Error(d)
	}

	other := prepare(t, biosRack)
	other.Name = c.Name
	if _, err := Start(context.Background(), other); err == nil || !strings.Contains(err.Error(), "is not this folder's") {
		t.Errorf("the name of a run that is up: %v", err)
	}
	if !netns.Exists(before.Netns) {
		t.Error("the refused lab removed the other's namespace")
	}
	if err := again.Destroy(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("after Destroy: %v", err)
	}
}

func TestStartRefusesWhatCannotBe(t *testing.T) {
	c := prepare(t, biosRack)
	long := c
	long.Dir = filepath.Join(c.Dir, strings.Repeat("x", 100))
	if _, err := Start(context.Background(), long); err == nil || !strings.Contains(err.Error(), "too long by") {
		t.Errorf("a long folder: %v", err)
	}
	unnamed := c
	unnamed.Name = "Not A Name"
	if _, err := Start(context.Background(), unnamed); err == nil || !strings.Contains(err.Error(), "run's name") {
		t.Errorf("a bad name: %v", err)
	}
}
