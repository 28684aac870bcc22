package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// GatewayWish says where a router's gateway is to be.
type GatewayWish struct {
	Network  string
	FixedIPs []network.FixedIP // nil: those it has, or one of each IP version the network has
	SNAT     bool
}

// setGateway puts the router on an external network that the viewer sees. The gateway belongs to no project, so that
// tenants do not meet its port.
func (s *Service) setGateway(ctx context.Context, tx *db.Tx, v network.Viewer, r *Router, wish GatewayWish) error {
	n, err := s.external(ctx, tx, v, wish.Network)
	if err != nil {
		return err
	}
	if n == nil {
		return bad("router", "Network %s is not an external network", wish.Network)
	}
	if len(n.Subnets) == 0 {
		return bad("router", "Network %s has no subnet that a gateway could have an address of", n.ID)
	}
	if hop, err := s.nextHop(ctx, tx, n, wish.FixedIPs); err != nil {
		return err
	} else if hop.IsValid() {
		return bad("router", "External IP %s is the same as the gateway IP", hop)
	}
	if r.Gateway == nil || r.Gateway.Network != n.ID {
		if err := s.moveGateway(ctx, tx, r, n, wish.FixedIPs); err != nil {
			return err
		}
	} else if wish.FixedIPs != nil {
		p, err := s.networks.ChangePort(ctx, tx, r.Gateway.Port, network.PortChange{FixedIPs: &wish.FixedIPs})
		if err != nil {
			return err
		}
		r.Gateway.FixedIPs = p.FixedIPs
	}
	r.Gateway.SNAT = wish.SNAT
	return nil
}

func (s *Service) moveGateway(ctx context.Context, tx *db.Tx, r *Router, n *network.Network, ips []network.FixedIP) error {
	if err := s.clearGateway(ctx, tx, r); err != nil {
		return err
	}
	places, err := s.places(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	for _, at := range places {
		if slices.Contains(n.Subnets, at.subnet.ID) {
			return bad("router", "Router already has a port on subnet %s", at.subnet.ID)
		}
	}
	p, err := s.networks.CreatePort(ctx, tx, network.NewPort{Network: n.ID, FixedIPs: ips, DeviceID: r.ID, DeviceOwner: GatewayOwner})
	if err != nil {
		return err
	}
	r.Gateway = &Gateway{Network: n.ID, Port: p.ID, FixedIPs: p.FixedIPs}
	return nil
}

// clearGateway takes the router off its external network. It fails with Conflict while a floating IP needs the gateway.
func (s *Service) clearGateway(ctx context.Context, tx *db.Tx, r *Router) error {
	if r.Gateway == nil {
		return nil
	}
	served, err := s.FloatingIPs(ctx, tx, network.Everything, FloatingIPFilter{Routers: []string{r.ID}})
	if err != nil {
		return err
	}
	if len(served) > 0 {
		return refuse(fault.Conflict, GatewayInUse, "Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.", r.ID, r.Gateway.Network)
	}
	if err := s.networks.DeletePort(ctx, tx, r.Gateway.Port); err != nil {
		return err
	}
	r.Gateway = nil
	return nil
}

// external finds a network that the viewer sees; nil when it is not an external one.
func (s *Service) external(ctx context.Context, q db.Querier, v network.Viewer, id string) (*network.Network, error) {
	n, err := s.networks.Network(ctx, q, v, id)
	if err != nil || !n.External {
		return nil, err
	}
	return n, nil
}

// nextHop gives the one of the addresses that is the gateway of the network's subnets, which nothing of ours may have:
// it is what leads on from there.
func (s *Service) nextHop(ctx context.Context, q db.Querier, n *network.Network, ips []network.FixedIP) (netip.Addr, error) {
	subnets, err := s.subnets(ctx, q, n.Subnets)
	for _, ip := range ips {
		for _, subnet := range subnets {
			if ip.Addr.IsValid() && ip.Addr == subnet.Gateway {
				return ip.Addr, err
			}
		}
	}
	return netip.Addr{}, err
}
