package ovn_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
)

// The wiring of a chassis in the kernel must not serve a machine: neither the tunnels' address nor any other that the
// kernel of the chassis has answers one.
func TestMachinesDoNotReachTheChassis(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}, ovn.ChassisSpec{Name: "two"})
	ovntest.NB(t, c, "ls-add", "red")
	a := machine(t, c, "one", "red", "a", macA, "10.0.0.10/24")
	ovntest.Sync(t, c)
	ns := c.Namespace("one")

	// An address in the tenant's own network on the very interface that its frames come in on, and a route back, is more
	// than a chassis ever has.
	const decoy, tunnels = "10.0.0.99", "100.127.0.1"
	far, mac := "", ""
	err := netns.Do(ns, func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, link := range links {
			if link.Type() == "veth" && link.Attrs().Name != "nic" {
				far, mac = link.Attrs().Name, link.Attrs().HardwareAddr.String()
				address, err := netlink.ParseAddr(decoy + "/24")
				if err != nil {
					return err
				}
				return netlink.AddrAdd(link, address)
			}
		}
		return fmt.Errorf("no machine among %d interfaces", len(links))
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := netns.ListenPacket(ns, "udp", ":4000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	source := netip.MustParseAddrPort("10.0.0.10:4000")
	attack := func(what string) {
		for _, target := range []string{decoy, tunnels, "127.0.0.1"} {
			a.Send(t, ovntest.ARPRequest(macA, source.Addr(), netip.MustParseAddr(target)))
			a.Send(t, ovntest.UDP(macA, mac, source, netip.AddrPortFrom(netip.MustParseAddr(target), 4000), what))
		}
	}
	received := func() (text string, answered bool) {
		stop := a.Capture(t)
		attack("hello")
		buffer := make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(soon))
		n, _, _ := conn.ReadFrom(buffer)
		for _, frame := range stop() {
			answered = answered || strings.Contains(string(frame), "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02") // an ARP reply
		}
		return string(buffer[:n]), answered
	}
	if text, answered := received(); text != "" || answered {
		t.Errorf("the chassis (%s) heard %q, answered: %v", far, text, answered)
	}
	// That silence means something: without the rules the same frames get through.
	if out, err := exec.Command("ip", "netns", "exec", ns, "nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, answered := received(); text != "hello" || !answered {
		t.Errorf("this test does not see a hole: without rules the chassis heard %q, answered: %v", text, answered)
	}
}

// Whichever daemon dies, it comes back and the machines reach each other, also what is wired afterwards.
func TestEveryDaemonMayDie(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"}, ovn.ChassisSpec{Name: "two"})
	ovntest.NB(t, c, "ls-add", "red")
	a := machine(t, c, "one", "red", "a", macA, "10.0.0.10/24")
	machine(t, c, "two", "red", "b", macB, "10.0.0.11/24")
	ovntest.Sync(t, c)
	if !a.Ping(t, "10.0.0.11", ovntest.Patience) {
		t.Fatal("the machines do not reach each other")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*ovntest.Patience)
	defer cancel()
	for i, daemon := range c.Daemons() {
		start := time.Now()
		if err := c.Kill(ctx, daemon.Name); err != nil {
			t.Fatal(err)
		}
		if err := c.Sync(ctx); err != nil {
			t.Fatalf("after %s died: %v", daemon.Name, err)
		}
		synced := time.Since(start)
		if !a.Ping(t, "10.0.0.11", ovntest.Patience) {
			t.Errorf("after %s died the machines do not reach each other", daemon.Name)
		}
		pinged := time.Since(start)
		id, ip := fmt.Sprintf("late%d", i), fmt.Sprintf("10.0.0.%d", 100+i)
		machine(t, c, "two", "red", id, fmt.Sprintf("52:54:00:00:01:%02x", i), ip+"/24")
		if !a.Ping(t, ip, ovntest.Patience) {
			t.Errorf("after %s died a new machine is not reached", daemon.Name)
		}
		t.Log(daemon.Name, "died: in sync after", synced.Round(time.Millisecond), "traffic after", pinged.Round(time.Millisecond))
	}
	for _, daemon := range c.Daemons() {
		if daemon.PID == 0 || daemon.Starts != 2 {
			t.Errorf("%s has pid %d and was started %d times, not 2", daemon.Name, daemon.PID, daemon.Starts)
		}
	}
	if err := c.Kill(ctx, "nobody"); err == nil {
		t.Error("a daemon that is not there is killed")
	}
}

