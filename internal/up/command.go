package up

import (
	"github.com/spf13/cobra"
)

// Commands are `ingot up`, `ingot down` and `ingot clean`.
func Commands() []*cobra.Command {
	var o Options
	home := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&o.Home, "home", "run", "folder that keeps everything the running cloud keeps ($INGOT_HOME)")
		return c
	}
	bringUp := home(&cobra.Command{
		Use: "up", Args: cobra.NoArgs,
		Short: "Bring a whole cloud up on this computer, with a virtual rack and a first server",
		Long: `up starts a virtual rack (ingot lab) and a control plane (ingot serve) in the background, enrols, inspects and
cleans the rack's machines, and then, as the tenant demo and through the public API, orders a server and follows it until
one can log in. Every step looks first whether it is done, so up may be given again at any time.`,
		RunE: func(c *cobra.Command, _ []string) error { return Up(c.Context(), o) },
	})
	bringUp.Flags().StringVar(&o.Rack, "rack", "lab/rack.yaml", "the rack file")
	bringUp.Flags().StringVar(&o.Agent, "agent", "", "the ingot-agent program (default: beside this program)")
	return []*cobra.Command{
		bringUp,
		home(&cobra.Command{
			Use: "down", Args: cobra.NoArgs, Short: "Stop the control plane and the virtual rack; everything is kept",
			RunE: func(c *cobra.Command, _ []string) error { return Down(c.Context(), o) },
		}),
		home(&cobra.Command{
			Use: "clean", Args: cobra.NoArgs, Short: "Stop the control plane and the virtual rack, and forget both",
			RunE: func(c *cobra.Command, _ []string) error { return Clean(c.Context(), o) },
		}),
	}
}
