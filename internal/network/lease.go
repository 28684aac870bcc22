package network

import (
	"context"
	"net/netip"
)

// Lease is what DHCP tells the machine behind a bound port.
type Lease struct {
	Addr     netip.Prefix // the address with the length of its subnet
	Gateway  netip.Addr   // zero: none
	DNS      []netip.Addr
	MTU      int // bytes
	Hostname string
}

// LeaseOf is the lease of the NIC with that MAC: the first IPv4 address of the port that is bound to it. It is nil where
// there is none to give: no port, one that is down or without an address, a network that is down, DHCP switched off. A NIC
// with an edge has OVN's DHCP on its network, and none before it is there.
func (s *Service) LeaseOf(ctx context.Context, mac string) (*Lease, error) {
	p, err := s.PortByMAC(ctx, s.db, mac)
	if err != nil || p == nil || !p.AdminUp || p.Edge.Kind != NoEdge {
		return nil, err
	}
	n, err := s.Network(ctx, s.db, Everything, p.Network)
	if err != nil || !n.AdminUp {
		return nil, err
	}
	subnets, err := s.subnetsByID(ctx, s.db, n.ID)
	if err != nil {
		return nil, err
	}
	for _, ip := range p.FixedIPs {
		if subnet := subnets[ip.Subnet]; subnet != nil && subnet.DHCP && ip.Addr.Is4() {
			return &Lease{netip.PrefixFrom(ip.Addr, subnet.CIDR.Bits()), subnet.Gateway, subnet.DNS, n.MTU, p.Hostname(ip.Addr)}, nil
		}
	}
	return nil, nil
}
