package nova_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/instance"
)

func TestFieldsOfVersions(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	had := map[string]bool{}
	for _, name := range keys(c.show(Demo, id)) {
		had[name] = true
	}
	for _, x := range []struct {
		version string
		fields  string
	}{
		{"2.1", ""}, {"2.9", "locked"}, {"2.19", "description"}, {"2.26", "tags"}, {"2.63", "trusted_image_certificates"}, {"2.71", "server_groups"},
		{"2.73", "locked_reason"}, {"2.90", "OS-EXT-SRV-ATTR:hostname"}, {"2.96", "pinned_availability_zone"},
	} {
		var added []string
		for _, name := range keys(c.show(Demo, id, at(x.version))) {
			if !had[name] {
				added = append(added, name)
			}
			had[name] = true
		}
		if got := strings.Join(added, " "); got != x.fields {
			t.Errorf("%s adds %q, want %q", x.version, got, x.fields)
		}
	}
	if flavor := c.show(Demo, id, at("2.46"))["flavor"].(map[string]any); flavor["id"] != "1" {
		t.Errorf("2.46: %v", flavor)
	}
	if flavor := c.show(Demo, id, at("2.47"))["flavor"].(map[string]any); flavor["id"] != nil || flavor["ram"] != 4096.0 {
		t.Errorf("2.47: %v", flavor)
	}
	list := c.ask(200, Demo, "GET", "/servers/detail", nil, at("2.96")).Body["servers"].([]any)[0].(map[string]any)
	if _, ok := list["server_groups"]; ok {
		t.Error("a list shows server_groups")
	}
	got := c.ask(200, Demo, "PUT", "/servers/"+id, object{"server": object{"name": "new"}}, at("2.74")).Body["server"].(map[string]any)
	if _, ok := got["OS-EXT-STS:vm_state"]; ok || got["name"] != "new" {
		t.Errorf("2.74: %v", keys(got))
	}
	got = c.ask(200, Demo, "PUT", "/servers/"+id, object{"server": object{"description": nil}}, at("2.75")).Body["server"].(map[string]any)
	if got["OS-EXT-STS:vm_state"] != "active" {
		t.Errorf("2.75: %v", keys(got))
	}
	for _, body := range []object{{"name": ""}, {"name": " x"}, {"status": "x"}, {"accessIPv4": "x"}, {"description": "d", "more": 1}, {"OS-DCF:diskConfig": "x"}} {
		c.ask(400, Demo, "PUT", "/servers/"+id, object{"server": body}, at("2.19"))
	}
	c.ask(400, Demo, "PUT", "/servers/"+id, object{"server": object{"description": "d"}}, at("2.18"))
}

