package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type registeredLimitFields struct {
	ServiceID   osapi.Optional[string] `json:"service_id"`
	RegionID    osapi.Optional[string] `json:"region_id"`
	Name        osapi.Optional[string] `json:"resource_name"`
	Default     osapi.Optional[int]    `json:"default_limit"`
	Description osapi.Optional[string] `json:"description"`
}

func (f *registeredLimitFields) onto(l *identity.RegisteredLimit) error {
	set(&l.ServiceID, f.ServiceID)
	setPointer(&l.RegionID, f.RegionID)
	set(&l.ResourceName, f.Name)
	set(&l.Default, f.Default)
	setPointer(&l.Description, f.Description)
	return nil
}

func showRegisteredLimit(r *osapi.Request, l identity.RegisteredLimit) object {
	return object{
		"id": l.ID, "service_id": l.ServiceID, "region_id": l.RegionID, "resource_name": l.ResourceName,
		"default_limit": l.Default, "description": l.Description, "links": self(r, "registered_limits", l.ID),
	}
}

func limitFilter(q *osapi.Query) identity.LimitFilter {
	return identity.LimitFilter{ServiceID: q.String("service_id"), RegionID: q.String("region_id"), ResourceName: q.String("resource_name")}
}

func (a *api) listRegisteredLimits(r *osapi.Request) (any, error) {
	limits, err := a.identity.RegisteredLimits(r.Context(), limitFilter(r.Query()))
	return list(r, "registered_limits", limits, showRegisteredLimit), err
}

func (a *api) createRegisteredLimits(r *osapi.Request) (any, error) {
	var body struct {
		Limits []registeredLimitFields `json:"registered_limits"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body.Limits) == 0 {
		return nil, noLimits("registered_limits")
	}
	limits := make([]identity.RegisteredLimit, len(body.Limits))
	for i := range body.Limits {
		if !body.Limits[i].Default.Set {
			return nil, fault.New(fault.Invalid, "'default_limit' is a required property of a registered limit.")
		}
		if err := body.Limits[i].onto(&limits[i]); err != nil {
			return nil, err
		}
	}
	limits, err := a.identity.CreateRegisteredLimits(r.Context(), limits)
	answer := list(r, "registered_limits", limits, showRegisteredLimit)
	delete(answer, "links")
	return answer, err
}

func noLimits(field string) error {
	return fault.New(fault.Invalid, "Invalid input for field '%s': at least one is needed.", field)
}

func (a *api) showRegisteredLimit(r *osapi.Request) (any, error) {
	l, err := a.identity.RegisteredLimit(r.Context(), r.Path("id"))
	return object{"registered_limit": showRegisteredLimit(r, l)}, err
}

func (a *api) updateRegisteredLimit(r *osapi.Request) (any, error) {
	var body struct {
		Limit registeredLimitFields `json:"registered_limit"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	l, err := a.identity.UpdateRegisteredLimit(r.Context(), r.Path("id"), body.Limit.onto)
	return object{"registered_limit": showRegisteredLimit(r, l)}, err
}

func (a *api) deleteRegisteredLimit(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteRegisteredLimit(r.Context(), r.Path("id"))
}

func showLimit(r *osapi.Request, l identity.Limit) object {
	return object{
		"id": l.ID, "project_id": l.ProjectID, "domain_id": l.DomainID, "service_id": l.Registered.ServiceID, "region_id": l.Registered.RegionID,
		"resource_name": l.Registered.ResourceName, "resource_limit": l.Limit, "description": l.Description, "links": self(r, "limits", l.ID),
	}
}

// limitModel: a limit of one project does not touch another's (Keystone's enforcement model flat).
func (a *api) limitModel(*osapi.Request) (any, error) {
	return object{"model": object{"name": "flat", "description": "Limit enforcement and validation does not take project hierarchy into consideration."}}, nil
}

func (a *api) listLimits(r *osapi.Request) (any, error) {
	q, c := r.Query(), r.Caller
	filter := limitFilter(q)
	filter.ProjectID, filter.DomainID = q.String("project_id"), q.String("domain_id")
	switch {
	case c.ReadsAll():
	case c.DomainID != "":
		filter.WithinDomain = c.DomainID
	default:
		if c.ProjectID == "" || (filter.ProjectID != "" && filter.ProjectID != c.ProjectID) {
			return list(r, "limits", nil, showLimit), nil
		}
		filter.ProjectID = c.ProjectID
	}
	limits, err := a.identity.Limits(r.Context(), filter)
	return list(r, "limits", limits, showLimit), err
}

func (a *api) createLimits(r *osapi.Request) (any, error) {
	var body struct {
		Limits []struct {
			ProjectID   *string `json:"project_id"`
			DomainID    *string `json:"domain_id"`
			ServiceID   string  `json:"service_id"`
			RegionID    *string `json:"region_id"`
			Name        string  `json:"resource_name"`
			Limit       *int    `json:"resource_limit"`
			Description *string `json:"description"`
		} `json:"limits"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body.Limits) == 0 {
		return nil, noLimits("limits")
	}
	limits := make([]identity.Limit, len(body.Limits))
	for i, l := range body.Limits {
		if l.Limit == nil {
			return nil, fault.New(fault.Invalid, "'resource_limit' is a required property of a limit.")
		}
		limits[i] = identity.Limit{
			ProjectID: l.ProjectID, DomainID: l.DomainID, Limit: *l.Limit, Description: l.Description,
			Registered: identity.RegisteredLimit{ServiceID: l.ServiceID, RegionID: l.RegionID, ResourceName: l.Name},
		}
	}
	limits, err := a.identity.CreateLimits(r.Context(), limits)
	answer := list(r, "limits", limits, showLimit)
	delete(answer, "links")
	return answer, err
}

func (a *api) showLimit(r *osapi.Request) (any, error) {
	l, err := a.identity.Limit(r.Context(), r.Path("id"))
	own := err == nil && l.ProjectID != nil && *l.ProjectID == r.Caller.ProjectID || err == nil && l.DomainID != nil && *l.DomainID == r.Caller.DomainID
	if err == nil && l.ProjectID != nil && r.Caller.DomainID != "" {
		p, missing := a.identity.Project(r.Context(), *l.ProjectID)
		own, err = r.Caller.ReadsDomain(p.DomainID), missing
	}
	if err := visible(r, "get_limit", err, own || r.Caller.ReadsAll()); err != nil {
		return nil, err
	}
	return object{"limit": showLimit(r, l)}, nil
}

func (a *api) updateLimit(r *osapi.Request) (any, error) {
	var body struct {
		Limit struct {
			Limit       osapi.Optional[int]    `json:"resource_limit"`
			Description osapi.Optional[string] `json:"description"`
		} `json:"limit"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	l, err := a.identity.UpdateLimit(r.Context(), r.Path("id"), func(l *identity.Limit) error {
		set(&l.Limit, body.Limit.Limit)
		setPointer(&l.Description, body.Limit.Description)
		return nil
	})
	return object{"limit": showLimit(r, l)}, err
}

func (a *api) deleteLimit(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteLimit(r.Context(), r.Path("id"))
}
