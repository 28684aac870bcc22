package neutron

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// owner is the part of a body that says whose the new thing is to be; bodies embed it.
type owner struct {
	Project osapi.Optional[string] `json:"project_id"`
	Tenant  osapi.Optional[string] `json:"tenant_id"`
}

// project is the caller's own, unless an admin says otherwise.
func (o owner) project(r *osapi.Request) (string, error) {
	asked := o.Project.Value
	if asked == "" {
		asked = o.Tenant.Value
	}
	switch {
	case o.Project.Value != "" && o.Tenant.Value != "" && o.Project.Value != o.Tenant.Value:
		return "", fault.New(fault.Invalid, "'project_id' and 'tenant_id' do not match")
	case asked == "" && r.Caller.ProjectID == "":
		return "", fault.New(fault.Invalid, "A token of no project needs project_id in the request.")
	case asked == "":
		return r.Caller.ProjectID, nil
	case asked != r.Caller.ProjectID && !r.Caller.IsAdmin():
		return "", fault.New(fault.Invalid, "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges")
	}
	return asked, nil
}

// wanted are the things of a body: one or, in bulk, several.
func wanted[B any](one *B, several *[]B, name string) ([]B, error) {
	switch {
	case one != nil && several == nil:
		return []B{*one}, nil
	case several != nil && one == nil && len(*several) > 0:
		return *several, nil
	}
	return nil, noBody(name)
}
