package machinetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Spec says what a machine is.
type Spec struct {
	Name          string
	IPMI          bool // its BMC speaks IPMI; otherwise Redfish
	SSH           bool // its Redfish BMC serves the serial console by SSH
	CPUs          int  // 0: 4
	MemoryMiB     int  // 0: 8192
	DiskGiB       int  // of each disk; 0: 100
	Disks         int  // 0: 2
	Deaf          bool // its operating system ignores the power button
	ResourceClass string
	Traits        []string
}

// Behaviour is what a machine does wrong. The zero value is a good machine.
type Behaviour struct {
	NeverCalls bool                    // the RAM disk starts, and nobody calls home
	Fail       map[agentapi.Kind]error // the command fails; a *failure.Error names the blame
	Dies       agentapi.Kind           // the power fails in the middle of the command
	Silent     agentapi.Kind           // the agent hangs in the middle of the command, without another word
	Hangs      agentapi.Kind           // the command never ends by itself; the agent goes on talking
	ForgetDisk bool                    // the proof of erasure misses the last disk
	Slow       time.Duration           // each command takes this long
}

const (
	user     = "admin"
	password = "correct horse" // IPMI takes at most 20 bytes
)

// Computer is one machine of the rack.
type Computer struct {
	Spec   Spec
	ID     string // the service's; empty before Enrol
	MACs   []string
	Sim    *vbmc.Simulated
	Faults *vbmc.Faults // of a Redfish BMC
	BMC    machine.BMC  // how to reach it, with the right password

	rig  *Rig
	uuid string

	mu        sync.Mutex
	behaviour Behaviour
	boots     []vbmc.Boot // every start of the firmware
	agent     *process
	deployed  *agentapi.Deploy // on the disk
	tenant    bool             // the tenant's system runs
	rescue    *agentapi.Rescue // the rescue system runs
	erasures  int
	commands  map[agentapi.Kind]int

	interrupts atomic.Int64
}

// process is a running agent.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newComputer(rig *Rig, n int, spec Spec) *Computer {
	rig.t.Helper()
	orDefault := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orDefault(&spec.CPUs, 4)
	orDefault(&spec.MemoryMiB, 8192)
	orDefault(&spec.DiskGiB, 100)
	orDefault(&spec.Disks, 2)
	c := &Computer{Spec: spec, rig: rig, commands: map[agentapi.Kind]int{}, Faults: &vbmc.Faults{}, uuid: fmt.Sprintf("12345678-0000-4000-8000-%012x", n+1)}
	info := vbmc.Info{
		Name: spec.Name, UUID: c.uuid, Serial: fmt.Sprintf("SER%04d", n), Vendor: "Ingot", Model: "Simulated", BIOSVersion: "1.0",
		CPUs: 1, Cores: spec.CPUs, MemoryMiB: spec.MemoryMiB, UEFI: true, SecureBootCapable: true,
	}
	for i := range 2 {
		mac := fmt.Sprintf("52:54:00:00:%02x:%02x", n, i)
		c.MACs = append(c.MACs, mac)
		info.NICs = append(info.NICs, vbmc.NIC{ID: fmt.Sprintf("nic%d", i), MAC: mac})
	}
	for _, d := range c.disks() {
		info.Disks = append(info.Disks, vbmc.Disk{Name: d.Name, Serial: d.Serial, Bus: d.Bus, Bytes: d.Size})
	}
	c.Sim = vbmc.NewSimulated(info, vbmc.SimOptions{OnBoot: c.onBoot, OnOff: c.onOff, OnNMI: func() { c.interrupts.Add(1) }, Deaf: spec.Deaf})
	c.BMC = machine.BMC{Username: user, Password: password}
	if spec.IPMI {
		server, err := vbmc.NewIPMI(c.Sim, vbmc.IPMIOptions{Username: user, Password: password, Logger: rig.log})
		rig.check(err)
		rig.t.Cleanup(func() { _ = server.Close() }) // sessions under way are cut
		c.BMC.Kind, c.BMC.Address = "ipmi", server.Addr().String()
	} else {
		dir := filepath.Join(rig.t.TempDir(), "bmc")
		server, err := vbmc.NewRedfish(c.Sim, vbmc.RedfishOptions{Username: user, Password: password, Logger: rig.log, MediaDir: dir, Faults: c.Faults, SSH: spec.SSH})
		rig.check(err)
		rig.t.Cleanup(func() { _ = server.Close() }) // sessions under way are cut
		c.BMC.Kind, c.BMC.Address, c.BMC.CA = "redfish", server.URL(), string(server.CertificatePEM())
	}
	rig.t.Cleanup(func() { c.Set(func(b *Behaviour) { *b = Behaviour{NeverCalls: true} }); c.stopAgent() })
	return c
}

// Set changes the machine's behaviour from now on.
func (c *Computer) Set(change func(*Behaviour)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.behaviour)
}

// Enrol creates the machine in the service, and by hand the NICs that an IPMI BMC cannot name.
func (c *Computer) Enrol() { c.EnrolAs(c.BMC) }

