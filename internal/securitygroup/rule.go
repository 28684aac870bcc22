package securitygroup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// NewRule says what rule is wanted. Only Group is required.
type NewRule struct {
	Group              string
	Description        string
	Egress             bool
	Version            int    // 4 or 6; 0: 4
	Protocol           string // a name or a number; empty: any
	First, Last        *int   // nil: any
	RemoteCIDR         netip.Prefix
	RemoteGroup        string
	RemoteAddressGroup string
}

// CreateRule adds a rule to a group. The viewer must see what the rule names (else NotFound). It fails with Conflict for a
// rule that means the same as one of the group's, and Quota when the project has as many rules as it may.
func (s *Service) CreateRule(ctx context.Context, tx *db.Tx, v Viewer, spec NewRule) (*Rule, error) {
	g, err := s.Group(ctx, tx, v, spec.Group)
	if err != nil {
		return nil, err
	}
	r, err := s.checkedRule(ctx, tx, v, g, spec)
	if err != nil {
		return nil, err
	}
	if err := s.Quotas.WithinQuota(ctx, tx, g.Project, RuleKind); err != nil {
		return nil, err
	}
	var other string
	err = tx.QueryRowContext(ctx, `SELECT id FROM security_group_rule WHERE security_group = $1 AND same = $2`, g.ID, r.meaning()).Scan(&other)
	if err == nil {
		return nil, refuse(fault.Conflict, RuleExists, "Security group rule already exists. Rule id is %s.", other)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if err := insertRule(ctx, tx, r); err != nil {
		return nil, err
	}
	return r, s.touch(ctx, tx, g.ID)
}

// checkedRule is the rule that is asked for, if there can be such a one.
func (s *Service) checkedRule(ctx context.Context, q db.Querier, v Viewer, g *Group, spec NewRule) (r *Rule, err error) {
	if spec.Version == 0 {
		spec.Version = 4
	}
	for _, port := range []*int{spec.First, spec.Last} {
		if port != nil && (*port < 0 || *port > 65535) {
			return nil, refuse(fault.Invalid, BadPort, "Invalid value for port %d.", *port)
		}
	}
	r = s.newRule(g, spec)
	if r.Protocol, r.Spelling, err = protocol(spec.Protocol, spec.Version); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := s.Holds(r); err != nil {
		return nil, err
	}
	if err := s.remoteExists(ctx, q, v, r); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Service) newRule(g *Group, spec NewRule) *Rule {
	now := s.clock.Now()
	r := &Rule{
		ID: uuid.NewString(), Project: g.Project, Group: g.ID, Description: spec.Description, Revision: 1, Created: now, Updated: now,
		Egress: spec.Egress, Version: spec.Version, Protocol: AnyProtocol, First: None, Last: None,
		RemoteCIDR: spec.RemoteCIDR, RemoteGroup: spec.RemoteGroup, RemoteAddressGroup: spec.RemoteAddressGroup,
	}
	set(&r.First, spec.First)
	set(&r.Last, spec.Last)
	return r
}

// check finds what Neutron refuses as a rule.
func (r *Rule) check() error {
	if err := checkNames("", r.Description); err != nil {
		return err
	}
	if r.Version != 4 && r.Version != 6 {
		return invalid("ethertype", "'%d' is not in [4, 6]", r.Version)
	}
	if err := r.checkPorts(); err != nil {
		return err
	}
	if r.RemoteCIDR.IsValid() && r.RemoteCIDR.Addr().Is4() != (r.Version == 4) {
		return refuse(fault.Invalid, WrongCIDR, "Conflicting value ethertype IPv%d for CIDR %s", r.Version, r.RemoteCIDR)
	}
	remotes := 0
	for _, given := range []bool{r.RemoteCIDR.IsValid(), r.RemoteGroup != "", r.RemoteAddressGroup != ""} {
		if given {
			remotes++
		}
	}
	if remotes > 1 {
		return refuse(fault.Invalid, ManyRemotes, "Only one of remote_ip_prefix, remote_group_id and remote_address_group_id may be provided.")
	}
	return nil
}

func (r *Rule) checkPorts() error {
	switch {
	case r.First == None && r.Last == None:
		return nil
	case r.Protocol == AnyProtocol:
		return refuse(fault.Invalid, PortsNeedProtocol, "Must also specify protocol if port range is given.")
	case r.Protocol == icmp || r.Protocol == icmpv6:
		return r.checkICMP()
	case !slices.Contains(withPorts, r.Protocol):
		return refuse(fault.Invalid, ProtocolWithoutPorts, "Invalid protocol %s for port range, only supported for DCCP, SCTP, TCP, UDP, UDPLITE.", r.Spelling)
	case r.First == 0 || r.Last == 0:
		return refuse(fault.Invalid, BadPort, "Invalid value for port 0.")
	case r.First == None || r.Last == None || r.First > r.Last:
		return refuse(fault.Invalid, BadPortRange, "For TCP/UDP protocols, port_range_min must be <= port_range_max")
	}
	return nil
}

func (r *Rule) checkICMP() error {
	switch {
	case r.First > 255:
		return refuse(fault.Invalid, BadICMP, "Invalid value for ICMP type (port_range_min) %d. It must be 0 to 255.", r.First)
	case r.Last > 255:
		return refuse(fault.Invalid, BadICMP, "Invalid value for ICMP code (port_range_max) %d. It must be 0 to 255.", r.Last)
	case r.First == None:
		return refuse(fault.Invalid, ICMPNeedsType, "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", r.Last)
	}
	return nil
}

func (s *Service) remoteExists(ctx context.Context, q db.Querier, v Viewer, r *Rule) error {
	if r.RemoteGroup != "" && (r.RemoteGroup != Parent || r.Group != "") {
		if _, err := s.Group(ctx, q, v, r.RemoteGroup); err != nil {
			return err
		}
	}
	if r.RemoteAddressGroup != "" {
		if _, err := s.AddressGroup(ctx, q, v, r.RemoteAddressGroup); err != nil {
			return err
		}
	}
	return nil
}

// meaning is equal for rules that let the same packets through: everybody's prefix is none, and the bits behind a prefix
// mean nothing.
func (r *Rule) meaning() string {
	cidr := ""
	if r.RemoteCIDR.Bits() > 0 {
		cidr = r.RemoteCIDR.Masked().String()
	}
	return fmt.Sprintf("%t %d %d %d-%d %s %s %s", r.Egress, r.Version, r.Protocol, r.First, r.Last, cidr, r.RemoteGroup, r.RemoteAddressGroup)
}

// DeleteRule takes a rule from its group.
func (s *Service) DeleteRule(ctx context.Context, tx *db.Tx, id string) error {
	g, _, err := s.Rule(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM security_group_rule WHERE id = $1`, id); err != nil {
		return err
	}
	return s.touch(ctx, tx, g.ID)
}
