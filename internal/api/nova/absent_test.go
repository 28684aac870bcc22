package nova_test

import (
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

// What is not there says so as Nova does.
func TestAbsent(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	for _, x := range []struct {
		status              int
		token, path, at, is string
	}{
		{200, Demo, "/servers/" + id + "/topology", "2.78", `{"nodes":[],"pagesize_kb":null}`},
		{404, Other, "/servers/" + id + "/topology", "2.78", "Instance " + id + " could not be found."},
		{404, Demo, "/servers/" + id + "/topology", "2.77", "The resource could not be found."},
		{404, Admin, "/servers/" + id + "/migrations/7", "2.96", "In-progress live migration 7 is not found for server " + id},
		{200, Demo, "/os-volumes/detail", "2.35", `{"volumes":[]}`},
		{404, Demo, "/os-volumes/x", "2.35", "Volume x could not be found."},
		{404, Demo, "/os-snapshots", "2.36", "The resource could not be found."},
		{410, Demo, "/os-fping", "2.1", "no longer available"},
		{410, Demo, "/servers/" + id + "/os-virtual-interfaces", "2.96", "no longer available"},
		{400, Demo, "/servers?status=nonsense", "2.38", "Invalid filter value"},
		{200, Demo, "/servers?status=nonsense", "2.37", `{"servers":[]}`},
		{200, Demo, "/servers?status=paused", "2.96", `{"servers":[]}`},
		{200, Admin, "/servers?all_tenants=1&locked_by=owner", "2.96", `{"servers":[]}`},
	} {
		if got := c.ask(x.status, x.token, "GET", x.path, nil, at(x.at)); !strings.Contains(got.Text, x.is) {
			t.Errorf("%s: %s", x.path, got.Text)
		}
	}
	made := c.ask(202, Demo, "POST", "/os-volumes_boot", c.server(nil))
	if made.Header.Get("Location") == "" {
		t.Error(made.Text)
	}
	c.ask(501, Demo, "POST", "/os-volumes", object{"volume": object{"size": 1}}, at("2.35"))
}
