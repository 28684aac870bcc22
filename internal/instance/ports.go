package instance

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// NIC is one network that a user asked for: an existing port, or a network with an optional address.
type NIC struct {
	Port, Network string
	FixedIP       netip.Addr
}

// deviceOwner is how Neutron's clients know a server's ports.
const deviceOwner = "compute:" + DefaultZone

// plan reserves what a new instance asked for: existing ports are taken, others are made. It fails with Invalid for
// ports, networks and addresses that cannot be had, and with Conflict when it is not clear which network is meant.
func (s *Service) plan(ctx context.Context, tx *db.Tx, i *Instance, spec Spec) error {
	nics := spec.NICs
	if spec.AutoNetwork {
		seen, err := s.networks.Networks(ctx, tx, network.Viewer{Project: i.Project}, network.NetworkFilter{})
		if err != nil {
			return err
		}
		seen = slices.DeleteFunc(seen, func(n *network.Network) bool { return n.External && !n.Shared && n.Project != i.Project })
		if len(seen) > 1 {
			return fault.New(fault.Conflict, "Multiple possible networks found, use a Network ID to be more specific.")
		}
		for _, n := range seen {
			nics = append(nics, NIC{Network: n.ID})
		}
	}
	i.Ports = []Port{}
	for _, nic := range nics {
		port, err := s.reserve(ctx, tx, i, nic)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) && nic.FixedIP.IsValid() {
			return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		}
		if err != nil {
			return err
		}
		i.Ports = append(i.Ports, Port{ID: port.ID, Own: nic.Port == ""})
	}
	return nil
}

func (s *Service) reserve(ctx context.Context, tx *db.Tx, i *Instance, nic NIC) (*network.Port, error) {
	if nic.Port != "" {
		return s.networks.Attach(ctx, tx, nic.Port, i.Project, network.Use{DeviceID: i.ID, DeviceOwner: deviceOwner, Hostname: i.Hostname})
	}
	port := network.NewPort{Network: nic.Network, Project: i.Project, DeviceID: i.ID, DeviceOwner: deviceOwner, DNSName: i.Hostname}
	if nic.FixedIP.IsValid() {
		port.FixedIPs = []network.FixedIP{{Addr: nic.FixedIP}}
	}
	return s.networks.CreatePort(ctx, tx, port)
}

// plug puts the instance's ports on the machine's NICs, in order: reserved while the machine is in quarantine. Ports that
// their project deleted meanwhile are left out. It fails with Exhausted when the machine has too few NICs.
func (s *Service) plug(ctx context.Context, tx *db.Tx, i *Instance, reserved bool) error {
	nics, err := s.machines.NICs(ctx, tx, i.Machine)
	if err != nil {
		return err
	}
	ports, err := s.networks.PortsOf(ctx, tx, i.ID)
	if err != nil {
		return err
	}
	if len(ports) > len(nics) {
		return fault.New(fault.Exhausted, "The server has %d ports, and the machine only %d NICs.", len(ports), len(nics))
	}
	for at, port := range ports {
		place := network.Place{Host: i.Machine, MAC: nics[at].MAC, Edge: nics[at].Edge(), Reserved: reserved}
		if err := s.networks.Bind(ctx, tx, port.ID, place); err != nil {
			return err
		}
	}
	return s.machines.Moved(ctx, tx, i.Machine)
}

// unplug takes the instance's ports out of the machine, if they are in.
func (s *Service) unplug(ctx context.Context, tx *db.Tx, i *Instance) error {
	for _, port := range i.Ports {
		if err := s.networks.Unbind(ctx, tx, port.ID); err != nil {
			return err
		}
	}
	return s.machines.Moved(ctx, tx, i.Machine)
}

// carried reports whether the network carries all of the instance's ports.
func (s *Service) carried(ctx context.Context, i *Instance) (bool, error) {
	ports, err := s.networks.PortsOf(ctx, s.db, i.ID)
	for _, port := range ports {
		if port.AdminUp && port.Edge.Kind != network.NoEdge && !port.Up {
			return false, err
		}
	}
	return true, err
}

// drop deletes the ports made for the instance and gives the others back to their project.
func (s *Service) drop(ctx context.Context, tx *db.Tx, i *Instance) error {
	for _, port := range i.Ports {
		err := s.networks.Detach(ctx, tx, port.ID)
		if err == nil && port.Own {
			err = s.networks.DeletePort(ctx, tx, port.ID)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	i.Ports = nil
	return s.machines.Moved(ctx, tx, i.Machine)
}
