package neutron

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

func (a *api) addressGroupRoutes() []osapi.Route {
	const list, one = "/v2.0/address-groups", "/v2.0/address-groups/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listAddressGroups},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createAddressGroup},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showAddressGroup},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateAddressGroup},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteAddressGroup},
		{Method: http.MethodPut, Pattern: one + "/add_addresses", Policy: osapi.Member, Handle: a.changeAddresses(a.groups.AddAddresses)},
		{Method: http.MethodPut, Pattern: one + "/remove_addresses", Policy: osapi.Member, Handle: a.changeAddresses(a.groups.RemoveAddresses)},
	}
}

func addressGroupObject(g *securitygroup.AddressGroup) object {
	o := meta(addressGroupMeta(g))
	delete(o, "tags")
	o["shared"] = g.Shared
	o["addresses"] = written(g.Addresses)
	return o
}

func addressGroupMeta(g *securitygroup.AddressGroup) network.Meta {
	return network.Meta{ID: g.ID, Project: g.Project, Name: g.Name, Description: g.Description, Revision: g.Revision, Created: g.Created, Updated: g.Updated}
}

func (a *api) listAddressGroups(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "project_id", "tenant_id", "name")
	found, err := a.groups.AddressGroups(r.Context(), a.db, viewer(r), securitygroup.Filter{
		IDs: q.Strings("id"), Projects: projects(q), Names: q.Strings("name"), Page: page,
	})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, g := range found {
		all = append(all, addressGroupObject(g))
	}
	return listPage(r, "address_groups", page, all, addressGroupObject(&securitygroup.AddressGroup{}))
}

func (a *api) showAddressGroup(r *osapi.Request) (any, error) {
	g, err := a.groups.AddressGroup(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "address_group", addressGroupObject(g))
}

func (a *api) createAddressGroup(r *osapi.Request) (any, error) {
	var body struct {
		Group *struct {
			owned
			Name        osapi.Optional[string]   `json:"name"`
			Description osapi.Optional[string]   `json:"description"`
			Addresses   osapi.Optional[[]string] `json:"addresses"`
		} `json:"address_group"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Group
	if b == nil {
		return nil, noBody("address_group")
	}
	project, err := b.project(r)
	if err != nil {
		return nil, err
	}
	addresses, err := remotes(b.Addresses.Value)
	if err != nil {
		return nil, err
	}
	var g *securitygroup.AddressGroup
	err = a.db.Tx(r.Context(), func(tx *db.Tx) (err error) {
		g, err = a.groups.CreateAddressGroup(r.Context(), tx, securitygroup.AddressGroup{Project: project, Name: b.Name.Value, Description: b.Description.Value, Addresses: addresses})
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"address_group": addressGroupObject(g)}, nil
}

func remotes(written []string) (list []netip.Prefix, err error) {
	for _, text := range written {
		p, err := remote(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (a *api) updateAddressGroup(r *osapi.Request) (any, error) {
	var body struct {
		Group *struct {
			Name        osapi.Optional[string] `json:"name"`
			Description osapi.Optional[string] `json:"description"`
		} `json:"address_group"`
	}
	var g *securitygroup.AddressGroup
	err := a.change(r, &body, a.addressGroupOf, func(tx *db.Tx) (err error) {
		b := body.Group
		if b == nil {
			return noBody("address_group")
		}
		var f fields
		change := securitygroup.AddressGroupChange{Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description)}
		if f.err != nil {
			return f.err
		}
		g, err = a.groups.ChangeAddressGroup(r.Context(), tx, r.Path("id"), change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"address_group": addressGroupObject(g)}, nil
}

// changeAddresses answers add_addresses and remove_addresses.
func (a *api) changeAddresses(how func(context.Context, *db.Tx, string, []netip.Prefix) (*securitygroup.AddressGroup, error)) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		var body struct {
			Addresses []string `json:"addresses"`
		}
		var g *securitygroup.AddressGroup
		err := a.change(r, &body, a.addressGroupOf, func(tx *db.Tx) error {
			if len(body.Addresses) == 0 {
				return noBody("addresses")
			}
			addresses, err := remotes(body.Addresses)
			if err != nil {
				return err
			}
			g, err = how(r.Context(), tx, r.Path("id"), addresses)
			return err
		})
		if err != nil {
			return nil, err
		}
		return object{"address_group": addressGroupObject(g)}, nil
	}
}

func (a *api) deleteAddressGroup(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.addressGroupOf, func(tx *db.Tx) error {
		return a.groups.DeleteAddressGroup(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) addressGroupOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	g, err := a.groups.AddressGroup(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return addressGroupMeta(g), nil
}
