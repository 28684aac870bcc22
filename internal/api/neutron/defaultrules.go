package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// The rules that new groups begin with: everybody reads them, operators make and delete them, and nobody changes one.
// https://docs.openstack.org/api-ref/network/v2/#security-group-default-rules-security-group-default-rules
func (a *api) defaultRuleRoutes() []osapi.Route {
	const list, one = "/v2.0/default-security-group-rules", "/v2.0/default-security-group-rules/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listDefaultRules},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Admin, Status: 201, Handle: a.createDefaultRules},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showDefaultRule},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Admin, Status: 204, Handle: a.deleteDefaultRule},
	}
}

// defaultRuleObject has what a group's rule has, without a group, a project and a history.
func defaultRuleObject(rule *securitygroup.DefaultRule) object {
	o := securityGroupRuleObject(&securitygroup.Group{}, &rule.Rule)
	for _, field := range []string{"project_id", "tenant_id", "security_group_id", "revision_number", "created_at", "updated_at", "normalized_cidr", "belongs_to_default_sg"} {
		delete(o, field)
	}
	o["used_in_default_sg"], o["used_in_non_default_sg"] = rule.InDefault, rule.InOthers
	return o
}

func (a *api) listDefaultRules(r *osapi.Request) (any, error) {
	rules, err := a.groups.DefaultRules(r.Context(), a.db)
	if err != nil {
		return nil, err
	}
	var all []object
	for _, rule := range rules {
		all = append(all, defaultRuleObject(rule))
	}
	return list(r, "default_security_group_rules", all, defaultRuleObject(&securitygroup.DefaultRule{}))
}

func (a *api) showDefaultRule(r *osapi.Request) (any, error) {
	rule, err := a.groups.DefaultRule(r.Context(), a.db, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "default_security_group_rule", defaultRuleObject(rule))
}

// defaultRuleBody is a group's rule without a group; unless it says otherwise, it is for the groups that are not default.
type defaultRuleBody struct {
	securityGroupRuleBody
	InDefault osapi.Optional[osapi.Bool] `json:"used_in_default_sg"`
	InOthers  osapi.Optional[osapi.Bool] `json:"used_in_non_default_sg"`
}

func (a *api) createDefaultRules(r *osapi.Request) (any, error) {
	var body struct {
		One  *defaultRuleBody   `json:"default_security_group_rule"`
		Many *[]defaultRuleBody `json:"default_security_group_rules"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "default_security_group_rule", body.One, body.Many, func(tx *db.Tx, b *defaultRuleBody) (object, error) {
		if b.Group.Set {
			return nil, fault.New(fault.Invalid, "Unrecognized attribute(s) 'security_group_id'")
		}
		spec, err := b.rule()
		if err != nil {
			return nil, err
		}
		rule, err := a.groups.CreateDefaultRule(r.Context(), tx, spec, bool(b.InDefault.Value), bool(b.InOthers.Value) || !b.InOthers.Set)
		if err != nil {
			return nil, err
		}
		return defaultRuleObject(rule), nil
	})
}

func (a *api) deleteDefaultRule(r *osapi.Request) (any, error) {
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		return a.groups.DeleteDefaultRule(r.Context(), tx, r.Path("id"))
	})
}
