package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type roleBody struct {
	Role struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		DomainID    osapi.Optional[string]         `json:"domain_id"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Extra       attributes                     `json:",embed"`
	} `json:"role"`
}

func (b *roleBody) onto(role *identity.Role) (err error) {
	if b.Role.DomainID.Value != "" {
		return fault.New(fault.Unsupported, "Roles of a domain are not supported by this server.")
	}
	set(&role.Name, b.Role.Name)
	setPointer(&role.Description, b.Role.Description)
	set(&role.Options, b.Role.Options)
	role.Extra, err = b.Role.Extra.onto(role.Extra, role.ID)
	return err
}

func showRole(r *osapi.Request, role identity.Role) object {
	return with(role.Extra, object{
		"id": role.ID, "name": role.Name, "domain_id": nil, "description": role.Description, "options": role.Options, "links": self(r, "roles", role.ID),
	})
}

func (a *api) listRoles(r *osapi.Request) (any, error) {
	q := r.Query()
	if q.String("domain_id") != "" { // roles of a domain
		return list(r, "roles", []identity.Role{}, showRole), nil
	}
	roles, err := a.identity.Roles(r.Context(), q.String("name"))
	return list(r, "roles", roles, showRole), err
}

func (a *api) createRole(r *osapi.Request) (any, error) {
	body, role := roleBody{}, identity.Role{}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := body.onto(&role); err != nil {
		return nil, err
	}
	role, err := a.identity.CreateRole(r.Context(), role)
	return object{"role": showRole(r, role)}, err
}

func (a *api) showRole(r *osapi.Request) (any, error) {
	role, err := a.identity.Role(r.Context(), r.Path("id"))
	return object{"role": showRole(r, role)}, err
}

func (a *api) updateRole(r *osapi.Request) (any, error) {
	var body roleBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	role, err := a.identity.UpdateRole(r.Context(), r.Path("id"), body.onto)
	return object{"role": showRole(r, role)}, err
}

func (a *api) deleteRole(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteRole(r.Context(), r.Path("id"))
}

func (a *api) listInferences(r *osapi.Request) (any, error) {
	implied, err := a.identity.Implications(r.Context())
	if err != nil {
		return nil, err
	}
	roles, err := a.identity.Roles(r.Context(), "")
	if err != nil {
		return nil, err
	}
	short := map[string]object{}
	for _, role := range roles {
		short[role.ID] = object{"id": role.ID, "name": role.Name, "description": role.Description, "links": self(r, "roles", role.ID)}
	}
	inferences := []object{}
	for _, role := range roles {
		if len(implied[role.ID]) == 0 {
			continue
		}
		var implies []object
		for _, id := range implied[role.ID] {
			implies = append(implies, short[id])
		}
		inferences = append(inferences, object{"prior_role": short[role.ID], "implies": implies})
	}
	return object{"role_inferences": inferences, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

// grants are the routes of one kind of target.
type grants struct {
	*api
	target func(*osapi.Request) identity.Target
}

func (g grants) assignment(r *osapi.Request) identity.Assignment {
	return identity.Assignment{UserID: r.Path("user"), Target: g.target(r), RoleID: r.Path("role")}
}

func (g grants) list(r *osapi.Request) (any, error) {
	held, err := g.identity.Assignments(r.Context(), identity.AssignmentFilter{UserID: r.Path("user"), Target: g.target(r)})
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
	return nil, g.identity.Assigned(r.Context(), g.assignment(r))
}

func (g grants) give(r *osapi.Request) (any, error) {
	return nil, g.identity.Assign(r.Context(), g.assignment(r))
}

func (g grants) take(r *osapi.Request) (any, error) {
	return nil, g.identity.Unassign(r.Context(), g.assignment(r))
}

func (a *api) listAssignments(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.AssignmentFilter{UserID: q.String("user.id"), RoleID: q.String("role.id"), Effective: q.Bool("effective", q.Has("effective"))}
	switch {
	case q.String("scope.project.id") != "":
		filter.Target = identity.Target{Kind: identity.OnProject, ID: q.String("scope.project.id")}
	case q.String("scope.domain.id") != "":
		filter.Target = identity.Target{Kind: identity.OnDomain, ID: q.String("scope.domain.id")}
	case q.Has("scope.system"):
		filter.Target = identity.OnTheSystem
	}
	names := q.Bool("include_names", q.Has("include_names"))
	if err := q.Err(); err != nil {
		return nil, err
	}
	var found []identity.Assignment
	if !q.Has("group.id") { // there are no groups
		var err error
		if found, err = a.identity.Assignments(r.Context(), filter); err != nil {
			return nil, err
		}
	}
	words := newNames(a)
	items := make([]object, len(found))
	for i, one := range found {
		items[i] = showAssignment(r, one)
		if names {
			if err := words.add(r, one, items[i]); err != nil {
				return nil, err
			}
		}
	}
	return object{"role_assignments": items, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

func showAssignment(r *osapi.Request, a identity.Assignment) object {
	scope, path := object{"system": object{"all": true}}, "/v3/system"
	if a.Target.Kind != identity.OnSystem {
		scope = object{a.Target.Kind: object{"id": a.Target.ID}}
		path = "/v3/" + a.Target.Kind + "s/" + a.Target.ID
	}
	return object{
		"links": object{"assignment": r.URL(path + "/users/" + a.UserID + "/roles/" + a.RoleID)},
		"scope": scope, "user": object{"id": a.UserID}, "role": object{"id": a.RoleID},
	}
}

// names adds names to a list of assignments and looks each one up once.
type names struct {
	*api
	users    map[string]object
	roles    map[string]object
	targets  map[identity.Target]object
	domained map[string]object
}

func newNames(a *api) names {
	return names{a, map[string]object{}, map[string]object{}, map[identity.Target]object{}, map[string]object{}}
}

func (n names) add(r *osapi.Request, a identity.Assignment, shown object) error {
	user, err := once(n.users, a.UserID, func() (object, error) {
		u, err := n.identity.User(r.Context(), a.UserID)
		if err != nil {
			return nil, err
		}
		domain, err := n.domain(r, u.DomainID)
		return object{"id": u.ID, "name": u.Name, "domain": domain}, err
	})
	if err != nil {
		return err
	}
	role, err := once(n.roles, a.RoleID, func() (object, error) {
		role, err := n.identity.Role(r.Context(), a.RoleID)
		return object{"id": role.ID, "name": role.Name}, err
	})
	if err != nil {
		return err
	}
	scope, err := once(n.targets, a.Target, func() (object, error) { return n.scope(r, a.Target) })
	if err != nil {
		return err
	}
	shown["user"], shown["role"], shown["scope"] = user, role, scope
	return nil
}

func (n names) scope(r *osapi.Request, t identity.Target) (object, error) {
	switch t.Kind {
	case identity.OnProject:
		p, err := n.identity.Project(r.Context(), t.ID)
		if err != nil {
			return nil, err
		}
		domain, err := n.domain(r, p.DomainID)
		return object{"project": object{"id": p.ID, "name": p.Name, "domain": domain}}, err
	case identity.OnDomain:
		domain, err := n.domain(r, t.ID)
		return object{"domain": domain}, err
	}
	return object{"system": object{"all": true}}, nil
}

func (n names) domain(r *osapi.Request, id string) (object, error) {
	return once(n.domained, id, func() (object, error) {
		d, err := n.identity.Domain(r.Context(), id)
		return object{"id": d.ID, "name": d.Name}, err
	})
}

func once[K comparable, V any](known map[K]V, key K, find func() (V, error)) (V, error) {
	if v, ok := known[key]; ok {
		return v, nil
	}
	v, err := find()
	if err == nil {
		known[key] = v
	}
	return v, err
}
