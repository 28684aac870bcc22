package identity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

var disable = func(u *identity.User) error { u.Enabled = false; return nil }

func password(user, pass string, scope identity.Scope) identity.Login {
	return identity.Login{Password: &identity.PasswordProof{User: identity.Naming{Name: user, DomainName: "Default"}, Password: pass}, Scope: scope}
}

func TestLogin(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := identitytest.New(t, d, clock.NewFake())
		inDemo := identity.Scope{Project: &identity.Naming{Name: "demo", DomainID: "default"}}
		signed, token, err := c.Login(t.Context(), password("demo", identitytest.DemoPassword, inDemo))
		if err != nil {
			t.Fatal(err)
		}
		caller, err := c.Authenticate(t.Context(), signed)
		if err != nil {
			t.Fatal(err)
		}
		want := &identity.Caller{
			UserID: c.Demo.ID, UserName: "demo", UserDomainID: "default",
			ProjectID: c.DemoProject.ID, ProjectName: "demo", ProjectDomainID: "default", Roles: []string{"member", "reader"}, Token: token,
		}
		if diff := cmp.Diff(want, caller); diff != "" {
			t.Error(diff)
		}
		if got := token.Expires.Sub(c.Clock.Now()); got != time.Hour {
			t.Errorf("the token lives %v", got)
		}
		for name, l := range map[string]identity.Login{
			"a wrong password":   password("demo", "guess", inDemo),
			"an unknown user":    password("nobody", identitytest.DemoPassword, inDemo),
			"an empty password":  password("demo", "", inDemo),
			"a foreign project":  password("demo", identitytest.DemoPassword, identity.Scope{Project: &identity.Naming{Name: "admin", DomainID: "default"}}),
			"an unknown project": password("demo", identitytest.DemoPassword, identity.Scope{Project: &identity.Naming{ID: "x"}}),
			"a domain without":   password("demo", identitytest.DemoPassword, identity.Scope{Domain: &identity.Naming{ID: "default"}}),
			"the system without": password("demo", identitytest.DemoPassword, identity.Scope{System: true}),
			"an unknown domain":  {Password: &identity.PasswordProof{User: identity.Naming{Name: "demo", DomainID: "x"}, Password: identitytest.DemoPassword}},
			"no proof":           {Scope: inDemo},
		} {
			_, _, err := c.Login(t.Context(), l)
			if !fault.Is(err, fault.Unauthorized) || fault.Message(err) != "The request you have made requires authentication." {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestScopes(t *testing.T) {
	c := identitytest.New(t, dbtest.SQLite(t), nil)
	for name, want := range map[string]struct {
		scope         identity.Scope
		admin, system bool
		roles         string
	}{
		"project":          {identity.Scope{Project: &identity.Naming{Name: "admin", DomainName: "Default"}}, true, false, "[admin manager member reader]"},
		"system":           {identity.Scope{System: true}, true, true, "[admin manager member reader]"},
		"unscoped":         {identity.Scope{Unscoped: true}, false, false, "[]"},
		"no default scope": {identity.Scope{}, false, false, "[]"},
	} {
		signed, _, err := c.Login(t.Context(), password("admin", identitytest.AdminPassword, want.scope))
		if err != nil {
			t.Fatal(err)
		}
		caller, err := c.Authenticate(t.Context(), signed)
		if err != nil || caller.IsAdmin() != want.admin || caller.System != want.system || fmt.Sprint(caller.Roles) != want.roles {
			t.Errorf("%s: %+v, %v", name, caller, err)
		}
	}
	if _, err := c.UpdateUser(t.Context(), c.Demo.ID, nil, func(u *identity.User) error { u.DefaultProject = c.DemoProject.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, token, err := c.Login(t.Context(), password("demo", identitytest.DemoPassword, identity.Scope{})); err != nil || token.Project == nil {
		t.Errorf("the default project: %+v, %v", token, err)
	}
}

func TestRescopedTokenEndsWithItsParent(t *testing.T) {
	c := identitytest.New(t, dbtest.SQLite(t), clock.NewFake())
	first, parent, err := c.Login(t.Context(), password("demo", identitytest.DemoPassword, identity.Scope{Unscoped: true}))
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.Step(30 * time.Minute)
	_, child, err := c.Login(t.Context(), identity.Login{Token: first, Scope: identity.Scope{Project: &identity.Naming{ID: c.DemoProject.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	if !child.Expires.Equal(parent.Expires) || child.Audit[1] != parent.Audit[0] || fmt.Sprint(child.Methods) != "[token password]" {
		t.Errorf("child %+v of %+v", child, parent)
	}
	c.Clock.Step(31 * time.Minute)
	if _, err := c.Authenticate(t.Context(), first); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("an expired token: %v", err)
	}
	if _, _, err := c.Login(t.Context(), identity.Login{Token: first}); !fault.Is(err, fault.NotFound) {
		t.Errorf("rescoping an expired token: %v", err)
	}
}

// Everything that must end tokens ends those that it should and no others: here at once, in another process within a
// second.
func TestRevocation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, running *db.DB) { // one server for all cases
		for name, do := range revocations {
			t.Run(name, func(t *testing.T) {
				d := dbtest.SQLite(t)
				if running.Engine == db.Postgres {
					d = dbtest.Postgres(t)
				}
				revokedEverywhere(t, identitytest.New(t, d, clock.NewFake()), d, do)
			})
		}
	})
}

func revokedEverywhere(t *testing.T, c *identitytest.Cloud, d *db.DB, do func(*testing.T, *identitytest.Cloud, *identity.Token) error) {
	other, err := identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c.Clock})
	if err != nil {
		t.Fatal(err)
	}
	admin := c.Token(t, "admin", identitytest.AdminPassword, "admin")
	signed := c.Token(t, "demo", identitytest.DemoPassword, "demo")
	caller, err := other.Authenticate(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.Step(time.Minute)
	if _, err := other.Authenticate(t.Context(), signed); err != nil {
		t.Fatal(err)
	}
	if err := do(t, c, caller.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Authenticate(t.Context(), signed); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("this process still takes it: %v", err)
	}
	c.Clock.Step(time.Second)
	if _, err := other.Authenticate(t.Context(), signed); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("the other process still takes it after a second: %v", err)
	}
	for _, s := range []*identity.Service{c.Service, other} {
		if _, err := s.Authenticate(t.Context(), admin); err != nil {
			t.Errorf("the admin's token ended too: %v", err)
		}
	}
}

var revocations = map[string]func(t *testing.T, c *identitytest.Cloud, token *identity.Token) error{
	"the token is deleted": func(t *testing.T, c *identitytest.Cloud, token *identity.Token) error {
		return c.Revoke(t.Context(), token)
	},
	"the user is disabled": func(t *testing.T, c *identitytest.Cloud, _ *identity.Token) error {
		_, err := c.UpdateUser(t.Context(), c.Demo.ID, nil, disable)
		return err
	},
	"the user is deleted": func(t *testing.T, c *identitytest.Cloud, _ *identity.Token) error {
		return c.DeleteUser(t.Context(), c.Demo.ID)
	},
	"the password changes": func(t *testing.T, c *identitytest.Cloud, _ *identity.Token) error {
		return c.ChangePassword(t.Context(), c.Demo.ID, identitytest.DemoPassword, "another")
	},
	"the project is disabled": func(t *testing.T, c *identitytest.Cloud, _ *identity.Token) error {
		_, err := c.UpdateProject(t.Context(), c.DemoProject.ID, func(p *identity.Project) error { p.Enabled = false; return nil })
		return err
	},
	"the project is deleted": func(t *testing.T, c *identitytest.Cloud, _ *identity.Token) error {
		return c.DeleteProject(t.Context(), c.DemoProject.ID)
	},
	"the role is taken away": func(t *testing.T, c *identitytest.Cloud, token *identity.Token) error {
		return c.Unassign(t.Context(), identity.Assignment{UserID: c.Demo.ID, Target: identity.Target{Kind: identity.OnProject, ID: c.DemoProject.ID}, RoleID: c.RoleID(t, "member")})
	},
}

func TestRevocationsAreForgotten(t *testing.T) {
	d := dbtest.SQLite(t)
	c := identitytest.New(t, d, clock.NewFake())
	for range 3 {
		token := c.Token(t, "demo", identitytest.DemoPassword, "demo")
		caller, err := c.Authenticate(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Revoke(t.Context(), caller.Token); err != nil {
			t.Fatal(err)
		}
		c.Clock.Step(2 * time.Hour)
	}
	var n int
	if err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM identity_revocation`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows are kept, %v; want the last one", n, err)
	}
}

func TestForgedTokens(t *testing.T) {
	c := identitytest.New(t, dbtest.SQLite(t), nil)
	stranger := identitytest.New(t, dbtest.SQLite(t), nil)
	good := c.Token(t, "demo", identitytest.DemoPassword, "demo")
	parts := strings.Split(good, ".")
	admin := strings.Split(c.Token(t, "admin", identitytest.AdminPassword, "admin"), ".")
	for name, token := range map[string]string{
		"of another cloud":       stranger.Token(t, "demo", identitytest.DemoPassword, "demo"),
		"another's payload":      parts[0] + "." + admin[1] + "." + parts[2],
		"no signature":           parts[0] + "." + parts[1] + ".",
		"algorithm none":         "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"HMAC":                   "eyJhbGciOiJIUzI1NiJ9." + parts[1] + "." + parts[2],
		"empty":                  "",
		"not a token":            "gAAAAABf",
		"far too long":           strings.Repeat("a", 1<<20),
		"with something behind":  good + ".x",
		"with a changed ending ": good[:len(good)-4] + "AAAA",
	} {
		if _, err := c.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Authenticate(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// The catalog is kept for a second, and a change is seen at once by the process that made it.
func TestCatalogIsNeverOld(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := identitytest.New(t, d, clock.NewFake())
		other := must(identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c.Clock}))
		token := must(c.Authenticate(t.Context(), c.Token(t, "demo", identitytest.DemoPassword, "demo"))).Token
		entries := func(s *identity.Service) int { return len(must(s.Catalog(t.Context(), token))) }
		before := entries(other)
		added := must(c.PutService(t.Context(), identity.CatalogService{Type: "new", Enabled: true, Extra: identity.Extra{}}))
		if got := entries(c.Service); got != before+1 {
			t.Errorf("who added a service sees %d, not %d", got, before+1)
		}
		c.Clock.Step(time.Second)
		if got := entries(other); got != before+1 {
			t.Errorf("after a second another process sees %d services, not %d", got, before+1)
		}
		ok(t, c.DeleteService(t.Context(), added.ID))
		if got := entries(c.Service); got != before {
			t.Errorf("who deleted it sees %d, not %d", got, before)
		}
	})
}

func TestKeysRotate(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := identitytest.New(t, d, clock.NewFake())
		other, err := identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c.Clock})
		if err != nil {
			t.Fatal(err)
		}
		old := c.Token(t, "demo", identitytest.DemoPassword, "demo")
		c.Clock.Step(time.Minute)
		if err := c.RotateKeys(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		c.Clock.Step(time.Minute)
		for name, token := range map[string]string{"old": old, "new": c.Token(t, "demo", identitytest.DemoPassword, "demo")} {
			if _, err := other.Authenticate(t.Context(), token); err != nil {
				t.Errorf("the other process does not take the %s key: %v", name, err)
			}
		}
		for range 2 { // the first key goes when the second has signed for long enough
			c.Clock.Step(3 * time.Hour)
			if err := c.RotateKeys(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.RotateKeys(t.Context(), time.Minute); err != nil { // the newest is younger
			t.Fatal(err)
		}
		var n int
		if err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM identity_token_key`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d keys, %v", n, err)
		}
	})
}

func TestBootstrapByManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := identitytest.New(t, d, nil, identity.BootstrapService{Type: "compute", Name: "nova", URL: "http://a/compute/v2.1"})
		before := everything(t, c)
		var all errgroup.Group
		for range 4 {
			all.Go(func() error {
				return c.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: "later", Catalog: []identity.BootstrapService{{Type: "compute", Name: "nova", URL: "http://a/compute/v2.1"}}})
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, everything(t, c)); diff != "" {
			t.Error(diff)
		}
		c.Token(t, "admin", identitytest.AdminPassword, "admin") // the password stays
		if err := c.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: "x", Catalog: []identity.BootstrapService{{Type: "compute", Name: "nova", URL: "http://b"}}}); err != nil {
			t.Fatal(err)
		}
		endpoints, err := c.Endpoints(t.Context(), identity.EndpointFilter{Interface: "public"})
		if err != nil || len(endpoints) != 1 || endpoints[0].URL != "http://b" {
			t.Errorf("the catalog does not follow the configuration: %+v, %v", endpoints, err)
		}
	})
}

