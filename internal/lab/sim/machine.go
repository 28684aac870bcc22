package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// Machine is one simulated machine.
type Machine struct {
	*vbmc.Simulated
	BMC *vbmc.Faults // how its BMC misbehaves

	dir    string
	serial *os.File
	log    *slog.Logger

	mu       sync.Mutex
	mute     bool
	deployed *agentapi.Deploy // on the disk; nil: it is blank
	agent    *process         // nil: it does not run
	closed   bool
}

var _ vbmc.Machine = (*Machine)(nil)

// process is a running agent.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
}

const (
	diskFile  = "disk.json" // what was deployed
	bootPause = 50 * time.Millisecond
)

func newMachine(info vbmc.Info, dir, serialLog string, log *slog.Logger) (*Machine, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	m := &Machine{BMC: &vbmc.Faults{}, dir: dir, log: log.With("machine", info.Name)}
	saved, err := os.ReadFile(filepath.Join(dir, diskFile))
	if err == nil {
		err = json.Unmarshal(saved, &m.deployed)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if m.serial, err = os.OpenFile(serialLog, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644); err != nil {
		return nil, err
	}
	m.Simulated = vbmc.NewSimulated(info, vbmc.SimOptions{OnBoot: m.onBoot, OnOff: m.onOff, OnNMI: m.onNMI})
	return m, nil
}

func (m *Machine) close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stopAgent()
	return m.serial.Close()
}

// Mute has the agent, from the next boot on, not call home, or call again.
func (m *Machine) Mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = on
}

// say prints a line on the serial console and in its log.
func (m *Machine) say(format string, args ...any) {
	line := fmt.Appendf(nil, format+"\r\n", args...)
	m.Print(line)
	if _, err := m.serial.Write(line); err != nil && !errors.Is(err, os.ErrClosed) {
		m.log.Warn("the serial log is not written", "error", err)
	}
}

// onBoot is the firmware: it starts what it is told to start.
func (m *Machine) onBoot(boot vbmc.Boot, media string) {
	m.stopAgent()
	m.say("Simulated firmware, booting from %s", boot.Target)
	line, err := commandLine(boot, media)
	switch {
	case err != nil:
		m.say("Nothing to start: %v", err)
	case line == "":
		m.startTenant("disk")
	default:
		m.startAgent(line)
	}
}

// onOff comes in a goroutine of its own and may be late: then the new start has already ended what ran.
func (m *Machine) onOff() {
	if !m.Power() {
		m.stopAgent()
		m.say("Power down.")
	}
}

func (m *Machine) onNMI() {
	m.say("[   42.000000] Uhhuh. NMI received for unknown reason 20 on CPU 0.")
	m.say("[   42.000001] Kernel panic - not syncing: NMI: Not continuing")
}

// startTenant is the system on the disk, as far as its console.
func (m *Machine) startTenant(from string) {
	m.mu.Lock()
	deployed := m.deployed
	m.mu.Unlock()
	if deployed == nil {
		m.say("The %s holds no system.", from)
		return
	}
	m.say("[    0.000000] Linux version 6.1.0-sim (image %s)", deployed.Image)
	m.say("[    1.000000] cloud-init: config drive of %d bytes", len(deployed.ConfigDrive))
	m.say("")
	m.say("Simulated GNU/Linux %s ttyS0", m.Info().Name)
	m.say("")
	m.say("%s login: ", m.Info().Name)
}

// startAgent is the RAM disk's init.
func (m *Machine) startAgent(line string) {
	m.say("[    0.000000] Command line: %s", withoutToken(line))
	boot, err := agentapi.ParseCmdline(line)
	if err != nil {
		m.say("ingot-agent: %v", err)
		return
	}
	var macs []string
	for _, nic := range m.Info().NICs {
		macs = append(macs, nic.MAC)
	}
	a, err := agent.New(agent.Options{
		Boot: boot, Hardware: (*hardware)(m), Log: m.log, Version: "simulated", UUID: m.Info().UUID, MACs: macs,
		Status: func(s string) { m.say("ingot-agent: %s", s) }, RetryMin: bootPause, RetryMax: 5 * time.Second,
	})
	if err != nil {
		m.say("ingot-agent: %v", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute || m.closed || m.agent != nil || !m.Power() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel, make(chan struct{})}
	m.agent = p
	go func() {
		defer close(p.done)
		_ = a.Run(ctx) // it ends with ctx, and says so
	}()
}

func (m *Machine) stopAgent() {
	m.mu.Lock()
	p := m.agent
	m.mu.Unlock()
	if p == nil {
		return
	}
	p.cancel()
	<-p.done
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.agent == p {
		m.agent = nil
	}
}

// keep what is on the disk; nil when it was erased.
func (m *Machine) keep(deployed *agentapi.Deploy) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Join(m.dir, diskFile)
	if deployed == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else {
		text, err := json.Marshal(deployed)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	m.deployed = deployed
	return nil
}
