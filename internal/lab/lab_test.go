package lab

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/qmp"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// patience is for machines under emulation on a busy host.
const patience = 90 * time.Second

const biosRack = `
rack: test
network: {cidr: 10.79.0.1/24}
machines:
  - {name: b1, bmc: {kind: ipmi}, firmware: bios, memory_mib: 256, nics: [{}], disks: [{bus: virtio, size_gib: 1}]}
`

const uefiRack = `
rack: test
machines:
  - {name: u1, bmc: {kind: redfish}, tpm: true, secure_boot: true, memory_mib: 256, nics: [{}], disks: [{bus: nvme, size_gib: 1}]}
`

// prepare makes a folder for a rack and its run's name, and checks after the test that nothing of the run is left.
func prepare(t *testing.T, text string) Config {
	t.Helper()
	spec, err := ParseRack("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkHost(spec); err != nil {
		t.Skipf("no lab here: %v", err)
	}
	dir, err := os.MkdirTemp("", "lab") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Rack: spec, Dir: dir, Name: "test-" + strings.TrimPrefix(filepath.Base(dir), "lab"), Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		if left, err := filepath.Glob("/run/netns/" + namespace(c.Name) + "*"); err != nil || len(left) > 0 {
			t.Errorf("network namespaces are left: %q, %v", left, err)
		}
		if left := processesIn(dir); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
		os.RemoveAll(dir)
	})
	return c
}

// processesIn lists the machines' processes, and those with a file under dir on their command line, the daemons of OVN.
func processesIn(dir string) []string {
	found := machinesIn(dir)
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, _ := os.ReadFile(path); bytes.Contains(line, []byte("="+dir+"/")) {
			found = append(found, string(line))
		}
	}
	return found
}

// machinesIn lists the processes whose working directory is under dir: QEMU and swtpm.
func machinesIn(dir string) (found []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if cwd, _ := os.Readlink(link); strings.HasPrefix(cwd, dir+"/") {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "comm"))
			found = append(found, strings.TrimSpace(string(command)))
		}
	}
	return found
}

// start starts a rack. It skips the test where there can be no OVN.
func start(t *testing.T, c Config) *Rack {
	t.Helper()
	rack, err := Start(context.Background(), c)
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	})
	return rack
}

// terminal reads a console in the background.
type terminal struct {
	io.ReadWriteCloser
	t    *testing.T
	mu   sync.Mutex
	text []byte
}

func openTerminal(t *testing.T, m *Machine) *terminal {
	t.Helper()
	c, err := m.Console()
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{ReadWriteCloser: c, t: t}
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := c.Read(buffer)
			term.mu.Lock()
			term.text = append(term.text, buffer[:n]...)
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { c.Close() })
	return term
}

// expect waits for one of the words and forgets what came up to it.
func (c *terminal) expect(words ...string) string {
	c.t.Helper()
	var found string
	if !eventually(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, word := range words {
			if i := bytes.Index(c.text, []byte(word)); i >= 0 {
				c.text, found = c.text[i+len(word):], word
				return true
			}
		}
		return false
	}) {
		c.t.Fatalf("the console never said any of %q, but %q", words, c.text)
	}
	return found
}

func (c *terminal) press(key string) {
	c.t.Helper()
	if _, err := io.WriteString(c, key); err != nil {
		c.t.Fatal(err)
	}
}

func eventually(f func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f() {
			return true
		}
	}
	return false
}

func give(t *testing.T, m *Machine, action vbmc.Action) {
	t.Helper()
	if err := m.Do(context.Background(), action); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
}

func override(t *testing.T, m *Machine, target, enabled string) {
	t.Helper()
	if err := m.SetBoot(vbmc.Boot{Target: target, Enabled: enabled}); err != nil {
		t.Fatal(err)
	}
}

// medium is what QEMU has in the virtual CD.
func medium(t *testing.T, m *Machine) string {
	t.Helper()
	var drives []struct {
		Qdev     string
		Inserted *struct{ File string }
	}
	if err := m.current().qmp.Execute(context.Background(), "query-block", nil, &drives); err != nil {
		t.Fatal(err)
	}
	for _, d := range drives {
		if d.Qdev == "cd" && d.Inserted != nil {
			return d.Inserted.File
		}
	}
	return ""
}

