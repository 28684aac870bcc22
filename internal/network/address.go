package network

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// allocate gives a port its addresses: those wanted, or, where want is nil, one of each IP version that the network has.
// had are addresses that the port gave back in this transaction: it may keep them, wherever they are.
func (s *Service) allocate(ctx context.Context, tx *db.Tx, n *Network, p *Port, want, had []FixedIP) error {
	subnets, err := s.subnetsOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	p.FixedIPs = nil
	if want == nil {
		return s.takeDefault(ctx, tx, p, subnets)
	}
	for _, w := range want {
		if err := s.takeWanted(ctx, tx, n, p, subnets, w, had); err != nil {
			return err
		}
	}
	return nil
}

// takeDefault takes an address of each IP version, and one of each subnet whose addresses machines make themselves.
func (s *Service) takeDefault(ctx context.Context, tx *db.Tx, p *Port, subnets []*Subnet) error {
	for _, version := range []int{4, 6} {
		same := slices.DeleteFunc(slices.Clone(subnets), func(subnet *Subnet) bool {
			return subnet.Version() != version || subnet.Auto() || !subnet.serves(p)
		})
		if len(same) == 0 {
			continue
		}
		if err := s.takeAny(ctx, tx, p, same); err != nil {
			return err
		}
	}
	for _, subnet := range subnets {
		if !subnet.Auto() || !subnet.serves(p) || p.OfCloud() && p.DeviceOwner != dhcpOwner {
			continue
		}
		if err := s.takeAutomatic(ctx, tx, p, subnet); err != nil {
			return err
		}
	}
	return nil
}

// takeAutomatic takes the address that the machine makes itself.
func (s *Service) takeAutomatic(ctx context.Context, tx *db.Tx, p *Port, subnet *Subnet) error {
	return s.takeOrFail(ctx, tx, p, FixedIP{subnet.ID, eui64(subnet.CIDR, p.MAC)})
}

// eui64 is the address that a machine makes of a prefix and its MAC (RFC 4291, appendix A).
func eui64(prefix netip.Prefix, mac string) netip.Addr {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return netip.Addr{}
	}
	b := prefix.Addr().As16()
	copy(b[8:], []byte{hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]})
	return netip.AddrFrom16(b)
}

// readdressMAC gives the port another MAC, and with it other addresses where machines make them of it.
func (s *Service) readdressMAC(ctx context.Context, tx *db.Tx, p *Port, mac string) error {
	if mac == p.MAC || !isMAC(mac) { // what is no MAC the port's check refuses
		p.MAC = mac
		return nil
	}
	subnets, err := s.subnetsByID(ctx, tx, p.Network)
	if err != nil {
		return err
	}
	for i, old := range p.FixedIPs {
		subnet := subnets[old.Subnet]
		if !subnet.Auto() || old.Addr != eui64(subnet.CIDR, p.MAC) {
			continue
		}
		now := FixedIP{old.Subnet, eui64(subnet.CIDR, mac)}
		taken, err := exists(ctx, tx, `SELECT 1 FROM network_address WHERE subnet = $1 AND address = $2`, now.Subnet, text{&now.Addr})
		if err != nil {
			return err
		}
		if taken {
			return addressInUse(now)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE network_address SET address = $3 WHERE subnet = $1 AND address = $2`, old.Subnet, text{&old.Addr}, text{&now.Addr}); err != nil {
			return err
		}
		p.FixedIPs[i] = now
	}
	p.MAC = mac
	return nil
}

func (s *Service) takeWanted(ctx context.Context, tx *db.Tx, n *Network, p *Port, subnets []*Subnet, want FixedIP, had []FixedIP) error {
	at := slices.IndexFunc(subnets, func(subnet *Subnet) bool {
		return subnet.ID == want.Subnet || want.Subnet == "" && subnet.CIDR.Contains(want.Addr)
	})
	if at < 0 && want.Subnet == "" {
		return refuse(fault.Invalid, AddressNotOnNetwork, "IP address %s is not a valid IP for any of the subnets on the specified network.", want.Addr)
	}
	if at < 0 {
		return fault.New(fault.Invalid, "Invalid input for operation: Failed to create port on network %s, because fixed_ips included invalid subnet %s.", n.ID, want.Subnet)
	}
	subnet := subnets[at]
	if !want.Addr.IsValid() {
		for _, old := range had {
			if old.Subnet == subnet.ID && !slices.Contains(p.FixedIPs, old) {
				return s.takeOrFail(ctx, tx, p, old)
			}
		}
		if subnet.Auto() && !p.OfCloud() {
			return s.takeAutomatic(ctx, tx, p, subnet)
		}
		return s.takeAny(ctx, tx, p, []*Subnet{subnet})
	}
	want.Subnet = subnet.ID
	if !subnet.mayHave(want.Addr, p.Project == n.Project || p.OfCloud()) && !slices.Contains(had, want) {
		return refuse(fault.Invalid, AddressNotOnSubnet, "IP address %s is not a valid IP for the specified subnet.", want.Addr)
	}
	if subnet.Auto() && !p.OfCloud() && want.Addr != eui64(subnet.CIDR, p.MAC) {
		return refuse(fault.Invalid, AddressIsAutomatic, "IPv6 address %s can not be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses", want.Addr, subnet.ID)
	}
	// On a wire the gateway is somebody's whom we do not know.
	if want.Addr == subnet.Gateway && n.Kind != GeneveKind && !p.OfCloud() {
		return addressInUse(want)
	}
	return s.takeOrFail(ctx, tx, p, want)
}

// mayHave reports whether a port may ask for the address. Guests on a network get only what is in its pools: the rest is
// its owner's, for the things that stand beside the cloud. Addresses that machines make themselves are in no pool.
func (s *Subnet) mayHave(a netip.Addr, owner bool) bool {
	if !owner && !s.Auto() {
		return slices.ContainsFunc(s.Pools, func(p Pool) bool { return p.Contains(a) })
	}
	return usable(s.CIDR).Contains(a)
}

func addressInUse(ip FixedIP) error {
	return refuse(fault.Conflict, AddressInUse, "IP address %s already allocated in subnet %s", ip.Addr, ip.Subnet)
}

func (s *Service) takeOrFail(ctx context.Context, tx *db.Tx, p *Port, ip FixedIP) error {
	ok, err := s.take(ctx, tx, p, ip)
	if err == nil && !ok {
		err = addressInUse(ip)
	}
	return err
}

// take makes the address the port's, unless somebody has it.
func (s *Service) take(ctx context.Context, tx *db.Tx, p *Port, ip FixedIP) (bool, error) {
	changed, err := db.Changed(tx.ExecContext(ctx, `INSERT INTO network_address (subnet, address, port, place) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		ip.Subnet, text{&ip.Addr}, p.ID, len(p.FixedIPs)))
	if err != nil || changed == 0 {
		return false, err
	}
	p.FixedIPs = append(p.FixedIPs, ip)
	return true, nil
}