func TestLists(t *testing.T) {
	c := start(t, 3)
	ids := map[string]string{}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		ids[name] = c.create(object{"name": name, "networks": []object{{"uuid": c.Network.ID, "fixed_ip": fmt.Sprintf("10.20.0.%d", 50+len(ids))}}})
	}
	c.ask(200, Demo, "PUT", "/servers/"+ids["alpha"]+"/tags", object{"tags": []string{"red", "blue"}}, at("2.26"))
	c.ask(200, Demo, "PUT", "/servers/"+ids["beta"]+"/tags", object{"tags": []string{"red"}}, at("2.26"))
	c.ask(202, Demo, "POST", "/servers/"+ids["gamma"]+"/action", object{"lock": nil})
	c.ask(202, Demo, "POST", "/servers/"+ids["beta"]+"/action", object{"os-stop": nil})
	c.Await(ids["beta"], instance.Stopped)
	for _, x := range []struct{ token, query, version, want string }{
		{Demo, "", "2.1", "gamma beta alpha"},
		{Demo, "name=a$&sort_key=display_name&sort_dir=asc", "2.1", "alpha beta gamma"},
		{Demo, "name=^b", "2.1", "beta"},
		{Demo, "status=SHUTOFF", "2.1", "beta"},
		{Demo, "status=active", "2.1", "gamma alpha"},
		{Demo, "status=ACTIVE&status=SHUTOFF", "2.1", "gamma beta alpha"},
		{Demo, "status=UNHEARD_OF", "2.1", ""},
		{Demo, "flavor=1", "2.1", "gamma beta alpha"},
		{Demo, "flavor=2", "2.1", ""},
		{Demo, "image=" + c.image, "2.1", "gamma beta alpha"},
		{Demo, "ip=10.20.0.51", "2.1", "beta"},
		{Demo, "ip=10.20.0.5", "2.1", "gamma beta alpha"},
		{Demo, "ip6=fe", "2.5", ""},
		{Demo, "tags=red", "2.26", "beta alpha"},
		{Demo, "tags=red,blue", "2.26", "alpha"},
		{Demo, "tags-any=red,blue", "2.26", "beta alpha"},
		{Demo, "not-tags=red", "2.26", "gamma"},
		{Demo, "not-tags-any=blue", "2.26", "gamma beta"},
		{Demo, "locked=true", "2.73", "gamma"},
		{Demo, "locked=false", "2.73", "beta alpha"},
		{Demo, "changes-since=2030-01-01T00:00:00Z", "2.1", ""},
		{Demo, "changes-since=2020-01-01T00:00:00", "2.1", "gamma beta alpha"},
		{Demo, "changes-before=2020-01-01T00:00:00Z", "2.66", ""},
		{Demo, "project_id=" + OtherProject, "2.1", "gamma beta alpha"}, // not a tenant's to ask
		{Demo, "nonsense=1", "2.1", "gamma beta alpha"},
		{Demo, "key_name=x", "2.83", ""},
		{Demo, "key_name=x", "2.82", "gamma beta alpha"},
		{Demo, "limit=2", "2.1", "gamma beta"},
		{Demo, "limit=2&marker=" + ids["beta"], "2.1", "alpha"},
		{Admin, "", "2.1", ""},
		{Admin, "all_tenants=True&name=alp", "2.1", "alpha"},
		{Admin, "all_tenants", "2.1", "gamma beta alpha"},
		{Admin, "project_id=" + DemoProject, "2.1", ""}, // Nova wants all_tenants too
		{Admin, "all_tenants=1&project_id=" + DemoProject, "2.1", "gamma beta alpha"},
		{Admin, "all_tenants=1&tenant_id=" + OtherProject, "2.1", ""},
		{Admin, "all_tenants=1&host=" + c.Get(ids["beta"]).Machine, "2.1", "beta"},
		{System, "", "2.1", "gamma beta alpha"},
		{Reader, "name=alpha", "2.1", "alpha"},
	} {
		if got := c.names(x.token, x.query, at(x.version)); got != x.want {
			t.Errorf("%s?%s at %s: %q, want %q", x.token, x.query, x.version, got, x.want)
		}
	}
	first := c.ask(200, Demo, "GET", "/servers?limit=2", nil)
	next := first.Body["servers_links"].([]any)[0].(map[string]any)["href"].(string)
	path := strings.TrimPrefix(next, c.URL)
	if second := c.Do(Demo, "GET", path, nil); !strings.Contains(second.Text, ids["alpha"]) || second.Body["servers_links"] != nil {
		t.Errorf("%s: %s", next, second.Text)
	}
	for _, query := range []string{"limit=x", "limit=-1", "marker=x", "sort_key=nonsense", "sort_key=uuid&sort_dir=up", "name=[", "changes-since=yesterday", "ip=("} {
		c.ask(400, Demo, "GET", "/servers?"+query, nil)
	}
	c.ask(400, Demo, "GET", "/servers?nonsense=1", nil, at("2.75"))
	c.ask(400, Demo, "GET", "/servers?locked=perhaps", nil, at("2.73"))

	c.ask(204, Demo, "DELETE", "/servers/"+ids["alpha"], nil)
	c.Await(ids["alpha"], instance.Deleted)
	for query, want := range map[string]string{"all_tenants=1&deleted=true": "alpha", "all_tenants=1&status=deleted": "alpha", "all_tenants=1": "gamma beta"} {
		if got := c.names(Admin, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := c.names(Demo, "changes-since=2020-01-01T00:00:00Z"); got != "gamma beta alpha" {
		t.Errorf("with what is gone: %q", got)
	}
	c.ask(200, Demo, "GET", "/servers/"+ids["alpha"]+"/os-instance-actions", nil, at("2.21"))
	c.ask(404, Demo, "GET", "/servers/"+ids["alpha"]+"/os-instance-actions", nil, at("2.20"))
}

func TestCrashDump(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	act := func(status int, token string, body any, version string) Answer {
		t.Helper()
		return c.ask(status, token, "POST", "/servers/"+id+"/action", body, at(version))
	}
	dump := object{"trigger_crash_dump": nil}
	act(404, Demo, dump, "2.16")
	act(404, Other, dump, "2.17")
	act(403, Reader, dump, "2.17")
	act(400, Demo, object{"trigger_crash_dump": object{}}, "2.17")
	act(202, Demo, dump, "2.17")
	c.Eventually("the interrupt to arrive", func() bool { return c.On(c.Get(id)).Interrupts() == 1 })
	action := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions", nil).Body["instanceActions"].([]any)[0].(map[string]any)
	if action["action"] != "trigger_crash_dump" || action["message"] != nil || action["user_id"] != "user-demo" {
		t.Errorf("%v", action)
	}
	shown := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions/"+action["request_id"].(string), nil, at("2.84")).Body["instanceAction"].(map[string]any)
	events := shown["events"].([]any)
	if len(events) != 1 || events[0].(map[string]any)["event"] != "inject-nmi" || events[0].(map[string]any)["result"] != "Success" || events[0].(map[string]any)["host"] != nil {
		t.Errorf("%v", events)
	}
	c.ask(202, Demo, "POST", "/servers/"+id+"/action", object{"os-stop": nil})
	c.Await(id, instance.Stopped)
	if got := act(409, Demo, dump, "2.96"); !strings.Contains(got.Text, "Cannot 'trigger_crash_dump' instance "+id+" while it is in vm_state stopped") {
		t.Error(got.Text)
	}
}

// Horizon's form always names an image: the server's own is as good as none, which is Nova's rule.
func TestRescueNamesNoOtherImage(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	rescue := func(status int, image any) Answer {
		t.Helper()
		return c.ask(status, Demo, "POST", "/servers/"+id+"/action", object{"rescue": object{"rescue_image_ref": image, "adminPass": ""}})
	}
	rescue(400, id)
	rescue(400, 7)
	if got := rescue(200, c.Get(id).Image); got.Body["adminPass"] == "" {
		t.Error("an empty password lets everybody in")
	}
	c.Await(id, instance.Rescued)
}

func TestActions(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	act := func(status int, token string, body any, headers ...string) Answer {
		t.Helper()
		return c.ask(status, token, "POST", "/servers/"+id+"/action", body, headers...)
	}
	for _, name := range []string{"createImage", "resize", "pause", "suspend", "shelve", "changePassword", "createBackup"} {
		if got := act(501, Demo, object{name: nil}); !strings.Contains(got.Text, `"notImplemented"`) {
			t.Errorf("%s: %s", name, got.Text)
		}
	}
	for _, name := range []string{"unpause", "resume", "unshelve", "unrescue", "confirmResize", "revertResize"} {
		if got := act(409, Demo, object{name: nil}); !strings.Contains(got.Text, "Cannot '"+name+"' instance "+id+" while it is in vm_state active") {
			t.Errorf("%s: %s", name, got.Text)
		}
	}
	for _, name := range []string{"evacuate", "migrate", "os-migrateLive"} {
		act(403, Demo, object{name: nil})
		act(501, Admin, object{name: nil})
	}
	act(400, Demo, object{"fly": nil})
	act(400, Demo, object{})
	act(400, Demo, object{"os-start": nil, "os-stop": nil})
	act(400, Demo, object{"reboot": object{"type": "MAYBE"}})
	act(400, Demo, object{"reboot": nil})
	act(409, Demo, object{"os-start": nil})
	for _, kind := range []string{"os-getVNCConsole", "os-getSPICEConsole", "os-getSerialConsole", "os-getRDPConsole"} {
		if got := act(400, Demo, object{kind: object{"type": "novnc"}}); !strings.Contains(got.Text, "Unavailable console type novnc.") {
			t.Errorf("%s: %s", kind, got.Text)
		}
	}
	c.ask(400, Demo, "POST", "/servers/"+id+"/remote-consoles", object{"remote_console": object{"protocol": "vnc", "type": "novnc"}}, at("2.8"))
	for lines, want := range map[string]string{`{"length": 35}`: "35 lines", `{"length": "7"}`: "7 lines", `{"length": null}`: "-1 lines", `null`: "-1 lines", `{}`: "-1 lines"} {
		if got := act(200, Demo, `{"os-getConsoleOutput": `+lines+`}`); !strings.HasPrefix(got.Body["output"].(string), want) {
			t.Errorf("%s: %s", lines, got.Text)
		}
	}
	for _, lines := range []string{`{"length": -5}`, `{"length": 1.5}`, `{"length": "x"}`, `{"length": []}`, `{"more": 1}`} {
		act(400, Demo, `{"os-getConsoleOutput": `+lines+`}`)
	}

	act(202, Demo, object{"lock": object{"locked_reason": "do not touch"}}, at("2.73"))
	act(400, Demo, object{"lock": object{"locked_reason": "x"}}, at("2.72"))
	if got := c.show(Demo, id, at("2.73")); got["locked"] != true || got["locked_reason"] != "do not touch" {
		t.Errorf("%v %v", got["locked"], got["locked_reason"])
	}
	for _, body := range []object{{"os-stop": nil}, {"reboot": object{"type": "HARD"}}, {"forceDelete": nil}} {
		if got := act(409, Demo, body); !strings.Contains(got.Text, "Instance "+id+" is locked") {
			t.Errorf("%v: %s", body, got.Text)
		}
	}
	c.ask(409, Demo, "DELETE", "/servers/"+id, nil)
	c.ask(409, Demo, "PUT", "/servers/"+id+"/metadata", object{"metadata": object{}})
	act(202, Demo, object{"unlock": nil})
	act(202, Admin, object{"lock": nil})
	act(403, Demo, object{"unlock": nil})
	act(202, Admin, object{"unlock": nil})

	act(403, Demo, object{"os-resetState": object{"state": "error"}})
	act(400, Admin, object{"os-resetState": object{"state": "purple"}})
	act(202, Admin, object{"os-resetState": object{"state": "error"}})
	if got := c.show(Demo, id); got["status"] != "ERROR" {
		t.Errorf("%v", got["status"])
	}
	act(202, Demo, object{"reboot": object{"type": "HARD"}})
	if got := c.show(Demo, id)["status"]; got != "HARD_REBOOT" && got != "ACTIVE" {
		t.Errorf("%v", got)
	}
	c.Await(id, instance.Active)
	act(202, Demo, object{"forceDelete": nil})
	c.Await(id, instance.Deleted)
}

func TestRescue(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	act := func(status int, token string, body any) Answer {
		t.Helper()
		return c.ask(status, token, "POST", "/servers/"+id+"/action", body)
	}
	act(409, Demo, object{"unrescue": nil})
	if got := act(400, Demo, object{"rescue": object{"rescue_image_ref": "155d900f-4e14-4e4c-a73d-069cbf4541e6"}}); !strings.Contains(got.Text, "leave rescue_image_ref out") {
		t.Error(got.Text)
	}
	for _, how := range []object{{"adminPass": 7}, {"more": 1}} {
		act(400, Demo, object{"rescue": how})
	}
	act(404, Other, object{"rescue": nil})
	if got := act(200, Demo, object{"rescue": object{"adminPass": "MySecretPass"}}); got.Body["adminPass"] != "MySecretPass" {
		t.Error(got.Text)
	}
	c.Await(id, instance.Rescued)
	if got := c.show(Demo, id); got["status"] != "RESCUE" || got["OS-EXT-STS:vm_state"] != "rescued" {
		t.Errorf("%v", got)
	}
	if got := c.names(Demo, "status=RESCUE"); got != "web" {
		t.Errorf("by its status: %q", got)
	}
	if got := act(409, Demo, object{"reboot": object{"type": "HARD"}}); !strings.Contains(got.Text, "Cannot 'reboot' instance "+id+" while it is in vm_state rescued") {
		t.Error(got.Text)
	}
	if got := act(409, Demo, object{"rebuild": object{"imageRef": c.show(Demo, id)["image"].(object)["id"]}}); !strings.Contains(got.Text, "conflictingRequest") {
		t.Error(got.Text)
	}
	act(202, Demo, object{"unrescue": nil})
	c.Await(id, instance.Active)
	for _, body := range []any{object{"rescue": nil}, object{"rescue": object{"adminPass": ""}}} {
		if got := act(200, Demo, body); len(got.Body["adminPass"].(string)) < 12 {
			t.Error(got.Text)
		}
		c.Await(id, instance.Rescued)
		act(202, Demo, object{"unrescue": nil})
		c.Await(id, instance.Active)
	}
}

func TestMetadataAndTags(t *testing.T) {
	c := start(t, 1)
	base := "/servers/" + c.create(nil)
	c.ask(200, Demo, "POST", base+"/metadata", object{"metadata": object{"a": "1", "b": "2"}})
	c.ask(200, Demo, "PUT", base+"/metadata/c", object{"meta": object{"c": "3"}})
	c.ask(400, Demo, "PUT", base+"/metadata/c", object{"meta": object{"d": "3"}})
	c.ask(204, Demo, "DELETE", base+"/metadata/a", nil)
	c.ask(404, Demo, "DELETE", base+"/metadata/a", nil)
	c.ask(404, Demo, "GET", base+"/metadata/a", nil)
	if got := c.ask(200, Demo, "GET", base+"/metadata", nil); fmt.Sprint(got.Body) != "map[metadata:map[b:2 c:3]]" {
		t.Error(got.Text)
	}
	if got := c.ask(200, Demo, "PUT", base+"/metadata", object{"metadata": object{"x": "y"}}); fmt.Sprint(got.Body) != "map[metadata:map[x:y]]" {
		t.Error(got.Text)
	}
	c.ask(400, Demo, "POST", base+"/metadata", object{"metadata": object{"a": 1}})
	c.ask(400, Demo, "POST", base+"/metadata", object{})
	c.ask(403, Demo, "POST", base+"/metadata", object{"metadata": many(128)}) // with the one that is there

	c.ask(404, Demo, "GET", base+"/tags", nil, at("2.25"))
	c.ask(201, Demo, "PUT", base+"/tags/red", nil, at("2.26"))
	c.ask(204, Demo, "PUT", base+"/tags/red", nil, at("2.26"))
	c.ask(204, Demo, "GET", base+"/tags/red", nil, at("2.26"))
	c.ask(404, Demo, "GET", base+"/tags/blue", nil, at("2.26"))
	c.ask(404, Demo, "DELETE", base+"/tags/blue", nil, at("2.26"))
	c.ask(204, Demo, "DELETE", base+"/tags/red", nil, at("2.26"))
	c.ask(400, Demo, "PUT", base+"/tags", object{}, at("2.26"))
	c.ask(400, Demo, "PUT", base+"/tags/"+strings.Repeat("t", 61), nil, at("2.26"))
	c.ask(200, Demo, "PUT", base+"/tags", object{"tags": []string{"b", "a", "b"}}, at("2.26"))
	if got := c.ask(200, Demo, "GET", base+"/tags", nil, at("2.26")); fmt.Sprint(got.Body["tags"]) != "[a b]" {
		t.Error(got.Text)
	}
	c.ask(204, Demo, "DELETE", base+"/tags", nil, at("2.26"))
}

// What happened to a server is told step by step.
func TestEvents(t *testing.T) {
	c := start(t, 1)
	id := c.create(nil)
	list := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions", nil, at("2.58")).Body["instanceActions"].([]any)
	created := list[len(list)-1].(map[string]any)
	if created["action"] != "create" || created["message"] != nil || created["user_id"] != "user-demo" || created["updated_at"] == nil {
		t.Fatalf("%v", created)
	}
	request := created["request_id"].(string)
	shown := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions/"+request, nil, at("2.84")).Body["instanceAction"].(map[string]any)
	var steps []string
	for _, event := range shown["events"].([]any) {
		e := event.(map[string]any)
		steps = append(steps, e["event"].(string))
		if e["result"] != "Success" || e["start_time"] == nil || e["finish_time"] == nil || e["details"] == "" || e["host"] != nil {
			t.Errorf("%v", e)
		}
	}
	var want []string
	for _, step := range new(instance.Service).DeployFlow().Steps {
		want = append(want, step.Name)
	}
	if !slices.Equal(steps, want) {
		t.Errorf("%v, want %v", steps, want)
	}
	if e := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions/"+request, nil).Body["instanceAction"].(map[string]any)["events"].([]any)[0].(map[string]any); e["details"] != nil || e["hostId"] != nil {
		t.Errorf("2.1 has too much: %v", e)
	}
	c.ask(404, Demo, "GET", "/servers/"+id+"/os-instance-actions/req-none", nil)
	c.ask(400, Demo, "GET", "/servers/"+id+"/os-instance-actions?marker=x", nil, at("2.58"))

	lost := c.ask(202, Demo, "POST", "/servers", c.server(nil))
	failed := lost.Body["server"].(map[string]any)["id"].(string)
	c.Await(failed, instance.Errored)
	list = c.ask(200, Demo, "GET", "/servers/"+failed+"/os-instance-actions", nil).Body["instanceActions"].([]any)
	action := list[0].(map[string]any)
	if action["message"] != "Error" || action["request_id"] != lost.Header.Get("X-Compute-Request-Id") {
		t.Errorf("%v", action)
	}
	events := c.ask(200, Demo, "GET", "/servers/"+failed+"/os-instance-actions/"+action["request_id"].(string), nil, at("2.84")).Body["instanceAction"].(map[string]any)["events"].([]any)
	told := ""
	for _, event := range events {
		e := event.(map[string]any)
		told += fmt.Sprintf("%v %v: %v\n", e["event"], e["result"], e["details"])
	}
	if !strings.Contains(told, "claim Error: Choose a machine: No valid host was found.") || !strings.Contains(told, "undo-begin Success: Take back: Accept the server") {
		t.Error(told)
	}
}

