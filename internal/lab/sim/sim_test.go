package sim

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/driver/netboot"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// oneBoot is a control plane that has armed one boot.
type oneBoot struct{ params agentapi.Boot }

func (b oneBoot) Lease(context.Context, string) (*netboot.Lease, error) { return nil, nil }

func (b oneBoot) Boot(_ context.Context, key string) (*netboot.Boot, error) {
	return &netboot.Boot{Key: key, Params: b.params}, nil
}

// TestFirmwareFindsTheCommandLine reads the artefacts that the control plane serves to real machines.
func TestFirmwareFindsTheCommandLine(t *testing.T) {
	artefacts, err := Artifacts(t.TempDir())
	if os.IsNotExist(err) || err != nil && strings.Contains(err.Error(), "systemd-boot-efi") {
		t.Skip("systemd-boot-efi is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := agentapi.Boot{URL: "https://127.0.0.1:8443", Pin: strings.Repeat("ab", 32), Token: "once", Extra: "console=ttyS0"}
	handler, err := netboot.NewHandler(oneBoot{want}, netboot.Artifacts{Kernel: artefacts.Kernel, Initrd: artefacts.Initrd, UKI: artefacts.UKI},
		netboot.Signing{}, t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	defer web.Close()
	cd := filepath.Join(t.TempDir(), "cd.iso")
	download(t, web.URL+netboot.Path("key", netboot.ISO), cd)
	for _, boot := range []vbmc.Boot{
		{Target: vbmc.TargetCD},
		{Target: vbmc.TargetUEFIHTTP, HTTPURI: web.URL + netboot.Path("key", netboot.UKI)},
	} {
		line, err := commandLine(boot, cd)
		if err != nil {
			t.Errorf("%s: %v", boot.Target, err)
			continue
		}
		if got, err := agentapi.ParseCmdline(line); err != nil || got != want {
			t.Errorf("%s: %q is %+v, %v", boot.Target, line, got, err)
		}
	}
	for _, boot := range []vbmc.Boot{{Target: vbmc.TargetPXE}, {Target: vbmc.TargetCD}, {Target: vbmc.TargetUEFIHTTP, HTTPURI: web.URL + "/nothing"}} {
		if line, err := commandLine(boot, ""); err == nil {
			t.Errorf("%+v started %q", boot, line)
		}
	}
	if line, err := commandLine(vbmc.Boot{Target: vbmc.TargetDisk}, cd); line != "" || err != nil {
		t.Errorf("the disk gave %q, %v", line, err)
	}
}

func download(t *testing.T, url, to string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		err = os.WriteFile(to, body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRackKeepsWhatOperatorsRelyOn: addresses, passwords and what is on a disk outlive the rack's process.
func TestRackKeepsWhatOperatorsRelyOn(t *testing.T) {
	dir := t.TempDir()
	spec, err := Uniform("kept", 2)
	if err != nil {
		t.Fatal(err)
	}
	rack, err := Start(Config{Rack: spec, Dir: dir, Deaf: []string{"m2"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	before := rack.Describe().Machines[0]
	if _, err := Start(Config{Rack: spec, Dir: dir}); err == nil {
		t.Error("two racks run in one folder")
	}
	if err := rack.Machine("m1").keep(&agentapi.Deploy{Image: "debian"}); err != nil {
		t.Fatal(err)
	}
	if err := rack.Close(); err != nil {
		t.Fatal(err)
	}
	if rack, err = Start(Config{Rack: spec, Dir: dir, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	}()
	if after := rack.Describe().Machines[0]; after.BMC != before.BMC {
		t.Errorf("the BMC was %+v and is %+v", before.BMC, after.BMC)
	}
	if err := rack.Machine("m1").Do(t.Context(), vbmc.On); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(before.Log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "image debian") && strings.Contains(string(text), "m1 login:") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the system on the disk did not start:\n%s", text)
		}
	}
}
