// Package topology turns the tenants' networks into rows of OVN, and keeps OVN equal to them.
//
// The first half is pure functions from the model's values (Model) to rows, one set for each scope of
// docs/decisions/0004-tenant-networks.md:
//
//	model.go          what the rows are made of; Rows, All, Order
//	names.go          ids and names of rows
//	network.go        switches, what guards their ports, the wire of a provider's network
//	dhcp.go           what DHCP tells
//	port.go           ports, wherever they are plugged in
//	qos.go            limits of bandwidth and marks
//	router.go         routers, their ports and routes, source NAT
//	floatingip.go     floating IPs and their forwardings
//	gateways.go       which chassis carries which router's gateway
//	securitygroup.go  security groups and address groups
//	quarantine.go     the network on which a NIC meets only ingot
//
// The second half (reader.go, reconciler.go, watch.go) reads the values from the domains and applies the rows.
package topology
