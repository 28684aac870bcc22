package ironic_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// cli is the stock openstack command with an admin's token.
type cli struct {
	*bench
	program string
}

func newCLI(t *testing.T, b *bench) *cli {
	t.Helper()
	const program = "/usr/bin/openstack" // the distribution's, with its plugins
	if out, err := exec.Command(program, "baremetal", "--help").CombinedOutput(); err != nil {
		t.Skipf("the openstack command with its baremetal plugin is not installed: %v %s", err, out)
	}
	return &cli{b, program}
}

// try runs "openstack baremetal …".
func (c *cli) try(args ...string) (string, error) {
	c.t.Helper()
	auth := []string{"--os-auth-type", "admin_token", "--os-endpoint", c.URL + "/baremetal", "--os-token", "admin", "baremetal"}
	cmd := exec.Command(c.program, append(auth, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+c.t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cli) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("openstack baremetal %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// show runs a command that prints one object.
func (c *cli) show(args ...string) (body object) {
	c.t.Helper()
	out := c.run(append(args, "-f", "json")...)
	if err := json.Unmarshal([]byte(out), &body); err != nil {
		c.t.Fatalf("openstack baremetal %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return body
}

func TestTheOpenStackCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("the openstack command takes a second each time")
	}
	b := newBench(t, machinetest.Spec{Name: "red"})
	c := newCLI(t, b)
	red := b.rig.Machines[0]
	create := []string{"node", "create", "--driver", "redfish", "--name", "red", "--resource-class", "baremetal", "--property", "rack=r1"}
	for name, value := range info(red) {
		create = append(create, "--driver-info", name+"="+value.(string))
	}
	red.ID = c.show(create...)["uuid"].(string)
	if out := c.run("driver", "list"); !strings.Contains(out, "redfish") || !strings.Contains(out, "ipmi") {
		t.Error(out)
	}
	if out := c.run("conductor", "list"); !strings.Contains(out, "True") {
		t.Error(out)
	}
	c.run("node", "manage", "--wait", "60", "red")
	c.run("node", "inspect", "--wait", "60", "red")
	if out := c.run("node", "validate", "red"); !strings.Contains(out, "deploy") || !strings.Contains(out, "True") {
		t.Error(out)
	}
	c.run("node", "provide", "--wait", "60", "red")
	if shown := c.show("node", "show", "red"); shown["provision_state"] != "available" || shown["power_state"] != "power on" {
		t.Errorf("%v", shown)
	}
	if out := c.run("node", "list", "--long"); !strings.Contains(out, red.ID) || !strings.Contains(out, "available") {
		t.Error(out)
	}
	c.run("node", "power", "off", "red")
	b.rig.Eventually("the power to be off", func() bool { return !red.Sim.Power() })
	b.rig.Idle(red)
	c.run("node", "maintenance", "set", "--reason", "a fan is loud", "red")
	if shown := c.show("node", "show", "red", "--fields", "maintenance", "maintenance_reason"); shown["maintenance"] != true || shown["maintenance_reason"] != "a fan is loud" {
		t.Errorf("%v", shown)
	}
	c.run("node", "maintenance", "unset", "red")
	c.run("node", "set", "red", "--property", "cpus=4", "--extra", "a=1", "--description", "in the cellar", "--resource-class", "gold")
	if shown := c.show("node", "show", "red"); shown["description"] != "in the cellar" || shown["resource_class"] != "gold" {
		t.Errorf("%v", shown)
	}
	c.run("node", "unset", "red", "--property", "cpus", "--description")
	c.run("node", "add", "trait", "red", "CUSTOM_GPU")
	if out := c.run("node", "trait", "list", "red"); !strings.Contains(out, "CUSTOM_GPU") {
		t.Error(out)
	}
	c.run("node", "boot", "device", "set", "red", "disk")
	if out := c.run("node", "boot", "device", "show", "red"); !strings.Contains(out, "disk") {
		t.Error(out)
	}
	port := c.show("port", "create", "--node", red.ID, "52:54:00:99:99:99")["uuid"].(string)
	if out := c.run("port", "list", "--node", "red"); !strings.Contains(out, port) {
		t.Error(out)
	}
	c.run("port", "delete", port)
	if out, err := c.try("node", "deploy", "red"); err == nil || !strings.Contains(out, "Compute API") {
		t.Errorf("deploy: %v %s", err, out)
	}
	if out, err := c.try("node", "show", "nobody"); err == nil || !strings.Contains(out, "could not be found") {
		t.Errorf("an unknown node: %v %s", err, out)
	}
	c.run("node", "manage", "--wait", "60", "red")
	if state := red.Record().State; state != machine.Manageable {
		t.Errorf("managed: %s", state)
	}
	c.run("node", "delete", "red")
	if out := c.run("node", "list"); strings.Contains(out, red.ID) {
		t.Error(out)
	}
}
