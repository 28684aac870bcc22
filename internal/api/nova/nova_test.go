package nova_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/nova"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/keypair"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

type object = osapi.Object

// cloud is a Compute API over simulated machines.
type cloud struct {
	*Server
	*instancetest.Cloud
	t       *testing.T
	dialect osapi.Dialect
	image   string
}

// console says what it was asked.
type console struct{}

func (console) Tail(_ context.Context, instance string, lines int) (string, error) {
	return fmt.Sprintf("%d lines of %s\nlogin: ", lines, instance), nil
}

// start boots a cloud with so many spares and the flavor "1".
func start(t *testing.T, machines int) *cloud {
	t.Helper()
	specs := make([]machinetest.Spec, machines)
	for n := range specs {
		specs[n].Name = fmt.Sprintf("m%d", n)
	}
	d := dbtest.SQLite(t)
	c := &cloud{t: t, Cloud: instancetest.New(t, d, specs...)}
	flavors := flavor.NewStore(d, c.Clock)
	_, err := flavors.Create(t.Context(), instancetest.Flavor)
	c.Check(err)
	c.dialect = nova.Dialect(nova.Services{
		DB: d, Instances: c.Instances, Flavors: flavors, Keypairs: keypair.NewStore(d, c.Clock), Images: c.Images, Networks: c.Networks, Routers: c.Routers, Groups: c.Groups,
		Machines: c.Service, Console: console{}, Clock: c.Clock,
	})
	c.Server = Serve(t, c.dialect)
	c.image = c.Upload()
	c.Run()
	c.Spares()
	return c
}

// at asks for a microversion.
func at(version string) string { return "OpenStack-API-Version: compute " + version }

// ask demands the status.
func (c *cloud) ask(status int, token, method, path string, body any, headers ...string) Answer {
	c.t.Helper()
	answer := c.Do(token, method, "/compute/v2.1"+path, body, headers...)
	if answer.Status != status {
		c.t.Errorf("%s %s as %s: %d instead of %d: %s", method, path, token, answer.Status, status, answer.Text)
	}
	return answer
}

// server is a body that works, with changes.
func (c *cloud) server(changes object) object {
	server := object{"name": "web", "imageRef": c.image, "flavorRef": "1", "networks": []object{{"uuid": c.Network.ID}}}
	maps.Copy(server, changes)
	for name, value := range server {
		if value == absent {
			delete(server, name)
		}
	}
	return object{"server": server}
}

// absent takes a field out of a body.
const absent = "\x00absent"

// create makes a server of the demo project and waits until it is active.
func (c *cloud) create(changes object, headers ...string) string {
	c.t.Helper()
	answer := c.ask(202, Demo, "POST", "/servers", c.server(changes), headers...)
	server, ok := answer.Body["server"].(map[string]any)
	if !ok {
		c.t.Fatal(answer.Text)
	}
	id := server["id"].(string)
	c.Await(id, instance.Active)
	return id
}

// show is a server as a caller sees it.
func (c *cloud) show(token, id string, headers ...string) object {
	c.t.Helper()
	server, _ := c.ask(200, token, "GET", "/servers/"+id, nil, headers...).Body["server"].(map[string]any) // ask has complained
	return server
}

// names of the servers that a list gives.
func (c *cloud) names(token, query string, headers ...string) string {
	c.t.Helper()
	list, _ := c.ask(200, token, "GET", "/servers/detail?"+query, nil, headers...).Body["servers"].([]any) // ask has complained
	names := []string{}
	for _, item := range list {
		names = append(names, item.(map[string]any)["name"].(string))
	}
	return strings.Join(names, " ")
}

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// Every route below a server says 404 to another tenant, as it does for a server that does not exist.
func TestServersOfOthersDoNotExist(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	bodies := map[string]any{
		"PUT /v2.1/servers/{id}": object{"server": object{"name": "mine"}}, "PUT /v2.1/servers/{id}/metadata": object{"metadata": object{"a": "b"}},
		"POST /v2.1/servers/{id}/metadata": object{"metadata": object{"a": "b"}}, "PUT /v2.1/servers/{id}/metadata/{key}": object{"meta": object{"x": "b"}},
		"PUT /v2.1/servers/{id}/tags":             object{"tags": []string{"a"}},
		"POST /v2.1/servers/{id}/remote-consoles": object{"remote_console": object{"type": "novnc", "protocol": "vnc"}},
	}
	seen := 0
	for _, route := range c.dialect.Routes {
		if !strings.HasPrefix(route.Pattern, "/v2.1/servers/{id}") {
			continue
		}
		if route.Policy.String() == osapi.Admin.String() {
			continue // tenants do not come that far
		}
		if route.Status == http.StatusGone {
			continue // nobody's is there
		}
		seen++
		path := strings.NewReplacer("/v2.1", "", "{key}", "x", "{tag}", "x", "{network}", "x", "{port}", "x", "{volume}", "x", "{request}", "x").Replace(route.Pattern)
		var bodiesOf []any
		if strings.HasSuffix(path, "/action") {
			for _, name := range []string{"os-start", "os-stop", "lock", "unlock", "pause", "trigger_crash_dump", "forceDelete", "os-getConsoleOutput", "createImage", "unpause", "os-resetState"} {
				bodiesOf = append(bodiesOf, object{name: nil})
			}
			bodiesOf = append(bodiesOf, object{"reboot": object{"type": "HARD"}})
		} else {
			bodiesOf = []any{bodies[route.Method+" "+route.Pattern]}
		}
		for _, body := range bodiesOf {
			for _, target := range []string{id, "11111111-2222-3333-4444-555555555555", "no-uuid"} {
				answer := c.Do(Other, route.Method, "/compute/v2.1"+strings.Replace(path, "{id}", target, 1), body, at("2.96"))
				fault, _ := answer.Body["itemNotFound"].(map[string]any)
				if answer.Status != http.StatusNotFound || fault["message"] != "Instance "+target+" could not be found." {
					t.Errorf("%s of %s with %v: %d %s", &route, target, body, answer.Status, answer.Text)
				}
			}
		}
	}
	if seen < 25 {
		t.Errorf("only %d routes were tried", seen)
	}
	if got := c.show(Demo, id); got["status"] != "ACTIVE" || len(got["metadata"].(map[string]any)) != 0 {
		t.Errorf("the server was touched: %v", got)
	}
	if names := c.names(Other, ""); names != "" {
		t.Errorf("another tenant lists %s", names)
	}
	if names := c.names(Admin, "all_tenants=1"); names != "web" {
		t.Errorf("the admin lists %q", names)
	}
}

