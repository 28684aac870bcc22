package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// Interface says where a router came onto a network, or left it.
type Interface struct {
	Project string // the port's
	Network string
	Port    string
	Subnets []string // those that it came onto, or left
}

// place is an address that a router has.
type place struct {
	port   *network.Port
	addr   netip.Addr
	subnet *network.Subnet
}

func (p place) gateway() bool { return p.port.DeviceOwner == GatewayOwner }

// places are all addresses of a router, its gateway's included.
func (s *Service) places(ctx context.Context, q db.Querier, router string) ([]place, error) {
	ports, err := s.networks.Ports(ctx, q, network.Everything, network.PortFilter{Devices: []string{router}, Owners: []string{InterfaceOwner, GatewayOwner}})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range ports {
		ids = append(ids, subnetsOf(p)...)
	}
	subnets, err := s.subnets(ctx, q, ids)
	var places []place
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			places = append(places, place{p, ip.Addr, subnets[ip.Subnet]})
		}
	}
	return places, err
}

func subnetsOf(p *network.Port) (ids []string) {
	for _, ip := range p.FixedIPs {
		ids = append(ids, ip.Subnet)
	}
	return ids
}

// AddSubnet puts a router on a subnet that the viewer sees, with the subnet's gateway address. The address is the
// network's owner's to give: on a network that others share, a router gets on by a port (AddPort). All IPv6 subnets of a
// network are on one port.
func (s *Service) AddSubnet(ctx context.Context, tx *db.Tx, v network.Viewer, router, id string) (*Interface, error) {
	r, err := s.Router(ctx, tx, v, router)
	if err != nil {
		return nil, err
	}
	subnet, err := s.networks.Subnet(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	n, err := s.networks.Network(ctx, tx, v, subnet.Network)
	if err != nil {
		return nil, err
	}
	switch {
	case !v.All && n.Project != v.Project:
		return nil, fault.New(fault.Forbidden, "Only the owner of network %s and admins may give its gateway's address to a router. A port on it with an address of its own can be added.", n.ID)
	case !subnet.Gateway.IsValid():
		return nil, bad("router", "Subnet for router interface must have a gateway IP")
	case subnet.Version() == 6 && subnet.RAMode == network.NoMode && subnet.AddressMode != network.NoMode:
		return nil, bad("router", "IPv6 subnet %s configured to receive RAs from an external router cannot be added to Neutron Router", subnet.ID)
	}
	places, err := s.places(ctx, tx, r.ID)
	if err != nil {
		return nil, err
	}
	if err := fits(places, subnet); err != nil {
		return nil, err
	}
	p, err := s.plug(ctx, tx, r, places, network.FixedIP{Subnet: subnet.ID, Addr: subnet.Gateway}, subnet.Network)
	if err != nil {
		return nil, err
	}
	return &Interface{p.Project, p.Network, p.ID, []string{subnet.ID}}, s.save(ctx, tx, r)
}

// plug makes a port with the address, or adds an IPv6 address to the port that has the network's others.
func (s *Service) plug(ctx context.Context, tx *db.Tx, r *Router, places []place, ip network.FixedIP, on string) (*network.Port, error) {
	if at := slices.IndexFunc(places, func(at place) bool { return at.port.Network == on && at.addr.Is6() && !at.gateway() }); at >= 0 && ip.Addr.Is6() {
		ips := append(slices.Clone(places[at].port.FixedIPs), ip)
		return s.networks.ChangePort(ctx, tx, places[at].port.ID, network.PortChange{FixedIPs: &ips})
	}
	return s.networks.CreatePort(ctx, tx, network.NewPort{
		Network: on, Project: r.Project, FixedIPs: []network.FixedIP{ip}, DeviceID: r.ID, DeviceOwner: InterfaceOwner,
	})
}

// AddPort makes a port that the viewer sees, and that nothing uses, a router's, with the addresses it has.
func (s *Service) AddPort(ctx context.Context, tx *db.Tx, v network.Viewer, router, id string) (*Interface, error) {
	r, err := s.Router(ctx, tx, v, router)
	if err != nil {
		return nil, err
	}
	p, err := s.networks.Port(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	switch {
	case !v.All && p.Project != r.Project: // on a network of the viewer's, that others have ports on
		return nil, refuse(fault.NotFound, network.NoSuchPort, "Port %s could not be found.", p.ID)
	case p.DeviceID != "" || p.Host != "" || network.Reserved(p.DeviceOwner):
		return nil, refuse(fault.Conflict, network.PortInUse, "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.Network, p.DeviceID)
	case len(p.FixedIPs) == 0:
		return nil, bad("router", "Router port must have at least one fixed IP")
	}
	subnets, err := s.subnets(ctx, tx, subnetsOf(p))
	if err != nil {
		return nil, err
	}
	places, err := s.places(ctx, tx, r.ID)
	if err != nil {
		return nil, err
	}
	joined, four := []string{}, 0
	for _, ip := range p.FixedIPs {
		subnet := subnets[ip.Subnet]
		if err := fits(places, subnet); err != nil {
			return nil, err
		}
		if six := slices.IndexFunc(places, func(at place) bool { return at.port.Network == p.Network && at.addr.Is6() }); six >= 0 && ip.Addr.Is6() {
			return nil, bad("router", "Cannot have multiple router ports with the same network id if both contain IPv6 subnets. Existing port %s has IPv6 subnet(s) and network id %s", places[six].port.ID, p.Network)
		}
		if ip.Addr.Is4() {
			four++
		}
		joined = append(joined, subnet.ID)
	}
	if four > 1 {
		return nil, bad("router", "Cannot have multiple IPv4 subnets on router port")
	}
	owner, unguarded := InterfaceOwner, false // a router sends from everybody's addresses
	if _, err := s.networks.ChangePort(ctx, tx, p.ID, network.PortChange{
		DeviceID: &r.ID, DeviceOwner: &owner, PortSecurity: &unguarded, Groups: &[]string{}, AllowedPairs: &[]network.AddressPair{},
	}); err != nil {
		return nil, err
	}
	return &Interface{p.Project, p.Network, p.ID, joined}, s.save(ctx, tx, r)
}

// fits fails for a subnet that the router is on already, or whose addresses another of its interfaces leads to. An
// external network's addresses may be a tenant's too: the longer prefix wins.
func fits(places []place, subnet *network.Subnet) error {
	for _, at := range places {
		if at.subnet.ID == subnet.ID {
			return bad("router", "Router already has a port on subnet %s", subnet.ID)
		}
		if !at.gateway() && at.subnet.CIDR.Overlaps(subnet.CIDR) {
			return bad("router", "Cidr %s of subnet %s overlaps with cidr %s of subnet %s", subnet.CIDR, subnet.ID, at.subnet.CIDR, at.subnet.ID)
		}
	}
	return nil
}

// Remove takes a router from a network: by the port, with all its subnets, or by one subnet; with both, the subnet must
// be the port's. It fails with Conflict while a floating IP or a route needs the interface.
func (s *Service) Remove(ctx context.Context, tx *db.Tx, v network.Viewer, router, port, subnet string) (*Interface, error) {
	r, err := s.Router(ctx, tx, v, router)
	if err != nil {
		return nil, err
	}
	places, err := s.places(ctx, tx, r.ID)
	if err != nil {
		return nil, err
	}
	places = slices.DeleteFunc(places, place.gateway)
	var leaving []place
	if port != "" {
		leaving = slices.DeleteFunc(slices.Clone(places), func(at place) bool { return at.port.ID != port })
		if len(leaving) == 0 {
			return nil, refuse(fault.NotFound, NoSuchInterface, "Router %s does not have an interface with id %s", r.ID, port)
		}
		if subnet != "" && !slices.ContainsFunc(leaving, func(at place) bool { return at.subnet.ID == subnet }) {
			return nil, refuse(fault.Invalid, SubnetNotOfPort, "Subnet on port %s does not match the requested subnet %s.", port, subnet)
		}
	} else {
		if _, err := s.networks.Subnet(ctx, tx, v, subnet); err != nil {
			return nil, err
		}
		leaving = slices.DeleteFunc(slices.Clone(places), func(at place) bool { return at.subnet.ID != subnet })
		if len(leaving) == 0 {
			return nil, refuse(fault.NotFound, NoInterfaceOnSubnet, "Router %s has no interface on subnet %s", r.ID, subnet)
		}
	}
	gone := &Interface{Project: leaving[0].port.Project, Network: leaving[0].port.Network, Port: leaving[0].port.ID}
	for _, at := range leaving {
		if err := s.unneeded(ctx, tx, r, at.subnet); err != nil {
			return nil, err
		}
		gone.Subnets = append(gone.Subnets, at.subnet.ID)
	}
	if err := s.unplug(ctx, tx, leaving[0].port, gone.Subnets); err != nil {
		return nil, err
	}
	return gone, s.save(ctx, tx, r)
}

// unplug takes the port from the subnets; a port that is on no other is deleted.
func (s *Service) unplug(ctx context.Context, tx *db.Tx, p *network.Port, subnets []string) error {
	left := slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip network.FixedIP) bool { return slices.Contains(subnets, ip.Subnet) })
	if len(left) == 0 {
		return s.networks.DeletePort(ctx, tx, p.ID)
	}
	_, err := s.networks.ChangePort(ctx, tx, p.ID, network.PortChange{FixedIPs: &left})
	return err
}

// unneeded fails while a floating IP leads to the subnet by this router, or a route of it begins there.
func (s *Service) unneeded(ctx context.Context, q db.Querier, r *Router, subnet *network.Subnet) error {
	served, err := s.FloatingIPs(ctx, q, network.Everything, FloatingIPFilter{Routers: []string{r.ID}})
	if err != nil {
		return err
	}
	for _, f := range served {
		if subnet.CIDR.Contains(f.FixedAddr) || slices.ContainsFunc(f.Forwardings, func(f *Forwarding) bool { return subnet.CIDR.Contains(f.Addr) }) {
			return refuse(fault.Conflict, InterfaceInUseByFIP, "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", subnet.ID, r.ID)
		}
	}
	if slices.ContainsFunc(r.Routes, func(route network.Route) bool { return subnet.CIDR.Contains(route.NextHop) }) {
		return refuse(fault.Conflict, InterfaceInUseByRoute, "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", subnet.ID, r.ID)
	}
	return nil
}
