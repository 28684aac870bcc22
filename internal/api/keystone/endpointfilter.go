package keystone

import (
	"context"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type endpointGroupBody struct {
	Group struct {
		Name        osapi.Optional[string]          `json:"name"`
		Description osapi.Optional[string]          `json:"description"`
		Filters     osapi.Optional[endpointFilters] `json:"filters"`
	} `json:"endpoint_group"`
}

type endpointFilters struct {
	ServiceID string `json:"service_id"`
	RegionID  string `json:"region_id"`
	Interface string `json:"interface"`
	Enabled   *bool  `json:"enabled"`
}

func (b *endpointGroupBody) onto(g *identity.EndpointGroup) error {
	set(&g.Name, b.Group.Name)
	setPointer(&g.Description, b.Group.Description)
	if b.Group.Filters.Set {
		g.Filters = identity.EndpointFilters(b.Group.Filters.Value)
	}
	return nil
}

func showEndpointGroup(r *osapi.Request, g identity.EndpointGroup) object {
	return object{
		"id": g.ID, "name": g.Name, "description": g.Description, "filters": g.Filters,
		"links": self(r, "OS-EP-FILTER/endpoint_groups", g.ID),
	}
}

func (a *api) listEndpointGroups(r *osapi.Request) (any, error) {
	groups, err := a.identity.EndpointGroups(r.Context(), r.Query().String("name"), "")
	return list(r, "endpoint_groups", groups, showEndpointGroup), err
}

func (a *api) createEndpointGroup(r *osapi.Request) (any, error) {
	var body endpointGroupBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !body.Group.Filters.Set {
		return nil, fault.New(fault.Invalid, "'filters' is a required property of 'endpoint_group'.")
	}
	var g identity.EndpointGroup
	if err := body.onto(&g); err != nil {
		return nil, err
	}
	g, err := a.identity.CreateEndpointGroup(r.Context(), g)
	return object{"endpoint_group": showEndpointGroup(r, g)}, err
}

func (a *api) showEndpointGroup(r *osapi.Request) (any, error) {
	g, err := a.identity.EndpointGroup(r.Context(), r.Path("id"))
	return object{"endpoint_group": showEndpointGroup(r, g)}, err
}

func (a *api) updateEndpointGroup(r *osapi.Request) (any, error) {
	var body endpointGroupBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	g, err := a.identity.UpdateEndpointGroup(r.Context(), r.Path("id"), body.onto)
	return object{"endpoint_group": showEndpointGroup(r, g)}, err
}

func (a *api) deleteEndpointGroup(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteEndpointGroup(r.Context(), r.Path("id"))
}

func (a *api) listGroupEndpoints(r *osapi.Request) (any, error) {
	endpoints, err := a.identity.EndpointGroupEndpoints(r.Context(), r.Path("id"))
	return list(r, "endpoints", endpoints, showEndpoint), err
}

func (a *api) listEndpointGroupProjects(r *osapi.Request) (any, error) {
	projects, err := a.identity.EndpointGroupProjects(r.Context(), r.Path("id"))
	return list(r, "projects", projects, showProject), err
}

func (a *api) listProjectEndpointGroups(r *osapi.Request) (any, error) {
	if _, err := a.identity.Project(r.Context(), r.Path("project")); err != nil {
		return nil, err
	}
	groups, err := a.identity.EndpointGroups(r.Context(), "", r.Path("project"))
	return list(r, "endpoint_groups", groups, showEndpointGroup), err
}

func (a *api) showProjectEndpointGroup(r *osapi.Request) (any, error) {
	if err := a.identity.ShowsEndpointGroup(r.Context(), r.Path("id"), r.Path("project")); err != nil {
		return nil, err
	}
	return object{"project": object{"id": r.Path("project"), "links": self(r, "projects", r.Path("project"))}}, nil
}

func (a *api) listProjectEndpoints(r *osapi.Request) (any, error) {
	if _, err := a.identity.Project(r.Context(), r.Path("project")); err != nil {
		return nil, err
	}
	endpoints, err := a.identity.ProjectEndpoints(r.Context(), r.Path("project"))
	return list(r, "endpoints", endpoints, showEndpoint), err
}

func (a *api) listEndpointProjects(r *osapi.Request) (any, error) {
	projects, err := a.identity.EndpointProjects(r.Context(), r.Path("id"))
	return list(r, "projects", projects, showProject), err
}

// pair is the handler of what is said of the path's endpoint, or group of endpoints, and its project.
func pair(do func(ctx context.Context, id, projectID string) error) osapi.Handler {
	return func(r *osapi.Request) (any, error) { return nil, do(r.Context(), r.Path("id"), r.Path("project")) }
}