// EnrolAs is Enrol with another way to reach the BMC, a wrong one perhaps.
func (c *Computer) EnrolAs(b machine.BMC) {
	c.rig.t.Helper()
	ctx := context.Background()
	c.rig.check(c.rig.DB.Tx(ctx, func(tx *db.Tx) error {
		m := &machine.Machine{Name: c.Spec.Name, BMC: b, ResourceClass: c.Spec.ResourceClass, Traits: c.Spec.Traits}
		if err := c.rig.Service.Create(ctx, tx, m); err != nil {
			return err
		}
		c.ID = m.ID
		if !c.Spec.IPMI {
			return nil
		}
		return c.rig.Service.AddNIC(ctx, tx, &machine.NIC{Machine: m.ID, MAC: c.MACs[0], PXE: true})
	}))
}

// Record is the service's view of the machine.
func (c *Computer) Record() *machine.Machine {
	c.rig.t.Helper()
	m, err := c.rig.Service.Get(context.Background(), c.rig.DB, c.ID)
	c.rig.check(err)
	return m
}

// Ask asks an operator's verb of the machine; it must be taken.
func (c *Computer) Ask(verb machine.Verb) {
	c.rig.t.Helper()
	c.rig.check(c.rig.Service.Provision(context.Background(), c.ID, verb, "req-test"))
}

// Await waits until the machine is in the state and nothing works on it.
func (c *Computer) Await(state machine.State) *machine.Machine {
	c.rig.t.Helper()
	c.rig.Eventually(c.Spec.Name+" to be "+string(state), func() bool { return c.Record().State == state })
	c.rig.Idle(c)
	return c.Record()
}

// Boots are the overrides that each start of the firmware obeyed.
func (c *Computer) Boots() []vbmc.Boot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]vbmc.Boot(nil), c.boots...)
}

// Erasures counts the times the disks were erased.
func (c *Computer) Erasures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.erasures
}

// Interrupts counts the diagnostic interrupts that reached the machine.
func (c *Computer) Interrupts() int { return int(c.interrupts.Load()) }

// Commands counts how often the agent began to do what it was told, by kind.
func (c *Computer) Commands(kind agentapi.Kind) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commands[kind]
}

// Deployed is what was last written to the disk and not erased since; nil: nothing.
func (c *Computer) Deployed() *agentapi.Deploy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deployed
}

// TenantRuns reports whether the system on the disk was started.
func (c *Computer) TenantRuns() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tenant
}

// Rescued is what the rescue system that runs was told; nil: none runs.
func (c *Computer) Rescued() *agentapi.Rescue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rescue
}

// AgentRuns reports whether the agent's loop runs.
func (c *Computer) AgentRuns() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agent != nil
}

// onBoot is the firmware: it starts what it is told to start from.
func (c *Computer) onBoot(boot vbmc.Boot, media string) {
	c.stopAgent()
	c.mu.Lock()
	c.boots = append(c.boots, boot)
	c.tenant, c.rescue = false, nil
	c.mu.Unlock()
	line, err := c.load(boot, media)
	if err != nil {
		c.rig.log.Info("the firmware found nothing to start", "machine", c.Spec.Name, "from", boot.Target, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if line == "" {
		c.tenant = c.deployed != nil
		return
	}
	if !c.behaviour.NeverCalls && c.Sim.Power() {
		c.startAgent(line)
	}
}

// load fetches the command line of the RAM disk by the way the firmware was told; empty from the disk.
func (c *Computer) load(boot vbmc.Boot, media string) (string, error) {
	url := boot.HTTPURI
	switch boot.Target {
	case vbmc.TargetCD:
		line, err := os.ReadFile(media)
		return string(line), err
	case vbmc.TargetPXE: // DHCP, TFTP and iPXE are internal/driver/netboot's
		lease, err := c.rig.Service.Reservation(context.Background(), c.MACs[0])
		if err != nil {
			return "", err
		}
		if lease == nil || lease.BootKey == "" {
			return "", fmt.Errorf("the network offers nothing")
		}
		url = c.rig.Access.HTTP(lease.BootKey)
	case vbmc.TargetUEFIHTTP:
	default:
		return "", nil
	}
	answer, err := http.Get(url) //nolint:gosec // the rig's own
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the boot server answers %s", answer.Status)
	}
	line, err := io.ReadAll(answer.Body)
	return string(line), err
}

// startAgent wants mu held.
func (c *Computer) startAgent(line string) {
	boot, err := agentapi.ParseCmdline(line)
	if err != nil {
		c.rig.t.Errorf("the boot artefact's command line: %v", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a, err := agent.New(agent.Options{
		Boot: boot, Hardware: (*hardware)(c), Log: c.rig.log.With("agent", c.Spec.Name), UUID: c.uuid, MACs: c.MACs, Version: "test",
		RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond, Heartbeat: 50 * time.Millisecond,
	})
	if err != nil {
		cancel()
		c.rig.t.Errorf("the agent does not start: %v", err)
		return
	}
	p := &process{cancel, make(chan struct{})}
	c.agent = p
	go func() {
		defer close(p.done)
		_ = a.Run(ctx) // ends with ctx
	}()
}

// KillAgent ends the agent's process, and the machine stays on.
func (c *Computer) KillAgent() { c.stopAgent() }

func (c *Computer) stopAgent() {
	c.mu.Lock()
	p := c.agent
	c.mu.Unlock()
	if p == nil {
		return
	}
	p.cancel()
	<-p.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agent == p {
		c.agent = nil
	}
}

// onOff comes in a goroutine of its own and may be late: then the new start has already cleared the table.
func (c *Computer) onOff() {
	if c.Sim.Power() {
		return
	}
	c.stopAgent()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tenant, c.rescue = false, nil
}