func TestMachinesAsHypervisors(t *testing.T) {
	c := start(t, 2)
	id := c.create(nil)
	machine := c.Get(id).Machine
	list := c.ask(200, Admin, "GET", "/os-hypervisors/detail", nil, at("2.87")).Body["hypervisors"].([]any)
	if len(list) != 2 {
		t.Fatal(list)
	}
	for _, x := range list {
		h := x.(map[string]any)
		carries := h["hypervisor_hostname"] == machine
		if h["hypervisor_type"] != "ironic" || h["id"] != h["hypervisor_hostname"] || h["vcpus"] != 4.0 || (h["vcpus_used"] == 4.0) != carries || (h["servers"] != nil) != carries {
			t.Errorf("%v", h)
		}
	}
	c.ask(200, Admin, "GET", "/os-hypervisors/"+machine, nil, at("2.53"))
	c.ask(404, Admin, "GET", "/os-hypervisors/"+machine, nil)
	c.ask(404, Admin, "GET", "/os-hypervisors/none/servers", nil)
	c.ask(404, Admin, "GET", "/os-hypervisors/1/uptime", nil)
	c.ask(501, Admin, "GET", "/os-hypervisors/"+machine+"/uptime", nil, at("2.53"))
	if got := c.ask(200, Admin, "GET", "/os-hypervisors/detail", nil, at("2.88")).Text; strings.Contains(got, "vcpus") {
		t.Error(got)
	}
	sum := c.ask(200, Admin, "GET", "/os-hypervisors/statistics", nil).Body["hypervisor_statistics"].(map[string]any)
	if sum["count"] != 2.0 || sum["vcpus"] != 8.0 || sum["vcpus_used"] != 4.0 || sum["running_vms"] != 1.0 {
		t.Errorf("%v", sum)
	}
	usage := c.ask(200, Demo, "GET", "/os-simple-tenant-usage/"+DemoProject, nil).Body["tenant_usage"].(map[string]any)
	if usage["tenant_id"] != DemoProject || len(usage["server_usages"].([]any)) != 1 {
		t.Errorf("%v", usage)
	}
	page := c.ask(200, Demo, "GET", "/os-simple-tenant-usage/"+DemoProject+"?marker="+id, nil, at("2.40"))
	if fmt.Sprint(page.Body) != "map[tenant_usage:map[]]" {
		t.Error(page.Text)
	}
	c.ask(400, Demo, "GET", "/os-simple-tenant-usage/"+DemoProject+"?start=x", nil)
	limits := c.ask(200, Demo, "GET", "/limits", nil).Body["limits"].(map[string]any)["absolute"].(map[string]any)
	if limits["totalInstancesUsed"] != 1.0 || limits["totalRAMUsed"] != 4096.0 || limits["maxTotalInstances"] != -1.0 {
		t.Errorf("%v", limits)
	}
	c.ask(200, Demo, "GET", "/os-quota-sets/"+DemoProject+"/detail", nil)
	c.ask(200, Demo, "GET", "/extensions", nil)
	c.ask(404, Demo, "GET", "/extensions/none", nil)
}

