// Package ironic is the Bare Metal API (OpenStack Ironic, v1): how operators enrol, inspect, clean, switch and look after
// machines with the client they know. Servers are not made here but through the Compute API, which chooses the machine;
// the verbs that would deploy say so.
//
// The table of routes is ironic.go; what a node looks like and what of it may be changed is one table in fields.go; the
// way from driver_info to a BMC's address and back is driverinfo.go.
package ironic