// takeAny takes a free address of the first subnet that has one. It tries some at random, because a released address
// should rest before it is another's, and because parallel creates then seldom meet; a pool that is nearly full is searched.
func (s *Service) takeAny(ctx context.Context, tx *db.Tx, p *Port, subnets []*Subnet) error {
	for _, subnet := range subnets {
		for range 8 {
			addr, ok := draw(subnet.Pools)
			if !ok {
				break
			}
			if ok, err := s.take(ctx, tx, p, FixedIP{subnet.ID, addr}); ok || err != nil {
				return err
			}
		}
		if ok, err := s.search(ctx, tx, p, subnet); ok || err != nil {
			return err
		}
	}
	return refuse(fault.Exhausted, OutOfAddresses, "No more IP addresses available on network %s.", p.Network)
}

func (s *Service) search(ctx context.Context, tx *db.Tx, p *Port, subnet *Subnet) (bool, error) {
	taken, err := db.List(ctx, tx, func(row db.Scanner) (a netip.Addr, err error) { return a, row.Scan(text{&a}) },
		`SELECT address FROM network_address WHERE subnet = $1`, subnet.ID)
	if err != nil {
		return false, err
	}
	used := map[netip.Addr]bool{}
	for _, a := range taken {
		used[a] = true
	}
	for _, pool := range subnet.Pools {
		for a := pool.First; pool.Contains(a); a = a.Next() {
			if used[a] {
				continue
			}
			if ok, err := s.take(ctx, tx, p, FixedIP{subnet.ID, a}); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// draw picks an address of the pools at random. Of a pool with more than 2^32 addresses it uses the first ones.
func draw(pools []Pool) (netip.Addr, bool) {
	var total uint64
	for _, p := range pools {
		total += p.size()
	}
	if total == 0 {
		return netip.Addr{}, false
	}
	n := rand.Uint64N(total)
	for _, p := range pools {
		if n < p.size() {
			return plus(p.First, n), true
		}
		n -= p.size()
	}
	return netip.Addr{}, false
}

const mostDrawn = 1 << 32

func (p Pool) size() uint64 {
	first, last := p.First.As16(), p.Last.As16()
	if [8]byte(first[:8]) != [8]byte(last[:8]) {
		return mostDrawn
	}
	return min(binary.BigEndian.Uint64(last[8:])-binary.BigEndian.Uint64(first[8:])+1, mostDrawn)
}

// plus is the n-th address after a, n < 2^32.
func plus(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	low := binary.BigEndian.Uint64(b[8:])
	binary.BigEndian.PutUint64(b[8:], low+n)
	if low+n < low {
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+1)
	}
	sum := netip.AddrFrom16(b)
	if a.Is4() {
		return sum.Unmap()
	}
	return sum
}
