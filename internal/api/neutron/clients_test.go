package neutron_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/attributestags"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"

	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

func TestGophercloud(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, ctx := boot(t, d), t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		client := &gophercloud.ServiceClient{
			ProviderClient: &gophercloud.ProviderClient{TokenID: demo}, Endpoint: c.URL + "/network/", ResourceBase: c.URL + "/network/v2.0/",
		}
		pages, err := networks.List(client, networks.ListOpts{Name: "flat", Limit: 1}).AllPages(ctx)
		must(err)
		nets, err := networks.ExtractNetworks(pages)
		if err != nil || len(nets) != 1 || nets[0].ID != c.net.ID || !nets[0].Shared || nets[0].Subnets[0] != c.subnet {
			t.Fatalf("networks: %+v %v", nets, err)
		}
		subnet, err := subnets.Get(ctx, client, c.subnet).Extract()
		if err != nil || subnet.CIDR != "10.0.0.0/24" || subnet.AllocationPools[0].Start != "10.0.0.100" {
			t.Errorf("subnet: %+v %v", subnet, err)
		}
		var made []string
		for range 3 {
			p, err := ports.Create(ctx, client, ports.CreateOpts{NetworkID: c.net.ID, Name: "p", FixedIPs: []ports.IP{{SubnetID: c.subnet}}}).Extract()
			must(err)
			if p.Status != "DOWN" || len(p.FixedIPs) != 1 || p.RevisionNumber != 1 || p.CreatedAt.IsZero() {
				t.Errorf("port: %+v", p)
			}
			made = append(made, p.ID)
		}
		pages, err = ports.List(client, ports.ListOpts{Limit: 2, SortKey: "id", SortDir: "asc"}).AllPages(ctx)
		must(err)
		if all, err := ports.ExtractPorts(pages); err != nil || len(all) != 3 {
			t.Errorf("%d ports over pages of two, %v", len(all), err)
		}
		name, revision := "renamed", 1
		p, err := ports.Update(ctx, client, made[0], ports.UpdateOpts{Name: &name, RevisionNumber: &revision}).Extract()
		if err != nil || p.Name != name || p.RevisionNumber != 2 {
			t.Errorf("updated: %+v %v", p, err)
		}
		_, err = ports.Update(ctx, client, made[0], ports.UpdateOpts{Name: &name, RevisionNumber: &revision}).Extract()
		if !gophercloud.ResponseCodeIs(err, http.StatusPreconditionFailed) {
			t.Errorf("an old revision: %v", err)
		}
		must(attributestags.Add(ctx, client, "ports", made[0], "red").ExtractErr())
		if tags, err := attributestags.List(ctx, client, "ports", made[0]).Extract(); err != nil || strings.Join(tags, ",") != "red" {
			t.Errorf("tags: %v %v", tags, err)
		}
		if q, err := quotas.GetDetail(ctx, client, demoProject).Extract(); err != nil || q.Port.Used != 3 || q.Port.Limit != 500 {
			t.Errorf("quota: %+v %v", q, err)
		}
		if _, err := extensions.Get(ctx, client, "pagination").Extract(); err != nil {
			t.Error(err)
		}
		for _, id := range made {
			must(ports.Delete(ctx, client, id).ExtractErr())
		}
		if err := ports.Delete(ctx, client, made[0]).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		own, err := networks.Create(ctx, client, networks.CreateOpts{Name: "own"}).Extract()
		must(err)
		cut, err := subnets.Create(ctx, client, subnets.CreateOpts{NetworkID: own.ID, CIDR: "192.168.1.0/24", IPVersion: 4}).Extract()
		if err != nil || cut.GatewayIP != "192.168.1.1" || cut.AllocationPools[0].Start != "192.168.1.2" {
			t.Errorf("a subnet of its own: %+v %v", cut, err)
		}
		must(networks.Delete(ctx, client, own.ID).ExtractErr())
	})
}

