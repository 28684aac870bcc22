package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Login is what somebody who wants a token shows and asks for. Several proofs are of the same user.
type Login struct {
	Password      *PasswordProof
	TOTP          *PasscodeProof
	AppCredential *AppCredentialProof
	Token         string
	Scope         Scope
}

// PasswordProof names a user and proves to be it.
type PasswordProof struct {
	User     Naming
	Password string
}

// PasscodeProof names a user and proves to have its device (RFC 6238).
type PasscodeProof struct {
	User     Naming
	Passcode string
}

// AppCredentialProof names an application credential by its id, or by its name and its user, and proves to have it.
type AppCredentialProof struct {
	ID, Name string
	User     Naming
	Secret   string
}

// Naming names a thing by its id, or by its name and its domain's id or name.
type Naming struct {
	ID, Name             string
	DomainID, DomainName string
}

// Scope is what a token shall be good for. The zero value leaves it to the user's default project.
type Scope struct {
	Unscoped bool
	Project  *Naming
	Domain   *Naming
	System   bool
	Trust    string // id
}

func (s Scope) given() bool {
	return s.Unscoped || s.Project != nil || s.Domain != nil || s.System || s.Trust != ""
}

// The names of the methods of login.
const (
	byPassword      = "password"
	byToken         = "token"
	byTOTP          = "totp"
	byAppCredential = "application_credential"
)

// Login checks the proofs and gives a signed token. Whatever is wrong about user, password or scope, it is the same
// fault.Unauthorized after the same work; the cause is for the log. A token that is not valid is fault.NotFound.
func (s *Service) Login(ctx context.Context, l Login) (signed string, t *Token, err error) {
	t = &Token{Issued: s.Clock.Now()}
	t.Expires = t.Issued.Add(s.TokenLifetime).Truncate(time.Second)
	t.Audit = []string{newAudit()}
	user, err := s.prove(ctx, l, t)
	if err != nil {
		return "", nil, err
	}
	domain, err := s.enabledDomain(ctx, "id", user.DomainID)
	if err != nil {
		return "", nil, err
	}
	t.User, t.PasswordExpires = Named{user.ID, user.Name, domain}, user.PasswordExpires
	switch {
	case t.AppCredential != nil:
		err = s.scopeAppCredential(ctx, t, l.Scope)
	case l.Scope.Trust != "":
		err = s.scopeTrust(ctx, t, l.Scope.Trust)
	default:
		err = s.scope(ctx, t, l.Scope, user)
	}
	if err != nil {
		return "", nil, err
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", nil, err
	}
	signed, err = s.keys.sign(payload)
	return signed, t, err
}

// prove checks every proof that is shown, notes the methods in the token, and gives the one user whom they all prove.
func (s *Service) prove(ctx context.Context, l Login, t *Token) (user User, err error) {
	proofs := []struct {
		method string
		shown  bool
		prove  func() (User, error)
	}{
		{byToken, l.Token != "", func() (User, error) { return s.proveByToken(ctx, l.Token, t) }},
		{byPassword, l.Password != nil, func() (User, error) { return s.proveByPassword(ctx, *l.Password) }},
		{byTOTP, l.TOTP != nil, func() (User, error) { return s.proveByTOTP(ctx, *l.TOTP) }},
		{byAppCredential, l.AppCredential != nil, func() (User, error) { return s.proveByAppCredential(ctx, *l.AppCredential, t) }},
	}
	for _, p := range proofs {
		if !p.shown {
			continue
		}
		proved, err := p.prove()
		if err != nil {
			return User{}, err
		}
		if user.ID != "" && user.ID != proved.ID {
			return User{}, unauthorized(errors.New("the proofs are of two users"))
		}
		user = proved
		if !slices.Contains(t.Methods, p.method) {
			t.Methods = append(t.Methods, p.method)
		}
	}
	if user.ID == "" {
		return User{}, unauthorized(errors.New("no proof of identity"))
	}
	return user, enoughFactors(user, t.Methods)
}

