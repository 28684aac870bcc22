package image

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Image is what tenants see of an image.
type Image struct {
	ID              string
	Project         string // the owner
	Name            string
	Status          Status
	Visibility      Visibility
	DiskFormat      string // empty: not said yet
	ContainerFormat string // empty: not said yet
	Size            int64  // bytes as uploaded; 0: no data yet
	VirtualSize     int64  // bytes of the disk; 0: no data yet
	Checksum        string // MD5 of what was uploaded, hex; empty: no data yet
	Hash            string // SHA-512 of the same
	MinDisk         int64  // GiB
	MinRAM          int64  // MiB
	Protected       bool
	Hidden          bool
	Tags            []string // sorted
	Properties      map[string]string
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Failure         string // why the last import failed; empty: it did not
}

// Status is where an image is in its life. The words are Glance's.
type Status string

// The statuses. A deleted image has no row.
const (
	Queued      Status = "queued"      // no data yet
	Saving      Status = "saving"      // an upload is running
	Uploading   Status = "uploading"   // a file is staged, or on its way there
	Importing   Status = "importing"   // the staged file is being brought in
	Active      Status = "active"      // has data
	Deactivated Status = "deactivated" // has data that only admins may download or deploy
)

// event is what happens to an image's data.
type event string

const (
	beginUpload event = "upload"
	beginStage  event = "stage"
	beginImport event = "import"
	finish      event = "finish"
	fail        event = "fail"
	deactivate  event = "deactivate"
	reactivate  event = "reactivate"
)

// transitions is the state machine; deleting is possible from every state.
var transitions = []struct {
	from Status
	on   event
	to   Status
}{
	{Queued, beginUpload, Saving},          // the body is streamed in
	{Saving, finish, Active},               // checked, converted, stored
	{Saving, fail, Queued},                 // refused or interrupted: the tenant may try again
	{Queued, beginStage, Uploading},        // first half of an import
	{Uploading, fail, Queued},              // the staging broke off, or nobody came back for the file
	{Uploading, beginImport, Importing},    // second half
	{Importing, finish, Active},            // checked, converted, stored
	{Importing, fail, Queued},              // refused or interrupted; Image.Failure says why
	{Active, deactivate, Deactivated},      // an operator looks into it
	{Deactivated, deactivate, Deactivated}, // doing it twice is no error
	{Deactivated, reactivate, Active},      // and is done
	{Active, reactivate, Active},           // doing it twice is no error
}

func (s Status) after(on event) (Status, error) {
	for _, t := range transitions {
		if t.from == s && t.on == on {
			return t.to, nil
		}
	}
	return s, fault.New(fault.Conflict, "An image in status %s cannot take this action (%s).", s, on)
}

// HasData reports whether the image's bytes are there.
func (s Status) HasData() bool { return s == Active || s == Deactivated }

// Visibility is who sees an image, in Glance's words.
type Visibility string

// The visibilities.
const (
	Public    Visibility = "public"    // everybody; only admins may publish
	Community Visibility = "community" // everybody who asks for it
	Shared    Visibility = "shared"    // the owner and the members
	Private   Visibility = "private"   // the owner
)

// The formats that an image may say it has; which of them can hold data, inspect decides.
var (
	DiskFormats      = []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
	ContainerFormats = []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
	Visibilities     = []Visibility{Community, Public, Private, Shared}
)

const (
	maxName   = 255 // characters, also of tags and the names of properties
	maxLabels = 128 // tags, and properties
	maxValue  = 65535
	maxInt    = 1<<31 - 1
)

// validate checks what a tenant can set.
func (i *Image) validate() error {
	switch {
	case i.Project == "":
		return fault.New(fault.Invalid, "An image needs an owner: use a token of a project, or name one.")
	case !storable(i.Name, i.Project):
		return errUnstorable
	case len([]rune(i.Name)) > maxName:
		return fault.New(fault.Invalid, "The name is longer than %d characters.", maxName)
	case i.DiskFormat != "" && !slices.Contains(DiskFormats, i.DiskFormat):
		return fault.New(fault.Invalid, "Invalid disk format '%s' for image.", i.DiskFormat)
	case i.ContainerFormat != "" && !slices.Contains(ContainerFormats, i.ContainerFormat):
		return fault.New(fault.Invalid, "Invalid container format '%s' for image.", i.ContainerFormat)
	case !slices.Contains(Visibilities, i.Visibility):
		return fault.New(fault.Invalid, "Invalid visibility '%s' for image.", i.Visibility)
	case i.MinDisk < 0 || i.MinRAM < 0 || i.MinDisk > maxInt || i.MinRAM > maxInt:
		return fault.New(fault.Invalid, "min_disk and min_ram must be between 0 and %d.", maxInt)
	case len(i.Tags) > maxLabels:
		return fault.New(fault.TooLarge, "The limit of %d tags is exceeded.", maxLabels)
	case len(i.Properties) > maxLabels:
		return fault.New(fault.TooLarge, "The limit of %d properties is exceeded.", maxLabels)
	}
	for _, tag := range i.Tags {
		if !storable(tag) {
			return errUnstorable
		}
		if tag == "" || len([]rune(tag)) > maxName {
			return fault.New(fault.Invalid, "A tag has between 1 and %d characters.", maxName)
		}
	}
	for name, value := range i.Properties {
		if !storable(name, value) {
			return errUnstorable
		}
		if name == "" || len([]rune(name)) > maxName || len(value) > maxValue {
			return fault.New(fault.Invalid, "The property '%.40s' has a name over %d characters or a value over %d bytes.", name, maxName, maxValue)
		}
	}
	slices.Sort(i.Tags)
	i.Tags = slices.Compact(i.Tags)
	return nil
}

var errUnstorable error = fault.New(fault.Invalid, "Text must be valid UTF-8 without NUL characters.")

// storable says whether every engine takes the texts: PostgreSQL refuses NUL and invalid UTF-8.
func storable(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) || strings.Contains(s, "\x00") })
}
