package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) portRoutes() []osapi.Route {
	const list, one = "/v2.0/ports", "/v2.0/ports/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listPorts},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createPorts},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showPort},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updatePort},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deletePort},
	}
}

// dnsDomain is Neutron's own default, for names that no DNS server knows.
const dnsDomain = "openstacklocal."

// portObject is a port as the caller sees it: where it is bound is for admins only.
func portObject(r *osapi.Request, p *network.Port) object {
	o := meta(p.Meta)
	o["network_id"] = p.Network
	o["mac_address"] = p.MAC
	o["admin_state_up"] = p.AdminUp
	o["status"] = p.Status()
	o["device_id"], o["device_owner"] = p.DeviceID, p.DeviceOwner
	addresses, names := []object{}, []object{}
	for _, ip := range p.FixedIPs {
		host := p.Hostname(ip.Addr)
		addresses = append(addresses, object{"subnet_id": ip.Subnet, "ip_address": ip.Addr.String()})
		names = append(names, object{"ip_address": ip.Addr.String(), "hostname": host, "fqdn": host + "." + dnsDomain})
	}
	o["fixed_ips"] = addresses
	o["dns_name"], o["dns_domain"], o["dns_assignment"] = p.DNSName, "", names
	o["security_groups"] = []string{}
	o["port_security_enabled"] = false
	o["allowed_address_pairs"], o["extra_dhcp_opts"] = []object{}, []object{}
	o["qos_policy_id"], o["qos_network_policy_id"] = nil, nil
	o["ip_allocation"] = "immediate"
	o["binding:vnic_type"] = p.VNIC()
	if r.Caller.ReadsAll() {
		o["binding:host_id"] = p.Host
		o["binding:vif_type"] = "unbound"
		if p.Host != "" {
			o["binding:vif_type"] = "other"
		}
		o["binding:vif_details"], o["binding:profile"] = object{}, object{}
	}
	return o
}

func (a *api) listPorts(r *osapi.Request) (any, error) {
	q := r.Query()
	projects := q.Strings("project_id")
	if len(projects) == 0 {
		projects = q.Strings("tenant_id")
	}
	found, err := a.networks.Ports(r.Context(), a.db, viewer(r), network.PortFilter{ // what the store finds by an index
		IDs: q.Strings("id"), Networks: q.Strings("network_id"), Projects: projects, Devices: q.Strings("device_id"), MACs: q.Strings("mac_address"),
	})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, p := range found {
		all = append(all, portObject(r, p))
	}
	if err := a.addTrunkDetails(r, all...); err != nil {
		return nil, err
	}
	return list(r, "ports", all, portObject(r, &network.Port{}))
}

func (a *api) showPort(r *osapi.Request) (any, error) {
	p, err := a.networks.Port(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	o := portObject(r, p)
	if err := a.addTrunkDetails(r, o); err != nil {
		return nil, err
	}
	return show(r, "port", o)
}

// createPorts makes one port or, in bulk, several: all of them or none.
func (a *api) createPorts(r *osapi.Request) (any, error) {
	var body struct {
		Port  *portBody   `json:"port"`
		Ports *[]portBody `json:"ports"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	bodies, err := wanted(body.Port, body.Ports, "port")
	if err != nil {
		return nil, err
	}
	var made []object
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		made = nil
		for _, b := range bodies {
			spec, err := a.newPort(r, tx, b)
			if err != nil {
				return err
			}
			p, err := a.networks.CreatePort(r.Context(), tx, spec)
			if err != nil {
				return err
			}
			made = append(made, portObject(r, p))
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case body.Port != nil:
		return object{"port": made[0]}, nil
	}
	return object{"ports": made}, nil
}

func (a *api) updatePort(r *osapi.Request) (any, error) {
	var body struct {
		Port *portBody `json:"port"`
	}
	var changed *network.Port
	err := a.change(r, &body, a.portOf, func(tx *db.Tx) error {
		if body.Port == nil {
			return noBody("port")
		}
		p, err := a.networks.Port(r.Context(), tx, viewer(r), r.Path("id"))
		if err != nil {
			return err
		}
		change, err := a.portChange(r, tx, p, *body.Port)
		if err != nil {
			return err
		}
		changed, err = a.networks.ChangePort(r.Context(), tx, p.ID, change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"port": portObject(r, changed)}, nil
}

func (a *api) deletePort(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.portOf, func(tx *db.Tx) error {
		if err := a.trunks.Free(r.Context(), tx, r.Path("id")); err != nil {
			return err
		}
		return a.networks.DeletePort(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) portOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	p, err := a.networks.Port(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return p.Meta, nil
}
