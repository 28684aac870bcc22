// Package flavor keeps the sizes that an operator offers: what a tenant gets, and, in the extra specs, how (metal or
// virtual, which resource class, how it boots). An instance keeps a copy of its flavor, so flavors come and go freely.
//
// A flavor that is not public is known only to the projects on its access list; to all others it does not exist.
package flavor

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Flavor is a size.
type Flavor struct {
	ID          string // chosen by the operator, or a UUID
	Name        string // unique
	RAM         int    // MiB
	VCPUs       int
	Disk        int     // GiB; 0: as large as the image or the machine
	Ephemeral   int     // GiB
	Swap        int     // MiB
	RxTxFactor  float64 // of Xen's days; kept because clients send and show it
	Public      bool
	Disabled    bool
	Description *string
	ExtraSpecs  map[string]string
	CreatedAt   time.Time
}

var (
	idForm   = regexp.MustCompile(`^[a-zA-Z0-9. _-]{1,255}$`)
	specForm = regexp.MustCompile(`^[a-zA-Z0-9_:. -]{1,255}$`)
)

// check refuses what Nova's schema of flavors refuses (nova/api/openstack/compute/schemas/flavors.py).
func (f *Flavor) check() error {
	invalid := func(field, why string) error {
		return fault.New(fault.Invalid, "Invalid input for field/attribute %s. %s", field, why)
	}
	if f.Name == "" || len(f.Name) > 255 || strings.TrimSpace(f.Name) != f.Name || strings.ContainsFunc(f.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid("name", "A name has 1 to 255 printable characters and no space at its ends.")
	}
	if !idForm.MatchString(f.ID) || strings.TrimSpace(f.ID) != f.ID {
		return invalid("flavorid", "An id has 1 to 255 letters, digits, dots, dashes, underscores and inner spaces.")
	}
	for _, n := range []struct {
		field      string
		value, min int
	}{
		{"ram", f.RAM, 1}, {"vcpus", f.VCPUs, 1}, {"disk", f.Disk, 0}, {"OS-FLV-EXT-DATA:ephemeral", f.Ephemeral, 0}, {"swap", f.Swap, 0},
	} {
		if n.value < n.min || n.value > math.MaxInt32 {
			return invalid(n.field, "It is out of range.")
		}
	}
	if !(f.RxTxFactor > 0 && f.RxTxFactor <= math.MaxFloat32) {
		return invalid("rxtx_factor", "It is a number above 0.")
	}
	if f.Description != nil && len(*f.Description) > 65535 {
		return invalid("description", "It is longer than 65535 bytes.")
	}
	return checkSpecs(f.ExtraSpecs)
}

func checkSpecs(specs map[string]string) error {
	for key, value := range specs {
		if !specForm.MatchString(key) {
			return fault.New(fault.Invalid, "Invalid input for field/attribute extra_specs. %q is not a key of 1 to 255 letters, digits, dashes, underscores, colons, dots and spaces.", key)
		}
		if len(value) > 255 {
			return fault.New(fault.Invalid, "Invalid input for field/attribute %s. The value is longer than 255 bytes.", key)
		}
	}
	return nil
}
