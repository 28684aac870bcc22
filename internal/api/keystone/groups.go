package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type groupBody struct {
	Group struct {
		Name        osapi.Optional[string] `json:"name"`
		DomainID    osapi.Optional[string] `json:"domain_id"`
		Description osapi.Optional[string] `json:"description"`
		Extra       attributes             `json:",embed"`
	} `json:"group"`
}

func (b *groupBody) onto(g *identity.Group) (err error) {
	set(&g.Name, b.Group.Name)
	set(&g.Description, b.Group.Description)
	g.Extra, err = b.Group.Extra.onto(g.Extra, g.ID)
	return err
}

func showGroup(r *osapi.Request, g identity.Group) object {
	return with(g.Extra, object{"id": g.ID, "name": g.Name, "domain_id": g.DomainID, "description": g.Description, "links": self(r, "groups", g.ID)})
}

func (a *api) listGroups(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.GroupFilter{Name: q.String("name"), DomainID: q.String("domain_id")}
	if err := narrow(r, "list_groups", &filter.DomainID); err != nil {
		return nil, err
	}
	groups, err := a.identity.Groups(r.Context(), filter)
	return list(r, "groups", groups, showGroup), err
}

func (a *api) createGroup(r *osapi.Request) (any, error) {
	body, g := groupBody{}, identity.Group{}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	g.DomainID = body.Group.DomainID.Value
	if g.DomainID == "" { // Keystone takes the domain of the token
		g.DomainID = r.Caller.DomainID + r.Caller.ProjectDomainID
	}
	if !r.Caller.ManagesDomain(g.DomainID) {
		return nil, forbidden("create_group")
	}
	if err := body.onto(&g); err != nil {
		return nil, err
	}
	g, err := a.identity.CreateGroup(r.Context(), g)
	return object{"group": showGroup(r, g)}, err
}

// group finds the path's group, if the caller may read it.
func (a *api) group(r *osapi.Request, what string) (identity.Group, error) {
	g, err := a.identity.Group(r.Context(), r.Path("id"))
	return g, visible(r, what, err, r.Caller.ReadsDomain(g.DomainID))
}

// managedGroup finds the path's group, if the caller may change it and its members: see managedUser.
func (a *api) managedGroup(r *osapi.Request, what string) (identity.Group, error) {
	g, err := a.identity.Group(r.Context(), r.Path("id"))
	if err := visible(r, what, err, r.Caller.ManagesDomain(g.DomainID)); err != nil {
		return g, err
	}
	return g, a.belowAdmin(r, what, identity.AssignmentFilter{GroupID: g.ID})
}

func (a *api) showGroup(r *osapi.Request) (any, error) {
	g, err := a.group(r, "get_group")
	return object{"group": showGroup(r, g)}, err
}

func (a *api) updateGroup(r *osapi.Request) (any, error) {
	var body groupBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := a.managedGroup(r, "update_group"); err != nil {
		return nil, err
	}
	g, err := a.identity.UpdateGroup(r.Context(), r.Path("id"), func(g *identity.Group) error {
		if body.Group.DomainID.Set && body.Group.DomainID.Value != g.DomainID {
			return fault.New(fault.Forbidden, "The domain of a group does not change.")
		}
		return body.onto(g)
	})
	return object{"group": showGroup(r, g)}, err
}

func (a *api) deleteGroup(r *osapi.Request) (any, error) {
	if _, err := a.managedGroup(r, "delete_group"); err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteGroup(r.Context(), r.Path("id"))
}

func (a *api) listGroupUsers(r *osapi.Request) (any, error) {
	if _, err := a.group(r, "list_users_in_group"); err != nil {
		return nil, err
	}
	q := r.Query()
	filter := identity.UserFilter{GroupID: r.Path("id"), Name: q.String("name"), Enabled: enabledFilter(q)}
	if err := q.Err(); err != nil {
		return nil, err
	}
	users, err := a.identity.Users(r.Context(), filter)
	return list(r, "users", users, showUser), err
}

func (a *api) checkGroupUser(r *osapi.Request) (any, error) {
	if _, err := a.group(r, "check_user_in_group"); err != nil {
		return nil, err
	}
	return nil, a.identity.InGroup(r.Context(), r.Path("id"), r.Path("user"))
}

// memberOf finds the user of the path, whom the caller must manage as it does the group.
func (a *api) memberOf(r *osapi.Request, what string) error {
	if _, err := a.managedGroup(r, what); err != nil {
		return err
	}
	u, err := a.identity.User(r.Context(), r.Path("user"))
	return visible(r, what, err, r.Caller.ManagesDomain(u.DomainID))
}

func (a *api) addGroupUser(r *osapi.Request) (any, error) {
	if err := a.memberOf(r, "add_user_to_group"); err != nil {
		return nil, err
	}
	return nil, a.identity.AddToGroup(r.Context(), r.Path("id"), r.Path("user"))
}

func (a *api) removeGroupUser(r *osapi.Request) (any, error) {
	if err := a.memberOf(r, "remove_user_from_group"); err != nil {
		return nil, err
	}
	return nil, a.identity.RemoveFromGroup(r.Context(), r.Path("id"), r.Path("user"))
}
