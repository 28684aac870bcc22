package neutron_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/network/networktest"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
)

type object = osapi.Object

// The callers, and their projects.
const (
	admin, demo, reader, other, system      = osapitest.Admin, osapitest.Demo, osapitest.Reader, osapitest.Other, osapitest.System
	adminProject, demoProject, otherProject = osapitest.AdminProject, osapitest.DemoProject, osapitest.OtherProject
)

// cloud is a running Networking API with a flat network of 100 addresses.
type cloud struct {
	*osapitest.Server
	t        testing.TB
	db       *db.DB
	clock    *clock.Fake
	networks *network.Service
	routers  *router.Service
	groups   *securitygroup.Service
	policies *qos.Service
	trunks   *trunk.Service
	net      *network.Network
	subnet   string
}

// domain is the cloud without its API.
func domain(t testing.TB, d *db.DB, project string) *cloud {
	t.Helper()
	c := &cloud{t: t, db: d, clock: clock.NewFake()}
	c.networks = network.New(d, c.clock, slog.New(slog.DiscardHandler))
	c.routers = router.New(c.clock, c.networks)
	c.groups, c.policies, c.trunks = securitygroup.New(c.clock), qos.New(c.clock), trunk.New(c.clock, c.networks)
	counts := c.routers.Counts()
	counts[securitygroup.GroupKind], counts[securitygroup.RuleKind], counts[trunk.Kind] = c.groups.CountGroups, c.groups.CountRules, c.trunks.Count
	c.networks.Surround(network.Surroundings{Groups: c.groups, Policies: c.policies, Counts: counts, Owners: map[string]network.Owner{
		securitygroup.GroupKind: c.groups.GroupOwner, securitygroup.AddressGroupKind: c.groups.AddressGroupOwner, qos.PolicyKind: c.policies.Owner,
	}})
	c.groups.Shares, c.groups.Quotas, c.trunks.Quotas = c.networks, c.networks, c.networks
	c.policies.Shares, c.policies.Users = c.networks, []qos.Users{c.networks, c.routers}
	ip := netip.MustParseAddr
	c.net = networktest.Shared(t, d, c.networks, network.NewSubnet{
		Project: project, CIDR: netip.MustParsePrefix("10.0.0.0/24"),
		DNS: []netip.Addr{ip("10.0.0.1")}, Pools: []network.Pool{{First: ip("10.0.0.100"), Last: ip("10.0.0.199")}},
	})
	c.subnet = c.net.Subnets[0]
	return c
}

func (c *cloud) services() neutron.Services {
	return neutron.Services{Networks: c.networks, Routers: c.routers, Groups: c.groups, Policies: c.policies, Trunks: c.trunks}
}

func boot(t testing.TB, d *db.DB) *cloud {
	t.Helper()
	c := domain(t, d, adminProject)
	c.Server = osapitest.Serve(t, neutron.Dialect(c.services(), d))
	return c
}

// call demands a status.
func (c *cloud) call(token, method, path string, body any, status int, headers ...string) object {
	c.t.Helper()
	got := c.Do(token, method, "/network/v2.0"+path, body, headers...)
	if got.Status != status {
		c.t.Fatalf("%s %s %s as %s: %d %s, want %d", method, path, body, token, got.Status, got.Text, status)
	}
	return got.Body
}

// fails demands an error of Neutron's name.
func (c *cloud) fails(token, method, path string, body any, status int, exception string, headers ...string) {
	c.t.Helper()
	inner, _ := c.call(token, method, path, body, status, headers...)["NeutronError"].(object)
	if inner["type"] != exception || inner["message"] == "" || inner["detail"] != "" {
		c.t.Errorf("%s %s %v: got %v, want %s", method, path, body, inner, exception)
	}
}

// port makes one and gives it as it was answered.
func (c *cloud) port(token string, fields object) object {
	c.t.Helper()
	c.clock.Step(time.Second)
	body := object{"network_id": c.net.ID}
	for k, v := range fields {
		body[k] = v
	}
	return c.call(token, "POST", "/ports", object{"port": body}, 201)["port"].(object)
}

