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

// Login is what somebody who wants a token shows and asks for.
type Login struct {
	Password *PasswordProof // one of these two, or both for the same user
	Token    string
	Scope    Scope
}

// PasswordProof names a user and proves to be it.
type PasswordProof struct {
	User     Naming
	Password string
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
}

// Login checks the proof and gives a signed token. Whatever is wrong about user, password or scope, it is the same
// fault.Unauthorized after the same work; the cause is for the log.
func (s *Service) Login(ctx context.Context, l Login) (signed string, t *Token, err error) {
	t = &Token{Issued: s.Clock.Now()}
	t.Expires = t.Issued.Add(s.TokenLifetime).Truncate(time.Second)
	t.Audit = []string{newAudit()}
	var user User
	if l.Token != "" {
		if user, err = s.proveByToken(ctx, l.Token, t); err != nil {
			return "", nil, err
		}
	}
	if l.Password != nil {
		byPassword, err := s.proveByPassword(ctx, *l.Password)
		if err != nil {
			return "", nil, err
		}
		if user.ID != "" && user.ID != byPassword.ID {
			return "", nil, unauthorized(errors.New("token and password are of two users"))
		}
		user = byPassword
		if !slices.Contains(t.Methods, "password") {
			t.Methods = append(t.Methods, "password")
		}
	}
	if user.ID == "" {
		return "", nil, unauthorized(errors.New("no proof of identity"))
	}
	domain, err := s.enabledDomain(ctx, "id", user.DomainID)
	if err != nil {
		return "", nil, err
	}
	t.User = Named{user.ID, user.Name, domain}
	if err := s.scope(ctx, t, l.Scope, user); err != nil {
		return "", nil, err
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", nil, err
	}
	signed, err = s.keys.sign(payload)
	return signed, t, err
}

// proveByToken takes the user from a token; the new token ends when that one does and remembers its chain.
func (s *Service) proveByToken(ctx context.Context, token string, t *Token) (User, error) {
	old, err := s.Validate(ctx, token)
	if err != nil {
		return User{}, err
	}
	t.Expires = old.Expires
	t.Audit = append(t.Audit, old.Audit[len(old.Audit)-1])
	t.Methods = append([]string{"token"}, slices.DeleteFunc(slices.Clone(old.Methods), func(m string) bool { return m == "token" })...)
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
	if !s.passwordIs(ctx, user, p.Password) { // takes its time for users that do not exist, too
		return User{}, unauthorized(fmt.Errorf("user %q: no such user, or a wrong password", user.Name))
	}
	if !user.Enabled {
		return User{}, unauthorized(fmt.Errorf("user %q is disabled", user.Name))
	}
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

// scope fills in what the token is good for, with the roles that the user has there.
func (s *Service) scope(ctx context.Context, t *Token, asked Scope, user User) error {
	var err error
	switch {
	case asked.Project != nil:
		err = s.scopeProject(ctx, t, *asked.Project)
	case asked.Domain != nil:
		err = s.scopeDomain(ctx, t, *asked.Domain)
	case asked.System:
		t.System = true
	case !asked.Unscoped && user.DefaultProject != "":
		err = s.scopeProject(ctx, t, Naming{ID: user.DefaultProject})
	}
	if err != nil {
		return err
	}
	target, scoped := t.target()
	if !scoped {
		return nil
	}
	roles, err := s.RolesOn(ctx, t.User.ID, target)
	if err != nil {
		return err
	}
	for _, r := range roles {
		t.Roles = append(t.Roles, Ref{r.ID, r.Name})
	}
	byDefault := asked.Project == nil && target.Kind == OnProject
	if len(roles) == 0 && byDefault { // Keystone gives an unscoped token then
		t.Project = nil
		return nil
	}
	if len(roles) == 0 {
		return unauthorized(fmt.Errorf("user %s has no role on %s %s", t.User.ID, target.Kind, target.ID))
	}
	return nil
}

func (s *Service) scopeProject(ctx context.Context, t *Token, n Naming) error {
	var project Project
	var err error
	if n.ID != "" {
		project, err = s.Project(ctx, n.ID)
	} else {
		project, err = s.projectByName(ctx, n)
	}
	if err != nil || !project.Enabled {
		return refused(err, "the project is gone or disabled")
	}
	domain, err := s.enabledDomain(ctx, "id", project.DomainID)
	t.Project = &Named{project.ID, project.Name, domain}
	return err
}

func (s *Service) projectByName(ctx context.Context, n Naming) (Project, error) {
	domain, err := s.domainOf(ctx, n)
	if err != nil {
		return Project{}, err
	}
	projects, err := s.Projects(ctx, ProjectFilter{Name: n.Name, DomainID: domain.ID})
	if err == nil && (len(projects) == 0 || n.Name == "") {
		err = fault.New(fault.NotFound, "Could not find project: %s.", n.Name)
	}
	if err != nil {
		return Project{}, err
	}
	return projects[0], nil
}

func (s *Service) scopeDomain(ctx context.Context, t *Token, n Naming) error {
	column, value := "id", n.ID
	if value == "" {
		column, value = "name", n.Name
	}
	domain, err := s.enabledDomain(ctx, column, value)
	t.Domain = &domain
	return err
}

func (s *Service) enabledDomain(ctx context.Context, column, value string) (Ref, error) {
	d, err := getDomain(ctx, s.db, column, value)
	if err != nil || !d.Enabled {
		return Ref{}, refused(err, "the domain is gone or disabled")
	}
	return Ref{d.ID, d.Name}, nil
}

// refused hides what was not found behind the one answer that a login gives; other errors stay what they are.
func refused(err error, why string) error {
	if err == nil || fault.Is(err, fault.NotFound) {
		return unauthorized(errors.Join(errors.New(why), err))
	}
	return err
}
