// Package ovn starts an OVN of a run's own and takes it down again: the databases, northd and any number of chassis,
// each in a network namespace with Open vSwitch in it, joined by an underlay that carries Geneve.
//
//	cluster.go    Start, Close and the watching
//	remains.go    what a run leaves in its folder for the next one to adopt or to sweep
//	software.go   which programs: the host's where they are sound, else those of a Debian root
//	daemon.go     one daemon: started or adopted, watched, started again when it dies
//	central.go    the databases and northd; Sync
//	vswitch.go    an Open vSwitch in a namespace
//	chassis.go    a chassis: its bridges, and OVN's controller
//	underlay.go   namespaces and the cables between them
//	firewall.go   why no tenant's frame reaches a chassis
//	plug.go       interfaces on the integration bridge
//	tor.go        a plain VLAN switch in front of a chassis
//	internet.go   what lies outside of the routers
//
// Nothing is made in the host's own network. The daemons outlive the lab's process on purpose, as the machines do: after
// a kill -9 the next Start in the same folder adopts what still fits and traffic has not noticed.
//
// Traps that this package knows of: while vswitchd is dead, OVN's own sync still says that all is well (Sync asks the
// daemons too); an internal port loses its address with vswitchd (chassis.go gives it back); an interface that was made
// anew under its old name must be taken off the bridge first (plug.go).
package ovn
