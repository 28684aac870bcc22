package keystone

import (
	"maps"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

func (a *api) listAssignments(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.AssignmentFilter{UserID: q.String("user.id"), GroupID: q.String("group.id"), RoleID: q.String("role.id")}
	switch {
	case q.String("scope.project.id") != "":
		filter.Target = identity.Target{Kind: identity.OnProject, ID: q.String("scope.project.id")}
	case q.String("scope.domain.id") != "":
		filter.Target = identity.Target{Kind: identity.OnDomain, ID: q.String("scope.domain.id")}
	case q.Has("scope.system"):
		filter.Target = identity.OnTheSystem
	}
	if q.String("scope.OS-INHERIT:inherited_to") != "" {
		yes := true
		filter.Inherited = &yes
	}
	effective, tree, names := flag(q, "effective"), flag(q, "include_subtree"), flag(q, "include_names")
	if err := q.Err(); err != nil {
		return nil, err
	}
	found, err := a.findAssignments(r, filter, effective, tree)
	if err != nil {
		return nil, err
	}
	words := newNames(a)
	items := make([]object, len(found))
	for i, one := range found {
		items[i] = showAssignment(r, one)
		if names {
			if err := words.add(r, one.Assignment, items[i]); err != nil {
				return nil, err
			}
		}
	}
	return object{"role_assignments": items, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

// flag is a parameter that is on when it is there without a value.
func flag(q *osapi.Query, name string) bool { return q.Bool(name, q.Has(name)) }

// findAssignments lists what the filter asks for, on the project's subtree too where that is asked for, as far as the
// caller may see it.
func (a *api) findAssignments(r *osapi.Request, f identity.AssignmentFilter, effective, tree bool) ([]identity.Effective, error) {
	targets := []identity.Target{f.Target}
	if tree {
		if f.Target.Kind != identity.OnProject {
			return nil, fault.New(fault.Invalid, "scope.project.id must be specified if include_subtree is also specified")
		}
		p, err := a.identity.Project(r.Context(), f.Target.ID)
		if err := visible(r, "list_role_assignments_for_tree", err, r.Caller.ReadsDomain(p.DomainID)); err != nil {
			return nil, err
		}
		below, err := a.identity.Subtree(r.Context(), p)
		if err != nil {
			return nil, err
		}
		for _, child := range below {
			targets = append(targets, identity.Target{Kind: identity.OnProject, ID: child.ID})
		}
	}
	var found []identity.Effective
	for _, target := range targets {
		f.Target = target
		some, err := a.assignmentsOn(r, f, effective)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	if r.Caller.ReadsAll() {
		return found, nil
	}
	projects, err := a.identity.Projects(r.Context(), identity.ProjectFilter{DomainID: r.Caller.DomainID})
	return slices.DeleteFunc(found, func(e identity.Effective) bool {
		own := slices.ContainsFunc(projects, func(p identity.Project) bool { return p.ID == e.Target.ID })
		return (e.Target.Kind != identity.OnDomain || e.Target.ID != r.Caller.DomainID) && (e.Target.Kind != identity.OnProject || !own)
	}), err
}

func (a *api) assignmentsOn(r *osapi.Request, f identity.AssignmentFilter, effective bool) ([]identity.Effective, error) {
	if effective {
		return a.identity.Effective(r.Context(), f)
	}
	made, err := a.identity.Assignments(r.Context(), f)
	found := make([]identity.Effective, len(made))
	for i, one := range made {
		found[i] = identity.Effective{Assignment: one, Origin: one}
	}
	return found, err
}

// assignmentPath is where an assignment is given and taken.
func assignmentPath(a identity.Assignment) string {
	path := "/" + a.Target.Kind
	if a.Target.Kind != identity.OnSystem {
		path += "s/" + a.Target.ID
	}
	if a.GroupID != "" {
		path += "/groups/" + a.GroupID
	} else {
		path += "/users/" + a.UserID
	}
	path += "/roles/" + a.RoleID
	if a.Inherited {
		return "/v3/OS-INHERIT" + path + "/inherited_to_projects"
	}
	return "/v3" + path
}

func showAssignment(r *osapi.Request, e identity.Effective) object {
	scope := object{e.Target.Kind: object{"id": e.Target.ID}}
	if e.Target.Kind == identity.OnSystem {
		scope = object{"system": object{"all": true}}
	}
	if e.Origin.Inherited {
		scope["OS-INHERIT:inherited_to"] = "projects"
	}
	links := object{"assignment": r.URL(assignmentPath(e.Origin))}
	shown := object{"links": links, "scope": scope, "role": object{"id": e.RoleID}}
	if e.GroupID != "" {
		shown["group"] = object{"id": e.GroupID}
	} else {
		shown["user"] = object{"id": e.UserID}
	}
	if e.GroupID != e.Origin.GroupID {
		links["membership"] = r.URL("/v3/groups/" + e.Origin.GroupID + "/users/" + e.UserID)
	}
	if e.RoleID != e.Origin.RoleID {
		links["prior_role"] = r.URL("/v3/roles/", e.Origin.RoleID)
	}
	return shown
}

// names adds names to a list of assignments and looks each one up once.
type names struct {
	*api
	actors   map[string]object
	roles    map[string]object
	targets  map[identity.Target]object
	domained map[string]object
}

func newNames(a *api) names {
	return names{a, map[string]object{}, map[string]object{}, map[identity.Target]object{}, map[string]object{}}
}

func (n names) add(r *osapi.Request, a identity.Assignment, shown object) error {
	actor, noun, find := a.UserID, "user", n.user
	if a.GroupID != "" {
		actor, noun, find = a.GroupID, "group", n.group
	}
	named, err := once(n.actors, actor, func() (object, error) { return find(r, actor) })
	if err != nil {
		return err
	}
	role, err := once(n.roles, a.RoleID, func() (object, error) {
		role, err := n.identity.Role(r.Context(), a.RoleID)
		if err != nil || role.DomainID == "" {
			return object{"id": role.ID, "name": role.Name}, err
		}
		domain, err := n.domain(r, role.DomainID)
		return object{"id": role.ID, "name": role.Name, "domain": domain}, err
	})
	if err != nil {
		return err
	}
	scope, err := once(n.targets, a.Target, func() (object, error) { return n.scope(r, a.Target) })
	if err != nil {
		return err
	}
	shown[noun], shown["role"] = named, role
	maps.Copy(shown["scope"].(object), scope)
	return nil
}

func (n names) user(r *osapi.Request, id string) (object, error) {
	u, err := n.identity.User(r.Context(), id)
	if err != nil {
		return nil, err
	}
	domain, err := n.domain(r, u.DomainID)
	return object{"id": u.ID, "name": u.Name, "domain": domain}, err
}

func (n names) group(r *osapi.Request, id string) (object, error) {
	g, err := n.identity.Group(r.Context(), id)
	if err != nil {
		return nil, err
	}
	domain, err := n.domain(r, g.DomainID)
	return object{"id": g.ID, "name": g.Name, "domain": domain}, err
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
