package network

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Service is the networks' domain.
type Service struct {
	db    *db.DB
	clock clock.Clock
	log   *slog.Logger
}

// New makes the service.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Service { return &Service{d, c, log} }

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
	AdminUp  bool
	Shared   bool // every project may have ports on it
	MTU      int  // bytes
	Kind     Kind
	Physical string   // the wire that it is; empty: none
	Subnets  []string // ids, oldest first
}

// Kind says how a network is carried.
type Kind string

// Flat networks are a wire as it is, without tags or tunnels.
const FlatKind Kind = "flat"

// Subnet is a range of addresses on a network.
type Subnet struct {
	Meta
	Network string
	CIDR    netip.Prefix
	Gateway netip.Addr // zero: none
	DHCP    bool
	DNS     []netip.Addr
	Pools   []Pool
}

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
}

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

// Status is ACTIVE while the port is bound and meant to be up, else DOWN.
func (p *Port) Status() string {
	if p.Host != "" && p.AdminUp {
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

// OfServer reports whether a server uses the port. Tenants cannot claim that themselves.
func (p *Port) OfServer() bool { return strings.HasPrefix(p.DeviceOwner, serverOwner) }

const serverOwner = "compute:"

// Viewer is through whose eyes something is looked at: a project's, with what is shared, or with All everybody's.
type Viewer struct {
	Project string
	All     bool
}

// Everything is the view of the cloud's own parts.
var Everything = Viewer{All: true}

// Reason tells refusals apart that have the same fault.Kind. It is the cause of the fault, for errors.As; the wire has
// a name for each.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoSuchNetwork       Reason = "no such network"
	NoSuchSubnet        Reason = "no such subnet"
	NoSuchPort          Reason = "no such port"
	NoSuchGroup         Reason = "no such security group"
	NetworkInUse        Reason = "network in use"
	SubnetInUse         Reason = "subnet in use"
	PortInUse           Reason = "port in use"
	PortBound           Reason = "port bound"
	MACInUse            Reason = "MAC in use"
	AddressInUse        Reason = "address in use"
	AddressNotOnSubnet  Reason = "address not on the subnet"
	AddressNotOnNetwork Reason = "address not on the network"
	OutOfAddresses      Reason = "out of addresses"
	OverQuota           Reason = "over quota"
)

func refuse(kind fault.Kind, why Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}
