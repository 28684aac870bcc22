package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) addressScopeRoutes() []osapi.Route {
	const list, one = "/v2.0/address-scopes", "/v2.0/address-scopes/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listAddressScopes},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createAddressScopes},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showAddressScope},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateAddressScope},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteAddressScope},
	}
}

func addressScopeObject(s *network.AddressScope) object {
	return object{"id": s.ID, "name": s.Name, "project_id": s.Project, "tenant_id": s.Project, "ip_version": s.Version, "shared": s.Shared}
}

func (a *api) listAddressScopes(r *osapi.Request) (any, error) {
	found, err := a.networks.AddressScopes(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, s := range found {
		all = append(all, addressScopeObject(s))
	}
	return list(r, "address_scopes", all, addressScopeObject(&network.AddressScope{}))
}

func (a *api) showAddressScope(r *osapi.Request) (any, error) {
	s, err := a.networks.AddressScope(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "address_scope", addressScopeObject(s))
}

// addressScopeBody is a scope as clients write it.
type addressScopeBody struct {
	owned
	Name    osapi.Optional[string]     `json:"name"`
	Version osapi.Optional[osapi.Int]  `json:"ip_version"`
	Shared  osapi.Optional[osapi.Bool] `json:"shared"`
}

func (a *api) createAddressScopes(r *osapi.Request) (any, error) {
	var body struct {
		Scope  *addressScopeBody   `json:"address_scope"`
		Scopes *[]addressScopeBody `json:"address_scopes"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "address_scope", body.Scope, body.Scopes, func(tx *db.Tx, b *addressScopeBody) (object, error) {
		if err := forAdmins(r, map[string]bool{"shared": bool(b.Shared.Value)}); err != nil {
			return nil, err
		}
		project, err := b.project(r)
		if err != nil {
			return nil, err
		}
		s, err := a.networks.CreateAddressScope(r.Context(), tx, network.AddressScope{Project: project, Name: b.Name.Value, Version: int(b.Version.Value), Shared: bool(b.Shared.Value)})
		if err != nil {
			return nil, err
		}
		return addressScopeObject(s), nil
	})
}

func (a *api) updateAddressScope(r *osapi.Request) (any, error) {
	var body struct {
		Scope *addressScopeBody `json:"address_scope"`
	}
	var s *network.AddressScope
	err := a.change(r, &body, a.addressScopeOf, func(tx *db.Tx) error {
		b := body.Scope
		if b == nil {
			return noBody("address_scope")
		}
		if err := (readOnly{"project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "ip_version": b.Version.Set}).check(); err != nil {
			return err
		}
		if err := forAdmins(r, map[string]bool{"shared": b.Shared.Set}); err != nil {
			return err
		}
		var f fields
		name, shared := text(&f, "name", b.Name), truthOf(&f, "shared", b.Shared)
		if f.err != nil {
			return f.err
		}
		var err error
		s, err = a.networks.ChangeAddressScope(r.Context(), tx, viewer(r), r.Path("id"), name, shared)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"address_scope": addressScopeObject(s)}, nil
}

func (a *api) deleteAddressScope(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.addressScopeOf, func(tx *db.Tx) error {
		return a.networks.DeleteAddressScope(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) addressScopeOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	s, err := a.networks.AddressScope(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return network.Meta{ID: s.ID, Project: s.Project}, nil
}
