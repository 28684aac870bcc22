package faults

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/deploy"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// computer is a simulated machine. Firmware and disks are made up; the BMC speaks Redfish and the agent is the real one.
type computer struct {
	name, uuid, mac string
	sim             *vbmc.Simulated
	faults          *vbmc.Faults
	bmc             *vbmc.Redfish
	door            *door
	log             *slog.Logger

	mu         sync.Mutex
	neverCalls bool          // the RAM disk starts, and nobody calls home
	slow       time.Duration // each deploy takes this long
	agent      *process
	tenant     bool           // the tenant's system runs
	deploys    int            // begun
	started    map[string]int // how often the agent began each command, by the command's id
}

// process is a running agent.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
}

const bmcUser, bmcPassword = "admin", "correct horse"

func newComputer(t *testing.T, n int, d *door) *computer {
	c := &computer{
		name: fmt.Sprintf("m%d", n), uuid: fmt.Sprintf("12345678-0000-4000-8000-%012x", n), mac: fmt.Sprintf("52:54:00:fa:00:%02x", n),
		faults: &vbmc.Faults{}, door: d, started: map[string]int{},
	}
	c.log = slog.New(counter{c})
	c.sim = vbmc.NewSimulated(vbmc.Info{
		Name: c.name, UUID: c.uuid, Serial: c.name, Vendor: "Ingot", Model: "Simulated", BIOSVersion: "1.0", CPUs: 1, Cores: 4, MemoryMiB: 8192,
		UEFI: true, NICs: []vbmc.NIC{{ID: "nic0", MAC: c.mac}}, Disks: []vbmc.Disk{{Name: "nvme0n1", Serial: c.name, Bus: "nvme", Bytes: diskSize}},
	}, vbmc.SimOptions{OnBoot: c.onBoot, OnOff: c.onOff})
	var err error
	c.bmc, err = vbmc.NewRedfish(c.sim, vbmc.RedfishOptions{
		Username: bmcUser, Password: bmcPassword, Logger: slog.New(slog.DiscardHandler), MediaDir: filepath.Join(t.TempDir(), "bmc"), Faults: c.faults,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.set(func() { c.neverCalls = true })
		_ = c.bmc.Close() // sessions under way are cut
		c.stopAgent()
	})
	return c
}

// driverInfo is how an operator tells of the BMC.
func (c *computer) driverInfo() object {
	return object{
		"redfish_address": c.bmc.URL(), "redfish_username": bmcUser, "redfish_password": bmcPassword, "redfish_verify_ca": string(c.bmc.CertificatePEM()),
	}
}

func (c *computer) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// deploysBegun counts the times that an image began to be written.
func (c *computer) deploysBegun() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deploys
}

// commands says how often the agent began each command.
func (c *computer) commands() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.started)
}

// onBoot is the firmware: from the virtual CD it starts the agent, otherwise what is on the disk.
func (c *computer) onBoot(boot vbmc.Boot, media string) {
	c.stopAgent()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tenant = boot.Target != vbmc.TargetCD; c.tenant || c.neverCalls || !c.sim.Power() {
		return
	}
	parameters, err := readParameters(media)
	if err != nil {
		return // the medium was taken out meanwhile
	}
	parameters.URL = c.door.url()
	a, err := agent.New(agent.Options{
		Boot: parameters, Hardware: (*hardware)(c), Log: c.log, UUID: c.uuid, MACs: []string{c.mac}, Version: "test",
		RetryMin: 20 * time.Millisecond, RetryMax: 300 * time.Millisecond, Heartbeat: time.Second,
	})
	if err != nil {
		return // agent.New has looked at the parameters only, and those are ours
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel, make(chan struct{})}
	c.agent = p
	go func() {
		defer close(p.done)
		_ = a.Run(ctx) // ends with ctx
	}()
}

// readParameters finds the command line inside the ISO image, as the kernel would get it.
func readParameters(media string) (agentapi.Boot, error) {
	content, err := os.ReadFile(media)
	if err != nil {
		return agentapi.Boot{}, err
	}
	at := bytes.Index(content, []byte("ingot.url="))
	if at < 0 {
		return agentapi.Boot{}, errors.New("the image has no command line")
	}
	line, _, _ := bytes.Cut(content[at:], []byte{0})
	return agentapi.ParseCmdline(string(line))
}

func (c *computer) stopAgent() {
	c.mu.Lock()
	p := c.agent
	c.agent = nil
	c.mu.Unlock()
	if p != nil {
		p.cancel()
		<-p.done
	}
}

// onOff comes in a goroutine of its own and may be late: then the machine is on again.
func (c *computer) onOff() {
	if c.sim.Power() {
		return
	}
	c.stopAgent()
	c.set(func() { c.tenant = false })
}

// counter is the agent's log, in which every start of a command has the command's id.
type counter struct{ *computer }

