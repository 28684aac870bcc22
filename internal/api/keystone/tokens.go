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

// provenUser is a user with what it proves itself by.
type provenUser struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Domain   *ref   `json:"domain"`
	Password string `json:"password"`
	Passcode string `json:"passcode"`
}

func (u provenUser) naming() (identity.Naming, error) {
	return named{u.ID, u.Name, u.Domain}.naming("user")
}

type authBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User provenUser `json:"user"`
			} `json:"password"`
			TOTP *struct {
				User provenUser `json:"user"`
			} `json:"totp"`
			AppCredential *struct {
				ID     string      `json:"id"`
				Name   string      `json:"name"`
				User   *provenUser `json:"user"`
				Secret string      `json:"secret"`
			} `json:"application_credential"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			Others map[string]any `json:",embed"` // payloads of methods that are not asked for
		} `json:"identity"`
		Scope scopeBody `json:"scope"`
	} `json:"auth"`
}

// login is what the body shows, for the methods that it names.
func (b *authBody) login() (identity.Login, error) {
	login := identity.Login{Scope: b.Auth.Scope.Scope}
	who := b.Auth.Identity
	if len(who.Methods) == 0 {
		return login, fault.New(fault.Invalid, "'methods' is a required property of 'identity' and names at least one method.")
	}
	for _, method := range who.Methods {
		var err error
		missing := fault.New(fault.Invalid, "Expecting to find %s in identity. The server could not comply with the request since it is either malformed or otherwise incorrect.", method)
		switch method {
		case "password":
			if who.Password == nil {
				return login, missing
			}
			login.Password = &identity.PasswordProof{Password: who.Password.User.Password}
			login.Password.User, err = who.Password.User.naming()
		case "totp":
			if who.TOTP == nil {
				return login, missing
			}
			login.TOTP = &identity.PasscodeProof{Passcode: who.TOTP.User.Passcode}
			login.TOTP.User, err = who.TOTP.User.naming()
		case "application_credential":
			c := who.AppCredential
			if c == nil || (c.ID == "" && (c.Name == "" || c.User == nil)) {
				return login, missing
			}
			login.AppCredential = &identity.AppCredentialProof{ID: c.ID, Name: c.Name, Secret: c.Secret}
			if c.ID == "" {
				login.AppCredential.User, err = c.User.naming()
			}
		case "token":
			if who.Token == nil || who.Token.ID == "" {
				return login, missing
			}
			login.Token = who.Token.ID
		default:
			err = fault.New(fault.Unauthorized, "Attempted to authenticate with an unsupported method.")
		}
		if err != nil {
			return login, err
		}
	}
	return login, nil
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
		Trust    *ref      `json:"OS-TRUST:trust"`
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
	case body.Trust != nil && body.Trust.ID == "":
		return fault.New(fault.Invalid, "Expecting to find id in OS-TRUST:trust.")
	case body.Trust != nil:
		s.Trust = body.Trust.ID
	}
	return nil
}

func (a *api) createToken(r *osapi.Request) (any, error) {
	var body authBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	login, err := body.login()
	if err != nil {
		return nil, err
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
		"user":      object{"domain": refBody(t.User.Domain), "id": t.User.ID, "name": t.User.Name, "password_expires_at": expiry(t.PasswordExpires)},
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
	addDelegation(body, t)
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

// addDelegation tells by what the token was made, where it was not its owner's own login.
func addDelegation(body object, t *identity.Token) {
	if c := t.AppCredential; c != nil {
		credential := object{"id": c.ID, "name": c.Name, "restricted": c.Restricted}
		if len(c.Rules) > 0 {
			rules := make([]object, len(c.Rules))
			for i, rule := range c.Rules {
				rules[i] = object{"service": rule.Service, "method": rule.Method, "path": rule.Path}
			}
			credential["access_rules"] = rules
		}
		body["application_credential"] = credential
	}
	if x := t.Trust; x != nil {
		body["OS-TRUST:trust"] = object{
			"id": x.ID, "impersonation": x.Impersonation, "trustor_user": object{"id": x.TrustorID}, "trustee_user": object{"id": x.TrusteeID},
		}
	}
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
	enabled := true
	domains, err := a.identity.Domains(r.Context(), identity.DomainFilter{UserID: r.Caller.UserID, Enabled: &enabled})
	return list(r, "domains", domains, showDomain), err
}

func (a *api) listOwnSystem(r *osapi.Request) (any, error) {
	roles, err := a.identity.RolesOn(r.Context(), r.Caller.UserID, identity.OnTheSystem)
	systems := []object{}
	if len(roles) > 0 {
		systems = append(systems, object{"all": true})
	}
	return object{"system": systems, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}
