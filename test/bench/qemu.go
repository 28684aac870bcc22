package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// machinePatience is how long a machine may take to say what is waited for.
const machinePatience = 3 * time.Minute

// vm is a machine like the rack's, without its BMC: same processor, memory, disk and card. It starts a kernel directly.
type vm struct {
	cmd     *exec.Cmd
	started time.Time
	exited  chan struct{}

	mu      sync.Mutex
	console bytes.Buffer
	grew    chan struct{} // one token when the console grew
}

func startVM(ctx context.Context, accel, disk, kernel, initrd, cmdline string) (*vm, error) {
	v := &vm{exited: make(chan struct{}), grew: make(chan struct{}, 1)}
	v.cmd = exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", accel, "-machine", "q35", "-cpu", "max",
		"-smp", fmt.Sprint(machineCPUs), "-m", fmt.Sprint(machineMiB), "-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-device", "virtio-rng-pci",
		"-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=,mac="+machineMAC,
		"-drive", "if=none,id=disk,file="+disk+",format=raw,cache=none,discard=unmap", "-device", "nvme,drive=disk,serial=bench",
		"-kernel", kernel, "-initrd", initrd, "-append", cmdline)
	v.cmd.Stdout, v.cmd.Stderr = v, v
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	v.started = time.Now()
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = v.cmd.Wait() // what it did not say tells more
		close(v.exited)
	}()
	return v, nil
}

// Write takes what the machine prints.
func (v *vm) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case v.grew <- struct{}{}:
	default:
	}
	return v.console.Write(p)
}

func (v *vm) said() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return bytes.Clone(v.console.Bytes())
}

// await gives the time from the start until the machine has printed the text.
func (v *vm) await(ctx context.Context, text string) (time.Duration, error) {
	late := time.After(machinePatience)
	for {
		if bytes.Contains(v.said(), []byte(text)) {
			return time.Since(v.started), nil
		}
		var why string
		select {
		case <-v.grew:
			continue
		case <-v.exited:
			why = "it went off"
		case <-late:
			why = "it is late"
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if bytes.Contains(v.said(), []byte(text)) {
			continue
		}
		said := v.said()
		return 0, fmt.Errorf("the machine did not say %q: %s. Its last words:\n%s", text, why, said[max(0, len(said)-2000):])
	}
}

// stop pulls the plug.
func (v *vm) stop() {
	_ = v.cmd.Process.Kill() // gone already is fine
	<-v.exited
}

var _ io.Writer = (*vm)(nil)
