package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body)) }

// ask makes one request. An error means that there was no whole answer.
func (s *server) ask(method, path, token string, in any) (answer, error) {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(in), "application/octet-stream"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("X-Auth-Token", token)
	request.Header.Set("X-OpenStack-Nova-API-Version", "2.90")
	request.Header.Set("X-OpenStack-Ironic-API-Version", "1.78")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, text}, err
}

// client is the admin, at one server or at another one of the same cloud.
type client struct {
	t                      *testing.T
	server                 *server
	token                  string
	image, flavor, network string
}

func login(t *testing.T, s *server) *client {
	t.Helper()
	c := &client{t: t, server: s}
	a, err := s.ask("POST", "/identity/v3/auth/tokens", "", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{
			"name": "admin", "domain": object{"id": "default"}, "password": adminPassword,
		}}},
		"scope": object{"project": object{"name": "admin", "domain": object{"id": "default"}}},
	}})
	if err != nil || a.status != 201 {
		t.Fatalf("log in: %v %s", err, a)
	}
	c.token = a.header.Get("X-Subject-Token")
	return c
}

func (c *client) ask(method, path string, in any) (answer, error) {
	return c.server.ask(method, path, c.token, in)
}

// do makes a request that must succeed.
func (c *client) do(method, path string, in, out any) {
	c.t.Helper()
	a, err := c.ask(method, path, in)
	if err != nil || a.status/100 != 2 {
		c.t.Fatalf("%s %s: %v %s", method, path, err, a)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, a)
	}
}

// read is a GET that is tried again while the server is away; it gives the status.
func (c *client) read(path string, out any) (int, error) {
	a, err := c.ask("GET", path, nil)
	if err != nil {
		return 0, err
	}
	if a.status != 200 {
		return a.status, fmt.Errorf("GET %s: %s", path, a)
	}
	return a.status, json.Unmarshal(a.body, out)
}

// node is what the tests read of a machine.
type node struct {
	UUID        string `json:"uuid"`
	Name        string `json:"name"`
	State       string `json:"provision_state"`
	Instance    string `json:"instance_uuid"`
	Maintenance bool   `json:"maintenance"`
	Reason      string `json:"maintenance_reason"`
	Fault       string `json:"fault"`
	LastError   string `json:"last_error"`
}

func (c *client) node(name string) (n node, err error) {
	_, err = c.read("/baremetal/v1/nodes/"+name, &n)
	return n, err
}

func (c *client) provision(name, verb string) {
	c.t.Helper()
	c.do("PUT", "/baremetal/v1/nodes/"+name+"/states/provision", object{"target": verb}, nil)
}

func (c *client) enrol(m *computer, info object) {
	c.t.Helper()
	var made node
	c.do("POST", "/baremetal/v1/nodes", object{"name": m.name, "driver": "redfish", "driver_info": info, "resource_class": "baremetal"}, &made)
	link := object{"switch_id": "52:54:00:fa:ff:01", "switch_info": "ovs", "port_id": "nic-of-" + m.name}
	c.do("POST", "/baremetal/v1/ports", object{"node_uuid": made.UUID, "address": m.mac, "local_link_connection": link}, nil)
}

// awaitNode waits for a machine's state; an error on the way is the end.
func (c *client) awaitNode(name, state string) {
	c.t.Helper()
	eventually(c.t, func() error {
		n, err := c.node(name)
		if err == nil && n.State != state {
			err = fmt.Errorf("%s is %s, last error %q", name, n.State, n.LastError)
		}
		return err
	})
}

// spares takes machines from unknown to available.
func (c *client) spares(machines ...*computer) {
	c.t.Helper()
	for _, m := range machines {
		c.enrol(m, m.driverInfo())
		c.provision(m.name, "manage")
	}
	c.provide(machines...)
}

// provide takes machines that are being verified to available.
func (c *client) provide(machines ...*computer) {
	c.t.Helper()
	for _, m := range machines {
		c.awaitNode(m.name, "manageable")
		c.idle(m.name)
		c.provision(m.name, "provide")
	}
	for _, m := range machines {
		c.awaitNode(m.name, "available")
	}
}

