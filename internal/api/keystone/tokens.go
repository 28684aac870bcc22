package keystone

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *ref   `json:"domain"`
}

func (n named) naming(field string) (identity.Naming, error) {
	result := identity.Naming{ID: n.ID, Name: n.Name}
	if n.ID != "" {
		return result, nil
	}
	if n.Name == "" {
		return result, fault.New(fault.Invalid, "Expecting to find id or name in %s. The server could not comply with the request since it is either malformed or otherwise incorrect.", field)
	}
	if n.Domain == nil || (n.Domain.ID == "" && n.Domain.Name == "") {
		return result, fault.New(fault.Invalid, "Expecting to find domain in %s. The server could not comply with the request since it is either malformed or otherwise incorrect.", field)
	}
	result.DomainID, result.DomainName = n.Domain.ID, n.Domain.Name
	return result, nil
}

type authBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User struct {
					ID       string `json:"id"`
					Name     string `json:"name"`
					Domain   *ref   `json:"domain"`
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			Others map[string]any `json:",embed"` // payloads of methods that are not asked for
		} `json:"identity"`
		Scope scopeBody `json:"scope"`
	} `json:"auth"`
}

// scopeBody is "unscoped" or an object with one key.
type scopeBody struct{ identity.Scope }

// UnmarshalJSONFrom reads either form.
func (s *scopeBody) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		var word string
		if err := json.UnmarshalDecode(d, &word); err != nil || word != "unscoped" {
			return errors.Join(fault.New(fault.Invalid, "Invalid input for field 'scope': %q is not \"unscoped\".", word), err)
		}
		s.Unscoped = true
		return nil
	}
	var body struct {
		Project *named `json:"project"`
		Domain  *ref   `json:"domain"`
		System  *struct {
			All bool `json:"all"`
		} `json:"system"`
		Unscoped *struct{} `json:"unscoped"`
		Trust    any       `json:"OS-TRUST:trust"`
	}
	if err := json.UnmarshalDecode(d, &body); err != nil {
		return err
	}
	switch {
	case body.Project != nil:
		project, err := body.Project.naming("project")
		s.Project = &project
		return err
	case body.Domain != nil:
		s.Domain = &identity.Naming{ID: body.Domain.ID, Name: body.Domain.Name}
	case body.System != nil && body.System.All:
		s.System = true
	case body.Unscoped != nil:
		s.Unscoped = true
	case body.Trust != nil:
		return fault.New(fault.Forbidden, "Trusts are not supported by this server.")
	}
	return nil
}

func (a *api) createToken(r *osapi.Request) (any, error) {
	var body authBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	login := identity.Login{Scope: body.Auth.Scope.Scope}
	who := body.Auth.Identity
	if len(who.Methods) == 0 {
		return nil, fault.New(fault.Invalid, "'methods' is a required property of 'identity' and names at least one method.")
	}
	for _, method := range who.Methods {
		switch {
		case method == "password" && who.Password != nil:
			user, err := named{who.Password.User.ID, who.Password.User.Name, who.Password.User.Domain}.naming("user")
			if err != nil {
				return nil, err
			}
			login.Password = &identity.PasswordProof{User: user, Password: who.Password.User.Password}
		case method == "token" && who.Token != nil && who.Token.ID != "":
			login.Token = who.Token.ID
		case method == "password" || method == "token":
			return nil, fault.New(fault.Invalid, "Expecting to find %s in identity. The server could not comply with the request since it is either malformed or otherwise incorrect.", method)
		default:
			return nil, fault.New(fault.Unauthorized, "Attempted to authenticate with an unsupported method.")
		}
	}
	signed, token, err := a.identity.Login(r.Context(), login)
	if err != nil {
		return nil, err
	}
	return a.tokenAnswer(r, signed, token)
}

