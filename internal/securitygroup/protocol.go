package securitygroup

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// protocols are the names that Neutron knows (neutron_lib.constants.IP_PROTOCOL_MAP), with IANA's numbers.
var protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "ip": 4, "ipip": 4, "icmpv6": 58, "ipv6-encap": 41, "ipv6-frag": 44,
	"ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46,
	"sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

// Protocols whose numbers matter here.
const (
	icmp   = 1
	icmpv6 = 58
)

// withPorts are the protocols that have ports.
var withPorts = []int{33, 132, 6, 17, 136}

// onlyVersion6 are the protocols that IPv4 does not have.
var onlyVersion6 = []int{41, 43, 44, icmpv6, 59, 60}

// protocol reads a protocol as Neutron does: a name or a number; ICMP of a rule for IPv6 is ICMPv6, however it is written.
func protocol(written string, version int) (number int, spelling string, err error) {
	spelling = strings.ToLower(written)
	if spelling == "" || spelling == "any" {
		return AnyProtocol, "", nil
	}
	number, known := protocols[spelling]
	if !known {
		if number, err = strconv.Atoi(spelling); err != nil || number < 0 || number > 255 {
			return 0, "", refuse(fault.Invalid, NoSuchProtocol, "Security group rule protocol %s not supported. Only protocol values [%s] and integer representations [0 to 255] are supported.",
				written, strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
		}
		spelling = strconv.Itoa(number)
	}
	if version == 6 && (number == icmp || spelling == "icmpv6") {
		number = icmpv6
		if known {
			return number, "ipv6-icmp", nil
		}
		spelling = strconv.Itoa(number)
	}
	if version == 4 && slices.Contains(onlyVersion6, number) {
		return 0, "", refuse(fault.Invalid, WrongVersion, "Invalid ethertype IPv4 for protocol %s.", written)
	}
	return number, spelling, nil
}
