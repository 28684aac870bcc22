package up

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/sim"
)

// Commands are `ingot up`, `ingot down` and `ingot clean`.
func Commands() []*cobra.Command {
	var o Options
	home := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&o.Home, "home", defaultHome(), "folder that keeps everything the running cloud keeps ($INGOT_HOME)")
		body := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			do := func() error { return body(c, args) }
			if rootless(o) {
				return do()
			}
			return asRoot(o.Home, do)
		}
		return c
	}
	bringUp := home(&cobra.Command{
		Use: "up", Args: cobra.NoArgs,
		Short: "Bring a whole cloud up on this computer, with a virtual rack and a first server",
		Long: `up starts a virtual rack (ingot lab) and a control plane (ingot serve) in the background, enrols, inspects and
cleans the rack's machines, and then, as the tenant demo and through the public API, orders a server and follows it until
one can log in. Every step looks first whether it is done, so up may be given again at any time.

With --simulate the machines only pretend (ingot lab sim): a cloud of any number of them is there in seconds, without
QEMU and without root, and its servers have a console but nobody to log in to. Their networks pretend, too; with
--fabric ovn these are real.`,
		RunE: func(c *cobra.Command, _ []string) error { return Up(c.Context(), o) },
	})
	bringUp.Flags().StringVar(&o.Rack, "rack", "lab/rack.yaml", "the rack file")
	bringUp.Flags().StringVar(&o.Agent, "agent", "", "the ingot-agent program (default: beside this program)")
	bringUp.Flags().StringVar(&o.Fabric, "fabric", sim.FabricNone, "with --simulate: ovn (needs root), or none")
	bringUp.Flags().IntVar(&o.Simulate, "simulate", 0, "this many simulated machines instead of the rack")
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

func defaultHome() string {
	if home := os.Getenv("INGOT_HOME"); home != "" {
		return home
	}
	return "run"
}

// rootless reports whether the home's rack only pretends, with its networks, so that nothing in it needs root.
func rootless(o Options) bool {
	rack, err := lab.ReadDescription(filepath.Join(o.Home, "lab"))
	if err != nil {
		return o.Simulate > 0 && o.Fabric != sim.FabricOVN
	}
	return rack.Netns == "" && rack.OVN.NB == ""
}

// asRoot runs the body as root, because a rack's network needs it: another user is asked by sudo. What the body leaves
// for that user to use is given to the user.
func asRoot(home string, body func() error) error {
	if os.Getuid() != 0 {
		sudo, err := exec.LookPath("sudo")
		if err != nil {
			return errors.New("the virtual rack's network needs root: run this as root, or install sudo")
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		return syscall.Exec(sudo, append([]string{"sudo", "XDG_CACHE_HOME=" + cache, "INGOT_HOME=" + home}, os.Args...), os.Environ())
	}
	if err := body(); err != nil {
		return err
	}
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil {
		return nil // not by sudo
	}
	files, err := filepath.Glob(filepath.Join(home, "demo*"))
	if err != nil {
		return err
	}
	for _, path := range append(files, home, filepath.Join(home, "ssh_config"), filepath.Join(home, "known_hosts"), filepath.Join(home, "admin-openrc.sh")) {
		if err := os.Chown(path, uid, -1); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
