// Package network knows the tenants' networks: networks, subnets, ports and their addresses, the pools that subnets are
// cut from, what projects share with each other, and the limits of each project. A port is a place on a network with a
// MAC and addresses; Bind puts it on the NIC of a machine.
//
// The package keeps rows and decides; OVN is told by whoever reads them: each change marks its scope in the same
// transaction (internal/reconcile). What it needs from security groups, QoS and the other nouns is in driver.go.
//
// Addresses are rows whose primary key decides races (address.go), and so are VLANs and tunnels (createnetwork.go). Who
// sees what follows one table, network_rbac (rbac.go). What a machine is told about its network comes from the same rows
// on all ways: by OVN's DHCP and by the config drive (networkdata.go).
package network
