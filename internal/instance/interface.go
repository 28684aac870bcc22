package instance

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// AttachInterface gives a server one more port and plugs it into a free NIC of its machine, at once: all of it is rows of
// one transaction, which the networks follow. A NIC that names nothing means the only network of the project. It fails
// with NotFound for a port or network that the project does not see, with Conflict for one that is taken or while the
// server is busy, and with Invalid when there is no NIC left for it.
func (s *Service) AttachInterface(ctx context.Context, v Viewer, id string, by By, nic NIC) (port *network.Port, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.resting(ctx, tx, v, id, "attach_interface", Active, Stopped)
		if err != nil {
			return err
		}
		if nic.Network, err = s.meant(ctx, tx, i, nic); err != nil {
			return err
		}
		if err := s.reserve(ctx, tx, i, nic, nil); fault.Is(err, fault.Exhausted) {
			return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		} else if err != nil {
			return err
		}
		err = s.plug(ctx, tx, i, false)
		if fault.Is(err, fault.Exhausted) || errors.Is(err, network.PortUnguarded) {
			return fault.Wrap(err, fault.Invalid, "Failed to attach network adapter device to %s: %s", i.ID, fault.Message(err))
		}
		if err != nil {
			return err
		}
		if err := s.record(ctx, tx, i, by, "attach_interface", ""); err != nil {
			return err
		}
		if err := s.save(ctx, tx, i); err != nil {
			return err
		}
		port, err = s.networks.Port(ctx, tx, network.Everything, i.Ports[len(i.Ports)-1].ID)
		return err
	})
	return port, err
}

// meant is the network of a NIC: the one that it names, or the only one that the project has.
func (s *Service) meant(ctx context.Context, tx *db.Tx, i *Instance, nic NIC) (string, error) {
	if nic.Port != "" || nic.Network != "" {
		return nic.Network, nil
	}
	only, err := s.onlyNetwork(ctx, tx, i.Project)
	switch {
	case errors.Is(err, errAmbiguous):
		return "", fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	case err != nil:
		return "", err
	case only == nil:
		return "", fault.New(fault.Invalid, "No specific network was requested and none are available for project '%s'.", i.Project)
	}
	return only.ID, nil
}

// DetachInterface takes a port from a server and its machine. One that was made for the server is deleted, others are
// their project's again. It fails with NotFound for a port that is not the server's.
func (s *Service) DetachInterface(ctx context.Context, v Viewer, id, port string, by By) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.resting(ctx, tx, v, id, "detach_interface", Active, Stopped)
		if err != nil {
			return err
		}
		ports, err := s.networks.PortsOf(ctx, tx, i.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ports, func(p *network.Port) bool { return p.ID == port }) {
			return fault.New(fault.NotFound, "Port id %.80s could not be found.", port)
		}
		if err := s.letGo(ctx, tx, i.portOf(port)); err != nil {
			return err
		}
		if err := s.machines.Moved(ctx, tx, i.Machine); err != nil {
			return err
		}
		i.Ports = slices.DeleteFunc(i.Ports, func(p Port) bool { return p.ID == port })
		if err := s.record(ctx, tx, i, by, "detach_interface", ""); err != nil {
			return err
		}
		return s.save(ctx, tx, i)
	})
}

// PortTag is the tag of one of the instance's ports; empty: none.
func (i *Instance) PortTag(port string) string { return i.portOf(port).Tag }

// portOf is what the instance knows of a port of its own: whether it was made for it.
func (i *Instance) portOf(id string) Port {
	at := slices.IndexFunc(i.Ports, func(p Port) bool { return p.ID == id })
	if at < 0 {
		return Port{ID: id}
	}
	return i.Ports[at]
}

