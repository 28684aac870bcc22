// Command ingot-agent is the init of the RAM disk that a machine runs whenever no tenant owns it: it makes the machine
// usable, calls the control plane named on the kernel's command line and does what it is told. For a tenant who rescues a
// server it becomes a system of that tenant's (internal/agent/rescue), by executing itself anew.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/boot"
	"github.com/ingotcloud/ingot/internal/agent/inventory"
	"github.com/ingotcloud/ingot/internal/agent/metal"
	"github.com/ingotcloud/ingot/internal/agent/rescue"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// version is set by the build.
var version = "0.1"

// memoryLimit leaves room below 64 MiB for the program itself; the tenant's image should not wait for the collector.
const memoryLimit = 40 << 20

// lldpPatience is how long the first inspection waits for the switches to speak.
const lldpPatience = 3 * time.Second

func main() {
	if slices.Equal(os.Args[1:], []string{rescue.ServeArgument}) {
		fmt.Fprintln(os.Stderr, "ingot-agent:", rescue.Serve())
		os.Exit(1)
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "ingot-agent is the init of Ingot's RAM disk: it runs as process 1 of a machine, not here.")
		os.Exit(2)
	}
	defer func() { boot.GiveUp(fmt.Sprintf("%v\n%s", recover(), debug.Stack())) }()
	if slices.Equal(os.Args[1:], []string{rescue.InitArgument}) {
		rescue.Init()
	}
	debug.SetMemoryLimit(memoryLimit)
	if err := run(context.Background()); err != nil {
		boot.GiveUp(err)
	}
}

func run(ctx context.Context) error {
	if err := boot.Mount(); err != nil {
		return err
	}
	console := boot.OpenConsole()
	kept := agent.NewLog(console)
	log := kept.Logger()
	status := func(now string) { console.Status(fmt.Sprintf("ingot-agent %s: %s", version, now)) }
	uptime := boot.Uptime().Seconds()

	status("starting")
	boot.Reap()
	boot.LoadModules(log)
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	parameters, err := agentapi.ParseCmdline(string(line))
	if err != nil {
		return fmt.Errorf("kernel command line: %w", err)
	}
	status("setting up the network")
	if err := boot.Network(ctx, parameters, log); err != nil {
		return err
	}

	hardware := inventory.New(nil)
	var nics, macs []string
	for _, nic := range hardware.NICs() {
		nics = append(nics, nic.Name)
		macs = append(macs, nic.MAC)
	}
	lldp, err := inventory.Listen(ctx, nics, lldpPatience)
	if err != nil {
		log.Warn("not hearing all neighbours", "error", err)
	}
	hardware.Neighbour = lldp.Neighbour

	a, err := agent.New(agent.Options{
		Boot:        parameters,
		Hardware:    &metal.Machine{Log: log, Inventory: hardware, Scratch: "/run"},
		Log:         log,
		Version:     version,
		UUID:        hardware.UUID(),
		MACs:        macs,
		BootSeconds: uptime,
		LogText:     kept.Text,
		SetClock:    func(now time.Time) { boot.SetClock(log, now) },
		Status:      status,
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