func TestAMachinesLife(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	c := prepare(t, biosRack)
	rack := start(t, c)
	m := rack.Machine("b1")
	ctx := context.Background()
	var mu sync.Mutex
	var events []string
	m.Watch(func(e vbmc.Event) { mu.Lock(); events = append(events, e.Severity+" "+e.Message); mu.Unlock() })

	disk, err := os.OpenFile(filepath.Join(c.Dir, "b1", fileDisk(0)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	disk.Write(bootSector('D'))
	disk.Close()
	cd := bootCD(t, c.Dir, 'C')

	if m.Power() {
		t.Error("the machine starts on")
	}
	if _, err := m.Screenshot(ctx); err == nil {
		t.Error("a machine that is off shows a picture")
	}
	console := openTerminal(t, m)

	// Once, with media that was inserted before: the first boot is from the CD, the guest's own reset goes to the disk.
	if err := m.InsertMedia(ctx, "http://x/boot.iso", cd); err != nil {
		t.Fatal(err)
	}
	override(t, m, vbmc.TargetCD, vbmc.BootOnce)
	give(t, m, vbmc.On)
	give(t, m, vbmc.On)
	if got := console.expect("<C>", "<D>"); got != "<C>" {
		t.Fatalf("booted %s with the override Cd", got)
	}
	if b := m.Boot(); b.Enabled != vbmc.BootDisabled {
		t.Errorf("Once was not spent: %+v", b)
	}
	console.press("r")
	if got := console.expect("<C>", "<D>"); got != "<D>" {
		t.Errorf("after the guest's reset booted %s", got)
	}

	// An override that is set while the guest runs is obeyed by the guest's reset, and Continuous by every one.
	override(t, m, vbmc.TargetCD, vbmc.BootContinuous)
	console.press("r")
	console.expect("<C>")
	console.press("r")
	console.expect("<C>")
	give(t, m, vbmc.ForceRestart)
	console.expect("<C>")
	give(t, m, vbmc.NMI)

	// Media live.
	if got := medium(t, m); got != cd {
		t.Errorf("in the drive: %q", got)
	}
	if err := m.EjectMedia(ctx); err != nil {
		t.Fatal(err)
	}
	if got := medium(t, m); got != "" {
		t.Errorf("after eject: %q", got)
	}
	if err := m.InsertMedia(ctx, "http://x/boot.iso", cd); err != nil {
		t.Fatal(err)
	}
	if got := medium(t, m); got != cd {
		t.Errorf("after insert: %q", got)
	}
	if err := m.InsertMedia(ctx, "http://x/none.iso", cd+".none"); err == nil {
		t.Error("a file that is not there was inserted")
	}
	if url, _ := m.Media(); url != "http://x/boot.iso" {
		t.Errorf("a failed insert changed the drive to %q", url)
	}

	shot, err := m.Screenshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(shot)); err != nil {
		t.Errorf("screenshot: %v", err)
	}
	vnc, err := m.VNC(ctx)
	if err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, 4)
	if _, err := io.ReadFull(vnc, hello); err != nil || string(hello) != "RFB " {
		t.Errorf("VNC says %q, %v", hello, err)
	}
	vnc.Close()

	// The guest turns itself off.
	mu.Lock()
	events = nil
	mu.Unlock()
	console.press("s")
	if !eventually(func() bool { return !m.Power() }) {
		t.Fatal("still on after the guest's shutdown")
	}
	give(t, m, vbmc.GracefulShutdown) // off already

	// QEMU dies.
	give(t, m, vbmc.ForceRestart) // turns on what is off
	console.expect("<C>")
	pid, err := qmp.PeerPID(filepath.Join(c.Dir, "b1", fileQMP))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if !eventually(func() bool { return !m.Power() }) {
		t.Fatal("still on after QEMU's death")
	}
	give(t, m, vbmc.On)
	give(t, m, vbmc.ForceOff)
	give(t, m, vbmc.ForceOff)
	want := []string{"OK The operating system shut down.", "OK The machine was reset.",
		"Critical The machine lost power unexpectedly.", "OK The machine was powered on.", "OK The machine was powered off."}
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff(want, events); d != "" {
		t.Error(d)
	}
}

