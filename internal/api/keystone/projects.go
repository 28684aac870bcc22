package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type domainBody struct {
	Domain struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		Enabled     osapi.Optional[bool]           `json:"enabled"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Tags        []string                       `json:"tags"`
		Extra       attributes                     `json:",embed"`
	} `json:"domain"`
}

func (b *domainBody) onto(d *identity.Domain) (err error) {
	set(&d.Name, b.Domain.Name)
	set(&d.Description, b.Domain.Description)
	set(&d.Enabled, b.Domain.Enabled)
	set(&d.Options, b.Domain.Options)
	if len(b.Domain.Tags) > 0 {
		return fault.New(fault.Unsupported, "Tags of domains are not supported by this server.")
	}
	d.Extra, err = b.Domain.Extra.onto(d.Extra, d.ID)
	return err
}

func showDomain(r *osapi.Request, d identity.Domain) object {
	return with(d.Extra, object{
		"id": d.ID, "name": d.Name, "description": d.Description, "enabled": d.Enabled,
		"tags": []string{}, "options": d.Options, "links": self(r, "domains", d.ID),
	})
}

func (a *api) listDomains(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.DomainFilter{Name: q.String("name"), Enabled: enabledFilter(q)}
	if err := q.Err(); err != nil {
		return nil, err
	}
	domains, err := a.identity.Domains(r.Context(), filter)
	return list(r, "domains", domains, showDomain), err
}

func (a *api) createDomain(r *osapi.Request) (any, error) {
	body, d := domainBody{}, identity.Domain{Enabled: true}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := body.onto(&d); err != nil {
		return nil, err
	}
	d, err := a.identity.CreateDomain(r.Context(), d)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) showDomain(r *osapi.Request) (any, error) {
	c, id := r.Caller, r.Path("id")
	if !c.ReadsAll() && id != c.DomainID && id != c.ProjectDomainID {
		return nil, forbidden("get_domain")
	}
	d, err := a.identity.Domain(r.Context(), id)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) updateDomain(r *osapi.Request) (any, error) {
	var body domainBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	d, err := a.identity.UpdateDomain(r.Context(), r.Path("id"), body.onto)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) deleteDomain(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteDomain(r.Context(), r.Path("id"))
}

type projectBody struct {
	Project struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		Enabled     osapi.Optional[bool]           `json:"enabled"`
		DomainID    osapi.Optional[string]         `json:"domain_id"`
		ParentID    osapi.Optional[string]         `json:"parent_id"`
		IsDomain    bool                           `json:"is_domain"`
		Tags        osapi.Optional[[]string]       `json:"tags"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Extra       attributes                     `json:",embed"`
	} `json:"project"`
}

func (b *projectBody) onto(p *identity.Project) (err error) {
	if b.Project.IsDomain {
		return fault.New(fault.Unsupported, "Projects that act as domains are not supported by this server: create a domain.")
	}
	set(&p.Name, b.Project.Name)
	set(&p.Description, b.Project.Description)
	set(&p.Enabled, b.Project.Enabled)
	set(&p.Tags, b.Project.Tags)
	set(&p.Options, b.Project.Options)
	p.Extra, err = b.Project.Extra.onto(p.Extra, p.ID)
	return err
}

func showProject(r *osapi.Request, p identity.Project) object {
	return with(p.Extra, object{
		"id": p.ID, "name": p.Name, "domain_id": p.DomainID, "description": p.Description, "enabled": p.Enabled,
		"parent_id": p.ParentID, "is_domain": false, "tags": p.Tags, "options": p.Options, "links": self(r, "projects", p.ID),
	})
}

func (a *api) listProjects(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.ProjectFilter{
		Name: q.String("name"), DomainID: q.String("domain_id"), ParentID: q.String("parent_id"), Enabled: enabledFilter(q),
	}
	domains := q.Bool("is_domain", false)
	if err := q.Err(); err != nil {
		return nil, err
	}
	if domains {
		return list(r, "projects", []identity.Project{}, showProject), nil
	}
	projects, err := a.identity.Projects(r.Context(), filter)
	return list(r, "projects", projects, showProject), err
}

func (a *api) createProject(r *osapi.Request) (any, error) {
	body, p := projectBody{}, identity.Project{Enabled: true}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	p.DomainID, p.ParentID = body.Project.DomainID.Value, body.Project.ParentID.Value
	if p.DomainID == "" && p.ParentID == "" { // Keystone takes the domain of the token
		p.DomainID = r.Caller.DomainID + r.Caller.ProjectDomainID
	}
	if err := body.onto(&p); err != nil {
		return nil, err
	}
	p, err := a.identity.CreateProject(r.Context(), p)
	return object{"project": showProject(r, p)}, err
}

func (a *api) showProject(r *osapi.Request) (any, error) {
	if !r.Caller.Reads(r.Path("id")) {
		return nil, forbidden("get_project")
	}
	p, err := a.identity.Project(r.Context(), r.Path("id"))
	return object{"project": showProject(r, p)}, err
}

func (a *api) updateProject(r *osapi.Request) (any, error) {
	var body projectBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	p, err := a.identity.UpdateProject(r.Context(), r.Path("id"), func(p *identity.Project) error {
		if (body.Project.DomainID.Set && body.Project.DomainID.Value != p.DomainID) || (body.Project.ParentID.Set && body.Project.ParentID.Value != p.ParentID) {
			return fault.New(fault.Forbidden, "The domain and the parent of a project do not change.")
		}
		return body.onto(p)
	})
	shown := showProject(r, p)
	shown["extra"] = p.Extra // only the answer to an update has it
	return object{"project": shown}, err
}

func (a *api) deleteProject(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteProject(r.Context(), r.Path("id"))
}
