package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Flat describes the shared network that a cloud has from its first start. Its owner is the project of the operators.
type Flat struct {
	Project     string // id
	Name        string // when it is made; later names are given through the API
	CIDR        netip.Prefix
	Gateway     netip.Addr // zero: none
	DNS         []netip.Addr
	First, Last netip.Addr // the range of addresses for ports; both zero: all but the gateway's
	MTU         int        // bytes; 0: 1500
}

const flatWire = "physnet1" // the name of the wire that the flat network is, as Neutron's manuals call it

// Bootstrap makes the flat network and its subnet, or brings the existing ones to the description. It is idempotent, and
// several processes may call it at once.
func (s *Service) Bootstrap(ctx context.Context, flat Flat) (*Network, error) {
	pools, err := flat.check()
	if err != nil {
		return nil, err
	}
	if flat.MTU == 0 {
		flat.MTU = 1500
	}
	var made *Network
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var where db.Where
		where.And(`kind = ?`, FlatKind)
		where.And(`physical = ?`, flatWire)
		found, err := s.networks(ctx, tx, flat.Project, where)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			made, err = s.createFlat(ctx, tx, flat, pools)
			return err
		}
		made = found[0]
		return s.alignFlat(ctx, tx, made, flat, pools)
	})
	if err == nil {
		s.configured.Store(made.ID)
	}
	return made, err
}

// check finds what cannot work, and gives the pools.
func (f Flat) check() ([]Pool, error) {
	wrong := func(format string, args ...any) ([]Pool, error) {
		return nil, fault.New(fault.Invalid, "The flat network %s: %s.", f.CIDR, fmt.Sprintf(format, args...))
	}
	if !f.CIDR.IsValid() || !f.CIDR.Addr().Is4() || f.CIDR != f.CIDR.Masked() || f.CIDR.Bits() > 30 {
		return wrong("it must be an IPv4 network of at least four addresses, written with its first one")
	}
	usable := Pool{f.CIDR.Addr().Next(), broadcast(f.CIDR).Prev()}
	switch {
	case f.Gateway.IsValid() && !usable.Contains(f.Gateway):
		return wrong("the gateway %s is not in it", f.Gateway)
	case f.MTU != 0 && (f.MTU < 576 || f.MTU > 9216):
		return wrong("an MTU of %d bytes is not between 576 and 9216", f.MTU)
	case !f.First.IsValid() && !f.Last.IsValid():
		return without(usable, f.Gateway), nil
	case !usable.Contains(f.First) || !usable.Contains(f.Last) || f.Last.Less(f.First):
		return wrong("%s to %s is no range in it", f.First, f.Last)
	case f.Gateway.IsValid() && (Pool{f.First, f.Last}).Contains(f.Gateway):
		return wrong("the gateway %s is in the range of addresses for ports", f.Gateway)
	}
	return []Pool{{f.First, f.Last}}, nil
}

func (s *Service) createFlat(ctx context.Context, tx *db.Tx, flat Flat, pools []Pool) (*Network, error) {
	now := s.clock.Now()
	meta := func(name string) Meta {
		return Meta{ID: uuid.NewString(), Project: flat.Project, Name: name, Created: now, Updated: now}
	}
	n := &Network{Meta: meta(flat.Name), AdminUp: true, Shared: true, MTU: flat.MTU, Kind: FlatKind, Physical: flatWire}
	subnet := &Subnet{Meta: meta(flat.Name + "-subnet"), Network: n.ID, CIDR: flat.CIDR, Gateway: flat.Gateway, DHCP: true, DNS: flat.DNS, Pools: pools}
	n.Subnets = []string{subnet.ID}
	if err := insert(ctx, tx, NetworkTable, networkColumns, n.row()); err != nil {
		return nil, err
	}
	if err := s.share(ctx, tx, n.Project, SharedNetwork, n.ID, AsShared); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, SubnetTable, subnetColumns, subnet.row()); err != nil {
		return nil, err
	}
	return n, markNetwork(ctx, tx, n.ID)
}

// alignFlat brings the rows to what the configuration says now. Addresses that ports have already stay theirs.
func (s *Service) alignFlat(ctx context.Context, tx *db.Tx, n *Network, flat Flat, pools []Pool) error {
	if n.MTU != flat.MTU {
		n.MTU = flat.MTU
		if err := s.saveNetwork(ctx, tx, n); err != nil {
			return err
		}
	}
	subnets, err := s.subnetsOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	subnet := subnets[0]
	if subnet.CIDR == flat.CIDR && subnet.Gateway == flat.Gateway && slices.Equal(subnet.DNS, flat.DNS) && slices.Equal(subnet.Pools, pools) {
		return nil
	}
	if subnet.CIDR != flat.CIDR {
		var used int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM network_address WHERE subnet = $1`, subnet.ID).Scan(&used); err != nil {
			return err
		}
		if used > 0 {
			return refuse(fault.Conflict, SubnetInUse, "The flat network cannot change from %s to %s: %d addresses of it are in use.", subnet.CIDR, flat.CIDR, used)
		}
	}
	subnet.CIDR, subnet.Gateway, subnet.DNS, subnet.Pools = flat.CIDR, flat.Gateway, flat.DNS, pools
	return s.saveSubnet(ctx, tx, subnet)
}