// What a QEMU reads from and writes to its tap.
func TestTap(t *testing.T) {
	c := ovntest.Start(t, ovn.ChassisSpec{Name: "one"})
	ovntest.NB(t, c, "ls-add", "red")
	addPort(t, c, "red", "vm", macA, "10.0.0.10")
	if err := c.PlugTap(t.Context(), "one", "m0n0", "vm"); err != nil {
		t.Fatal(err)
	}
	tap := openTap(t, c.Namespace("one"), "m0n0")
	b := machine(t, c, "one", "red", "b", macB, "10.0.0.11/24")
	ovntest.Sync(t, c)
	vm, to := netip.MustParseAddrPort("10.0.0.10:9"), netip.MustParseAddrPort("10.0.0.11:9")
	header := make([]byte, 10) // virtio_net_hdr: no offload
	stop := b.Capture(t)
	var frames [][]byte
	ovntest.Eventually(t, "what the tap's machine writes arrives", func() bool {
		if _, err := tap.Write(append(header, ovntest.UDP(macA, macB, vm, to, "from the tap")...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		frames = append(frames, stop()...)
		stop = b.Capture(t)
		return strings.Contains(text(frames), "from the tap")
	})
	stop()
	ovntest.Eventually(t, "the tap's machine reads what is sent to it", func() bool {
		b.Send(t, ovntest.UDP(macB, macA, to, vm, "to the tap"))
		buffer := make([]byte, 2048)
		tap.SetReadDeadline(time.Now().Add(soon))
		n, err := tap.Read(buffer)
		return err == nil && strings.Contains(string(buffer[:n]), "to the tap")
	})
	if err := c.Unplug(t.Context(), "one", "m0n0"); err != nil {
		t.Error(err)
	}
	if err := c.Unplug(t.Context(), "one", "m0n0"); err != nil {
		t.Errorf("what is unplugged cannot be unplugged again: %v", err)
	}
	if err := c.Plug(t.Context(), "one", "nothing", "vm"); err == nil {
		t.Error("an interface that is not there is plugged in")
	}
}

// openTap opens a tap as QEMU does.
func openTap(t *testing.T, namespace, name string) *os.File {
	t.Helper()
	var tap *os.File
	err := netns.Do(namespace, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_ONE_QUEUE)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		tap = os.NewFile(uintptr(fd), name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	return tap
}

func TestNothingIsLeft(t *testing.T) {
	config := ovntest.Config(t, ovn.ChassisSpec{Name: "one", Gateway: true}, ovn.ChassisSpec{Name: "two"})
	before := onHost(t, config)
	c := ovntest.StartWith(t, config)
	during := onHost(t, config)
	if len(during["processes"]) != len(c.Daemons()) || len(during["namespaces"]) != 3 {
		t.Errorf("this test does not see what is there: %v", during)
	}
	if _, err := c.Internet(t.Context(), netip.MustParsePrefix("203.0.113.1/24")); err != nil {
		t.Error(err)
	}
	if tor, err := c.ToR(t.Context(), "top"); err != nil {
		t.Error(err)
	} else if err := tor.Uplink(t.Context(), "two", "parent"); err != nil {
		t.Error(err)
	}
	if err := c.PlugTap(t.Context(), "one", "m0n0", "a"); err != nil {
		t.Error(err)
	}
	total := 0
	for _, daemon := range c.Daemons() {
		total += resident(t, daemon.PID)
		t.Log(daemon.Name, resident(t, daemon.PID), "KiB")
	}
	t.Log("all daemons of two chassis:", total/1024, "MiB resident")
	if err := c.Destroy(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, onHost(t, config)); diff != "" {
		t.Errorf("left on the host: %s", diff)
	}
	if _, err := os.Stat(config.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// testMachine is what the namespaces of ovntest's machines end with.
var testMachine = regexp.MustCompile(`-m[0-9a-f]{8}$`)

// onHost is what a cluster in the folder could leave behind. Other runs on the host come and go meanwhile.
func onHost(t *testing.T, config ovn.Config) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), config.Dir) { // or it ended meanwhile
			found["processes"] = append(found["processes"], strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	// Every namespace of the run is mounted on its name.
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		target := strings.Fields(line)[1]
		if strings.HasPrefix(target, "/run/netns/ingot-"+config.Name+"-") && !testMachine.MatchString(target) {
			found["namespaces"] = append(found["namespaces"], filepath.Base(target))
		} else if strings.HasPrefix(target, config.Dir) {
			found["mounts"] = append(found["mounts"], target)
		}
	}
	slices.Sort(found["namespaces"])
	return found
}

// resident is a process' memory in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatalf("process %d has no VmRSS", pid)
	return 0
}
