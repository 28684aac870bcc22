package neutron

import (
	"cmp"
	"net/http"
	"net/netip"

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
	pairs, options := []object{}, []object{}
	for _, pair := range p.AllowedPairs {
		pairs = append(pairs, object{"ip_address": single(pair.Addr), "mac_address": cmp.Or(pair.MAC, p.MAC)})
	}
	for _, option := range p.DHCPOptions {
		options = append(options, object{"opt_name": option.Name, "opt_value": option.Value, "ip_version": option.Version})
	}
	o["security_groups"] = append([]string{}, p.Groups...)
	o["port_security_enabled"] = p.PortSecurity
	o["allowed_address_pairs"], o["extra_dhcp_opts"] = pairs, options
	o["qos_policy_id"], o["qos_network_policy_id"] = orNil(p.QoS), orNil(p.NetworkQoS)
	o["ip_allocation"] = "immediate"
	if len(p.FixedIPs) == 0 {
		o["ip_allocation"] = "none"
	}
	o["binding:vnic_type"] = p.VNIC()
	if r.Caller.ReadsAll() {
		o["binding:host_id"] = p.Host
		o["binding:vif_type"], o["binding:vif_details"] = vif(p)
		o["binding:profile"] = object{}
		if p.Profile != nil {
			o["binding:profile"] = p.Profile
		}
	}
	return o
}

// vif tells how the port is plugged in, and how strongly what it says is enforced there: "edge" names who does it.
func vif(p *network.Port) (kind string, details object) {
	if p.Host == "" {
		return "unbound", object{}
	}
	kind, edge := "other", "none"
	if p.Edge.Kind != network.NoEdge {
		edge = string(p.Edge.Kind)
	}
	if p.Edge.Kind == network.EdgeOVS {
		kind = "ovs"
	}
	return kind, object{
		"port_filter": p.Edge.Kind != network.NoEdge, "connectivity": "l2", "edge": edge,
		"bound_drivers": object{"0": map[bool]string{true: "ovn", false: "none"}[p.Edge.Kind != network.NoEdge]},
	}
}

// single writes a prefix of one address as the address.
func single(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// projects is the filter by project, under either of its names.
func projects(q *osapi.Query) []string {
	ids := q.Strings("project_id")
	if len(ids) == 0 {
		ids = q.Strings("tenant_id")
	}
	return ids
}

func (a *api) listPorts(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "network_id", "project_id", "tenant_id", "device_id", "mac_address", "name")
	found, err := a.networks.Ports(r.Context(), a.db, viewer(r), network.PortFilter{ // what the store finds by itself
		IDs: q.Strings("id"), Networks: q.Strings("network_id"), Projects: projects(q), Devices: q.Strings("device_id"), MACs: q.Strings("mac_address"), Names: q.Strings("name"),
		Addresses: addressesIn(q.Strings("fixed_ips")), Page: page,
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
	return listPage(r, "ports", page, all, portObject(r, &network.Port{}))
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

func (a *api) createPorts(r *osapi.Request) (any, error) {
	var body struct {
		Port  *portBody   `json:"port"`
		Ports *[]portBody `json:"ports"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "port", body.Port, body.Ports, func(tx *db.Tx, b *portBody) (object, error) {
		spec, err := a.newPort(r, tx, b)
		if err != nil {
			return nil, err
		}
		p, err := a.networks.CreatePort(r.Context(), tx, spec)
		if err != nil {
			return nil, err
		}
		return portObject(r, p), nil
	})
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
		change, err := a.portChange(r, tx, p, body.Port)
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
		p, err := a.networks.Port(r.Context(), tx, viewer(r), r.Path("id"))
		if err != nil {
			return err
		}
		if err := p.CheckUnowned("deleted"); err != nil {
			return err
		}
		if err := a.trunks.Free(r.Context(), tx, p.ID); err != nil {
			return err
		}
		return a.networks.DeletePort(r.Context(), tx, p.ID)
	})
}

func (a *api) portOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	p, err := a.networks.Port(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return p.Meta, nil
}
