package keystone

import (
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/identity"
)

// grants are the routes under which roles are given to one kind of actor on one kind of target.
type grants struct {
	*api
	kind      string // of the target
	groups    bool   // the actor is a group
	inherited bool
}

// routes are GET of the list and GET (HEAD), PUT and DELETE of one role.
func (g grants) routes() []osapi.Route {
	list := "/v3"
	if g.inherited {
		list += "/OS-INHERIT"
	}
	if g.kind == identity.OnSystem {
		list += "/system"
	} else {
		list += "/" + g.kind + "s/{id}"
	}
	if g.groups {
		list += "/groups/{actor}/roles"
	} else {
		list += "/users/{actor}/roles"
	}
	one := list + "/{role}"
	if g.inherited {
		list, one = list+"/inherited_to_projects", one+"/inherited_to_projects"
	}
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.DomainReader, Handle: g.list},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.DomainReader, Status: 204, Handle: g.check},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.DomainManager, Status: 204, Handle: g.give},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.DomainManager, Status: 204, Handle: g.take},
	}
}

func (g grants) target(r *osapi.Request) identity.Target {
	if g.kind == identity.OnSystem {
		return identity.OnTheSystem
	}
	return identity.Target{Kind: g.kind, ID: r.Path("id")}
}

func (g grants) assignment(r *osapi.Request) identity.Assignment {
	a := identity.Assignment{Target: g.target(r), RoleID: r.Path("role"), Inherited: g.inherited}
	if g.groups {
		a.GroupID = r.Path("actor")
	} else {
		a.UserID = r.Path("actor")
	}
	return a
}

// place looks up the target and the actor; both must lie within the caller's reach.
func (g grants) place(r *osapi.Request, what string, reach func(domainID string) bool) error {
	target, err := g.targetDomain(r)
	if err := visible(r, what, err, reach(target)); err != nil {
		return err
	}
	actor, err := g.actorDomain(r)
	return visible(r, what, err, reach(actor))
}

func (g grants) targetDomain(r *osapi.Request) (string, error) {
	switch g.kind {
	case identity.OnProject:
		p, err := g.identity.Project(r.Context(), r.Path("id"))
		return p.DomainID, err
	case identity.OnDomain:
		d, err := g.identity.Domain(r.Context(), r.Path("id"))
		return d.ID, err
	}
	return "", nil // the system is in no domain
}

func (g grants) actorDomain(r *osapi.Request) (string, error) {
	if g.groups {
		group, err := g.identity.Group(r.Context(), r.Path("actor"))
		return group.DomainID, err
	}
	user, err := g.identity.User(r.Context(), r.Path("actor"))
	return user.DomainID, err
}

// giveable: managers of a domain give and take the ordinary roles and those of their domain; never admin, which
// operates the cloud.
func (g grants) giveable(r *osapi.Request, what string) error {
	if err := g.place(r, what, r.Caller.ManagesDomain); err != nil {
		return err
	}
	role, err := g.identity.Role(r.Context(), r.Path("role"))
	ordinary := role.DomainID == "" && slices.Contains([]string{identity.RoleManager, identity.RoleMember, identity.RoleReader}, role.Name)
	return visible(r, what, err, r.Caller.IsAdmin() || ordinary || (role.DomainID != "" && role.DomainID == r.Caller.DomainID))
}

func (g grants) list(r *osapi.Request) (any, error) {
	if err := g.place(r, "list_grants", r.Caller.ReadsDomain); err != nil {
		return nil, err
	}
	a, inherited := g.assignment(r), g.inherited
	held, err := g.identity.Assignments(r.Context(), identity.AssignmentFilter{UserID: a.UserID, GroupID: a.GroupID, Target: a.Target, Inherited: &inherited})
	if err != nil {
		return nil, err
	}
	roles := make([]identity.Role, len(held))
	for i, a := range held {
		if roles[i], err = g.identity.Role(r.Context(), a.RoleID); err != nil {
			return nil, err
		}
	}
	return list(r, "roles", roles, showRole), nil
}

func (g grants) check(r *osapi.Request) (any, error) {
	if err := g.place(r, "check_grant", r.Caller.ReadsDomain); err != nil {
		return nil, err
	}
	return nil, g.identity.Assigned(r.Context(), g.assignment(r))
}

func (g grants) give(r *osapi.Request) (any, error) {
	if err := g.giveable(r, "create_grant"); err != nil {
		return nil, err
	}
	return nil, g.identity.Assign(r.Context(), g.assignment(r))
}

func (g grants) take(r *osapi.Request) (any, error) {
	if err := g.giveable(r, "revoke_grant"); err != nil {
		return nil, err
	}
	return nil, g.identity.Unassign(r.Context(), g.assignment(r))
}
