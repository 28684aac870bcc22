package netboot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/netns"
)

// table is a Source for tests.
type table struct {
	mu     sync.Mutex
	leases map[string]*Lease
	boots  map[string]*Boot
}

func (t *table) Lease(_ context.Context, mac string) (*Lease, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leases[mac], nil
}

func (t *table) Boot(_ context.Context, key string) (*Boot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.boots[key]; b != nil {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "There is no such boot.")
}

func (t *table) disarm(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.boots, key)
}

const (
	testMAC  = "52:54:00:0a:0b:0c" // has a boot armed
	plainMAC = "52:54:00:0a:0b:0d" // has a reservation only
	testKey  = "Zm9vYmFyYmF6cXV4"
)

var testServer = netip.MustParseAddr("10.99.0.1")

func newTable(token string) *table {
	lease := func(addr, key string) *Lease {
		return &Lease{Addr: netip.MustParsePrefix(addr), Hostname: "m1", BootKey: key}
	}
	return &table{
		leases: map[string]*Lease{testMAC: lease("10.99.0.10/24", testKey), plainMAC: lease("10.99.0.11/24", "")},
		boots: map[string]*Boot{testKey: {Key: testKey, Params: agentapi.Boot{
			URL: "https://10.99.0.1:9443", Pin: fmt.Sprintf("%064d", 7), Token: token, MAC: testMAC, CIDR: "10.99.0.10/24", Extra: "console=ttyS0",
		}}},
	}
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// fakeUKI writes a PE file with a section .cmdline of 2048 bytes and content around it that is unlike everywhere.
func fakeUKI(t *testing.T, size int) string {
	t.Helper()
	content := make([]byte, size)
	rand.Read(content)
	le := binary.LittleEndian
	clear(content[:0x400])
	copy(content, "MZ")
	le.PutUint32(content[0x3c:], 0x80)
	copy(content[0x80:], "PE\x00\x00")
	coff := content[0x84:]
	le.PutUint16(coff[0:], 0x8664)
	le.PutUint16(coff[2:], 1)
	const optional = 112 + 16*8 // PE32+ with all its directories
	le.PutUint16(coff[16:], optional)
	le.PutUint16(coff[20:], 0x20b)
	le.PutUint32(coff[20+108:], 16)
	section := coff[20+optional:]
	copy(section, ".cmdline")
	le.PutUint32(section[8:], 2048)
	le.PutUint32(section[16:], 2048)
	le.PutUint32(section[20:], 0x1200)
	copy(content[0x1200:0x1a00], bytes.Repeat([]byte(" "), 2048))
	path := filepath.Join(t.TempDir(), "ingot.efi")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rig is a quarantine network of two namespaces: the server's, with the interface srv0, and the machines', with the
// bridge br0 and the interface cli0. The server's side is plugged into the bridge.
type rig struct {
	server, clients string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces: this test needs root")
	}
	id := randomHex(4)
	r := &rig{server: "ingot-nb-s-" + id, clients: "ingot-nb-c-" + id}
	for _, ns := range []string{r.server, r.clients} {
		if err := netns.Create(ns); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := netns.Delete(ns); err != nil {
				t.Error(err)
			}
		})
	}
	// The veth pair is born in the clients' namespace and one end moves over.
	err := netns.Do(r.clients, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		for _, pair := range [][2]string{{"srv0", "brs0"}, {"cli0", "brc0"}} {
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: pair[0]}, PeerName: pair[1]}); err != nil {
				return err
			}
			if err := plug(pair[1]); err != nil {
				return err
			}
		}
		if err := moveLink("srv0", r.server); err != nil {
			return err
		}
		for _, name := range []string{"br0", "cli0"} {
			if err := setUp(name, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := netns.Do(r.server, func() error { return setUp("srv0", testServer.String()+"/24") }); err != nil {
		t.Fatal(err)
	}
	return r
}

// plug puts an interface of this namespace into br0.
func plug(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	bridge, err := netlink.LinkByName("br0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func moveLink(name, namespace string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	handle, err := vnetns.GetFromName(namespace)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetNsFd(link, int(handle)), handle.Close())
}

func setUp(name, addr string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}

// start runs the server in the rig.
func (r *rig) start(t *testing.T, source Source, files Artifacts) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{
		Namespace: r.server, Interface: "srv0", ServerAddr: testServer, Source: source, Artifacts: files,
		TFTPDir: bootPrograms(t), Logger: testLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// bootPrograms is a folder with iPXE's, or with fakes where the host has none.
func bootPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range tftpFiles {
		content, err := os.ReadFile(filepath.Join(debianIPXE, name))
		if err != nil {
			content = bytes.Repeat([]byte(name), 9000)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustMAC(t *testing.T, s string) net.HardwareAddr {
	t.Helper()
	mac, err := net.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}
