package ironic_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

// The openstack CLI, as distributions ship it, takes machines from their BMC's address into the pool.
func TestCLI(t *testing.T) {
	const program = "/usr/bin/openstack" // the distribution's, whatever else PATH has
	if _, err := os.Stat(program); err != nil {
		t.Skip("python3-openstackclient is not installed")
	}
	if _, err := os.Stat("/usr/lib/python3/dist-packages/ironicclient"); err != nil {
		t.Skip("python3-ironicclient is not installed")
	}
	if testing.Short() {
		t.Skip("each command takes seconds to start")
	}
	d := dbtest.SQLite(t)
	rig := machinetest.NewRig(t, d, machinetest.Spec{Name: "red"}, machinetest.Spec{Name: "ipmi", IPMI: true})
	rig.Start()
	who := identitytest.New(t, d, nil)
	s := osapitest.ServeWith(t, osapi.Config{Auth: who.Service, RequestsPerSecond: -1},
		keystone.Dialect(who.Service), ironic.Dialect(rig.Service, rig.Engine, d))
	if err := who.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: "x", Catalog: []identity.BootstrapService{
		{Type: "identity", Name: "keystone", URL: s.URL + "/identity/v3"},
		{Type: "baremetal", Name: "ironic", URL: s.URL + "/baremetal"},
	}}); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	openstack := func(arguments ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"baremetal"}, arguments...)...)
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + s.URL + "/identity",
			"OS_USERNAME=admin", "OS_PASSWORD=" + identitytest.AdminPassword, "OS_PROJECT_NAME=admin",
			"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for _, m := range rig.Machines {
		arguments := []string{"node", "create", "--driver", m.BMC.Kind, "--name", m.Spec.Name, "--resource-class", "baremetal", "-f", "value", "-c", "uuid"}
		for key, value := range driverInfo(m) {
			arguments = append(arguments, "--driver-info", key+"="+value.(string))
		}
		out, err := openstack(arguments...)
		if err != nil {
			t.Fatalf("node create: %v\n%s", err, out)
		}
		m.ID = out
		if out, err := openstack("port", "create", "--node", m.ID, m.MACs[0]); err != nil {
			t.Fatalf("port create: %v\n%s", err, out)
		}
	}
	red := rig.Machines[0]
	for _, x := range []struct{ command, want string }{
		{"node list -f value -c Name", "red\nipmi"},
		{"node validate red -f value -c Interface -c Result", "power True"},
		{"node manage --wait 60 red", ""},
		{"node manage --wait 60 ipmi", ""},
		{"node show ipmi -f value -c provision_state", "manageable"},
		{"node inspect --wait 60 red", ""},
		{"node provide --wait 60 red", ""},
		{"node provide --wait 60 ipmi", ""},
		{"node list --provision-state available --fields name power_state -f value", "red power on"},
		{"node power off red", ""},
		{"node power on red", ""},
		{"node maintenance set --reason fan red", ""},
		{"node show red -f value -c maintenance_reason", "fan"},
		{"node maintenance unset red", ""},
		{"node set --property rack=7 --extra a=b --description text red", ""},
		{"node show red -f value -c properties -c description", "'rack': 7"},
		{"node unset --property rack red", ""},
		{"node add trait red CUSTOM_FAST", ""},
		{"node trait list red -f value", "CUSTOM_FAST"},
		{"node boot device show red --supported -f value", "cdrom"},
		{"node boot device set red pxe", ""},
		{"node boot device show red -f value -c boot_device", "pxe"},
		{"node vif list red", ""},
		{"node bios setting list red", ""},
		{"node history list red", ""},
		{"port list -f value -c Address", red.MACs[0]},
		{"port list --node red --long -f value -c Address", red.MACs[0]},
		{"driver list", "redfish"},
		{"driver show redfish -f value -c default_power_interface", "redfish"},
		{"driver property list ipmi", "ipmi_address"},
		{"conductor list", "True"},
		{"chassis list", ""},
		{"allocation list", ""},
		{"node console show red", "False"},
	} {
		if out, err := openstack(strings.Fields(x.command)...); err != nil || !strings.Contains(out, x.want) {
			t.Errorf("openstack baremetal %s: %v\n%s", x.command, err, out)
		}
	}
	rig.Idle(red)
	if out, err := openstack("node", "deploy", "red"); err == nil || !strings.Contains(out, "through Nova") {
		t.Errorf("a node is deployed: %v\n%s", err, out)
	}
	if out, err := openstack("node", "delete", "red"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
