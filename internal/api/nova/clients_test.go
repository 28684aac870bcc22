package nova_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/ingotcloud/ingot/internal/api/glance"
	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/nova"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/keypair"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/metadef"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// whole is a cloud with all that a client of it talks to, and real tokens.
func whole(t *testing.T) (url string, c *instancetest.Cloud) {
	t.Helper()
	d := dbtest.SQLite(t)
	c = instancetest.New(t, d, machinetest.Spec{Name: "m0"}, machinetest.Spec{Name: "m1"})
	people := identitytest.New(t, d, nil)
	s := osapitest.ServeWith(t, osapi.Config{Auth: people.Service, RequestsPerSecond: -1},
		keystone.Dialect(people.Service), glance.Dialect(c.Images, metadef.NewStore(d, clock.Real{})), neutron.Dialect(neutron.Services{
			Networks: c.Networks, Routers: c.Routers, Groups: c.Groups, Policies: qos.New(c.Clock), Trunks: trunk.New(c.Clock, c.Networks),
		}, d),
		nova.Dialect(nova.Services{
			DB: d, Instances: c.Instances, Flavors: flavor.NewStore(d, c.Clock), Keypairs: keypair.NewStore(d, c.Clock), Images: c.Images,
			Networks: c.Networks, Routers: c.Routers, Groups: c.Groups, Machines: c.Service, Console: console{}, Clock: c.Clock,
		}))
	c.Check(people.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: identitytest.AdminPassword, Catalog: []identity.BootstrapService{
		{Type: "identity", Name: "keystone", URL: s.URL + "/identity/v3"}, {Type: "image", Name: "glance", URL: s.URL + "/image"},
		{Type: "compute", Name: "nova", URL: s.URL + "/compute/v2.1"}, {Type: "network", Name: "neutron", URL: s.URL + "/network"},
	}}))
	c.Run()
	c.Spares()
	return s.URL, c
}

func TestGophercloud(t *testing.T) {
	url, c := whole(t)
	ctx := t.Context()
	as := func(user, password, project string) *gophercloud.ServiceClient {
		provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
			IdentityEndpoint: url + "/identity/v3", Username: user, Password: password, DomainName: "Default",
			Scope: &gophercloud.AuthScope{ProjectName: project, DomainName: "Default"},
		})
		c.Check(err)
		client, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{})
		c.Check(err)
		client.Microversion = "2.96"
		return client
	}
	admin, demo := as("admin", identitytest.AdminPassword, "admin"), as("demo", identitytest.DemoPassword, "demo")
	disk := 10
	f, err := flavors.Create(ctx, admin, flavors.CreateOpts{Name: "bm", RAM: 1024, VCPUs: 1, Disk: &disk}).Extract()
	c.Check(err)
	image := c.Upload()
	_, err = c.DB.ExecContext(ctx, `UPDATE image SET visibility = 'public' WHERE id = $1`, image)
	c.Check(err)
	old := *demo
	old.Microversion = "2.91"
	key, err := keypairs.Create(ctx, &old, keypairs.CreateOpts{Name: "key"}).Extract()
	c.Check(err)
	made, err := servers.Create(ctx, demo, keypairs.CreateOptsExt{KeyName: key.Name, CreateOptsBuilder: servers.CreateOpts{
		Name: "web", ImageRef: image, FlavorRef: f.ID, Networks: []servers.Network{{UUID: c.Network.ID}}, Metadata: map[string]string{"a": "b"},
		Tags: []string{"x"}, UserData: []byte("#cloud-config\n"),
	}}, nil).Extract()
	c.Check(err)
	c.Check(servers.WaitForStatus(ctx, demo, made.ID, "ACTIVE"))
	s, err := servers.Get(ctx, demo, made.ID).Extract()
	if err != nil || s.KeyName != "key" || s.Metadata["a"] != "b" || (*s.Tags)[0] != "x" || len(s.Addresses["flat"].([]any)) != 1 || s.LaunchedAt.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	pages, err := servers.List(demo, servers.ListOpts{Name: "web", Status: "ACTIVE"}).AllPages(ctx)
	c.Check(err)
	if list, err := servers.ExtractServers(pages); err != nil || len(list) != 1 || list[0].ID != made.ID {
		t.Errorf("%+v, %v", list, err)
	}
	pages, err = instanceactions.List(demo, made.ID, nil).AllPages(ctx)
	c.Check(err)
	acts, err := instanceactions.ExtractInstanceActions(pages)
	if err != nil || len(acts) != 1 || acts[0].Action != "create" {
		t.Fatalf("%+v, %v", acts, err)
	}
	if detail, err := instanceactions.Get(ctx, demo, made.ID, acts[0].RequestID).Extract(); err != nil || len(*detail.Events) < 9 {
		t.Errorf("%+v, %v", detail, err)
	}
	c.Check(servers.Stop(ctx, demo, made.ID).ExtractErr())
	c.Check(servers.WaitForStatus(ctx, demo, made.ID, "SHUTOFF"))
	c.Check(servers.Start(ctx, demo, made.ID).ExtractErr())
	c.Check(servers.WaitForStatus(ctx, demo, made.ID, "ACTIVE"))
	c.Check(servers.Reboot(ctx, demo, made.ID, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	c.Check(servers.WaitForStatus(ctx, demo, made.ID, "ACTIVE"))
	out, err := servers.ShowConsoleOutput(ctx, demo, made.ID, servers.ShowConsoleOutputOpts{Length: 5}).Extract()
	if err != nil || !strings.Contains(out, "login:") {
		t.Errorf("%q, %v", out, err)
	}
	c.Check(servers.Delete(ctx, demo, made.ID).ExtractErr())
	c.Eventually("the server to be gone", func() bool {
		_, err := servers.Get(ctx, demo, made.ID).Extract()
		return gophercloud.ResponseCodeIs(err, 404)
	})
}

// command runs the openstack CLI, as distributions ship it, for a user in the project of the same name.
type command func(user, password, line string) (string, error)

// cli is that CLI in a cloud, with a file disk.img to upload.
func cli(t *testing.T) (command, *instancetest.Cloud) {
	t.Helper()
	const program = "/usr/bin/openstack" // the distribution's, whatever else PATH has
	if _, err := os.Stat(program); err != nil {
		t.Skip("python3-openstackclient is not installed")
	}
	if testing.Short() {
		t.Skip("each command takes seconds to start")
	}
	url, c := whole(t)
	home := t.TempDir()
	c.Check(os.WriteFile(filepath.Join(home, "disk.img"), []byte(strings.Repeat("tenant", 10000)), 0o600))
	return func(user, password, line string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, strings.Fields(line)...)
		cmd.Dir = home
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + url + "/identity",
			"OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + user, "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}, c
}

