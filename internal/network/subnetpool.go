package network

import (
	"context"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// SubnetPool has prefixes that subnets are cut from.
type SubnetPool struct {
	Meta
	Prefixes     []netip.Prefix // merged and sorted, all of one IP version
	DefaultBits  int            // length of the prefixes that it gives
	LeastBits    int            // the shortest that may be asked for
	MostBits     int            // the longest
	Quota        int64          // what a project may have of it, in addresses (v4) or /64s (v6); Unlimited
	Default      bool           // the one that is meant where none is named
	AddressScope string         // id; empty: none
	Shared       bool           // the viewer may cut subnets from it although it is another project's
}

// Version is 4 or 6.
func (p *SubnetPool) Version() int {
	if p.Prefixes[0].Addr().Is4() {
		return 4
	}
	return 6
}

// CreateSubnetPool makes a pool. Lengths that are 0 are Neutron's: 8 to 32 for IPv4, 64 to 128 for IPv6, the largest
// subnet by default.
func (s *Service) CreateSubnetPool(ctx context.Context, tx *db.Tx, p SubnetPool) (*SubnetPool, error) {
	if err := s.WithinQuota(ctx, tx, p.Project, "subnetpool"); err != nil {
		return nil, err
	}
	p.ID, p.Created = uuid.NewString(), s.clock.Now()
	p.Updated = p.Created
	p.Prefixes = merge(p.Prefixes)
	if len(p.Prefixes) == 0 {
		return nil, refuse(fault.Invalid, SubnetPoolEmpty, "Empty subnet pool prefix list.")
	}
	longest := p.Prefixes[0].Addr().BitLen()
	if p.LeastBits == 0 {
		p.LeastBits = map[int]int{32: 8, 128: 64}[longest]
	}
	if p.MostBits == 0 {
		p.MostBits = longest
	}
	if p.DefaultBits == 0 {
		p.DefaultBits = p.LeastBits
	}
	if err := s.checkSubnetPool(ctx, tx, &p); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, SubnetPoolTable, subnetPoolColumns, p.row()); err != nil {
		return nil, err
	}
	if p.Shared {
		return &p, s.share(ctx, tx, p.Project, SharedSubnetPool, p.ID, AsShared)
	}
	return &p, nil
}

// SubnetPoolChange is what may change of a pool; nil leaves it.
type SubnetPoolChange struct {
	Name, Description                *string
	Prefixes                         *[]netip.Prefix // more of them, never less: RemovePrefixes does that
	DefaultBits, LeastBits, MostBits *int
	Quota                            *int64
	Default                          *bool
	AddressScope                     *string
}

