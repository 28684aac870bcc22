package neutron_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// four are ports a to d of the project demo.
func four(c *cloud) (ids map[string]string) {
	ids = map[string]string{}
	for name, fields := range map[string]object{
		"a": {"tags": []string{"red"}, "device_id": "x", "fixed_ips": []object{{"ip_address": "10.0.0.101"}}},
		"b": {"tags": []string{"red", "blue"}, "device_id": "y", "description": "b"},
		"c": {"tags": []string{"blue"}, "admin_state_up": false, "description": "b"},
		"d": {"fixed_ips": []object{}},
	} {
		fields["name"] = name
		ids[name] = c.port(demo, fields)["id"].(string)
	}
	c.port(other, object{"name": "foreign", "device_id": "x"})
	return ids
}

func TestFilters(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		ids := four(c)
		for query, want := range map[string]string{
			"":                                   "abcd",
			"name=a":                             "a",
			"name=a&name=c&name=foreign":         "ac",
			"name=":                              "",
			"id=" + ids["b"] + "&id=" + ids["d"]: "bd",
			"device_id=x&device_id=y":            "ab",
			"device_id=":                         "cd",
			"device_id=x&name=b":                 "",
			"network_id=" + c.net.ID:             "abcd",
			"network_id=elsewhere":               "",
			"tenant_id=" + demoProject:           "abcd",
			"project_id=" + otherProject:         "",
			"admin_state_up=False":               "c",
			"admin_state_up=true&description=b":  "b",
			"status=DOWN&status=ACTIVE":          "abcd",
			"revision_number=1":                  "abcd",
			"revision_number=7":                  "",
			"qos_policy_id=":                     "abcd",
			"fixed_ips=ip_address=10.0.0.101":    "a",
			"fixed_ips=ip_address_substr=0.0.":   "abc",
			"fixed_ips=subnet_id=" + c.subnet:    "abc",
			"fixed_ips=ip_address=10.0.0.101&fixed_ips=subnet_id=elsewhere": "",
			"tags=red":              "ab",
			"tags=red,blue":         "b",
			"tags-any=red,blue":     "abc",
			"not-tags=red,blue":     "acd",
			"not-tags-any=red,blue": "d",
		} {
			got := c.names(demo, "ports", query+"&sort_key=name&sort_dir=asc")
			if strings.Join(got, "") != want {
				t.Errorf("%s: %v, want %s", query, got, want)
			}
		}
		for _, query := range []string{"colour=red", "binding:host_id=m", "fixed_ips=nonsense", "limit=-1", "sort_key=colour&sort_dir=asc", "sort_key=name&sort_dir=up", "marker=unknown&limit=1", "page_reverse=perhaps"} {
			c.fails(demo, "GET", "/ports?"+query, nil, 400, "HTTPBadRequest")
		}
		c.call(admin, "GET", "/ports?binding:host_id=m", nil, 200)
		if got := c.names(demo, "networks", "shared=True&router:external=False&name=flat"); len(got) != 1 {
			t.Errorf("networks: %v", got)
		}
		if got := c.names(demo, "subnets", "cidr=10.0.0.0/24&ip_version=4&gateway_ip=10.0.0.1&enable_dhcp=true&dns_nameservers=10.0.0.1"); len(got) != 1 {
			t.Errorf("subnets: %v", got)
		}
	})
}