// make makes a thing and gives it as it was answered.
func (c *cloud) make(token, key string, fields object) object {
	c.t.Helper()
	if fields == nil {
		fields = object{}
	}
	c.clock.Step(time.Second)
	return c.call(token, "POST", collection(key), object{key: fields}, 201)[key].(object)
}

// collection is where things of a kind are.
func collection(key string) string {
	if key == "rbac_policy" {
		return "/rbac-policies"
	}
	return "/" + strings.ReplaceAll(key, "_", "-") + "s"
}

// names lists the names of what a list answers.
func (c *cloud) names(token, key, query string) []string {
	c.t.Helper()
	names := []string{}
	for _, p := range c.call(token, "GET", "/"+key+"?"+query, nil, 200)[key].([]any) {
		names = append(names, p.(object)["name"].(string))
	}
	return names
}

func TestPortsOfATenant(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		p := c.port(demo, object{"name": "web", "fixed_ips": []object{{"ip_address": "10.0.0.150"}}, "tags": []string{"b", "a"}, "dns_name": "web"})
		path := "/ports/" + p["id"].(string)
		for field, want := range map[string]any{
			"project_id": demoProject, "tenant_id": demoProject, "status": "DOWN", "admin_state_up": true, "revision_number": 1.0,
			"created_at": "2026-01-02T03:04:06Z", "port_security_enabled": false, "binding:vnic_type": "normal", "binding:host_id": nil,
		} {
			if p[field] != want {
				t.Errorf("%s is %v, want %v", field, p[field], want)
			}
		}
		if got := fmt.Sprint(p["fixed_ips"], p["dns_assignment"], p["tags"]); got != fmt.Sprintf("[map[ip_address:10.0.0.150 subnet_id:%s]] [map[fqdn:web.openstacklocal. hostname:web ip_address:10.0.0.150]] [b a]", c.subnet) {
			t.Errorf("addresses, names, tags: %s", got)
		}
		c.clock.Step(time.Minute)
		changed := c.call(demo, "PUT", path, object{"port": object{"name": "db", "admin_state_up": "False", "device_id": "thing"}}, 200)["port"].(object)
		if changed["name"] != "db" || changed["admin_state_up"] != false || changed["device_id"] != "thing" || changed["revision_number"] != 2.0 || changed["updated_at"] != "2026-01-02T03:05:06Z" {
			t.Errorf("changed: %v", changed)
		}
		if admin := c.call(admin, "GET", path, nil, 200)["port"].(object); admin["binding:host_id"] != "" || admin["binding:vif_type"] != "unbound" {
			t.Errorf("as admin: %v", admin)
		}
		if only := c.call(demo, "GET", path+"?fields=id&fields=name", nil, 200)["port"].(object); len(only) != 2 {
			t.Errorf("two fields: %v", only)
		}
		c.call(demo, "DELETE", path, nil, 204)
		c.fails(demo, "GET", path, nil, 404, "PortNotFound")
	})
}