// commandLine is the openstack CLI as distributions ship it, as demo on a fresh cloud.
func commandLine(t *testing.T) (*cloud, func(command string) (string, error)) {
	t.Helper()
	const program = "/usr/bin/openstack" // the distribution's, whatever else PATH has
	if _, err := os.Stat(program); err != nil {
		t.Skip("python3-openstackclient is not installed")
	}
	if testing.Short() {
		t.Skip("each command takes seconds to start")
	}
	d := dbtest.SQLite(t)
	people := identitytest.New(t, d, nil)
	c := domain(t, d, "operators")
	c.Server = osapitest.ServeWith(t, osapi.Config{Auth: people.Service, RequestsPerSecond: -1}, keystone.Dialect(people.Service), neutron.Dialect(c.services(), d))
	err := people.Bootstrap(t.Context(), identity.Bootstrap{AdminPassword: identitytest.AdminPassword, Catalog: []identity.BootstrapService{
		{Type: "identity", Name: "keystone", URL: c.URL + "/identity/v3"}, {Type: "network", Name: "neutron", URL: c.URL + "/network"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	run := func(command string) (string, error) {
		user, password := "demo", identitytest.DemoPassword
		if rest, asAdmin := strings.CutPrefix(command, "admin: "); asAdmin {
			command, user, password = rest, "admin", identitytest.AdminPassword
		}
		cmd := exec.CommandContext(t.Context(), program, strings.Fields(command)...)
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8", "OS_IDENTITY_API_VERSION=3", "OS_AUTH_URL=" + c.URL + "/identity",
			"OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + user,
			"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	return c, run
}

// The openstack CLI on the shared network.
func TestCLI(t *testing.T) {
	_, run := commandLine(t)
	says(t, run, []step{
		{"network list -f value -c Name", "flat"},
		{"network show flat -f value -c shared", "True"},
		{"subnet list -f value -c Subnet", "10.0.0.0/24"},
		{"port create --network flat --fixed-ip ip-address=10.0.0.123 --tag red --description d web -f value -c status", "DOWN"},
		{"port list --tags red -f value", "10.0.0.123"},
		{"port list --fixed-ip ip-address=10.0.0.123 -f value -c Name", "web"},
		{"port set --name db --disable web", ""},
		{"port show db -f value -c admin_state_up", "False"},
		{"port unset --tag red db", ""},
		{"port delete db", ""},
		{"network create --description d --mtu 1400 own -f value -c status", "ACTIVE"},
		{"network set --name mine own", ""},
		{"address scope create --ip-version 4 scope -f value -c ip_version", "4"},
		{"subnet pool create --pool-prefix 10.5.0.0/16 --default-prefix-length 26 --address-scope scope pool -f value -c prefixes", "10.5.0.0/16"},
		{"subnet create --network mine --subnet-pool pool --dns-nameserver 9.9.9.9 --host-route destination=10.99.0.0/16,gateway=10.5.0.9 cut -f value -c cidr", "10.5.0.0/26"},
		{"subnet create --network mine --ip-version 6 --subnet-range fd00:5::/64 --ipv6-ra-mode slaac --ipv6-address-mode slaac six -f value -c gateway_ip", "fd00:5::1"},
		{"subnet set --gateway none --no-dns-nameservers --no-allocation-pool --allocation-pool start=10.5.0.2,end=10.5.0.9 cut", ""},
		{"port create --network mine --mac-address fa:16:3e:00:00:07 --allowed-address ip-address=10.99.0.1 --extra-dhcp-option name=mtu,value=1400 guarded -f value -c fixed_ips", "fd00:5::f816:3eff:fe00:7"},
		{"port set --no-security-group --disable-port-security --no-allowed-address guarded", ""},
		{"network rbac create --type network --action access_as_shared --target-project admin mine -f value -c action", "access_as_shared"},
		{"port delete guarded", ""},
		{"network delete mine", ""},
		{"subnet pool delete pool", ""},
		{"address scope delete scope", ""},
		{"availability zone list --network -f value", "nova"},
		{"network agent list", ""},
		{"extension list --network -f value -c Alias", "standard-attr-tag"},
	})
	if out, err := run("port show db"); err == nil || !strings.Contains(out, "No Port found for db") {
		t.Errorf("the deleted port: %v\n%s", err, out)
	}
}

// step is a command, and what it says.
type step struct{ command, want string }

// says runs the commands, each of which must do well.
func says(t *testing.T, run func(string) (string, error), steps []step) {
	t.Helper()
	for _, x := range steps {
		if out, err := run(x.command); err != nil || !strings.Contains(out, x.want) {
			t.Fatalf("openstack %s: %v\n%s", x.command, err, out)
		}
	}
}
