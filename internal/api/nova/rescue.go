package nova

import (
	"crypto/rand"
	"encoding/json"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// rescue answers with the password of the rescue system's root: the one that was asked for, or a fresh one. To name the
// server's own image is to name none, as in Nova; Horizon's form cannot leave it out.
func (a *api) rescue(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var how struct {
		AdminPass *string `json:"adminPass"`
		Image     *string `json:"rescue_image_ref"`
	}
	if string(arguments) != "null" {
		if err := osapi.Strict(arguments, &how); err != nil {
			return nil, err
		}
	}
	if how.Image != nil && *how.Image != i.Image {
		return nil, fault.New(fault.Invalid, "Instance %s cannot be rescued: Machines are rescued with a system of this cloud's own; leave rescue_image_ref out, or name the server's image.", i.ID)
	}
	password := rand.Text()[:16]
	if how.AdminPass != nil && *how.AdminPass != "" { // an empty one would let everybody in
		password = *how.AdminPass
	}
	if err := a.Instances.Rescue(r.Context(), writer(r), i.ID, by(r), password); err != nil {
		return nil, err
	}
	return osapi.Response{Status: 200, Body: object{"adminPass": password}}, nil
}

func (a *api) unrescue(r *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
	return accepted(a.Instances.Unrescue(r.Context(), writer(r), i.ID, by(r)))
}
