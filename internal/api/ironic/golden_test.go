package ironic_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

var shape = Shape{
	Optional: []string{"reason", "default_firmware_interface", "enabled_firmware_interfaces", "default_rescue_interface", "enabled_rescue_interfaces"},
	Free:     []string{"driver_info", "driver_internal_info", "properties", "extra", "local_link_connection"},
}

// notOurs are recorded answers that ours cannot be like, and why.
var notOurs = map[string]string{
	"GET_v1_drivers_fake-hardware_properties@1.34": "each driver has its own",
	"PUT_v1_nodes_{id}_states_console@1.34":        "a real node's console is its server's; TestFakeHardware switches one",
}

// The recorded answers of a real Ironic (Zed): ours have the same status, the same keys and the same types.
func TestGolden(t *testing.T) {
	for _, recorded := range Recordings(t, 30) {
		name := recorded.Name
		t.Run(name, func(t *testing.T) {
			if why := notOurs[name]; why != "" {
				t.Skip(why)
			}
			c := boot(t, machinetest.Spec{Name: "clinode"})
			node := c.enrol(c.Machines[0])
			path := ours(recorded.Request.Path, c)
			if recorded.Request.Query != "" {
				path += "?" + ours(recorded.Request.Query, c)
			}
			if body, ok := recorded.Body.(map[string]any); ok {
				body = maps.Clone(body)
				for key, value := range body {
					switch {
					case value == "fake-hardware":
						body[key] = "redfish"
					case key == "node_uuid":
						body[key] = node["uuid"]
					case key == "network_interface":
						body[key] = "neutron"
					case key == "name":
						body[key] = "another"
					}
				}
				recorded.Body = body
			}
			if name == "GET_v1_portgroups_{id}_ports@1.34" {
				c.call(Admin, "POST", "/v1/portgroups", object{"node_uuid": node["uuid"], "uuid": node["uuid"]}, 201)
			}
			c.version = recorded.Version
			got := c.call(Admin, recorded.Request.Method, path, recorded.Body, recorded.Status)
			if location := got.Header.Get("Location"); (location != "") != recorded.Location {
				t.Errorf("Location: %q", location)
			}
			shape.Check(t, recorded, got)
		})
	}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// ours puts a node and a driver of this cloud in the place of the recorded ones.
func ours(text string, c *cloud) string {
	return strings.ReplaceAll(uuids.ReplaceAllString(text, c.Machines[0].ID), "fake-hardware", "redfish")
}
