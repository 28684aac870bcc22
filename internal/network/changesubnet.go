package network

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// SubnetChange is what may change of a subnet; nil leaves it.
type SubnetChange struct {
	Name, Description *string
	Gateway           *netip.Addr // zero: none
	DHCP              *bool
	DNS               *[]netip.Addr
	Pools             *[]Pool // addresses that ports have outside of them stay theirs
	Routes            *[]Route
	ServiceTypes      *[]string
}

// ofRows reports whether it changes what OVN's rows are made of.
func (c *SubnetChange) ofRows() bool {
	return c.Gateway != nil || c.DHCP != nil || c.DNS != nil || c.Pools != nil || c.Routes != nil || c.ServiceTypes != nil
}

// ChangeSubnet changes a subnet. A gateway whose address a port has is a Conflict to change.
func (s *Service) ChangeSubnet(ctx context.Context, tx *db.Tx, id string, c SubnetChange) (*Subnet, error) {
	subnet, err := s.Subnet(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	if c.Gateway != nil && *c.Gateway != subnet.Gateway {
		if err := s.gatewayFree(ctx, tx, subnet); err != nil {
			return nil, err
		}
	}
	set(&subnet.Name, c.Name)
	set(&subnet.Description, c.Description)
	set(&subnet.Gateway, c.Gateway)
	set(&subnet.DHCP, c.DHCP)
	set(&subnet.DNS, c.DNS)
	set(&subnet.Pools, c.Pools)
	set(&subnet.Routes, c.Routes)
	set(&subnet.ServiceTypes, c.ServiceTypes)
	if err := subnet.check(); err != nil {
		return nil, err
	}
	if err := s.saveSubnet(ctx, tx, subnet); err != nil || !c.ofRows() {
		return subnet, err
	}
	return subnet, s.markCopies(ctx, tx, `id IN (SELECT port FROM network_address WHERE subnet = ?)`, subnet.ID)
}

// gatewayFree fails while a port, a router's most likely, has the gateway's address.
func (s *Service) gatewayFree(ctx context.Context, q db.Querier, subnet *Subnet) error {
	var port string
	err := q.QueryRowContext(ctx, `SELECT port FROM network_address WHERE subnet = $1 AND address = $2`, subnet.ID, text{&subnet.Gateway}).Scan(&port)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return refuse(fault.Conflict, GatewayInUse, "Current gateway ip %s already in use by port %s. Unable to update.", subnet.Gateway, port)
}

// DeleteSubnet deletes a subnet. It is a Conflict while ports have addresses of it, but for DHCP's ports and for addresses
// that machines make themselves.
func (s *Service) DeleteSubnet(ctx context.Context, tx *db.Tx, id string) error {
	subnet, err := s.Subnet(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	var where db.Where
	where.And(`id IN (SELECT port FROM network_address WHERE subnet = ?)`, id)
	ports, err := s.ports(ctx, tx, where)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DeviceOwner != dhcpOwner && (p.OfCloud() || !subnet.Auto()) {
			return refuse(fault.Conflict, SubnetInUse, "Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", subnet.ID)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM network_address WHERE subnet = $1 AND port = $2`, id, p.ID); err != nil {
			return err
		}
		p.FixedIPs = slices.DeleteFunc(p.FixedIPs, func(ip FixedIP) bool { return ip.Subnet == id })
		if err := s.savePort(ctx, tx, p); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM network_subnet WHERE id = $1`, id); err != nil {
		return err
	}
	return s.touchNetwork(ctx, tx, subnet.Network)
}