func TestWhoMay(t *testing.T) {
	c := start(t, 0)
	c.ask(403, Reader, "POST", "/servers", c.server(nil))
	c.ask(403, System, "POST", "/servers", c.server(nil))
	c.ask(403, Demo, "GET", "/servers/detail?all_tenants=1", nil)
	c.ask(403, Demo, "GET", "/servers/detail?status=deleted", nil)
	c.ask(401, "", "GET", "/servers", nil)
	for _, path := range []string{"/os-hypervisors", "/os-hypervisors/detail", "/os-hypervisors/statistics", "/os-services", "/os-migrations",
		"/os-aggregates", "/os-availability-zone/detail", "/os-simple-tenant-usage", "/os-hosts", "/flavors/1/os-flavor-access",
		"/os-quota-sets/" + OtherProject, "/os-simple-tenant-usage/" + OtherProject, "/limits?tenant_id=" + OtherProject} {
		c.ask(403, Demo, "GET", path, nil)
	}
	c.ask(403, Demo, "POST", "/flavors", object{"flavor": object{"name": "x", "ram": 1, "vcpus": 1, "disk": 1}})
	c.ask(403, Demo, "DELETE", "/flavors/1", nil)
	c.ask(400, Demo, "GET", "/"+OtherProject+"/servers", nil)
	c.ask(200, Demo, "GET", "/"+DemoProject+"/servers", nil)
	c.ask(404, Demo, "GET", "/nonsense", nil)
	c.ask(405, Demo, "PATCH", "/servers", nil)
	c.ask(406, Demo, "GET", "/servers", nil, at("2.97"))
}

func TestPrivateFlavorsDoNotExistForOthers(t *testing.T) {
	c := start(t, 0)
	c.ask(200, Admin, "POST", "/flavors", object{"flavor": object{"name": "secret", "id": "s", "ram": "64", "vcpus": 1, "disk": 1, "os-flavor-access:is_public": false}})
	c.ask(200, Admin, "POST", "/flavors/s/action", object{"addTenantAccess": object{"tenant": OtherProject}})
	for _, path := range []string{"/flavors/s", "/flavors/s/os-extra_specs", "/flavors/s/os-extra_specs/x"} {
		c.ask(404, Demo, "GET", path, nil)
	}
	c.ask(200, Other, "GET", "/flavors/s", nil)
	c.ask(400, Demo, "POST", "/servers", c.server(object{"flavorRef": "s"}))
	list := c.ask(200, Admin, "GET", "/flavors/s/os-flavor-access", nil)
	if !strings.Contains(list.Text, OtherProject) {
		t.Error(list.Text)
	}
	c.ask(200, Admin, "POST", "/flavors/s/action", object{"removeTenantAccess": object{"tenant": OtherProject}})
	c.ask(404, Other, "GET", "/flavors/s", nil)
	c.ask(200, Admin, "PUT", "/flavors/s", object{"flavor": object{"description": "hush"}}, at("2.55"))
	c.ask(200, Admin, "POST", "/flavors/s/os-extra_specs", object{"extra_specs": object{"a": "1"}})
	c.ask(200, Admin, "PUT", "/flavors/s/os-extra_specs/b", object{"b": "2"})
	c.ask(400, Admin, "PUT", "/flavors/s/os-extra_specs/b", object{"c": "2"})
	c.ask(200, Admin, "GET", "/flavors/s/os-extra_specs/b", nil)
	c.ask(200, Admin, "DELETE", "/flavors/s/os-extra_specs/b", nil)
	c.ask(404, Admin, "DELETE", "/flavors/s/os-extra_specs/b", nil)
	c.ask(202, Admin, "DELETE", "/flavors/s", nil)
	c.ask(404, Admin, "GET", "/flavors/s", nil)
	for body, why := range map[string]string{
		`{"flavor": {"name": "x", "ram": 1, "vcpus": 1}}`: "no disk", `{"flavor": {"name": "x", "ram": "many", "vcpus": 1, "disk": 1}}`: "words for a number",
		`{"flavor": {"name": "", "ram": 1, "vcpus": 1, "disk": 1}}`: "no name", `{"flavor": {"name": "x", "ram": 0, "vcpus": 1, "disk": 1}}`: "no memory",
		`{"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "description": "d"}}`: "too new", `{"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "more": 1}}`: "unknown",
		`{}`: "nothing", `[]`: "a list", ``: "no body",
	} {
		if got := c.Do(Admin, "POST", "/compute/v2.1/flavors", body); got.Status != 400 {
			t.Errorf("%s: %d %s", why, got.Status, got.Text)
		}
	}
	c.ask(409, Admin, "POST", "/flavors", object{"flavor": object{"name": "bm.small", "ram": 1, "vcpus": 1, "disk": 1}})
}
