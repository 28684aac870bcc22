package foreign

import (
	"time"

	"github.com/ingotcloud/ingot/internal/identity"
)

type ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain ref    `json:"domain"`
}

// tokenBody is a token as Keystone describes it: keystone/common/render_token.py.
type tokenBody struct {
	Methods []string  `json:"methods"`
	Audit   []string  `json:"audit_ids"`
	Issued  time.Time `json:"issued_at"`
	Expires time.Time `json:"expires_at"`
	User    named     `json:"user"`
	Project *named    `json:"project"`
	Domain  *ref      `json:"domain"`
	System  struct {
		All bool `json:"all"`
	} `json:"system"`
	Roles         []ref `json:"roles"`
	AppCredential *struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Restricted bool   `json:"restricted"`
		Rules      []struct {
			Service string `json:"service"`
			Method  string `json:"method"`
			Path    string `json:"path"`
		} `json:"access_rules"`
	} `json:"application_credential"`
	Trust *struct {
		ID            string `json:"id"`
		Impersonation bool   `json:"impersonation"`
		Trustor       ref    `json:"trustor_user"`
		Trustee       ref    `json:"trustee_user"`
	} `json:"OS-TRUST:trust"`
}

func (b *tokenBody) caller() *identity.Caller {
	t := &identity.Token{
		Methods: b.Methods, Audit: b.Audit, Issued: b.Issued, Expires: b.Expires, User: b.User.named(), System: b.System.All,
	}
	c := &identity.Caller{UserID: b.User.ID, UserName: b.User.Name, UserDomainID: b.User.Domain.ID, System: b.System.All, Token: t}
	for _, r := range b.Roles {
		t.Roles = append(t.Roles, identity.Ref(r))
		c.Roles = append(c.Roles, r.Name)
	}
	if p := b.Project; p != nil {
		project := p.named()
		t.Project, c.ProjectID, c.ProjectName, c.ProjectDomainID = &project, p.ID, p.Name, p.Domain.ID
	}
	if d := b.Domain; d != nil {
		t.Domain, c.DomainID = &identity.Ref{ID: d.ID, Name: d.Name}, d.ID
	}
	if a := b.AppCredential; a != nil {
		t.AppCredential = &identity.AppCredentialRef{ID: a.ID, Name: a.Name, Restricted: a.Restricted}
		for _, r := range a.Rules {
			t.AppCredential.Rules = append(t.AppCredential.Rules, identity.AccessRule{Service: r.Service, Method: r.Method, Path: r.Path})
		}
	}
	if x := b.Trust; x != nil {
		t.Trust = &identity.TrustRef{ID: x.ID, TrustorID: x.Trustor.ID, TrusteeID: x.Trustee.ID, Impersonation: x.Impersonation}
	}
	return c
}

func (n named) named() identity.Named {
	return identity.Named{ID: n.ID, Name: n.Name, Domain: identity.Ref(n.Domain)}
}
