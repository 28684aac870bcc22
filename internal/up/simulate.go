package up

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/sim"
)

// simulatedSteps are steps with machines that only pretend.
func (s *site) simulatedSteps() []step {
	return []step{
		{"Make boot artefacts and an image for simulated machines", s.makeSimulatedFiles},
		{"Start the simulated rack", s.startSimulated},
		{"Start the control plane", s.startServer},
		{"Bring the metadata service to the chassis", s.startChassis},
		{"Log in as admin and make the tenant demo", s.makeTenant},
		{"Enrol, inspect and clean the machines", s.enrolMachines},
		{"Upload the image, make a flavor and a key pair", s.fillCloud},
		{"Make the tenant's network and its way out", s.makeNetworks},
		{"Order a server as demo and follow it", s.orderServer},
	}
}

// makeSimulatedFiles makes what no machine will really execute: an image of noise, because holes are not transferred.
func (s *site) makeSimulatedFiles(context.Context) (err error) {
	if s.artifacts, err = sim.Artifacts(s.path("boot-artefacts")); err != nil {
		return err
	}
	s.image, s.format = s.path("tiny.raw"), "raw"
	noise := make([]byte, 1<<20)
	if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
		return err
	}
	return os.WriteFile(s.image, noise, 0o600)
}

// startSimulated starts the rack and waits until every BMC takes connections.
func (s *site) startSimulated(ctx context.Context) error {
	d := s.lab()
	if err := d.start(); err != nil {
		return err
	}
	err := d.await(ctx, func() bool {
		var err error
		if s.rack, err = lab.ReadDescription(s.path("lab")); err != nil || len(s.rack.Machines) != s.Simulate {
			return false
		}
		for _, m := range s.rack.Machines {
			conn, err := net.Dial("tcp", strings.TrimPrefix(m.BMC.Address, "https://"))
			if err != nil {
				return false
			}
			conn.Close() //nolint:errcheck,gosec // it was only a knock
		}
		return true
	})
	if err == nil {
		s.show.note("%d machines", len(s.rack.Machines))
	}
	return err
}

// configureSimulated lets the control plane meet machines that are processes of this host: nothing listens on an
// interface, and the ports are free ones. They are kept from start to start.
func configureSimulated(machines map[string]any) error {
	machines["namespace"], machines["interface"] = "", ""
	machines["fake_hardware"] = true
	machines["address"], machines["first"], machines["last"] = "127.0.0.1/8", "127.77.0.10", "127.77.255.250"
	for key, usual := range map[string]string{"agent_port": "127.0.0.1:8443", "boot_port": "127.0.0.1:8080"} {
		if machines[key] != nil {
			continue
		}
		address, err := freeAddress(nil, usual)
		if err != nil {
			return err
		}
		machines[key] = netip.MustParseAddrPort(address).Port()
	}
	return nil
}

// tellSimulated says where things are.
func (s *site) tellSimulated() {
	s.show.text(`
  The cloud is up, on simulated machines:
    API        %[1]s   (openstack: source %[2]s or %[3]s)
    consoles   %[4]s
    logs       %[5]s and %[6]s
    stop       ingot down --home %[7]s      (ingot up starts it again; ingot clean forgets it)
`, s.apiURL(), s.path("demo-openrc.sh"), s.path("admin-openrc.sh"), s.path("lab", "MACHINE", "serial.log"),
		s.path("serve.log"), s.path("lab.log"), s.Home)
}
