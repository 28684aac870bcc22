package topology

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// leaseTime is how long an address is leased, in seconds. It is the port's until the port goes, so this is only how soon a
// machine hears of changes.
const leaseTime = "43200"

// subnetOptions is what DHCP tells the ports of a subnet. The row is there whether the subnet has DHCP or not, so that
// switching it changes no port; one without a server answers nobody.
func subnetOptions(n *network.Network, s *network.Subnet) *nbdb.DHCPOptions {
	return &nbdb.DHCPOptions{Cidr: s.CIDR.Masked().String(), Options: optionsOf(n, s)}
}

func optionsOf(n *network.Network, s *network.Subnet) map[string]string {
	switch {
	case !s.DHCP:
		return map[string]string{}
	case s.Version() == 6:
		return optionsV6(s)
	}
	options := mtuOption(n.MTU)
	options["lease_time"] = leaseTime
	options["server_mac"] = ownMAC("dhcp/" + s.ID)
	options["server_id"] = MetadataV4
	routes := []string{MetadataV4 + "/32,0.0.0.0"} // the next hop 0.0.0.0 says that it is on the wire (RFC 3442)
	for _, r := range s.Routes {
		if r.Destination.Addr().Is4() && r.NextHop.Is4() {
			routes = append(routes, r.Destination.Masked().String()+","+r.NextHop.String())
		}
	}
	if s.Gateway.IsValid() {
		options["server_id"], options["router"] = s.Gateway.String(), s.Gateway.String()
		routes = append(routes, "0.0.0.0/0,"+s.Gateway.String()) // who reads option 121 does not read option 3
	}
	options["classless_static_route"] = "{" + strings.Join(routes, ", ") + "}"
	if dns := addresses(s.DNS, 4); dns != "" {
		options["dns_server"] = dns
	}
	return options
}

func optionsV6(s *network.Subnet) map[string]string {
	if !speaksV6(s) {
		return map[string]string{}
	}
	options := map[string]string{"server_id": ownMAC("dhcp/" + s.ID)}
	if modeOf(s) == network.DHCPv6Stateless {
		options["dhcpv6_stateless"] = "true"
	}
	if dns := addresses(s.DNS, 6); dns != "" {
		options["dns_server"] = dns
	}
	return options
}

func modeOf(s *network.Subnet) network.AddressMode {
	if s.AddressMode == network.NoMode {
		return s.RAMode
	}
	return s.AddressMode
}

// speaksV6 reports whether DHCPv6 has anything to say on a subnet. Unlike s.DHCP it never changes.
func speaksV6(s *network.Subnet) bool {
	return modeOf(s) == network.DHCPv6Stateful || modeOf(s) == network.DHCPv6Stateless
}