func everything(t *testing.T, c *identitytest.Cloud) string {
	t.Helper()
	var text strings.Builder
	add := func(list any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%+v\n", list)
	}
	ctx := t.Context()
	roles, err := c.Roles(ctx, identity.RoleFilter{})
	add(roles, err)
	users, err := c.Users(ctx, identity.UserFilter{})
	add(len(users), err)
	projects, err := c.Projects(ctx, identity.ProjectFilter{})
	add(projects, err)
	held, err := c.Effective(ctx, identity.AssignmentFilter{})
	add(len(held), err)
	services, err := c.CatalogServices(ctx, "", "")
	add(services, err)
	endpoints, err := c.Endpoints(ctx, identity.EndpointFilter{})
	add(len(endpoints), err)
	return text.String()
}

func TestCatalogFillsTheProjectIn(t *testing.T) {
	c := identitytest.New(t, dbtest.SQLite(t), nil, identity.BootstrapService{Type: "volumev3", Name: "cinder", URL: "http://a/v3/$(project_id)s"})
	for project, want := range map[string]int{"demo": 3, "": 0} {
		caller, err := c.Authenticate(t.Context(), c.Token(t, "demo", identitytest.DemoPassword, project))
		if err != nil {
			t.Fatal(err)
		}
		catalog, err := c.Catalog(t.Context(), caller.Token)
		if err != nil || len(catalog) != 1 || len(catalog[0].Endpoints) != want {
			t.Fatalf("%q: %+v, %v", project, catalog, err)
		}
		for _, e := range catalog[0].Endpoints {
			if e.URL != "http://a/v3/"+c.DemoProject.ID {
				t.Errorf("URL %s", e.URL)
			}
		}
	}
}