func TestSortingPagingAndFields(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	four(c)
	if got := c.names(demo, "ports", "sort_key=description&sort_key=name&sort_dir=desc&sort_dir=asc"); strings.Join(got, "") != "bcad" {
		t.Errorf("sorted: %v", got)
	}
	// follow reads pages of n from a query on, by their links.
	follow := func(query, rel string) (names []string) {
		path := "/ports?sort_key=name&sort_dir=asc&" + query
		for range 9 {
			body := c.call(demo, "GET", path, nil, 200)
			page := []string{}
			for _, p := range body["ports"].([]any) {
				page = append(page, p.(object)["name"].(string))
			}
			if rel == "previous" {
				slices.Reverse(page)
			}
			names, path = append(names, page...), ""
			links, _ := body["ports_links"].([]any)
			for _, link := range links {
				if link := link.(object); link["rel"] == rel {
					path = strings.TrimPrefix(link["href"].(string), c.URL+"/network/v2.0")
				}
			}
			if path == "" {
				return names
			}
		}
		t.Fatalf("%s: the pages have no end", query)
		return nil
	}
	for query, want := range map[string]string{"limit=1": "abcd", "limit=2": "abcd", "limit=3": "abcd", "limit=99": "abcd", "limit=0": "abcd", "": "abcd"} {
		if got := follow(query, "next"); strings.Join(got, "") != want {
			t.Errorf("%s: %v", query, got)
		}
		if strings.Trim(query, "limt=09") == "" {
			continue // one page, whose previous one is empty
		}
		if got := follow(query+"&page_reverse=True", "previous"); strings.Join(got, "") != "dcba" {
			t.Errorf("%s backwards: %v", query, got)
		}
	}
	body := c.call(demo, "GET", "/ports?fields=id&fields=name&fields=mac_address&fields=nothing", nil, 200)
	for _, p := range body["ports"].([]any) {
		if len(p.(object)) != 3 {
			t.Errorf("fields: %v", p)
		}
	}
	if body["ports_links"] != nil {
		t.Errorf("links without a limit: %v", body["ports_links"])
	}
}

// The store cuts pages as the whole list is, whoever looks.
func TestPagesOfTheStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		for _, token := range []string{demo, other, demo} {
			net := c.make(token, "network", object{"name": "n"})["id"]
			for i := range 3 {
				c.make(token, "subnet", object{"name": "n", "network_id": net, "ip_version": 4, "cidr": fmt.Sprintf("10.%d.0.0/24", i+1)})
				c.make(token, "port", object{"name": "n", "network_id": net})
				c.make(token, "router", object{"name": "n"})
				c.post(token, "security-groups", "security_group", object{"name": "n"})
				c.post(token, "address-groups", "address_group", object{"name": "n"})
			}
		}
		outside, _ := c.newNetwork(admin, "203.0.113.0/24", true)
		for _, token := range []string{demo, other, demo, other, demo, demo} {
			c.make(token, "floatingip", object{"floating_network_id": outside})
		}
		ids := func(token, kind, query string) (list []string) {
			for _, o := range c.call(token, "GET", "/"+kind+"?"+query, nil, 200)[strings.ReplaceAll(kind, "-", "_")].([]any) {
				list = append(list, o.(object)["id"].(string))
			}
			return list
		}
		for _, token := range []string{demo, other, admin, reader} {
			for _, kind := range []string{"networks", "subnets", "ports", "routers", "floatingips", "security-groups", "address-groups"} {
				bys := []string{"", "&name=n", "&project_id=" + demoProject, "&tenant_id=" + otherProject + "&name=n", "&name=nothing"}
				if kind == "floatingips" {
					bys = []string{"", "&project_id=" + demoProject, "&floating_network_id=" + outside, "&port_id=", "&floating_ip_address=203.0.113.1"}
				}
				for _, by := range bys {
					whole := ids(token, kind, "fields=id"+by)
					var paged []string
					for query := "fields=id&limit=2" + by; ; {
						page := ids(token, kind, query)
						if paged = append(paged, page...); len(page) < 2 || len(paged) > len(whole) {
							break
						}
						query = "fields=id&limit=2" + by + "&marker=" + page[1]
					}
					if !slices.Equal(paged, whole) {
						t.Errorf("%s of %s by %q: in pages %v, at once %v", kind, token, by, paged, whole)
					}
				}
			}
		}
		foreign := ids(other, "ports", "name=n&project_id="+otherProject)[0]
		c.fails(demo, "GET", "/ports?limit=2&marker="+foreign, nil, 400, "HTTPBadRequest")
		c.fails(demo, "GET", "/ports?limit=2&marker=nothing", nil, 400, "HTTPBadRequest")
		address := c.make(demo, "port", object{"network_id": ids(demo, "networks", "name=n")[0], "name": "its"})["fixed_ips"].([]any)[0].(object)["ip_address"].(string)
		if got := c.names(demo, "ports", "fixed_ips=ip_address%3D"+address); !slices.Contains(got, "its") {
			t.Errorf("by its address: %v", got)
		}
	})
}
