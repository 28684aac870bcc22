package image

import (
	"github.com/ingotcloud/ingot/internal/fault"
)

// Caller is who asks. An admin sees and changes everything.
type Caller struct {
	Project string
	User    string // for the record
	Admin   bool
}

// MemberStatus is what a project said to an image that was shared with it.
type MemberStatus string

// The member statuses.
const (
	Pending  MemberStatus = "pending"
	Accepted MemberStatus = "accepted"
	Rejected MemberStatus = "rejected"
)

func (c Caller) owns(i *Image) bool { return c.Admin || (c.Project != "" && c.Project == i.Project) }

// sees says whether the caller may know of the image; member tells whether it was shared with the caller's project,
// whatever the project answered.
func (c Caller) sees(i *Image, member bool) bool {
	return c.owns(i) || i.Visibility == Public || i.Visibility == Community || (i.Visibility == Shared && member)
}

func notFound(id string) error { return fault.New(fault.NotFound, "No image found with ID %s", id) }

// mayChange is for a caller who sees the image.
func (c Caller) mayChange(i *Image) error {
	if !c.owns(i) {
		return fault.New(fault.Forbidden, "You are not permitted to modify this image.")
	}
	return nil
}

// mayPublish guards the step to public.
func (c Caller) mayPublish(before, after Visibility) error {
	if after == Public && before != Public && !c.Admin {
		return fault.New(fault.Forbidden, "You are not authorized to complete publicize_image action.")
	}
	return nil
}
