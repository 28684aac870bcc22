package ironic_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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
	"github.com/ingotcloud/ingot/internal/network"
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
		keystone.Dialect(who.Service), ironic.Dialect(services(rig, network.New(d, rig.Clock, slog.New(slog.DiscardHandler)))))
	if err := who.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: "x", Catalog: []identity.BootstrapService{
		{Type: "identity", Name: "keystone", URL: s.URL + "/identity/v3"},
		{Type: "baremetal", Name: "ironic", URL: s.URL + "/baremetal"},
	}}); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	openstack := func(stdin string, arguments ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, arguments...)
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + s.URL + "/identity",
			"OS_USERNAME=admin", "OS_PASSWORD=" + identitytest.AdminPassword, "OS_PROJECT_NAME=admin",
			"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, m := range rig.Machines {
		arguments := []string{"baremetal", "node", "create", "--driver", m.BMC.Kind, "--name", m.Spec.Name, "--resource-class", "baremetal", "-f", "value", "-c", "uuid"}
		for key, value := range driverInfo(m) {
			arguments = append(arguments, "--driver-info", key+"="+value.(string))
		}
		out, err := openstack("", arguments...)
		if err != nil {
			t.Fatalf("node create: %v\n%s", err, out)
		}
		m.ID = strings.TrimSpace(out)
	}
	// One process does the rest: each start of the client takes seconds.
	var script strings.Builder
	var wanted []string
	do := func(command, want string) {
		script.WriteString("baremetal " + command + "\n")
		wanted = append(wanted, want)
	}
	for _, m := range rig.Machines {
		do("port create --node "+m.ID+" "+m.MACs[0]+" -f value -c address", m.MACs[0])
	}
	red, steps := rig.Machines[0], filepath.Join(home, "steps")
	if err := os.WriteFile(steps, []byte(`[{"interface": "bios", "step": "reset", "args": {}, "priority": 9}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ command, want string }{
		{"node list -f value -c Name", "red\nipmi"},
		{"node validate red -f value -c Interface -c Result", "power True"},
		{"node manage --wait 60 red", ""},
		{"node manage --wait 60 ipmi", ""},
		{"node show ipmi -f value -c provision_state", "manageable"},
		{"node inspect --wait 60 red", ""},
		{"node provide --wait 60 red", ""},
		{"node provide --wait 60 ipmi", ""},
		{"node list --provision-state available --fields name power_state -f value", "red power on\nipmi power on"},
		{"node power off --soft --power-timeout 60 red", ""},
		{"node maintenance set --reason fan red", ""},
		{"node show red -f value -c maintenance_reason", "fan"},
		{"node maintenance unset red", ""},
		{"node set --property rack=7 --extra a=b --description text --driver-info redfish_verify_ca=False red", ""},
		{"node show red -f json -c properties -c description -c driver_info", `"redfish_password": "******"`},
		{"node show red -f json -c properties", `"rack": 7`},
		{"node unset --property rack --extra a red", ""},
		{"node show red -f value -c extra", "{}"},
		{"node add trait red CUSTOM_FAST", "CUSTOM_FAST"},
		{"node trait list red -f value", "CUSTOM_FAST"},
		{"node remove trait red CUSTOM_FAST", "CUSTOM_FAST"},
		{"node boot device show ipmi --supported -f value", "cdrom"},
		{"node vif list red -f json", "[]"},
		{"node bios setting list red -f json", "[]"},
		{"node history list red -f json", "[]"},
		{"node console show red -f value -c console_enabled", "False"},
		{"port list -f value -c Address", red.MACs[0]},
		{"port list --node red --fields address pxe_enabled -f value", red.MACs[0] + " True"},
		{"port list --address " + red.MACs[1] + " -f value -c Address", red.MACs[1]},
		{"driver list -f json", `"ipmi"`},
		{"driver show redfish -f value -c default_power_interface", "redfish"},
		{"driver property list ipmi -f json", "ipmi_address"},
		{"conductor list -f value -c Alive", "True"},
		{"chassis list -f json", "[]"},
		{"allocation list -f json", "[]"},
		{"deploy template list -f json", "[]"},
		{"volume connector list -f json", "[]"},
		{"node deploy red", "made, rebuilt and deleted through Nova"},
		{"node clean --clean-steps '[]' red", "cleaning always erases all disks"},
		{"chassis create --description rack -f value -c description", "rack"},
		{"chassis list -f value -c Description", "rack"},
		{"port group create --node " + red.ID + " --name bond --mode active-backup -f value -c name", "bond"},
		{"port group set --property miimon=100 bond", ""},
		{"port group show bond -f value -c properties", "miimon"},
		{"port group list -f value -c Name", "bond"},
		{"port group delete bond", "Deleted port group bond"},
		{"allocation create --resource-class baremetal --name mine --candidate-node red --wait 60 -f value -c state", "active"},
		{"node list --associated -f value -c Name", "red"},
		{"allocation show mine -f value -c node_uuid", red.ID},
		{"allocation set --extra why=test mine", ""},
		{"allocation delete mine", "Deleted allocation mine"},
		{"deploy template create CUSTOM_RAID --steps " + steps + " -f value -c name", "CUSTOM_RAID"},
		{"deploy template list -f value -c Name", "CUSTOM_RAID"},
		{"deploy template delete CUSTOM_RAID", "Deleted deploy template CUSTOM_RAID"},
		{"volume connector create --node " + red.ID + " --type iqn --connector-id iqn.2026:red -f value -c connector_id", "iqn.2026:red"},
		{"volume target create --node " + red.ID + " --type iscsi --volume-id v1 --boot-index 0 -f value -c volume_id", "v1"},
		{"volume target list --node red --fields volume_id -f value", "v1"},
		{"volume connector list --node red --fields connector_id -f value", "iqn.2026:red"},
		{"node history list red -f json", "[]"},
		{"node set --lessee 0123456789abcdef0123456789abcdef --instance-info a=b red", ""},
		{"node list --lessee 0123456789abcdef0123456789abcdef -f value -c Name", "red"},
		{"node delete ipmi", "Deleted node ipmi"},
		{"node show ipmi", "Node ipmi could not be found"},
	} {
		do(x.command, x.want)
	}
	out, err := openstack(script.String())
	t.Logf("openstack:\n%s", out)
	commands, rest := strings.Split(script.String(), "\n"), out
	for i, want := range wanted {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("openstack %s: no %q follows (%v)", commands[i], want, err)
		}
		rest = after
	}
	rig.Idle(red)
	if red.Sim.Power() {
		t.Error("the machine was told to shut down, and is on")
	}
}
