// Package router knows what joins networks: virtual routers with their interfaces and gateways, floating IPs and port
// forwarding.
//
// Interfaces and gateways are ports of package network whose device is the router; nothing else says that a router is on
// a network. A floating IP holds its address by a port of the external network, and remembers by which router it meets
// the machine's port. What leads to a machine's port follows that port (watch.go): no address of a port that is gone is
// still reached from outside. Every change is marked for the reconciler in the transaction that makes it.
package router
