package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/driver/netboot"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/ramdisk"
	goprogram "github.com/ingotcloud/ingot/internal/ramdisk/program"
)

// The agent starts over the network in quarantine, through both edges and both firmwares, and reaches the control plane.
func TestTheAgentStartsOnOVN(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	if _, err := os.Stat("/usr/lib/ipxe/snponly.efi"); err != nil {
		t.Skip("the package ipxe is not installed")
	}
	agent := filepath.Join(t.TempDir(), "ingot-agent")
	if err := goprogram.Build(t.Context(), goprogram.Module+"/cmd/ingot-agent", agent); err != nil {
		t.Fatal(err)
	}
	artefacts, err := ramdisk.Build(t.Context(), ramdisk.Options{Agent: agent})
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	rack := start(t, prepare(t, ovnRack))
	addresses := quarantine(t, rack)
	d := rack.Describe()
	plane := openControlPlane(t, d)
	boots := netbootTable{}
	for i, m := range d.Machines {
		key := "key-of-" + m.Name
		boots[key] = row{m.NICs[0].MAC, &netboot.Lease{Addr: netip.PrefixFrom(addresses[i][0], 24), Hostname: m.Name, BootKey: key},
			&netboot.Boot{Key: key, Params: agentapi.Boot{URL: plane.URL, Pin: plane.pin, Token: "token-of-" + m.Name, MAC: m.NICs[0].MAC, Extra: "console=ttyS0"}}}
	}
	server, err := netboot.Start(t.Context(), netboot.Options{
		Namespace: d.Netns, Interface: d.Interface, ServerAddr: netip.MustParsePrefix(d.Network).Addr(), Source: boots,
		Artifacts: netboot.Artifacts{Kernel: artefacts.Kernel, Initrd: artefacts.Initrd, UKI: artefacts.UKI}, Logger: rack.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, name := range []string{"a", "c"} { // UEFI at a chassis, BIOS behind the plain switch
		m := rack.Machine(name)
		override(t, m, vbmc.TargetPXE, vbmc.BootContinuous)
		began := time.Now()
		give(t, m, vbmc.On)
		select {
		case hello := <-plane.hellos:
			if hello.Token != "token-of-"+name || hello.UUID != deriveUUID("test", name) {
				t.Errorf("%s is on, and there said hello: %+v", name, hello)
			}
			t.Logf("%s: the agent said hello %.1f s after power on", name, time.Since(began).Seconds())
		case <-time.After(2 * patience):
			t.Errorf("the agent of %s says nothing; its console:\n%s", name, lastWords(filepath.Join(m.dir, fileSerialLog), 0))
		}
		give(t, m, vbmc.ForceOff)
	}
}

// row and netbootTable are a netboot.Source, by the boot's key.
type row struct {
	mac   string
	lease *netboot.Lease
	boot  *netboot.Boot
}

type netbootTable map[string]row

func (t netbootTable) Lease(_ context.Context, mac string) (*netboot.Lease, error) {
	for _, r := range t {
		if r.mac == mac {
			return r.lease, nil
		}
	}
	return nil, nil
}

func (t netbootTable) Boot(_ context.Context, key string) (*netboot.Boot, error) {
	if r, ok := t[key]; ok {
		return r.boot, nil
	}
	return nil, fault.New(fault.NotFound, "There is no such boot.")
}

// controlPlane hears agents say hello, and has nothing for them to do.
type controlPlane struct {
	*httptest.Server
	pin    string
	hellos chan agentapi.Hello
}

func openControlPlane(t *testing.T, d Description) *controlPlane {
	t.Helper()
	p := &controlPlane{hellos: make(chan agentapi.Hello, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.PathHello, func(w http.ResponseWriter, r *http.Request) {
		var hello agentapi.Hello
		if err := json.NewDecoder(r.Body).Decode(&hello); err != nil {
			t.Error(err)
		}
		p.hellos <- hello
		json.NewEncoder(w).Encode(agentapi.Welcome{Session: "session", Now: time.Now()})
	})
	mux.HandleFunc("GET "+agentapi.PathCommand, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(agentapi.PollWait):
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNoContent)
	})
	p.Server = httptest.NewUnstartedServer(mux)
	p.Listener.Close() // the host's
	var err error
	if p.Listener, err = netns.Listen(d.Netns, "tcp", netip.MustParsePrefix(d.Network).Addr().String()+":0"); err != nil {
		t.Fatal(err)
	}
	p.StartTLS()
	t.Cleanup(p.Close)
	sum := sha256.Sum256(p.Certificate().RawSubjectPublicKeyInfo)
	p.pin = hex.EncodeToString(sum[:])
	return p
}