// ChangeSubnetPool changes a pool.
func (s *Service) ChangeSubnetPool(ctx context.Context, tx *db.Tx, id string, c SubnetPoolChange) (*SubnetPool, error) {
	p, err := s.SubnetPool(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	if c.Prefixes != nil {
		wider := merge(*c.Prefixes)
		for _, old := range p.Prefixes {
			if !covers(wider, old) {
				return nil, refuse(fault.Invalid, SubnetPoolShrinks, "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
			}
		}
		p.Prefixes = wider
	}
	set(&p.Name, c.Name)
	set(&p.Description, c.Description)
	set(&p.DefaultBits, c.DefaultBits)
	set(&p.LeastBits, c.LeastBits)
	set(&p.MostBits, c.MostBits)
	set(&p.Quota, c.Quota)
	set(&p.Default, c.Default)
	set(&p.AddressScope, c.AddressScope)
	return p, s.saveSubnetPool(ctx, tx, p)
}

// AddPrefixes gives a pool more prefixes.
func (s *Service) AddPrefixes(ctx context.Context, tx *db.Tx, id string, more []netip.Prefix) (*SubnetPool, error) {
	p, err := s.SubnetPool(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	p.Prefixes = merge(append(p.Prefixes, more...))
	return p, s.saveSubnetPool(ctx, tx, p)
}

// RemovePrefixes takes prefixes from a pool, whole ones that no subnet is cut from.
func (s *Service) RemovePrefixes(ctx context.Context, tx *db.Tx, id string, less []netip.Prefix) (*SubnetPool, error) {
	p, err := s.SubnetPool(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	used, err := s.cutFrom(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	for _, gone := range less {
		at := slices.Index(p.Prefixes, gone)
		if at < 0 || len(p.Prefixes) == 1 || slices.ContainsFunc(used, func(u *Subnet) bool { return u.CIDR.Overlaps(gone) }) {
			return nil, refuse(fault.Invalid, SubnetPoolShrinks, "Illegal update to prefixes: %s is none of the pool's, its last one, or in use.", gone)
		}
		p.Prefixes = slices.Delete(p.Prefixes, at, at+1)
	}
	return p, s.saveSubnetPool(ctx, tx, p)
}

// DeleteSubnetPool deletes a pool that no subnet is cut from.
func (s *Service) DeleteSubnetPool(ctx context.Context, tx *db.Tx, id string) error {
	used, err := s.cutFrom(ctx, tx, id)
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return refuse(fault.Invalid, SubnetPoolInUse, "Unable to delete subnet pool: Subnet pool has existing allocations.")
	}
	if err := s.Unshare(ctx, tx, SharedSubnetPool, id); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM network_subnetpool WHERE id = $1`, id)
	return err
}

// checkSubnetPool finds what cannot be a pool, alone and beside the others.
func (s *Service) checkSubnetPool(ctx context.Context, q db.Querier, p *SubnetPool) error {
	if err := p.Meta.check(); err != nil {
		return err
	}
	longest := p.Prefixes[0].Addr().BitLen()
	for _, prefix := range p.Prefixes {
		if prefix.Addr().BitLen() != longest {
			return refuse(fault.Invalid, SubnetPoolMixed, "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
	}
	bounds := func(is string, bits int, than string, base int) error {
		return refuse(fault.Invalid, SubnetPoolBounds, "Illegal prefix bounds: %s=%d, %s=%d.", is, bits, than, base)
	}
	switch {
	case p.LeastBits < 1 || p.LeastBits > p.MostBits:
		return bounds("min_prefixlen", p.LeastBits, "max_prefixlen", p.MostBits)
	case p.MostBits > longest:
		return bounds("max_prefixlen", p.MostBits, "ip_version max", longest)
	case p.DefaultBits < p.LeastBits:
		return bounds("default_prefixlen", p.DefaultBits, "min_prefixlen", p.LeastBits)
	case p.DefaultBits > p.MostBits:
		return bounds("default_prefixlen", p.DefaultBits, "max_prefixlen", p.MostBits)
	case p.Quota < Unlimited:
		return invalid("default_quota", "'%d' should be non-negative", p.Quota)
	}
	pools, err := s.SubnetPools(ctx, q, Everything)
	if err != nil {
		return err
	}
	for _, o := range pools {
		if p.Default && o.Default && o.ID != p.ID && o.Version() == p.Version() {
			return badInput("A default subnetpool for this IP family has already been set. Only one default may exist per IP family")
		}
	}
	return s.checkScope(ctx, q, p, pools)
}

// checkScope fails where the pool's prefixes are already in its address scope, or where it may not be in it.
func (s *Service) checkScope(ctx context.Context, q db.Querier, p *SubnetPool, others []*SubnetPool) error {
	if p.AddressScope == "" {
		return nil
	}
	scope, err := s.AddressScope(ctx, q, Viewer{Project: p.Project}, p.AddressScope)
	if err != nil {
		return err
	}
	if scope.Version != p.Version() {
		return refuse(fault.Invalid, AddressScopeVersion, "Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.", p.ID, scope.ID, scope.Version)
	}
	for _, o := range others {
		if o.ID == p.ID || o.AddressScope != p.AddressScope {
			continue
		}
		for _, prefix := range o.Prefixes {
			if slices.ContainsFunc(p.Prefixes, prefix.Overlaps) {
				return refuse(fault.Conflict, AddressScopeClash, "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.")
			}
		}
	}
	return nil
}

func (s *Service) defaultSubnetPool(ctx context.Context, q db.Querier, version int) (*SubnetPool, error) {
	pools, err := s.SubnetPools(ctx, q, Everything)
	if err != nil {
		return nil, err
	}
	for _, p := range pools {
		if p.Default && p.Version() == version {
			return p, nil
		}
	}
	return nil, badRequest("subnets", "No default subnetpool found for IPv%d", version)
}

func badRequest(resource, format string, args ...any) error {
	return refuse(fault.Invalid, BadRequest, "Bad "+resource+" request: "+format+".", args...)
}

func poolAffinity() error {
	return refuse(fault.Invalid, SubnetPoolAffinity, "Subnets hosted on the same network must be allocated from the same subnet pool.")
}

// cut finds the prefix for a new subnet: the one asked for, or the first that is free in the length asked for.
func (s *Service) cut(ctx context.Context, tx *db.Tx, p *SubnetPool, spec NewSubnet) (netip.Prefix, error) {
	fail := func(kind fault.Kind, why Reason, format string, args ...any) (netip.Prefix, error) {
		return netip.Prefix{}, refuse(kind, why, format, args...)
	}
	if spec.Version != 0 && spec.Version != p.Version() {
		return netip.Prefix{}, badInput("Cannot allocate IPv%d subnet from IPv%d subnet pool", spec.Version, p.Version())
	}
	bits := p.DefaultBits
	if spec.Bits != 0 {
		bits = spec.Bits
	}
	if spec.CIDR.IsValid() {
		bits = spec.CIDR.Bits()
	}
	switch {
	case bits < p.LeastBits:
		return fail(fault.Invalid, PrefixTooShort, "Unable to allocate subnet with prefix length %d, minimum allowed prefix is %d.", bits, p.LeastBits)
	case bits > p.MostBits:
		return fail(fault.Invalid, PrefixTooLong, "Unable to allocate subnet with prefix length %d, maximum allowed prefix is %d.", bits, p.MostBits)
	}
	used, err := s.cutFrom(ctx, tx, p.ID)
	if err != nil {
		return netip.Prefix{}, err
	}
	taken := []netip.Prefix{}
	spent := units(p, bits)
	for _, u := range used {
		taken = append(taken, u.CIDR)
		if u.Project == spec.Project {
			spent += units(p, u.CIDR.Bits())
		}
	}
	if p.Quota != Unlimited && spent > float64(p.Quota) {
		return fail(fault.Quota, SubnetPoolOverQuota, "Per-tenant subnet pool prefix quota exceeded.")
	}
	if want := spec.CIDR; want.IsValid() {
		if want != want.Masked() {
			return netip.Prefix{}, invalid("cidr", "'%s' isn't a recognized IP subnet cidr, '%s' is recommended", want, want.Masked())
		}
		if !covers(p.Prefixes, want) || slices.ContainsFunc(taken, want.Overlaps) {
			return fail(fault.Conflict, SubnetPoolShort, "Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.")
		}
		return want, nil
	}
	for _, prefix := range p.Prefixes {
		if free, ok := firstFree(prefix, bits, taken); ok {
			return free, nil
		}
	}
	return fail(fault.Conflict, SubnetPoolShort, "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /%d.", bits)
}

// units is the size of a prefix as the pool's quota counts it. Sizes are powers of two, so that sums are exact.
func units(p *SubnetPool, bits int) float64 {
	smallest := map[int]int{4: 32, 6: 64}[p.Version()]
	size := 1.0
	for ; bits < smallest; bits++ {
		size *= 2
	}
	for ; bits > smallest; bits-- {
		size /= 2
	}
	return size
}

// firstFree finds the first prefix of that length in the whole that overlaps none of those taken. It steps over each
// of these at once, so a large pool costs no more than a small one.
func firstFree(whole netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	if bits < whole.Bits() {
		return netip.Prefix{}, false
	}
	for at := whole.Addr(); at.IsValid() && whole.Contains(at); {
		free := netip.PrefixFrom(at, bits).Masked()
		hit := slices.IndexFunc(taken, free.Overlaps)
		if hit < 0 {
			return free, true
		}
		end := broadcast(free)
		if last := broadcast(taken[hit]); end.Less(last) {
			end = last
		}
		at = end.Next()
	}
	return netip.Prefix{}, false
}

// covers reports whether one of the prefixes has the whole of p in it.
func covers(prefixes []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(whole netip.Prefix) bool { return whole.Bits() <= p.Bits() && whole.Contains(p.Addr()) })
}

// merge sorts prefixes, leaves out those in others, and makes one of two halves.
func merge(prefixes []netip.Prefix) []netip.Prefix {
	var merged []netip.Prefix
	sorted := slices.Clone(prefixes)
	for i := range sorted {
		sorted[i] = sorted[i].Masked()
	}
	slices.SortFunc(sorted, netip.Prefix.Compare)
	for _, p := range sorted {
		if covers(merged, p) {
			continue
		}
		merged = append(merged, p)
		for len(merged) > 1 {
			a, b := merged[len(merged)-2], merged[len(merged)-1]
			both := netip.PrefixFrom(a.Addr(), a.Bits()-1)
			if a.Bits() != b.Bits() || a.Bits() == 0 || both.Masked() != both || !both.Contains(b.Addr()) {
				break
			}
			merged = append(merged[:len(merged)-2], both)
		}
	}
	return merged
}
