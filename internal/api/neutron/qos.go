package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
)

func (a *api) qosPolicyRoutes() []osapi.Route {
	const list, one = "/v2.0/qos/policies", "/v2.0/qos/policies/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listPolicies},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Admin, Status: 201, Handle: a.createPolicy},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showPolicy},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Admin, Handle: a.updatePolicy},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Admin, Status: 204, Handle: a.deletePolicy},
	}
}

// policyTable is where QoS policies are kept, for their tags.
const policyTable network.Table = "qos_policy"

func policyObject(p *qos.Policy) object {
	o := meta(policyMeta(p))
	o["shared"], o["is_default"] = p.Shared, p.Default
	rules := []object{}
	for _, rule := range p.Rules {
		o := qosRuleObject(rule)
		o["type"], o["qos_policy_id"] = string(rule.Kind), p.ID
		rules = append(rules, o)
	}
	o["rules"] = rules
	return o
}

func policyMeta(p *qos.Policy) network.Meta {
	return network.Meta{ID: p.ID, Project: p.Project, Name: p.Name, Description: p.Description, Tags: p.Tags, Revision: p.Revision, Created: p.Created, Updated: p.Updated}
}

func (a *api) listPolicies(r *osapi.Request) (any, error) {
	found, err := a.policies.Policies(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, p := range found {
		all = append(all, policyObject(p))
	}
	return list(r, "policies", all, policyObject(&qos.Policy{}))
}

func (a *api) showPolicy(r *osapi.Request) (any, error) {
	p, err := a.policies.Policy(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "policy", policyObject(p))
}

func (a *api) createPolicy(r *osapi.Request) (any, error) {
	var body struct {
		Policy *struct {
			owned
			Name        osapi.Optional[string]     `json:"name"`
			Description osapi.Optional[string]     `json:"description"`
			Shared      osapi.Optional[osapi.Bool] `json:"shared"`
			Default     osapi.Optional[osapi.Bool] `json:"is_default"`
		} `json:"policy"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Policy
	if b == nil {
		return nil, noBody("policy")
	}
	project, err := b.project(r)
	if err != nil {
		return nil, err
	}
	var p *qos.Policy
	err = a.db.Tx(r.Context(), func(tx *db.Tx) (err error) {
		p, err = a.policies.CreatePolicy(r.Context(), tx, qos.Policy{
			Project: project, Name: b.Name.Value, Description: b.Description.Value, Shared: bool(b.Shared.Value), Default: bool(b.Default.Value),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"policy": policyObject(p)}, nil
}

func (a *api) updatePolicy(r *osapi.Request) (any, error) {
	var body struct {
		Policy *struct {
			Name        osapi.Optional[string]     `json:"name"`
			Description osapi.Optional[string]     `json:"description"`
			Shared      osapi.Optional[osapi.Bool] `json:"shared"`
			Default     osapi.Optional[osapi.Bool] `json:"is_default"`
		} `json:"policy"`
	}
	var p *qos.Policy
	err := a.change(r, &body, a.policyOf, func(tx *db.Tx) (err error) {
		b := body.Policy
		if b == nil {
			return noBody("policy")
		}
		var f fields
		change := qos.PolicyChange{
			Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description),
			Shared: truthOf(&f, "shared", b.Shared), Default: truthOf(&f, "is_default", b.Default),
		}
		if f.err != nil {
			return f.err
		}
		p, err = a.policies.ChangePolicy(r.Context(), tx, r.Path("id"), change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"policy": policyObject(p)}, nil
}

func (a *api) deletePolicy(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.policyOf, func(tx *db.Tx) error {
		return a.policies.DeletePolicy(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) policyOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	p, err := a.policies.Policy(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return policyMeta(p), nil
}
