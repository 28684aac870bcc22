// Package trunk knows ports that carry several networks: a parent, untagged, and subports, each with a tag. It follows
// what happens to ports (watch.go): a subport's rows depend on where its parent is.
package trunk

import (
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// Service is the trunks' domain.
type Service struct {
	clock    clock.Clock
	networks *network.Service

	// Quotas limits how many trunks a project may have, set once before the first call. At first there is no limit.
	Quotas Quotas
}

// New makes the service, which from now on follows what happens to ports.
func New(c clock.Clock, networks *network.Service) *Service {
	s := &Service{c, networks, noQuotas{}}
	networks.Watch(s)
	return s
}

// Trunk is a port of a machine with the subports that it carries.
type Trunk struct {
	network.Meta
	AdminUp  bool      // whether its subports may change; the parent's own state says whether it carries anything
	Port     string    // the parent
	Subports []Subport // by their tags
	Status   Status
}

// Subport is a port that a trunk carries under a tag.
type Subport struct {
	Port string
	VLAN int    // 1 to 4094
	MAC  string // the port's, for reading only
}

// Status tells how far a trunk carries its subports, in Neutron's words.
type Status string

// The statuses.
const (
	Down   Status = "DOWN"   // the parent is on no machine
	Build  Status = "BUILD"  // it is, and some of the ports are not up yet
	Active Status = "ACTIVE" // all ports are up
)

// SubportOwner is the device owner of ports that a trunk carries.
const SubportOwner = "trunk:subport"

// Table is where trunks are kept, for their tags.
const Table network.Table = "trunk"

// Kind is what trunks are called where they are limited.
const Kind = "trunk"

// Reason tells refusals apart that have the same fault.Kind. It is the cause of the fault, for errors.Is; the wire has a
// name for each.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoSuchTrunk     Reason = "no such trunk"
	NoSuchSubport   Reason = "no such subport"
	ParentInUse     Reason = "port is a trunk's parent"
	SubportInUse    Reason = "port is a trunk's subport"
	NotAParent      Reason = "port cannot be a parent"
	NotASubport     Reason = "port cannot be a subport"
	VLANInUse       Reason = "VLAN of the trunk in use"
	MTUTooLarge     Reason = "MTU of the subport larger than the trunk's"
	EdgeCarriesNone Reason = "edge carries no subports"
	TrunkDisabled   Reason = "trunk disabled"
)

func refuse(kind fault.Kind, why Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid input for "+field+". Reason: "+format+".", args...)
}

// check finds a name or a description that is too long.
func (t *Trunk) check() error {
	for field, text := range map[string]string{"name": t.Name, "description": t.Description} {
		if utf8.RuneCountInString(text) > 255 {
			return invalid(field, "'%s' exceeds maximum length of 255", text)
		}
	}
	return nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
