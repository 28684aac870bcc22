package network

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PortChange is what may change of a port; nil leaves it.
type PortChange struct {
	Name, Description, MAC, DeviceID, DeviceOwner, DNSName, VNIC *string
	AdminUp                                                      *bool
	FixedIPs                                                     *[]FixedIP
	Own                                                          bool // by the part of the network that has the port
}

// ChangePort changes a port and gives it as it is then. A bound port keeps its MAC: it is the NIC's.
func (s *Service) ChangePort(ctx context.Context, tx *db.Tx, id string, c PortChange) (*Port, error) {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	if err := p.changesOwned(c); err != nil {
		return nil, err
	}
	if c.MAC != nil && p.Host != "" && !strings.EqualFold(*c.MAC, p.MAC) {
		return nil, refuse(fault.Conflict, PortBound, "Unable to complete operation on port %s, port is already bound, port type: other, old_mac %s, new_mac %s.", p.ID, p.MAC, *c.MAC)
	}
	set(&p.Name, c.Name)
	set(&p.Description, c.Description)
	set(&p.DeviceID, c.DeviceID)
	set(&p.DeviceOwner, c.DeviceOwner)
	set(&p.DNSName, c.DNSName)
	set(&p.AskedVNIC, c.VNIC)
	set(&p.AdminUp, c.AdminUp)
	if c.MAC != nil {
		p.MAC = strings.ToLower(*c.MAC)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if c.FixedIPs != nil {
		if err := s.readdress(ctx, tx, p, *c.FixedIPs); err != nil {
			return nil, err
		}
	}
	return p, s.savePort(ctx, tx, p)
}

// readdress gives the port other addresses; those it keeps it has throughout, because all is one transaction.
func (s *Service) readdress(ctx context.Context, tx *db.Tx, p *Port, want []FixedIP) error {
	n, err := s.Network(ctx, tx, Everything, p.Network)
	if err != nil {
		return err
	}
	had := p.FixedIPs
	if _, err := tx.ExecContext(ctx, `DELETE FROM network_address WHERE port = $1`, p.ID); err != nil {
		return err
	}
	if want == nil {
		want = []FixedIP{}
	}
	return s.allocate(ctx, tx, n, p, want, had)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// DeletePort deletes a port; its addresses are free. A server's port goes too, as Neutron does.
func (s *Service) DeletePort(ctx context.Context, tx *db.Tx, id string) error {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	if err := p.notOwned("deleted"); err != nil {
		return err
	}
	return s.dropPort(ctx, tx, p)
}

func (s *Service) dropPort(ctx context.Context, tx *db.Tx, p *Port) error {
	if err := s.tell(func(w PortWatcher) error { return w.PortDeleted(ctx, tx, p) }); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM network_port WHERE id = $1`, p.ID)
	return err
}

// NetworkChange is what may change of a network beside its configuration; nil leaves it.
type NetworkChange struct {
	Name, Description *string
	AdminUp           *bool // a network that is down gives no leases
}

// ChangeNetwork changes a network.
func (s *Service) ChangeNetwork(ctx context.Context, tx *db.Tx, id string, c NetworkChange) (*Network, error) {
	n, err := s.Network(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	set(&n.Name, c.Name)
	set(&n.Description, c.Description)
	set(&n.AdminUp, c.AdminUp)
	if err := n.check(); err != nil {
		return nil, err
	}
	n.Revision++
	n.Updated = s.clock.Now()
	_, err = tx.ExecContext(ctx, `UPDATE network SET name = $2, description = $3, admin_up = $4, revision = $5, updated_at = $6 WHERE id = $1`,
		n.ID, n.Name, n.Description, n.AdminUp, n.Revision, n.Updated)
	return n, err
}

// DeleteNetwork refuses: the one network there is stands in the configuration.
func (s *Service) DeleteNetwork(ctx context.Context, q db.Querier, id string) error {
	n, err := s.Network(ctx, q, Everything, id)
	if err != nil {
		return err
	}
	return refuse(fault.Conflict, NetworkInUse, "Unable to complete operation on network %s. It is the network of this cloud's configuration.", n.ID)
}

// SubnetChange is what may change of a subnet beside its configuration; nil leaves it.
type SubnetChange struct{ Name, Description *string }

// ChangeSubnet changes a subnet.
func (s *Service) ChangeSubnet(ctx context.Context, tx *db.Tx, id string, c SubnetChange) (*Subnet, error) {
	subnet, err := s.Subnet(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	set(&subnet.Name, c.Name)
	set(&subnet.Description, c.Description)
	if err := subnet.check(); err != nil {
		return nil, err
	}
	subnet.Revision++
	subnet.Updated = s.clock.Now()
	_, err = tx.ExecContext(ctx, `UPDATE network_subnet SET name = $2, description = $3, revision = $4, updated_at = $5 WHERE id = $1`,
		subnet.ID, subnet.Name, subnet.Description, subnet.Revision, subnet.Updated)
	return subnet, err
}

// DeleteSubnet refuses, as DeleteNetwork does.
func (s *Service) DeleteSubnet(ctx context.Context, q db.Querier, id string) error {
	subnet, err := s.Subnet(ctx, q, Everything, id)
	if err != nil {
		return err
	}
	return refuse(fault.Conflict, SubnetInUse, "Unable to complete operation on subnet %s: It is the subnet of this cloud's configuration.", subnet.ID)
}

// Table is where a kind of thing is kept; Retag needs to know.
type Table string

// The tables of things that have tags.
const (
	NetworkTable Table = "network"
	SubnetTable  Table = "network_subnet"
	PortTable    Table = "network_port"
)

// Retag gives a thing these tags and no others; they are kept sorted, once each.
func (s *Service) Retag(ctx context.Context, tx *db.Tx, table Table, id string, tags []string) ([]string, error) {
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	tags = append([]string{}, tags...)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	_, err := tx.ExecContext(ctx, `UPDATE `+string(table)+` SET tags = $2, revision = revision + 1, updated_at = $3 WHERE id = $1`, id, db.JSON(tags), s.clock.Now())
	return tags, err
}

// checkTags knows Neutron's limits: 50 tags of 255 characters.
func checkTags(tags []string) error {
	if len(tags) > 50 {
		return invalid("tags", "%d are more than 50", len(tags))
	}
	for _, tag := range tags {
		if tag == "" || utf8.RuneCountInString(tag) > 255 || strings.Contains(tag, ",") {
			return invalid("tags", "'%s' is empty, has a comma, or is longer than 255 characters", tag)
		}
	}
	return nil
}
