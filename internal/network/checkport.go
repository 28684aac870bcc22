package network

import (
	"net"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/fault"
)

const mostPairs = 10 // Neutron's max_allowed_address_pair

// check finds what cannot be a port.
func (p *Port) check() error {
	if err := p.Meta.check(); err != nil {
		return err
	}
	if len(p.DeviceID) > 255 || len(p.DeviceOwner) > 255 {
		return invalid("device_id", "it or device_owner exceeds the maximum length of 255")
	}
	if !isMAC(p.MAC) {
		return invalid("mac_address", "'%s' is not a valid MAC address", p.MAC)
	}
	if p.AskedVNIC != VNICNormal && p.AskedVNIC != VNICBaremetal {
		return invalid("binding:vnic_type", "'%s' is not in ['normal', 'baremetal']", p.AskedVNIC)
	}
	if p.DNSName != "" && (len(p.DNSName) > 255 || !dnsName.MatchString(p.DNSName)) {
		return invalid("dns_name", "'%s' not a valid PQDN or FQDN", p.DNSName)
	}
	if err := p.checkPairs(); err != nil {
		return err
	}
	return p.checkDHCPOptions()
}

// isMAC reports whether the text is one machine's MAC, written as we write it.
func isMAC(text string) bool {
	mac, err := net.ParseMAC(text)
	return err == nil && len(mac) == 6 && mac.String() == text && mac[0]&1 == 0 && text != "00:00:00:00:00:00"
}

// checkSecurity finds which groups and pairs do not go with the port's security, with Neutron's different words for a port
// that had the groups already.
func (p *Port) checkSecurity(groupsAsked bool) error {
	switch {
	case p.PortSecurity:
		return nil
	case len(p.Groups) > 0 && groupsAsked:
		return refuse(fault.Invalid, GroupsNeedSecurity, "Port security must be enabled and port must have an IP address in order to use security groups.")
	case len(p.Groups) > 0:
		return refuse(fault.Conflict, SecurityHasGroups, "Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	case len(p.AllowedPairs) > 0:
		return refuse(fault.Conflict, PairsNeedSecurity, "Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	return nil
}

func (p *Port) checkPairs() error {
	if len(p.AllowedPairs) > mostPairs {
		return refuse(fault.Invalid, TooManyPairs, "The number of allowed address pair exceeds the maximum %d.", mostPairs)
	}
	for i, pair := range p.AllowedPairs {
		if pair.MAC != "" && !isMAC(pair.MAC) {
			return invalid("allowed_address_pairs", "'%s' is not a valid MAC address", pair.MAC)
		}
		if slices.Contains(p.AllowedPairs[:i], pair) {
			return refuse(fault.Invalid, PairTwice, "Request contains duplicate address pair: mac_address %s ip_address %s.", pair.MAC, pair.Addr)
		}
	}
	return nil
}

var optionName = regexp.MustCompile(`^[0-9A-Za-z][-:!,_0-9A-Za-z]*$`)

func (p *Port) checkDHCPOptions() error {
	for i, o := range p.DHCPOptions {
		switch {
		case len(o.Name) > 64 || !optionName.MatchString(o.Name):
			return invalid("extra_dhcp_opts", "'%s' is not the name of an option", o.Name)
		case o.Value == "" || utf8.RuneCountInString(o.Value) > 255:
			return invalid("extra_dhcp_opts", "'%s' is empty or exceeds maximum length of 255", o.Value)
		case o.Version != 4 && o.Version != 6:
			return invalid("extra_dhcp_opts", "'%d' is not in [4, 6]", o.Version)
		case slices.ContainsFunc(p.DHCPOptions[:i], o.same):
			return invalid("extra_dhcp_opts", "Duplicate option '%s'", o.Name)
		}
	}
	return nil
}

func (o DHCPOption) same(other DHCPOption) bool {
	return o.Name == other.Name && o.Version == other.Version
}
