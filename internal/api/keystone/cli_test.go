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
	const program = "/usr/bin/openstack" // the distribution's, whatever else PATH has
	if _, err := os.Stat(program); err != nil {
		t.Skip("python3-openstackclient is not installed")
	}
	if testing.Short() {
		t.Skip("each command takes seconds to start")
	}
	c := boot(t, dbtest.SQLite(t))
	home := t.TempDir()
	as := func(user, password, project string) func(arguments ...string) (string, error) {
		return func(arguments ...string) (string, error) {
			cmd := exec.CommandContext(t.Context(), program, arguments...)
			cmd.Env = []string{
				"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + c.URL + "/identity",
				"OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + project,
				"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
			}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
	}
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
