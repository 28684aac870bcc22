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
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createNetworks},
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
	o["availability_zone_hints"], o["availability_zones"] = append([]string{}, n.Zones...), []string{network.Zone}
	o["ipv4_address_scope"], o["ipv6_address_scope"] = orNil(n.Scope4), orNil(n.Scope6)
	o["router:external"] = n.External
	o["is_default"] = n.Default
	o["port_security_enabled"] = n.PortSecurity
	o["qos_policy_id"] = orNil(n.QoS)
	o["dns_domain"] = n.DNSDomain
	o["l2_adjacency"] = true
	if r.Caller.ReadsAll() {
		o["provider:network_type"] = string(n.Kind)
		o["provider:physical_network"] = orNil(n.Physical)
		o["provider:segmentation_id"] = nil
		if n.Segment != 0 {
			o["provider:segmentation_id"] = n.Segment
		}
	}
	return o
}

func (a *api) listNetworks(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "project_id", "tenant_id", "name")
	found, err := a.networks.Networks(r.Context(), a.db, viewer(r), network.NetworkFilter{ // what the store finds by itself
		IDs: q.Strings("id"), Projects: projects(q), Names: q.Strings("name"), Page: page,
	})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, n := range found {
		all = append(all, networkObject(r, n))
	}
	return listPage(r, "networks", page, all, networkObject(r, &network.Network{}))
}

func (a *api) showNetwork(r *osapi.Request) (any, error) {
	n, err := a.networks.Network(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "network", networkObject(r, n))
}

// networkBody is a network as clients write it.
type networkBody struct {
	owned
	Name         osapi.Optional[string]     `json:"name"`
	Description  osapi.Optional[string]     `json:"description"`
	AdminUp      osapi.Optional[osapi.Bool] `json:"admin_state_up"`
	Shared       osapi.Optional[osapi.Bool] `json:"shared"`
	External     osapi.Optional[osapi.Bool] `json:"router:external"`
	Default      osapi.Optional[osapi.Bool] `json:"is_default"`
	PortSecurity osapi.Optional[osapi.Bool] `json:"port_security_enabled"`
	MTU          osapi.Optional[osapi.Int]  `json:"mtu"`
	QoS          osapi.Optional[string]     `json:"qos_policy_id"`
	DNSDomain    osapi.Optional[string]     `json:"dns_domain"`
	Zones        osapi.Optional[[]string]   `json:"availability_zone_hints"`
	Kind         osapi.Optional[string]     `json:"provider:network_type"`
	Physical     osapi.Optional[string]     `json:"provider:physical_network"`
	Segment      osapi.Optional[osapi.Int]  `json:"provider:segmentation_id"`
}

func (a *api) createNetworks(r *osapi.Request) (any, error) {
	var body struct {
		Network  *networkBody   `json:"network"`
		Networks *[]networkBody `json:"networks"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "network", body.Network, body.Networks, func(tx *db.Tx, b *networkBody) (object, error) {
		spec, err := newNetwork(r, b)
		if err != nil {
			return nil, err
		}
		if !b.QoS.Set {
			if spec.QoS, err = a.policies.Default(r.Context(), tx, spec.Project); err != nil {
				return nil, err
			}
		}
		n, err := a.networks.CreateNetwork(r.Context(), tx, spec)
		if err != nil {
			return nil, err
		}
		return networkObject(r, n), nil
	})
}

func newNetwork(r *osapi.Request, b *networkBody) (network.NewNetwork, error) {
	err := forAdmins(r, map[string]bool{
		"shared": bool(b.Shared.Value), "router:external": bool(b.External.Value), "is_default": bool(b.Default.Value),
		"provider:network_type": b.Kind.Value != "", "provider:physical_network": b.Physical.Value != "", "provider:segmentation_id": b.Segment.Value != 0,
	})
	if err != nil {
		return network.NewNetwork{}, err
	}
	project, err := b.project(r)
	off := func(o osapi.Optional[osapi.Bool]) bool { return o.Set && !o.Null && !bool(o.Value) }
	return network.NewNetwork{
		Project: project, Name: b.Name.Value, Description: b.Description.Value, AdminDown: off(b.AdminUp),
		Shared: bool(b.Shared.Value), External: bool(b.External.Value), Default: bool(b.Default.Value), NoPortSecurity: off(b.PortSecurity),
		MTU: int(b.MTU.Value), Wire: network.Wire{Kind: network.Kind(b.Kind.Value), Physical: b.Physical.Value, Segment: int(b.Segment.Value)},
		QoS: b.QoS.Value, DNSDomain: b.DNSDomain.Value, Zones: b.Zones.Value,
	}, err
}

func (a *api) updateNetwork(r *osapi.Request) (any, error) {
	var body struct {
		Network *networkBody `json:"network"`
	}
	var n *network.Network
	err := a.change(r, &body, a.networkOf, func(tx *db.Tx) error {
		if body.Network == nil {
			return noBody("network")
		}
		before, err := a.networks.Network(r.Context(), tx, viewer(r), r.Path("id"))
		if err != nil {
			return err
		}
		change, err := networkChange(r, before, body.Network)
		if err != nil {
			return err
		}
		n, err = a.networks.ChangeNetwork(r.Context(), tx, viewer(r), before.ID, change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"network": networkObject(r, n)}, nil
}

// networkChange leaves out what is so already: forms send whole networks back.
func networkChange(r *osapi.Request, n *network.Network, b *networkBody) (c network.NetworkChange, err error) {
	err = readOnly{"project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "availability_zone_hints": b.Zones.Set}.check()
	if err != nil {
		return c, err
	}
	var f fields
	differs := func(name string, o osapi.Optional[osapi.Bool], now bool) *bool {
		if asked := truthOf(&f, name, o); asked != nil && *asked != now {
			return asked
		}
		return nil
	}
	c = network.NetworkChange{
		Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description), AdminUp: truthOf(&f, "admin_state_up", b.AdminUp),
		Shared: differs("shared", b.Shared, n.Shared), External: differs("router:external", b.External, n.External), Default: differs("is_default", b.Default, n.Default),
		PortSecurity: truthOf(&f, "port_security_enabled", b.PortSecurity), QoS: orNone(b.QoS), DNSDomain: text(&f, "dns_domain", b.DNSDomain),
	}
	if mtu := number(&f, "mtu", b.MTU); mtu != nil && *mtu != n.MTU {
		c.MTU = mtu
	}
	if f.err != nil {
		return c, f.err
	}
	rewired := b.Kind.Set && b.Kind.Value != string(n.Kind) || b.Physical.Set && b.Physical.Value != n.Physical || b.Segment.Set && int(b.Segment.Value) != n.Segment
	err = forAdmins(r, map[string]bool{"shared": c.Shared != nil, "router:external": c.External != nil, "is_default": c.Default != nil, "provider attributes": rewired})
	if err == nil && rewired {
		err = failure("InvalidInput", fault.Invalid, "Invalid input for operation: Plugin does not support updating provider attributes.")
	}
	return c, err
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
