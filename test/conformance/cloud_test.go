package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

// machines of the cloud: enough that two workers of Tempest never wait for one to be cleaned.
const machines = 24

type object = map[string]any

// cloud is a running ingot with simulated machines, and an admin's login to it.
type cloud struct {
	t        *testing.T
	home     string
	url      string // of Keystone
	password string // of the admin
	provider *gophercloud.ProviderClient
}

// simulated is what `ingot up` is told for simulated machines on real networks.
var simulated = []string{"--simulate", fmt.Sprint(machines), "--fabric", "ovn"}

// startCloud builds ingot and brings a cloud up, as the arguments of `ingot up` say. It ends with the test.
func startCloud(t *testing.T, how ...string) *cloud {
	t.Helper()
	folder, err := os.MkdirTemp("", "ingot-conformance-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, home: filepath.Join(folder, "home")}
	program := filepath.Join(folder, "ingot")
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(c.home, "serve.log")); err == nil && t.Failed() {
			t.Logf("the control plane's last words:\n%s", log[max(0, len(log)-6000):])
		}
		if _, err := os.Stat(program); err == nil {
			c.run(program, "clean", "--home", c.home)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", folder+"/", "./cmd/...", "./internal/lab/tenantimage/cloudstart")
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	c.run(program, append([]string{"up", "--home", c.home}, how...)...)
	c.login()
	return c
}

func (c *cloud) run(program string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("ingot %s: %v:\n%s", strings.Join(args, " "), err, out)
	}
}

// login reads what `ingot up` leaves for the admin.
func (c *cloud) login() {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.home, "admin-openrc.sh"))
	if err != nil {
		c.t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "OS_AUTH_URL":
			c.url = value
		case "OS_PASSWORD":
			c.password = value
		}
	}
	c.provider, err = openstack.AuthenticatedClient(c.t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: c.url, Username: "admin", Password: c.password, TenantName: "admin", DomainName: "Default", AllowReauth: true,
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// service is the client of a type in the catalog; nil when there is no such service.
func (c *cloud) service(kind string) *gophercloud.ServiceClient {
	endpoint, err := c.provider.EndpointLocator(gophercloud.EndpointOpts{Type: kind, Availability: gophercloud.AvailabilityPublic})
	if err != nil {
		return nil
	}
	return &gophercloud.ServiceClient{ProviderClient: c.provider, Endpoint: strings.TrimSuffix(endpoint, "/") + "/", Type: kind}
}

// call makes one request of a service and gives the answer; 300 is how Glance lists its versions.
func (c *cloud) call(client *gophercloud.ServiceClient, method, path string, in any) (out object) {
	c.t.Helper()
	answer, err := client.Request(c.t.Context(), method, client.ServiceURL(path), &gophercloud.RequestOpts{
		JSONBody: in, JSONResponse: &out, OkCodes: []int{200, 201, 202, 300},
	})
	if err != nil {
		c.t.Fatalf("%s %s %s: %v", method, client.Type, path, err)
	}
	_ = answer.Body.Close() // it was read
	return out
}

// image uploads an image of noise, since holes are not transferred.
func (c *cloud) image(name string) (id string) {
	c.t.Helper()
	glance := c.service("image")
	id = c.call(glance, http.MethodPost, "v2/images", object{"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"})["id"].(string)
	noise := make([]byte, 1<<20)
	if _, err := io.ReadFull(rand.NewChaCha8([32]byte{1}), noise); err != nil {
		c.t.Fatal(err)
	}
	answer, err := glance.Request(context.Background(), http.MethodPut, glance.ServiceURL("v2/images", id, "file"), &gophercloud.RequestOpts{
		RawBody: bytes.NewReader(noise), MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}, OkCodes: []int{204},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	_ = answer.Body.Close() // it is empty
	return id
}

// shared makes a network for the projects that Tempest gives none of their own, and says its name.
func (c *cloud) shared(name string) string {
	c.t.Helper()
	neutron := c.service("network")
	made := c.call(neutron, http.MethodPost, "v2.0/networks", object{"network": object{"name": name, "shared": true}})
	c.call(neutron, http.MethodPost, "v2.0/subnets", object{"subnet": object{"network_id": made["network"].(object)["id"], "ip_version": 4, "cidr": "10.66.0.0/16"}})
	return name
}

// external makes an external network, from which routers have their gateways and projects their floating IPs.
func (c *cloud) external(name string) (id string) {
	c.t.Helper()
	neutron := c.service("network")
	made := c.call(neutron, http.MethodPost, "v2.0/networks", object{"network": object{"name": name, "router:external": true}})
	id = made["network"].(object)["id"].(string)
	for version, cidr := range map[int]string{4: "203.0.113.0/24", 6: "2001:db8:ffff::/64"} {
		c.call(neutron, http.MethodPost, "v2.0/subnets", object{"subnet": object{"network_id": id, "ip_version": version, "cidr": cidr, "enable_dhcp": false}})
	}
	return id
}

// flavor makes one that any of the machines fits.
func (c *cloud) flavor(name string, ram, vcpus, disk int) (id string) {
	c.t.Helper()
	made := c.call(c.service("compute"), http.MethodPost, "flavors", object{"flavor": object{"name": name, "ram": ram, "vcpus": vcpus, "disk": disk}})
	id = made["flavor"].(object)["id"].(string)
	c.call(c.service("compute"), http.MethodPost, "flavors/"+id+"/os-extra_specs", object{"extra_specs": object{"resources:CUSTOM_BAREMETAL": "1"}})
	return id
}
