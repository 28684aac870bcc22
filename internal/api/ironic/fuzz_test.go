package ironic_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// Whatever is sent to any route in whatever version, the answer is never that we failed. The bodies have the fields that
// the API knows, with values of every type.
func TestNeverAnInternalError(t *testing.T) {
	c := boot(t, machinetest.Spec{Name: "m"})
	c.Start()
	c.enrol(c.Machines[0])
	fake := c.fakeNode(object{"name": "f"})
	port := c.call(Admin, "POST", "/v1/ports", object{"node_uuid": fake, "address": "52:54:00:00:00:a1"}, 201).Body["uuid"].(string)
	group := c.call(Admin, "POST", "/v1/portgroups", object{"node_uuid": fake, "name": "g"}, 201).Body["uuid"].(string)
	chassis := c.call(Admin, "POST", "/v1/chassis", object{}, 201).Body["uuid"].(string)
	node := c.call(Admin, "GET", "/v1/nodes/f", nil, 200).Body
	names := []string{"driver", "uuid", "node_uuid", "address", "target", "traits", "steps", "type", "connector_id", "volume_id", "volume_type", "boot_index",
		"resource_class", "candidate_nodes", "node", "reason", "enabled", "boot_device", "persistent", "state", "id", "logical_disks", "portgroup_uuid",
		"physical_network", "local_link_connection", "mode", "standalone_ports_supported", "pxe_enabled", "is_smartnic", "op", "path", "value", "timeout", "configdrive"}
	for name := range node {
		names = append(names, name)
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's dice
	pick := func(from []any) any { return from[random.IntN(len(from))] }
	values := []any{nil, true, false, 0, -1, 1.5, 1e300, "", "x", "\u0000", "'; DROP TABLE machine", strings.Repeat("ß", 5000), "fake-hardware", "power on", "active",
		"manage", "adopt", "52:54:00:00:00:a2", fake, group, chassis, []any{}, []any{nil}, []any{"CUSTOM_A"}, []any{object{}}, object{}, object{"a": nil}, object{"a": object{"b": []any{1}}},
		[]any{object{"interface": "bios", "step": "x", "args": object{}, "priority": 1}}, []any{object{"size_gb": 1, "raid_level": "1"}}, "iqn", "none", 1 << 40}
	body := func() object {
		o := object{}
		for range random.IntN(6) {
			o[names[random.IntN(len(names))]] = pick(values)
		}
		return o
	}
	idents := []any{"m", "f", fake, port, group, chassis, "none", "%00", "..", "%2F", "'", strings.Repeat("a", 300), "CUSTOM_A", "system", "locator", "redfish"}
	queries := []string{"", "?limit=-1", "?limit=99999999999999999999", "?marker=%00", "?fields=uuid", "?fields=", "?sort_key=extra", "?detail=maybe", "?shard=,", "?enabled=x", "?reset_interfaces=1", "?a=%zz"}
	for _, route := range ironic.Dialect(services(c.Rig, c.networks)).Routes {
		for range 40 {
			path := placeholder.ReplaceAllStringFunc(route.Pattern, func(string) string { return pick(idents).(string) }) + queries[random.IntN(len(queries))]
			var sent any = body()
			switch random.IntN(8) {
			case 0:
				sent = pick([]any{"{", `[`, `{"a":1,"a":2}`, `"\ud800"`, strings.Repeat("[", 200), "null", "7", nil})
			case 1, 2:
				sent = []object{body(), {"op": pick([]any{"add", "remove", "replace", "move", 7}), "path": "/" + names[random.IntN(len(names))] + fmt.Sprint(pick([]any{"", "/a", "/0", "/-", "/a/b"})), "value": pick(values)}}
			case 3:
				sent = []object{{"op": pick([]any{"add", "remove", "replace"}), "path": "/" + names[random.IntN(len(names))], "value": pick(values)}}
			}
			version := osapi.V(1, 1+random.IntN(87)).String()
			if random.IntN(2) == 0 {
				version = "latest"
			}
			who := []string{Admin, Demo, Reader, System}[random.IntN(4)]
			got := c.Do(who, route.Method, "/baremetal"+path, sent, "X-OpenStack-Ironic-API-Version: "+version)
			if got.Status >= 500 && got.Status != 503 { // 503: the node's BMC is not there
				t.Errorf("seed %d: %s %s %s (%s) with %.300v: %d %s", seed, who, route.Method, path, version, sent, got.Status, got.Text)
			}
		}
	}
}
