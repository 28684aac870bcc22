package neutron

import (
	"fmt"
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) subnetPoolRoutes() []osapi.Route {
	const list, one = "/v2.0/subnetpools", "/v2.0/subnetpools/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listSubnetPools},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createSubnetPools},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showSubnetPool},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateSubnetPool},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteSubnetPool},
		{Method: http.MethodPut, Pattern: one + "/add_prefixes", Policy: osapi.Member, Handle: a.addPrefixes},
		{Method: http.MethodPut, Pattern: one + "/remove_prefixes", Policy: osapi.Member, Handle: a.removePrefixes},
	}
}

func subnetPoolObject(p *network.SubnetPool) object {
	o := meta(p.Meta)
	o["prefixes"] = written(p.Prefixes)
	o["ip_version"] = nil
	if len(p.Prefixes) > 0 {
		o["ip_version"] = p.Version()
	}
	// Neutron writes these lengths as texts.
	o["default_prefixlen"], o["min_prefixlen"], o["max_prefixlen"] = fmt.Sprint(p.DefaultBits), fmt.Sprint(p.LeastBits), fmt.Sprint(p.MostBits)
	o["default_quota"] = nil
	if p.Quota != network.Unlimited {
		o["default_quota"] = p.Quota
	}
	o["is_default"], o["shared"] = p.Default, p.Shared
	o["address_scope_id"] = orNil(p.AddressScope)
	return o
}

func (a *api) listSubnetPools(r *osapi.Request) (any, error) {
	found, err := a.networks.SubnetPools(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, p := range found {
		all = append(all, subnetPoolObject(p))
	}
	return list(r, "subnetpools", all, subnetPoolObject(&network.SubnetPool{}))
}

func (a *api) showSubnetPool(r *osapi.Request) (any, error) {
	p, err := a.networks.SubnetPool(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "subnetpool", subnetPoolObject(p))
}

// subnetPoolBody is a pool as clients write it.
type subnetPoolBody struct {
	owned
	Name         osapi.Optional[string]     `json:"name"`
	Description  osapi.Optional[string]     `json:"description"`
	Prefixes     osapi.Optional[[]string]   `json:"prefixes"`
	DefaultBits  osapi.Optional[osapi.Int]  `json:"default_prefixlen"`
	LeastBits    osapi.Optional[osapi.Int]  `json:"min_prefixlen"`
	MostBits     osapi.Optional[osapi.Int]  `json:"max_prefixlen"`
	Quota        osapi.Optional[osapi.Int]  `json:"default_quota"`
	Default      osapi.Optional[osapi.Bool] `json:"is_default"`
	Shared       osapi.Optional[osapi.Bool] `json:"shared"`
	AddressScope osapi.Optional[string]     `json:"address_scope_id"`
}

// quota is nil when the body has none; null is no limit.
func (b *subnetPoolBody) quota() *int64 {
	if !b.Quota.Set {
		return nil
	}
	quota := int64(b.Quota.Value)
	if b.Quota.Null {
		quota = network.Unlimited
	}
	return &quota
}

func (a *api) createSubnetPools(r *osapi.Request) (any, error) {
	var body struct {
		Pool  *subnetPoolBody   `json:"subnetpool"`
		Pools *[]subnetPoolBody `json:"subnetpools"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "subnetpool", body.Pool, body.Pools, func(tx *db.Tx, b *subnetPoolBody) (object, error) {
		if err := forAdmins(r, map[string]bool{"shared": bool(b.Shared.Value), "is_default": bool(b.Default.Value)}); err != nil {
			return nil, err
		}
		project, err := b.project(r)
		if err != nil {
			return nil, err
		}
		var f fields
		spec := network.SubnetPool{
			Meta:     network.Meta{Project: project, Name: b.Name.Value, Description: b.Description.Value},
			Prefixes: prefixes(&f, "prefixes", b.Prefixes.Value), DefaultBits: int(b.DefaultBits.Value), LeastBits: int(b.LeastBits.Value), MostBits: int(b.MostBits.Value),
			Quota: network.Unlimited, Default: bool(b.Default.Value), Shared: bool(b.Shared.Value), AddressScope: b.AddressScope.Value,
		}
		if quota := b.quota(); quota != nil {
			spec.Quota = *quota
		}
		if f.err != nil {
			return nil, f.err
		}
		p, err := a.networks.CreateSubnetPool(r.Context(), tx, spec)
		if err != nil {
			return nil, err
		}
		return subnetPoolObject(p), nil
	})
}

func (a *api) updateSubnetPool(r *osapi.Request) (any, error) {
	var body struct {
		Pool *subnetPoolBody `json:"subnetpool"`
	}
	var changed *network.SubnetPool
	err := a.change(r, &body, a.subnetPoolOf, func(tx *db.Tx) error {
		b := body.Pool
		if b == nil {
			return noBody("subnetpool")
		}
		if err := (readOnly{"project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "shared": b.Shared.Set}).check(); err != nil {
			return err
		}
		if err := forAdmins(r, map[string]bool{"is_default": b.Default.Set}); err != nil {
			return err
		}
		var f fields
		change := network.SubnetPoolChange{
			Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description),
			DefaultBits: number(&f, "default_prefixlen", b.DefaultBits), LeastBits: number(&f, "min_prefixlen", b.LeastBits), MostBits: number(&f, "max_prefixlen", b.MostBits),
			Quota: b.quota(), Default: truthOf(&f, "is_default", b.Default), AddressScope: orNone(b.AddressScope),
		}
		if texts := given(&f, "prefixes", b.Prefixes); texts != nil {
			list := prefixes(&f, "prefixes", *texts)
			change.Prefixes = &list
		}
		if f.err != nil {
			return f.err
		}
		if _, err := a.networks.ChangeSubnetPool(r.Context(), tx, r.Path("id"), change); err != nil {
			return err
		}
		return a.subnetPoolAgain(r, tx, &changed)
	})
	if err != nil {
		return nil, err
	}
	return object{"subnetpool": subnetPoolObject(changed)}, nil
}

// subnetPoolAgain reads the path's pool as the caller sees it.
func (a *api) subnetPoolAgain(r *osapi.Request, q db.Querier, p **network.SubnetPool) (err error) {
	*p, err = a.networks.SubnetPool(r.Context(), q, viewer(r), r.Path("id"))
	return err
}

func (a *api) addPrefixes(r *osapi.Request) (any, error) {
	return a.changePrefixes(r, true)
}

func (a *api) removePrefixes(r *osapi.Request) (any, error) {
	return a.changePrefixes(r, false)
}

func (a *api) changePrefixes(r *osapi.Request, add bool) (any, error) {
	var body struct {
		Prefixes []string `json:"prefixes"`
	}
	var left []string
	err := a.change(r, &body, a.subnetPoolOf, func(tx *db.Tx) error {
		var f fields
		list := prefixes(&f, "prefixes", body.Prefixes)
		if f.err != nil {
			return f.err
		}
		change := a.networks.RemovePrefixes
		if add {
			change = a.networks.AddPrefixes
		}
		p, err := change(r.Context(), tx, r.Path("id"), list)
		if err == nil {
			left = written(p.Prefixes)
		}
		return err
	})
	return object{"prefixes": left}, err
}

func (a *api) deleteSubnetPool(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.subnetPoolOf, func(tx *db.Tx) error {
		return a.networks.DeleteSubnetPool(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) subnetPoolOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	p, err := a.networks.SubnetPool(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return p.Meta, nil
}