func TestWhatAPortCannotBe(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		c.port(other, object{"fixed_ips": []object{{"ip_address": "10.0.0.100"}}})
		id := c.port(demo, nil)["id"].(string)
		both := func(token string, field string, value any, status int, exception string) {
			t.Helper()
			c.fails(token, "POST", "/ports", object{"port": object{"network_id": c.net.ID, field: value}}, status, exception)
			c.fails(token, "PUT", "/ports/"+id, object{"port": object{field: value}}, status, exception)
		}
		fixed := func(ip object) []object { return []object{ip} }
		both(demo, "fixed_ips", fixed(object{"ip_address": "10.0.0.100"}), 409, "IpAddressAlreadyAllocated")
		both(demo, "fixed_ips", fixed(object{"ip_address": "10.0.0.1"}), 400, "InvalidIpForSubnet")
		both(demo, "fixed_ips", fixed(object{"ip_address": "10.0.0.5", "subnet_id": c.subnet}), 400, "InvalidIpForSubnet")
		both(demo, "fixed_ips", fixed(object{"ip_address": "192.0.2.1"}), 400, "InvalidIpForNetwork")
		both(demo, "fixed_ips", fixed(object{"subnet_id": "unknown"}), 400, "HTTPBadRequest")
		both(demo, "fixed_ips", fixed(object{"ip_address": "ten"}), 400, "HTTPBadRequest")
		both(demo, "fixed_ips", fixed(object{}), 400, "HTTPBadRequest")
		both(demo, "name", strings.Repeat("é", 256), 400, "HTTPBadRequest")
		both(demo, "name", 5, 400, "HTTPBadRequest")
		both(demo, "colour", "red", 400, "HTTPBadRequest")
		both(demo, "status", "ACTIVE", 400, "HTTPBadRequest")
		both(demo, "dns_name", "no_underscores", 400, "HTTPBadRequest")
		both(demo, "binding:vnic_type", "direct", 400, "HTTPBadRequest")
		both(demo, "mac_address", "52:54:00:00:00:09", 403, "PolicyNotAuthorized")
		both(demo, "device_owner", "compute:nova", 403, "PolicyNotAuthorized")
		both(demo, "device_owner", "network:dhcp", 403, "PolicyNotAuthorized")
		both(demo, "binding:host_id", "machine", 403, "PolicyNotAuthorized")
		both(demo, "binding:profile", object{"local_link_information": []object{}}, 403, "PolicyNotAuthorized")
		both(admin, "mac_address", "01:00:5e:00:00:01", 400, "HTTPBadRequest")
		both(demo, "security_groups", []string{"some"}, 400, "PortSecurityAndIPRequiredForSecurityGroups")
		both(demo, "port_security_enabled", true, 403, "PolicyNotAuthorized")
		both(demo, "allowed_address_pairs", fixed(object{"ip_address": "10.0.0.7"}), 403, "PolicyNotAuthorized")
		both(admin, "allowed_address_pairs", fixed(object{"ip_address": "10.0.0.7"}), 409, "AddressPairAndPortSecurityRequired")
		both(demo, "extra_dhcp_opts", fixed(object{"opt_name": "x", "opt_value": ""}), 400, "HTTPBadRequest")
		both(demo, "qos_policy_id", "some", 404, "QosPolicyNotFound")
		both(demo, "tenant_id", otherProject, 400, "HTTPBadRequest")
		c.fails(demo, "PUT", "/ports/"+id, object{"port": object{"name": nil}}, 400, "HTTPBadRequest")
		c.fails(demo, "PUT", "/ports/"+id, object{"port": object{"network_id": c.net.ID}}, 400, "HTTPBadRequest")
		c.fails(demo, "PUT", "/ports/"+id, object{}, 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/ports", object{"port": object{}}, 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/ports", object{"ports": []object{}}, 400, "HTTPBadRequest")
		c.fails(demo, "POST", "/ports", object{"port": object{"network_id": "unknown"}}, 404, "NetworkNotFound")
		c.fails(system, "POST", "/ports", object{"port": object{"network_id": c.net.ID}}, 400, "HTTPBadRequest")
		// None of the refused changes left a trace.
		if p := c.call(demo, "GET", "/ports/"+id, nil, 200)["port"].(object); p["revision_number"] != 1.0 {
			t.Errorf("it changed: %v", p)
		}
		if names := c.names(demo, "ports", ""); len(names) != 1 {
			t.Errorf("there are %d ports", len(names))
		}
		// What says that a thing is absent is fine.
		c.port(demo, object{"security_groups": []string{}, "port_security_enabled": false, "allowed_address_pairs": []string{}, "qos_policy_id": nil, "binding:profile": object{}})
	})
}

