package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

// must is for steps that only lead to what a test is about.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a domain with the projects top > middle > leaf and beside, and a group in which only demo is.
type tree struct {
	*identitytest.Cloud
	domain                    identity.Domain
	top, middle, leaf, beside identity.Project
	group                     identity.Group
	member, reader            string
}

func plant(t *testing.T, d *db.DB) *tree {
	t.Helper()
	x, ctx := &tree{Cloud: identitytest.New(t, d, clock.NewFake())}, t.Context()
	x.domain = must(x.CreateDomain(ctx, identity.Domain{Name: "bank", Enabled: true}))
	project := func(name, parent string) identity.Project {
		return must(x.CreateProject(ctx, identity.Project{Name: name, DomainID: x.domain.ID, ParentID: parent, Enabled: true}))
	}
	x.top = project("top", "")
	x.middle, x.beside = project("middle", x.top.ID), project("beside", "")
	x.leaf = project("leaf", x.middle.ID)
	x.group = must(x.CreateGroup(ctx, identity.Group{Name: "tellers", DomainID: x.domain.ID}))
	ok(t, x.AddToGroup(ctx, x.group.ID, x.Demo.ID))
	x.member, x.reader = x.RoleID(t, "member"), x.RoleID(t, "reader")
	return x
}

func (x *tree) on(p identity.Project) identity.Target {
	return identity.Target{Kind: identity.OnProject, ID: p.ID}
}

// Whatever way a user comes to a role, the login, the lists and the projects of the user agree about it.
func TestEffectiveRoles(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		x, ctx := plant(t, d), t.Context()
		inDomain := identity.Target{Kind: identity.OnDomain, ID: x.domain.ID}
		private := must(x.CreateRole(ctx, identity.Role{Name: "teller", DomainID: x.domain.ID}))
		ok(t, x.Imply(ctx, private.ID, x.reader))
		for name, c := range map[string]struct {
			given identity.Assignment
			want  map[string]string // roles by project
		}{
			"on the project":              {identity.Assignment{UserID: x.Demo.ID, Target: x.on(x.middle), RoleID: x.member}, map[string]string{"middle": "[member reader]"}},
			"through a group":             {identity.Assignment{GroupID: x.group.ID, Target: x.on(x.top), RoleID: x.reader}, map[string]string{"top": "[reader]"}},
			"inherited from a project":    {identity.Assignment{UserID: x.Demo.ID, Target: x.on(x.top), RoleID: x.reader, Inherited: true}, map[string]string{"middle": "[reader]", "leaf": "[reader]"}},
			"inherited from the domain":   {identity.Assignment{UserID: x.Demo.ID, Target: inDomain, RoleID: x.reader, Inherited: true}, map[string]string{"top": "[reader]", "middle": "[reader]", "leaf": "[reader]", "beside": "[reader]"}},
			"inherited, through a group":  {identity.Assignment{GroupID: x.group.ID, Target: x.on(x.middle), RoleID: x.member, Inherited: true}, map[string]string{"leaf": "[member reader]"}},
			"on the domain only":          {identity.Assignment{UserID: x.Demo.ID, Target: inDomain, RoleID: x.member}, map[string]string{}},
			"a role of the domain":        {identity.Assignment{UserID: x.Demo.ID, Target: x.on(x.leaf), RoleID: private.ID}, map[string]string{"leaf": "[reader]"}},
			"inherited below the nearest": {identity.Assignment{UserID: x.Demo.ID, Target: x.on(x.leaf), RoleID: x.member, Inherited: true}, map[string]string{}},
		} {
			ok(t, x.Assign(ctx, c.given))
			got, listed := map[string]string{}, map[string]string{}
			for _, p := range []identity.Project{x.top, x.middle, x.leaf, x.beside} {
				_, token, err := x.Login(ctx, password("demo", identitytest.DemoPassword, identity.Scope{Project: &identity.Naming{ID: p.ID}}))
				if err == nil {
					var names []string
					for _, r := range token.Roles {
						names = append(names, r.Name)
					}
					got[p.Name] = fmt.Sprint(names)
				}
				if len(must(x.Effective(ctx, identity.AssignmentFilter{Target: x.on(p)}))) > 0 {
					listed[p.Name] = ""
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			for _, p := range must(x.Projects(ctx, identity.ProjectFilter{UserID: x.Demo.ID, DomainID: x.domain.ID})) {
				if _, known := c.want[p.Name]; !known {
					t.Errorf("%s: %s is among the user's projects", name, p.Name)
				}
				delete(listed, p.Name)
			}
			if len(listed) > 0 {
				t.Errorf("%s: not among the user's projects: %v", name, listed)
			}
			ok(t, x.Unassign(ctx, c.given))
			if left := must(x.Effective(ctx, identity.AssignmentFilter{UserID: x.Demo.ID, Target: x.on(x.leaf)})); len(left) > 0 {
				t.Errorf("%s: after it was taken: %+v", name, left)
			}
		}
	})
}

