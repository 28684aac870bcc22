package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// section of an ini file.
type section map[string]any

// tempestConf is tempest.conf for the cloud: what Tempest needs to be there is made, and the rest is as ingot announces it.
// What a section "…-feature-enabled" switches off is a verb that ingot answers with "not supported", and says why.
func (c *cloud) tempestConf(folder string) map[string]section {
	c.t.Helper()
	least, most := c.microversions("compute", "")
	leastMetal, mostMetal := c.microversions("baremetal", "v1")
	return map[string]section{
		"DEFAULT":          {"log_dir": folder, "log_file": "tempest.log", "use_stderr": false},
		"oslo_concurrency": {"lock_path": filepath.Join(folder, "lock")},
		"auth": {
			"use_dynamic_credentials": true, "admin_username": "admin", "admin_password": c.password, "admin_project_name": "admin",
			"admin_domain_name": "Default", "tempest_roles": "member",
			"create_isolated_networks": true,
		},
		"identity":                 {"uri_v3": c.url, "auth_version": "v3", "region": "RegionOne", "v3_endpoint_type": "public"},
		"identity-feature-enabled": {"api_v2": false, "api_v3": true, "application_credentials": true, "access_rules": true},
		"compute": {
			"image_ref": c.image("tempest"), "image_ref_alt": c.image("tempest-alt"),
			"flavor_ref": c.flavor("tempest", 1024, 1, 4), "flavor_ref_alt": c.flavor("tempest-alt", 2048, 2, 8),
			"fixed_network_name": c.shared("tempest-shared"), "min_microversion": least, "max_microversion": most,
			"build_timeout": 60, "build_interval": 1, "ready_wait": 0, "min_compute_nodes": machines, "hypervisor_type": "ironic",
		},
		"compute-feature-enabled": {
			// A whole machine has no hypervisor below it that could do these.
			"pause": false, "suspend": false, "live_migration": false, "cold_migration": false, "resize": false, "swap_volume": false,
			"change_password": false, "personality": false, "volume_multiattach": false, "attach_encrypted_volume": false,
			// Each server has a machine of its own, so none is on another one's host, as SameHostFilter and
			// ServerGroupAffinityFilter would have it.
			"scheduler_enabled_filters": "AvailabilityZoneFilter,AggregateInstanceExtraSpecsFilter,AggregateMultiTenancyIsolation,DifferentHostFilter,ServerGroupAntiAffinityFilter",
			// Tempest has one switch for the password in the answer to a new server, which has none, and in that to a rescue.
			"rescue": false,
			// Verbs of disks that are kept elsewhere.
			"shelve": false, "snapshot": false, "interface_attach": true, "volume_backed_live_migration": false,
			"console_output": false, "vnc_console": false, "spice_console": false, "serial_console": false, "rdp_console": false,
			"enable_instance_password": false, // nobody sets a password on a machine of the tenant's own
			"disk_config":              true, "config_drive": true, "metadata_service": false,
		},
		"baremetal": {
			// The suite makes nodes of a driver that needs no hardware, and needs no other.
			"driver": "fake-hardware", "enabled_hardware_types": "fake-hardware,ipmi", "min_microversion": leastMetal, "max_microversion": mostMetal,
		},
		"validation": {"run_validation": false}, // nobody to log in to on a simulated machine
		"network": {
			"build_timeout": 30, "build_interval": 1, "public_network_id": c.external("tempest-outside"), "floating_network_name": "tempest-outside",
		},
		"network-feature-enabled": {"ipv6": true, "ipv6_subnet_attributes": true, "api_extensions": strings.Join(c.extensions(), ",")},
		// The tests upload noise, and ingot takes as an image only what a machine can have as its disk: noise is raw.
		"image":                  {"build_timeout": 30, "build_interval": 1, "container_formats": "bare", "disk_formats": "raw"},
		"image-feature-enabled":  {"import_image": true, "os_glance_reserved": true},
		"volume-feature-enabled": {"backup": false, "snapshot": false, "clone": false},
		"service_available":      c.available(),
	}
}

// microversions as the service's version document at the path tells them.
func (c *cloud) microversions(kind, path string) (least, most string) {
	c.t.Helper()
	version, ok := c.call(c.service(kind), http.MethodGet, path, nil)["version"].(object)
	if !ok {
		c.t.Fatalf("the version document of %s is none", kind)
	}
	return version["min_version"].(string), version["version"].(string)
}

// extensions of Neutron.
func (c *cloud) extensions() (aliases []string) {
	c.t.Helper()
	for _, e := range c.call(c.service("network"), http.MethodGet, "v2.0/extensions", nil)["extensions"].([]any) {
		aliases = append(aliases, e.(object)["alias"].(string))
	}
	slices.Sort(aliases)
	return aliases
}

// available is what the catalog has. Cinder is in it so that clients are told that there are no volumes: for Tempest it is
// not there until there are some.
func (c *cloud) available() section {
	there := section{"swift": false, "horizon": false, "cinder": false}
	for option, kind := range map[string]string{"nova": "compute", "glance": "image", "neutron": "network", "ironic": "baremetal", "octavia": "load-balancer"} {
		there[option] = c.service(kind) != nil
	}
	return there
}

func writeINI(path string, sections map[string]section) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		fmt.Fprintf(&text, "[%s]\n", name)
		for _, key := range slices.Sorted(maps.Keys(sections[name])) {
			fmt.Fprintf(&text, "%s = %v\n", key, sections[name][key])
		}
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}
