package chassis_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/chassis"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/metadata"
	"github.com/ingotcloud/ingot/internal/netns"
)

// asProgram in the environment makes this test binary `ingot chassis`, which can be killed as the real one can.
const asProgram = "INGOT_TEST_CHASSIS"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	command := chassis.Command()
	command.SetArgs(os.Args[1:])
	err := command.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The networks of two tenants, who chose the same addresses.
const (
	red  = "11111111-1111-4111-8111-111111111111"
	blue = "22222222-2222-4222-8222-222222222222"
)

// servers are known by network and address.
type servers map[metadata.Caller]string

func (s servers) MetadataOf(_ context.Context, c metadata.Caller) (*metadata.Content, error) {
	name, ok := s[c]
	if !ok {
		return nil, fault.New(fault.NotFound, "No server has the address %s.", c.Address)
	}
	return &metadata.Content{ID: name, Name: name, Hostname: name}, nil
}

// rig is a control plane's door and an OVN with one chassis.
type rig struct {
	t       *testing.T
	cluster *ovn.Cluster
	args    []string
	name    string
}

func newRig(t *testing.T, s servers) *rig {
	t.Helper()
	const secret = "a secret that is long enough"
	door := httptest.NewUnstartedServer(&metadata.Door{Servers: s, Secret: []byte(secret), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	door.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	door.StartTLS()
	t.Cleanup(door.Close)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(door.Certificate().RawSubjectPublicKeyInfo)
	cluster := ovntest.Start(t, ovn.ChassisSpec{Name: "one"})
	r := &rig{t: t, cluster: cluster, name: cluster.Namespace("one")}
	r.args = []string{"--ovs", cluster.OVS("one"), "--netns", cluster.Namespace("one"), "--name", r.name,
		"--url", door.URL, "--pin", hex.EncodeToString(pin[:]), "--secret-file", file}
	t.Cleanup(func() { // before the cluster goes
		if out, err := r.program(context.Background(), "--remove").CombinedOutput(); err != nil {
			t.Errorf("remove: %v: %s", err, out)
		}
		if left := r.namespaces(); len(left) > 0 {
			t.Errorf("left over: %q", left)
		}
	})
	return r
}

func (r *rig) program(ctx context.Context, more ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], append(r.args, more...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start runs the program until stop is called with a signal, or the test ends.
func (r *rig) start() (stop func(os.Signal)) {
	r.t.Helper()
	cmd := r.program(context.Background())
	log := &output{t: r.t}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	var once sync.Once
	stop = func(s os.Signal) {
		once.Do(func() {
			if err := cmd.Process.Signal(s); err != nil {
				r.t.Error(err)
			}
			if err := cmd.Wait(); err != nil && s != syscall.SIGKILL {
				r.t.Errorf("the program ended with %v", err)
			}
		})
	}
	r.t.Cleanup(func() { stop(syscall.SIGTERM) })
	return stop
}

// output is a program's, in the test's log.
type output struct{ t *testing.T }

func (o *output) Write(p []byte) (int, error) {
	o.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// namespaces that are there for networks.
func (r *rig) namespaces() (mine []string) {
	r.t.Helper()
	all, err := netns.Names()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range all {
		if network, ok := strings.CutPrefix(name, r.name+"-metadata-"); ok {
			mine = append(mine, network)
		}
	}
	return mine
}

// network makes a switch with a metadata port, as topology does.
func (r *rig) network(id string, v6 bool) {
	r.t.Helper()
	addresses := topology.MetadataMAC(id) + " " + topology.MetadataV4
	if v6 {
		addresses += " " + topology.MetadataV6
	}
	ovntest.NB(r.t, r.cluster, "ls-add", id, "--", "lsp-add", id, topology.MetadataPort(id),
		"--", "lsp-set-type", topology.MetadataPort(id), "localport", "--", "lsp-set-addresses", topology.MetadataPort(id), addresses)
}

// machine plugs a machine with port security into a network.
func (r *rig) machine(network, port, address string) *ovntest.Machine {
	r.t.Helper()
	m := ovntest.NewMachine(r.t, r.cluster, "one", ovntest.NIC{ID: port, Address: []netip.Prefix{netip.MustParsePrefix(address + "/24")}})
	ovntest.NB(r.t, r.cluster, "lsp-add", network, port, "--", "lsp-set-addresses", port, m.MAC+" "+address,
		"--", "lsp-set-port-security", port, m.MAC+" "+address+" fd00::1") // any IPv6 address allows the link's own
	err := netns.Do(m.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: net.ParseIP(topology.MetadataV4), Mask: net.CIDRMask(32, 32)}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// ask gets a path from the service as a machine's curl would; status 0 means that nothing answered.
func ask(t *testing.T, m *ovntest.Machine, host, method, path string, header http.Header) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return netns.Dial(ctx, m.Namespace, network, address)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// nameOf is which server the machine is told to be.
func nameOf(t *testing.T, m *ovntest.Machine) string {
	t.Helper()
	status, body := ask(t, m, topology.MetadataV4, "GET", "/openstack/latest/meta_data.json", nil)
	if status != http.StatusOK {
		return fmt.Sprintf("%d %s", status, body)
	}
	var meta struct{ Name string }
	if err := json.Unmarshal([]byte(body), &meta); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return meta.Name
}

func eventuallyNamed(t *testing.T, m *ovntest.Machine, want string) {
	t.Helper()
	got := ""
	defer func() {
		if t.Failed() {
			t.Logf("at last it was %q", got)
		}
	}()
	ovntest.Eventually(t, "the machine is "+want, func() bool { got = nameOf(t, m); return got == want })
}

// Two tenants with the same addresses each learn what is theirs, before and after the program was killed, and nothing else
// of the chassis is to be found where they ask.
func TestEachTenantLearnsItsOwn(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.5")
	r := newRig(t, servers{{Network: red, Address: address}: "of-red", {Network: blue, Address: address}: "of-blue"})
	r.network(red, false)
	r.network(blue, false)
	stop := r.start()
	a, b := r.machine(red, "port-red", "10.0.0.5"), r.machine(blue, "port-blue", "10.0.0.5")
	stranger := r.machine(red, "port-stranger", "10.0.0.6")
	eventuallyNamed(t, a, "of-red")
	eventuallyNamed(t, b, "of-blue")

	t.Run("an address of no server", func(t *testing.T) {
		if status, body := ask(t, stranger, topology.MetadataV4, "GET", "/openstack", nil); status != http.StatusNotFound {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("what a machine says of itself is not believed", func(t *testing.T) {
		lie := http.Header{}
		metadata.Caller{Network: blue, Address: address}.Sign(lie, []byte("a guess"), time.Now())
		lie.Set("X-Forwarded-For", "10.0.0.6")
		if status, body := ask(t, a, topology.MetadataV4, "GET", "/openstack/latest/meta_data.json", lie); status != 200 || !strings.Contains(body, "of-red") {
			t.Errorf("%d %s", status, body)
		}
		if status, _ := ask(t, a, topology.MetadataV4, "DELETE", "/openstack", nil); status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE: %d", status)
		}
		if status, _ := ask(t, a, topology.MetadataV4, "POST", "/openstack/latest/password", nil); status != http.StatusForbidden {
			t.Errorf("a password: %d", status)
		}
	})
	t.Run("a spoofed source", func(t *testing.T) {
		// The stranger takes its neighbour's address; port security must not let it be heard.
		spoof(t, stranger, "10.0.0.5/24", "10.0.0.6/24")
		if status, body := ask(t, stranger, topology.MetadataV4, "GET", "/openstack/latest/meta_data.json", nil); status != 0 {
			t.Errorf("it was answered: %d %s", status, body)
		}
		spoof(t, stranger, "10.0.0.6/24", "10.0.0.5/24")
		eventuallyStatus(t, stranger, http.StatusNotFound)
	})
	t.Run("nothing else answers", func(t *testing.T) { nothingElse(t, r, a) })
	t.Run("killed and started again", func(t *testing.T) {
		before := indexOf(t, r, red)
		stop(syscall.SIGKILL)
		if status, _ := ask(t, a, topology.MetadataV4, "GET", "/", nil); status != 0 {
			t.Fatal("who answers?")
		}
		stop = r.start()
		eventuallyNamed(t, a, "of-red")
		eventuallyNamed(t, b, "of-blue")
		if after := indexOf(t, r, red); after != before {
			t.Errorf("the cable was made anew: %d was %d", after, before)
		}
	})
	t.Run("a namespace that somebody deleted", func(t *testing.T) {
		stop(syscall.SIGTERM)
		if got := len(r.namespaces()); got != 2 {
			t.Errorf("after a clean stop %d outposts stand, not 2", got)
		}
		if err := netns.Delete(r.name + "-metadata-" + red); err != nil {
			t.Fatal(err)
		}
		stop = r.start()
		eventuallyNamed(t, a, "of-red")
	})
	t.Run("a network without machines", func(t *testing.T) {
		ovntest.NB(t, r.cluster, "lsp-del", "port-blue")
		ovntest.Eventually(t, "only red's outpost stands", func() bool {
			left := r.namespaces()
			return len(left) == 1 && left[0] == red
		})
		stop(syscall.SIGTERM)
		ovntest.NB(t, r.cluster, "ls-del", red) // while nobody looks
		stop = r.start()
		ovntest.Eventually(t, "no outpost stands", func() bool { return len(r.namespaces()) == 0 })
	})
}

// spoof replaces a machine's address.
func spoof(t *testing.T, m *ovntest.Machine, address, was string) {
	t.Helper()
	err := netns.Do(m.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		old, err := netlink.ParseAddr(was)
		if err != nil {
			return err
		}
		now, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(link, old); err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, now); err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: net.ParseIP(topology.MetadataV4), Mask: net.CIDRMask(32, 32)}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eventuallyStatus(t *testing.T, m *ovntest.Machine, want int) {
	t.Helper()
	ovntest.Eventually(t, fmt.Sprintf("the answer is %d", want), func() bool {
		status, _ := ask(t, m, topology.MetadataV4, "GET", "/openstack", nil)
		return status == want
	})
}

// nothingElse scans the outpost from a machine: ports, echo, and the other addresses that a kernel might answer for.
func nothingElse(t *testing.T, r *rig, m *ovntest.Machine) {
	// Something to be found in the outpost itself, past the service, if the rules let it.
	hole, err := netns.Listen(r.name+"-metadata-"+red, "tcp", ":22")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	var mu sync.Mutex
	open := []int{}
	var scan errgroup.Group
	scan.SetLimit(64)
	for port := 1; port <= 1024; port++ {
		scan.Go(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			conn, err := netns.Dial(ctx, m.Namespace, "tcp", net.JoinHostPort(topology.MetadataV4, fmt.Sprint(port)))
			if err == nil {
				conn.Close()
				mu.Lock()
				open = append(open, port)
				mu.Unlock()
			}
			return nil
		})
	}
	if err := scan.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(open) != 1 || open[0] != 80 {
		t.Errorf("open ports: %v", open)
	}
	if m.Ping(t, topology.MetadataV4, time.Second) {
		t.Error("it answers an echo request")
	}
	if m.Ping(t, topology.MetadataV6, time.Second) {
		t.Error("there is IPv6 on a network without")
	}
	// By way of the outpost to elsewhere: nothing is forwarded.
	err = netns.Do(m.Namespace, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(topology.MetadataV4), Flags: int(netlink.FLAG_ONLINK)})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"100.127.0.1:22", "192.0.2.1:80"} { // the chassis' own, and anybody's
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		conn, err := netns.Dial(ctx, m.Namespace, "tcp", address)
		cancel()
		if err == nil {
			conn.Close()
			t.Errorf("%s is reached through the outpost", address)
		}
	}
}

// indexOf is the index of the outpost's interface.
func indexOf(t *testing.T, r *rig, network string) (index int) {
	t.Helper()
	err := netns.Do(r.name+"-metadata-"+network, func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			index = link.Attrs().Index
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// On a network with IPv6 the service is at the link's address, too, and knows a machine by the address of its own there.
func TestIPv6(t *testing.T) {
	s := servers{}
	r := newRig(t, s)
	r.network(red, true)
	m := r.machine(red, "port-red", "10.0.0.5")
	mac, err := net.ParseMAC(m.MAC)
	if err != nil {
		t.Fatal(err)
	}
	own := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	s[metadata.Caller{Network: red, Address: own}] = "by-link"
	r.start()
	body := ""
	ovntest.Eventually(t, "the service answers over IPv6", func() bool {
		status := 0
		// The zone is by number: the name would be looked up outside of the machine.
		index := 0
		if err := netns.Do(m.Namespace, func() error {
			link, err := netlink.LinkByName("eth0")
			if err == nil {
				index = link.Attrs().Index
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		status, body = ask(t, m, fmt.Sprintf("[%s%%25%d]", topology.MetadataV6, index), "GET", "/latest/meta-data/hostname", nil)
		return status == http.StatusOK
	})
	if body != "by-link" {
		t.Errorf("the machine is told to be %q", body)
	}
}
