package network

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const subnetColumns = metaColumns + `, network, cidr, gateway, dhcp, dns, pools, routes, ra_mode, address_mode, subnetpool, service_types`

func scanSubnet(row db.Scanner) (*Subnet, error) {
	var s Subnet
	err := row.Scan(append(s.columns(), &s.Network, text{&s.CIDR}, text{&s.Gateway}, &s.DHCP, db.JSON(&s.DNS), db.JSON(&s.Pools),
		db.JSON(&s.Routes), &s.RAMode, &s.AddressMode, &s.SubnetPool, db.JSON(&s.ServiceTypes))...)
	return &s, err
}

// row are the values of subnetColumns.
func (s *Subnet) row() []any {
	return append(s.written(), s.Network, text{&s.CIDR}, text{&s.Gateway}, s.DHCP, db.JSON(orEmpty(s.DNS)), db.JSON(orEmpty(s.Pools)),
		db.JSON(orEmpty(s.Routes)), s.RAMode, s.AddressMode, s.SubnetPool, db.JSON(orEmpty(s.ServiceTypes)))
}

func (s *Service) saveSubnet(ctx context.Context, tx *db.Tx, subnet *Subnet) error {
	s.touch(&subnet.Meta)
	if err := update(ctx, tx, SubnetTable, subnetColumns, subnet.row()); err != nil {
		return err
	}
	return markNetwork(ctx, tx, subnet.Network)
}

// SubnetFilter narrows a list of subnets; an empty field does not.
type SubnetFilter struct {
	IDs, Networks, Projects, Names []string
	Page                           Page
}

// Subnets that the viewer sees, oldest first: its own, and those of networks that are its own or shared with it. Those of
// a network that is only external for it are not its business.
func (s *Service) Subnets(ctx context.Context, q db.Querier, v Viewer, f SubnetFilter) ([]*Subnet, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ? OR network IN (SELECT n.id FROM network n WHERE n.project = ?) OR `+sharedAs(`network`, AsShared), v.Project, v.Project, v.Project)
	}
	in(&where, `id`, f.IDs)
	in(&where, `network`, f.Networks)
	in(&where, `project`, f.Projects)
	in(&where, `name`, f.Names)
	where, err := f.Page.Narrow(ctx, q, string(SubnetTable), where)
	if err != nil {
		return nil, err
	}
	return s.subnets(ctx, q, where)
}

// Subnet finds a subnet that the viewer sees.
func (s *Service) Subnet(ctx context.Context, q db.Querier, v Viewer, id string) (*Subnet, error) {
	found, err := s.Subnets(ctx, q, v, SubnetFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchSubnet, "Subnet %s could not be found.", id)
	}
	return found[0], nil
}

func (s *Service) subnetsOf(ctx context.Context, q db.Querier, network string) ([]*Subnet, error) {
	return s.Subnets(ctx, q, Everything, SubnetFilter{Networks: []string{network}})
}

func (s *Service) subnets(ctx context.Context, q db.Querier, where db.Where) ([]*Subnet, error) {
	return db.List(ctx, q, scanSubnet, `SELECT `+subnetColumns+` FROM network_subnet`+where.String()+` ORDER BY created_at, id`, where.Args...)
}
