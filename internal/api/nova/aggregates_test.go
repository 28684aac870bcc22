package nova_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

func TestAggregates(t *testing.T) {
	c := start(t, 2)
	a, b := c.Machines[0].ID, c.Machines[1].ID
	made := c.ask(200, Admin, "POST", "/os-aggregates", object{"aggregate": object{"name": "rack 1", "availability_zone": "west"}}, at("2.41")).Body["aggregate"].(map[string]any)
	if got := strings.Join(keys(made), " "); got != "availability_zone created_at deleted deleted_at id name updated_at uuid" {
		t.Errorf("a new one shows %s", got)
	}
	path := fmt.Sprintf("/os-aggregates/%v", made["id"])
	act := func(status int, token, action string, arguments object) map[string]any {
		t.Helper()
		shown, _ := c.ask(status, token, "POST", path+"/action", object{action: arguments}).Body["aggregate"].(map[string]any)
		return shown
	}
	if got := act(200, Admin, "add_host", object{"host": a}); fmt.Sprint(got["hosts"]) != "["+a+"]" || fmt.Sprint(got["metadata"]) != "map[availability_zone:west]" {
		t.Errorf("%v", got)
	}
	act(409, Admin, "add_host", object{"host": a})
	act(404, Admin, "add_host", object{"host": "nowhere"})
	act(400, Admin, "add_host", object{})
	act(404, Admin, "remove_host", object{"host": b})
	act(400, Admin, "fly", object{})
	act(403, Demo, "add_host", object{"host": b})
	if got := act(200, Admin, "set_metadata", object{"metadata": object{"gpu": "yes", "old": nil}}); fmt.Sprint(got["metadata"]) != "map[availability_zone:west gpu:yes]" {
		t.Errorf("%v", got)
	}
	act(400, Admin, "set_metadata", object{"metadata": object{"gpu": strings.Repeat("y", 256)}})
	act(400, Admin, "set_metadata", object{"metadata": object{"availability_zone": "a:b"}})
	for _, body := range []object{{"name": ""}, {"name": strings.Repeat("n", 256)}, {"availability_zone": "x"}, {"name": "x", "more": 1}, {"name": "x", "availability_zone": "a:b"}} {
		c.ask(400, Admin, "POST", "/os-aggregates", object{"aggregate": body})
	}
	c.ask(409, Admin, "POST", "/os-aggregates", object{"aggregate": object{"name": "rack 1"}})
	c.ask(400, Admin, "PUT", path, object{"aggregate": object{}})
	for _, missing := range []string{"/os-aggregates/77", "/os-aggregates/-1", "/os-aggregates/x"} {
		c.ask(404, Admin, "GET", missing, nil)
		c.ask(404, Admin, "DELETE", missing, nil)
	}
	c.ask(403, Demo, "GET", "/os-aggregates", nil)

	if got := c.ask(200, Demo, "GET", "/os-availability-zone", nil).Text; got != `{"availabilityZoneInfo":[{"hosts":null,"zoneName":"nova","zoneState":{"available":true}},{"hosts":null,"zoneName":"west","zoneState":{"available":true}}]}` {
		t.Error(got)
	}
	id := c.create(object{"availability_zone": "west"})
	if got := c.show(Admin, id); got["OS-EXT-AZ:availability_zone"] != "west" || got["OS-EXT-SRV-ATTR:host"] != a {
		t.Errorf("it is in %v on %v", got["OS-EXT-AZ:availability_zone"], got["OS-EXT-SRV-ATTR:host"])
	}
	for query, want := range map[string]string{"availability_zone=west": "web", "availability_zone=nova": ""} {
		if got := c.names(Demo, query, at("2.83")); got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
	act(409, Admin, "remove_host", object{"host": a})
	c.ask(400, Admin, "DELETE", path, nil)
	c.ask(200, Admin, "PUT", path, object{"aggregate": object{"name": "rack 9"}})
}

// A machine is a compute host; to disable its service is to put it into maintenance.
func TestServices(t *testing.T) {
	c := start(t, 1)
	m := c.Machines[0].ID
	service := func() object {
		t.Helper()
		list := c.ask(200, Admin, "GET", "/os-services?binary=nova-compute", nil, at("2.69")).Body["services"].([]any)
		return list[0].(map[string]any)
	}
	if got := service(); got["host"] != m || got["id"] != m || got["status"] != "enabled" || got["state"] != "up" || got["zone"] != "nova" {
		t.Errorf("%v", got)
	}
	c.ask(200, Admin, "PUT", "/os-services/"+m, object{"status": "disabled", "disabled_reason": "a fan"}, at("2.53"))
	if record := c.Machines[0].Record(); !record.Maintenance || record.MaintenanceReason != "a fan" {
		t.Errorf("maintenance %v for %q", record.Maintenance, record.MaintenanceReason)
	}
	if got := service(); got["status"] != "disabled" || got["disabled_reason"] != "a fan" {
		t.Errorf("%v", got)
	}
	if got := c.ask(200, Demo, "GET", "/os-availability-zone", nil).Text; !strings.Contains(got, `"available":false`) {
		t.Error(got)
	}
	c.ask(200, Admin, "PUT", "/os-services/enable", object{"host": m, "binary": "nova-compute"})
	if c.Machines[0].Record().Maintenance {
		t.Error("it is in maintenance still")
	}
	got := c.ask(200, Admin, "PUT", "/os-services/disable-log-reason", object{"host": m, "binary": "nova-compute", "disabled_reason": "again"})
	if fmt.Sprint(got.Body["service"]) != "map[binary:nova-compute disabled_reason:again host:"+m+" status:disabled]" {
		t.Error(got.Text)
	}
	for _, x := range []struct {
		status  int
		path    string
		body    object
		version string
	}{
		{400, m, object{"status": "asleep"}, "2.53"},
		{400, m, object{"status": "enabled", "disabled_reason": "x"}, "2.53"},
		{400, m, object{}, "2.53"},
		{501, m, object{"forced_down": true}, "2.53"},
		{404, c.image, object{"status": "disabled"}, "2.53"},
		{404, "enable", object{"host": "x", "binary": "nova-compute"}, "2.1"},
		{400, "enable", object{"host": m}, "2.1"},
		{400, "disable-log-reason", object{"host": m, "binary": "nova-compute"}, "2.1"},
		{404, "fly", object{"host": m, "binary": "nova-compute"}, "2.1"},
	} {
		c.ask(x.status, Admin, "PUT", "/os-services/"+x.path, x.body, at(x.version))
	}
	c.ask(403, Demo, "PUT", "/os-services/"+m, object{"status": "disabled"}, at("2.53"))
	c.ask(409, Admin, "DELETE", "/os-services/"+m, nil, at("2.53"))
	c.ask(404, Admin, "DELETE", "/os-services/"+c.image, nil, at("2.53"))
}
