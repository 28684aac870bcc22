package keystone_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// belongings are ids of things of each kind, by the segment of a path after which they stand.
type belongings map[string]string

// stranger is a domain with one thing of each kind in it, of which demo has nothing.
func (c *cloud) stranger(t *testing.T) belongings {
	t.Helper()
	ctx := t.Context()
	domain := must(c.CreateDomain(ctx, identity.Domain{Name: "strange", Enabled: true, Tags: []string{"tag"}}))
	project := must(c.CreateProject(ctx, identity.Project{Name: "strange", DomainID: domain.ID, Enabled: true, Tags: []string{"tag"}}))
	user := must(c.CreateUser(ctx, identity.User{Name: "strange", DomainID: domain.ID, Enabled: true}, "pw"))
	group := must(c.CreateGroup(ctx, identity.Group{Name: "strange", DomainID: domain.ID}))
	must(0, c.AddToGroup(ctx, group.ID, user.ID))
	role := must(c.CreateRole(ctx, identity.Role{Name: "strange"}))
	for _, a := range []identity.Assignment{{UserID: user.ID}, {GroupID: group.ID}} {
		a.RoleID, a.Target = role.ID, identity.Target{Kind: identity.OnProject, ID: project.ID}
		must(0, c.Assign(ctx, a))
	}
	signed, _, err := c.Login(ctx, identity.Login{
		Password: &identity.PasswordProof{User: identity.Naming{ID: user.ID}, Password: "pw"}, Scope: identity.Scope{Project: &identity.Naming{ID: project.ID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	caller := must(c.Authenticate(ctx, signed))
	credential, _, err := c.CreateAppCredential(ctx, caller, identity.AppCredential{
		Name: "strange", Rules: []identity.AccessRule{{Service: "compute", Method: "GET", Path: "/"}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	admin := must(c.Users(ctx, identity.UserFilter{Name: "admin"}))[0]
	trust := must(c.CreateTrust(ctx, caller, identity.Trust{TrustorID: user.ID, TrusteeID: admin.ID, ProjectID: project.ID, Roles: []string{role.ID}}))
	ec2 := must(c.CreateCredential(ctx, identity.Credential{
		UserID: user.ID, ProjectID: &project.ID, Type: "ec2", Blob: `{"access": "strange-access", "secret": "s"}`, Extra: identity.Extra{},
	}))
	service := must(c.CatalogServices(ctx, "identity", ""))[0]
	endpoint := must(c.Endpoints(ctx, identity.EndpointFilter{}))[0]
	registered := must(c.CreateRegisteredLimits(ctx, []identity.RegisteredLimit{{ServiceID: service.ID, ResourceName: "things", Default: 3}}))
	limit := must(c.CreateLimits(ctx, []identity.Limit{{ProjectID: &project.ID, Registered: registered[0], Limit: 4}}))
	return belongings{
		"domains": domain.ID, "projects": project.ID, "users": user.ID, "groups": group.ID, "roles": role.ID, "implies": role.ID,
		"application_credentials": credential.ID, "access_rules": credential.Rules[0].ID, "trusts": trust.ID, "credentials": ec2.ID, "OS-EC2": "strange-access",
		"services": service.ID, "endpoints": endpoint.ID, "regions": "RegionOne", "registered_limits": registered[0].ID, "limits": limit[0].ID,
		"policies":        must(c.PutPolicy(ctx, identity.Policy{Type: "text/plain", Blob: "b"})).ID,
		"endpoint_groups": must(c.CreateEndpointGroup(ctx, identity.EndpointGroup{Name: "g"})).ID, "tags": "tag",
	}
}

// path fills a pattern with the ids.
func (b belongings) path(t *testing.T, pattern string) string {
	t.Helper()
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		switch s {
		case "{word}":
			segments[i] = "config"
		case "{group}":
			segments[i] = "ldap"
		case "{option}":
			segments[i] = "url"
		default:
			id, known := b[segments[i-1]]
			if !known {
				t.Fatalf("%s: nothing is known for what follows %q", pattern, segments[i-1])
			}
			segments[i] = id
		}
	}
	return strings.Join(segments, "/")
}

// open are the routes at which everybody may read: what they show belongs to nobody.
func open(r osapi.Route) bool {
	return r.Policy.String() == "public" || strings.HasPrefix(r.Pattern, "/v3/regions") && r.Method == "GET" || strings.HasPrefix(r.Pattern, "/v3/registered_limits") && r.Method == "GET"
}

// At every route with an id, a stranger's thing and one that does not exist are refused alike: same status, same words.
func TestStrangersThings(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	things, nothing := c.stranger(t), belongings{}
	for kind := range things {
		nothing[kind] = strings.Repeat("0", 32)
	}
	tried := 0
	for _, route := range keystone.Dialect(c.Service).Routes {
		if !strings.Contains(route.Pattern, "{") || open(route) {
			continue
		}
		tried++
		var body any
		if route.Method != "GET" && route.Method != "DELETE" {
			body = "{}"
		}
		path, absent := things.path(t, route.Pattern), nothing.path(t, route.Pattern)
		got := c.Do(c.demo, route.Method, "/identity"+path, body)
		missing := c.Do(c.demo, route.Method, "/identity"+absent, body)
		if got.Status != 403 && got.Status != 404 {
			t.Errorf("%s %s: %d %s", route.Method, path, got.Status, got.Text)
		}
		words, others := got.Text, missing.Text
		for kind, id := range things {
			if id != "tag" && id != "RegionOne" {
				words = strings.ReplaceAll(words, id, nothing[kind])
			}
		}
		if got.Status != missing.Status || words != others {
			t.Errorf("%s %s: %d %s; but of what does not exist: %d %s", route.Method, path, got.Status, words, missing.Status, others)
		}
	}
	if tried < 90 {
		t.Errorf("only %d routes have ids", tried)
	}
}

// Ids of strangers in bodies and queries are the same as ids of nothing.
func TestStrangersInBodies(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	things := c.stranger(t)
	blob := `"{\"access\": \"%s\", \"secret\": \"s\"}"`
	for _, x := range []struct{ method, path, body string }{
		{"POST", "/credentials", `{"credential": {"user_id": "ID:users", "type": "cert", "blob": "b"}}`},
		{"POST", "/credentials", `{"credential": {"user_id": "` + c.Demo.ID + `", "project_id": "ID:projects", "type": "ec2", "blob": ` + fmt.Sprintf(blob, "a") + `}}`},
		{"POST", "/users/" + c.Demo.ID + "/credentials/OS-EC2", `{"tenant_id": "ID:projects"}`},
		{"POST", "/users/" + c.Demo.ID + "/application_credentials", `{"application_credential": {"name": "x", "roles": [{"id": "ID:roles"}]}}`},
		{"POST", "/users/" + c.Demo.ID + "/application_credentials", `{"application_credential": {"name": "x", "access_rules": [{"id": "ID:access_rules"}]}}`},
		{"POST", "/OS-TRUST/trusts", `{"trust": {"trustor_user_id": "ID:users", "trustee_user_id": "` + c.Demo.ID + `", "project_id": "ID:projects", "impersonation": true, "roles": [{"id": "ID:roles"}]}}`},
		{"POST", "/OS-TRUST/trusts", `{"trust": {"trustor_user_id": "` + c.Demo.ID + `", "trustee_user_id": "` + c.Demo.ID + `", "project_id": "ID:projects", "impersonation": true, "roles": [{"id": "` + c.memberID + `"}]}}`},
		{"GET", "/credentials?user_id=ID:users", ""},
		{"GET", "/OS-TRUST/trusts?trustor_user_id=ID:users", ""},
		{"GET", "/role_assignments?user.id=ID:users", ""},
		{"GET", "/limits?project_id=ID:projects", ""},
		{"POST", "/auth/tokens", `{"auth": {"identity": {"methods": ["token"], "token": {"id": "` + c.demo + `"}}, "scope": {"project": {"id": "ID:projects"}}}}`},
		{"POST", "/auth/tokens", `{"auth": {"identity": {"methods": ["token"], "token": {"id": "` + c.demo + `"}}, "scope": {"OS-TRUST:trust": {"id": "ID:trusts"}}}}`},
		{"POST", "/auth/tokens", `{"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "ID:application_credentials", "secret": "x"}}}}`},
	} {
		with := func(ids func(kind string) string) (int, string) {
			path, body := x.path, x.body
			for kind := range things {
				path, body = strings.ReplaceAll(path, "ID:"+kind, ids(kind)), strings.ReplaceAll(body, "ID:"+kind, ids(kind))
			}
			var sent any
			if body != "" {
				sent = body
			}
			got := c.Do(c.demo, x.method, "/identity/v3"+path, sent)
			for kind := range things {
				got.Text = strings.ReplaceAll(got.Text, ids(kind), "ID")
			}
			return got.Status, got.Text
		}
		status, text := with(func(kind string) string { return things[kind] })
		absent, words := with(func(kind string) string { return "0000" + kind })
		if status != absent || text != words || (status < 400 && !strings.Contains(text, `"limits":[]`)) {
			t.Errorf("%s %s %s: %d %s; of nothing: %d %s", x.method, x.path, x.body, status, text, absent, words)
		}
	}
}

// Whatever is sent to whatever route: it is never our fault.
func TestNoRouteBreaks(t *testing.T) {
	if testing.Short() {
		t.Skip("every route with a thousand bodies takes a minute")
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, done := boot(t, d), 0
		routes := keystone.Dialect(c.Service).Routes
		for _, route := range routes {
			for name, path := range map[string]string{
				"an id with a quote": "x'--", "a wildcard": "%25", "NUL": "a%00b", "no UTF-8": "%ff", "long": strings.Repeat("x", 5000), "words": "a b",
			} {
				segments := strings.Split(route.Pattern, "/")
				for i, s := range segments {
					if strings.HasPrefix(s, "{") {
						segments[i] = strings.ReplaceAll(path, " ", "%20")
					}
				}
				c.mayNot500(t, name, route.Method, strings.Join(segments, "/"), nil)
			}
			c.mayNot500(t, "a query", route.Method, c.stand(route.Pattern)+"?name=%00&enabled=maybe&domain_id=%ff&tags=%00,&user.id='", nil)
			if route.Method == "GET" || route.Method == "DELETE" {
				continue
			}
			for _, body := range bodies(route.Pattern) {
				if c.mayNot500(t, "a body", route.Method, c.stand(route.Pattern), body) < 300 {
					done++
				}
			}
		}
		if done < 500 {
			t.Errorf("only %d of the bodies got through to the domain", done)
		}
	})
}

// stand fills a pattern with ids that exist, where demo has such a thing.
func (c *cloud) stand(pattern string) string {
	segments := strings.Split(pattern, "/")
	known := belongings{"users": c.Demo.ID, "projects": c.DemoProject.ID, "domains": "default", "roles": c.memberID, "regions": "RegionOne"}
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			if segments[i] = known[segments[i-1]]; segments[i] == "" {
				segments[i] = "config"
			}
		}
	}
	return strings.Join(segments, "/")
}

func (c *cloud) mayNot500(t *testing.T, name, method, path string, body any) int {
	t.Helper()
	got := c.Do(c.admin, method, "/identity"+path, body, "X-Subject-Token: "+c.demo)
	if got.Status >= 500 && got.Status != 501 {
		t.Errorf("%s: %s %.200s %.300s: %d %s", name, method, path, fmt.Sprint(body), got.Status, got.Text)
	}
	if method == "DELETE" && got.Status < 300 || method == "PATCH" && got.Status < 300 { // the ground of the other cases
		c.restore(t)
	}
	return got.Status
}

// restore brings the tokens and what they stand on back after a case that took them away.
func (c *cloud) restore(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must(c.UpdateDomain(ctx, "default", func(d *identity.Domain) error { d.Name, d.Enabled = "Default", true; return nil }))
	if _, err := c.User(ctx, c.Demo.ID); err != nil {
		c.Demo = must(c.CreateUser(ctx, identity.User{ID: c.Demo.ID, Name: "demo", Enabled: true}, identitytest.DemoPassword))
	}
	if _, err := c.Project(ctx, c.DemoProject.ID); err != nil {
		must(c.CreateProject(ctx, identity.Project{ID: c.DemoProject.ID, Name: "demo", Enabled: true}))
	}
	must(c.UpdateUser(ctx, c.Demo.ID, nil, func(u *identity.User) error { u.Name, u.Enabled = "demo", true; return nil }))
	must(c.UpdateProject(ctx, c.DemoProject.ID, func(p *identity.Project) error { p.Name, p.Enabled = "demo", true; return nil }))
	must(0, c.Assign(ctx, identity.Assignment{UserID: c.Demo.ID, Target: identity.Target{Kind: identity.OnProject, ID: c.DemoProject.ID}, RoleID: c.memberID}))
	time.Sleep(time.Millisecond) // a token of the same instant as a revocation is void
	c.admin = c.Token(t, "admin", identitytest.AdminPassword, "admin")
}

// bodies are wrong in every way that a body can be wrong, and in the ways that are wrong for this route.
func bodies(pattern string) []any {
	list := []any{
		"", "null", "[]", "{}", `"x"`, `{"`, "{\"a\": \"\xff\"}", `{"a": 1, "a": 2}`, strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60),
		`{"a": 1e999}`, `{"a": "` + strings.Repeat("x", 1<<20) + `"}`, `{"auth": {"identity": {"methods": ["token", "totp", "application_credential"], "token": {}, "totp": {"user": {}}, "application_credential": {}}}}`,
	}
	fields := []string{
		"name", "description", "enabled", "domain_id", "parent_id", "tags", "options", "password", "default_project_id", "id", "type", "url", "interface",
		"service_id", "region_id", "parent_region_id", "region", "filters", "blob", "user_id", "project_id", "roles", "access_rules", "expires_at", "secret",
		"trustor_user_id", "trustee_user_id", "remaining_uses", "resource_limit", "default_limit", "is_domain", "extra", "links", "tenant_id", "ldap", "x",
	}
	values := []any{nil, true, -1, 1e300, "", "x", "a\x00b", strings.Repeat("ä", 300), []any{}, []any{nil}, []any{"a", "a"}, object{}, object{"id": 1}, object{"immutable": "x"}}
	for _, noun := range nouns(pattern) {
		list = append(list, object{noun: nil}, object{noun: 1}, object{noun: []any{}}, object{noun: []any{nil, 1, object{}}})
		for _, value := range values {
			all := object{}
			for _, field := range fields {
				one := object{"name": "n", "type": "t", "blob": "b", "url": "u", field: value}
				all[field] = value
				list = append(list, object{noun: one})
			}
			list = append(list, object{noun: all}, object{noun: []any{all}})
		}
	}
	for i, body := range list {
		if text, plain := body.(string); plain {
			list[i] = text
		} else {
			list[i] = string(must(json.Marshal(body)))
		}
	}
	return list
}

// nouns are the keys that a body for the pattern may have: its last words, in the singular and as they are.
func nouns(pattern string) (found []string) {
	for _, segment := range strings.Split(pattern, "/") {
		if segment != "" && !strings.HasPrefix(segment, "{") {
			found = []string{segment, strings.TrimSuffix(segment, "s")}
		}
		if stem, ok := strings.CutSuffix(segment, "ies"); ok {
			found = append(found, stem+"y")
		}
	}
	return found
}
