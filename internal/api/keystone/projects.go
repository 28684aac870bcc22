package keystone

import (
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type projectBody struct {
	Project struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		Enabled     osapi.Optional[bool]           `json:"enabled"`
		DomainID    osapi.Optional[string]         `json:"domain_id"`
		ParentID    osapi.Optional[string]         `json:"parent_id"`
		IsDomain    osapi.Optional[bool]           `json:"is_domain"`
		Tags        osapi.Optional[[]string]       `json:"tags"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Extra       attributes                     `json:",embed"`
	} `json:"project"`
}

func (b *projectBody) onto(p *identity.Project) (err error) {
	set(&p.Name, b.Project.Name)
	set(&p.Description, b.Project.Description)
	set(&p.Enabled, b.Project.Enabled)
	set(&p.Tags, b.Project.Tags)
	if err := p.SetOptions(b.Project.Options.Value); err != nil {
		return err
	}
	p.Extra, err = b.Project.Extra.onto(p.Extra, p.ID)
	return err
}

// asDomain is the body of a project that acts as a domain, as one of the domain that it is.
func (b *projectBody) asDomain() *domainBody {
	d := &domainBody{}
	d.Domain.Name, d.Domain.Description, d.Domain.Enabled = b.Project.Name, b.Project.Description, b.Project.Enabled
	d.Domain.Options, d.Domain.Tags, d.Domain.Extra = b.Project.Options, b.Project.Tags, b.Project.Extra
	return d
}

func showProject(r *osapi.Request, p identity.Project) object {
	return with(p.Extra, object{
		"id": p.ID, "name": p.Name, "domain_id": p.DomainID, "description": p.Description, "enabled": p.Enabled,
		"parent_id": p.ParentID, "is_domain": false, "tags": p.Tags, "options": p.Options, "links": self(r, "projects", p.ID),
	})
}

// showDomainAsProject: every domain is also a project that acts as one.
func showDomainAsProject(r *osapi.Request, d identity.Domain) object {
	return with(d.Extra, object{
		"id": d.ID, "name": d.Name, "domain_id": nil, "description": d.Description, "enabled": d.Enabled,
		"parent_id": nil, "is_domain": true, "tags": d.Tags, "options": d.Options, "links": self(r, "projects", d.ID),
	})
}

func (a *api) listProjects(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := projectFilter(q)
	filter.DomainID, filter.ParentID = q.String("domain_id"), q.String("parent_id")
	domains := q.Bool("is_domain", false)
	if err := q.Err(); err != nil {
		return nil, err
	}
	if domains {
		some := identity.DomainFilter{Name: filter.Name, Enabled: filter.Enabled}
		if !r.Caller.ReadsAll() {
			some.ID = r.Caller.DomainID
		}
		found, err := a.identity.Domains(r.Context(), some)
		return list(r, "projects", found, showDomainAsProject), err
	}
	if !r.Caller.ReadsAll() {
		if filter.DomainID != "" && filter.DomainID != r.Caller.DomainID {
			return nil, forbidden("list_projects")
		}
		filter.DomainID = r.Caller.DomainID
	}
	projects, err := a.identity.Projects(r.Context(), filter)
	return list(r, "projects", projects, showProject), err
}

// projectFilter reads what all lists of projects can be narrowed by.
func projectFilter(q *osapi.Query) identity.ProjectFilter {
	return identity.ProjectFilter{Name: q.String("name"), Enabled: enabledFilter(q), Tags: identity.TagFilter{
		All: words(q, "tags"), Any: words(q, "tags-any"), NotAll: words(q, "not-tags"), NotAny: words(q, "not-tags-any"),
	}}
}

func (a *api) createProject(r *osapi.Request) (any, error) {
	body, p := projectBody{}, identity.Project{Enabled: true}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Project.IsDomain.Value {
		return a.createDomainAsProject(r, &body)
	}
	p.DomainID, p.ParentID = body.Project.DomainID.Value, body.Project.ParentID.Value
	if p.DomainID == "" && p.ParentID == "" { // Keystone takes the domain of the token
		p.DomainID = r.Caller.DomainID + r.Caller.ProjectDomainID
	}
	if !r.Caller.IsAdmin() && p.DomainID == "" {
		p.DomainID = r.Caller.DomainID
	}
	if !r.Caller.ManagesDomain(p.DomainID) {
		return nil, forbidden("create_project")
	}
	if err := body.onto(&p); err != nil {
		return nil, err
	}
	p, err := a.identity.CreateProject(r.Context(), p)
	return object{"project": showProject(r, p)}, err
}

func (a *api) createDomainAsProject(r *osapi.Request, body *projectBody) (any, error) {
	if !r.Caller.IsAdmin() {
		return nil, forbidden("create_domain")
	}
	if body.Project.DomainID.Value != "" || body.Project.ParentID.Value != "" {
		return nil, fault.New(fault.Invalid, "A project that acts as a domain has neither a domain nor a parent.")
	}
	d := identity.Domain{Enabled: true}
	if err := body.asDomain().onto(&d); err != nil {
		return nil, err
	}
	d, err := a.identity.CreateDomain(r.Context(), d)
	return object{"project": showDomainAsProject(r, d)}, err
}

// project finds the path's project, if the caller may read it.
func (a *api) project(r *osapi.Request, what string) (identity.Project, error) {
	p, err := a.identity.Project(r.Context(), r.Path("id"))
	return p, visible(r, what, err, r.Caller.Reads(p.ID) || r.Caller.ReadsDomain(p.DomainID))
}

// changeable finds the path's project, if the caller may change it.
func (a *api) changeable(r *osapi.Request, what string) (identity.Project, error) {
	p, err := a.identity.Project(r.Context(), r.Path("id"))
	return p, visible(r, what, err, r.Caller.ManagesDomain(p.DomainID))
}

func (a *api) showProject(r *osapi.Request) (any, error) {
	p, err := a.project(r, "get_project")
	if fault.Is(err, fault.NotFound) {
		if d, isDomain := a.identity.Domain(r.Context(), r.Path("id")); isDomain == nil {
			return object{"project": showDomainAsProject(r, d)}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	shown := showProject(r, p)
	return object{"project": shown}, a.addRelatives(r, p, shown)
}

// addRelatives adds what ?parents_as_list, ?parents_as_ids, ?subtree_as_list and ?subtree_as_ids ask for.
func (a *api) addRelatives(r *osapi.Request, p identity.Project, shown object) error {
	q := r.Query()
	if q.Has("parents_as_list") || q.Has("parents_as_ids") {
		above, err := a.identity.Ancestors(r.Context(), p)
		if err != nil {
			return err
		}
		if q.Has("parents_as_list") {
			shown["parents"] = wrapped(r, above)
		} else {
			shown["parents"] = parentIDs(p, above)
		}
	}
	if q.Has("subtree_as_list") || q.Has("subtree_as_ids") {
		below, err := a.identity.Subtree(r.Context(), p)
		if err != nil {
			return err
		}
		if q.Has("subtree_as_list") {
			shown["subtree"] = wrapped(r, below)
		} else {
			shown["subtree"] = childIDs(p.ID, below)
		}
	}
	return nil
}

func wrapped(r *osapi.Request, projects []identity.Project) []object {
	shown := []object{}
	for _, p := range projects {
		shown = append(shown, object{"project": showProject(r, p)})
	}
	return shown
}

// parentIDs nests the ids from the nearest parent up to the domain.
func parentIDs(p identity.Project, above []identity.Project) any {
	var tree any = object{p.DomainID: nil}
	for _, parent := range slices.Backward(above) {
		tree = object{parent.ID: tree}
	}
	return tree
}

// childIDs nests the ids of a subtree; null at its leaves.
func childIDs(parent string, below []identity.Project) any {
	tree := object{}
	for _, p := range below {
		if p.ParentID == parent {
			tree[p.ID] = childIDs(p.ID, below)
		}
	}
	if len(tree) == 0 {
		return nil
	}
	return tree
}

func (a *api) updateProject(r *osapi.Request) (any, error) {
	var body projectBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := a.changeable(r, "update_project"); err != nil {
		if d, isDomain := a.identity.Domain(r.Context(), r.Path("id")); isDomain == nil && fault.Is(err, fault.NotFound) && r.Caller.IsAdmin() {
			d, err := a.identity.UpdateDomain(r.Context(), d.ID, body.asDomain().onto)
			return object{"project": showDomainAsProject(r, d)}, err
		}
		return nil, err
	}
	p, err := a.identity.UpdateProject(r.Context(), r.Path("id"), func(p *identity.Project) error {
		if (body.Project.DomainID.Set && body.Project.DomainID.Value != p.DomainID) || (body.Project.ParentID.Set && body.Project.ParentID.Value != p.ParentID) {
			return fault.New(fault.Forbidden, "The domain and the parent of a project do not change.")
		}
		if body.Project.IsDomain.Value {
			return fault.New(fault.Invalid, "A project does not become a domain.")
		}
		return body.onto(p)
	})
	shown := showProject(r, p)
	shown["extra"] = p.Extra // only the answer to an update has it
	return object{"project": shown}, err
}

func (a *api) deleteProject(r *osapi.Request) (any, error) {
	_, err := a.changeable(r, "delete_project")
	if fault.Is(err, fault.NotFound) && r.Caller.IsAdmin() {
		if _, isDomain := a.identity.Domain(r.Context(), r.Path("id")); isDomain == nil {
			return nil, a.identity.DeleteDomain(r.Context(), r.Path("id"))
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteProject(r.Context(), r.Path("id"))
}

func (a *api) listTags(r *osapi.Request) (any, error) {
	p, err := a.project(r, "list_project_tags")
	return object{"tags": p.Tags, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}

func (a *api) checkTag(r *osapi.Request) (any, error) {
	p, err := a.project(r, "get_project_tag")
	if err == nil && !slices.Contains(p.Tags, r.Path("tag")) {
		err = noTag(r)
	}
	return nil, err
}

func noTag(r *osapi.Request) error {
	return fault.New(fault.NotFound, "Could not find project tag: %s.", r.Path("tag"))
}

func (a *api) changeTags(r *osapi.Request, what string, change func(tags []string) ([]string, error)) (identity.Project, error) {
	if _, err := a.changeable(r, what); err != nil {
		return identity.Project{}, err
	}
	return a.identity.UpdateProject(r.Context(), r.Path("id"), func(p *identity.Project) (err error) {
		p.Tags, err = change(p.Tags)
		return err
	})
}

func (a *api) putTags(r *osapi.Request) (any, error) {
	var body struct {
		Tags []string `json:"tags"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	p, err := a.changeTags(r, "update_project_tags", func([]string) ([]string, error) { return body.Tags, nil })
	return object{"tags": p.Tags, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}

func (a *api) addTag(r *osapi.Request) (any, error) {
	_, err := a.changeTags(r, "create_project_tag", func(tags []string) ([]string, error) {
		if slices.Contains(tags, r.Path("tag")) {
			return tags, nil
		}
		return append(tags, r.Path("tag")), nil
	})
	return nil, err
}

func (a *api) removeTag(r *osapi.Request) (any, error) {
	_, err := a.changeTags(r, "delete_project_tag", func(tags []string) ([]string, error) {
		at := slices.Index(tags, r.Path("tag"))
		if at < 0 {
			return nil, noTag(r)
		}
		return slices.Delete(tags, at, at+1), nil
	})
	return nil, err
}

func (a *api) removeTags(r *osapi.Request) (any, error) {
	_, err := a.changeTags(r, "delete_project_tags", func([]string) ([]string, error) { return []string{}, nil })
	return nil, err
}
