package nova_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

func TestQuotas(t *testing.T) {
	c := start(t, 2)
	c.create(nil)
	set := func(status int, token string, limits object) Answer {
		t.Helper()
		return c.ask(status, token, "PUT", "/os-quota-sets/"+DemoProject, object{"quota_set": limits})
	}
	set(403, Demo, object{"instances": 5})
	set(400, Admin, object{"cores": 1}) // two are used
	set(400, Admin, object{"nonsense": 1})
	set(400, Admin, object{"instances": -2})
	set(400, Admin, object{"instances": "many"})
	set(200, Admin, object{"cores": 1, "force": true})
	if got := c.ask(403, Demo, "POST", "/servers", c.server(nil)); !strings.Contains(got.Text, "Quota exceeded for cores: Requested 2, but already used 2 of 1 cores") {
		t.Error(got.Text)
	}
	c.ask(202, Admin, "DELETE", "/os-quota-sets/"+DemoProject, nil)
	c.ask(200, Admin, "PUT", "/os-quota-class-sets/default", object{"quota_class_set": object{"instances": 1}})
	shown := c.ask(200, Demo, "GET", "/os-quota-sets/"+DemoProject+"/detail", nil).Body["quota_set"].(map[string]any)
	if got := fmt.Sprint(shown["instances"], shown["cores"]); got != "map[in_use:1 limit:1 reserved:0] map[in_use:2 limit:-1 reserved:0]" {
		t.Error(got)
	}
	c.ask(403, Demo, "POST", "/servers", c.server(nil))
	set(200, Admin, object{"instances": 2})
	c.create(nil)
}

func TestServerGroups(t *testing.T) {
	c := start(t, 2)
	group := func(policy string) string {
		t.Helper()
		made := c.ask(200, Demo, "POST", "/os-server-groups", object{"server_group": object{"name": "g", "policy": policy}}, at("2.64"))
		return made.Body["server_group"].(map[string]any)["id"].(string)
	}
	apart, together := group("anti-affinity"), group("affinity")
	c.ask(400, Demo, "POST", "/os-server-groups", object{"server_group": object{"name": "g", "policy": "none"}}, at("2.64"))
	c.ask(400, Demo, "POST", "/os-server-groups", object{"server_group": object{"name": "g", "policy": "affinity"}})
	in := func(status int, group string) Answer {
		t.Helper()
		body := c.server(nil)
		body["os:scheduler_hints"] = object{"group": group}
		return c.ask(status, Demo, "POST", "/servers", body)
	}
	id := in(202, apart).Body["server"].(map[string]any)["id"].(string)
	in(202, together)
	if got := in(400, together).Text; !strings.Contains(got, "each server has a machine of its own") && !strings.Contains(got, "Each server has a machine of its own") {
		t.Error(got)
	}
	in(400, "nonsense")
	c.ask(404, Other, "GET", "/os-server-groups/"+apart, nil)
	shown := c.ask(200, Demo, "GET", "/os-server-groups/"+apart, nil, at("2.13")).Body["server_group"].(map[string]any)
	if got := fmt.Sprint(shown["policies"], shown["members"]); got != "[anti-affinity] ["+id+"]" {
		t.Error(got)
	}
	if got := fmt.Sprint(c.show(Demo, id, at("2.71"))["server_groups"]); got != "["+apart+"]" {
		t.Error(got)
	}
	c.ask(204, Demo, "DELETE", "/os-server-groups/"+apart, nil)
	c.ask(404, Demo, "DELETE", "/os-server-groups/"+apart, nil)
}

func TestRebuildOverTheAPI(t *testing.T) {
	c := start(t, 1)
	id, other := c.create(nil), c.Upload()
	rebuild := func(status int, how object, headers ...string) Answer {
		t.Helper()
		return c.ask(status, Demo, "POST", "/servers/"+id+"/action", object{"rebuild": how}, headers...)
	}
	rebuild(400, object{"imageRef": "nonsense"})
	rebuild(400, object{"imageRef": id}) // no image
	rebuild(400, object{"imageRef": other, "key_name": "k"})
	rebuild(400, object{"imageRef": other, "key_name": "k"}, at("2.54"))
	rebuild(400, object{"imageRef": other, "user_data": "not base 64"}, at("2.57"))
	got := rebuild(202, object{"imageRef": other, "name": "new", "metadata": object{"a": "b"}})
	server := got.Body["server"].(map[string]any)
	if server["status"] != "REBUILD" || server["name"] != "new" || server["image"].(map[string]any)["id"] != other || fmt.Sprint(server["metadata"]) != "map[a:b]" {
		t.Error(got.Text)
	}
	rebuild(409, object{"imageRef": other})
	c.Await(id, "active")
}

func TestWhatNovaShowedOfOthers(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	if got := c.ask(200, Demo, "GET", "/images/detail?status=ACTIVE&limit=1", nil).Text; !strings.Contains(got, c.image) {
		t.Error(got)
	}
	c.ask(404, Demo, "GET", "/images", nil, at("2.36"))
	c.ask(200, Demo, "POST", "/images/"+c.image+"/metadata", object{"metadata": object{"a": "b"}})
	c.ask(204, Demo, "DELETE", "/images/"+c.image+"/metadata/a", nil)
	c.ask(404, Demo, "GET", "/images/"+c.image+"/metadata/a", nil)
	c.ask(404, Other, "GET", "/images/"+c.image, nil)
	if got := c.ask(200, Demo, "GET", "/os-tenant-networks", nil).Text; !strings.Contains(got, c.Network.ID) {
		t.Error(got)
	}
	c.ask(200, Admin, "GET", "/servers/"+id+"/diagnostics", nil, at("2.48"))
	c.ask(403, Demo, "GET", "/servers/"+id+"/diagnostics", nil)
	c.ask(400, Admin, "GET", "/os-instance_usage_audit_log/yesterday", nil)
	c.ask(200, Admin, "GET", "/os-instance_usage_audit_log", nil)
	c.ask(404, Admin, "GET", "/os-hosts/nowhere", nil)
	events := func(status int, server string) {
		t.Helper()
		c.ask(status, Admin, "POST", "/os-server-external-events", object{"events": []object{{"name": "network-changed", "server_uuid": server}}})
	}
	events(200, id)
	events(404, c.image)
}