// What ends a role ends the tokens that carry it, here and elsewhere.
func TestRevocationOfWhatFollows(t *testing.T) {
	for name, end := range map[string]func(*tree) error{
		"the group's role is taken":  func(x *tree) error { return x.Unassign(t.Context(), x.given()) },
		"the user leaves the group":  func(x *tree) error { return x.RemoveFromGroup(t.Context(), x.group.ID, x.Demo.ID) },
		"the group is deleted":       func(x *tree) error { return x.DeleteGroup(t.Context(), x.group.ID) },
		"the implication is ended":   func(x *tree) error { return x.Unimply(t.Context(), x.member, x.reader) },
		"the credential is deleted":  nil,
		"the trust is deleted":       nil,
		"the trustor is disabled":    nil,
		"the trustor loses the role": nil,
	} {
		t.Run(name, func(t *testing.T) {
			x := plant(t, dbtest.SQLite(t))
			ok(t, x.Assign(t.Context(), x.given()))
			signed, end := x.tokenFor(t, name, end)
			must(x.Authenticate(t.Context(), signed))
			x.Clock.Step(time.Second)
			ok(t, end(x))
			if _, err := x.Authenticate(t.Context(), signed); !fault.Is(err, fault.Unauthorized) {
				t.Errorf("the token is still good: %v", err)
			}
		})
	}
}

func (x *tree) given() identity.Assignment {
	return identity.Assignment{GroupID: x.group.ID, Target: x.on(x.leaf), RoleID: x.member}
}

// tokenFor logs in as the case needs it, and says how the case ends it where that depends on the login.
func (x *tree) tokenFor(t *testing.T, name string, end func(*tree) error) (string, func(*tree) error) {
	ctx := t.Context()
	inLeaf := identity.Scope{Project: &identity.Naming{ID: x.leaf.ID}}
	signed, token, err := x.Login(ctx, password("demo", identitytest.DemoPassword, inLeaf))
	ok(t, err)
	if end != nil {
		return signed, end
	}
	demo := must(x.Authenticate(ctx, signed))
	if name == "the credential is deleted" {
		c, secret, err := x.CreateAppCredential(ctx, demo, identity.AppCredential{Name: "c"}, "")
		ok(t, err)
		signed, _, err = x.Login(ctx, identity.Login{AppCredential: &identity.AppCredentialProof{ID: c.ID, Secret: secret}})
		ok(t, err)
		return signed, func(x *tree) error { return x.DeleteAppCredential(ctx, x.Demo.ID, c.ID) }
	}
	trustee := must(x.CreateUser(ctx, identity.User{Name: "trustee", Enabled: true}, "pw"))
	trust := must(x.CreateTrust(ctx, demo, identity.Trust{TrustorID: token.User.ID, TrusteeID: trustee.ID, ProjectID: x.leaf.ID, Roles: []string{x.member}}))
	signed, _, err = x.Login(ctx, password("trustee", "pw", identity.Scope{Trust: trust.ID}))
	ok(t, err)
	switch name {
	case "the trust is deleted":
		return signed, func(x *tree) error { return x.DeleteTrust(ctx, trust.ID) }
	case "the trustor is disabled":
		return signed, func(x *tree) error { _, err := x.UpdateUser(ctx, x.Demo.ID, nil, disable); return err }
	}
	return signed, func(x *tree) error { return x.Unassign(ctx, x.given()) }
}

