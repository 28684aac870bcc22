package chassis

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/ingotcloud/ingot/internal/config"
)

// Command is `ingot chassis`.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "chassis",
		Short: "Answer at 169.254.169.254 on the networks of this chassis, until SIGTERM",
		Long: `Chassis runs on every chassis of OVN, next to its Open vSwitch. On each tenant's network that has a machine on this
chassis it plugs in a network namespace that holds 169.254.169.254, and passes what is asked there on to the control
plane (ovn.metadata_listen), with the network and the asking address under a signature. Nothing else answers in there.

It needs root, nft, and what the control plane's log says at its start: URL and pin. Where OVN is, the local Open vSwitch
knows. When it is stopped the namespaces stay, so that an update goes unnoticed; --remove takes them away.`,
		Args: cobra.NoArgs,
	}
	var o Options
	var address, pin, secretFile string
	var files config.OVNTLS
	var remove bool
	c.Flags().StringVar(&o.OVS, "ovs", "unix:/run/openvswitch/db.sock", "the local Open vSwitch's database")
	c.Flags().StringVar(&o.Namespace, "netns", "", "the network namespace that Open vSwitch runs in (default: this one)")
	c.Flags().StringVar(&o.Name, "name", "ingot", "what the names of the namespaces that are made begin with")
	c.Flags().StringVar(&address, "url", "", "the control plane's metadata listener: https://HOST:PORT")
	c.Flags().StringVar(&pin, "pin", "", "SHA-256 of the control plane's key, in hex")
	c.Flags().StringVar(&secretFile, "secret-file", "", "the file with the secret that is ovn.metadata_secret")
	c.Flags().StringVar(&files.Cert, "cert", "", "PEM file of our certificate, where OVN's southbound database is at ssl:")
	c.Flags().StringVar(&files.Key, "key", "", "PEM file of its key")
	c.Flags().StringVar(&files.CA, "ca", "", "PEM file of the authority that the database's certificate is from")
	c.Flags().BoolVar(&remove, "remove", false, "take everything away that was made under this name, and end")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		o.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
		if os.Geteuid() != 0 {
			return errors.New("network namespaces need root")
		}
		if remove {
			return Remove(c.Context(), o)
		}
		if o.URL, err = url.Parse(address); err != nil || o.URL.Scheme != "https" || o.URL.Host == "" {
			return fmt.Errorf("--url %q is not https://HOST:PORT", address)
		}
		if o.Pin, err = hex.DecodeString(pin); err != nil || len(o.Pin) != sha256.Size {
			return fmt.Errorf("--pin %q is not a SHA-256 in hex", pin)
		}
		if o.Secret, err = os.ReadFile(secretFile); err != nil {
			return fmt.Errorf("--secret-file: %w", err)
		}
		if o.Secret = bytes.TrimSpace(o.Secret); len(o.Secret) == 0 {
			return fmt.Errorf("--secret-file: %s is empty", secretFile)
		}
		if o.TLS, err = files.Load(); err != nil {
			return err
		}
		return Run(c.Context(), o)
	}
	return c
}
