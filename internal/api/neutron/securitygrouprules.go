package neutron

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// A rule does not change: there is no PUT.
func (a *api) securityGroupRuleRoutes() []osapi.Route {
	const list, one = "/v2.0/security-group-rules", "/v2.0/security-group-rules/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listSecurityGroupRules},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createSecurityGroupRules},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showSecurityGroupRule},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteSecurityGroupRule},
	}
}

func securityGroupRuleObject(g *securitygroup.Group, rule *securitygroup.Rule) object {
	o := object{
		"id": rule.ID, "project_id": rule.Project, "tenant_id": rule.Project, "security_group_id": rule.Group, "description": rule.Description,
		"revision_number": rule.Revision, "created_at": osapi.Zulu(rule.Created), "updated_at": osapi.Zulu(rule.Updated),
		"direction": "ingress", "ethertype": fmt.Sprintf("IPv%d", rule.Version), "protocol": orNil(rule.Spelling),
		"port_range_min": portOrNil(rule.First), "port_range_max": portOrNil(rule.Last), "remote_ip_prefix": nil, "normalized_cidr": nil,
		"remote_group_id": orNil(rule.RemoteGroup), "remote_address_group_id": orNil(rule.RemoteAddressGroup), "belongs_to_default_sg": g.Name == securitygroup.Default,
	}
	if rule.Egress {
		o["direction"] = "egress"
	}
	if rule.RemoteCIDR.IsValid() {
		o["remote_ip_prefix"], o["normalized_cidr"] = rule.RemoteCIDR.String(), rule.RemoteCIDR.Masked().String()
	}
	return o
}

func portOrNil(port int) any {
	if port == securitygroup.None {
		return nil
	}
	return port
}

func (a *api) listSecurityGroupRules(r *osapi.Request) (any, error) {
	groups, err := a.groupsAsked(r, securitygroup.Filter{IDs: r.Query().Strings("security_group_id")})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, g := range groups {
		for _, rule := range g.Rules {
			all = append(all, securityGroupRuleObject(g, rule))
		}
	}
	return list(r, "security_group_rules", all, securityGroupRuleObject(&securitygroup.Group{}, &securitygroup.Rule{}))
}

func (a *api) showSecurityGroupRule(r *osapi.Request) (any, error) {
	g, rule, err := a.groups.Rule(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "security_group_rule", securityGroupRuleObject(g, rule))
}

// securityGroupRuleBody is a rule as clients write it.
type securityGroupRuleBody struct {
	owned
	Group              osapi.Optional[string]       `json:"security_group_id"`
	Description        osapi.Optional[string]       `json:"description"`
	Direction          osapi.Optional[string]       `json:"direction"`
	Ethertype          osapi.Optional[string]       `json:"ethertype"`
	Protocol           osapi.Optional[protocolText] `json:"protocol"`
	First              osapi.Optional[osapi.Int]    `json:"port_range_min"`
	Last               osapi.Optional[osapi.Int]    `json:"port_range_max"`
	RemoteCIDR         osapi.Optional[string]       `json:"remote_ip_prefix"`
	RemoteGroup        osapi.Optional[string]       `json:"remote_group_id"`
	RemoteAddressGroup osapi.Optional[string]       `json:"remote_address_group_id"`
}

// protocolText is a protocol's name or number; clients write numbers as JSON numbers, too.
type protocolText string

// UnmarshalJSON takes 6, "6" and "tcp".
func (p *protocolText) UnmarshalJSON(json []byte) error {
	text := strings.Trim(string(json), `"`)
	if _, err := strconv.Atoi(text); err != nil && text == string(json) {
		return fmt.Errorf("%s is neither a protocol's name nor its number", json)
	}
	*p = protocolText(text)
	return nil
}

// rule is what the body asks for.
func (b *securityGroupRuleBody) rule() (spec securitygroup.NewRule, err error) {
	spec = securitygroup.NewRule{
		Group: b.Group.Value, Description: b.Description.Value, Protocol: string(b.Protocol.Value), First: intOrNone(b.First), Last: intOrNone(b.Last),
		RemoteGroup: b.RemoteGroup.Value, RemoteAddressGroup: b.RemoteAddressGroup.Value,
	}
	switch b.Direction.Value {
	case "egress":
		spec.Egress = true
	case "ingress":
	case "":
		return spec, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'direction' not specified")
	default:
		return spec, fault.New(fault.Invalid, "Invalid input for direction. Reason: '%s' is not in ['ingress', 'egress'].", b.Direction.Value)
	}
	switch strings.ToLower(b.Ethertype.Value) {
	case "ipv4", "":
		spec.Version = 4
	case "ipv6":
		spec.Version = 6
	default:
		return spec, failure("SecurityGroupRuleInvalidEtherType", fault.Invalid, "Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", b.Ethertype.Value)
	}
	if b.RemoteCIDR.Value != "" {
		spec.RemoteCIDR, err = remote(b.RemoteCIDR.Value)
	}
	return spec, err
}

func intOrNone(o osapi.Optional[osapi.Int]) *int {
	if !o.Set || o.Null {
		return nil
	}
	return (*int)(&o.Value)
}

// remote reads a CIDR, or an address as the CIDR of it alone; the CIDR may have bits behind its prefix.
func remote(written string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(written)
	if err != nil {
		var addr netip.Addr
		addr, err = netip.ParseAddr(written)
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if err != nil || p.Addr().Zone() != "" || p.Addr().Is4In6() {
		return p, failure("InvalidCIDR", fault.Invalid, "Invalid CIDR %s given as IP prefix.", written)
	}
	return p, nil
}

func (a *api) createSecurityGroupRules(r *osapi.Request) (any, error) {
	var body struct {
		One  *securityGroupRuleBody   `json:"security_group_rule"`
		Many *[]securityGroupRuleBody `json:"security_group_rules"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "security_group_rule", body.One, body.Many, func(tx *db.Tx, b *securityGroupRuleBody) (object, error) {
		return a.createSecurityGroupRule(r, tx, b)
	})
}

func (a *api) createSecurityGroupRule(r *osapi.Request, tx *db.Tx, b *securityGroupRuleBody) (object, error) {
	spec, err := b.rule()
	if err != nil {
		return nil, err
	}
	g, err := a.groups.Group(r.Context(), tx, viewer(r), spec.Group)
	if err != nil {
		return nil, err
	}
	if err := mayWrite(r, g.Project); err != nil {
		return nil, err
	}
	if b.Project.Value != "" || b.Tenant.Value != "" {
		if project, err := b.project(r); err != nil {
			return nil, err
		} else if project != g.Project {
			return nil, fault.New(fault.Invalid, "A rule belongs to the project of its security group, which is not %s.", project)
		}
	}
	rule, err := a.groups.CreateRule(r.Context(), tx, viewer(r), spec)
	if err != nil {
		return nil, err
	}
	return securityGroupRuleObject(g, rule), nil
}

func (a *api) deleteSecurityGroupRule(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.groupRuleOf, func(tx *db.Tx) error {
		return a.groups.DeleteRule(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) groupRuleOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	_, rule, err := a.groups.Rule(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return network.Meta{ID: rule.ID, Project: rule.Project, Revision: rule.Revision}, nil
}
