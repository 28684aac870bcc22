package router

import (
	"context"
	"net/netip"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Service is the routers' domain.
type Service struct {
	clock    clock.Clock
	networks *network.Service
}

// New makes the service, which from now on follows what happens to ports.
func New(c clock.Clock, networks *network.Service) *Service {
	s := &Service{c, networks}
	networks.Watch(s)
	return s
}

// Device owners of the ports that routers have.
const (
	InterfaceOwner  = "network:router_interface"
	GatewayOwner    = "network:router_gateway"
	FloatingIPOwner = "network:floatingip"
)

// The resources that projects have limits of.
const (
	routerResource     = "router"
	floatingIPResource = "floatingip"
)

// The tables of things that have tags.
const (
	RouterTable     network.Table = "router"
	FloatingIPTable network.Table = "floatingip"
)

// Router joins networks.
type Router struct {
	network.Meta
	AdminUp bool
	Gateway *Gateway // nil: none
	Routes  []network.Route
	Zones   []string // availability zone hints
}

// Gateway is a router's place on an external network.
type Gateway struct {
	Network  string
	Port     string
	FixedIPs []network.FixedIP
	SNAT     bool // machines without a floating IP go out with the gateway's address
}

// FloatingIP is an address of an external network that leads to a port's.
type FloatingIP struct {
	network.Meta            // without a name
	Network      string     // the external one
	Addr         netip.Addr // outside
	Port         string     // outside: the port that holds the address
	FixedPort    string     // inside; empty: none
	FixedAddr    netip.Addr // inside
	Router       string     // by which both meet; empty: none
	QoS          string
	DNSName      string
	DNSDomain    string
	Forwardings  []*Forwarding // oldest first; none while there is a FixedPort
}

// Active reports whether the address leads anywhere.
func (f *FloatingIP) Active() bool { return f.Router != "" }

// Forwarding leads a port of a floating IP to a port of a machine.
type Forwarding struct {
	ID, FloatingIP string
	Description    string
	Protocol       string // tcp, udp or sctp: what OVN's load balancers carry
	Outside        PortRange
	Port           string // inside: the network port
	Addr           netip.Addr
	Inside         PortRange // as many as Outside, or one for all of them
}

// PortRange is a range of TCP or UDP ports, both ends included.
type PortRange struct{ First, Last int }

// Len is how many ports there are.
func (r PortRange) Len() int { return r.Last - r.First + 1 }

// Overlaps reports whether the ranges have a port in common.
func (r PortRange) Overlaps(other PortRange) bool {
	return r.First <= other.Last && other.First <= r.Last
}

// The reasons for refusals, as package network has them.
const (
	NoSuchRouter          network.Reason = "no such router"
	RouterInUse           network.Reason = "router in use"
	NoSuchInterface       network.Reason = "no such interface"
	NoInterfaceOnSubnet   network.Reason = "no interface on the subnet"
	SubnetNotOfPort       network.Reason = "the subnet is not the port's"
	InterfaceInUseByFIP   network.Reason = "interface in use by a floating IP"
	InterfaceInUseByRoute network.Reason = "interface in use by a route"
	GatewayInUse          network.Reason = "gateway in use by a floating IP"
	InvalidRoutes         network.Reason = "invalid routes"
	TooManyRoutes         network.Reason = "too many routes"
	NoSuchFloatingIP      network.Reason = "no such floating IP"
	NotReachable          network.Reason = "no router between the port and the external network"
	AlreadyAssociated     network.Reason = "already associated"
	FloatingIPForwards    network.Reason = "the floating IP has port forwardings"
	PortForwards          network.Reason = "the port has port forwardings"
	PortHasFloatingIP     network.Reason = "the port has a floating IP"
	NoSuchForwarding      network.Reason = "no such port forwarding"
)

func refuse(kind fault.Kind, why network.Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}

// bad is a request that cannot be meant, in Neutron's words.
func bad(resource, format string, args ...any) error {
	return refuse(fault.Invalid, network.BadRequest, "Bad "+resource+" request: "+format+".", args...)
}

func markRouter(ctx context.Context, tx *db.Tx, id string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "router/"+id)
}

func markFloatingIP(ctx context.Context, tx *db.Tx, id string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "floatingip/"+id)
}
