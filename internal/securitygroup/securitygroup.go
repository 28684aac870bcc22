package securitygroup

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/tenancy"
)

// Service is the security groups' domain.
type Service struct {
	clock clock.Clock

	// What other domains know, set once before the first call. At first nothing is shared and nothing limited.
	Shares Shares
	Quotas Quotas
	Holds  func(*Rule) error // gives the fault of a rule that whatever carries the networks has no words for; it begins with none
}

// New makes the service.
func New(c clock.Clock) *Service { return &Service{c, nobodyShares{}, noQuotas{}, holdsAll} }

func holdsAll(*Rule) error { return nil }

// Group is a security group. A port in it lets through what one of its groups' rules names, both ways, with the answers
// to it, and nothing else.
type Group struct {
	ID, Project       string
	Name, Description string
	Tags              []string
	Revision          int // raised by every change, also of a rule
	Created, Updated  time.Time
	Stateful          bool // answers to what a rule lets through come back without a rule
	Shared            bool // with the project that looks at it, or with every project
	Rules             []*Rule
}

// Default is the name of the group that each project has, and that its ports are in when they name no other.
const Default = "default"

// Rule lets packets through.
type Rule struct {
	ID, Project, Group string
	Description        string
	Revision           int
	Created, Updated   time.Time
	Egress             bool   // from the port; else to it
	Version            int    // 4 or 6
	Protocol           int    // IP protocol number; AnyProtocol
	Spelling           string // of the protocol, as its author wrote it: "tcp", "6"; empty: any
	// First and Last are the range of ports of TCP, UDP, SCTP, DCCP and UDP-Lite, or ICMP's type and code; None where
	// any will do.
	First, Last int
	// The other end: at most one of them is set; none: anybody.
	RemoteCIDR         netip.Prefix // as its author wrote it; the bits behind the prefix mean nothing
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
	Addresses         []netip.Prefix // of both IP versions, sorted
}

// Viewer is through whose eyes something is looked at.
type Viewer = tenancy.Viewer

// Everything is the view of the cloud's own parts.
var Everything = tenancy.Everything

// Reason tells refusals apart that have the same fault.Kind. It is the cause of the fault, for errors.Is; the wire has a
// name for each.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoSuchGroup          Reason = "no such security group"
	GroupInUse           Reason = "security group in use"
	DefaultExists        Reason = "default security group exists"
	DefaultStays         Reason = "default security group stays"
	DefaultKeepsName     Reason = "default security group keeps its name"
	NoSuchRule           Reason = "no such security group rule"
	RuleExists           Reason = "security group rule exists"
	NoSuchDefaultRule    Reason = "no such default security group rule"
	DefaultRuleExists    Reason = "default security group rule exists"
	NoSuchProtocol       Reason = "no such protocol"
	BadPortRange         Reason = "bad port range"
	BadPort              Reason = "bad port"
	PortsNeedProtocol    Reason = "ports need a protocol"
	ProtocolWithoutPorts Reason = "protocol without ports"
	BadICMP              Reason = "bad ICMP type or code"
	ICMPNeedsType        Reason = "ICMP code without a type"
	WrongVersion         Reason = "protocol of the other IP version"
	WrongCIDR            Reason = "CIDR of the other IP version"
	ManyRemotes          Reason = "more than one remote"
	NoSuchAddressGroup   Reason = "no such address group"
	AddressGroupInUse    Reason = "address group in use"
	NoSuchAddresses      Reason = "addresses are not in the address group"
	AddressesExist       Reason = "addresses are in the address group already"
)

func refuse(kind fault.Kind, why Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid input for "+field+". Reason: "+format+".", args...)
}

func checkNames(name, description string) error {
	if utf8.RuneCountInString(name) > 255 {
		return invalid("name", "'%s' exceeds maximum length of 255", name)
	}
	if utf8.RuneCountInString(description) > 255 {
		return invalid("description", "'%s' exceeds maximum length of 255", description)
	}
	return nil
}

// cleanTags are the tags sorted, once each. Neutron's limits hold: 50 tags of 255 characters.
func cleanTags(tags []string) ([]string, error) {
	if len(tags) > 50 {
		return nil, invalid("tags", "%d are more than 50", len(tags))
	}
	for _, tag := range tags {
		if tag == "" || utf8.RuneCountInString(tag) > 255 || strings.Contains(tag, ",") {
			return nil, invalid("tags", "'%s' is empty, has a comma, or is longer than 255 characters", tag)
		}
	}
	tags = append([]string{}, tags...)
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
