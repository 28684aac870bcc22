package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/ingotcloud/ingot/internal/lab/serial"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// What the machines say they are, in SMBIOS as in their BMCs.
const (
	vendor = "Ingot"
	model  = "Lab Machine"
)

// Machine is a QEMU that behaves as a bare metal machine: it is on or off, its firmware obeys boot overrides, and
// what it is told outlives its power and the lab's process. It implements vbmc.Machine.
type Machine struct {
	info     vbmc.Info
	hw       hardware // as declared; boot and secureBoot are set for each power on
	ns, dir  string
	log      *slog.Logger
	line     *serial.Line
	watchers vbmc.Watchers

	order sync.Mutex // one order at a time; guards q's life
	mu    sync.Mutex // guards what is below, never held for long
	q     *qemu      // nil while off
	state machineState
}

var _ vbmc.Machine = (*Machine)(nil)

// machineState is what a real machine and its BMC keep in flash. It is saved on every change.
type machineState struct {
	Spec       MachineSpec // of the QEMU that may be running
	Boot       vbmc.Boot
	MediaURL   string
	MediaFile  string
	SecureBoot bool
	Indicator  bool
}

// newMachine reads or makes the machine's folder. It starts nothing.
func newMachine(hw hardware, ns, dir string, log *slog.Logger) (*Machine, error) {
	m := &Machine{hw: hw, ns: ns, dir: dir, log: log.With("machine", hw.spec.Name), line: serial.New()}
	m.info = hw.spec.Info(hw.rack)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i, disk := range m.info.Disks {
		if err := sparse(filepath.Join(dir, fileDisk(i)), disk.Bytes); err != nil {
			return nil, err
		}
	}
	saved, err := os.ReadFile(filepath.Join(dir, fileState))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(saved, &m.state); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, fileState), err)
		}
	}
	// The declaration may have changed under what was saved.
	if m.state.Boot.Check(m.info) != nil {
		m.state.Boot = vbmc.Boot{}
	}
	m.state.Boot = m.state.Boot.Normal(m.info)
	m.state.SecureBoot = m.state.SecureBoot && m.info.SecureBootCapable
	return m, nil
}

// Info is what the machine's BMC tells of it; rack is the name that its serial and UUID derive from.
func (s *MachineSpec) Info(rack string) vbmc.Info {
	info := vbmc.Info{
		Name: s.Name, UUID: deriveUUID(rack, s.Name), Serial: chassisSerial(rack, s.Name),
		Vendor: vendor, Model: model, BIOSVersion: "SeaBIOS",
		CPUs: s.CPUs, Cores: s.CPUs, MemoryMiB: s.MemoryMiB,
		UEFI: s.Firmware == "uefi", TPM: s.TPM, SecureBootCapable: s.SecureBoot,
	}
	if info.UEFI {
		info.BIOSVersion = "OVMF"
	}
	for i, nic := range s.NICs {
		info.NICs = append(info.NICs, vbmc.NIC{ID: fmt.Sprintf("nic%d", i), MAC: nic.MAC})
	}
	for i, disk := range s.Disks {
		info.Disks = append(info.Disks, vbmc.Disk{
			Name: fmt.Sprintf("disk%d", i), Serial: disk.Serial, Bus: disk.Bus, Bytes: int64(disk.SizeGiB) << 30,
		})
	}
	return info
}

// adopt takes over the QEMU that an earlier lab process left running, when it is the machine that is declared now and
// still has its network; otherwise it ends it.
func (m *Machine) adopt(ctx context.Context) error {
	m.order.Lock()
	defer m.order.Unlock()
	q, err := adoptQEMU(ctx, m.dir)
	if err != nil {
		return err
	}
	if q == nil {
		return m.keepOldLog()
	}
	connected := true
	for _, t := range m.hw.taps {
		held, err := t.held()
		if err != nil {
			return err
		}
		connected = connected && held
	}
	status, err := q.status(ctx)
	if err != nil || !connected || !reflect.DeepEqual(m.state.Spec, m.hw.spec) || status != "running" {
		m.log.Warn("end the machine that an earlier lab left", "state", status, "connected", connected)
		if err := q.stop(); err != nil {
			return err
		}
		return m.keepOldLog()
	}
	m.log.Info("adopt the machine that an earlier lab left running")
	m.running(q)
	return nil
}

