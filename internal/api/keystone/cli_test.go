package keystone_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

// The openstack CLI, as distributions ship it, manages users and projects.
func TestCLI(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	as := c.cli(t)
	admin := as("admin", identitytest.AdminPassword, "admin")
	for _, x := range []struct{ command, want string }{
		{"token issue -f value -c project_id", ""},
		{"catalog list", "keystone"},
		{"endpoint list", "/identity/v3"},
		{"service list", "volumev3"},
		{"project list -f value -c Name", "demo"},
		{"project create --description tenants tenants -f value -c name", "tenants"},
		{"user create --project tenants --password pw --email u@example.com ulla -f value -c name", "ulla"},
		{"role add --project tenants --user ulla member", ""},
		{"role assignment list --project tenants --names", "ulla@Default"},
		{"user show ulla", "u@example.com"},
		{"project set --disable tenants", ""},
		{"project show tenants -f value -c enabled", "False"},
		{"project set --enable tenants", ""},
		{"domain list", "Default"},
	} {
		if out, err := admin(strings.Fields(x.command)...); err != nil || !strings.Contains(out, x.want) {
			t.Fatalf("openstack %s: %v\n%s", x.command, err, out)
		}
	}
	ulla := as("ulla", "pw", "tenants")
	out, err := ulla("token", "issue", "-f", "json")
	var token struct{ ID, Expires string }
	if err != nil || json.Unmarshal([]byte(out), &token) != nil || token.ID == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := ulla("user", "create", "mallory"); err == nil || !strings.Contains(out, "not authorized") {
		t.Errorf("a member makes users: %v\n%s", err, out)
	}
	if out, err := admin("token", "revoke", token.ID); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if got := c.Do(token.ID, "GET", "/identity/v3/auth/projects", nil); got.Status != 401 {
		t.Errorf("the revoked token still works: %d", got.Status)
	}
	for _, command := range []string{"user delete ulla", "project delete tenants"} {
		if out, err := admin(strings.Fields(command)...); err != nil {
			t.Errorf("openstack %s: %v\n%s", command, err, out)
		}
	}
}

// cli gives the distribution's openstack command as one user in one project.
func (c *cloud) cli(t *testing.T) func(user, password, project string, more ...string) func(arguments ...string) (string, error) {
	t.Helper()
	const program = "/usr/bin/openstack" // the distribution's, whatever else PATH has
	if _, err := os.Stat(program); err != nil {
		t.Skip("python3-openstackclient is not installed")
	}
	if testing.Short() {
		t.Skip("each command takes seconds to start")
	}
	home := t.TempDir()
	return func(user, password, project string, more ...string) func(arguments ...string) (string, error) {
		return func(arguments ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), program, arguments...)
			cmd.Env = append([]string{
				"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + c.URL + "/identity",
			}, more...)
			if user != "" {
				cmd.Env = append(cmd.Env, "OS_USERNAME="+user, "OS_PASSWORD="+password, "OS_USER_DOMAIN_NAME=Default")
			}
			if project != "" {
				cmd.Env = append(cmd.Env, "OS_PROJECT_NAME="+project, "OS_PROJECT_DOMAIN_NAME=Default")
			}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
	}
}

// The CLI's stories of groups, roles, application credentials, trusts and limits.
func TestCLIAccess(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	as := c.cli(t)
	admin := as("admin", identitytest.AdminPassword, "admin")
	demo := as("demo", identitytest.DemoPassword, "demo")
	run := func(who func(...string) (string, error), command, want string) string {
		t.Helper()
		out, err := who(strings.Fields(command)...)
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("openstack %s: %v\n%s", command, err, out)
		}
		return strings.TrimSpace(out)
	}
	run(admin, "group create --description people tellers -f value -c name", "tellers")
	run(admin, "user create --password pw tom -f value -c name", "tom")
	run(admin, "group add user tellers tom", "")
	run(admin, "group contains user tellers tom", "tom in group tellers")
	run(admin, "role create teller -f value -c name", "teller")
	run(admin, "implied role create teller --implied-role reader", "implies")
	run(admin, "implied role list", "teller")
	run(admin, "role add --group tellers --project demo teller", "")
	run(admin, "role assignment list --group tellers --names", "tellers@Default")
	run(admin, "role assignment list --user tom --effective --names", "reader")
	run(admin, "role add --user tom --domain default --inherited member", "")
	run(admin, "role assignment list --inherited --names --user tom", "Default")
	run(admin, "project set --tag red demo", "")
	run(admin, "project list --tags red -f value -c Name", "demo")
	tom := as("tom", "pw", "demo")
	run(tom, "token issue -f value -c project_id", c.DemoProject.ID)
	run(admin, "group remove user tellers tom", "")

	run(demo, "application credential create --secret s3cret --role reader ci -f value -c id", "")
	id := run(demo, "application credential show ci -f value -c id", "")
	credential := as("", "", "", "OS_AUTH_TYPE=v3applicationcredential", "OS_APPLICATION_CREDENTIAL_ID="+id, "OS_APPLICATION_CREDENTIAL_SECRET=s3cret")
	run(credential, "token issue -f value -c project_id", c.DemoProject.ID)
	if out, err := credential("application", "credential", "create", "more"); err == nil || !strings.Contains(out, "not authorized") {
		t.Errorf("a restricted credential makes another: %v\n%s", err, out)
	}
	run(demo, "application credential delete ci", "")
	if out, err := credential("token", "issue"); err == nil || !strings.Contains(out, "401") {
		t.Errorf("a deleted credential: %v\n%s", err, out)
	}

	// A member may look up neither roles nor projects, so it names them by id: the command would send names as ids.
	trust := run(demo, "trust create --project "+c.DemoProject.ID+" --role "+c.memberID+" "+c.Demo.ID+" "+run(admin, "user show tom -f value -c id", "")+" -f value -c id", "")
	run(demo, "trust show "+trust+" -f value -c trustee_user_id", "")
	trustee := as("tom", "pw", "", "OS_TRUST_ID="+trust)
	run(trustee, "token issue -f value -c project_id", c.DemoProject.ID)
	run(demo, "trust delete "+trust, "")

	run(admin, "registered limit create --service keystone --default-limit 5 doors -f value -c default_limit", "5")
	limit := run(admin, "limit create --project demo --service keystone --resource-limit 7 doors -f value -c id", "")
	run(demo, "limit list -f value", "7")
	run(admin, "limit set --resource-limit 9 "+limit+" -f value -c resource_limit", "9")
	run(admin, "limit delete "+limit, "")
	run(demo, "ec2 credentials create -f value -c access", "")
	run(demo, "credential list -f value -c Type", "ec2")
	run(admin, "domain create --description d bank -f value -c name", "bank")
	run(admin, "domain set --disable bank", "")
	run(admin, "domain delete bank", "")
	run(admin, "role delete teller", "")
}
