package neutron

import (
	"net/netip"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// portBody is a port as clients write it.
type portBody struct {
	owner
	Network     osapi.Optional[string]     `json:"network_id"`
	Name        osapi.Optional[string]     `json:"name"`
	Description osapi.Optional[string]     `json:"description"`
	AdminUp     osapi.Optional[osapi.Bool] `json:"admin_state_up"`
	MAC         osapi.Optional[string]     `json:"mac_address"`
	FixedIPs    osapi.Optional[[]struct {
		Subnet string `json:"subnet_id"`
		Addr   string `json:"ip_address"`
	}] `json:"fixed_ips"`
	DeviceID    osapi.Optional[string]   `json:"device_id"`
	DeviceOwner osapi.Optional[string]   `json:"device_owner"`
	DNSName     osapi.Optional[string]   `json:"dns_name"`
	VNIC        osapi.Optional[string]   `json:"binding:vnic_type"`
	Tags        osapi.Optional[[]string] `json:"tags"`

	// What a port on this network cannot have: only its absence may be asked for.
	SecurityGroups osapi.Optional[[]string]   `json:"security_groups"`
	PortSecurity   osapi.Optional[osapi.Bool] `json:"port_security_enabled"`
	AddressPairs   osapi.Optional[[]any]      `json:"allowed_address_pairs"`
	DHCPOptions    osapi.Optional[[]any]      `json:"extra_dhcp_opts"`
	QoSPolicy      osapi.Optional[string]     `json:"qos_policy_id"`
	DNSDomain      osapi.Optional[string]     `json:"dns_domain"`
	Host           osapi.Optional[string]     `json:"binding:host_id"`
	Profile        osapi.Optional[object]     `json:"binding:profile"`
}

// possible fails for what a port on this network cannot have: nothing asked for is dropped silently.
func (b *portBody) possible(r *osapi.Request) error {
	switch {
	case bool(b.PortSecurity.Value):
		return fault.New(fault.Unsupported, "This cloud does not have port security yet.")
	case len(b.AddressPairs.Value) > 0:
		return failure("AddressPairAndPortSecurityRequired", fault.Conflict, "Port Security must be enabled in order to have allowed address pairs on a port.")
	case len(b.DHCPOptions.Value) > 0:
		return fault.New(fault.Unsupported, "This cloud does not have DHCP options of ports yet.")
	case b.QoSPolicy.Value != "":
		return failure("QosPolicyNotFound", fault.NotFound, "QoS policy %s could not be found.", b.QoSPolicy.Value)
	case b.DNSDomain.Value != "":
		return fault.New(fault.Unsupported, "This cloud does not have DNS domains yet.")
	case b.Host.Value != "" || len(b.Profile.Value) > 0:
		if !r.Caller.IsAdmin() {
			return fault.New(fault.Forbidden, "Only admins may bind ports.")
		}
		return fault.New(fault.Unsupported, "A port is bound to a machine by the server that uses it.")
	}
	return network.CheckGroups(b.SecurityGroups.Value)
}

// addresses is nil when the body has none.
func (b *portBody) addresses() ([]network.FixedIP, error) {
	if !b.FixedIPs.Set || b.FixedIPs.Null {
		return nil, nil
	}
	ips := []network.FixedIP{}
	for _, f := range b.FixedIPs.Value {
		ip := network.FixedIP{Subnet: f.Subnet}
		if f.Addr != "" {
			var err error
			if ip.Addr, err = netip.ParseAddr(f.Addr); err != nil || ip.Addr.Zone() != "" {
				return nil, fault.New(fault.Invalid, "Invalid input for fixed_ips. Reason: '%s' is not a valid IP address.", f.Addr)
			}
		}
		if f.Addr == "" && f.Subnet == "" {
			return nil, fault.New(fault.Invalid, "Invalid input for operation: IP allocation requires subnet_id or ip_address.")
		}
		ips = append(ips, ip)
	}
	if len(ips) > 5 {
		return nil, fault.New(fault.Invalid, "Invalid input for operation: Exceeded maximum amount of fixed ips per port.")
	}
	return ips, nil
}

// own fails for what only the network's owner or an admin may say of a port: its MAC, and that the cloud itself uses it.
func (b *portBody) own(r *osapi.Request, n *network.Network) error {
	if r.Caller.IsAdmin() {
		return nil
	}
	if b.MAC.Value != "" && !r.Caller.Writes(n.Project) {
		return fault.New(fault.Forbidden, "Only the owner of a network and admins may choose MAC addresses on it.")
	}
	for _, prefix := range []string{"compute:", "network:", "baremetal:"} {
		if strings.HasPrefix(b.DeviceOwner.Value, prefix) {
			return fault.New(fault.Forbidden, "Only the cloud itself may use the device_owner %s.", b.DeviceOwner.Value)
		}
	}
	return nil
}

func (a *api) newPort(r *osapi.Request, tx *db.Tx, b portBody) (spec network.NewPort, err error) {
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
	if err := b.own(r, n); err != nil {
		return spec, err
	}
	if err := b.possible(r); err != nil {
		return spec, err
	}
	if spec.FixedIPs, err = b.addresses(); err != nil {
		return spec, err
	}
	spec.Network, spec.Name, spec.Description, spec.MAC = n.ID, b.Name.Value, b.Description.Value, b.MAC.Value
	spec.DeviceID, spec.DeviceOwner, spec.DNSName, spec.VNIC = b.DeviceID.Value, b.DeviceOwner.Value, b.DNSName.Value, b.VNIC.Value
	spec.AdminDown = b.AdminUp.Set && !b.AdminUp.Null && !bool(b.AdminUp.Value)
	spec.Tags = b.Tags.Value
	return spec, nil
}

func (a *api) portChange(r *osapi.Request, tx *db.Tx, p *network.Port, b portBody) (c network.PortChange, err error) {
	for name, set := range map[string]bool{"network_id": b.Network.Set, "project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "tags": b.Tags.Set} {
		if set {
			return c, fault.New(fault.Invalid, "Cannot update read-only attribute %s", name)
		}
	}
	n, err := a.networks.Network(r.Context(), tx, network.Everything, p.Network)
	if err != nil {
		return c, err
	}
	if b.DeviceOwner.Value == p.DeviceOwner {
		b.DeviceOwner = osapi.Optional[string]{}
	}
	if b.DeviceID.Value == p.DeviceID {
		b.DeviceID = osapi.Optional[string]{}
	}
	if b.MAC.Value == p.MAC {
		b.MAC = osapi.Optional[string]{}
	}
	if err := b.own(r, n); err != nil {
		return c, err
	}
	if p.OfServer() && (b.DeviceID.Set || b.DeviceOwner.Set) && !r.Caller.IsAdmin() {
		return c, failure("PortInUse", fault.Conflict, "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.Network, p.DeviceID)
	}
	if err := b.possible(r); err != nil {
		return c, err
	}
	ips, err := b.addresses()
	if err != nil {
		return c, err
	}
	if ips != nil {
		c.FixedIPs = &ips
	}
	var f fields
	c.Name, c.Description, c.MAC = text(&f, "name", b.Name), text(&f, "description", b.Description), text(&f, "mac_address", b.MAC)
	c.DeviceID, c.DeviceOwner = text(&f, "device_id", b.DeviceID), text(&f, "device_owner", b.DeviceOwner)
	c.DNSName, c.VNIC = text(&f, "dns_name", b.DNSName), text(&f, "binding:vnic_type", b.VNIC)
	c.AdminUp = truthOf(&f, "admin_state_up", b.AdminUp)
	return c, f.err
}
