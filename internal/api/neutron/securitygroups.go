package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

func (a *api) securityGroupRoutes() []osapi.Route {
	const list, one = "/v2.0/security-groups", "/v2.0/security-groups/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listSecurityGroups},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createSecurityGroups},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showSecurityGroup},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateSecurityGroup},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteSecurityGroup},
	}
}

// groupTable is where security groups are kept, for their tags.
const groupTable network.Table = "security_group"

func securityGroupObject(g *securitygroup.Group) object {
	o := meta(groupMeta(g))
	o["stateful"], o["shared"] = g.Stateful, g.Shared
	rules := []object{}
	for _, rule := range g.Rules {
		o := securityGroupRuleObject(g, rule)
		o["tags"] = []string{}
		rules = append(rules, o)
	}
	o["security_group_rules"] = rules
	return o
}

func groupMeta(g *securitygroup.Group) network.Meta {
	return network.Meta{ID: g.ID, Project: g.Project, Name: g.Name, Description: g.Description, Tags: g.Tags, Revision: g.Revision, Created: g.Created, Updated: g.Updated}
}

// listSecurityGroups makes the default group of the project asked about first, as Neutron does.
func (a *api) listSecurityGroups(r *osapi.Request) (any, error) {
	page := storePage(r, "id", "project_id", "tenant_id", "name")
	all, err := a.groupsAsked(r, securitygroup.Filter{IDs: r.Query().Strings("id"), Names: r.Query().Strings("name"), Page: page})
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, g := range all {
		objects = append(objects, securityGroupObject(g))
	}
	return listPage(r, "security_groups", page, objects, securityGroupObject(&securitygroup.Group{}))
}

// groupsAsked are the groups that a query may be about, by what the store finds by itself.
func (a *api) groupsAsked(r *osapi.Request, asked securitygroup.Filter) ([]*securitygroup.Group, error) {
	asked.Projects = projects(r.Query())
	project := r.Caller.ProjectID
	if len(asked.Projects) > 0 && r.Caller.ReadsAll() {
		project = asked.Projects[0]
	}
	if project != "" {
		if err := a.groups.EnsureDefault(r.Context(), a.db, project); err != nil {
			return nil, err
		}
	}
	return a.groups.Groups(r.Context(), a.db, viewer(r), asked)
}

func (a *api) showSecurityGroup(r *osapi.Request) (any, error) {
	g, err := a.groups.Group(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "security_group", securityGroupObject(g))
}

type securityGroupBody struct {
	owned
	Name        osapi.Optional[string]     `json:"name"`
	Description osapi.Optional[string]     `json:"description"`
	Stateful    osapi.Optional[osapi.Bool] `json:"stateful"`
}

func (a *api) createSecurityGroups(r *osapi.Request) (any, error) {
	var body struct {
		One  *securityGroupBody   `json:"security_group"`
		Many *[]securityGroupBody `json:"security_groups"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return create(a, r, "security_group", body.One, body.Many, func(tx *db.Tx, b *securityGroupBody) (object, error) {
		project, err := b.project(r)
		if err != nil {
			return nil, err
		}
		stateless := b.Stateful.Set && !b.Stateful.Null && !bool(b.Stateful.Value)
		g, err := a.groups.CreateGroup(r.Context(), tx, securitygroup.NewGroup{Project: project, Name: b.Name.Value, Description: b.Description.Value, Stateless: stateless})
		if err != nil {
			return nil, err
		}
		return securityGroupObject(g), nil
	})
}

func (a *api) updateSecurityGroup(r *osapi.Request) (any, error) {
	var body struct {
		Group *struct {
			Name        osapi.Optional[string]     `json:"name"`
			Description osapi.Optional[string]     `json:"description"`
			Stateful    osapi.Optional[osapi.Bool] `json:"stateful"`
		} `json:"security_group"`
	}
	var g *securitygroup.Group
	err := a.change(r, &body, a.groupOf, func(tx *db.Tx) error {
		b := body.Group
		if b == nil {
			return noBody("security_group")
		}
		var f fields
		change := securitygroup.GroupChange{Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description), Stateful: truthOf(&f, "stateful", b.Stateful)}
		if f.err != nil {
			return f.err
		}
		if _, err := a.groups.ChangeGroup(r.Context(), tx, r.Path("id"), change); err != nil {
			return err
		}
		var err error
		g, err = a.groups.Group(r.Context(), tx, viewer(r), r.Path("id"))
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"security_group": securityGroupObject(g)}, nil
}

func (a *api) deleteSecurityGroup(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.groupOf, func(tx *db.Tx) error {
		return a.groups.DeleteGroup(r.Context(), tx, r.Path("id"), r.Caller.IsAdmin())
	})
}

func (a *api) groupOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	g, err := a.groups.Group(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return groupMeta(g), nil
}