func TestLongPasswordsCountWhole(t *testing.T) {
	c := identitytest.New(t, dbtest.SQLite(t), nil)
	long := strings.Repeat("x", 100)
	if _, err := c.UpdateUser(t.Context(), c.Demo.ID, &long, func(*identity.User) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c.Token(t, "demo", long, "demo")
	if _, _, err := c.Login(t.Context(), password("demo", long+"y", identity.Scope{})); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("only the first 72 bytes count: %v", err)
	}
}

func TestDomainsAndHierarchy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, ctx := identitytest.New(t, d, nil), t.Context()
		bank, err := c.CreateDomain(ctx, identity.Domain{Name: "bank", Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CreateDomain(ctx, identity.Domain{Name: "bank"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("two domains of a name: %v", err)
		}
		top, err := c.CreateProject(ctx, identity.Project{Name: "demo", DomainID: bank.ID, Enabled: true}) // the name is free in this domain
		if err != nil {
			t.Fatal(err)
		}
		child, err := c.CreateProject(ctx, identity.Project{Name: "child", ParentID: top.ID, Enabled: true})
		if err != nil || child.DomainID != bank.ID {
			t.Fatalf("%+v, %v", child, err)
		}
		if _, err := c.CreateProject(ctx, identity.Project{Name: "x", ParentID: top.ID, DomainID: "default"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a child in another domain: %v", err)
		}
		if err := c.DeleteProject(ctx, top.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("deleting a parent: %v", err)
		}
		if err := c.DeleteDomain(ctx, bank.ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("deleting an enabled domain: %v", err)
		}
		if _, err := c.UpdateDomain(ctx, bank.ID, func(d *identity.Domain) error { d.Enabled = false; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteDomain(ctx, bank.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Project(ctx, child.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the domain's projects stay: %v", err)
		}
		if err := c.DeleteRole(ctx, c.RoleID(t, "member")); !fault.Is(err, fault.Forbidden) {
			t.Errorf("deleting an immutable role: %v", err)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	c := identitytest.New(b, dbtest.SQLite(b), nil)
	token := c.Token(b, "demo", identitytest.DemoPassword, "demo")
	b.Logf("a token has %d bytes", len(token))
	for b.Loop() {
		if _, err := c.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
