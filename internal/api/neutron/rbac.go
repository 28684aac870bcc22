package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) rbacRoutes() []osapi.Route {
	const list, one = "/v2.0/rbac-policies", "/v2.0/rbac-policies/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listRBAC},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createRBAC},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showRBAC},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateRBAC},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteRBAC},
	}
}

func rbacObject(p *network.RBAC) object {
	return object{
		"id": p.ID, "project_id": p.Project, "tenant_id": p.Project, "object_type": p.Kind, "object_id": p.Object,
		"action": p.Action, "target_tenant": p.Target,
	}
}

func (a *api) listRBAC(r *osapi.Request) (any, error) {
	found, err := a.networks.RBACs(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, p := range found {
		all = append(all, rbacObject(p))
	}
	return list(r, "rbac_policies", all, rbacObject(&network.RBAC{}))
}

func (a *api) showRBAC(r *osapi.Request) (any, error) {
	p, err := a.networks.RBAC(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "rbac_policy", rbacObject(p))
}

// rbacBody is a policy as clients write it.
type rbacBody struct {
	owned
	Kind   osapi.Optional[string] `json:"object_type"`
	Object osapi.Optional[string] `json:"object_id"`
	Action osapi.Optional[string] `json:"action"`
	Target osapi.Optional[string] `json:"target_tenant"`
}

// permitted fails for tenants who share with everybody, or make a network an external one.
func (b *rbacBody) permitted(r *osapi.Request) error {
	return forAdmins(r, map[string]bool{"target_tenant *": b.Target.Value == network.Everybody, network.AsExternal: b.Action.Value == network.AsExternal})
}

func (a *api) createRBAC(r *osapi.Request) (any, error) {
	var body struct {
		Policy *rbacBody `json:"rbac_policy"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "rbac_policy", body.Policy, nil, func(tx *db.Tx, b *rbacBody) (object, error) {
		if err := b.permitted(r); err != nil {
			return nil, err
		}
		project, err := b.project(r)
		if err != nil {
			return nil, err
		}
		v := network.Viewer{Project: r.Caller.ProjectID, All: r.Caller.IsAdmin()}
		p, err := a.networks.CreateRBAC(r.Context(), tx, v, network.RBAC{Project: project, Kind: b.Kind.Value, Object: b.Object.Value, Action: b.Action.Value, Target: b.Target.Value})
		if err != nil {
			return nil, err
		}
		return rbacObject(p), nil
	})
}

func (a *api) updateRBAC(r *osapi.Request) (any, error) {
	var body struct {
		Policy *rbacBody `json:"rbac_policy"`
	}
	var p *network.RBAC
	err := a.change(r, &body, a.rbacOf, func(tx *db.Tx) error {
		b := body.Policy
		if b == nil {
			return noBody("rbac_policy")
		}
		if err := (readOnly{"object_type": b.Kind.Set, "object_id": b.Object.Set, "action": b.Action.Set, "project_id": b.Project.Set, "tenant_id": b.Tenant.Set}).check(); err != nil {
			return err
		}
		if err := b.permitted(r); err != nil {
			return err
		}
		var err error
		p, err = a.networks.ChangeRBAC(r.Context(), tx, viewer(r), r.Path("id"), b.Target.Value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"rbac_policy": rbacObject(p)}, nil
}

func (a *api) deleteRBAC(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.rbacOf, func(tx *db.Tx) error {
		return a.networks.DeleteRBAC(r.Context(), tx, viewer(r), r.Path("id"))
	})
}

func (a *api) rbacOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	p, err := a.networks.RBAC(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return network.Meta{ID: p.ID, Project: p.Project}, nil
}
