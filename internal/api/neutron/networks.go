package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) networkRoutes() []osapi.Route {
	const list, one = "/v2.0/networks", "/v2.0/networks/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listNetworks},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: createNetwork},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showNetwork},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateNetwork},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteNetwork},
		{Method: http.MethodGet, Pattern: one + "/dhcp-agents", Policy: osapi.SystemReader, Handle: a.listDHCPAgents},
	}
}

// networkObject is a network as the caller sees it: its wire is for admins only.
func networkObject(r *osapi.Request, n *network.Network) object {
	o := meta(n.Meta)
	o["admin_state_up"] = n.AdminUp
	o["status"] = "ACTIVE"
	o["mtu"] = n.MTU
	o["shared"] = n.Shared
	o["subnets"] = append([]string{}, n.Subnets...)
	o["availability_zone_hints"], o["availability_zones"] = []string{}, []string{}
	o["ipv4_address_scope"], o["ipv6_address_scope"] = nil, nil
	o["router:external"] = false
	o["port_security_enabled"] = false
	o["qos_policy_id"] = nil
	o["dns_domain"] = ""
	o["l2_adjacency"] = true
	if r.Caller.ReadsAll() {
		o["provider:network_type"] = string(n.Kind)
		o["provider:physical_network"] = orNil(n.Physical)
		o["provider:segmentation_id"] = nil
	}
	return o
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (a *api) listNetworks(r *osapi.Request) (any, error) {
	found, err := a.networks.Networks(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, n := range found {
		all = append(all, networkObject(r, n))
	}
	return list(r, "networks", all, networkObject(r, &network.Network{}))
}

func (a *api) showNetwork(r *osapi.Request) (any, error) {
	n, err := a.networks.Network(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "network", networkObject(r, n))
}

func createNetwork(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "This cloud does not have networks of projects' own yet. It has one network, shared by all projects.")
}

func createSubnet(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "This cloud does not have subnets of projects' own yet. The subnet of its one network stands in its configuration.")
}

func (a *api) updateNetwork(r *osapi.Request) (any, error) {
	var body struct {
		Network *struct {
			Name        osapi.Optional[string]     `json:"name"`
			Description osapi.Optional[string]     `json:"description"`
			AdminUp     osapi.Optional[osapi.Bool] `json:"admin_state_up"`
			Shared      osapi.Optional[osapi.Bool] `json:"shared"`
			MTU         osapi.Optional[osapi.Int]  `json:"mtu"`
		} `json:"network"`
	}
	var n *network.Network
	err := a.change(r, &body, a.networkOf, func(tx *db.Tx) error {
		b := body.Network
		if b == nil {
			return noBody("network")
		}
		if b.Shared.Set || b.MTU.Set {
			return fault.New(fault.Unsupported, "shared and mtu of this network stand in the cloud's configuration.")
		}
		var f fields
		change := network.NetworkChange{Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description), AdminUp: truthOf(&f, "admin_state_up", b.AdminUp)}
		if f.err != nil {
			return f.err
		}
		var err error
		n, err = a.networks.ChangeNetwork(r.Context(), tx, r.Path("id"), change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"network": networkObject(r, n)}, nil
}

func (a *api) deleteNetwork(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.networkOf, func(tx *db.Tx) error {
		return a.networks.DeleteNetwork(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) networkOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	n, err := a.networks.Network(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return n.Meta, nil
}

// listDHCPAgents: DHCP is a part of the cloud here and no agent's.
func (a *api) listDHCPAgents(r *osapi.Request) (any, error) {
	_, err := a.networks.Network(r.Context(), a.db, viewer(r), r.Path("id"))
	return object{"agents": []any{}}, err
}

// change does what all changes of a thing have in common: body (nil: none) is read, the thing must be one that the caller
// sees (else 404), may change (else 403) and has read lately (If-Match); then f, in the same transaction.
func (a *api) change(r *osapi.Request, body any, find func(*osapi.Request, db.Querier) (network.Meta, error), f func(*db.Tx) error) error {
	if body != nil {
		if err := r.Decode(body); err != nil {
			return err
		}
	}
	return a.db.Tx(r.Context(), func(tx *db.Tx) error {
		thing, err := find(r, tx)
		if err != nil {
			return err
		}
		if err := mayWrite(r, thing.Project); err != nil {
			return err
		}
		if err := unchanged(r, thing.Revision); err != nil {
			return err
		}
		return f(tx)
	})
}

func noBody(name string) error {
	return fault.New(fault.Invalid, "Unable to find '%s' in request body", name)
}

// fields remembers the first field of a body that does not fit.
type fields struct{ err error }

// given is the field's value; nil when the body has not got it. No field here may be null.
func given[T any](f *fields, name string, o osapi.Optional[T]) *T {
	if o.Null && f.err == nil {
		f.err = fault.New(fault.Invalid, "Invalid input for %s. Reason: 'None' is not a valid value.", name)
	}
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

func text(f *fields, name string, o osapi.Optional[string]) *string { return given(f, name, o) }

func truthOf(f *fields, name string, o osapi.Optional[osapi.Bool]) *bool {
	return (*bool)(given(f, name, o))
}
