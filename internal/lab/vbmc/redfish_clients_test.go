package vbmc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// Other people's Redfish clients drive the service here: that our own driver understands our own server proves little.

// TestRedfishtool drives it with DMTF's command (Debian package redfishtool).
func TestRedfishtool(t *testing.T) {
	tool, err := exec.LookPath("redfishtool")
	if err != nil {
		t.Skip("a Redfish client of other people's making: redfishtool is not installed")
	}
	for _, auth := range []string{"Basic", "Session"} {
		t.Run(auth, func(t *testing.T) {
			r := newRealTimeRig(t)
			run := func(args ...string) string {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				host := strings.TrimPrefix(r.service.URL(), "https://")
				args = append([]string{"-n", "-r", host, "-u", "admin", "-p", "secret", "-S", "Always", "-A", auth}, args...)
				out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
				if err != nil {
					t.Errorf("redfishtool %q: %v\n%s", args, err, out)
				}
				return string(out)
			}
			if out := run("Systems", "-1", "get"); !strings.Contains(out, redfishInfo.UUID) {
				t.Errorf("the system:\n%s", out)
			}
			run("Systems", "-1", "setBootOverride", "Once", "Pxe")
			if got := r.machine.Boot(); got.Target != "Pxe" || got.Enabled != "Once" {
				t.Errorf("the override is %+v", got)
			}
			run("Systems", "-1", "reset", "On")
			if !r.machine.Power() {
				t.Error("the machine is off")
			}
			if out := run("Systems", "-1", "Logs", "-i", "SEL", "-E"); !strings.Contains(out, "was powered on") {
				t.Errorf("the log:\n%s", out)
			}
			if out := run("Chassis", "-1", "Thermal"); !strings.Contains(out, "simulated") {
				t.Errorf("the temperatures:\n%s", out)
			}
			run("Systems", "-1", "reset", "ForceOff")
			if r.machine.Power() {
				t.Error("the machine is on")
			}
		})
	}
}

// sushyScript is what OpenStack Ironic's client does to deploy a machine by virtual media.
const sushyScript = `
import json, sys, sushy
url, ca, image = sys.argv[1:]
conn = sushy.Sushy(url, username="admin", password="secret", verify=ca)
system = conn.get_system("/redfish/v1/Systems/system")
said = {"uuid": system.uuid, "power": str(system.power_state.value), "memory": system.memory_summary.size_gib,
        "macs": sorted(system.ethernet_interfaces.summary), "secureboot": system.secure_boot.enabled,
        "systems": len(conn.get_system_collection().get_members()),
        "chassis": system.chassis[0].name, "bmc": system.managers[0].firmware_version}
cd = [v for v in system.managers[0].virtual_media.get_members() if sushy.VIRTUAL_MEDIA_CD in v.media_types][0]
cd.insert_media(image)
cd.refresh()
said["inserted"] = cd.inserted
system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE, mode=sushy.BOOT_SOURCE_MODE_UEFI)
system.secure_boot.set_enabled(True)
system.reset_system(sushy.RESET_ON)
system.refresh()
said["power after"] = str(system.power_state.value)
said["firmware"] = sorted(f.version for f in conn.get_update_service().firmware_inventory.get_members())
cd.eject_media()
try:
    system.set_system_boot_options("moon", enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
except sushy.exceptions.InvalidParameterValueError as e:
    said["refused"] = True
try:
    sushy.Sushy(url, username="admin", password="wrong", verify=ca).get_system("/redfish/v1/Systems/system")
except sushy.exceptions.AccessError:
    said["wrong password"] = "refused"
print(json.dumps(said))
`

// TestSushy drives it with the client of OpenStack Ironic (Debian package python3-sushy).
func TestSushy(t *testing.T) {
	const python = "/usr/bin/python3" // where Debian's packages are seen
	if err := exec.Command(python, "-c", "import sushy").Run(); err != nil {
		t.Skip("a Redfish client of other people's making: python3-sushy is not installed")
	}
	r := newRealTimeRig(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	r.check(os.WriteFile(ca, r.service.CertificatePEM(), 0o600))
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "an image") }))
	t.Cleanup(images.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", sushyScript, r.service.URL(), ca, images.URL+"/x.iso")
	cmd.Env = []string{"PATH=/usr/bin:/bin"} // a CA bundle or a proxy of the environment would go before what we say
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sushy: %v\n%s%s", err, out, stderr.String())
	}
	var said map[string]any
	r.check(json.Unmarshal(out, &said))
	for what, want := range map[string]any{
		"uuid": redfishInfo.UUID, "power": "Off", "memory": 1.0, "macs": []any{"52:54:00:AA:BB:01"}, "secureboot": false,
		"systems": 1.0, "chassis": "m1", "bmc": "1.0.0", "inserted": true, "power after": "On",
		"firmware": []any{"1.0.0", redfishInfo.BIOSVersion}, "refused": true, "wrong password": "refused",
	} {
		if fmt.Sprint(said[what]) != fmt.Sprint(want) {
			t.Errorf("sushy says of %s: %v, want %v", what, said[what], want)
		}
	}
	if !r.machine.Power() || !r.machine.SecureBoot() {
		t.Errorf("the machine's power is %v, its secure boot %v", r.machine.Power(), r.machine.SecureBoot())
	}
	if url, _ := r.machine.Media(); url != "" {
		t.Errorf("in the drive is %q", url)
	}
}

// newRealTimeRig has the real clock: other people's clients verify the certificate by theirs.
func newRealTimeRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, machine: vbmc.NewSimulated(redfishInfo, vbmc.SimOptions{}), dir: t.TempDir()}
	var err error
	r.service, err = vbmc.NewRedfish(r.machine, vbmc.RedfishOptions{Username: "admin", Password: "secret", MediaDir: r.dir})
	r.check(err)
	t.Cleanup(func() { r.check(r.service.Close()) })
	return r
}
