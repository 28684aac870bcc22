package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

// rack of one machine: what several do at once is another matter.
const rack = `rack: bench
network: {cidr: 10.77.0.1/24}
machines:
  - name: m1
    bmc: {kind: redfish}
    firmware: uefi
    cpus: %d
    memory_mib: %d
    nics: [{}]
    disks: [{bus: nvme, size_gib: %d}]
`

// patience of everything that the cloud is asked for.
const patience = 5 * time.Minute

// cloud is one that `ingot up` made in a folder, and its tenant and operator.
type cloud struct {
	home, program      string
	compute, baremetal *gophercloud.ServiceClient
}

// bringUp makes the cloud and gives how long that took.
func bringUp(ctx context.Context, bin, home string) (*cloud, time.Duration, error) {
	c := &cloud{home: home, program: filepath.Join(bin, "ingot")}
	file := filepath.Join(home, "rack.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, rack, machineCPUs, machineMiB, machineDiskGiB), 0o600); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	out, err := exec.CommandContext(ctx, c.program, "up", "--home", c.folder(), "--rack", file).CombinedOutput()
	if err != nil {
		return c, 0, fmt.Errorf("ingot up: %w\n%s", err, out)
	}
	took := time.Since(began)
	demo, err := c.login(ctx, "demo")
	if err != nil {
		return c, 0, err
	}
	admin, err := c.login(ctx, "admin")
	if err != nil {
		return c, 0, err
	}
	if c.compute, err = openstack.NewComputeV2(demo, gophercloud.EndpointOpts{}); err != nil {
		return c, 0, err
	}
	if c.baremetal, err = openstack.NewBareMetalV1(admin, gophercloud.EndpointOpts{}); err != nil {
		return c, 0, err
	}
	c.baremetal.Microversion = "1.78"
	return c, took, nil
}

func (c *cloud) folder(elements ...string) string {
	return filepath.Join(append([]string{c.home, "cloud"}, elements...)...)
}

// takeDown stops everything and removes the cloud's folder. That nothing is left running is looked at, too.
func (c *cloud) takeDown() error {
	var left []error
	rack, err := c.pid("lab")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // it was never started
		left = append(left, err)
	}
	if out, err := exec.Command(c.program, "clean", "--home", c.folder()).CombinedOutput(); err != nil {
		left = append(left, fmt.Errorf("ingot clean: %w: %s", err, out))
	}
	// A process that is over but not yet taken in by its parent has no command line.
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", rack)); err == nil && bytes.Contains(line, []byte(c.folder())) {
		left = append(left, fmt.Errorf("ingot clean left the rack running: process %d", rack))
	}
	return errors.Join(left...)
}

func (c *cloud) login(ctx context.Context, user string) (*gophercloud.ProviderClient, error) {
	options, err := c.openrc(user)
	if err != nil {
		return nil, err
	}
	return openstack.AuthenticatedClient(ctx, options)
}

// openrc reads a user's openrc file.
func (c *cloud) openrc(user string) (gophercloud.AuthOptions, error) {
	text, err := os.ReadFile(c.folder(user + "-openrc.sh"))
	env := map[string]string{}
	for _, word := range strings.Fields(string(text)) {
		if name, value, ok := strings.Cut(word, "="); ok {
			env[name] = value
		}
	}
	return gophercloud.AuthOptions{
		IdentityEndpoint: env["OS_AUTH_URL"], Username: env["OS_USERNAME"], Password: env["OS_PASSWORD"],
		TenantName: env["OS_PROJECT_NAME"], DomainName: env["OS_USER_DOMAIN_NAME"], AllowReauth: true,
	}, err
}

type object = map[string]any

func call(ctx context.Context, client *gophercloud.ServiceClient, method, path string, in, out any) error {
	options := &gophercloud.RequestOpts{OkCodes: []int{200, 202, 204}, JSONResponse: out}
	if in != nil {
		options.JSONBody = in
	}
	answer, err := client.Request(ctx, method, client.ServiceURL(path), options)
	if err == nil && out == nil {
		err = answer.Body.Close()
	}
	return err
}

