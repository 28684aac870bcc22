package netboot

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/ramdisk"
	goprogram "github.com/ingotcloud/ingot/internal/ramdisk/program"
	"github.com/ingotcloud/ingot/internal/ramdisk/qemutest"
)

// These tests start real firmware in QEMU and end when an init has printed a command line with this boot's token.

func TestBootBIOS(t *testing.T) {
	p := newPlace(t)
	// QEMU's network ROM is an iPXE, as SeaBIOS brings no PXE of its own.
	p.boot(t, p.nic("bootindex=0")...)
}

func TestBootUEFIPXE(t *testing.T) {
	p := newPlace(t)
	// romfile= takes QEMU's iPXE away: the firmware's own PXE must fetch ours.
	p.boot(t, append(qemutest.Firmware(t), p.nic("bootindex=0,romfile=")...)...)
}

func TestBootUEFIHTTP(t *testing.T) {
	p := newPlace(t)
	p.boot(t, append(append(qemutest.Firmware(t), p.nic("bootindex=0,romfile=")...),
		"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")...)
}

func TestBootVirtualMedia(t *testing.T) {
	p := newPlace(t)
	p.boot(t, append(qemutest.Firmware(t), p.cd(t)...)...)
}

// TestBootSecurely signs with the key that Debian's snakeoil firmware trusts; that firmware starts nothing unsigned.
func TestBootSecurely(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine in QEMU, which takes more than -short allows")
	}
	const key, cert = "/usr/share/ovmf/PkKek-1-snakeoil.key", "/usr/share/ovmf/PkKek-1-snakeoil.pem"
	for _, tool := range []string{"sbsign", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("signs for Secure Boot: %s is not installed", tool)
		}
	}
	open := filepath.Join(t.TempDir(), "key.pem")
	if out, err := exec.CommandContext(t.Context(), "openssl", "pkey", "-in", key, "-passin", "pass:snakeoil", "-out", open).CombinedOutput(); err != nil {
		t.Skipf("signs for Secure Boot with the key of Debian's package ovmf: %v %s", err, out)
	}
	p := newPlace(t)
	p.source.boots[testKey].SecureBoot = true
	p.signing = Signing{Key: open, Cert: cert}
	p.boot(t, append(secureFirmware(t), p.cd(t)...)...)
}

// place is a rack place: the artefacts, the network and the source of one machine.
type place struct {
	*rig
	files   Artifacts
	source  *table
	signing Signing
	token   string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a machine in QEMU, which takes more than -short allows")
	}
	init := filepath.Join(t.TempDir(), "init")
	if err := goprogram.Build(t.Context(), "../../ramdisk/testdata/init", init); err != nil {
		t.Fatal(err)
	}
	a, err := ramdisk.Build(t.Context(), ramdisk.Options{Agent: init, Kernel: ramdisk.Cloud})
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	token := "token-" + randomHex(16)
	return &place{rig: newRig(t), files: Artifacts{Kernel: a.Kernel, Initrd: a.Initrd, UKI: a.UKI}, source: newTable(token), token: token}
}

// nic plugs the machine into the bridge.
func (p *place) nic(device string) []string {
	return []string{"-netdev", "tap,id=n0,ifname=m0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=n0,mac=" + testMAC + "," + device}
}

// cd does what a BMC does: it fetches the ISO and puts it into the machine's drive.
func (p *place) cd(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ingot.iso")
	begin := time.Now()
	h, err := NewHandler(p.source, p.files, p.signing, "", testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	a, err := h.iso(t.Context(), p.source.boots[testKey])
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, io.NewSectionReader(a, 0, a.size)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("an ISO of %d MiB took %.2f s", a.size>>20, time.Since(begin).Seconds())
	return []string{"-drive", "if=none,id=cd,media=cdrom,readonly=on,format=raw,file=" + path, "-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd,bootindex=0"}
}

// boot starts the machine and the server, and demands the token on the command line that the init saw.
func (p *place) boot(t *testing.T, args ...string) {
	t.Helper()
	p.start(t, p.source, p.files)
	err := netns.Do(p.clients, func() error {
		tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "m0"}, Mode: netlink.TUNTAP_MODE_TAP}
		if err := netlink.LinkAdd(tap); err != nil {
			return err
		}
		return plug("m0")
	})
	if err != nil {
		t.Skipf("plugs a machine into the network: no tap device: %v", err)
	}
	begin := time.Now()
	vm := startInside(t, p.clients, append([]string{"-m", "1024"}, args...)...)
	vm.WaitFor("INIT loaded")
	cpu, wall := vm.CPUSeconds(), time.Since(begin)
	vm.WaitOff()
	line := regexp.MustCompile(`INIT loaded .*`).FindString(vm.Console())
	if !strings.Contains(line, " ingot.token="+p.token+" ") {
		t.Errorf("another boot's command line: %s\n%s", line, vm.Console())
	}
	t.Logf("from power on to the init: %.1f s, %.1f CPU-s", wall.Seconds(), cpu)
}

// startInside starts QEMU inside a namespace, from the test's own goroutine so that it may end the test.
func startInside(t *testing.T, namespace string, args ...string) *qemutest.VM {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := vnetns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := vnetns.GetFromName(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := vnetns.Set(there); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := vnetns.Set(here); err != nil {
			panic(err) // this thread must not go back to the others
		}
	}()
	return qemutest.Start(t, args...)
}

// secureFirmware is UEFI firmware that starts only what Debian's snakeoil key has signed.
func secureFirmware(t *testing.T) []string {
	t.Helper()
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
	if err != nil {
		t.Skipf("boots UEFI firmware with Secure Boot: %v", err)
	}
	own := filepath.Join(t.TempDir(), "vars.fd")
	if err := os.WriteFile(own, vars, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
		"-drive", "if=pflash,unit=1,format=raw,file=" + own,
	}
}
