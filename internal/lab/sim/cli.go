package sim

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ingotcloud/ingot/internal/lab"
)

// Command is `ingot lab sim`.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run a rack of simulated machines until interrupted",
		Long: `Sim brings up machines that only pretend, without QEMU and without root: their BMCs speak Redfish (or IPMI, with a rack
file) on 127.0.0.1, they boot the control plane's artefact from the virtual CD, and their agents do in milliseconds what
they are told. The folder's lab.json says how to enrol them, as that of "lab run" does; BMC addresses, passwords and what
is on the disks are kept in the folder. The control plane needs no interface for them:

  machines: {interface: "", address: 127.0.0.1/8, first: 127.77.0.10, last: 127.77.255.250}`,
		Args: cobra.NoArgs,
	}
	file := c.Flags().String("rack", "", "a rack file, instead of equal machines")
	machines := c.Flags().Int("machines", 20, "how many equal machines")
	config := Config{}
	c.Flags().StringVar(&config.Fabric, "fabric", FabricNone, "ovn: NICs are on an OVN, which needs root; none: they pretend, too")
	c.Flags().StringVar(&config.Name, "name", "", "of the run, for network namespaces; default the rack's")
	c.Flags().StringVar(&config.Dir, "dir", "run/lab", "the rack's folder")
	c.Flags().StringSliceVar(&config.Mute, "mute", nil, "machines whose agents never call home")
	c.Flags().StringSliceVar(&config.Deaf, "deaf", nil, "machines whose BMCs never answer")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if *file != "" {
			config.Rack, err = lab.ReadRack(*file)
		} else {
			config.Rack, err = Uniform("sim", *machines)
		}
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		return Run(ctx, config)
	}
	return c
}
