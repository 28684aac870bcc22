package instance

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
)

// NIC is one network that a user asked for: an existing port, or a network with an optional address.
type NIC struct {
	Port, Network string
	FixedIP       netip.Addr
	Tag           string // by which its owner will know it; empty: none
}

// deviceOwner is how Neutron's clients know a server's ports.
const deviceOwner = "compute:" + DefaultZone

// plan reserves what a new instance asked for: existing ports are taken, others are made. It fails with Invalid for
// ports, networks and addresses that cannot be had, and with Conflict when it is not clear which network is meant.
func (s *Service) plan(ctx context.Context, tx *db.Tx, i *Instance, spec Spec) error {
	nics := spec.NICs
	if spec.AutoNetwork {
		only, err := s.onlyNetwork(ctx, tx, i.Project)
		switch {
		case err != nil:
			return err
		case only != nil:
			nics = append(nics, NIC{Network: only.ID})
		case spec.NeedsNetwork:
			return fault.New(fault.Invalid, "Unable to automatically allocate a network for project %s", i.Project)
		}
	}
	i.Ports = []Port{}
	for _, nic := range nics {
		err := s.reserve(ctx, tx, i, nic, spec.SecurityGroups)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) && nic.FixedIP.IsValid() {
			return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyNetwork is the network that a project means when it names none; nil when it has none. It fails with the cause
// errAmbiguous when there are several.
func (s *Service) onlyNetwork(ctx context.Context, q db.Querier, project string) (*network.Network, error) {
	seen, err := s.networks.Networks(ctx, q, network.Viewer{Project: project}, network.NetworkFilter{})
	if err != nil {
		return nil, err
	}
	seen = slices.DeleteFunc(seen, func(n *network.Network) bool { return n.External && !n.Shared && n.Project != project })
	switch len(seen) {
	case 0:
		return nil, nil
	case 1:
		return seen[0], nil
	}
	return nil, fault.Wrap(errAmbiguous, fault.Conflict, "Multiple possible networks found, use a Network ID to be more specific.")
}

var errAmbiguous = errors.New("which network is meant is not clear")

// reserve takes the port that was asked for, or makes one that is in these security groups (nil: the project's default
// one), and notes it in the instance, which the caller saves.
func (s *Service) reserve(ctx context.Context, tx *db.Tx, i *Instance, nic NIC, groups []string) error {
	get := s.makePort
	if nic.Port != "" {
		get = s.takePort
	}
	port, err := get(ctx, tx, i, nic, groups)
	if err != nil {
		return err
	}
	i.Ports = append(i.Ports, Port{ID: port.ID, Own: nic.Port == "", Tag: nic.Tag})
	return nil
}

func (s *Service) takePort(ctx context.Context, tx *db.Tx, i *Instance, nic NIC, _ []string) (*network.Port, error) {
	port, err := s.networks.Attach(ctx, tx, nic.Port, i.Project, network.Use{DeviceID: i.ID, DeviceOwner: deviceOwner, Hostname: i.Hostname})
	switch {
	case errors.Is(err, network.PortInUse), err == nil && slices.ContainsFunc(i.Ports, func(have Port) bool { return have.ID == port.ID }):
		return nil, fault.Wrap(err, fault.Conflict, "Port %s is still in use.", nic.Port)
	case err == nil && len(port.FixedIPs) == 0:
		return nil, fault.New(fault.Invalid, "Port %s requires a FixedIP in order to be used.", port.ID)
	}
	return port, err
}

func (s *Service) makePort(ctx context.Context, tx *db.Tx, i *Instance, nic NIC, groups []string) (*network.Port, error) {
	n, err := s.networks.Network(ctx, tx, network.Viewer{Project: i.Project}, nic.Network)
	if err != nil {
		return nil, err
	}
	if len(n.Subnets) == 0 {
		return nil, fault.New(fault.Invalid, "Network %s requires a subnet in order to boot instances on.", n.ID)
	}
	port := network.NewPort{Network: n.ID, Project: i.Project, DeviceID: i.ID, DeviceOwner: deviceOwner, DNSName: i.Hostname, SecurityGroups: groups}
	if nic.FixedIP.IsValid() {
		port.FixedIPs = []network.FixedIP{{Addr: nic.FixedIP}}
	}
	return s.networks.CreatePort(ctx, tx, port)
}

// plug puts the instance's ports on the machine's NICs: reserved while the machine is in quarantine. A port that is on one
// of them stays there; the others get those that are free, both in their order. Ports that their project deleted meanwhile
// are left out. It fails with Exhausted when the machine has too few NICs.
func (s *Service) plug(ctx context.Context, tx *db.Tx, i *Instance, reserved bool) error {
	nics, err := s.machines.NICs(ctx, tx, i.Machine)
	if err != nil {
		return err
	}
	ports, err := s.portsOf(ctx, tx, i)
	if err != nil {
		return err
	}
	if len(ports) > len(nics) {
		return fault.New(fault.Exhausted, "The server has %d ports, and the machine only %d network cards.", len(ports), len(nics))
	}
	on := map[string]*machine.NIC{} // by port
	for _, port := range ports {
		at := slices.IndexFunc(nics, func(n *machine.NIC) bool { return port.Host == i.Machine && port.MAC == n.MAC })
		if at >= 0 {
			on[port.ID] = nics[at]
			nics = slices.Delete(nics, at, at+1)
		}
	}
	for _, port := range ports {
		nic := on[port.ID]
		if nic == nil {
			nic, nics = nics[0], nics[1:]
		}
		place := network.Place{Host: i.Machine, MAC: nic.MAC, Edge: nic.Edge(), Reserved: reserved}
		if err := s.networks.Bind(ctx, tx, port.ID, place); err != nil {
			return err
		}
	}
	return s.machines.Moved(ctx, tx, i.Machine)
}

// portsOf are the instance's ports in the order in which they were asked for: also that of the machine's NICs.
func (s *Service) portsOf(ctx context.Context, q db.Querier, i *Instance) ([]*network.Port, error) {
	ports, err := s.networks.PortsOf(ctx, q, i.ID)
	i.Order(ports)
	return ports, err
}

// Order puts the instance's ports into the order in which they were asked for.
func (i *Instance) Order(ports []*network.Port) {
	place := func(p *network.Port) int {
		return slices.IndexFunc(i.Ports, func(have Port) bool { return have.ID == p.ID })
	}
	slices.SortStableFunc(ports, func(a, b *network.Port) int { return cmp.Compare(place(a), place(b)) })
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
		if err := s.letGo(ctx, tx, port); err != nil {
			return err
		}
	}
	i.Ports = nil
	return s.machines.Moved(ctx, tx, i.Machine)
}

// letGo deletes a port that was made for an instance, and gives another one back to its project. One that is gone is no error.
func (s *Service) letGo(ctx context.Context, tx *db.Tx, port Port) error {
	err := s.networks.Detach(ctx, tx, port.ID)
	if err == nil && port.Own {
		err = s.networks.DeletePort(ctx, tx, port.ID)
	}
	return ignore(err, fault.NotFound)
}