// addresses is OVN's form of a list of those of the version; empty: none is.
func addresses(list []netip.Addr, version int) string {
	var texts []string
	for _, a := range list {
		if a.Is4() == (version == 4) {
			texts = append(texts, a.String())
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

// portOptions is the rows of DHCP's answers to a port, by version, and those of them that are the port's own.
func (c *compiler) portOptions(p *network.Port) (refs [2]*string, own []ovn.Row) {
	for i, version := range []int{4, 6} {
		s := c.leaseSubnet(p, version)
		if s == nil {
			continue
		}
		extra, disabled, some := ownOptions(p, version)
		n := c.networks[p.Network]
		switch {
		case disabled:
		case !some || n == nil:
			refs[i] = new(ovn.DHCPOptions(s.ID).UUID())
		default:
			row := subnetOptions(n, s)
			if len(row.Options) > 0 {
				maps.Copy(row.Options, extra)
			}
			id := fmt.Sprintf("%s/%d", p.ID, version)
			own = append(own, ovn.Row{ID: id, Model: row})
			refs[i] = new(ovn.DHCPOptions(id).UUID())
		}
	}
	return refs, own
}

// leaseSubnet is that of the port's first address that DHCP of the version could give; nil where there is none.
func (c *compiler) leaseSubnet(p *network.Port, version int) *network.Subnet {
	for _, ip := range p.FixedIPs {
		if s := c.subnets[ip.Subnet]; s != nil && s.Version() == version && (version == 4 || speaksV6(s)) {
			return s
		}
	}
	return nil
}

// ownOptions are the port's DHCP options in OVN's words, and whether the port is to have no DHCP at all. What OVN does not
// know is left out: it would silence DHCP for the port.
func ownOptions(p *network.Port, version int) (options map[string]string, disabled, some bool) {
	options = map[string]string{}
	for _, o := range p.DHCPOptions {
		if o.Version != version && !(o.Version == 0 && version == 4) {
			continue
		}
		some = true
		if o.Name == "dhcp_disabled" {
			disabled = disabled || strings.EqualFold(o.Value, "true")
		} else if name, value, err := translate(o); err == nil {
			options[name] = value
		}
	}
	return options, disabled, some
}

// CheckDHCPOption gives the fault of an option that ports cannot have: Unsupported where OVN does not know it, Invalid for a
// wrong value.
func CheckDHCPOption(o network.DHCPOption) error {
	if o.Name == "dhcp_disabled" {
		return nil
	}
	_, _, err := translate(o)
	return err
}

// translate puts an option into OVN's words (ovn-nb(5), DHCP_Options). The values become part of OVN's logical flows, so
// nothing passes that is not exactly what the option's type says.
func translate(o network.DHCPOption) (name, value string, err error) {
	known := optionsV4Known
	if o.Version == 6 {
		known = optionsV6Known
	}
	option, ok := known[strings.ReplaceAll(strings.ToLower(o.Name), "_", "-")]
	if !ok {
		return "", "", fault.New(fault.Unsupported, "The DHCP option %s is not supported.", o.Name)
	}
	if value, ok = option.form(strings.TrimSpace(o.Value)); !ok {
		return "", "", fault.New(fault.Invalid, "The DHCP option %s cannot have the value %s.", o.Name, o.Value)
	}
	return option.name, value, nil
}

type dhcpOption struct {
	name string
	form func(string) (string, bool)
}

// By Neutron's name, which is dnsmasq's, and by number.
var optionsV4Known = aliases(map[string]dhcpOption{
	"netmask 1":                            {"netmask", oneAddress},
	"router 3":                             {"router", oneAddress},
	"dns-server 6":                         {"dns_server", addressList},
	"domain-name 15":                       {"domain_name", quoted},
	"ip-forward-enable 19":                 {"ip_forward_enable", flag},
	"default-ttl 23":                       {"default_ttl", number(255)},
	"mtu 26":                               {"mtu", number(65535)},
	"router-discovery 31":                  {"router_discovery", flag},
	"ntp-server 42":                        {"ntp_server", addressList},
	"lease-time 51":                        {"lease_time", number(1<<32 - 1)},
	"t1 58":                                {"T1", number(1<<32 - 1)},
	"t2 59":                                {"T2", number(1<<32 - 1)},
	"tftp-server tftp-server-name 66":      {"tftp_server", quoted},
	"bootfile-name 67":                     {"bootfile_name_alt", quoted},
	"tag:!ipxe,bootfile-name tag:!ipxe,67": {"bootfile_name_alt", quoted},
	"tag:ipxe,bootfile-name tag:ipxe,67":   {"bootfile_name", quoted},
	"server-ip-address tftp-server-address 150": {"tftp_server_address", addressList},
	"hostname 12":     {"hostname", quoted},
	"path-prefix 210": {"path_prefix", quoted},
	"wpad 252":        {"wpad", quoted},
})

var optionsV6Known = aliases(map[string]dhcpOption{
	"dns-server 23":    {"dns_server", addressListV6},
	"domain-search 24": {"domain_search", quoted},
})

func aliases(options map[string]dhcpOption) map[string]dhcpOption {
	all := map[string]dhcpOption{}
	for names, option := range options {
		for name := range strings.FieldsSeq(names) {
			all[name] = option
		}
	}
	return all
}

func oneAddress(value string) (string, bool) {
	a, err := netip.ParseAddr(value)
	return a.String(), err == nil && a.Is4()
}

func addressList(value string) (string, bool) { return listOf(value, netip.Addr.Is4) }

func addressListV6(value string) (string, bool) {
	return listOf(value, func(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && a.Zone() == "" })
}

// listOf reads addresses of one kind: OVN answers nothing at all where one of the other version stands.
func listOf(value string, fits func(netip.Addr) bool) (string, bool) {
	var list []string
	for part := range strings.SplitSeq(value, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(part))
		if err != nil || !fits(a) {
			return "", false
		}
		list = append(list, a.String())
	}
	return "{" + strings.Join(list, ", ") + "}", true
}

func number(most uint64) func(string) (string, bool) {
	return func(value string) (string, bool) {
		n, err := strconv.ParseUint(value, 10, 64)
		return strconv.FormatUint(n, 10), err == nil && n <= most
	}
}

func flag(value string) (string, bool) {
	switch strings.ToLower(value) {
	case "1", "true":
		return "1", true
	case "0", "false":
		return "0", true
	}
	return "", false
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_.:/?&=%@+,~*#-]{1,255}$`)

// quoted is a word as OVN's strings are written; what would need an escape is refused.
func quoted(value string) (string, bool) { return `"` + value + `"`, plain.MatchString(value) }
