package network

import (
	"context"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PortChange is what may change of a port; nil leaves it.
type PortChange struct {
	Name, Description, MAC, DeviceID, DeviceOwner, DNSName, VNIC, QoS *string
	AdminUp, PortSecurity                                             *bool
	FixedIPs                                                          *[]FixedIP
	Groups                                                            *[]string
	AllowedPairs                                                      *[]AddressPair
	DHCPOptions                                                       []DHCPOption // in place of those of the same name; without a value: none
	Profile                                                           map[string]any
	Place                                                             *Place // without a host: nowhere
}

// ChangePort changes a port and gives it as it is then. A bound port keeps its MAC: it is the NIC's.
func (s *Service) ChangePort(ctx context.Context, tx *db.Tx, id string, c PortChange) (*Port, error) {
	p, err := s.Port(ctx, tx, Everything, id)
	if err != nil {
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
	set(&p.PortSecurity, c.PortSecurity)
	set(&p.AllowedPairs, c.AllowedPairs)
	if c.Profile != nil {
		p.Profile = c.Profile
	}
	p.mergeOptions(c.DHCPOptions)
	if err := s.regroup(ctx, tx, p, c.Groups); err != nil {
		return nil, err
	}
	if c.QoS != nil && *c.QoS != p.QoS {
		p.QoS = *c.QoS
		if err := s.checkPolicy(ctx, tx, p.Project, p.QoS); err != nil {
			return nil, err
		}
	}
	if c.MAC != nil {
		if err := s.readdressMAC(ctx, tx, p, strings.ToLower(*c.MAC)); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if c.FixedIPs != nil {
		if err := s.readdress(ctx, tx, p, *c.FixedIPs); err != nil {
			return nil, err
		}
	}
	if c.Place != nil {
		if err := s.place(ctx, tx, p, *c.Place); err != nil {
			return nil, err
		}
	} else if err := s.enforceable(ctx, tx, p); err != nil {
		return nil, err
	}
	if c.DHCPOptions != nil || c.Place != nil {
		if err := s.around.Holds(p); err != nil {
			return nil, err
		}
	}
	return p, s.savePort(ctx, tx, p)
}

// regroup gives the port other groups (nil: leaves them), and checks that they go with its security.
func (s *Service) regroup(ctx context.Context, tx *db.Tx, p *Port, groups *[]string) error {
	if groups == nil {
		return p.checkSecurity(false)
	}
	p.Groups = sortedOnce(*groups)
	if err := p.checkSecurity(true); err != nil {
		return err
	}
	if err := s.around.Groups.Check(ctx, tx, p.Project, p.Groups); err != nil {
		return err
	}
	return s.around.Groups.SetPort(ctx, tx, p.ID, p.Groups)
}

// mergeOptions does as Neutron does: options that are not named stay.
func (p *Port) mergeOptions(changed []DHCPOption) {
	for _, c := range changed {
		p.DHCPOptions = slices.DeleteFunc(p.DHCPOptions, c.same)
		if c.Value != "" {
			p.DHCPOptions = append(p.DHCPOptions, c)
		}
	}
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
	return s.allocate(ctx, tx, n, p, orEmpty(want), had)
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
	if err := s.tell(func(w PortWatcher) error { return w.PortDeleted(ctx, tx, p) }); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM network_port WHERE id = $1`, id); err != nil {
		return err
	}
	if err := s.around.Groups.SetPort(ctx, tx, id, nil); err != nil {
		return err
	}
	return markPort(ctx, tx, id)
}
