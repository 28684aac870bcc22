package keystone

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

// givenRole names a role that is given away.
type givenRole struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// roleIDs finds the ids of roles that are named by id or by name.
func (a *api) roleIDs(r *osapi.Request, given []givenRole) ([]string, error) {
	ids := make([]string, len(given))
	for i, g := range given {
		if ids[i] = g.ID; g.ID != "" {
			continue
		}
		roles, err := a.identity.Roles(r.Context(), identity.RoleFilter{Name: g.Name})
		if err != nil {
			return nil, err
		}
		if g.Name == "" || len(roles) == 0 {
			return nil, fault.New(fault.NotFound, "Could not find role: %s.", g.Name)
		}
		ids[i] = roles[0].ID
	}
	return ids, nil
}

type accessRuleBody struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Method  string `json:"method"`
	Path    string `json:"path"`
}

type appCredentialBody struct {
	Credential struct {
		Name         string                           `json:"name"`
		Description  *string                          `json:"description"`
		Secret       string                           `json:"secret"`
		Expires      osapi.Optional[string]           `json:"expires_at"`
		Roles        []givenRole                      `json:"roles"`
		Rules        osapi.Optional[[]accessRuleBody] `json:"access_rules"`
		Unrestricted bool                             `json:"unrestricted"`
		Extra        map[string]any                   `json:",embed"` // Keystone takes and drops them: clients send user_id, project_id
	} `json:"application_credential"`
}

func showAccessRule(r *osapi.Request, rule identity.AccessRule) object {
	return object{
		"id": rule.ID, "service": rule.Service, "method": rule.Method, "path": rule.Path,
		"links": object{"self": r.URL("/v3/users/" + r.Path("id") + "/access_rules/" + rule.ID)},
	}
}

func (a *api) showCredentialOf(r *osapi.Request, c identity.AppCredential) (object, error) {
	roles := make([]object, len(c.Roles))
	for i, id := range c.Roles {
		role, err := a.identity.Role(r.Context(), id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		roles[i] = object{"id": id, "name": role.Name, "domain_id": orNull(role.DomainID)}
	}
	rules := []object{}
	for _, rule := range c.Rules {
		rules = append(rules, object{"id": rule.ID, "service": rule.Service, "method": rule.Method, "path": rule.Path})
	}
	shown := object{
		"id": c.ID, "name": c.Name, "description": c.Description, "project_id": c.ProjectID, "user_id": c.UserID, "roles": roles,
		"expires_at": expiry(c.Expires), "unrestricted": c.Unrestricted, "system": nil,
		"links": object{"self": r.URL("/v3/users/" + c.UserID + "/application_credentials/" + c.ID)},
	}
	if len(rules) > 0 {
		shown["access_rules"] = rules
	}
	return shown, nil
}

// ownCredentials lets users, and those who read the whole cloud, see a user's application credentials and access rules;
// with write, users and admins.
func ownCredentials(r *osapi.Request, what string, write bool) error {
	own := r.Path("id") == r.Caller.UserID
	if !own && (write && !r.Caller.IsAdmin() || !r.Caller.ReadsAll()) {
		return forbidden(what)
	}
	return undelegated(r, what)
}

func (a *api) listAppCredentials(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "list_application_credentials", false); err != nil {
		return nil, err
	}
	found, err := a.identity.AppCredentials(r.Context(), r.Path("id"), r.Query().String("name"))
	if err != nil {
		return nil, err
	}
	items := make([]object, len(found))
	for i, c := range found {
		if items[i], err = a.showCredentialOf(r, c); err != nil {
			return nil, err
		}
	}
	return object{"application_credentials": items, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

func (a *api) createAppCredential(r *osapi.Request) (any, error) {
	if err := undelegated(r, "create_application_credential"); err != nil {
		return nil, err
	}
	if r.Path("id") != r.Caller.UserID {
		return nil, forbidden("create_application_credential")
	}
	var body appCredentialBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Credential
	expires, err := parseExpiry(b.Expires)
	if err != nil {
		return nil, err
	}
	c := identity.AppCredential{Name: b.Name, Description: b.Description, Unrestricted: b.Unrestricted, Expires: expires}
	if c.Roles, err = a.roleIDs(r, b.Roles); err != nil {
		return nil, err
	}
	for _, rule := range b.Rules.Value {
		c.Rules = append(c.Rules, identity.AccessRule(rule))
	}
	c, secret, err := a.identity.CreateAppCredential(r.Context(), r.Caller, c, b.Secret)
	if err != nil {
		return nil, err
	}
	shown, err := a.showCredentialOf(r, c)
	if err != nil {
		return nil, err
	}
	shown["secret"] = secret
	return osapi.Response{Status: http.StatusCreated, Body: object{"application_credential": shown}}, nil
}

func (a *api) showAppCredential(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "get_application_credential", false); err != nil {
		return nil, err
	}
	c, err := a.identity.AppCredential(r.Context(), r.Path("id"), r.Path("credential"))
	if err != nil {
		return nil, err
	}
	shown, err := a.showCredentialOf(r, c)
	return object{"application_credential": shown}, err
}

func (a *api) deleteAppCredential(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "delete_application_credential", true); err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteAppCredential(r.Context(), r.Path("id"), r.Path("credential"))
}

func (a *api) listAccessRules(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "list_access_rules", false); err != nil {
		return nil, err
	}
	q := r.Query()
	rules, err := a.identity.AccessRules(r.Context(), r.Path("id"), identity.AccessRuleFilter{
		Service: q.String("service"), Method: q.String("method"), Path: q.String("path"),
	})
	return list(r, "access_rules", rules, showAccessRule), err
}

func (a *api) showAccessRule(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "get_access_rule", false); err != nil {
		return nil, err
	}
	rule, err := a.identity.AccessRule(r.Context(), r.Path("id"), r.Path("rule"))
	return object{"access_rule": showAccessRule(r, rule)}, err
}

func (a *api) deleteAccessRule(r *osapi.Request) (any, error) {
	if err := ownCredentials(r, "delete_access_rule", true); err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteAccessRule(r.Context(), r.Path("id"), r.Path("rule"))
}
