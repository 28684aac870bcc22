package network

import (
	"context"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
)

// NewSubnet says what subnet is wanted. Network, Project and either CIDR or a subnet pool are required.
type NewSubnet struct {
	Network, Project  string
	Name, Description string
	Version           int          // 4 or 6; 0: the CIDR's
	CIDR              netip.Prefix // zero: any of the pool's
	SubnetPool        string       // id; empty: none
	DefaultPool       bool         // the default subnet pool of the version
	Bits              int          // length of the prefix from the pool; 0: the pool's own choice
	Gateway           *netip.Addr  // nil: the first address; zero: none
	NoDHCP            bool
	DNS               []netip.Addr
	Pools             []Pool // nil: all but the gateway's address
	Routes            []Route
	RAMode            AddressMode
	AddressMode       AddressMode
	ServiceTypes      []string
	Tags              []string
}

// CreateSubnet makes a subnet of a network. Ports that are on the network already get addresses of it where machines make
// them themselves. It fails with Quota when the project has as many as it may.
func (s *Service) CreateSubnet(ctx context.Context, tx *db.Tx, spec NewSubnet) (*Subnet, error) {
	n, err := s.Network(ctx, tx, Everything, spec.Network)
	if err != nil {
		return nil, err
	}
	if err := s.WithinQuota(ctx, tx, spec.Project, "subnet"); err != nil {
		return nil, err
	}
	subnet := &Subnet{
		Meta:    Meta{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Tags: spec.Tags, Created: s.clock.Now()},
		Network: n.ID, CIDR: spec.CIDR, DHCP: !spec.NoDHCP, DNS: spec.DNS, Pools: spec.Pools, Routes: spec.Routes,
		RAMode: spec.RAMode, AddressMode: spec.AddressMode, ServiceTypes: spec.ServiceTypes,
	}
	subnet.Updated = subnet.Created
	if err := s.choosePrefix(ctx, tx, subnet, spec); err != nil {
		return nil, err
	}
	if spec.Version != 0 && spec.Version != subnet.Version() {
		return nil, badInput("cidr '%s' does not match the ip_version '%d'", subnet.CIDR, spec.Version)
	}
	if err := s.checkBeside(ctx, tx, n, subnet); err != nil {
		return nil, err
	}
	switch {
	case spec.Gateway != nil:
		subnet.Gateway = *spec.Gateway
	default:
		subnet.Gateway = firstHost(subnet.CIDR)
	}
	if subnet.Pools == nil {
		subnet.Pools = without(usable(subnet.CIDR), subnet.Gateway)
	}
	if err := subnet.check(); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, SubnetTable, subnetColumns, subnet.row()); err != nil {
		return nil, err
	}
	if err := s.touchNetwork(ctx, tx, n.ID); err != nil {
		return nil, err
	}
	return subnet, s.addAutomatic(ctx, tx, subnet)
}

// choosePrefix takes a prefix of a subnet pool, if one is asked for.
func (s *Service) choosePrefix(ctx context.Context, tx *db.Tx, subnet *Subnet, spec NewSubnet) error {
	id := spec.SubnetPool
	if spec.DefaultPool && id == "" && !spec.CIDR.IsValid() {
		pool, err := s.defaultSubnetPool(ctx, tx, max(spec.Version, 4))
		if err != nil {
			return err
		}
		id = pool.ID
	}
	switch {
	case id != "":
		pool, err := s.SubnetPool(ctx, tx, Viewer{Project: spec.Project}, id)
		if err != nil {
			return err
		}
		subnet.SubnetPool = pool.ID
		subnet.CIDR, err = s.cut(ctx, tx, pool, spec)
		return err
	case !spec.CIDR.IsValid():
		return badRequest("subnets", "a subnetpool must be specified in the absence of a cidr")
	case spec.Bits != 0:
		return badRequest("subnets", "allocation of a prefix length needs a subnetpool")
	}
	return nil
}

// checkBeside finds what cannot be beside the network's other subnets.
func (s *Service) checkBeside(ctx context.Context, q db.Querier, n *Network, subnet *Subnet) error {
	others, err := s.subnetsOf(ctx, q, n.ID)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.CIDR.Overlaps(subnet.CIDR) {
			return badInput("Requested subnet with cidr: %s for network: %s overlaps with another subnet", subnet.CIDR, n.ID)
		}
		if o.Version() == subnet.Version() && o.SubnetPool != subnet.SubnetPool {
			return poolAffinity()
		}
	}
	if subnet.Version() == 6 && n.MTU < 1280 {
		return badInput("The network's MTU of %d bytes is too small for IPv6, which needs 1280", n.MTU)
	}
	return nil
}

// touchNetwork raises a network's revision, because its list of subnets has changed.
func (s *Service) touchNetwork(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE network SET revision = revision + 1, updated_at = $2 WHERE id = $1`, id, s.clock.Now()); err != nil {
		return err
	}
	return markNetwork(ctx, tx, id)
}

// addAutomatic gives the ports that are there already their addresses on a new subnet, as their machines will make them.
func (s *Service) addAutomatic(ctx context.Context, tx *db.Tx, subnet *Subnet) error {
	if !subnet.Auto() {
		return nil
	}
	ports, err := s.Ports(ctx, tx, Everything, PortFilter{Networks: []string{subnet.Network}})
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.OfCloud() && p.DeviceOwner != dhcpOwner || !subnet.serves(p) {
			continue
		}
		if err := s.takeAutomatic(ctx, tx, p, subnet); err != nil {
			return err
		}
		if err := s.savePort(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// serves reports whether the port may have addresses of the subnet.
func (s *Subnet) serves(p *Port) bool {
	return len(s.ServiceTypes) == 0 || slices.Contains(s.ServiceTypes, p.DeviceOwner)
}

// usable are the addresses of a prefix that something may have: not an IPv4 network's first and last (RFC 922; two or one
// have neither, RFC 3021), and not an IPv6 subnet's anycast address (RFC 4291).
func usable(p netip.Prefix) Pool {
	all := Pool{p.Addr(), broadcast(p)}
	switch {
	case p.Addr().BitLen()-p.Bits() < 2:
		return all
	case p.Addr().Is4():
		return Pool{all.First.Next(), all.Last.Prev()}
	}
	return Pool{all.First.Next(), all.Last}
}

func firstHost(p netip.Prefix) netip.Addr { return usable(p).First }

// broadcast is the last address of a prefix.
func broadcast(p netip.Prefix) netip.Addr {
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(last)
	return addr
}

// without is the pool less one address.
func without(p Pool, hole netip.Addr) []Pool {
	if !hole.IsValid() || !p.Contains(hole) {
		return []Pool{p}
	}
	var parts []Pool
	if hole != p.First {
		parts = append(parts, Pool{p.First, hole.Prev()})
	}
	if hole != p.Last {
		parts = append(parts, Pool{hole.Next(), p.Last})
	}
	return parts
}