// The openstack CLI tells the whole story of a server.
func TestCLI(t *testing.T) {
	run, c := cli(t)
	admin := func(command string) (string, error) { return run("admin", identitytest.AdminPassword, command) }
	demo := func(command string) (string, error) { return run("demo", identitytest.DemoPassword, command) }
	request := ""
	for _, x := range []struct {
		who           func(string) (string, error)
		command, want string
	}{
		{admin, "flavor create --ram 4096 --vcpus 2 --disk 10 --property ingot:boot=kexec bm.small -f value -c name", "bm.small"},
		{demo, "flavor list -f value -c Name", "bm.small"},
		{demo, "flavor show bm.small -f value -c properties", "kexec"},
		{demo, "keypair create key", "PRIVATE KEY"},
		{demo, "keypair list -f value -c Name", "key"},
		{demo, "image create --disk-format raw --container-format bare --file disk.img tenant", "tenant"},
		{demo, "server create --image tenant --flavor bm.small --network flat --key-name key --property a=b --wait web -f value -c status", "ACTIVE"},
		{demo, "server list -f value -c Name -c Status -c Networks -c Image -c Flavor", "web ACTIVE"},
		{demo, "server show web -f value -c OS-EXT-STS:vm_state -c key_name", "active"},
		{demo, "server set --property c=d web", ""},
		{demo, "console log show web", "login:"},
		{demo, "server stop web", ""},
		{demo, "server start web", ""},
		{demo, "server reboot --wait web", ""},
		{demo, "server reboot --hard --wait web", ""},
		{demo, "server lock web", ""},
		{demo, "server unlock web", ""},
		{demo, "server event list web -f value", "create"},
		{demo, "server event show web REQUEST", "write-image"},
		{demo, "--os-compute-api-version 2.90 server show web -f value -c flavor", "bm.small"},
		{demo, "limits show --absolute", "totalInstancesUsed"},
		{demo, "availability zone list --compute -f value", "nova available"},
		{admin, "hypervisor list -f value", "ironic"},
		{admin, "compute service list -f value", "nova-compute"},
		{admin, "server list --all-projects -f value -c Name", "web"},
		{admin, "usage list", ""},
		{demo, "server delete --wait web", ""},
		{demo, "server list -f value", ""},
		{demo, "keypair delete key", ""},
		{admin, "flavor delete bm.small", ""},
	} {
		out, err := x.who(strings.Replace(x.command, "REQUEST", request, 1))
		if err != nil || !strings.Contains(out, x.want) {
			t.Fatalf("openstack %s: %v\n%s", x.command, err, out)
		}
		if strings.HasPrefix(x.command, "server event list") {
			for _, line := range strings.Split(out, "\n") {
				if strings.Contains(line, " create ") {
					request, _, _ = strings.Cut(line, " ")
				}
			}
		}
		if strings.HasPrefix(x.command, "server stop") || strings.HasPrefix(x.command, "server start") {
			c.Eventually("the server to rest", func() bool {
				list, err := c.Instances.List(t.Context(), "", false)
				c.Check(err)
				return list[0].TaskState == ""
			})
		}
	}
	if left, err := c.Instances.List(t.Context(), "", false); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// The openstack CLI plugs servers into networks, and puts machines into racks.
func TestCLIOfNetworks(t *testing.T) {
	run, c := cli(t)
	wire(t, c)
	const admin, demo = "admin", "demo"
	passwords := map[string]string{admin: identitytest.AdminPassword, demo: identitytest.DemoPassword}
	kept := map[string]string{}
	for _, x := range []struct{ who, line, want, keep string }{
		{admin, "flavor create --ram 4096 --vcpus 2 --disk 10 bm.small -f value -c name", "bm.small", ""},
		{admin, "network create --external outside -f value -c name", "outside", ""},
		{admin, "subnet create --network outside --subnet-range 203.0.113.0/28 outside -f value -c name", "outside", ""},
		{demo, "image create --disk-format raw --container-format bare --file disk.img tenant -f value -c name", "tenant", ""},
		{demo, "network create blue -f value -c name", "blue", ""},
		{demo, "subnet create --network blue --subnet-range 10.1.0.0/24 blue -f value -c name", "blue", ""},
		{demo, "router create way -f value -c name", "way", ""},
		{demo, "router add subnet way blue", "", ""},
		{demo, "router set --external-gateway outside way", "", ""},
		{demo, "security group create ssh -f value -c name", "ssh", ""},
		{demo, "server create --image tenant --flavor bm.small --network blue --security-group ssh --wait web -f value -c status", "ACTIVE", ""},
		{demo, "server show web -f value -c security_groups", "'name': 'ssh'", ""},

		{demo, "port create --network blue spare -f value -c name", "spare", ""},
		{demo, "server add port web spare", "", ""},
		{demo, "port show spare -f value -c device_owner", "compute:nova", ""},
		{demo, "server remove port web spare", "", ""},
		{demo, "--os-compute-api-version 2.49 server add network --tag more web blue", "", ""},
		{demo, "server remove network web blue", "", ""},
		{demo, "server show web -f json -c addresses", `"addresses": {}`, ""},
		{demo, "server add fixed ip --fixed-ip-address 10.1.0.50 web blue", "", ""},
		{demo, "server show web -f value -c addresses", "10.1.0.50", ""},

		{demo, "server add security group web ssh", "", ""},
		{demo, "server show web -f value -c security_groups", "'name': 'ssh'", ""},
		{demo, "server remove security group web default", "", ""},
		{demo, "floating ip create outside -f value -c floating_ip_address", "203.0.113.", "ADDRESS"},
		{demo, "server add floating ip web $ADDRESS", "", ""},
		{demo, "server show web -f value -c addresses", "$ADDRESS", ""},
		{demo, "server remove floating ip web $ADDRESS", "", ""},
		{demo, "server remove network web blue", "", ""},
		{demo, "server show web -f json -c addresses", `"addresses": {}`, ""},

		{admin, "aggregate create --zone west rack-1 -f value -c name", "rack-1", ""},
		{admin, "aggregate add host rack-1 m0 -f value -c name", "rack-1", ""},
		{admin, "aggregate set --property gpu=yes rack-1", "", ""},
		{admin, "aggregate show rack-1 -f value -c properties", "'gpu': 'yes'", ""},
		{admin, "aggregate list -f value", "rack-1 west", ""},
		{demo, "availability zone list --compute -f value", "west available", ""},
		{admin, "compute service list --service nova-compute -f value -c Host -c Zone", "west", ""},
		{admin, "aggregate show rack-1 -f value -c hosts", "-", "HOST"},
		{admin, "aggregate remove host rack-1 m0 -f value -c name", "rack-1", ""},
		{admin, "aggregate delete rack-1", "", ""},
		{admin, "compute service set --disable --disable-reason fan $HOST nova-compute", "", ""},
		{admin, "compute service list --service nova-compute --long -f value", "fan", ""},
		{admin, "compute service set --enable $HOST nova-compute", "", ""},
		{demo, "server delete --wait web", "", ""},
	} {
		replace := func(text string) string {
			for name, value := range kept {
				text = strings.ReplaceAll(text, "$"+name, value)
			}
			return text
		}
		out, err := run(x.who, passwords[x.who], replace(x.line))
		if err != nil || !strings.Contains(out, replace(x.want)) {
			t.Fatalf("openstack %s: %v\n%s", replace(x.line), err, out)
		}
		if x.keep != "" {
			kept[x.keep] = strings.Trim(out, " \n[]'")
		}
	}
}