type server struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Image  struct {
		ID string `json:"id"`
	} `json:"image"`
	Flavor struct {
		ID string `json:"id"`
	} `json:"flavor"`
}

// theServer is the tenant's only one.
func (c *cloud) theServer(ctx context.Context) (server, error) {
	var list struct {
		Servers []server `json:"servers"`
	}
	if err := call(ctx, c.compute, http.MethodGet, "servers/detail", nil, &list); err != nil {
		return server{}, err
	}
	if len(list.Servers) != 1 {
		return server{}, fmt.Errorf("the tenant has %d servers instead of one", len(list.Servers))
	}
	return list.Servers[0], nil
}

// release deletes a server and gives how long it takes until its machine is a spare again.
func (c *cloud) release(ctx context.Context, s server) (time.Duration, error) {
	began := time.Now()
	if err := call(ctx, c.compute, http.MethodDelete, "servers/"+s.ID, nil, nil); err != nil {
		return 0, err
	}
	var node struct {
		State string `json:"provision_state"`
	}
	err := c.until(ctx, func() (bool, error) {
		err := call(ctx, c.baremetal, http.MethodGet, "nodes/m1", nil, &node)
		return node.State == "available", err
	})
	if err != nil {
		return 0, fmt.Errorf("the machine is %s: %w", node.State, err)
	}
	return time.Since(began), nil
}

// until asks ten times a second, until it is so.
func (c *cloud) until(ctx context.Context, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		done, err := so()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// order is one server's way from the request to its prompt.
type order struct {
	active, prompt time.Duration // since the request
	writing        time.Duration // of the image, by the agent
	peak           int64         // of the agent's memory so far, bytes
}

// order asks for a server like another and follows it.
func (c *cloud) order(ctx context.Context, like server) (o order, s server, err error) {
	log := c.folder("lab", "m1", "serial.log")
	before, err := os.Stat(log)
	if err != nil {
		return o, s, err
	}
	var made struct {
		Server server `json:"server"`
	}
	began := time.Now()
	err = call(ctx, c.compute, http.MethodPost, "servers", object{"server": object{
		"name": "bench", "imageRef": like.Image.ID, "flavorRef": like.Flavor.ID, "key_name": "demo",
	}}, &made)
	if err != nil {
		return o, s, err
	}
	var console []byte
	err = c.until(ctx, func() (bool, error) {
		if o.active == 0 {
			if err := call(ctx, c.compute, http.MethodGet, "servers/"+made.Server.ID, nil, &made); err != nil {
				return false, err
			}
			switch made.Server.Status {
			case "ACTIVE":
				o.active = time.Since(began)
			case "ERROR":
				return false, errors.New("the server is in error")
			}
		}
		all, err := os.ReadFile(log)
		console = all[min(int64(len(all)), before.Size()):]
		return o.active > 0 && bytes.Contains(console, []byte(prompt)), err
	})
	if err != nil {
		return o, s, fmt.Errorf("%w; the end of the console:\n%s", err, console[max(0, len(console)-1000):])
	}
	o.prompt = time.Since(began)
	return o, made.Server, o.read(string(console))
}

// deployed is the agent's last word on a deployment, on the console.
var deployed = regexp.MustCompile(`msg="deployed the image" seconds=([0-9.]+) peak_kib=([0-9]+)`)

func (o *order) read(console string) error {
	found := deployed.FindStringSubmatch(console)
	if found == nil {
		return fmt.Errorf("the agent's log has no %s", deployed)
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return err
	}
	o.writing = time.Duration(seconds * float64(time.Second))
	kib, err := strconv.ParseInt(found[2], 10, 64)
	o.peak = kib << 10
	return err
}

var accelerator = regexp.MustCompile(`accel="?([a-z0-9:,=]+)`)

// accel is QEMU's accelerator, as the rack chose it.
func (c *cloud) accel() (string, error) {
	text, err := os.ReadFile(c.folder("lab.log"))
	if err != nil {
		return "", err
	}
	found := accelerator.FindSubmatch(text)
	if found == nil {
		return "", errors.New("the rack's log does not tell its accelerator")
	}
	return string(found[1]), nil
}