// enoughFactors holds the user's rules about several factors (options multi_factor_auth_*): the methods of one of the
// rules must all have been shown.
func enoughFactors(u User, methods []string) error {
	rules, _ := u.Options["multi_factor_auth_rules"].([]any)
	if !u.option("multi_factor_auth_enabled") || len(rules) == 0 || slices.Contains(methods, byAppCredential) {
		return nil
	}
	for _, rule := range rules {
		wanted, _ := rule.([]any)
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(m any) bool { name, _ := m.(string); return !slices.Contains(methods, name) }) {
			return nil
		}
	}
	return unauthorized(errors.New("the user's rules want more factors"))
}

// proveByToken takes the user from a token; the new token ends when that one does, remembers its chain, and is no more
// than an application credential allowed. What a trust gave is not passed on.
func (s *Service) proveByToken(ctx context.Context, token string, t *Token) (User, error) {
	old, err := s.Validate(ctx, token)
	if fault.Is(err, fault.Unauthorized) { // Keystone tells a token that is none from a wrong password
		return User{}, fault.Wrap(err, fault.NotFound, "Could not find token.")
	}
	if err != nil {
		return User{}, err
	}
	if old.Trust != nil {
		return User{}, fault.New(fault.Forbidden, "A token that was made by a trust cannot be exchanged for another.")
	}
	t.Expires = old.Expires
	t.Audit = append(t.Audit, old.Audit[len(old.Audit)-1])
	t.Methods = append([]string{byToken}, slices.DeleteFunc(slices.Clone(old.Methods), func(m string) bool { return m == byToken })...)
	t.AppCredential = old.AppCredential
	user, err := s.User(ctx, old.User.ID)
	if err != nil || !user.Enabled {
		return User{}, refused(err, "the user is gone or disabled")
	}
	return user, nil
}

func (s *Service) proveByPassword(ctx context.Context, p PasswordProof) (User, error) {
	user, err := s.findUser(ctx, p.User)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return User{}, err
	}
	if err := s.tryPassword(ctx, user, p.Password); err != nil { // takes its time for users that do not exist, too
		return User{}, err
	}
	if !user.Enabled {
		return User{}, unauthorized(fmt.Errorf("user %q is disabled", user.Name))
	}
	if err := s.usable(user); err != nil {
		return User{}, err
	}
	return user, s.rehash(ctx, user, p.Password)
}

func (s *Service) proveByTOTP(ctx context.Context, p PasscodeProof) (User, error) {
	user, err := s.findUser(ctx, p.User)
	if err != nil {
		return User{}, refused(err, "no such user")
	}
	right, err := s.passcodeIs(ctx, user, p.Passcode)
	if err != nil {
		return User{}, err
	}
	l := lock{s.Passwords.LockAfter, s.Passwords.LockFor}
	if l.after == 0 {
		l = totpLock
	}
	if err := s.judge(ctx, user, right, l); err != nil {
		return User{}, err
	}
	if !user.Enabled {
		return User{}, unauthorized(fmt.Errorf("user %q is disabled", user.Name))
	}
	return user, nil
}

func (s *Service) proveByAppCredential(ctx context.Context, p AppCredentialProof, t *Token) (User, error) {
	c, err := s.findAppCredential(ctx, p)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return User{}, err
	}
	if err := s.trySecret(ctx, c, p.Secret); err != nil {
		return User{}, err
	}
	user, err := s.User(ctx, c.UserID)
	if err != nil || !user.Enabled {
		return User{}, refused(err, "the user is gone or disabled")
	}
	t.AppCredential = &AppCredentialRef{c.ID, c.Name, !c.Unrestricted, c.Rules}
	return user, nil
}

func (s *Service) findUser(ctx context.Context, n Naming) (User, error) {
	if n.ID != "" {
		return s.User(ctx, n.ID)
	}
	domain, err := s.domainOf(ctx, n)
	if err != nil {
		return User{}, err
	}
	users, err := s.Users(ctx, UserFilter{Name: n.Name, DomainID: domain.ID})
	if err == nil && (len(users) == 0 || n.Name == "") {
		err = fault.New(fault.NotFound, "Could not find user: %s.", n.Name)
	}
	if err != nil {
		return User{}, err
	}
	return users[0], nil
}

func (s *Service) domainOf(ctx context.Context, n Naming) (Domain, error) {
	if n.DomainID != "" {
		return getDomain(ctx, s.db, "id", n.DomainID)
	}
	return getDomain(ctx, s.db, "name", n.DomainName)
}