func TestAdminsMakePortsForOthersAndChooseMACs(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	p := c.port(admin, object{"tenant_id": demoProject, "mac_address": "52:54:00:00:00:AA", "device_owner": "compute:nova", "device_id": "server"})
	if p["project_id"] != demoProject || p["mac_address"] != "52:54:00:00:00:aa" {
		t.Errorf("got %v", p)
	}
	path := "/ports/" + p["id"].(string)
	c.fails(admin, "POST", "/ports", object{"port": object{"network_id": c.net.ID, "mac_address": "52:54:00:00:00:aa"}}, 409, "MacAddressInUse")
	// The port of a server stays its server's, whatever its tenant says; other fields are the tenant's.
	c.fails(demo, "PUT", path, object{"port": object{"device_id": "another"}}, 409, "PortInUse")
	c.fails(demo, "PUT", path, object{"port": object{"device_owner": ""}}, 409, "PortInUse")
	c.call(demo, "PUT", path, object{"port": object{"name": "n", "device_id": "server", "device_owner": "compute:nova", "mac_address": "52:54:00:00:00:aa"}}, 200)
	err := c.db.Tx(t.Context(), func(tx *db.Tx) error {
		return c.networks.Bind(t.Context(), tx, p["id"].(string), network.Place{Host: "machine", MAC: "52:54:00:00:00:bb"})
	})
	if err != nil {
		t.Fatal(err)
	}
	c.fails(admin, "PUT", path, object{"port": object{"mac_address": "52:54:00:00:00:cc"}}, 409, "PortBound")
	bound := c.call(admin, "GET", path, nil, 200)["port"].(object)
	if bound["status"] != "ACTIVE" || bound["binding:host_id"] != "machine" || bound["binding:vnic_type"] != "baremetal" || bound["binding:vif_type"] != "other" {
		t.Errorf("bound: %v", bound)
	}
	c.call(demo, "DELETE", path, nil, 204) // as Neutron does
}

func TestBulkCreateIsAllOrNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		one := object{"network_id": c.net.ID, "name": "one", "fixed_ips": []object{{"ip_address": "10.0.0.110"}}}
		c.fails(demo, "POST", "/ports", object{"ports": []object{one, one}}, 409, "IpAddressAlreadyAllocated")
		if names := c.names(demo, "ports", ""); len(names) != 0 {
			t.Errorf("left: %v", names)
		}
		made := c.call(demo, "POST", "/ports", object{"ports": []object{one, {"network_id": c.net.ID, "name": "two"}}}, 201)["ports"].([]any)
		if len(made) != 2 || made[1].(object)["name"] != "two" {
			t.Errorf("made %v", made)
		}
	})
}

func TestExhaustionAndQuota(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	all := make([]object, 100)
	for i := range all {
		all[i] = object{"network_id": c.net.ID}
	}
	c.call(other, "POST", "/ports", object{"ports": all}, 201)
	c.fails(demo, "POST", "/ports", object{"port": object{"network_id": c.net.ID}}, 409, "IpAddressGenerationFailure")

	quota := func(token, path string) object {
		return c.call(token, "GET", "/quotas/"+path, nil, 200)["quota"].(object)
	}
	if q := quota(reader, demoProject); q["port"] != 500.0 || q["network"] != 100.0 {
		t.Errorf("limits: %v", q)
	}
	if q := quota(other, otherProject+"/details")["port"]; fmt.Sprint(q) != "map[limit:500 reserved:0 used:100]" {
		t.Errorf("details: %v", q)
	}
	c.fails(demo, "PUT", "/quotas/"+demoProject, object{"quota": object{"port": 9}}, 403, "PolicyNotAuthorized")
	c.fails(admin, "PUT", "/quotas/"+demoProject, object{"quota": object{"cookies": 9}}, 400, "HTTPBadRequest")
	c.fails(admin, "PUT", "/quotas/"+demoProject, object{"quota": object{"port": -2}}, 400, "HTTPBadRequest")
	if q := c.call(admin, "PUT", "/quotas/"+demoProject, object{"quota": object{"port": "0"}}, 200)["quota"].(object); q["port"] != 0.0 {
		t.Errorf("set: %v", q)
	}
	c.fails(demo, "POST", "/ports", object{"port": object{"network_id": c.net.ID}}, 409, "OverQuota")
	if q := quota(demo, demoProject+"/default"); q["port"] != 500.0 {
		t.Errorf("default: %v", q)
	}
	if list := c.call(system, "GET", "/quotas", nil, 200)["quotas"].([]any); len(list) != 1 || list[0].(object)["project_id"] != demoProject {
		t.Errorf("changed ones: %v", list)
	}
	c.call(admin, "DELETE", "/quotas/"+demoProject, nil, 204)
	c.fails(admin, "DELETE", "/quotas/"+demoProject, nil, 404, "TenantQuotaNotFound")
	// Another project's quota is refused in the same words as one of nobody's.
	theirs, nobodys := c.Do(demo, "GET", "/network/v2.0/quotas/"+otherProject, nil), c.Do(demo, "GET", "/network/v2.0/quotas/nobody", nil)
	if theirs.Status != 403 || theirs.Text != nobodys.Text {
		t.Errorf("%d %s / %s", theirs.Status, theirs.Text, nobodys.Text)
	}
}

