package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

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
	if len(roles) == 0 && !asked.given() { // Keystone gives an unscoped token then
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

// scopeAppCredential gives the token what its application credential is good for now. The caller may ask for the
// credential's project, or for nothing.
func (s *Service) scopeAppCredential(ctx context.Context, t *Token, asked Scope) error {
	c, err := s.AppCredential(ctx, t.User.ID, t.AppCredential.ID)
	if err != nil {
		return refused(err, "the application credential is gone")
	}
	if !c.Expires.IsZero() {
		if !s.Clock.Now().Before(c.Expires) {
			return unauthorized(errors.New("the application credential has expired"))
		}
		t.Expires = earlier(t.Expires, c.Expires)
	}
	if err := s.scopeProject(ctx, t, Naming{ID: c.ProjectID}); err != nil {
		return err
	}
	if asked.given() {
		other := *t
		other.Project = nil
		if asked.Project != nil {
			if err := s.scopeProject(ctx, &other, *asked.Project); err != nil {
				return err
			}
		}
		if other.Project == nil || other.Project.ID != c.ProjectID {
			return unauthorized(errors.New("the application credential is for another scope"))
		}
	}
	return s.scopeRoles(ctx, t, c.UserID, c.Roles)
}

// scopeTrust makes the token of the trust's trustee one of the trust.
func (s *Service) scopeTrust(ctx context.Context, t *Token, id string) error {
	trust, err := s.Trust(ctx, id)
	if err != nil {
		return refused(err, "the trust is gone")
	}
	if trust.TrusteeID != t.User.ID {
		return unauthorized(fmt.Errorf("user %s is not the trustee of %s", t.User.ID, id))
	}
	trustor, err := s.User(ctx, trust.TrustorID)
	if err != nil || !trustor.Enabled {
		return refused(err, "the trustor is gone or disabled")
	}
	domain, err := s.enabledDomain(ctx, "id", trustor.DomainID)
	if err != nil {
		return err
	}
	if !trust.Expires.IsZero() {
		t.Expires = earlier(t.Expires, trust.Expires)
	}
	if err := s.scopeProject(ctx, t, Naming{ID: trust.ProjectID}); err != nil {
		return err
	}
	if err := s.scopeRoles(ctx, t, trust.TrustorID, trust.Roles); err != nil {
		return err
	}
	t.Trust = &TrustRef{trust.ID, trust.TrustorID, trust.TrusteeID, trust.Impersonation}
	if trust.Impersonation {
		t.User, t.PasswordExpires = Named{trustor.ID, trustor.Name, domain}, trustor.PasswordExpires
	}
	return s.spend(ctx, trust)
}

// scopeRoles gives the token those of the user's roles on its project that are named, with what they imply. The user
// must hold all of them.
func (s *Service) scopeRoles(ctx context.Context, t *Token, userID string, ids []string) error {
	held, err := s.RolesOn(ctx, userID, Target{OnProject, t.Project.ID})
	if err != nil {
		return err
	}
	implied, err := s.Implications(ctx)
	if err != nil {
		return err
	}
	wanted := expand(ids, implied)
	for _, r := range held {
		if wanted[r.ID] {
			t.Roles = append(t.Roles, Ref{r.ID, r.Name})
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(t.Roles, func(r Ref) bool { return r.ID == id }) {
			return unauthorized(fmt.Errorf("user %s does not hold role %s any more", userID, id))
		}
	}
	return nil
}

// earlier is the first of two ends, in whole seconds.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b.Truncate(time.Second)
	}
	return a
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
