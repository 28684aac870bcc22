// Package ironic is OpenStack's Bare Metal API (Ironic) over internal/machine: a machine is a node, its NIC is a port.
//
// What Ingot does otherwise than Ironic is refused with a sentence: servers are made through Nova, so real nodes are not
// deployed here; lookup and heartbeat do not exist, because our agent has a door of its own. What operators only note
// (chassis, port groups, volumes, deploy templates, some fields of a node) is kept and shown as they wrote it: kept.go.
//
// The driver fake-hardware (machine.FakeHardware) has nodes without a machine, as Ironic's has, where the configuration asks
// for it: clients and Ironic's own tests are tried on it.
package ironic