// keepOldLog starts a fresh serial log and keeps the one before.
func (m *Machine) keepOldLog() error {
	log := filepath.Join(m.dir, fileSerialLog)
	if err := os.Rename(log, log+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Info is what the BMC may tell of the machine.
func (m *Machine) Info() vbmc.Info { return m.info }

// Power says whether the machine is on.
func (m *Machine) Power() bool { return m.current() != nil }

func (m *Machine) current() *qemu {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.q
}

// Do orders the power. An order that was begun is carried out even if the caller hangs up.
func (m *Machine) Do(ctx context.Context, action vbmc.Action) error {
	m.order.Lock()
	defer m.order.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	q := m.current()
	switch action {
	case vbmc.On:
		if q != nil {
			return nil
		}
		return m.turnOn(ctx, "The machine was powered on.")
	case vbmc.ForceOff:
		if q == nil {
			return nil
		}
		return m.turnOff(q, "The machine was powered off.")
	case vbmc.GracefulShutdown:
		if q == nil {
			return nil
		}
		return q.do(ctx, "system_powerdown", nil)
	case vbmc.ForceRestart:
		// Always a new QEMU: its command line is the next boot's.
		if q != nil {
			if err := m.turnOff(q, ""); err != nil {
				return err
			}
		}
		return m.turnOn(ctx, "The machine was reset.")
	case vbmc.NMI:
		if q == nil {
			return errors.New("a diagnostic interrupt needs a machine that is on")
		}
		if err := q.do(ctx, "inject-nmi", nil); err != nil {
			return err
		}
		m.tell("Warning", "A diagnostic interrupt was sent.")
		return nil
	}
	return fmt.Errorf("%q is no power action", action)
}

// turnOn wants order held and the machine off. The boot override is spent only when QEMU runs.
func (m *Machine) turnOn(ctx context.Context, why string) error {
	m.mu.Lock()
	used, left := m.state.Boot.Take(m.info)
	hw := m.hw
	hw.boot, hw.secureBoot = used, m.state.SecureBoot
	media := m.state.MediaFile
	m.mu.Unlock()
	if _, err := os.Stat(media); media != "" && err != nil {
		m.log.Warn("the virtual CD's image is gone: boot without", "err", err)
		m.tell("Warning", "The virtual media cannot be read.")
		media = ""
	}

	file, template := hw.vars()
	if used.Mode == vbmc.ModeUEFI {
		if err := copyOnce(filepath.Join(m.dir, file), template); err != nil {
			return fmt.Errorf("firmware variables: %w", err)
		}
	}
	q, err := startQEMU(ctx, m.ns, m.dir, hw.commandLine(), hw.taps, hw.spec.TPM)
	if err != nil {
		m.tell("Critical", "The machine did not power on.")
		return err
	}
	if media != "" {
		err = q.insert(ctx, media)
	}
	if err == nil {
		m.running(q)
		err = q.do(ctx, "cont", nil)
	}
	if err == nil {
		err = m.change(func(s *machineState) { s.Boot, s.Spec = left, hw.spec })
	}
	if err != nil {
		return errors.Join(err, m.turnOff(q, ""))
	}
	m.log.Info("power on", "boot", used.Target, "mode", used.Mode)
	m.tell("OK", why)
	return nil
}

// running makes q the machine: its serial line is heard and its end is awaited.
func (m *Machine) running(q *qemu) {
	m.mu.Lock()
	m.q = q
	m.mu.Unlock()
	m.line.Attach(q.console)
	go func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := q.console.Read(buffer)
			m.line.Print(buffer[:n])
			if err != nil {
				return // QEMU's end is seen by whoever waits for the process
			}
		}
	}()
	go m.awaitEnd(q)
}

// turnOff wants order held. An empty why tells no event.
func (m *Machine) turnOff(q *qemu, why string) error {
	if err := q.stop(); err != nil {
		return err
	}
	m.off()
	m.log.Info("power off")
	if why != "" {
		m.tell("OK", why)
	}
	return nil
}

func (m *Machine) off() {
	m.mu.Lock()
	m.q = nil
	m.mu.Unlock()
	m.line.Attach(nil)
}

// awaitEnd sees what the guest, or a fault, does to the power without being ordered.
func (m *Machine) awaitEnd(q *qemu) {
	var reason string
	select {
	case reason = <-q.ended:
	case <-q.process.exited:
		select { // it may have told before it went
		case reason = <-q.ended:
		default:
		}
	}
	m.order.Lock()
	defer m.order.Unlock()
	if m.current() != q {
		return // our own order
	}
	if reason != "guest-reset" && reason != "guest-shutdown" {
		if err := q.stop(); err != nil {
			m.log.Error("end QEMU", "err", err)
		}
		m.off()
		m.log.Error("QEMU ended unexpectedly", "reason", reason, "log", lastWords(filepath.Join(m.dir, fileLog), 0))
		m.tell("Critical", "The machine lost power unexpectedly.")
		return
	}
	why := ""
	if reason == "guest-shutdown" {
		why = "The operating system shut down."
	}
	if err := m.turnOff(q, why); err != nil {
		m.log.Error("end QEMU", "err", err)
		return
	}
	if reason == "guest-reset" {
		if err := m.turnOn(context.Background(), "The operating system reset the machine."); err != nil {
			m.log.Error("start again after the guest's reset", "err", err)
		}
	}
}