func TestTheSharedNetwork(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		net, subnet := "/networks/"+c.net.ID, "/subnets/"+c.subnet
		if n := c.call(demo, "GET", net, nil, 200)["network"].(object); n["shared"] != true || n["provider:network_type"] != nil || fmt.Sprint(n["subnets"]) != "["+c.subnet+"]" {
			t.Errorf("as a tenant: %v", n)
		}
		if n := c.call(admin, "GET", net, nil, 200)["network"].(object); n["provider:network_type"] != "flat" || n["provider:physical_network"] != "physnet1" {
			t.Errorf("as admin: %v", n)
		}
		for _, path := range []string{net, subnet} {
			key := strings.Split(path, "s/")[0][1:]
			c.fails(demo, "PUT", path, object{key: object{"name": "mine"}}, 403, "PolicyNotAuthorized")
			c.fails(demo, "DELETE", path, nil, 403, "PolicyNotAuthorized")
			c.fails(demo, "PUT", path+"/tags/mine", nil, 403, "PolicyNotAuthorized")
			c.fails(admin, "PUT", path, object{key: object{"name": strings.Repeat("x", 256)}}, 400, "HTTPBadRequest")
			got := c.call(admin, "PUT", path, object{key: object{"name": "named", "description": "d"}}, 200)[key].(object)
			if got["name"] != "named" || got["description"] != "d" {
				t.Errorf("changed: %v", got)
			}
		}
		c.fails(demo, "POST", "/subnets", object{"subnet": object{"network_id": c.net.ID, "ip_version": 4, "cidr": "10.9.0.0/24"}}, 403, "PolicyNotAuthorized")
		c.fails(demo, "GET", "/networks/named", nil, 404, "NetworkNotFound")
		c.fails(demo, "GET", "/subnets/named", nil, 404, "SubnetNotFound")
		c.port(demo, nil)
		c.fails(admin, "DELETE", net, nil, 409, "NetworkInUse")
		c.fails(admin, "DELETE", subnet, nil, 409, "SubnetInUse")
	})
}

func TestTags(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		path := "/ports/" + c.port(demo, nil)["id"].(string) + "/tags"
		c.call(demo, "PUT", path+"/red", nil, 201)
		c.call(demo, "PUT", path+"/red", nil, 201)
		c.call(demo, "GET", path+"/red", nil, 204)
		c.fails(demo, "GET", path+"/blue", nil, 404, "TagNotFound")
		c.fails(demo, "DELETE", path+"/blue", nil, 404, "TagNotFound")
		c.fails(demo, "PUT", path, object{"tags": []string{strings.Repeat("x", 256)}}, 400, "HTTPBadRequest")
		c.fails(reader, "PUT", path+"/blue", nil, 403, "PolicyNotAuthorized")
		if got := c.call(demo, "PUT", path, object{"tags": []string{"b", "a", "b"}}, 200); fmt.Sprint(got["tags"]) != "[a b]" {
			t.Errorf("replaced: %v", got)
		}
		c.call(demo, "DELETE", path+"/a", nil, 204)
		if got := c.call(demo, "GET", path, nil, 200); fmt.Sprint(got["tags"]) != "[b]" {
			t.Errorf("left: %v", got)
		}
		c.call(demo, "DELETE", path, nil, 204)
		if got := c.call(demo, "GET", path, nil, 200); fmt.Sprint(got["tags"]) != "[]" {
			t.Errorf("cleared: %v", got)
		}
	})
}

