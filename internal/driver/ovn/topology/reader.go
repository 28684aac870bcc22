package topology

import (
	"context"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/network"
)

// Reader reads the model from the domains, anew at each call. What does not exist is left out, without an error.
type Reader interface {
	// Scope reads what the rows of one scope are made of, as it is at one moment. More than that does no harm.
	//
	//	network/ID        the network, its subnets
	//	port/ID           the port, its network, the subnets of its addresses, its own or else its network's QoS policy; the
	//	                  trunk in which it is the parent or a subport, and that trunk's parent port
	//	router/ID         the router, its ports (DeviceID) with their networks and subnets
	//	floatingip/ID     the floating IP, its forwardings, its router, its QoS policy
	//	securitygroup/ID  the group with its rules
	//	addressgroup/ID   the group with its addresses
	//	nic/ID            the NIC, if it is in quarantine
	//	quarantine        the services
	//	uplink/NAME       the uplinks
	Scope(ctx context.Context, scope ovn.Scope) (*Model, error)

	// Everything reads all of it.
	Everything(ctx context.Context) (*Model, error)

	// Holder is the scope that the NIC with that edge belongs to now: port/ID of the port that is bound to it, nic/ID in
	// quarantine; empty: neither.
	Holder(ctx context.Context, edge network.Edge) (ovn.Scope, error)
}