func TestImplications(t *testing.T) {
	x, ctx := plant(t, dbtest.SQLite(t)), t.Context()
	a := must(x.CreateRole(ctx, identity.Role{Name: "a"}))
	b := must(x.CreateRole(ctx, identity.Role{Name: "b"}))
	private := must(x.CreateRole(ctx, identity.Role{Name: "a", DomainID: x.domain.ID})) // the name is free in a domain
	ok(t, x.Imply(ctx, a.ID, b.ID))
	for name, err := range map[string]error{
		"a circle":                 x.Imply(ctx, b.ID, a.ID),
		"itself":                   x.Imply(ctx, a.ID, a.ID),
		"admin":                    x.Imply(ctx, a.ID, x.RoleID(t, "admin")),
		"a role of a domain":       x.Imply(ctx, a.ID, private.ID),
		"outside of its domain":    x.Assign(ctx, identity.Assignment{UserID: x.Demo.ID, Target: x.on(x.DemoProject), RoleID: private.ID}),
		"a role that is immutable": x.DeleteRole(ctx, x.member),
	} {
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := x.Unimply(ctx, b.ID, a.ID); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	ok(t, x.Unimply(ctx, a.ID, b.ID))
}

func TestProjectTrees(t *testing.T) {
	x, ctx := plant(t, dbtest.SQLite(t)), t.Context()
	switchTo := func(p identity.Project, on bool) error {
		_, err := x.UpdateProject(ctx, p.ID, func(p *identity.Project) error { p.Enabled = on; return nil })
		return err
	}
	if err := switchTo(x.top, false); !fault.Is(err, fault.Forbidden) {
		t.Errorf("disabling above an enabled project: %v", err)
	}
	for _, p := range []identity.Project{x.leaf, x.middle, x.top} {
		ok(t, switchTo(p, false))
	}
	if err := switchTo(x.leaf, true); !fault.Is(err, fault.Forbidden) {
		t.Errorf("enabling below a disabled project: %v", err)
	}
	if _, err := x.CreateProject(ctx, identity.Project{Name: "new", ParentID: x.leaf.ID}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("creating below a disabled project: %v", err)
	}
	for _, p := range []identity.Project{x.top, x.middle, x.leaf} {
		ok(t, switchTo(p, true))
	}
	deep := must(x.CreateProject(ctx, identity.Project{Name: "deep", ParentID: x.leaf.ID, Enabled: true}))
	if _, err := x.CreateProject(ctx, identity.Project{Name: "deeper", ParentID: deep.ID}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("too deep: %v", err)
	}
	for tags, wrong := range map[string][]string{"twice": {"a", "a"}, "comma": {"a,b"}, "slash": {"a/b"}, "empty": {""}, "many": make([]string, 81)} {
		if _, err := x.UpdateProject(ctx, deep.ID, func(p *identity.Project) error { p.Tags = wrong; return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("tags %s: %v", tags, err)
		}
	}
	for name, f := range map[string]identity.TagFilter{
		"top beside": {NotAny: []string{"red"}}, "middle": {All: []string{"red", "blue"}}, "leaf middle": {Any: []string{"red", "green"}}, "beside leaf top": {NotAll: []string{"red", "blue"}},
	} {
		for p, tags := range map[string][]string{x.middle.ID: {"red", "blue"}, x.leaf.ID: {"red"}} {
			must(x.UpdateProject(ctx, p, func(p *identity.Project) error { p.Tags = tags; return nil }))
		}
		want := map[string]bool{}
		for _, p := range must(x.Projects(ctx, identity.ProjectFilter{DomainID: x.domain.ID, Tags: f})) {
			want[p.Name] = p.Name != "deep"
		}
		for _, p := range []string{"top", "middle", "leaf", "beside"} {
			if want[p] != slices.Contains(strings.Fields(name), p) {
				t.Errorf("tags %+v: %s is %v", f, p, want[p])
			}
		}
	}
}

func TestAppCredentials(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, ctx := identitytest.New(t, d, clock.NewFake()), t.Context()
		demo := must(c.Authenticate(ctx, c.Token(t, "demo", identitytest.DemoPassword, "demo")))
		reader := c.RoleID(t, "reader")
		rules := []identity.AccessRule{{Service: "compute", Method: "GET", Path: "/v2.1/servers/*/ips"}, {Service: "image", Method: "GET", Path: "/v2/**"}}
		made, secret, err := c.CreateAppCredential(ctx, demo, identity.AppCredential{
			Name: "ci", Roles: []string{reader}, Rules: rules, Expires: c.Clock.Now().Add(30 * time.Minute),
		}, "")
		ok(t, err)
		byID := identity.Login{AppCredential: &identity.AppCredentialProof{ID: made.ID, Secret: secret}}
		signed, token, err := c.Login(ctx, byID)
		ok(t, err)
		if token.Project.ID != c.DemoProject.ID || len(token.Roles) != 1 || token.Roles[0].Name != "reader" || !token.Expires.Equal(c.Clock.Now().Add(30*time.Minute)) {
			t.Errorf("%+v", token)
		}
		for request, want := range map[[3]string]bool{
			{"compute", "GET", "/v2.1/servers/x/ips"}: true, {"compute", "GET", "/v2.1/servers/x/y/ips"}: false, {"compute", "POST", "/v2.1/servers/x/ips"}: false,
			{"network", "GET", "/v2.1/servers/x/ips"}: false, {"image", "GET", "/v2/images/x/file"}: true, {"image", "GET", "/v3/images"}: false, {"", "GET", "/v2/x"}: false,
		} {
			if got := token.Permits(request[0], request[1], request[2]); got != want {
				t.Errorf("%v: %v", request, got)
			}
		}
		byName := identity.Login{AppCredential: &identity.AppCredentialProof{Name: "ci", User: identity.Naming{Name: "demo", DomainName: "Default"}, Secret: secret}}
		if _, _, err := c.Login(ctx, byName); err != nil {
			t.Error(err)
		}
		admins := must(c.Projects(ctx, identity.ProjectFilter{Name: "admin"}))[0]
		for name, l := range map[string]identity.Login{
			"a wrong secret":    {AppCredential: &identity.AppCredentialProof{ID: made.ID, Secret: "x"}},
			"an unknown id":     {AppCredential: &identity.AppCredentialProof{ID: "x", Secret: secret}},
			"no name":           {AppCredential: &identity.AppCredentialProof{User: identity.Naming{Name: "demo", DomainName: "Default"}, Secret: secret}},
			"another project":   {AppCredential: byID.AppCredential, Scope: identity.Scope{Project: &identity.Naming{ID: admins.ID}}},
			"the system":        {AppCredential: byID.AppCredential, Scope: identity.Scope{System: true}},
			"rescoped, unbound": {Token: signed, Scope: identity.Scope{Unscoped: true}},
		} {
			if _, _, err := c.Login(ctx, l); !fault.Is(err, fault.Unauthorized) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, again, err := c.Login(ctx, identity.Login{Token: signed, Scope: identity.Scope{Project: &identity.Naming{ID: c.DemoProject.ID}}})
		if err != nil || again.AppCredential == nil || len(again.Roles) != 1 {
			t.Errorf("an exchanged token is more than the credential: %+v, %v", again, err)
		}

		// Rules are the user's: the same one is kept once, and as long as a credential uses it.
		second, _, err := c.CreateAppCredential(ctx, demo, identity.AppCredential{Name: "two", Rules: rules[:1]}, "chosen")
		ok(t, err)
		kept := must(c.AccessRules(ctx, c.Demo.ID, identity.AccessRuleFilter{Service: "compute"}))
		if len(kept) != 1 || kept[0].ID != second.Rules[0].ID {
			t.Errorf("%+v", kept)
		}
		if err := c.DeleteAccessRule(ctx, c.Demo.ID, kept[0].ID); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a rule in use: %v", err)
		}
		for _, id := range []string{made.ID, second.ID} {
			ok(t, c.DeleteAppCredential(ctx, c.Demo.ID, id))
		}
		ok(t, c.DeleteAccessRule(ctx, c.Demo.ID, kept[0].ID))

		// It ends with the role that it gives.
		third, secret, err := c.CreateAppCredential(ctx, demo, identity.AppCredential{Name: "three"}, "")
		ok(t, err)
		ok(t, c.Unassign(ctx, identity.Assignment{UserID: c.Demo.ID, Target: identity.Target{Kind: identity.OnProject, ID: c.DemoProject.ID}, RoleID: c.RoleID(t, "member")}))
		if _, _, err := c.Login(ctx, identity.Login{AppCredential: &identity.AppCredentialProof{ID: third.ID, Secret: secret}}); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("the user lost the role: %v", err)
		}
		for name, wrong := range map[string]identity.AppCredential{
			"a foreign role": {Name: "x", Roles: []string{c.RoleID(t, "admin")}}, "no name": {}, "the past": {Name: "x", Expires: c.Clock.Now()},
			"a rule without a slash": {Name: "x", Rules: []identity.AccessRule{{Service: "a", Method: "GET", Path: "x"}}},
			"too many rules":         {Name: "x", Rules: make([]identity.AccessRule, 41)},
		} {
			if _, _, err := c.CreateAppCredential(ctx, demo, wrong, ""); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestTrusts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, ctx := identitytest.New(t, d, clock.NewFake()), t.Context()
		demo := must(c.Authenticate(ctx, c.Token(t, "demo", identitytest.DemoPassword, "demo")))
		trustee := must(c.CreateUser(ctx, identity.User{Name: "trustee", Enabled: true}, "pw"))
		uses := 4
		wanted := identity.Trust{
			TrustorID: c.Demo.ID, TrusteeID: trustee.ID, ProjectID: c.DemoProject.ID, Roles: []string{c.RoleID(t, "reader")},
			Expires: c.Clock.Now().Add(time.Minute), RemainingUses: &uses,
		}
		for name, change := range map[string]func(*identity.Trust){
			"of another":                            func(t *identity.Trust) { t.TrustorID = trustee.ID },
			"without a role":                        func(t *identity.Trust) { t.Roles = nil },
			"a role that the trustor does not hold": func(x *identity.Trust) { x.Roles = []string{c.RoleID(t, "admin")} },
			"in the past":                           func(t *identity.Trust) { t.Expires = c.Clock.Now() },
			"no uses":                               func(t *identity.Trust) { zero := 0; t.RemainingUses = &zero },
			"no trustee":                            func(t *identity.Trust) { t.TrusteeID = "x" },
		} {
			wrong := wanted
			change(&wrong)
			if _, err := c.CreateTrust(ctx, demo, wrong); err == nil || fault.Is(err, fault.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
		trust := must(c.CreateTrust(ctx, demo, wanted))
		inTrust := identity.Scope{Trust: trust.ID}
		signed, token, err := c.Login(ctx, password("trustee", "pw", inTrust))
		ok(t, err)
		if token.User.ID != trustee.ID || token.Project.ID != c.DemoProject.ID || len(token.Roles) != 1 || !token.Expires.Equal(trust.Expires) {
			t.Errorf("%+v", token)
		}
		if _, _, err := c.Login(ctx, identity.Login{Token: signed}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("a trust's token is exchanged: %v", err)
		}
		if _, _, err := c.Login(ctx, password("demo", identitytest.DemoPassword, inTrust)); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("somebody else uses the trust: %v", err)
		}
		var all errgroup.Group // three uses are left, whoever comes first
		results := make(chan error, 6)
		for range 6 {
			all.Go(func() error {
				_, _, err := c.Login(ctx, password("trustee", "pw", inTrust))
				results <- err
				return nil
			})
		}
		ok(t, all.Wait())
		close(results)
		good := 0
		for err := range results {
			if err == nil {
				good++
			}
		}
		if good != 3 {
			t.Errorf("%d uses of 3", good)
		}
		wanted.RemainingUses, wanted.Impersonation = nil, true
		trust = must(c.CreateTrust(ctx, demo, wanted))
		if _, token, err = c.Login(ctx, password("trustee", "pw", identity.Scope{Trust: trust.ID})); err != nil || token.User.ID != c.Demo.ID {
			t.Errorf("impersonation: %+v, %v", token, err)
		}
		c.Clock.Step(time.Minute)
		if _, _, err = c.Login(ctx, password("trustee", "pw", identity.Scope{Trust: trust.ID})); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("an expired trust: %v", err)
		}
		if left := must(c.Trusts(ctx, identity.TrustFilter{TrustorID: c.Demo.ID})); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}
