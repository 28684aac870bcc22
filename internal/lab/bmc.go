package lab

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// StartBMC puts the declared kind of BMC before a machine, at the address that the description has from an earlier
// time or at a free port, and completes the description. A port that somebody else has taken meanwhile is an error: the
// operator enrolled that address. What the BMC keeps is in the machine's folder; faults, of Redfish only, may be nil.
func StartBMC(m vbmc.Machine, dir string, d *BMCDescription, faults *vbmc.Faults, log *slog.Logger) (close func() error, err error) {
	listen, name := strings.TrimPrefix(d.Address, "https://"), m.Info().Name
	log = log.With("machine", name, "bmc", d.Kind)
	switch d.Kind {
	case "redfish":
		s, err := vbmc.NewRedfish(m, vbmc.RedfishOptions{
			Username: d.Username, Password: d.Password, Logger: log, Listen: listen,
			MediaDir: filepath.Join(dir, "bmc"), Faults: faults,
		})
		if err != nil {
			return nil, fmt.Errorf("Redfish BMC of %s: %w", name, err)
		}
		d.Address, d.CA = s.URL(), string(s.CertificatePEM())
		return s.Close, nil
	case "ipmi":
		s, err := vbmc.NewIPMI(m, vbmc.IPMIOptions{Username: d.Username, Password: d.Password, Logger: log, Listen: listen})
		if err != nil {
			return nil, fmt.Errorf("IPMI BMC of %s: %w", name, err)
		}
		d.Address = s.Addr().String()
		return s.Close, nil
	}
	return nil, fmt.Errorf("%q is no kind of BMC", d.Kind)
}
