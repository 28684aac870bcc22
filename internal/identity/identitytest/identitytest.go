// Package identitytest makes an identity with the usual people in it: cheap passwords, a clock to step.
package identitytest

import (
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/secret"
)

// The passwords of the users admin and demo.
const (
	AdminPassword = "admin-secret"
	DemoPassword  = "demo-secret"
)

// Cloud is an identity as a test needs it.
type Cloud struct {
	*identity.Service
	Clock       *clock.Fake // nil when the clock is the machine's
	Keyring     *secret.Keyring
	Demo        identity.User    // member of DemoProject
	DemoProject identity.Project // "demo"
}

// New bootstraps an identity with the admin and with the user and project demo. Clock may be nil for the machine's.
func New(t testing.TB, d *db.DB, c clock.Clock, catalog ...identity.BootstrapService) *Cloud {
	t.Helper()
	keyring, err := secret.Open(filepath.Join(t.TempDir(), "keys"))
	check(t, err)
	s, err := identity.New(t.Context(), d, keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c})
	check(t, err)
	check(t, s.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: AdminPassword, Catalog: catalog}))
	cloud := &Cloud{Service: s, Keyring: keyring}
	cloud.Clock, _ = c.(*clock.Fake)
	cloud.DemoProject, err = s.CreateProject(t.Context(), identity.Project{Name: "demo", Enabled: true})
	check(t, err)
	cloud.Demo, err = s.CreateUser(t.Context(), identity.User{Name: "demo", Enabled: true}, DemoPassword)
	check(t, err)
	check(t, s.Assign(t.Context(), identity.Assignment{
		UserID: cloud.Demo.ID, Target: identity.Target{Kind: identity.OnProject, ID: cloud.DemoProject.ID}, RoleID: cloud.RoleID(t, identity.RoleMember),
	}))
	return cloud
}

// RoleID is the id of the role of that name.
func (c *Cloud) RoleID(t testing.TB, name string) string {
	t.Helper()
	roles, err := c.Roles(t.Context(), identity.RoleFilter{Name: name})
	check(t, err)
	if len(roles) != 1 {
		t.Fatalf("%d roles are called %s", len(roles), name)
	}
	return roles[0].ID
}

// Token logs a user of the default domain in with a project of the same domain ("" : unscoped).
func (c *Cloud) Token(t testing.TB, user, password, project string) string {
	t.Helper()
	login := identity.Login{Password: &identity.PasswordProof{User: identity.Naming{Name: user, DomainID: identity.DefaultDomain}, Password: password}}
	login.Scope.Unscoped = true
	if project != "" {
		login.Scope = identity.Scope{Project: &identity.Naming{Name: project, DomainID: identity.DefaultDomain}}
	}
	signed, _, err := c.Login(t.Context(), login)
	check(t, err)
	return signed
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
