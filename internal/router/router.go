// Package router knows what joins networks: virtual routers with their interfaces and gateways, floating IPs and port
// forwarding. Interfaces and gateways are ports of package network.
package router

import (
	"net/netip"

	"github.com/ingotcloud/ingot/internal/network"
)

// Device owners of the ports that routers have.
const (
	InterfaceOwner  = "network:router_interface"
	GatewayOwner    = "network:router_gateway"
	FloatingIPOwner = "network:floatingip"
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
	Network string
	Port    string
	SNAT    bool // machines without a floating IP go out with the gateway's address
}

// FloatingIP is an address of an external network that leads to a port's.
type FloatingIP struct {
	network.Meta
	Network   string     // the external one
	Addr      netip.Addr // outside
	Port      string     // outside: the port that holds the address
	FixedPort string     // inside; empty: none
	FixedAddr netip.Addr // inside
	Router    string     // by which both meet; empty: none
	QoS       string
	DNSName   string
	DNSDomain string
}

// Forwarding leads a port of a floating IP to a port of a machine.
type Forwarding struct {
	ID, FloatingIP string
	Description    string
	Protocol       string // tcp, udp, sctp …
	Outside        PortRange
	Port           string // inside: the network port
	Addr           netip.Addr
	Inside         PortRange
}

// PortRange is a range of TCP or UDP ports, both ends included.
type PortRange struct{ First, Last int }
