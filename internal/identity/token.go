package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Token is what a token says. Its JSON is the payload of a JWS (RFC 7515, compact form, EdDSA); the header's kid names
// the key. The field names are short because the whole travels in a header with every request.
type Token struct {
	Methods []string  `json:"m"`           // how the caller proved who it is: password, token, totp, application_credential
	Audit   []string  `json:"a"`           // this token's audit id, then that of the first of its chain
	Issued  time.Time `json:"i"`           //
	Expires time.Time `json:"e"`           // whole seconds, as Keystone tells them
	User    Named     `json:"u"`           //
	Project *Named    `json:"p,omitempty"` // at most one of Project, Domain and System is set
	Domain  *Ref      `json:"d,omitempty"`
	System  bool      `json:"s,omitempty"`
	Roles   []Ref     `json:"r,omitempty"` // implied ones included

	PasswordExpires time.Time         `json:"x,omitzero"`  // of the user; zero: never
	AppCredential   *AppCredentialRef `json:"c,omitempty"` // by which the token was made
	Trust           *TrustRef         `json:"t,omitempty"` // likewise
}

// AppCredentialRef is what a token tells of the application credential that made it.
type AppCredentialRef struct {
	ID         string       `json:"i"`
	Name       string       `json:"n"`
	Restricted bool         `json:"r,omitempty"` // its tokens make and delete neither credentials nor trusts
	Rules      []AccessRule `json:"a,omitempty"` // what the token may be used for; none: everything
}

// TrustRef is what a token tells of the trust that made it.
type TrustRef struct {
	ID            string `json:"i"`
	TrustorID     string `json:"o"`
	TrusteeID     string `json:"e"`
	Impersonation bool   `json:"p,omitempty"`
}

// Ref is a thing with a name.
type Ref struct {
	ID   string `json:"i"`
	Name string `json:"n"`
}

// Named is a thing with a name that is unique in its domain.
type Named struct {
	ID     string `json:"i"`
	Name   string `json:"n"`
	Domain Ref    `json:"d"`
}

// maxToken is far more than a token has; longer ones are not looked at.
const maxToken = 16 << 10

func unauthorized(cause error) error {
	return fault.Wrap(cause, fault.Unauthorized, "The request you have made requires authentication.")
}

// Authenticate tells who a token belongs to. It asks the database for revocations at most once a second, and for
// nothing else. It fails with fault.Unauthorized for tokens that are malformed, forged, expired or revoked.
func (s *Service) Authenticate(ctx context.Context, token string) (*Caller, error) {
	t, err := s.Validate(ctx, token)
	if err != nil {
		return nil, err
	}
	c := &Caller{
		UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID, System: t.System, Token: t,
		Roles: make([]string, len(t.Roles)),
	}
	for i, r := range t.Roles {
		c.Roles[i] = r.Name
	}
	if t.Project != nil {
		c.ProjectID, c.ProjectName, c.ProjectDomainID = t.Project.ID, t.Project.Name, t.Project.Domain.ID
	}
	if t.Domain != nil {
		c.DomainID = t.Domain.ID
	}
	return c, nil
}

// Validate reads a signed token, with the same errors as Authenticate.
func (s *Service) Validate(ctx context.Context, token string) (*Token, error) {
	if len(token) > maxToken {
		return nil, unauthorized(errors.New("too long for a token"))
	}
	t, err := s.read(ctx, token)
	if err != nil {
		return nil, err
	}
	if !s.Clock.Now().Before(t.Expires) {
		return nil, unauthorized(errors.New("the token has expired"))
	}
	void, err := s.revoked.covers(ctx, &t)
	if err != nil {
		return nil, err
	}
	if void {
		return nil, unauthorized(errors.New("the token was revoked"))
	}
	return &t, nil
}

// read gives what a token says that one of our keys signed. Nobody changes what its slices hold.
func (s *Service) read(ctx context.Context, token string) (t Token, err error) {
	if t, ok := s.verified.get(token); ok {
		return t, nil
	}
	payload, err := s.keys.verify(ctx, token)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(payload, &t); err != nil {
		return t, unauthorized(err)
	}
	s.verified.put(token, t)
	return t, nil
}

// Revoke voids one token: everywhere within a second.
func (s *Service) Revoke(ctx context.Context, t *Token) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error { return s.revoke(ctx, tx, "token:"+t.Audit[0]) })
}

// subjects are the names under which a token can be revoked.
func (t *Token) subjects() []string {
	subjects := []string{"token:" + t.Audit[0], "user:" + t.User.ID, "domain:" + t.User.Domain.ID}
	if t.Project != nil {
		subjects = append(subjects, "project:"+t.Project.ID, "domain:"+t.Project.Domain.ID)
	}
	if t.Domain != nil {
		subjects = append(subjects, "domain:"+t.Domain.ID)
	}
	if target, ok := t.target(); ok {
		subjects = append(subjects, grantSubject(t.User.ID, target))
	}
	for _, r := range t.Roles {
		subjects = append(subjects, "role:"+r.ID)
	}
	if t.AppCredential != nil {
		subjects = append(subjects, "appcredential:"+t.AppCredential.ID)
	}
	if t.Trust != nil { // what ends the trustor's own tokens in the project ends these
		subjects = append(subjects, "trust:"+t.Trust.ID, "user:"+t.Trust.TrustorID, "user:"+t.Trust.TrusteeID,
			grantSubject(t.Trust.TrustorID, Target{OnProject, t.Project.ID}))
	}
	return subjects
}

func (t *Token) target() (Target, bool) {
	switch {
	case t.Project != nil:
		return Target{OnProject, t.Project.ID}, true
	case t.Domain != nil:
		return Target{OnDomain, t.Domain.ID}, true
	case t.System:
		return OnTheSystem, true
	}
	return Target{}, false
}

func grantSubject(userID string, t Target) string {
	return "grant:" + userID + "@" + t.Kind + ":" + t.ID
}

// newAudit is an audit id as Keystone makes them: 16 random bytes.
func newAudit() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw)
}
