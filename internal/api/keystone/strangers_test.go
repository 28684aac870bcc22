package keystone_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// stranger has one thing of each kind in a domain of its own.
func (c *cloud) stranger(t *testing.T) Things {
	t.Helper()
	ctx := t.Context()
	domain := must(c.CreateDomain(ctx, identity.Domain{Name: "foreigner", Enabled: true, Tags: []string{"tag"}}))
	project := must(c.CreateProject(ctx, identity.Project{Name: "foreigner", DomainID: domain.ID, Enabled: true, Tags: []string{"tag"}}))
	user := must(c.CreateUser(ctx, identity.User{Name: "foreigner", DomainID: domain.ID, Enabled: true}, "pw"))
	must(0, c.Assign(ctx, identity.Assignment{UserID: user.ID, RoleID: c.memberID, Target: identity.Target{Kind: identity.OnProject, ID: project.ID}}))
	token, _, err := c.Login(ctx, identity.Login{
		Password: &identity.PasswordProof{User: identity.Naming{ID: user.ID}, Password: "pw"}, Scope: identity.Scope{Project: &identity.Naming{ID: project.ID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.things(t, user, project, token, "foreigner")
}

// things of a user in a project, all with the name.
func (c *cloud) things(t *testing.T, user identity.User, project identity.Project, token, name string) Things {
	t.Helper()
	ctx := t.Context()
	group := must(c.CreateGroup(ctx, identity.Group{Name: name, DomainID: project.DomainID}))
	must(0, c.AddToGroup(ctx, group.ID, user.ID))
	role := must(c.CreateRole(ctx, identity.Role{Name: name}))
	for _, a := range []identity.Assignment{{UserID: user.ID}, {GroupID: group.ID}} {
		a.RoleID, a.Target = role.ID, identity.Target{Kind: identity.OnProject, ID: project.ID}
		must(0, c.Assign(ctx, a))
	}
	caller := must(c.Authenticate(ctx, token))
	credential, _, err := c.CreateAppCredential(ctx, caller, identity.AppCredential{
		Name: name, Rules: []identity.AccessRule{{Service: "compute", Method: "GET", Path: "/"}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	admin := must(c.Users(ctx, identity.UserFilter{Name: "admin"}))[0]
	trust := must(c.CreateTrust(ctx, caller, identity.Trust{TrustorID: user.ID, TrusteeID: admin.ID, ProjectID: project.ID, Roles: []string{c.memberID}}))
	ec2 := must(c.CreateCredential(ctx, identity.Credential{
		UserID: user.ID, ProjectID: &project.ID, Type: "ec2", Blob: `{"access": "` + name + `-access", "secret": "s"}`, Extra: identity.Extra{},
	}))
	service := must(c.CatalogServices(ctx, "identity", ""))[0]
	endpoint := must(c.Endpoints(ctx, identity.EndpointFilter{}))[0]
	registered := must(c.CreateRegisteredLimits(ctx, []identity.RegisteredLimit{{ServiceID: service.ID, ResourceName: name, Default: 3}}))
	limit := must(c.CreateLimits(ctx, []identity.Limit{{ProjectID: &project.ID, Registered: registered[0], Limit: 4}}))
	return Things{
		"domains": project.DomainID, "projects": project.ID, "users": user.ID, "groups": group.ID, "roles": role.ID, "implies": role.ID,
		"application_credentials": credential.ID, "access_rules": credential.Rules[0].ID, "trusts": trust.ID, "credentials": ec2.ID, "OS-EC2": name + "-access",
		"services": service.ID, "endpoints": endpoint.ID, "regions": "RegionOne", "registered_limits": registered[0].ID, "limits": limit[0].ID,
		"policies":        must(c.PutPolicy(ctx, identity.Policy{Type: "text/plain", Blob: "b"})).ID,
		"endpoint_groups": must(c.CreateEndpointGroup(ctx, identity.EndpointGroup{Name: name})).ID, "tags": "tag",
		"{word}": "config", "{group}": "ldap", "{option}": "url", "$user": user.ID, "$project": project.ID, "$domain": project.DomainID, "$role": role.ID, "$rule": credential.Rules[0].ID,
		"$service": service.ID, "$region": "RegionOne", "$member": c.memberID,
	}
}

// open are the routes at which everybody may read: what they show belongs to nobody.
func open(r osapi.Route) bool {
	return r.Policy.String() == "public" || strings.HasPrefix(r.Pattern, "/v3/regions") && r.Method == "GET" || strings.HasPrefix(r.Pattern, "/v3/registered_limits") && r.Method == "GET"
}

// A stranger's things are as if there were none, wherever their ids stand.
func TestStrangers(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	strangers := Strangers{
		Server: c.Server, Dialect: keystone.Dialect(c.Service), Token: c.demo, Mine: c.things(t, c.Demo, c.DemoProject, c.demo, "mine"), Foreign: c.stranger(t),
		Bodies: bodies, Secrets: []string{"foreigner"}, Open: open, Least: 300,
	}
	strangers.Run(t)
}

// Ids of strangers in requests for tokens are the same as ids of nothing.
func TestStrangersInLogins(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	things := c.stranger(t)
	for _, body := range []string{
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": "` + c.demo + `"}}, "scope": {"project": {"id": "ID:projects"}}}}`,
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": "` + c.demo + `"}}, "scope": {"OS-TRUST:trust": {"id": "ID:trusts"}}}}`,
		`{"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "ID:application_credentials", "secret": "x"}}}}`,
	} {
		with := func(ids func(kind string) string) (int, string) {
			sent := body
			for kind := range things {
				sent = strings.ReplaceAll(sent, "ID:"+kind, ids(kind))
			}
			got := c.Do("", "POST", "/identity/v3/auth/tokens", sent)
			for kind := range things {
				got.Text = strings.ReplaceAll(got.Text, ids(kind), "ID")
			}
			return got.Status, got.Text
		}
		status, text := with(func(kind string) string { return things[kind] })
		absent, words := with(func(kind string) string { return "0000" + kind })
		if status != absent || text != words || status < 400 {
			t.Errorf("%s: %d %s; of nothing: %d %s", body, status, text, absent, words)
		}
	}
}