func TestChangesCanDependOnARevision(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	path := "/ports/" + c.port(demo, nil)["id"].(string)
	rename := object{"port": object{"name": "n"}}
	c.call(demo, "PUT", path, rename, 200, "If-Match: revision_number=1")
	c.fails(demo, "PUT", path, rename, 412, "RevisionNumberConstraintFailed", "If-Match: revision_number=1")
	c.fails(demo, "DELETE", path, nil, 412, "RevisionNumberConstraintFailed", "If-Match: revision_number=1")
	c.fails(demo, "DELETE", path, nil, 400, "HTTPBadRequest", "If-Match: 2")
	c.call(demo, "DELETE", path, nil, 204, "If-Match: revision_number=2")
}

// Each route that leads to one thing answers another project as if the thing did not exist; each list leaves it out.
func TestForeignTenants(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	net := c.make(demo, "network", object{"name": "private"})["id"].(string)
	subnet := c.make(demo, "subnet", object{"network_id": net, "ip_version": 4, "cidr": "10.1.0.0/24"})["id"].(string)
	port := c.make(demo, "port", object{"network_id": net, "tags": []string{"red"}})["id"].(string)
	scope := c.make(demo, "address_scope", object{"name": "private", "ip_version": 4})["id"].(string)
	pool := c.make(demo, "subnetpool", object{"name": "private", "prefixes": []string{"10.2.0.0/16"}, "address_scope_id": scope})["id"].(string)
	rbac := c.make(demo, "rbac_policy", object{"object_type": "network", "object_id": net, "action": "access_as_shared", "target_tenant": "a-third-project"})["id"].(string)
	if _, err := c.db.ExecContext(t.Context(), `DELETE FROM network_rbac WHERE target = '*'`); err != nil { // the flat network's
		t.Fatal(err)
	}
	private := map[string]string{"networks": net, "subnets": subnet, "ports": port, "subnetpools": pool, "address-scopes": scope, "rbac-policies": rbac}
	mine := object{"name": "mine"}
	bodies := map[string]any{
		"PUT /v2.0/networks/{id}": object{"network": mine}, "PUT /v2.0/subnets/{id}": object{"subnet": mine}, "PUT /v2.0/ports/{id}": object{"port": mine},
		"PUT /v2.0/subnetpools/{id}": object{"subnetpool": mine}, "PUT /v2.0/address-scopes/{id}": object{"address_scope": mine},
		"PUT /v2.0/rbac-policies/{id}":               object{"rbac_policy": object{"target_tenant": otherProject}},
		"PUT /v2.0/subnetpools/{id}/add_prefixes":    object{"prefixes": []string{"10.3.0.0/16"}},
		"PUT /v2.0/subnetpools/{id}/remove_prefixes": object{"prefixes": []string{"10.2.0.0/16"}},
		"POST /v2.0/networks":                        object{"network": object{"tenant_id": demoProject}},
		"POST /v2.0/subnets":                         object{"subnet": object{"network_id": net, "ip_version": 4, "cidr": "10.9.0.0/24"}},
		"POST /v2.0/ports":                           object{"port": object{"network_id": net}},
		"POST /v2.0/subnetpools":                     object{"subnetpool": object{"prefixes": []string{"10.4.0.0/16"}, "address_scope_id": scope}},
		"POST /v2.0/address-scopes":                  object{"address_scope": object{"ip_version": 4, "tenant_id": demoProject}},
		"POST /v2.0/rbac-policies":                   object{"rbac_policy": object{"object_type": "network", "object_id": net, "action": "access_as_shared", "target_tenant": otherProject}},
	}
	exceptions := map[string]int{
		"GET /": 200, "GET /v2.0": 200, "GET /v2.0/extensions": 200, "GET /v2.0/networks/{id}/dhcp-agents": 403, "GET /v2.0/quotas": 403,
		"GET /v2.0/quotas/{project}": 403, "GET /v2.0/quotas/{project}/default": 403, "GET /v2.0/quotas/{project}/details": 403,
		"GET /v2.0/quotas/{project}/details.json": 403, "GET /v2.0/availability_zones": 200, "GET /v2.0/service-providers": 200,
		"GET /v2.0/network-ip-availabilities": 403, "GET /v2.0/network-ip-availabilities/{id}": 403,
		"POST /v2.0/networks": 400, "POST /v2.0/address-scopes": 400, // for another project
		"POST /v2.0/subnets": 404, "POST /v2.0/ports": 404, "POST /v2.0/subnetpools": 404, "POST /v2.0/rbac-policies": 404, // of another project
	}
	for _, route := range neutron.Dialect(c.services(), c.db).Routes {
		name := route.Method + " " + route.Pattern
		collection, _, _ := strings.Cut(strings.TrimPrefix(route.Pattern, "/v2.0/"), "/")
		if slices.Contains([]string{"routers", "floatingips", "security-groups", "security-group-rules", "address-groups", "qos", "trunks", "default-security-group-rules"}, collection) {
			continue // TestForeignRouters, TestForeignGuards; the default rules are the cloud's, and all see them
		}
		path := strings.NewReplacer("{id}", cmp.Or(private[collection], "some"), "{tag}", "red", "{project}", demoProject, "{alias}", "none").Replace(route.Pattern)
		body := bodies[name]
		if strings.HasSuffix(path, "/tags") && route.Method == "PUT" {
			body = object{"tags": []string{"mine"}}
		}
		want, special := exceptions[name]
		switch {
		case special:
		case route.Policy.String() == osapi.Admin.String():
			want = 403
		case strings.Contains(route.Pattern, "{"):
			want = 404
		case route.Method == "POST":
			want = 501
		default:
			want = 200
		}
		got := c.Do(other, route.Method, "/network"+path, body)
		if got.Status != want {
			t.Errorf("%s: %d %s, want %d", name, got.Status, got.Text, want)
		}
		if got.Status >= 400 && got.Body["NeutronError"] == nil {
			t.Errorf("%s: not in Neutron's envelope: %s", name, got.Text)
		}
		for key, list := range got.Body {
			if list, ok := list.([]any); ok && len(list) > 0 && !special {
				t.Errorf("%s: another project sees %s: %s", name, key, got.Text)
			}
		}
	}
	if p := c.call(demo, "GET", "/ports/"+port, nil, 200)["port"].(object); p["revision_number"] != 1.0 || fmt.Sprint(p["tags"]) != "[red]" {
		t.Errorf("another project changed it: %v", p)
	}
	if n := c.call(demo, "GET", "/networks/"+net, nil, 200)["network"].(object); n["name"] != "private" || n["revision_number"] != 2.0 {
		t.Errorf("another project changed it: %v", n)
	}
}

func TestVersionsAndExtensions(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	root := c.Do("", "GET", "/network/", nil)
	if root.Status != 200 || !strings.Contains(root.Text, c.URL+"/network/v2.0/") {
		t.Errorf("root: %d %s", root.Status, root.Text)
	}
	if v2 := c.Do("", "GET", "/network/v2.0/", nil); v2.Status != http.StatusOK || !strings.Contains(v2.Text, "/network/v2.0/ports") {
		t.Errorf("v2.0: %d %s", v2.Status, v2.Text)
	}
	c.call(demo, "GET", "/extensions/quotas", nil, 200)
	c.fails(demo, "GET", "/extensions/Availability%20Zone", nil, 404, "HTTPNotFound")
	var aliases []string
	for _, e := range c.call(demo, "GET", "/extensions", nil, 200)["extensions"].([]any) {
		aliases = append(aliases, e.(object)["alias"].(string))
	}
	for _, not := range []string{"dvr", "l3-ha", "segment", "auto-allocated-topology"} {
		if slices.Contains(aliases, not) {
			t.Errorf("it says it has %s", not)
		}
	}
}
