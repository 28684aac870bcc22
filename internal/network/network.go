package network

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/tenancy"
)

// Service is the networks' domain.
type Service struct {
	db     *db.DB
	clock  clock.Clock
	log    *slog.Logger
	around Surroundings

	watchers []PortWatcher
}

// New makes the service, alone in the cloud: Surround tells it what else there is.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Service {
	s := &Service{db: d, clock: c, log: log}
	s.Surround(Surroundings{})
	return s
}

// Meta is what networks, subnets and ports have in common.
type Meta struct {
	ID, Project       string
	Name, Description string
	Tags              []string
	Revision          int // raised by every change
	Created, Updated  time.Time
}

// Network is a segment that ports are on.
type Network struct {
	Meta
	AdminUp      bool
	Shared       bool // the viewer may have ports on it although it is another project's
	External     bool // routers may have their gateways on it, and floating IPs come from it
	Default      bool // the external network that is meant where none is named
	PortSecurity bool // whether new ports are guarded against spoofing, and have security groups
	MTU          int  // bytes
	Kind         Kind
	Physical     string   // the wire that it is, or that its VLAN is on; empty: none
	Segment      int      // the VLAN's or the tunnel's number; 0: none
	QoS          string   // id of the policy of its ports; empty: none
	DNSDomain    string   // of its ports' names, with a dot at the end; empty: none
	Zones        []string // availability zones that were hinted at
	Subnets      []string // ids, oldest first
	// Scope4 and Scope6 are the address scopes of its subnets; empty: none.
	Scope4, Scope6 string
}

// Kind says how a network is carried.
type Kind string

// The kinds. Tenants' networks are tunnelled; the others are an operator's.
const (
	FlatKind   Kind = "flat" // a wire as it is, without tags or tunnels
	VLANKind   Kind = "vlan" // a VLAN on a wire
	GeneveKind Kind = "geneve"
)

// Subnet is a range of addresses on a network.
type Subnet struct {
	Meta
	Network string
	CIDR    netip.Prefix
	Gateway netip.Addr // zero: none
	DHCP    bool
	DNS     []netip.Addr
	Pools   []Pool
	Routes  []Route // what DHCP tells beside the gateway
	// RAMode and AddressMode are how machines get IPv6 addresses (ipv6_ra_mode, ipv6_address_mode).
	RAMode, AddressMode AddressMode
	SubnetPool          string   // id of the pool that the CIDR is from; empty: none
	ServiceTypes        []string // device owners whose ports get addresses of it; none: all
}

// Auto reports whether machines make their addresses themselves, of the prefix and their MAC (RFC 4862, EUI-64).
func (s *Subnet) Auto() bool {
	own := func(m AddressMode) bool { return m == SLAAC || m == DHCPv6Stateless }
	return own(s.AddressMode) || own(s.RAMode)
}

// Route says by which neighbour a destination is reached.
type Route struct {
	Destination netip.Prefix
	NextHop     netip.Addr
}

// AddressMode is how IPv6 addresses come about, in Neutron's words.
type AddressMode string

// The modes. Without one the cloud does not tell addresses.
const (
	NoMode          AddressMode = ""
	SLAAC           AddressMode = "slaac"
	DHCPv6Stateful  AddressMode = "dhcpv6-stateful"
	DHCPv6Stateless AddressMode = "dhcpv6-stateless"
)

// Pool is a range of addresses that ports get theirs from, both ends included.
type Pool struct{ First, Last netip.Addr }

// Contains reports whether the pool has the address.
func (p Pool) Contains(a netip.Addr) bool { return p.First.Compare(a) <= 0 && a.Compare(p.Last) <= 0 }

// Version is 4 or 6.
func (s *Subnet) Version() int {
	if s.CIDR.Addr().Is4() {
		return 4
	}
	return 6
}

