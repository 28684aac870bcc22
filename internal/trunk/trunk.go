// Package trunk knows ports that carry several networks: a parent, untagged, and subports, each with a tag.
package trunk

import "github.com/ingotcloud/ingot/internal/network"

// Trunk is a port of a machine with the subports that it carries.
type Trunk struct {
	network.Meta
	AdminUp  bool
	Port     string // the parent
	Subports []Subport
}

// Subport is a port that a trunk carries under a tag.
type Subport struct {
	Port string
	VLAN int // 1 to 4094
}
