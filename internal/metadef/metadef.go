// Package metadef keeps metadata definitions: namespaces that say which properties, objects and tags a thing of some
// type may be described with. They are for the forms of clients (Horizon's "Update Metadata"); nothing here obeys them.
package metadef

import (
	"time"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/tenancy"
)

// Namespace groups definitions.
type Namespace struct {
	Name, DisplayName, Description string
	Owner                          string // project
	Public, Protected              bool   // protected: neither it nor what is in it can be deleted
	Created, Updated               time.Time
}

// Kind of an item in a namespace.
type Kind string

// The kinds.
const (
	Object       Kind = "object"        // a named group of properties
	Property     Kind = "property"      // a JSON schema
	Tag          Kind = "tag"           // a word
	ResourceType Kind = "resource_type" // a type of things that the namespace is for
)

// Item is in a namespace. Its body is what the client said of it, beside the name.
type Item struct {
	Kind             Kind
	Name             string
	Body             map[string]any
	Created, Updated time.Time
}

// ResourceTypes are the types of things that OpenStack's services have (glance/etc/metadefs).
var ResourceTypes = []string{
	"OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Instance", "OS::Nova::Server",
}

// Viewer is who looks: a project, or an operator who sees all.
type Viewer = tenancy.Viewer

// Lengths of Glance's columns, in characters.
const (
	maxName        = 80
	maxDescription = 500
)

func (n *Namespace) check() error {
	switch {
	case n.Name == "" || utf8.RuneCountInString(n.Name) > maxName:
		return fault.New(fault.Invalid, "A namespace has a name of 1 to %d characters.", maxName)
	case utf8.RuneCountInString(n.DisplayName) > maxName:
		return fault.New(fault.Invalid, "The display name is longer than %d characters.", maxName)
	case utf8.RuneCountInString(n.Description) > maxDescription:
		return fault.New(fault.Invalid, "The description is longer than %d characters.", maxDescription)
	}
	return nil
}

func (i *Item) check() error {
	if i.Name == "" || utf8.RuneCountInString(i.Name) > maxName {
		return fault.New(fault.Invalid, "A definition has a name of 1 to %d characters.", maxName)
	}
	return nil
}