func (a *api) tokenAnswer(r *osapi.Request, signed string, t *identity.Token) (any, error) {
	body := object{
		"methods":   t.Methods,
		"user":      object{"domain": refBody(t.User.Domain), "id": t.User.ID, "name": t.User.Name, "password_expires_at": nil},
		"audit_ids": t.Audit, "expires_at": osapi.ZuluMicro(t.Expires), "issued_at": osapi.ZuluMicro(t.Issued.Truncate(time.Second)),
	}
	switch {
	case t.Project != nil:
		body["project"] = object{"domain": refBody(t.Project.Domain), "id": t.Project.ID, "name": t.Project.Name}
		body["is_domain"] = false
	case t.Domain != nil:
		body["domain"] = refBody(*t.Domain)
	case t.System:
		body["system"] = object{"all": true}
	}
	if len(t.Roles) > 0 {
		roles := make([]object, len(t.Roles))
		for i, role := range t.Roles {
			roles[i] = refBody(role)
		}
		body["roles"] = roles
		if !r.Query().Has("nocatalog") {
			catalog, err := a.catalogBody(r, t)
			if err != nil {
				return nil, err
			}
			body["catalog"] = catalog
		}
	}
	return osapi.Response{Header: http.Header{"X-Subject-Token": {signed}}, Body: object{"token": body}}, nil
}

func refBody(x identity.Ref) object { return object{"id": x.ID, "name": x.Name} }

// subject is the token that the request is about; the caller must be its owner or one who may look at others' tokens.
func (a *api) subject(r *osapi.Request, others bool, what string) (string, *identity.Token, error) {
	signed := r.HTTP.Header.Get("X-Subject-Token")
	if signed == "" {
		return "", nil, fault.New(fault.Invalid, "The header X-Subject-Token names the token; it is missing.")
	}
	token, err := a.identity.Validate(r.Context(), signed)
	if fault.Is(err, fault.Unauthorized) {
		return "", nil, fault.Wrap(err, fault.NotFound, "Could not find token.")
	}
	if err != nil {
		return "", nil, err
	}
	if !others && token.User.ID != r.Caller.UserID {
		return "", nil, forbidden(what)
	}
	return signed, token, nil
}

func (a *api) showToken(r *osapi.Request) (any, error) {
	signed, token, err := a.subject(r, r.Caller.ReadsAll() || r.Caller.Has(identity.RoleService), "validate_token")
	if err != nil {
		return nil, err
	}
	return a.tokenAnswer(r, signed, token)
}

func (a *api) deleteToken(r *osapi.Request) (any, error) {
	_, token, err := a.subject(r, r.Caller.IsAdmin(), "revoke_token")
	if err != nil {
		return nil, err
	}
	return nil, a.identity.Revoke(r.Context(), token)
}

func (a *api) showCatalog(r *osapi.Request) (any, error) {
	catalog, err := a.catalogBody(r, r.Caller.Token)
	return object{"catalog": catalog, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}

func (a *api) catalogBody(r *osapi.Request, t *identity.Token) ([]object, error) {
	catalog, err := a.identity.Catalog(r.Context(), t)
	entries := make([]object, len(catalog))
	for i, entry := range catalog {
		endpoints := make([]object, len(entry.Endpoints))
		for j, e := range entry.Endpoints {
			endpoints[j] = object{"id": e.ID, "interface": e.Interface, "region_id": e.RegionID, "region": e.RegionID, "url": e.URL}
		}
		entries[i] = object{"endpoints": endpoints, "id": entry.ID, "type": entry.Type, "name": entry.Name}
	}
	return entries, err
}

func (a *api) listOwnProjects(r *osapi.Request) (any, error) {
	enabled := true
	projects, err := a.identity.Projects(r.Context(), identity.ProjectFilter{UserID: r.Caller.UserID, Enabled: &enabled})
	return list(r, "projects", projects, showProject), err
}

func (a *api) listOwnDomains(r *osapi.Request) (any, error) {
	held, err := a.identity.Assignments(r.Context(), identity.AssignmentFilter{UserID: r.Caller.UserID, Target: identity.Target{Kind: identity.OnDomain}})
	if err != nil {
		return nil, err
	}
	var domains []identity.Domain
	seen := map[string]bool{}
	for _, h := range held {
		if seen[h.Target.ID] {
			continue
		}
		seen[h.Target.ID] = true
		d, err := a.identity.Domain(r.Context(), h.Target.ID)
		if err != nil {
			return nil, err
		}
		if d.Enabled {
			domains = append(domains, d)
		}
	}
	return list(r, "domains", domains, showDomain), nil
}

func (a *api) listOwnSystem(r *osapi.Request) (any, error) {
	held, err := a.identity.Assignments(r.Context(), identity.AssignmentFilter{UserID: r.Caller.UserID, Target: identity.OnTheSystem})
	systems := []object{}
	if len(held) > 0 {
		systems = append(systems, object{"all": true})
	}
	return object{"system": systems, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}
