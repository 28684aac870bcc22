package neutron

import (
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// portBody is a port as clients write it.
type portBody struct {
	owned
	Network     osapi.Optional[string]     `json:"network_id"`
	Name        osapi.Optional[string]     `json:"name"`
	Description osapi.Optional[string]     `json:"description"`
	AdminUp     osapi.Optional[osapi.Bool] `json:"admin_state_up"`
	MAC         osapi.Optional[string]     `json:"mac_address"`
	FixedIPs    osapi.Optional[[]struct {
		Subnet string `json:"subnet_id"`
		Addr   string `json:"ip_address"`
	}] `json:"fixed_ips"`
	DeviceID       osapi.Optional[string]     `json:"device_id"`
	DeviceOwner    osapi.Optional[string]     `json:"device_owner"`
	DNSName        osapi.Optional[string]     `json:"dns_name"`
	PortSecurity   osapi.Optional[osapi.Bool] `json:"port_security_enabled"`
	SecurityGroups osapi.Optional[[]string]   `json:"security_groups"`
	AddressPairs   osapi.Optional[[]struct {
		MAC  osapi.Optional[string] `json:"mac_address"`
		Addr osapi.Optional[string] `json:"ip_address"`
	}] `json:"allowed_address_pairs"`
	DHCPOptions osapi.Optional[[]struct {
		Name    string                    `json:"opt_name"`
		Value   osapi.Optional[string]    `json:"opt_value"`
		Version osapi.Optional[osapi.Int] `json:"ip_version"`
	}] `json:"extra_dhcp_opts"`
	QoSPolicy osapi.Optional[string]   `json:"qos_policy_id"`
	VNIC      osapi.Optional[string]   `json:"binding:vnic_type"`
	Host      osapi.Optional[string]   `json:"binding:host_id"`
	Profile   osapi.Optional[object]   `json:"binding:profile"`
	Tags      osapi.Optional[[]string] `json:"tags"`

	// What no port has here: only its absence may be asked for.
	DNSDomain osapi.Optional[string]     `json:"dns_domain"`
	Uplink    osapi.Optional[osapi.Bool] `json:"propagate_uplink_status"`
	NUMA      osapi.Optional[string]     `json:"numa_affinity_policy"`
}

// possible fails for what no port has here: nothing asked for is dropped silently.
func (b *portBody) possible() error {
	for name, asked := range map[string]bool{"dns_domain": b.DNSDomain.Value != "", "propagate_uplink_status": bool(b.Uplink.Value), "numa_affinity_policy": b.NUMA.Value != ""} {
		if asked {
			return fault.New(fault.Unsupported, "A port of this cloud cannot have %s.", name)
		}
	}
	return nil
}

// permitted fails for what only the network's owner or an admin may say of a port: its MAC, its security, where it is
// bound, and that the cloud itself uses it.
func (b *portBody) permitted(r *osapi.Request, n *network.Network) error {
	if network.Reserved(b.DeviceOwner.Value) {
		return fault.New(fault.Forbidden, "Only the network itself may use the device_owner %s.", b.DeviceOwner.Value)
	}
	if r.Caller.IsAdmin() {
		return nil
	}
	owner := r.Caller.Writes(n.Project)
	switch {
	case b.MAC.Value != "" && !owner:
		return fault.New(fault.Forbidden, "Only the owner of a network and admins may choose MAC addresses on it.")
	case b.PortSecurity.Set && bool(b.PortSecurity.Value) != n.PortSecurity && !owner:
		return fault.New(fault.Forbidden, "Only the owner of a network and admins may choose port security on it.")
	case len(b.AddressPairs.Value) > 0 && !owner:
		return fault.New(fault.Forbidden, "Only the owner of a network and admins may allow addresses on it.")
	case b.Host.Set || b.Profile.Set:
		return fault.New(fault.Forbidden, "Only admins may bind ports.")
	}
	for _, prefix := range []string{"compute:", "network:", "baremetal:"} {
		if strings.HasPrefix(b.DeviceOwner.Value, prefix) {
			return fault.New(fault.Forbidden, "Only the cloud itself may use the device_owner %s.", b.DeviceOwner.Value)
		}
	}
	return nil
}

func (a *api) newPort(r *osapi.Request, tx *db.Tx, b *portBody) (spec network.NewPort, err error) {
	if spec.Project, err = b.project(r); err != nil {
		return spec, err
	}
	if b.Network.Value == "" {
		return spec, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'network_id' not specified")
	}
	n, err := a.networks.Network(r.Context(), tx, viewer(r), b.Network.Value)
	if err != nil {
		return spec, err
	}
	b.forgetBinding(&network.Port{})
	if err := b.permitted(r, n); err != nil {
		return spec, err
	}
	if err := b.possible(); err != nil {
		return spec, err
	}
	var f fields
	spec = network.NewPort{
		Project: spec.Project, Network: n.ID, Name: b.Name.Value, Description: b.Description.Value, MAC: b.MAC.Value, FixedIPs: b.addresses(&f),
		DeviceID: b.DeviceID.Value, DeviceOwner: b.DeviceOwner.Value, DNSName: b.DNSName.Value, VNIC: b.VNIC.Value,
		AdminDown: b.AdminUp.Set && !b.AdminUp.Null && !bool(b.AdminUp.Value), PortSecurity: truthOf(&f, "port_security_enabled", b.PortSecurity),
		AllowedPairs: b.pairs(&f), QoS: b.QoSPolicy.Value, Profile: b.Profile.Value, Tags: b.Tags.Value, Anywhere: r.Caller.IsAdmin(),
	}
	b.noneTwice(&f)
	if b.SecurityGroups.Set {
		spec.SecurityGroups = append([]string{}, b.SecurityGroups.Value...)
	}
	for _, o := range b.options(&f) {
		if o.Value != "" { // null takes nothing away from a new port
			spec.DHCPOptions = append(spec.DHCPOptions, o)
		}
	}
	if b.Host.Value != "" {
		edge, err := edgeOf(b.Profile.Value)
		if err != nil {
			return spec, err
		}
		spec.Place = &network.Place{Host: b.Host.Value, Edge: edge}
	}
	return spec, f.err
}

func (a *api) portChange(r *osapi.Request, tx *db.Tx, p *network.Port, b *portBody) (c network.PortChange, err error) {
	if err := (readOnly{"network_id": b.Network.Set, "project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "tags": b.Tags.Set}).check(); err != nil {
		return c, err
	}
	n, err := a.networks.Network(r.Context(), tx, network.Everything, p.Network)
	if err != nil {
		return c, err
	}
	b.forget(p)
	if err := b.permitted(r, n); err != nil {
		return c, err
	}
	if p.OfServer() && (b.DeviceID.Set || b.DeviceOwner.Set) && !r.Caller.IsAdmin() {
		return c, failure("PortInUse", fault.Conflict, "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.Network, p.DeviceID)
	}
	if err := b.possible(); err != nil {
		return c, err
	}
	var f fields
	c = network.PortChange{
		Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description), MAC: text(&f, "mac_address", b.MAC),
		DeviceID: text(&f, "device_id", b.DeviceID), DeviceOwner: text(&f, "device_owner", b.DeviceOwner),
		DNSName: text(&f, "dns_name", b.DNSName), VNIC: text(&f, "binding:vnic_type", b.VNIC), QoS: orNone(b.QoSPolicy),
		AdminUp: truthOf(&f, "admin_state_up", b.AdminUp), PortSecurity: truthOf(&f, "port_security_enabled", b.PortSecurity),
		Groups: orNone(b.SecurityGroups), DHCPOptions: b.options(&f),
	}
	b.noneTwice(&f)
	if ips := b.addresses(&f); ips != nil && !p.Has(ips) {
		c.FixedIPs = &ips
	}
	if b.AddressPairs.Set {
		pairs := b.pairs(&f)
		c.AllowedPairs = &pairs
	}
	if f.err != nil {
		return c, f.err
	}
	if err := b.place(p, &c); err != nil {
		return c, err
	}
	return c, p.CheckUnownedChange(c)
}

// forget leaves out what is so already: clients send whole ports back.
func (b *portBody) forget(p *network.Port) {
	for field, now := range map[*osapi.Optional[string]]string{&b.DeviceOwner: p.DeviceOwner, &b.DeviceID: p.DeviceID, &b.MAC: p.MAC} {
		if field.Value == now {
			*field = osapi.Optional[string]{}
		}
	}
	if b.PortSecurity.Set && bool(b.PortSecurity.Value) == p.PortSecurity {
		b.PortSecurity = osapi.Optional[osapi.Bool]{}
	}
	b.forgetBinding(p)
}

func (b *portBody) forgetBinding(p *network.Port) {
	if b.Host.Value == p.Host {
		b.Host = osapi.Optional[string]{}
	}
	if len(b.Profile.Value) == 0 && len(p.Profile) == 0 {
		b.Profile = osapi.Optional[object]{}
	}
}

// place reads where an admin binds the port: to a host of his own, by the profile's local_link_information. A server's
// port is where its server is.
func (b *portBody) place(p *network.Port, c *network.PortChange) error {
	if !b.Host.Set && !b.Profile.Set {
		return nil
	}
	if p.OfServer() && p.Host != "" {
		return failure("PortBound", fault.Conflict, "Port %s is bound to a machine by the server that uses it.", p.ID)
	}
	host, profile := p.Host, object(p.Profile)
	if b.Host.Set {
		host = b.Host.Value
	}
	if b.Profile.Set {
		profile = b.Profile.Value
		c.Profile = object{}
		if profile != nil {
			c.Profile = profile
		}
	}
	edge, err := edgeOf(profile)
	if err != nil {
		return err
	}
	c.Place = &network.Place{Host: host}
	if host != "" {
		c.Place.Edge = edge
	}
	return nil
}

// edgeOf reads the first of a profile's local_link_information, as Ironic writes it.
func edgeOf(profile object) (network.Edge, error) {
	links, given := profile["local_link_information"]
	list, ok := links.([]any)
	if !given || ok && len(list) == 0 {
		return network.Edge{}, nil
	}
	if !ok {
		return network.Edge{}, fault.New(fault.Invalid, "Invalid input for binding:profile. Reason: local_link_information is not a list.")
	}
	link, ok := list[0].(object)
	if !ok {
		return network.Edge{}, fault.New(fault.Invalid, "Invalid input for binding:profile. Reason: local_link_information has something else than objects.")
	}
	info, _ := link["switch_info"].(string)
	port, _ := link["port_id"].(string)
	return network.ParseEdge(info, port)
}

// noneTwice fails for a group that is named twice.
func (b *portBody) noneTwice(f *fields) {
	groups := slices.Sorted(slices.Values(b.SecurityGroups.Value))
	if len(slices.Compact(slices.Clone(groups))) < len(groups) {
		f.fail("security_groups", "Duplicate items in the list: '%s'", strings.Join(b.SecurityGroups.Value, ", "))
	}
}

// addresses is nil when the body has none.
func (b *portBody) addresses(f *fields) []network.FixedIP {
	if !b.FixedIPs.Set || b.FixedIPs.Null {
		return nil
	}
	ips := []network.FixedIP{}
	for _, ip := range b.FixedIPs.Value {
		if ip.Addr == "" && ip.Subnet == "" {
			f.fail("operation", "IP allocation requires subnet_id or ip_address")
		}
		ips = append(ips, network.FixedIP{Subnet: ip.Subnet, Addr: address(f, "fixed_ips", ip.Addr)})
	}
	if len(ips) > 5 {
		f.fail("operation", "Exceeded maximum amount of fixed ips per port")
	}
	return ips
}

func (b *portBody) pairs(f *fields) []network.AddressPair {
	pairs := []network.AddressPair{}
	for _, pair := range b.AddressPairs.Value {
		if pair.Addr.Value == "" {
			if f.err == nil {
				f.err = failure("AddressPairMissingIP", fault.Invalid, "AllowedAddressPair must contain ip_address")
			}
			return nil
		}
		text := pair.Addr.Value
		if !strings.Contains(text, "/") {
			if addr := address(f, "allowed_address_pairs", text); addr.Is4() {
				text += "/32"
			} else {
				text += "/128"
			}
		}
		pairs = append(pairs, network.AddressPair{MAC: strings.ToLower(pair.MAC.Value), Addr: prefix(f, "allowed_address_pairs", text)})
	}
	return pairs
}

// options have no value where the body says null.
func (b *portBody) options(f *fields) []network.DHCPOption {
	var options []network.DHCPOption
	for _, o := range b.DHCPOptions.Value {
		version := 4
		if o.Version.Set {
			version = int(o.Version.Value)
		}
		if o.Name == "" || o.Value.Set && !o.Value.Null && o.Value.Value == "" {
			f.fail("extra_dhcp_opts", "'%s' has a blank name or value", o.Name)
		}
		options = append(options, network.DHCPOption{Name: o.Name, Value: o.Value.Value, Version: version})
	}
	return options
}
