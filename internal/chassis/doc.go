// Package chassis is what runs on every chassis, next to its Open vSwitch: `ingot chassis` brings the metadata service to
// the networks that have a machine there.
//
//	chassis.go   Run: which networks, told by OVN's southbound database
//	outpost.go   a network's outpost: a namespace that holds 169.254.169.254 and is plugged in as the network's localport
//	firewall.go  why nothing but port 80 answers in there, and nothing passes through
//	vswitch.go   the local Open vSwitch's database
//	proxy.go     what answers: a proxy to the control plane that says which network a request came in on, and signs that
//	command.go   the subcommand
//
// All that it makes is named after the network and its own name, so that nothing needs to be kept: who starts finds what
// another left, adopts what is still wanted and removes the rest.
//
// A clean stop leaves the outposts where they are. A stop is nearly always the first half of an update, and taking
// hundreds of ports out of OVN and plugging them in again would trouble every chassis for nothing; meanwhile the kernel in
// there refuses connections at once, and cloud-init tries again. `ingot chassis --remove` takes them away for good.
package chassis
