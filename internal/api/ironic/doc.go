// Package ironic is OpenStack's Bare Metal API (Ironic) over internal/machine: a machine is a node, its NIC is a port.
//
// What Ingot does otherwise than Ironic is refused with a sentence, never taken and forgotten: servers are made through
// Nova, so nodes are not deployed here; fields without a place in the domain take their default only (fixed in
// node.go); lookup and heartbeat do not exist, because our agent has a door of its own.
package ironic