// idle waits until a verb can be asked of the machine: its state changes a moment before the work on it has ended.
func (c *client) idle(name string) {
	c.t.Helper()
	d := c.server.open()
	eventually(c.t, func() error {
		var runs int
		err := d.QueryRow(`SELECT count(*) FROM workflow_run r JOIN machine m ON r.resource = 'machine/' || m.id
			WHERE m.name = $1 AND r.status NOT IN ('done', 'aborted')`, name).Scan(&runs)
		if err == nil && runs > 0 {
			err = fmt.Errorf("work goes on on %s", name)
		}
		return err
	})
}

// fill gives the cloud what a server needs.
func (c *client) fill() {
	c.t.Helper()
	var made struct {
		ID     string
		Flavor struct{ ID string }
	}
	c.do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "bm", "ram": 512, "vcpus": 1, "disk": 1}}, &made)
	c.flavor = made.Flavor.ID
	c.do("POST", "/compute/v2.1/flavors/"+c.flavor+"/os-extra_specs", object{"extra_specs": object{"resources:CUSTOM_BAREMETAL": "1"}}, nil)
	c.image = c.newImage("tiny")
	c.do("PUT", "/image/v2/images/"+c.image+"/file", noise(1<<20), nil)
	var net struct{ Network struct{ ID string } }
	c.do("POST", "/network/v2.0/networks", object{"network": object{"name": "net"}}, &net)
	c.network = net.Network.ID
	c.do("POST", "/network/v2.0/subnets", object{"subnet": object{"network_id": c.network, "ip_version": 4, "cidr": "192.168.10.0/24"}}, nil)
}

func (c *client) newImage(name string) string {
	c.t.Helper()
	var made struct{ ID string }
	c.do("POST", "/image/v2/images", object{"name": name, "disk_format": "raw", "container_format": "bare"}, &made)
	return made.ID
}

// noise cannot be compressed.
func noise(size int) []byte {
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content) // it never fails
	return content
}

// order is the body of POST /servers.
func (c *client) order(name string) object {
	return object{"server": object{"name": name, "imageRef": c.image, "flavorRef": c.flavor, "networks": []object{{"uuid": c.network}}}}
}

func (c *client) create(name string) (id string) {
	c.t.Helper()
	var made struct{ Server struct{ ID string } }
	c.do("POST", "/compute/v2.1/servers", c.order(name), &made)
	return made.Server.ID
}

// instance is what the tests read of a server.
type instance struct {
	ID     string
	Name   string
	Status string
	Fault  struct{ Message string }
}

func (c *client) instance(id string) (status int, i instance, err error) {
	var body struct{ Server instance }
	status, err = c.read("/compute/v2.1/servers/"+id, &body)
	return status, body.Server, err
}

// awaitServer waits until a server is ACTIVE or in ERROR, and gives it.
func (c *client) awaitServer(id string) (i instance) {
	c.t.Helper()
	eventually(c.t, func() (err error) {
		_, i, err = c.instance(id)
		if err == nil && i.Status == "BUILD" {
			err = fmt.Errorf("server %s is still being built", i.Name)
		}
		return err
	})
	return i
}

func (c *client) awaitActive(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		if i := c.awaitServer(id); i.Status != "ACTIVE" {
			c.t.Fatalf("server %s is %s: %s", i.Name, i.Status, i.Fault.Message)
		}
	}
}

func (c *client) awaitGone(id string) {
	c.t.Helper()
	eventually(c.t, func() error {
		status, i, err := c.instance(id)
		if status == 404 {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("server %s is still %s", i.Name, i.Status)
		}
		return err
	})
}

// awaitDeploys waits until machines write images, in all n of them since the test began.
func awaitDeploys(t *testing.T, machines []*computer, n int) {
	t.Helper()
	eventually(t, func() error {
		begun := 0
		for _, m := range machines {
			begun += m.deploysBegun()
		}
		if begun < n {
			return fmt.Errorf("%d of %d images are being written", begun, n)
		}
		return nil
	})
}

// slowDeploys has every deploy take this long.
func slowDeploys(machines []*computer, d time.Duration) {
	for _, m := range machines {
		m.set(func() { m.slow = d })
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
