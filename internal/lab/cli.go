package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Commands is `ingot lab` with its subcommands.
func Commands() *cobra.Command {
	lab := &cobra.Command{
		Use:   "lab",
		Short: "Run a virtual rack: QEMU machines with virtual BMCs",
		Long: `A virtual rack stands in for a real one: machines with real firmware (OVMF or SeaBIOS), disks, TPM and
Secure Boot, on a network of their own, each behind a BMC that speaks Redfish or IPMI 2.0 as hardware does.

  ingot lab run --rack lab/rack.yaml --dir run/lab --name demo

starts one in the foreground. Its folder then holds

  lab.json              how to enrol each machine: BMC address, user, password, certificate, MAC addresses
  dial.sock             leads into the rack's networks without being root (ingot lab dial)
  lab.sock              takes the orders of status, power, console and screenshot
  MACHINE/serial.log    what the machine printed since the lab started; the run before is in serial.log.old
  MACHINE/disk0.raw …   its disks, sparse
  MACHINE/qemu.log      what QEMU had to say

The control plane meets the machines at the interface "rack" in the network namespace ingot-NAME; "ip netns exec
ingot-NAME" runs a command there. That interface is a logical port of an Open Virtual Network, as is each machine's NIC,
and who reaches whom is what the northbound database says. There are also

  ingot-NAME-chassis-one, -two  Open vSwitch with machines plugged in; each is a gateway to the Internet
  ingot-NAME-tor-top            a plain VLAN switch, where a NIC has edge trunk
  ingot-NAME-inet               the Internet: 203.0.113.1 in 203.0.113.0/24
  ingot-NAME-underlay           what the chassis' tunnels go through
  lab.ovn                       in the folder: OVN's databases, sockets and logs

and lab.json says where the databases are and how each NIC is known there.`,
	}
	lab.AddCommand(runCommand(), statusCommand(), dialCommand(), powerCommand(), consoleCommand(), screenshotCommand())
	return lab
}

func dirFlag(c *cobra.Command) *string {
	return c.Flags().String("dir", "run/lab", "the rack's folder")
}

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a rack until interrupted",
		Long: `Run brings up the rack that a file declares and keeps it until SIGTERM or an interrupt, which stop every machine and
remove the network. Machines start off: their BMCs turn them on. Disks, firmware variables, BMC ports and passwords are
kept in the folder, so that the next run has the same machines.

After a kill -9 the machines go on; the next run in the same folder takes them over as they are.

The rack file:

  rack: demo                      # its name; MAC addresses, serials and UUIDs derive from it
  network: {cidr: 10.77.0.1/24}   # the control plane's address where machines meet it; this is the default
  machines:
    - name: m1
      bmc: {kind: redfish}        # or ipmi
      firmware: uefi              # default; or bios
      cpus: 2                     # default 1
      memory_mib: 1024            # default
      nics:                       # one per card
        - {}                      # {mac: "52:54:00:…"} where the derived one will not do
        - {edge: trunk}           # behind a plain VLAN switch; default ovs: at Open vSwitch
      disks:
        - {bus: nvme, size_gib: 4}              # nvme, virtio or scsi; sparse
        - {bus: virtio, size_gib: 8, serial: X} # the serial derives from the names when left out
      tpm: true                   # a TPM 2.0
      secure_boot: true           # the firmware is capable of it; the BMC turns it on

Every mistake in it is named with its line. KVM is used where the processor has it, otherwise emulation.`,
		Args: cobra.NoArgs,
	}
	file := c.Flags().String("rack", "lab/rack.yaml", "the rack file")
	dir := dirFlag(c)
	name := c.Flags().String("name", "demo", "the run's name; its network namespace is ingot-NAME")
	c.RunE = func(c *cobra.Command, _ []string) error {
		spec, err := ReadRack(*file)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		rack, err := Start(ctx, Config{Rack: spec, Dir: *dir, Name: *name, Logger: slog.Default()})
		if err != nil {
			return err
		}
		<-ctx.Done()
		return rack.Close()
	}
	return c
}

func statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the machines of a running rack",
		Args:  cobra.NoArgs,
	}
	dir := dirFlag(c)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		answer, err := newControlClient(*dir).call(c.Context(), "GET", "/machines")
		if err != nil {
			return err
		}
		defer answer.Close()
		if *asJSON {
			_, err := io.Copy(c.OutOrStdout(), answer)
			return err
		}
		var all []Status
		if err := json.NewDecoder(answer).Decode(&all); err != nil {
			return err
		}
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "MACHINE\tPOWER\tNEXT BOOT\tSECURE BOOT\tBMC\tMAC\tMEDIA")
		for _, m := range all {
			boot := "as usual"
			if m.Boot.Enabled != "Disabled" {
				boot = m.Boot.Target + " " + strings.ToLower(m.Boot.Enabled)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, onOff(m.On), boot, onOff(m.SecureBoot), m.BMC,
				strings.Join(m.MACs, " "), m.Media)
		}
		return table.Flush()
	}
	return c
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func dialCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dial HOST PORT",
		Short: "Connect standard input and output to an address in the rack's networks",
		Long: `Dial is for programs that are outside the rack's networks and not root. HOST is an IP address: one of the machines'
network is dialled as by the control plane, any other, such as a floating IP, as from the Internet.

  ssh -o ProxyCommand='ingot lab dial --dir run/lab %h %p' debian@10.77.0.20`,
		Args: cobra.ExactArgs(2),
	}
	dir := dirFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		conn, err := Dial(c.Context(), filepath.Join(*dir, dialSocket), net.JoinHostPort(args[0], args[1]))
		if err != nil {
			return err
		}
		defer conn.Close()
		go func() {
			io.Copy(conn, c.InOrStdin()) // an end of input is passed on, and the answer still awaited
			conn.(*net.UnixConn).CloseWrite()
		}()
		_, err = io.Copy(c.OutOrStdout(), conn)
		return err
	}
	return c
}

func powerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "power MACHINE on|off|reset|shutdown|nmi",
		Short: "Order a machine's power, past its BMC",
		Long: `On and off are at once and may be repeated; reset also turns on a machine that is off; shutdown presses the power
button, which the operating system may ignore; nmi sends a diagnostic interrupt.`,
		Args: cobra.ExactArgs(2),
	}
	dir := dirFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return order(c.Context(), *dir, args[0], "POST", "power/"+url.PathEscape(args[1]), io.Discard)
	}
	return c
}

func consoleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "console MACHINE",
		Short: "Follow a machine's serial console until interrupted",
		Args:  cobra.ExactArgs(1),
	}
	dir := dirFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return order(c.Context(), *dir, args[0], "GET", "console", c.OutOrStdout())
	}
	return c
}

func screenshotCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "screenshot MACHINE FILE",
		Short: "Write what is on a machine's screen to a PNG file",
		Args:  cobra.ExactArgs(2),
	}
	dir := dirFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var png strings.Builder
		if err := order(c.Context(), *dir, args[0], "GET", "screenshot", &png); err != nil {
			return err
		}
		return os.WriteFile(args[1], []byte(png.String()), 0o644)
	}
	return c
}

// order calls the control socket for one machine and copies the answer.
func order(ctx context.Context, dir, machine, method, what string, out io.Writer) error {
	answer, err := newControlClient(dir).call(ctx, method, "/machines/"+url.PathEscape(machine)+"/"+what)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(out, answer)
	return err
}