// AddAddress gives the server's port on a network one more address there. It fails with NotFound when no port of the
// server is on that network, and with Invalid when the network has none left.
func (s *Service) AddAddress(ctx context.Context, v Viewer, id, onNetwork string, by By) error {
	return s.readdress(ctx, v, id, by, "add_fixed_ip", func(tx *db.Tx, ports []*network.Port) (*network.Port, error) {
		at := slices.IndexFunc(ports, func(p *network.Port) bool { return p.Network == onNetwork })
		if at < 0 {
			return nil, fault.New(fault.NotFound, "Network %.80s could not be found for instance %s.", onNetwork, id)
		}
		subnets, err := s.networks.Subnets(ctx, tx, network.Everything, network.SubnetFilter{Networks: []string{onNetwork}})
		if err != nil {
			return nil, err
		}
		if len(subnets) == 0 {
			return nil, fault.New(fault.Invalid, "No fixed IP addresses available for network: %s", onNetwork)
		}
		ports[at].FixedIPs = append(ports[at].FixedIPs, network.FixedIP{Subnet: subnets[0].ID})
		return ports[at], nil
	})
}

// RemoveAddress takes an address from whichever port of the server has it; Invalid when none has.
func (s *Service) RemoveAddress(ctx context.Context, v Viewer, id string, address netip.Addr, by By) error {
	has := func(ip network.FixedIP) bool { return ip.Addr == address }
	return s.readdress(ctx, v, id, by, "remove_fixed_ip", func(_ *db.Tx, ports []*network.Port) (*network.Port, error) {
		at := slices.IndexFunc(ports, func(p *network.Port) bool { return slices.ContainsFunc(p.FixedIPs, has) })
		if at < 0 {
			return nil, fault.New(fault.Invalid, "Instance %s doesn't have fixed IP '%s'.", id, address)
		}
		ports[at].FixedIPs = slices.DeleteFunc(ports[at].FixedIPs, has)
		return ports[at], nil
	})
}

// readdress saves the addresses that choose leaves one of the server's ports with.
func (s *Service) readdress(ctx context.Context, v Viewer, id string, by By, action string, choose func(*db.Tx, []*network.Port) (*network.Port, error)) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.resting(ctx, tx, v, id, action, Active, Stopped)
		if err != nil {
			return err
		}
		ports, err := s.portsOf(ctx, tx, i)
		if err != nil {
			return err
		}
		port, err := choose(tx, ports)
		if err != nil {
			return err
		}
		_, err = s.networks.ChangePort(ctx, tx, port.ID, network.PortChange{FixedIPs: &port.FixedIPs})
		if fault.Is(err, fault.Exhausted) {
			return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		}
		if err != nil {
			return err
		}
		return s.record(ctx, tx, i, by, action, "")
	})
}

// AddSecurityGroup puts all ports of a server into a group that its project may use, but for those that have no port
// security. It fails with NotFound when there is no port to put into it.
func (s *Service) AddSecurityGroup(ctx context.Context, v Viewer, id, group string) error {
	return s.regroup(ctx, v, id, func(groups []string) ([]string, bool) { return append(groups, group), true },
		"instance_id %s could not be found as device id on any ports", id)
}

// RemoveSecurityGroup takes all ports of a server out of a group; NotFound when none is in it.
func (s *Service) RemoveSecurityGroup(ctx context.Context, v Viewer, id, group string) error {
	return s.regroup(ctx, v, id, func(groups []string) ([]string, bool) {
		in := slices.Contains(groups, group)
		return slices.DeleteFunc(groups, func(g string) bool { return g == group }), in
	}, "Security group %s not associated with the instance %s", group, id)
}

// regroup changes the groups of the server's ports as edit says, if that is of any use to them; none: NotFound, in these words.
func (s *Service) regroup(ctx context.Context, v Viewer, id string, edit func([]string) (groups []string, use bool), none string, args ...any) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.Get(ctx, tx, v, id)
		if err != nil {
			return err
		}
		ports, err := s.networks.PortsOf(ctx, tx, i.ID)
		if err != nil {
			return err
		}
		found := false
		for _, port := range ports {
			groups, use := edit(slices.Clone(port.Groups))
			if !use || !port.PortSecurity {
				continue
			}
			found = true
			if _, err := s.networks.ChangePort(ctx, tx, port.ID, network.PortChange{Groups: &groups}); err != nil {
				return err
			}
		}
		if !found {
			return fault.New(fault.NotFound, none, args...)
		}
		return nil
	})
}
