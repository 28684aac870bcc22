package network

import (
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Neutron's limits of a subnet.
const (
	mostDNS    = 5
	mostRoutes = 20
)

// check finds what cannot be a subnet.
func (s *Subnet) check() error {
	if err := s.Meta.check(); err != nil {
		return err
	}
	for _, find := range []func() error{s.checkCIDR, s.checkModes, s.checkGateway, s.checkPools, s.checkTold} {
		if err := find(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Subnet) checkCIDR() error {
	first := s.CIDR.Addr()
	switch {
	case s.CIDR != s.CIDR.Masked():
		return invalid("cidr", "'%s' isn't a recognized IP subnet cidr, '%s' is recommended", s.CIDR, s.CIDR.Masked())
	case s.CIDR.Bits() == 0:
		return badInput("0 is not allowed as CIDR prefix length")
	case first.IsLoopback():
		return badInput("Loopback IP subnet is not supported")
	case first.IsMulticast():
		return badInput("Multicast IP subnet is not supported")
	case first.Is6() && first.IsLinkLocalUnicast():
		return badInput("Link local subnet is not supported")
	case s.DHCP && first.BitLen()-s.CIDR.Bits() < 2:
		return badInput("Subnet has a prefix length that is incompatible with DHCP service enabled")
	}
	return nil
}

// checkModes knows which of Neutron's IPv6 modes go together.
func (s *Subnet) checkModes() error {
	for name, mode := range map[string]AddressMode{"ipv6_ra_mode": s.RAMode, "ipv6_address_mode": s.AddressMode} {
		switch {
		case mode == NoMode:
			continue
		case !slices.Contains([]AddressMode{SLAAC, DHCPv6Stateful, DHCPv6Stateless}, mode):
			return invalid(name, "'%s' is not in ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']", mode)
		case s.Version() == 4:
			return badInput("%s is not valid when ip_version is 4", name)
		case !s.DHCP:
			return badInput("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
		}
	}
	if s.RAMode != NoMode && s.AddressMode != NoMode && s.RAMode != s.AddressMode {
		return badInput("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both attributes are set, they must be the same value", s.RAMode, s.AddressMode)
	}
	if s.Auto() && s.CIDR.Bits() != 64 {
		return badInput("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64", s.CIDR)
	}
	return nil
}

// checkGateway lets a gateway be outside the subnet, as Neutron does; inside it must be an address that something may have.
func (s *Subnet) checkGateway() error {
	if !s.Gateway.IsValid() {
		return nil
	}
	if s.Gateway.Is4() != s.CIDR.Addr().Is4() {
		return badInput("gateway_ip '%s' does not match the ip_version '%d'", s.Gateway, s.Version())
	}
	if s.CIDR.Contains(s.Gateway) && !usable(s.CIDR).Contains(s.Gateway) || s.Gateway.IsMulticast() || s.Gateway.IsUnspecified() {
		return badInput("Gateway is not valid on subnet")
	}
	return nil
}

func (s *Subnet) checkPools() error {
	for i, p := range s.Pools {
		if p.First.Is4() != p.Last.Is4() || p.First.Is4() != s.CIDR.Addr().Is4() || p.Last.Less(p.First) {
			return refuse(fault.Invalid, BadPool, "The allocation pool %s is not valid.", p)
		}
		if all := usable(s.CIDR); !all.Contains(p.First) || !all.Contains(p.Last) {
			return refuse(fault.Invalid, PoolOutside, "The allocation pool %s spans beyond the subnet cidr %s.", p, s.CIDR)
		}
		for _, other := range s.Pools[:i] {
			if other.Contains(p.First) || p.Contains(other.First) {
				return refuse(fault.Conflict, PoolsOverlap, "Found overlapping allocation pools: %s %s for subnet %s.", other, p, s.CIDR)
			}
		}
		if s.Gateway.IsValid() && p.Contains(s.Gateway) {
			return refuse(fault.Conflict, GatewayInPool, "Gateway ip %s conflicts with allocation pool %s.", s.Gateway, p)
		}
	}
	return nil
}

// String writes a pool as Neutron does.
func (p Pool) String() string { return p.First.String() + "-" + p.Last.String() }

// checkTold checks what DHCP tells.
func (s *Subnet) checkTold() error {
	if len(s.DNS) > mostDNS {
		return refuse(fault.Invalid, TooManyDNS, "Unable to complete operation for %s. The number of DNS nameservers exceeds the limit %d.", s.ID, mostDNS)
	}
	for i, server := range s.DNS {
		if slices.Contains(s.DNS[:i], server) {
			return invalid("dns_nameservers", "Duplicate nameserver '%s'", server)
		}
	}
	if len(s.Routes) > mostRoutes {
		return refuse(fault.Invalid, TooManyRoutes, "Unable to complete operation for %s. The number of host routes exceeds the limit %d.", s.ID, mostRoutes)
	}
	for i, r := range s.Routes {
		if r.Destination != r.Destination.Masked() || !sameVersion(r.Destination.Addr(), s.CIDR.Addr()) || !sameVersion(r.NextHop, s.CIDR.Addr()) {
			return badInput("host route '%s' via '%s' does not fit the ip_version '%d'", r.Destination, r.NextHop, s.Version())
		}
		if slices.Contains(s.Routes[:i], r) {
			return invalid("host_routes", "Duplicate hostroute '%s'", r.Destination)
		}
	}
	for _, owner := range s.ServiceTypes {
		if owner == "" || len(owner) > 255 {
			return invalid("service_types", "'%s' is not a device owner", owner)
		}
	}
	return nil
}

func sameVersion(a, b netip.Addr) bool { return a.Is4() == b.Is4() }
