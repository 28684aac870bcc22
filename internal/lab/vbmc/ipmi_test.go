package vbmc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	ipmiUser = "admin"
	ipmiPass = "correct horse 20byte" // the longest that IPMI 2.0 takes
)

// ipmiRig is a simulated machine, its BMC, and ipmitool to drive it with.
type ipmiRig struct {
	*testing.T
	machine *Simulated
	bmc     *IPMI
}

func newIPMIRig(t *testing.T, opts SimOptions) *ipmiRig {
	t.Helper()
	if _, err := exec.LookPath("ipmitool"); err != nil {
		t.Skip("driving the BMC with other people's client: ipmitool is not installed")
	}
	m := NewSimulated(Info{
		Name: "m1", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f", Serial: "S123", Vendor: "Ingot", Model: "Lab Machine",
		BIOSVersion: "2.1", UEFI: true,
	}, opts)
	b, err := NewIPMI(m, IPMIOptions{Username: ipmiUser, Password: ipmiPass})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing the BMC: %v", err)
		}
	})
	return &ipmiRig{t, m, b}
}

// command is ipmitool with everything but the order.
func (r *ipmiRig) command(args ...string) *exec.Cmd {
	_, port, err := net.SplitHostPort(r.bmc.Addr().String())
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	r.Cleanup(cancel)
	return exec.CommandContext(ctx, "stdbuf", // without it SOL's first words wait in a buffer
		append([]string{"-o0", "ipmitool", "-I", "lanplus", "-H", "127.0.0.1", "-p", port, "-U", ipmiUser, "-P", ipmiPass}, args...)...)
}

