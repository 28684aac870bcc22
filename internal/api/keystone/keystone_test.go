package keystone_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

type object = osapi.Object

// cloud is a running Identity API with real tokens.
type cloud struct {
	*identitytest.Cloud
	*osapitest.Server
	admin, demo string // tokens
	memberID    string
}

func boot(t *testing.T, d *db.DB) *cloud {
	t.Helper()
	c := identitytest.New(t, d, nil)
	s := osapitest.ServeWith(t, osapi.Config{Auth: c.Service, RequestsPerSecond: -1}, keystone.Dialect(c.Service))
	err := c.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: "x", Catalog: []identity.BootstrapService{
		{Type: "identity", Name: "keystone", URL: s.URL + "/identity/v3"},
		{Type: "volumev3", Name: "cinder", URL: s.URL + "/volume/v3/$(project_id)s"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &cloud{
		c, s, c.Token(t, "admin", identitytest.AdminPassword, "admin"), c.Token(t, "demo", identitytest.DemoPassword, "demo"),
		c.RoleID(t, identity.RoleMember),
	}
}

func passwordAuth(user, password string, scope any) object {
	return object{"auth": object{"scope": scope, "identity": object{"methods": []string{"password"}, "password": object{
		"user": object{"name": user, "domain": object{"id": "default"}, "password": password},
	}}}}
}

func TestGophercloud(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, ctx := boot(t, d), t.Context()
		provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
			IdentityEndpoint: c.URL + "/identity/v3", Username: "admin", Password: identitytest.AdminPassword,
			DomainName: "Default", Scope: &gophercloud.AuthScope{ProjectName: "admin", DomainName: "Default"},
		})
		if err != nil {
			t.Fatal(err)
		}
		client, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{})
		if err != nil {
			t.Fatal(err)
		}
		project, err := projects.Create(ctx, client, projects.CreateOpts{Name: "p", Description: "d", Tags: []string{"a"}}).Extract()
		if err != nil || project.DomainID != "default" || !project.Enabled || project.Tags[0] != "a" {
			t.Fatalf("%+v, %v", project, err)
		}
		user, err := users.Create(ctx, client, users.CreateOpts{Name: "u", Password: "secret", DefaultProjectID: project.ID, Extra: map[string]any{"email": "u@example.com"}}).Extract()
		if err != nil || user.Extra["email"] != "u@example.com" {
			t.Fatalf("%+v, %v", user, err)
		}
		if err := roles.Assign(ctx, client, c.RoleID(t, "member"), roles.AssignOpts{UserID: user.ID, ProjectID: project.ID}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		created := tokens.Create(ctx, client, &tokens.AuthOptions{Username: "u", Password: "secret", DomainName: "Default"})
		got, err := created.ExtractProject()
		if err != nil || got == nil || got.ID != project.ID {
			t.Fatalf("the default project: %+v, %v", got, err)
		}
		token, err := created.ExtractToken()
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := tokens.Validate(ctx, client, token.ID); !ok || err != nil {
			t.Errorf("valid: %v, %v", ok, err)
		}
		if err := users.Delete(ctx, client, user.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if ok, _ := tokens.Validate(ctx, client, token.ID); ok {
			t.Error("the token of a deleted user is valid")
		}
		if err := projects.Delete(ctx, client, project.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if _, err := projects.Get(ctx, client, project.ID).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Errorf("a deleted project: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	inDemo := object{"project": object{"name": "demo", "domain": object{"id": "default"}}}
	good := passwordAuth("demo", identitytest.DemoPassword, inDemo)
	for _, x := range []struct {
		name     string
		body     any
		status   int
		contains string
	}{
		{"project", good, 201, `"is_domain":false`},
		{"unscoped, as a word", passwordAuth("demo", identitytest.DemoPassword, "unscoped"), 201, `"methods":["password"]`},
		{"unscoped, as an object", passwordAuth("demo", identitytest.DemoPassword, object{"unscoped": object{}}), 201, `"methods":["password"]`},
		{"system", passwordAuth("admin", identitytest.AdminPassword, object{"system": object{"all": true}}), 201, `"system":{"all":true}`},
		{"token", object{"auth": object{"identity": object{"methods": []string{"token"}, "token": object{"id": c.demo}}, "scope": inDemo}}, 201, `"methods":["token","password"]`},
		{"wrong password", passwordAuth("demo", "x", inDemo), 401, `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`},
		{"no role", passwordAuth("demo", identitytest.DemoPassword, object{"project": object{"name": "admin", "domain": object{"id": "default"}}}), 401, `"code":401`},
		{"unknown method", object{"auth": object{"identity": object{"methods": []string{"magic"}}}}, 401, "unsupported method"},
		{"no method", object{"auth": object{"identity": object{"methods": []string{}}}}, 400, "'methods'"},
		{"no payload", object{"auth": object{"identity": object{"methods": []string{"password"}}}}, 400, "Expecting to find password"},
		{"no domain", passwordAuth("demo", "x", object{"project": object{"name": "demo"}}), 400, "Expecting to find domain in project"},
		{"a scope that is none", passwordAuth("demo", "x", object{"galaxy": 1}), 400, `(\"galaxy\" was unexpected in \"auth.scope\")`},
		{"a scope that is another word", passwordAuth("demo", "x", "everywhere"), 400, `everywhere`},
		{"wrong types", `{"auth": {"identity": {"methods": "password"}}}`, 400, `auth.identity.methods`},
		{"no body", nil, 400, "JSON body"},
	} {
		got := c.Do("", "POST", "/identity/v3/auth/tokens", x.body)
		if got.Status != x.status || !strings.Contains(got.Text, x.contains) {
			t.Errorf("%s: %d %.300s; want %d %s", x.name, got.Status, got.Text, x.status, x.contains)
		}
		if (got.Status == 201) != (got.Header.Get("X-Subject-Token") != "") || got.Header.Get("Vary") != "X-Auth-Token" {
			t.Errorf("%s: headers %v", x.name, got.Header)
		}
	}

	token := c.Do("", "POST", "/identity/v3/auth/tokens", good).Header.Get("X-Subject-Token")
	subject := "X-Subject-Token: " + token
	for _, x := range []struct {
		caller, method, subject string
		status                  int
	}{
		{c.demo, "GET", subject, 200}, {c.admin, "HEAD", subject, 200}, {c.demo, "GET", "X-Subject-Token: " + c.admin, 403},
		{c.admin, "GET", "X-Subject-Token: nonsense", 404}, {c.admin, "GET", "X-None: x", 400}, {"", "GET", subject, 401},
		{c.demo, "DELETE", "X-Subject-Token: " + c.admin, 403}, {c.demo, "DELETE", subject, 204}, {c.admin, "GET", subject, 404}, {token, "GET", subject, 401},
	} {
		if got := c.Do(x.caller, x.method, "/identity/v3/auth/tokens", nil, x.subject); got.Status != x.status {
			t.Errorf("%s %.30s: %d %s, want %d", x.method, x.subject, got.Status, got.Text, x.status)
		}
	}
	if got := c.Do(c.admin, "GET", "/identity/v3/auth/tokens?nocatalog", nil, "X-Subject-Token: "+c.admin); strings.Contains(got.Text, "catalog") {
		t.Error("nocatalog has a catalog")
	}
}

// What is not the caller's own is refused, and it makes no difference whether it exists.
func TestWhoSeesWhat(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	admin, err := c.Users(t.Context(), identity.UserFilter{Name: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]int{ // demo's and the admin's
		"/users":                                    {403, 200},
		"/users/" + c.Demo.ID:                       {200, 200},
		"/users/" + admin[0].ID:                     {403, 200},
		"/users/none":                               {403, 404},
		"/users/" + c.Demo.ID + "/projects":         {200, 200},
		"/users/" + admin[0].ID + "/projects":       {403, 200},
		"/users/" + c.Demo.ID + "/groups":           {200, 200},
		"/users/" + admin[0].ID + "/groups":         {403, 200},
		"/projects":                                 {403, 200},
		"/projects/" + c.DemoProject.ID:             {200, 200},
		"/projects/none":                            {403, 404},
		"/domains/default":                          {200, 200},
		"/domains/none":                             {403, 404},
		"/roles":                                    {403, 200},
		"/role_assignments":                         {403, 200},
		"/role_assignments?include_names&effective": {403, 200},
		"/role_inferences":                          {403, 200},
		"/services":                                 {403, 200},
		"/endpoints":                                {403, 200},
		"/regions":                                  {200, 200},
		"/auth/projects":                            {200, 200},
		"/auth/domains":                             {200, 200},
		"/auth/system":                              {200, 200},
		"/auth/catalog":                             {200, 200},
		"/nonsense":                                 {404, 404},
		"/users/" + c.Demo.ID + "/roles":            {404, 404},
		"/system/users/" + admin[0].ID + "/roles":   {403, 200},
		"/domains/default/users/" + c.Demo.ID + "/roles": {403, 200},
	} {
		for i, token := range []string{c.demo, c.admin} {
			if got := c.Do(token, "GET", "/identity/v3"+path, nil); got.Status != want[i] {
				t.Errorf("%s: %d %s, want %d", path, got.Status, got.Text, want[i])
			}
		}
	}
}

func TestWriting(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		member := c.RoleID(t, "member")
		ids := map[string]string{"MEMBER": member, "DEMO": c.Demo.ID, "PROJECT": c.DemoProject.ID}
		for _, x := range []struct {
			method, path, body string
			status             int
			contains           string
			keep               string // the id of this thing, for later paths
		}{
			{"POST", "/domains", `{"domain": {"name": "bank"}}`, 201, `"enabled":true`, "domain"},
			{"POST", "/domains", `{"domain": {"name": "bank"}}`, 409, `"title":"Conflict"`, ""},
			{"PATCH", "/domains/$domain", `{"domain": {"enabled": false, "colour": "red"}}`, 200, `"colour":"red"`, ""},
			{"PATCH", "/domains/$domain", `{"domain": {"colour": null}}`, 200, `"description":""`, ""},
			{"DELETE", "/domains/$domain", ``, 204, ``, ""},
			{"DELETE", "/domains/$domain", ``, 404, `Could not find domain`, ""},
			{"POST", "/projects", `{"project": {"name": ""}}`, 400, `name`, ""},
			{"POST", "/projects", `{"project": {"name": 1}}`, 400, `project.name`, ""},
			{"POST", "/projects", `{"project": {"name": "x", "domain_id": "none"}}`, 404, `domain`, ""},
			{"POST", "/projects", `{"project": {"name": "x", "parent_id": "$PROJECT", "email": "e"}}`, 201, `"email":"e"`, "project"},
			{"PATCH", "/projects/$project", `{"project": {"id": "other"}}`, 400, `ID`, ""},
			{"PATCH", "/projects/$project", `{"project": {"domain_id": "other"}}`, 403, `do not change`, ""},
			{"PATCH", "/projects/$project", `{"project": {"name": "demo"}}`, 409, `demo`, ""},
			{"PATCH", "/projects/$project", `{"project": {"enabled": false, "tags": ["t"]}}`, 200, `"tags":["t"]`, ""},
			{"POST", "/users", `{"user": {"name": "u", "password": "p1", "default_project_id": "$project", "options": {"lock_password": false}}}`, 201, `"password_expires_at":null`, "user"},
			{"PATCH", "/users/$user", `{"user": {"default_project_id": null, "description": "d"}}`, 200, `"description":"d"`, ""},
			{"POST", "/users/$user/password", `{"user": {"original_password": "no", "password": "p2"}}`, 401, ``, ""},
			{"POST", "/users/$user/password", `{"user": {"original_password": "p1", "password": "p2"}}`, 204, ``, ""},
			{"POST", "/users/$user/password", `{"user": {"original_password": "p1", "password": "p2"}}`, 401, ``, ""},
			{"PUT", "/projects/$project/users/$user/roles/$MEMBER", ``, 204, ``, ""},
			{"PUT", "/projects/$project/users/$user/roles/$MEMBER", ``, 204, ``, ""},
			{"HEAD", "/projects/$project/users/$user/roles/$MEMBER", ``, 204, ``, ""},
			{"GET", "/projects/$project/users/$user/roles", ``, 200, `"name":"member"`, ""},
			{"GET", "/role_assignments?user.id=$user&include_names=True", ``, 200, `"project":{"domain":{"id":"default","name":"Default"}`, ""},
			{"GET", "/role_assignments?user.id=$user&effective&role.id=$MEMBER", ``, 200, `"role":{"id":"$MEMBER"}`, ""},
			{"DELETE", "/projects/$project/users/$user/roles/$MEMBER", ``, 204, ``, ""},
			{"HEAD", "/projects/$project/users/$user/roles/$MEMBER", ``, 404, ``, ""},
			{"PUT", "/projects/none/users/$user/roles/$MEMBER", ``, 404, `project`, ""},
			{"PUT", "/system/users/$user/roles/$MEMBER", ``, 204, ``, ""},
			{"GET", "/role_assignments?scope.system=all&user.id=$user", ``, 200, `"system":{"all":true}`, ""},
			{"POST", "/roles", `{"role": {"name": "auditor"}}`, 201, `"description":null`, "role"},
			{"PATCH", "/roles/$role", `{"role": {"description": "reads"}}`, 200, `"reads"`, ""},
			{"PATCH", "/roles/$MEMBER", `{"role": {"name": "boss"}}`, 403, `immutable`, ""},
			{"DELETE", "/roles/$role", ``, 204, ``, ""},
			{"POST", "/regions", `{"region": {"id": "north"}}`, 201, `"parent_region_id":null`, ""},
			{"POST", "/regions", `{"region": {"id": "north"}}`, 409, `north`, ""},
			{"POST", "/services", `{"service": {"type": "dns", "name": "designate", "description": "names"}}`, 201, `"enabled":true`, "service"},
			{"POST", "/endpoints", `{"endpoint": {"service_id": "$service", "interface": "public", "region_id": "north", "url": "http://dns"}}`, 201, `"region":"north"`, "endpoint"},
			{"POST", "/endpoints", `{"endpoint": {"service_id": "none", "interface": "public", "url": "http://dns"}}`, 400, `service`, ""},
			{"POST", "/endpoints", `{"endpoint": {"service_id": "$service", "interface": "secret", "url": "http://dns"}}`, 400, `interface`, ""},
			{"PATCH", "/endpoints/$endpoint", `{"endpoint": {"url": "http://dns2"}}`, 200, `http://dns2`, ""},
			{"DELETE", "/regions/north", ``, 403, `endpoints`, ""},
			{"DELETE", "/services/$service", ``, 204, ``, ""},
			{"GET", "/endpoints/$endpoint", ``, 404, `endpoint`, ""},
			{"DELETE", "/regions/north", ``, 204, ``, ""},
			{"DELETE", "/users/$user", ``, 204, ``, ""},
			{"DELETE", "/projects/$project", ``, 204, ``, ""},
			{"DELETE", "/projects/$project", ``, 404, ``, ""},
		} {
			fill := func(s string) string {
				for name, id := range ids {
					s = strings.ReplaceAll(s, "$"+name, id)
				}
				return s
			}
			var body any
			if x.body != "" {
				body = fill(x.body)
			}
			got := c.Do(c.admin, x.method, "/identity/v3"+fill(x.path), body)
			if got.Status != x.status || !strings.Contains(got.Text, fill(x.contains)) {
				t.Fatalf("%s %s %s: %d %s; want %d %s", x.method, x.path, x.body, got.Status, got.Text, x.status, x.contains)
			}
			if x.keep != "" {
				ids[x.keep] = got.Body[x.keep].(object)["id"].(string)
			}
		}
	})
}