func TestSecureBootAndTPM(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	const loader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
	if _, err := os.Stat(loader); err != nil {
		t.Skip("systemd-boot-efi is not installed")
	}
	if _, err := exec.LookPath("mcopy"); err != nil {
		t.Skip("mtools is not installed")
	}
	c := prepare(t, uefiRack)
	rack := start(t, c)
	m := rack.Machine("u1")
	console := openTerminal(t, m)

	// A disk with an unsigned boot loader, in a file system without partitions.
	disk := filepath.Join(c.Dir, "u1", fileDisk(0))
	for _, command := range [][]string{
		{"mformat", "-i", disk, "-F", "-T", fmt.Sprint(1 << 30 / 512), "-h", "64", "-s", "32", "::"},
		{"mmd", "-i", disk, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", disk, loader, "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	const refused, booted = "Access Denied", "Reboot Into Firmware Interface" // the second: systemd-boot's menu
	if err := m.SetSecureBoot(true); err != nil {
		t.Fatal(err)
	}
	give(t, m, vbmc.On)
	if got := console.expect(refused, booted); got != refused {
		t.Errorf("with Secure Boot the unsigned loader got: %q", got)
	}
	if err := m.SetSecureBoot(false); err != nil {
		t.Fatal(err)
	}
	give(t, m, vbmc.ForceRestart)
	if got := console.expect(refused, booted); got == refused {
		t.Error("without Secure Boot the unsigned loader is refused")
	}
	if got := machinesIn(c.Dir); len(got) != 2 {
		t.Errorf("running for one machine with a TPM: %v", got)
	}
}

// kill starts a lab with that machine on in another process, and kills that.
func kill(t *testing.T, c Config, rack, machine string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "LAB_TEST_DIR="+c.Dir, "LAB_TEST_NAME="+c.Name, "LAB_TEST_RACK="+rack, "LAB_TEST_MACHINE="+machine)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 3)
	_, err = io.ReadFull(out, said)
	child.Process.Kill()
	rest, _ := io.ReadAll(out)
	child.Wait()
	if err != nil || string(said) != "up\n" {
		t.Fatalf("the other lab: %v, %q", err, string(said)+string(rest))
	}
}

// The lab that kill kills: this test binary, started again.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LAB_TEST_DIR"); dir != "" {
		spec, err := ParseRack("test", []byte(os.Getenv("LAB_TEST_RACK")))
		if err == nil {
			var rack *Rack
			if rack, err = Start(context.Background(), Config{Rack: spec, Dir: dir, Name: os.Getenv("LAB_TEST_NAME")}); err == nil {
				if err = rack.Machine(os.Getenv("LAB_TEST_MACHINE")).Do(context.Background(), vbmc.On); err == nil {
					stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
					defer cancel()
					fmt.Println("up")
					<-stop.Done()
				}
			}
		}
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestAKilledLabsMachinesAreAdopted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	c := prepare(t, biosRack)
	kill(t, c, biosRack, "b1")
	before, err := ReadDescription(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := qmp.PeerPID(filepath.Join(c.Dir, "b1", fileQMP))
	if err != nil {
		t.Fatalf("the machine did not survive its lab: %v", err)
	}
	rack := start(t, c)
	m := rack.Machine("b1")
	if !m.Power() {
		t.Fatal("the machine was not adopted")
	}
	if now, err := qmp.PeerPID(filepath.Join(c.Dir, "b1", fileQMP)); err != nil || now != pid {
		t.Errorf("process %d, %v; want %d still", now, err, pid)
	}
	if d := cmp.Diff(*before, rack.Describe()); d != "" {
		t.Errorf("ports, passwords or names changed:\n%s", d)
	}
	give(t, m, vbmc.ForceRestart)
	give(t, m, vbmc.ForceOff)
	if err := rack.Close(); err != nil {
		t.Fatal(err)
	}

	// A machine that the rack no longer declares so is ended.
	kill(t, c, biosRack, "b1")
	c.Rack.Machines[0].CPUs = 2
	if start(t, c).Machine("b1").Power() {
		t.Error("a machine with another declaration was adopted")
	}
	if left := machinesIn(c.Dir); len(left) > 0 {
		t.Errorf("it still runs: %v", left)
	}
}

func TestAHungQEMUCanBeEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	c := prepare(t, strings.Replace(biosRack, "nics:", "tpm: true, nics:", 1))
	rack := start(t, c)
	m := rack.Machine("b1")
	give(t, m, vbmc.On)
	pid, err := qmp.PeerPID(filepath.Join(c.Dir, "b1", fileQMP))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGSTOP)
	give(t, m, vbmc.ForceRestart)
	give(t, m, vbmc.ForceRestart) // with the TPM's state, which one swtpm may use at a time
	if left := machinesIn(c.Dir); len(left) != 2 {
		t.Errorf("running: %v", left)
	}
}