// tool runs an order that must succeed and gives what it printed.
func (r *ipmiRig) tool(args ...string) string {
	r.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		r.Fatalf("ipmitool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// prints checks that an order succeeds and that its output holds each of the words.
func (r *ipmiRig) prints(order string, words ...string) {
	r.Helper()
	out := r.tool(strings.Fields(order)...)
	for _, w := range words {
		if !strings.Contains(out, w) {
			r.Errorf("ipmitool %s: no %q in\n%s", order, w, out)
		}
	}
}

// refused checks that an order fails.
func (r *ipmiRig) refused(args ...string) string {
	r.Helper()
	out, err := r.command(args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		r.Fatalf("ipmitool %s was not refused (%v):\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// eventually polls, with a deadline that only a broken program reaches.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestIPMIPower(t *testing.T) {
	var mu sync.Mutex
	var seen []Action
	r := newIPMIRig(t, SimOptions{Fail: func(a Action) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, a)
		return nil
	}})
	r.prints("power status", "is off")
	r.refused("power", "reset") // of a machine that is off
	r.refused("power", "diag")
	r.prints("power on", "Up/On")
	r.prints("power status", "is on")
	r.prints("chassis status", "System Power         : on")
	r.prints("power reset", "Reset")
	r.prints("power diag", "Diag")
	r.prints("power cycle", "Cycle")
	r.prints("power soft", "Soft")
	r.prints("power status", "is off")
	r.prints("power on", "Up/On")
	r.prints("power off", "Down/Off")
	r.prints("power status", "is off")
	want := []Action{On, ForceRestart, NMI, ForceOff, On, GracefulShutdown, On, ForceOff}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != len(want) {
		t.Fatalf("the machine saw %v, not %v", seen, want)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("the machine saw %v, not %v", seen, want)
		}
	}
}

// A machine that takes long to start must not make ipmitool repeat the order.
func TestIPMIAnswersBeforeASlowMachineIsDone(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	orders := 0
	r := newIPMIRig(t, SimOptions{Fail: func(Action) error {
		mu.Lock()
		orders++
		mu.Unlock()
		<-release
		return nil
	}})
	r.tool("power", "on")
	close(release)
	eventually(t, "the machine is on", r.machine.Power)
	mu.Lock()
	defer mu.Unlock()
	if orders != 1 {
		t.Errorf("the machine got the order %d times", orders)
	}
}

func TestIPMIPowerFailureIsAnError(t *testing.T) {
	r := newIPMIRig(t, SimOptions{Fail: func(a Action) error {
		if a == NMI {
			return ErrUnsupported
		}
		return errors.New("no power on the bench")
	}, On: true})
	if out := r.refused("power", "off"); !strings.Contains(out, "Unspecified error") {
		t.Errorf("ipmitool says %q", out)
	}
	if out := r.refused("power", "diag"); !strings.Contains(out, "Invalid data field") {
		t.Errorf("ipmitool says %q", out)
	}
}

func TestIPMIBootDevice(t *testing.T) {
	r := newIPMIRig(t, SimOptions{})
	for _, c := range []struct {
		order string
		boot  Boot
		words []string
	}{
		{"chassis bootdev pxe", Boot{Target: TargetPXE, Enabled: BootOnce, Mode: ModeLegacy},
			[]string{"Boot Flag Valid", "next boot", "PC Compatible", "Force PXE"}},
		{"chassis bootdev pxe options=efiboot", Boot{Target: TargetPXE, Enabled: BootOnce, Mode: ModeUEFI},
			[]string{"Boot Flag Valid", "next boot", "EFI boot", "Force PXE"}},
		{"chassis bootdev disk options=persistent,efiboot", Boot{Target: TargetDisk, Enabled: BootContinuous, Mode: ModeUEFI},
			[]string{"Boot Flag Valid", "all future boots", "EFI boot", "Hard-Drive"}},
		{"chassis bootdev cdrom options=efiboot", Boot{Target: TargetCD, Enabled: BootOnce, Mode: ModeUEFI},
			[]string{"Boot Flag Valid", "CD/DVD"}},
		{"chassis bootdev none options=efiboot", Boot{Target: TargetNone, Enabled: BootDisabled, Mode: ModeUEFI},
			[]string{"Boot Flag Invalid", "No override"}},
	} {
		r.tool(strings.Fields(c.order)...)
		if got := r.machine.Boot(); got != c.boot {
			t.Errorf("%s: the machine has %+v, not %+v", c.order, got, c.boot)
		}
		r.prints("chassis bootparam get 5", c.words...)
	}
	r.prints("chassis bootdev bios", "Invalid data field") // ipmitool fails with exit code 0
}

func TestIPMIIdentifyLight(t *testing.T) {
	r := newIPMIRig(t, SimOptions{})
	r.tool("chassis", "identify", "force")
	if !r.machine.Indicator() {
		t.Error("the light stayed dark")
	}
	r.tool("chassis", "identify", "0")
	if r.machine.Indicator() {
		t.Error("the light stayed on")
	}
	r.tool("chassis", "identify", "1")
	eventually(t, "the light goes out by itself", func() bool { return !r.machine.Indicator() })
}

func TestIPMIIdentity(t *testing.T) {
	r := newIPMIRig(t, SimOptions{})
	r.prints("mc info", "IPMI Version              : 2.0", "SEL Device", "Chassis Device", "FRU Inventory Device", "Sensor Device")
	r.prints("mc guid", "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f")
	r.prints("fru", "Product Manufacturer  : Ingot", "Product Name          : Lab Machine", "Product Serial        : S123")
	r.machine.Do(t.Context(), On)
	before := r.tool("sel", "list")
	r.tool("mc", "reset", "cold") // ipmitool expects no answer and is content with a refusal
	if after := r.tool("sel", "list"); after != before {
		t.Errorf("resetting the BMC touched the machine:\n%s", after)
	}
}

func TestIPMISensors(t *testing.T) {
	r := newIPMIRig(t, SimOptions{On: true})
	r.prints("sdr list", "Inlet Temp", "24 degrees C", "47 degrees C", "12.06 Volts", "4200 RPM", "122 Watts")
	out := r.tool("sensor", "list")
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if f := strings.Split(line, "|"); len(f) < 10 || strings.TrimSpace(f[3]) != "ok" {
			t.Errorf("a sensor is not well: %s", line)
		}
	}
	for _, w := range []string{"P12V", "10.980", "85.000"} {
		if !strings.Contains(out, w) {
			t.Errorf("ipmitool sensor list: no %q in\n%s", w, out)
		}
	}
	r.machine.Do(t.Context(), ForceOff)
	r.prints("sdr list", "22 degrees C", "no reading")
}

