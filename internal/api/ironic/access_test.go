package ironic_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// Every route keeps a foreign tenant out: of what is another's it knows nothing, and it changes nothing.
func TestForeignTenant(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.enrol(c.Machines[0])
	id := c.Machines[0].ID
	c.call(Admin, "PATCH", "/v1/nodes/m", []object{{"op": "add", "path": "/owner", "value": DemoProject}}, 200)
	port := c.call(Demo, "GET", "/v1/ports", nil, 200).Body["ports"].([]any)[0].(object)["uuid"].(string)
	look := func() []object {
		return []object{c.call(Admin, "GET", "/v1/nodes/m", nil, 200).Body, c.call(Admin, "GET", "/v1/ports/"+port, nil, 200).Body}
	}
	before := look()
	public := map[string]bool{"/": true, "/v1": true}
	fill := strings.NewReplacer("{node}", id, "{port}", port, "{driver}", "redfish", "{host}", "h", "{id}", "11111111-2222-4333-8444-555555555555", "{event}", "x", "{method}", "x", "{setting}", "x",
		"{component}", "system", "{name}", "locator", "{trait}", "CUSTOM_X", "{vif}", "x")
	routes := ironic.Dialect(services(c.Rig, c.networks)).Routes
	for _, route := range routes {
		t.Run(route.String(), func(t *testing.T) {
			version, body := "latest", any(nil)
			if route.Until != (osapi.Microversion{}) {
				version = route.Until.String()
			}
			switch route.Method {
			case "PATCH":
				body = []object{}
			case "POST":
				body = object{"resource_class": "x", "candidate_nodes": []string{id}}
			}
			got := c.Do(Other, route.Method, "/baremetal"+fill.Replace(route.Pattern), body, "X-OpenStack-Ironic-API-Version: "+version)
			if strings.Contains(got.Text, id) && !strings.Contains(got.Text, "could not be found") || strings.Contains(got.Text, port) && got.Status == 200 {
				t.Errorf("it tells of another tenant's: %s", got.Text)
			}
			switch policy := route.Policy.String(); {
			case policy == "public":
				if !public[route.Pattern] || got.Status != 200 {
					t.Errorf("%d", got.Status)
				}
			case policy == "admin" || policy == "system-reader":
				if got.Status != 403 {
					t.Errorf("%d %s", got.Status, got.Text)
				}
			case strings.Contains(route.Pattern, "{") && route.Until == (osapi.Microversion{}):
				if got.Status != 404 {
					t.Errorf("%d %s", got.Status, got.Text)
				}
			case route.Pattern == "/v1/volume": // links only
			case route.Method == "POST":
				if got.Status != 400 {
					t.Errorf("%d %s", got.Status, got.Text)
				}
			case route.Until != (osapi.Microversion{}):
				if got.Status < 404 || got.Status > 406 {
					t.Errorf("%d %s", got.Status, got.Text)
				}
			default: // a list
				for key, value := range got.Body {
					if list, ok := value.([]any); !ok || len(list) > 0 {
						t.Errorf("%s: %v", key, value)
					}
				}
				if got.Status != 200 || len(got.Body) != 1 {
					t.Errorf("%d %s", got.Status, got.Text)
				}
			}
		})
	}
	if after := look(); !reflect.DeepEqual(before, after) {
		t.Errorf("changed from\n%v to\n%v", before, after)
	}
}

// The project that owns a node sees it and works on it; what reaches its BMC stays the operator's.
func TestOwner(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "theirs"}, machinetest.Spec{Name: "ours"})
	c.Start()
	theirs := c.Machines[0]
	c.enrol(theirs)
	c.enrol(c.Machines[1])
	c.call(Admin, "PATCH", "/v1/nodes/theirs", []object{{"op": "add", "path": "/owner", "value": DemoProject}}, 200)
	for _, who := range []string{Demo, Reader} {
		if nodes := c.call(who, "GET", "/v1/nodes", nil, 200).Body["nodes"].([]any); len(nodes) != 1 || nodes[0].(object)["uuid"] != theirs.ID {
			t.Errorf("%s sees %v", who, nodes)
		}
		c.call(who, "GET", "/v1/nodes/theirs", nil, 200)
		c.call(who, "GET", "/v1/nodes/theirs/states", nil, 200)
		c.call(who, "GET", "/v1/nodes/ours", nil, 404)
	}
	if nodes := c.call(System, "GET", "/v1/nodes", nil, 200).Body["nodes"].([]any); len(nodes) != 2 {
		t.Errorf("the system's admin sees %v", nodes)
	}
	c.call(Demo, "PUT", "/v1/nodes/theirs/states/provision", object{"target": "manage"}, 202)
	c.awaitState(theirs, "manageable")
	c.call(Demo, "PUT", "/v1/nodes/theirs/maintenance", object{"reason": "fan"}, 202)
	c.call(Demo, "PATCH", "/v1/nodes/theirs", []object{{"op": "add", "path": "/extra/a", "value": 1}}, 200)
	c.call(Demo, "PUT", "/v1/nodes/theirs/states/power", object{"target": "power on"}, 202)

	c.call(Reader, "PUT", "/v1/nodes/theirs/maintenance", nil, 403)
	c.call(Reader, "PATCH", "/v1/nodes/theirs", []object{{"op": "add", "path": "/extra/b", "value": 1}}, 403)
	for _, path := range []string{"/driver_info/redfish_address", "/owner", "/name", "/resource_class", "/properties/x"} {
		c.call(Demo, "PATCH", "/v1/nodes/theirs", []object{{"op": "add", "path": path, "value": "x"}}, 403)
	}
	c.call(Demo, "DELETE", "/v1/nodes/theirs", nil, 403)
	c.call(Demo, "POST", "/v1/nodes", object{"driver": "redfish"}, 403)
	c.call(Demo, "PUT", "/v1/nodes/theirs/management/boot_device", object{"boot_device": "pxe"}, 403)
	c.call("", "GET", "/v1/nodes", nil, 401)
}

// No answer shows how we log in to a BMC.
func TestSecretsStayHere(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
	for _, m := range c.Machines {
		if created := c.enrol(m); created["driver_info"].(object)[m.BMC.Kind+"_password"] != "******" {
			t.Errorf("%v", created["driver_info"])
		}
		for _, path := range []string{"/v1/nodes/" + m.ID, "/v1/nodes/detail", "/v1/nodes?fields=driver_info", "/v1/nodes/" + m.ID + "/validate"} {
			if got := c.call(Admin, "GET", path, nil, 200).Text; strings.Contains(got, m.BMC.Password) {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	// With the password that we keep, a BMC at another address is not called.
	for name, path := range map[string]string{"red": "/driver_info/redfish_address", "ipmi": "/driver_info/ipmi_address"} {
		got := c.call(Admin, "PATCH", "/v1/nodes/"+name, []object{{"op": "add", "path": path, "value": "bmc.example.com"}}, 400)
		if !strings.Contains(got.Text, "password") {
			t.Error(got.Text)
		}
	}
	// What is shown may be sent back.
	c.Start()
	for _, m := range c.Machines {
		info := c.call(Admin, "GET", "/v1/nodes/"+m.ID, nil, 200).Body["driver_info"]
		c.call(Admin, "PATCH", "/v1/nodes/"+m.ID, []object{{"op": "replace", "path": "/driver_info", "value": info}}, 200)
		c.call(Admin, "PUT", "/v1/nodes/"+m.ID+"/states/provision", object{"target": "manage"}, 202)
		c.awaitState(m, "manageable")
	}
}