// Port is a place on a network.
type Port struct {
	Meta
	Network     string
	MAC         string // of the machine's NIC while it is bound, one of our own otherwise
	AdminUp     bool
	DeviceID    string // what uses it; empty: nothing
	DeviceOwner string // what kind of thing that is: "compute:nova"
	Host        string // the machine it is bound to; empty: none
	AskedVNIC   string
	DNSName     string // as asked for; Hostname is what the machine is told
	FixedIPs    []FixedIP

	PortSecurity bool          // it sends from its own addresses only, and its groups hold
	Groups       []string      // ids of its security groups
	AllowedPairs []AddressPair // what it may send from beside its own
	DHCPOptions  []DHCPOption
	QoS          string         // id of its policy; empty: the network's
	NetworkQoS   string         // id of the network's policy; empty: none
	Profile      map[string]any // binding:profile, as an admin gave it
	Edge         Edge           // of the NIC that it is bound to
	Plugged      bool           // into that edge; before, the NIC is only reserved for it
	Up           bool           // OVN carries it: its flows are there
}

// AddressPair is a source that a port may use beside its own addresses.
type AddressPair struct {
	MAC  string // empty: the port's
	Addr netip.Prefix
}

// DHCPOption is one that DHCP tells a single port.
type DHCPOption struct {
	Name, Value string
	Version     int // 4 or 6
}

// Edge is where a machine's NIC meets the network.
type Edge = edge.Edge

// The kinds of edges.
const (
	NoEdge    = edge.None
	EdgeOVS   = edge.OVS
	EdgeTrunk = edge.Trunk
)

// FixedIP is an address of a port. Where one is asked for, either field may be empty.
type FixedIP struct {
	Subnet string
	Addr   netip.Addr
}

// The kinds of NIC in Neutron's words (binding:vnic_type).
const (
	VNICNormal    = "normal"
	VNICBaremetal = "baremetal"
)

// VNIC is baremetal while the port is on a machine's NIC, and what was asked for otherwise.
func (p *Port) VNIC() string {
	if p.Host != "" {
		return VNICBaremetal
	}
	return p.AskedVNIC
}

// Status is ACTIVE while packets pass, as far as anybody knows: OVN carries the port, or it is bound where nobody could
// tell. The port that holds a floating IP has none.
func (p *Port) Status() string {
	unwatched := p.Host != "" && p.Edge.Kind == NoEdge
	switch {
	case p.DeviceOwner == floatingIPOwner:
		return "N/A"
	case p.AdminUp && (p.Up || unwatched):
		return "ACTIVE"
	}
	return "DOWN"
}

// Hostname is the name that the port's address has: the port's DNS name, or one made of the address as Neutron does.
func (p *Port) Hostname(address netip.Addr) string {
	if p.DNSName != "" {
		host, _, _ := strings.Cut(p.DNSName, ".")
		return host
	}
	return "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(address.String())
}

// Has reports whether the port's addresses are those wanted, in that order, so that nothing is to be done.
func (p *Port) Has(wanted []FixedIP) bool {
	return slices.EqualFunc(wanted, p.FixedIPs, func(want, has FixedIP) bool {
		return (want.Subnet == "" || want.Subnet == has.Subnet) && (!want.Addr.IsValid() || want.Addr == has.Addr)
	})
}

// OfServer reports whether a server uses the port. Tenants cannot claim that themselves.
func (p *Port) OfServer() bool { return strings.HasPrefix(p.DeviceOwner, serverOwner) }

// OfCloud reports whether a part of the network itself uses the port: a router, a floating IP.
func (p *Port) OfCloud() bool { return strings.HasPrefix(p.DeviceOwner, cloudOwner) }

const (
	serverOwner     = "compute:"
	cloudOwner      = "network:"
	dhcpOwner       = cloudOwner + "dhcp"
	floatingIPOwner = cloudOwner + "floatingip"
	routerOwner     = cloudOwner + "router_" // the beginning of all that routers have
)

// Viewer is through whose eyes something is looked at.
type Viewer = tenancy.Viewer

// Everything is the view of the cloud's own parts.
var Everything = tenancy.Everything
