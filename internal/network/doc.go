// Package network knows the tenants' networks: networks, subnets, ports, their addresses, and the limits of each
// project. A port is a place on a network with a MAC and addresses; Bind puts it on the NIC of a machine.
//
// Today there is one network, flat and shared by all projects, which the configuration describes (bootstrap.go). The
// addresses are rows whose primary key decides races (address.go). What a machine is told about its network comes from
// the same rows on both ways: by DHCP (lease.go) and by the config drive (networkdata.go).
package network
