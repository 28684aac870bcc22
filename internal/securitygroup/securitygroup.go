package securitygroup

import (
	"net/netip"
	"time"
)

// Group is a security group. A port in it lets through what one of its groups' rules names, both ways, with the answers
// to it, and nothing else.
type Group struct {
	ID, Project       string
	Name, Description string
	Tags              []string
	Revision          int
	Created, Updated  time.Time
	Stateful          bool
	Shared            bool // with every project
	Rules             []*Rule
}

// Rule lets packets through.
type Rule struct {
	ID, Project, Group string
	Description        string
	Revision           int
	Created, Updated   time.Time
	Egress             bool // from the port; else to it
	Version            int  // 4 or 6
	Protocol           int  // IP protocol number; AnyProtocol
	// First and Last are the range of ports of TCP, UDP, SCTP, DCCP and UDP-Lite, or ICMP's type and code; None where
	// any will do.
	First, Last int
	// The other end: at most one of them is set; none: anybody.
	RemoteCIDR         netip.Prefix
	RemoteGroup        string
	RemoteAddressGroup string
}

// AnyProtocol is the protocol of a rule that holds for all.
const AnyProtocol = -1

// None is the port, type or code of a rule that holds for all.
const None = -1

// AddressGroup is a list of addresses that rules name.
type AddressGroup struct {
	ID, Project       string
	Name, Description string
	Revision          int
	Created, Updated  time.Time
	Shared            bool
	Addresses         []netip.Prefix
}
