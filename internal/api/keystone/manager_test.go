package keystone_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
)

// The manager of a domain runs it and gets nowhere beyond it: not to another domain, not to those who operate the cloud.
func TestDomainManager(t *testing.T) {
	c, ctx := boot(t, dbtest.SQLite(t)), t.Context()
	strange := c.stranger(t)
	bank := must(c.CreateDomain(ctx, identity.Domain{Name: "bank", Enabled: true}))
	mia := must(c.CreateUser(ctx, identity.User{Name: "mia", DomainID: bank.ID, Enabled: true}, "pw"))
	boss := must(c.CreateUser(ctx, identity.User{Name: "boss", DomainID: bank.ID, Enabled: true}, "pw"))
	vault := must(c.CreateProject(ctx, identity.Project{Name: "vault", DomainID: bank.ID, Enabled: true}))
	mighty := must(c.CreateGroup(ctx, identity.Group{Name: "mighty", DomainID: bank.ID}))
	manager, admin, reader := c.RoleID(t, "manager"), c.RoleID(t, "admin"), c.RoleID(t, "reader")
	private := must(c.CreateRole(ctx, identity.Role{Name: "teller", DomainID: bank.ID}))
	inBank := identity.Target{Kind: identity.OnDomain, ID: bank.ID}
	for _, a := range []identity.Assignment{
		{UserID: mia.ID, Target: inBank, RoleID: manager}, {UserID: boss.ID, Target: identity.OnTheSystem, RoleID: admin},
		{GroupID: mighty.ID, Target: inBank, RoleID: admin, Inherited: true},
	} {
		must(0, c.Assign(ctx, a))
	}
	token, _, err := c.Login(ctx, identity.Login{
		Password: &identity.PasswordProof{User: identity.Naming{ID: mia.ID}, Password: "pw"}, Scope: identity.Scope{Domain: &identity.Naming{ID: bank.ID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{
		"BANK": bank.ID, "MIA": mia.ID, "BOSS": boss.ID, "VAULT": vault.ID, "MIGHTY": mighty.ID, "MEMBER": c.memberID, "ADMIN": admin, "READER": reader, "PRIVATE": private.ID,
		"OTHERUSER": strange["users"], "OTHERPROJECT": strange["projects"], "OTHERDOMAIN": strange["domains"], "OTHERGROUP": strange["groups"],
	}
	for _, x := range []struct {
		method, path, body string
		status             int
		keep               string
	}{
		{"GET", "/users", "", 200, ""},
		{"GET", "/users?domain_id=$OTHERDOMAIN", "", 403, ""},
		{"POST", "/users", `{"user": {"name": "u", "password": "p"}}`, 201, "user"},
		{"POST", "/users", `{"user": {"name": "u", "domain_id": "$OTHERDOMAIN"}}`, 403, ""},
		{"POST", "/projects", `{"project": {"name": "p"}}`, 201, "project"},
		{"POST", "/projects", `{"project": {"name": "p", "domain_id": "default"}}`, 403, ""},
		{"POST", "/projects", `{"project": {"name": "p", "parent_id": "$OTHERPROJECT"}}`, 400, ""},
		{"POST", "/projects", `{"project": {"name": "p", "is_domain": true}}`, 403, ""},
		{"POST", "/groups", `{"group": {"name": "g"}}`, 201, "group"},
		{"PUT", "/groups/$group/users/$user", "", 204, ""},
		{"GET", "/groups/$group/users", "", 200, ""},
		{"PUT", "/groups/$group/users/$OTHERUSER", "", 403, ""},
		{"PUT", "/groups/$OTHERGROUP/users/$user", "", 403, ""},
		{"PUT", "/groups/$MIGHTY/users/$MIA", "", 403, ""},
		{"PATCH", "/users/$BOSS", `{"user": {"password": "mine"}}`, 403, ""},
		{"DELETE", "/users/$BOSS", "", 403, ""},
		{"PATCH", "/users/$user", `{"user": {"description": "d"}}`, 200, ""},
		{"PATCH", "/users/$OTHERUSER", `{"user": {"description": "d"}}`, 403, ""},
		{"PUT", "/projects/$project/users/$user/roles/$MEMBER", "", 204, ""},
		{"PUT", "/projects/$project/groups/$group/roles/$READER", "", 204, ""},
		{"PUT", "/projects/$project/users/$user/roles/$PRIVATE", "", 204, ""},
		{"PUT", "/projects/$project/users/$MIA/roles/$ADMIN", "", 403, ""},
		{"PUT", "/domains/$BANK/users/$MIA/roles/$ADMIN", "", 403, ""},
		{"PUT", "/OS-INHERIT/domains/$BANK/users/$MIA/roles/$ADMIN/inherited_to_projects", "", 403, ""},
		{"PUT", "/OS-INHERIT/domains/$BANK/users/$user/roles/$READER/inherited_to_projects", "", 204, ""},
		{"PUT", "/system/users/$user/roles/$READER", "", 403, ""},
		{"PUT", "/projects/$OTHERPROJECT/users/$user/roles/$MEMBER", "", 403, ""},
		{"PUT", "/projects/$project/users/$OTHERUSER/roles/$MEMBER", "", 403, ""},
		{"GET", "/role_assignments?include_names", "", 200, ""},
		{"GET", "/role_assignments?effective&scope.project.id=$project", "", 200, ""},
		{"GET", "/role_assignments?scope.project.id=$project&include_subtree", "", 200, ""},
		{"GET", "/role_assignments?scope.project.id=$OTHERPROJECT&include_subtree", "", 403, ""},
		{"GET", "/domains", "", 200, ""},
		{"PATCH", "/domains/$BANK", `{"domain": {"name": "mine"}}`, 403, ""},
		{"PATCH", "/projects/$OTHERDOMAIN", `{"project": {"enabled": false}}`, 403, ""},
		{"DELETE", "/projects/$OTHERDOMAIN", "", 403, ""},
		{"POST", "/roles", `{"role": {"name": "mine"}}`, 403, ""},
		{"GET", "/roles?domain_id=$BANK", "", 200, ""},
		{"GET", "/roles?domain_id=$OTHERDOMAIN", "", 403, ""},
		{"GET", "/services", "", 403, ""},
		{"DELETE", "/projects/$project", "", 204, ""},
		{"DELETE", "/groups/$group", "", 204, ""},
		{"DELETE", "/users/$user", "", 204, ""},
	} {
		fill := func(text string) string {
			for name, id := range ids {
				text = strings.ReplaceAll(text, "$"+name+"/", id+"/")
				text = strings.ReplaceAll(text, "$"+name+`"`, id+`"`)
				text = strings.ReplaceAll(text, "$"+name+"&", id+"&")
				if strings.HasSuffix(text, "$"+name) {
					text = strings.TrimSuffix(text, "$"+name) + id
				}
			}
			return text
		}
		var body any
		if x.body != "" {
			body = fill(x.body)
		}
		got := c.Do(token, x.method, "/identity/v3"+fill(x.path), body)
		if got.Status != x.status {
			t.Errorf("%s %s %s: %d %s; want %d", x.method, x.path, x.body, got.Status, got.Text, x.status)
		}
		if x.method == "GET" && (strings.Contains(got.Text, strange["users"]) || strings.Contains(got.Text, c.Demo.ID) || strings.Contains(got.Text, strange["projects"])) {
			t.Errorf("%s shows another domain's: %s", x.path, got.Text)
		}
		if x.keep != "" && got.Status == 201 {
			ids[x.keep] = got.Body[x.keep].(object)["id"].(string)
		}
	}
}