func (counter) Enabled(context.Context, slog.Level) bool { return true }
func (h counter) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h counter) WithGroup(string) slog.Handler          { return h }
func (h counter) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "command started" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "command" {
			h.set(func() { h.started[a.Value.String()]++ })
		}
		return true
	})
	return nil
}

// hardware is the computer as its agent sees it.
type hardware computer

var _ agent.Hardware = (*hardware)(nil)

const diskSize = 100 << 30

func (h *hardware) disk() agentapi.Disk {
	return agentapi.Disk{ID: h.name + "-disk", Name: "/dev/nvme0n1", Model: "SIM", Serial: h.name, Bus: "nvme", Size: diskSize, Block: 512}
}

func (h *hardware) Inspect(context.Context, agent.Progress) (agentapi.Inventory, error) {
	return agentapi.Inventory{
		UUID: h.uuid, Vendor: "Ingot", Product: "Simulated", Serial: h.name, BIOS: "1.0", BootMode: "uefi", Arch: "x86_64",
		CPU:    agentapi.CPU{Model: "Simulated CPU", Sockets: 1, Cores: 4, Threads: 4, MHz: 2000},
		Memory: 8 << 30, Disks: []agentapi.Disk{h.disk()}, NICs: []agentapi.NIC{{Name: "eth0", MAC: h.mac, Driver: "sim", Carrier: true, Speed: 25000}},
	}, nil
}

func (h *hardware) Erase(context.Context, agentapi.Erase, agent.Progress) (agentapi.EraseResult, error) {
	return agentapi.EraseResult{Disks: []agentapi.ErasedDisk{{ID: h.disk().ID, Method: "blkdiscard", Bytes: diskSize, Verified: 66 << 20, Seconds: 0.1}}}, nil
}

// Deploy fetches the whole image.
func (h *hardware) Deploy(ctx context.Context, order agentapi.Deploy, images agent.Images, progress agent.Progress) (agentapi.DeployResult, error) {
	c := (*computer)(h)
	var slow time.Duration
	c.set(func() { c.deploys++; slow = c.slow })
	manifest, err := deploy.Fetch(ctx, images, order.Image, deploy.DefaultPatience)
	if err != nil {
		return agentapi.DeployResult{}, err
	}
	progress(agentapi.Progress{Step: "Writing the image", Total: manifest.DataSize})
	select {
	case <-ctx.Done():
		return agentapi.DeployResult{}, ctx.Err()
	case <-time.After(slow):
	}
	for { // as the real one does: the control plane may be away
		err := fetch(ctx, images, order.Image, manifest.BlobSize)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return agentapi.DeployResult{}, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return agentapi.DeployResult{Disk: h.disk().ID, Written: manifest.DataSize, Verified: manifest.DataSize, Seconds: 0.1}, nil
}

func fetch(ctx context.Context, images agent.Images, image string, size int64) error {
	body, _, err := images.Range(ctx, image, 0, size)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, body)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, body.Close())
}

// Rescue implements agent.Hardware: nothing here asks for it.
func (h *hardware) Rescue(context.Context, agentapi.Rescue) (func() error, error) {
	return nil, errors.New("this computer has no rescue system")
}

// Boot jumps into the tenant's kernel.
func (h *hardware) Boot(context.Context, agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	c := (*computer)(h)
	return agentapi.BootResult{Kexec: true, Kernel: "tenant"}, func() error {
		c.set(func() {
			if c.agent != nil { // the power did not fail meanwhile
				c.tenant = true
				c.agent.cancel()
				c.agent = nil
			}
		})
		return nil
	}, nil
}

// fakeUKI writes what takes the place of the agent's unified kernel image: a PE file with room for a command line.
func fakeUKI(t *testing.T) string {
	t.Helper()
	content := make([]byte, 64<<10)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	const (
		header   = 0x84
		optional = 112 + 16*8 // PE32+ with all its directories
		room     = 2048
		text     = 0x1200
	)
	le := binary.LittleEndian
	clear(content[:0x400])
	copy(content, "MZ")
	le.PutUint32(content[0x3c:], header-4)
	copy(content[header-4:], "PE\x00\x00")
	coff := content[header:]
	le.PutUint16(coff[0:], 0x8664)
	le.PutUint16(coff[2:], 1)
	le.PutUint16(coff[16:], optional)
	le.PutUint16(coff[20:], 0x20b)
	le.PutUint32(coff[20+60:], 0x1000) // SizeOfHeaders
	le.PutUint32(coff[20+108:], 16)
	section := coff[20+optional:]
	copy(section, ".cmdline")
	le.PutUint32(section[8:], room)
	le.PutUint32(section[16:], room)
	le.PutUint32(section[20:], text)
	clear(content[text : text+room])
	path := filepath.Join(t.TempDir(), "ingot.efi")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
