package network

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// NetworkChange is what may change of a network; nil leaves it.
type NetworkChange struct {
	Name, Description         *string
	AdminUp                   *bool // a network that is down gives no leases
	Shared, External, Default *bool
	PortSecurity              *bool // of ports made from now on
	MTU                       *int  // bytes; 0: the most that fits
	QoS, DNSDomain            *string
}

// ChangeNetwork changes a network and gives it as the viewer sees it then. It fails with Conflict while others use what
// is taken from them.
func (s *Service) ChangeNetwork(ctx context.Context, tx *db.Tx, v Viewer, id string, c NetworkChange) (*Network, error) {
	n, err := s.Network(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	policy, mtu := n.QoS, n.MTU
	set(&n.Name, c.Name)
	set(&n.Description, c.Description)
	set(&n.AdminUp, c.AdminUp)
	set(&n.External, c.External)
	set(&n.Default, c.Default)
	set(&n.PortSecurity, c.PortSecurity)
	set(&n.QoS, c.QoS)
	set(&n.DNSDomain, c.DNSDomain)
	if !n.External {
		n.Default = false
	}
	if c.MTU != nil {
		if err := s.resize(ctx, tx, n, *c.MTU); err != nil {
			return nil, err
		}
	}
	if err := s.checkNetwork(ctx, tx, n); err != nil {
		return nil, err
	}
	if c.Shared != nil {
		if err := s.toggle(ctx, tx, n, AsShared, *c.Shared); err != nil {
			return nil, err
		}
		n.Shared = *c.Shared
	}
	if c.External != nil {
		if err := s.toggle(ctx, tx, n, AsExternal, n.External); err != nil {
			return nil, err
		}
	}
	if n.QoS != policy {
		if err := s.checkPolicy(ctx, tx, n.Project, n.QoS); err != nil {
			return nil, err
		}
		if err := s.MarkPorts(ctx, tx, n.ID); err != nil {
			return nil, err
		}
	}
	if n.MTU != mtu {
		if err := s.markCopies(ctx, tx, `network = ?`, n.ID); err != nil {
			return nil, err
		}
	}
	return n, s.saveNetwork(ctx, tx, n)
}

// resize gives the network another MTU. IPv6 needs 1280 bytes (RFC 8200).
func (s *Service) resize(ctx context.Context, q db.Querier, n *Network, mtu int) error {
	n.MTU = mtu
	if mtu == 0 {
		n.MTU = s.mostMTU(n.Kind)
	}
	if n.MTU >= 1280 {
		return nil
	}
	subnets, err := s.subnetsOf(ctx, q, n.ID)
	for _, subnet := range subnets {
		if subnet.Version() == 6 {
			return refuse(fault.Invalid, MTUTooSmall, "MTU of %d is not valid for network %s: its IPv6 subnets need at least 1280.", n.MTU, n.ID)
		}
	}
	return err
}

// toggle lets all projects use the network in that way, or none. It fails while one of them depends on it.
func (s *Service) toggle(ctx context.Context, tx *db.Tx, n *Network, action string, on bool) error {
	if on {
		return s.share(ctx, tx, n.Project, SharedNetwork, n.ID, action)
	}
	removed, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM network_rbac WHERE kind = 'network' AND object = $1 AND action = $2 AND (target = '*' OR action = 'access_as_external')`, n.ID, action))
	if err != nil || removed == 0 {
		return err
	}
	if action == AsExternal {
		return s.noGateways(ctx, tx, n)
	}
	used, err := s.usedUnshared(ctx, tx, &RBAC{Kind: SharedNetwork, Object: n.ID})
	if err == nil && used != "" {
		err = refuse(fault.Conflict, SharedNetworkUsed, "Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.ID)
	}
	return err
}

// noGateways fails while routers have their gateways on the network, or floating IPs come from it.
func (s *Service) noGateways(ctx context.Context, q db.Querier, n *Network) error {
	used, err := exists(ctx, q, `SELECT 1 FROM network_port WHERE network = $1 AND device_owner IN ('network:router_gateway', 'network:floatingip') LIMIT 1`, n.ID)
	if err == nil && used {
		err = refuse(fault.Conflict, NetworkInUse, "External network %s cannot be updated to be made non-external, since it has existing gateway ports.", n.ID)
	}
	return err
}

// MarkPorts has the rows of all ports on a network looked at again.
func (s *Service) MarkPorts(ctx context.Context, tx *db.Tx, network string) error {
	ids, err := db.List(ctx, tx, scanID, `SELECT id FROM network_port WHERE network = $1`, network)
	for _, id := range ids {
		if err := markPort(ctx, tx, id); err != nil {
			return err
		}
	}
	return err
}

// markCopies has those of some ports looked at again whose rows, or whose watchers' rows, copy something of their network or
// subnets: ports with DHCP options of their own, and routers' ports.
func (s *Service) markCopies(ctx context.Context, tx *db.Tx, of string, id string) error {
	var where db.Where
	where.And(of, id)
	where.And(`dhcp_options <> '[]' OR substr(device_owner, 1, ?) = ?`, len(routerOwner), routerOwner)
	ports, err := s.ports(ctx, tx, where)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := s.changed(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// DeleteNetwork deletes a network with its subnets, and with the floating IPs that lead nowhere, as Neutron does. It is a
// Conflict while other ports are on it, but for DHCP's.
func (s *Service) DeleteNetwork(ctx context.Context, tx *db.Tx, id string) error {
	n, err := s.Network(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	ports, err := s.Ports(ctx, tx, Everything, PortFilter{Networks: []string{id}})
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DeviceOwner != dhcpOwner && p.DeviceOwner != floatingIPOwner {
			return refuse(fault.Conflict, NetworkInUse, "Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s", n.ID, p.ID)
		}
		if err := s.DeletePort(ctx, tx, p.ID); err != nil {
			return err
		}
	}
	if err := s.Unshare(ctx, tx, SharedNetwork, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM network WHERE id = $1`, id); err != nil {
		return err
	}
	return markNetwork(ctx, tx, id)
}