func TestKeypairs(t *testing.T) {
	c := start(t, 0)
	made := c.ask(201, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "key", "type": "ssh"}}, at("2.2")).Body["keypair"].(map[string]any)
	if !strings.Contains(made["private_key"].(string), "PRIVATE KEY") {
		t.Errorf("%v", keys(made))
	}
	c.ask(409, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "key"}})
	c.ask(200, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "again", "public_key": made["public_key"]}})
	c.ask(400, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "bad", "public_key": "ssh-rsa nonsense"}})
	c.ask(400, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "a.b"}})
	c.ask(400, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "new"}}, at("2.92"))
	c.ask(400, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "x", "type": "ssh"}}) // the type came with 2.2
	c.ask(201, Demo, "POST", "/os-keypairs", object{"keypair": object{"name": "a.b", "public_key": made["public_key"]}}, at("2.92"))
	c.ask(404, Other, "GET", "/os-keypairs/key", nil)
	c.ask(404, Other, "DELETE", "/os-keypairs/key", nil)
	c.ask(403, Other, "GET", "/os-keypairs/key?user_id=user-demo", nil, at("2.10"))
	c.ask(200, Admin, "GET", "/os-keypairs/key?user_id=user-demo", nil, at("2.10"))
	page := c.ask(200, Demo, "GET", "/os-keypairs?limit=1", nil, at("2.35"))
	if len(page.Body["keypairs"].([]any)) != 1 || page.Body["keypairs_links"] == nil {
		t.Error(page.Text)
	}
	c.ask(202, Demo, "DELETE", "/os-keypairs/again", nil)
	c.ask(204, Demo, "DELETE", "/os-keypairs/key", nil, at("2.2"))
	c.ask(404, Demo, "GET", "/os-keypairs/key", nil)
}