func (m *Machine) tell(severity, message string) {
	m.watchers.Tell(vbmc.Event{Severity: severity, Message: message})
}

// change changes the state and saves it.
func (m *Machine) change(f func(*machineState)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state
	f(&next)
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(m.dir, fileState), text, 0o600); err != nil {
		return err
	}
	m.state = next
	return nil
}

func (m *Machine) saved() machineState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Boot is the override in force.
func (m *Machine) Boot() vbmc.Boot { return m.saved().Boot }

// SetBoot sets the override for the next boot, whoever causes it. An HTTPURI is kept but not obeyed: OVMF boots the
// URL that DHCP gives it.
func (m *Machine) SetBoot(b vbmc.Boot) error {
	if err := b.Check(m.info); err != nil {
		return err
	}
	return m.change(func(s *machineState) { s.Boot = b.Normal(m.info) })
}

// Media is what is in the virtual CD.
func (m *Machine) Media() (url, file string) {
	s := m.saved()
	return s.MediaURL, s.MediaFile
}

// InsertMedia replaces what is in the virtual CD, also while the machine runs.
func (m *Machine) InsertMedia(ctx context.Context, url, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", file)
	}
	m.order.Lock()
	defer m.order.Unlock()
	if q := m.current(); q != nil {
		if err := q.insert(ctx, file); err != nil {
			return err
		}
	}
	if err := m.change(func(s *machineState) { s.MediaURL, s.MediaFile = url, file }); err != nil {
		return err
	}
	m.tell("OK", "Virtual media was inserted.")
	return nil
}

func (q *qemu) insert(ctx context.Context, file string) error {
	return q.do(ctx, "blockdev-change-medium",
		map[string]any{"id": "cd", "filename": file, "format": "raw", "read-only-mode": "read-only", "force": true})
}

// EjectMedia empties the virtual CD, also one that the guest has locked.
func (m *Machine) EjectMedia(ctx context.Context) error {
	m.order.Lock()
	defer m.order.Unlock()
	if q := m.current(); q != nil {
		if err := q.do(ctx, "eject", map[string]any{"id": "cd", "force": true}); err != nil {
			return err
		}
	}
	if err := m.change(func(s *machineState) { s.MediaURL, s.MediaFile = "", "" }); err != nil {
		return err
	}
	m.tell("OK", "Virtual media was ejected.")
	return nil
}

// SecureBoot says whether Secure Boot is on from the next boot on.
func (m *Machine) SecureBoot() bool { return m.saved().SecureBoot }

// SetSecureBoot takes effect at the next boot: it chooses between two sets of firmware variables.
func (m *Machine) SetSecureBoot(on bool) error {
	if on && !m.info.SecureBootCapable {
		return fmt.Errorf("secure boot: %w", vbmc.ErrUnsupported)
	}
	return m.change(func(s *machineState) { s.SecureBoot = on })
}

// Console joins the serial line; it may be joined before the machine is on.
func (m *Machine) Console() (io.ReadWriteCloser, error) { return m.line.Join() }

var errDark = errors.New("the machine is off and shows no picture")

// Screenshot is the screen as a PNG.
func (m *Machine) Screenshot(ctx context.Context) ([]byte, error) {
	q := m.current()
	if q == nil {
		return nil, errDark
	}
	temp, err := os.CreateTemp(m.dir, "screen-*.png")
	if err != nil {
		return nil, err
	}
	temp.Close()
	defer os.Remove(temp.Name())
	// QEMU's working directory is the machine's folder.
	args := map[string]any{"filename": filepath.Base(temp.Name()), "format": "png"}
	if err := q.do(ctx, "screendump", args); err != nil {
		return nil, err
	}
	return os.ReadFile(temp.Name())
}

// VNC connects to the screen, keyboard and mouse.
func (m *Machine) VNC(ctx context.Context) (net.Conn, error) {
	if !m.Power() {
		return nil, errDark
	}
	return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(m.dir, fileVNC))
}

// Indicator says whether the locator light is on.
func (m *Machine) Indicator() bool { return m.saved().Indicator }

// SetIndicator lights the locator light or puts it out.
func (m *Machine) SetIndicator(on bool) {
	if err := m.change(func(s *machineState) { s.Indicator = on }); err != nil {
		m.log.Error("save the locator light", "err", err)
	}
}

// Watch calls f for each event until stop is called. Events come in the middle of an order: f must not give another.
func (m *Machine) Watch(f func(vbmc.Event)) (stop func()) { return m.watchers.Add(f) }

// close powers off and ends the console.
func (m *Machine) close() error {
	m.order.Lock()
	defer m.order.Unlock()
	var err error
	if q := m.current(); q != nil {
		err = m.turnOff(q, "The machine was powered off.")
	}
	m.line.Close()
	return err
}
