package metadata

import (
	"net/netip"
)

// Content is what a server is told about itself, on its config drive and by the service alike.
type Content struct {
	ID, Name, Hostname, Project, Zone string
	LaunchIndex                       int
	Properties                        map[string]string // the server's metadata, as its owner set it
	KeyName, PublicKey                string            // OpenSSH's form; empty: none
	UserData                          []byte            // nil: none
	NetworkData                       map[string]any    // network_data.json
	Seed                              []byte            // for the guest's random numbers; nil: none

	// Only EC2's form tells these.
	Reservation, Flavor, Image string // Flavor is the name, Image the id
	LocalIPv4, PublicIPv4      netip.Addr
	SecurityGroups             []string // names
}
