package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

func (a *api) floatingIPRoutes() []osapi.Route {
	const list, one = "/v2.0/floatingips", "/v2.0/floatingips/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listFloatingIPs},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createFloatingIP},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showFloatingIP},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateFloatingIP},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteFloatingIP},
		{Method: http.MethodGet, Pattern: "/v2.0/floatingip_pools", Policy: osapi.Reader, Handle: a.listFloatingIPPools},
	}
}

// floatingIPObject is a floating IP with the port that it leads to; nil: none.
func floatingIPObject(f *router.FloatingIP, inside *network.Port) object {
	o := meta(f.Meta)
	delete(o, "name")
	o["floating_network_id"], o["floating_ip_address"] = f.Network, f.Addr.String()
	o["port_id"], o["router_id"], o["qos_policy_id"] = orNil(f.FixedPort), orNil(f.Router), orNil(f.QoS)
	o["fixed_ip_address"], o["port_details"] = nil, nil
	if f.FixedAddr.IsValid() {
		o["fixed_ip_address"] = f.FixedAddr.String()
	}
	if p := inside; p != nil {
		o["port_details"] = object{
			"name": p.Name, "network_id": p.Network, "mac_address": p.MAC, "admin_state_up": p.AdminUp, "status": p.Status(),
			"device_id": p.DeviceID, "device_owner": p.DeviceOwner,
		}
	}
	o["status"] = "DOWN"
	if f.Active() {
		o["status"] = "ACTIVE"
	}
	o["dns_name"], o["dns_domain"] = f.DNSName, f.DNSDomain
	forwardings := []object{}
	for _, one := range f.Forwardings {
		part := forwardingObject(one)
		delete(part, "description")
		forwardings = append(forwardings, part)
	}
	o["port_forwardings"] = forwardings
	return o
}

func (a *api) floatingIPObjects(r *osapi.Request, q db.Querier, list ...*router.FloatingIP) ([]object, error) {
	inside, err := a.routers.FixedPorts(r.Context(), q, list)
	if err != nil {
		return nil, err
	}
	objects := []object{}
	for _, f := range list {
		objects = append(objects, floatingIPObject(f, inside[f.FixedPort]))
	}
	return objects, nil
}

func (a *api) listFloatingIPs(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "project_id", "tenant_id", "floating_network_id", "port_id", "router_id", "floating_ip_address")
	found, err := a.routers.FloatingIPs(r.Context(), a.db, viewer(r), router.FloatingIPFilter{ // what the store finds by itself
		IDs: q.Strings("id"), Projects: projects(q), Networks: q.Strings("floating_network_id"), FixedPorts: q.Strings("port_id"), Routers: q.Strings("router_id"),
		Addrs: q.Strings("floating_ip_address"), Page: page,
	})
	if err != nil {
		return nil, err
	}
	all, err := a.floatingIPObjects(r, a.db, found...)
	if err != nil {
		return nil, err
	}
	return listPage(r, "floatingips", page, all, floatingIPObject(&router.FloatingIP{}, nil))
}