func TestIPMIEventLog(t *testing.T) {
	r := newIPMIRig(t, SimOptions{})
	r.prints("sel list", "SEL has no entries")
	r.tool("power", "on")
	r.tool("power", "reset")
	r.tool("power", "diag")
	r.tool("power", "off")
	r.machine.Do(t.Context(), On)
	r.machine.Crash()
	r.prints("sel list", "Initiated by power up", "Initiated by hard reset", "NMI/Diag Interrupt", "Power off/down", "AC lost")
	r.prints("sel info", "Entries          : 6")
	file := filepath.Join(t.TempDir(), "event")
	if err := os.WriteFile(file, []byte("0x04 0x13 0x00 0x6f 0x02 0xff 0xff # by the operating system\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.tool("sel", "add", file)
	r.prints("sel list", "I/O Channel check NMI")
	r.prints("sel clear", "Clearing SEL")
	r.prints("sel list", "SEL has no entries")
}

func TestIPMIEventLogForgetsTheOldest(t *testing.T) {
	l := newEventLog(func() time.Time { return time.Unix(1_800_000_000, 0) })
	for range selCapacity + 10 {
		l.record(eventPowerUp)
	}
	if n, first := len(l.records), l.records[0].RecordID; n != selCapacity || first != 11 || !l.overflow {
		t.Errorf("%d records from %d, overflow %v", n, first, l.overflow)
	}
}

func TestIPMIRefusesStrangers(t *testing.T) {
	r := newIPMIRig(t, SimOptions{})
	_, port, err := net.SplitHostPort(r.bmc.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range [][]string{
		{"-I", "lanplus", "-U", ipmiUser, "-P", "wrong"},
		{"-I", "lanplus", "-U", "nobody", "-P", ipmiPass},
		{"-I", "lanplus", "-U", "", "-P", ""},
		{"-I", "lanplus", "-C", "0", "-U", ipmiUser, "-P", "wrong"}, // no authentication at all
		{"-I", "lan", "-U", ipmiUser, "-P", ipmiPass[:16]},          // IPMI 1.5
	} {
		cmd := exec.CommandContext(t.Context(), "ipmitool",
			append(who, "-H", "127.0.0.1", "-p", port, "-N", "1", "-R", "1", "power", "on")...)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%v was let in:\n%s", who, out)
		}
	}
	for _, suite := range []string{"3", "17"} {
		r.tool("-C", suite, "power", "status")
	}
	if out := r.tool("-L", "USER", "chassis", "bootdev", "pxe"); r.machine.Boot().Target != TargetNone {
		t.Errorf("a user set the boot device:\n%s", out)
	}
	if out := r.refused("-L", "USER", "sel", "clear"); !strings.Contains(out, "nsufficient privilege") {
		t.Errorf("a user cleared the log:\n%s", out)
	}
}

func TestIPMIRefusesCredentialsThatDoNotFit(t *testing.T) {
	m := NewSimulated(Info{Name: "m", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f"}, SimOptions{})
	for _, o := range []IPMIOptions{
		{Username: "admin", Password: ipmiPass + "!"},
		{Username: "admin"},
		{Username: "a name of 17 byte", Password: "x"},
		{Password: "x"},
	} {
		if b, err := NewIPMI(m, o); err == nil {
			b.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}

// sol is a running `ipmitool sol activate`.
type sol struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *sol) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *sol) has(word string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.out.String(), word)
	}
}

func TestIPMISerialOverLAN(t *testing.T) {
	r := newIPMIRig(t, SimOptions{On: true}) // echoes what is typed
	s := &sol{cmd: r.command("sol", "activate")}
	s.cmd.Stdout, s.cmd.Stderr = s, s
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SOL is activated", s.has("SOL Session operational"))

	r.machine.Print([]byte("login: "))
	eventually(t, "the machine's words arrive", s.has("login: "))
	if _, err := io.WriteString(s.in, "hello machine\r"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "typed keys come back as the machine's echo", s.has("hello machine"))

	if out := r.refused("sol", "activate"); !strings.Contains(out, "already active") {
		t.Errorf("a second console was not refused: %s", out)
	}
	// A machine that goes off and comes back keeps its console, and keys typed meanwhile are lost quietly.
	r.tool("power", "off")
	if _, err := io.WriteString(s.in, "lost"); err != nil {
		t.Fatal(err)
	}
	r.tool("power", "on")
	r.machine.Print([]byte("booting"))
	eventually(t, "the console outlives a power cycle", s.has("booting"))

	// More than one packet, more than one window: nothing is lost and nothing comes twice.
	var long strings.Builder
	for range 1000 {
		long.WriteString("0123456789abcdef\r\n")
	}
	r.machine.Print([]byte(long.String() + "END"))
	eventually(t, "a long text arrives", s.has("END"))
	if !s.has(long.String() + "END")() {
		t.Error("the long text arrived damaged")
	}

	r.tool("sol", "deactivate")
	s.in.Close()
	s.cmd.Wait() // ipmitool's exit code says nothing here
	again := r.command("sol", "activate")
	again.Stdin = strings.NewReader("~.")
	if out, _ := again.CombinedOutput(); !strings.Contains(string(out), "SOL Session operational") {
		t.Errorf("the console was not free again: %s", out)
	}
}
