package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type userBody struct {
	User struct {
		Name           osapi.Optional[string]         `json:"name"`
		DomainID       osapi.Optional[string]         `json:"domain_id"`
		Description    osapi.Optional[string]         `json:"description"`
		Enabled        osapi.Optional[bool]           `json:"enabled"`
		DefaultProject osapi.Optional[string]         `json:"default_project_id"`
		Password       osapi.Optional[string]         `json:"password"`
		Options        osapi.Optional[identity.Extra] `json:"options"`
		Extra          attributes                     `json:",embed"`
	} `json:"user"`
}

func (b *userBody) onto(u *identity.User) (err error) {
	set(&u.Name, b.User.Name)
	setPointer(&u.Description, b.User.Description)
	set(&u.Enabled, b.User.Enabled)
	if err := u.SetOptions(b.User.Options.Value); err != nil {
		return err
	}
	if b.User.DefaultProject.Set {
		u.DefaultProject = b.User.DefaultProject.Value // null: none
	}
	u.Extra, err = b.User.Extra.onto(u.Extra, u.ID)
	return err
}

func showUser(r *osapi.Request, u identity.User) object {
	shown := with(u.Extra, object{
		"id": u.ID, "name": u.Name, "domain_id": u.DomainID, "enabled": u.Enabled,
		"password_expires_at": expiry(u.PasswordExpires), "options": u.Options, "links": self(r, "users", u.ID),
	})
	if u.DefaultProject != "" {
		shown["default_project_id"] = u.DefaultProject
	}
	if u.Description != nil {
		shown["description"] = *u.Description
	}
	return shown
}

func (a *api) listUsers(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.UserFilter{Name: q.String("name"), DomainID: q.String("domain_id"), Enabled: enabledFilter(q)}
	if err := q.Err(); err != nil {
		return nil, err
	}
	if err := narrow(r, "list_users", &filter.DomainID); err != nil {
		return nil, err
	}
	users, err := a.identity.Users(r.Context(), filter)
	return list(r, "users", users, showUser), err
}

func (a *api) createUser(r *osapi.Request) (any, error) {
	body, u := userBody{}, identity.User{Enabled: true}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	u.DomainID = body.User.DomainID.Value
	if u.DomainID == "" { // Keystone takes the domain of the token
		u.DomainID = r.Caller.DomainID + r.Caller.ProjectDomainID
	}
	if !r.Caller.ManagesDomain(u.DomainID) {
		return nil, forbidden("create_user")
	}
	if err := body.onto(&u); err != nil {
		return nil, err
	}
	u, err := a.identity.CreateUser(r.Context(), u, body.User.Password.Value)
	return object{"user": showUser(r, u)}, err
}

// user finds the path's user, if it is the caller itself or one that the caller may read.
func (a *api) user(r *osapi.Request, what string) (identity.User, error) {
	if r.Path("id") != r.Caller.UserID && !r.Caller.ReadsDomain(r.Caller.DomainID) {
		return identity.User{}, forbidden(what)
	}
	u, err := a.identity.User(r.Context(), r.Path("id"))
	return u, visible(r, what, err, u.ID == r.Caller.UserID || r.Caller.ReadsDomain(u.DomainID))
}

// managedUser finds the path's user, if the caller may change it. Who manages a domain does not get at those who
// operate the cloud, though they live in the domain.
func (a *api) managedUser(r *osapi.Request, what string) (identity.User, error) {
	u, err := a.identity.User(r.Context(), r.Path("id"))
	if err := visible(r, what, err, r.Caller.ManagesDomain(u.DomainID)); err != nil {
		return u, err
	}
	return u, a.belowAdmin(r, what, identity.AssignmentFilter{UserID: u.ID})
}

// belowAdmin refuses managers of domains what would give them the power of the user or the group.
func (a *api) belowAdmin(r *osapi.Request, what string, who identity.AssignmentFilter) error {
	if r.Caller.IsAdmin() {
		return nil
	}
	mighty, err := a.identity.HoldsAdmin(r.Context(), who)
	if err == nil && mighty {
		err = forbidden(what)
	}
	return err
}

func (a *api) showUser(r *osapi.Request) (any, error) {
	u, err := a.user(r, "get_user")
	return object{"user": showUser(r, u)}, err
}

func (a *api) updateUser(r *osapi.Request) (any, error) {
	var body userBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := a.managedUser(r, "update_user"); err != nil {
		return nil, err
	}
	var password *string
	if body.User.Password.Set {
		password = &body.User.Password.Value
	}
	u, err := a.identity.UpdateUser(r.Context(), r.Path("id"), password, func(u *identity.User) error {
		if body.User.DomainID.Set && body.User.DomainID.Value != u.DomainID {
			return fault.New(fault.Forbidden, "The domain of a user does not change.")
		}
		return body.onto(u)
	})
	return object{"user": showUser(r, u)}, err
}

func (a *api) deleteUser(r *osapi.Request) (any, error) {
	if _, err := a.managedUser(r, "delete_user"); err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteUser(r.Context(), r.Path("id"))
}

func (a *api) changePassword(r *osapi.Request) (any, error) {
	var body struct {
		User struct {
			Password string `json:"password"`
			Original string `json:"original_password"`
		} `json:"user"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.User.Password == "" || body.User.Original == "" {
		return nil, fault.New(fault.Invalid, "'password' and 'original_password' are required properties of 'user'.")
	}
	return nil, a.identity.ChangePassword(r.Context(), r.Path("id"), body.User.Original, body.User.Password)
}

func (a *api) listUserProjects(r *osapi.Request) (any, error) {
	if _, err := a.user(r, "list_user_projects"); err != nil {
		return nil, err
	}
	q := r.Query()
	filter := projectFilter(q)
	filter.UserID = r.Path("id")
	if err := q.Err(); err != nil {
		return nil, err
	}
	projects, err := a.identity.Projects(r.Context(), filter)
	return list(r, "projects", projects, showProject), err
}

func (a *api) listUserGroups(r *osapi.Request) (any, error) {
	if _, err := a.user(r, "list_groups_for_user"); err != nil {
		return nil, err
	}
	groups, err := a.identity.Groups(r.Context(), identity.GroupFilter{UserID: r.Path("id"), Name: r.Query().String("name")})
	return list(r, "groups", groups, showGroup), err
}