func (a *api) showFloatingIP(r *osapi.Request) (any, error) {
	f, err := a.routers.FloatingIP(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	objects, err := a.floatingIPObjects(r, a.db, f)
	if err != nil {
		return nil, err
	}
	return show(r, "floatingip", objects[0])
}

func (a *api) floatingIPOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	f, err := a.routers.FloatingIP(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return f.Meta, nil
}

// floatingIPBody is a floating IP as clients write it.
type floatingIPBody struct {
	owned
	Network     osapi.Optional[string] `json:"floating_network_id"`
	Addr        osapi.Optional[string] `json:"floating_ip_address"`
	Subnet      osapi.Optional[string] `json:"subnet_id"`
	Port        osapi.Optional[string] `json:"port_id"`
	FixedAddr   osapi.Optional[string] `json:"fixed_ip_address"`
	Description osapi.Optional[string] `json:"description"`
	QoS         osapi.Optional[string] `json:"qos_policy_id"`
	DNSName     osapi.Optional[string] `json:"dns_name"`
	DNSDomain   osapi.Optional[string] `json:"dns_domain"`
}

func (b *floatingIPBody) target(f *fields) router.Target {
	return router.Target{Port: b.Port.Value, Addr: address(f, "fixed_ip_address", b.FixedAddr.Value)}
}

func (a *api) createFloatingIP(r *osapi.Request) (any, error) {
	var body struct {
		FloatingIP *floatingIPBody `json:"floatingip"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.FloatingIP == nil {
		return nil, noBody("floatingip")
	}
	spec, err := body.FloatingIP.spec(r)
	if err != nil {
		return nil, err
	}
	var made []object
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		f, err := a.routers.CreateFloatingIP(r.Context(), tx, viewer(r), spec)
		if err != nil {
			return err
		}
		made, err = a.floatingIPObjects(r, tx, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"floatingip": made[0]}, nil
}

func (b *floatingIPBody) spec(r *osapi.Request) (spec router.NewFloatingIP, err error) {
	if b.Network.Value == "" {
		return spec, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'floating_network_id' not specified")
	}
	if err := forAdmins(r, map[string]bool{"floating_ip_address": b.Addr.Value != ""}); err != nil {
		return spec, err
	}
	project, err := b.project(r)
	if err != nil {
		return spec, err
	}
	var f fields
	return router.NewFloatingIP{
		Project: project, Network: b.Network.Value, Subnet: b.Subnet.Value, Addr: address(&f, "floating_ip_address", b.Addr.Value),
		Target: b.target(&f), Description: b.Description.Value, QoS: b.QoS.Value, DNSName: b.DNSName.Value, DNSDomain: b.DNSDomain.Value,
	}, f.err
}

func (a *api) updateFloatingIP(r *osapi.Request) (any, error) {
	var body struct {
		FloatingIP *floatingIPBody `json:"floatingip"`
	}
	var changed []object
	err := a.change(r, &body, a.floatingIPOf, func(tx *db.Tx) error {
		if body.FloatingIP == nil {
			return noBody("floatingip")
		}
		change, err := body.FloatingIP.change()
		if err != nil {
			return err
		}
		f, err := a.routers.ChangeFloatingIP(r.Context(), tx, viewer(r), r.Path("id"), change)
		if err != nil {
			return err
		}
		changed, err = a.floatingIPObjects(r, tx, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"floatingip": changed[0]}, nil
}

func (b *floatingIPBody) change() (c router.FloatingIPChange, err error) {
	fixed := readOnly{
		"project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "floating_network_id": b.Network.Set, "floating_ip_address": b.Addr.Set,
		"subnet_id": b.Subnet.Set, "dns_name": b.DNSName.Set, "dns_domain": b.DNSDomain.Set,
	}
	if err := fixed.check(); err != nil {
		return c, err
	}
	var f fields
	c.Description, c.QoS = text(&f, "description", b.Description), orNone(b.QoS)
	if b.Port.Set || b.FixedAddr.Value != "" { // null: no port
		target := b.target(&f)
		c.Target = &target
	}
	return c, f.err
}

func (a *api) deleteFloatingIP(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.floatingIPOf, func(tx *db.Tx) error {
		return a.routers.DeleteFloatingIP(r.Context(), tx, r.Path("id"))
	})
}

// listFloatingIPPools lists the subnets that floating IPs come from, for the caller's project. They have no ids, so
// there are no pages of them.
func (a *api) listFloatingIPPools(r *osapi.Request) (any, error) {
	pools, err := a.routers.Pools(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, p := range pools {
		all = append(all, object{
			"subnet_id": p.Subnet.ID, "subnet_name": p.Subnet.Name, "cidr": p.Subnet.CIDR.String(),
			"network_id": p.Network.ID, "project_id": r.Caller.ProjectID, "tenant_id": r.Caller.ProjectID,
		})
	}
	kept, err := filter(r.Query(), all, object{"subnet_id": "", "subnet_name": "", "cidr": "", "network_id": "", "project_id": "", "tenant_id": ""})
	return object{"floatingip_pools": kept}, err
}
