// Package qemutest boots what this repository builds in QEMU and reads the serial line, for tests of artefacts. The
// virtual rack with its BMCs is internal/lab.
package qemutest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a machine may take to say what is waited for. Emulation on a busy machine is slow.
const Patience = 3 * time.Minute

// VM is a running QEMU whose first serial line is at hand.
type VM struct {
	t       *testing.T
	cmd     *exec.Cmd
	stdin   io.Writer
	exited  chan struct{}
	mu      sync.Mutex
	console bytes.Buffer
	news    chan struct{} // one token when the console grew
}

// Start boots a q35 machine with the arguments added. It ends with the test at the latest. Where QEMU is not
// installed, or with -short, the test is skipped.
func Start(t *testing.T, args ...string) *VM {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a machine in QEMU, which takes more than -short allows")
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("boots a machine in QEMU: qemu-system-x86_64 is not installed")
	}
	cmd := exec.Command(qemu, append([]string{
		"-accel", accelerator(), "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "512",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci", "-no-reboot"}, args...)...)
	vm := &VM{t: t, cmd: cmd, exited: make(chan struct{}), news: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = vm, vm
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test runs into its timeout
	if vm.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // a killed QEMU is no finding; what the test waits for is
		close(vm.exited)
	}()
	t.Cleanup(vm.Kill)
	return vm
}

// accelerator is KVM only where the CPU really has it: /dev/kvm may open all the same and be useless.
func accelerator() string {
	if cpu, err := os.ReadFile("/proc/cpuinfo"); err == nil && (bytes.Contains(cpu, []byte("vmx")) || bytes.Contains(cpu, []byte("svm"))) {
		return "kvm:tcg"
	}
	return "tcg,thread=multi"
}

// Firmware is the arguments for UEFI firmware with fresh variables. Where it is not installed the test is skipped.
func Firmware(t *testing.T) []string {
	t.Helper()
	const code, vars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
	fresh, err := os.ReadFile(vars)
	if err != nil {
		t.Skipf("boots UEFI firmware: the package ovmf is not installed (%v)", err)
	}
	own := filepath.Join(t.TempDir(), "vars.fd")
	if err := os.WriteFile(own, fresh, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,unit=1,format=raw,file=" + own,
	}
}

// Write takes what the machine prints.
func (vm *VM) Write(p []byte) (int, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	select {
	case vm.news <- struct{}{}:
	default:
	}
	return vm.console.Write(p)
}

// Console is all that was printed so far.
func (vm *VM) Console() string {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.console.String()
}

// Type sends keys to the serial line.
func (vm *VM) Type(keys string) {
	vm.t.Helper()
	if _, err := io.WriteString(vm.stdin, keys); err != nil {
		vm.t.Fatal(err)
	}
}

// WaitFor waits until the text was printed anywhere on the console and fails the test when it is not in time.
func (vm *VM) WaitFor(text string) {
	vm.t.Helper()
	deadline := time.After(Patience)
	for {
		if strings.Contains(vm.Console(), text) {
			return
		}
		select {
		case <-vm.news:
		case <-vm.exited:
			if !strings.Contains(vm.Console(), text) {
				vm.t.Fatalf("the machine went off without saying %q:\n%s", text, vm.Console())
			}
		case <-deadline:
			vm.t.Fatalf("the machine did not say %q within %s:\n%s", text, Patience, vm.Console())
		}
	}
}

// WaitOff waits until the machine has powered itself off.
func (vm *VM) WaitOff() {
	vm.t.Helper()
	select {
	case <-vm.exited:
	case <-time.After(Patience):
		vm.t.Fatalf("the machine did not power off within %s:\n%s", Patience, vm.Console())
	}
}

// Kill ends the machine like a pulled plug.
func (vm *VM) Kill() {
	_ = vm.cmd.Process.Kill() // gone already is fine
	<-vm.exited
}

// CPUSeconds is what QEMU has computed so far, user and system together; 0 when it is over.
func (vm *VM) CPUSeconds() float64 {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(vm.cmd.Process.Pid), "stat"))
	if err != nil {
		return 0
	}
	// proc(5): after the closing parenthesis of the name, utime and stime are fields 12 and 13, in ticks of 1/100 s.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}
