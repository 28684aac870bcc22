package foreign_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity/foreign"
	"github.com/ingotcloud/ingot/internal/lab/debroot"
)

const adminPassword = "keystone-secret"

// realKeystone is Debian's Keystone on SQLite in a folder of the test.
type realKeystone struct {
	url  string
	stop func()
}

func startKeystone(t *testing.T) *realKeystone {
	t.Helper()
	if testing.Short() {
		t.Skip("unpacking Debian's Keystone takes a minute, and starting it ten seconds")
	}
	if os.Geteuid() != 0 {
		t.Skip("unpacking Debian's Keystone needs root")
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("mmdebstrap is not installed")
	}
	root, err := debroot.Ensure(t.Context(), "", "bookworm", "keystone", "python3-keystone", "python3")
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Bookworm's loader and C library lie outside of /usr, where debroot's own Command looks for them.
	loaders, err := filepath.Glob(root.Path("lib*/ld-linux-*.so.*"))
	if err != nil || len(loaders) == 0 {
		t.Fatalf("no loader in %s: %v", root.Path(""), err)
	}
	libraries, err := filepath.Glob(root.Path("*lib/*-linux-gnu"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(root.Path("usr/lib/*-linux-gnu"))
	if err != nil {
		t.Fatal(err)
	}
	python := []string{loaders[0], "--library-path", strings.Join(append(libraries, more...), ":"), root.Path("usr/bin/python3.11")}
	dir := t.TempDir()
	for _, keys := range []string{"fernet", "credential"} {
		if err := os.Mkdir(filepath.Join(dir, keys), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "keystone.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///%[1]s/keystone.db
[fernet_tokens]
key_repository = %[1]s/fernet
[credential]
key_repository = %[1]s/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
`, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, program string, arguments ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, python[0], slices.Concat(python[1:], []string{root.Path("usr/bin/" + program)}, arguments)...)
		cmd.Env = []string{
			"PATH=/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "PYTHONHOME=" + root.Path("usr"),
			"PYTHONPATH=" + root.Path("usr/lib/python3/dist-packages"), "OS_KEYSTONE_CONFIG_FILES=" + config,
		}
		return cmd
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil { // Keystone's own server takes a port by number only
		t.Fatal(err)
	}
	k := &realKeystone{url: fmt.Sprintf("http://%s/v3", address)}
	for _, arguments := range [][]string{
		{"db_sync"}, {"fernet_setup", "--keystone-user", "root", "--keystone-group", "root"},
		{"credential_setup", "--keystone-user", "root", "--keystone-group", "root"},
		{"bootstrap", "--bootstrap-password", adminPassword, "--bootstrap-public-url", k.url, "--bootstrap-region-id", "RegionOne"},
	} {
		if out, err := run(t.Context(), "keystone-manage", append([]string{"--config-file", config}, arguments...)...).CombinedOutput(); err != nil {
			t.Fatalf("keystone-manage %v: %v\n%s", arguments, err, out)
		}
	}
	log, err := os.Create(filepath.Join(dir, "keystone.log"))
	if err != nil {
		t.Fatal(err)
	}
	server := run(context.Background(), "keystone-wsgi-public", "--host", "127.0.0.1", "--port", fmt.Sprint(address.Port))
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	k.stop = func() {
		_ = server.Process.Kill() // ended already
		<-ended
		ended <- nil
	}
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("keystone: %s", text[max(0, len(text)-4000):])
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		connection, err := net.Dial("tcp", address.String())
		if err == nil {
			_ = connection.Close()
			return k
		}
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("keystone ended: %v\n%s", err, text)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("keystone does not listen")
		}
	}
}

// login gives a client with a token.
func (k *realKeystone) login(t *testing.T, options gophercloud.AuthOptions) *gophercloud.ServiceClient {
	t.Helper()
	options.IdentityEndpoint = k.url
	provider, err := openstack.AuthenticatedClient(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: k.url + "/", Type: "identity"}
}

func (k *realKeystone) admin(t *testing.T) *gophercloud.ServiceClient {
	return k.login(t, gophercloud.AuthOptions{
		Username: "admin", Password: adminPassword, DomainName: "Default", Scope: &gophercloud.AuthScope{ProjectName: "admin", DomainName: "Default"},
	})
}

// The tokens of a real Keystone open our services as far as their roles go, until they are revoked there.
func TestRealKeystone(t *testing.T) {
	real := startKeystone(t)
	admin, ctx := real.admin(t), t.Context()
	project, err := projects.Create(ctx, admin, projects.CreateOpts{Name: "tenant"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	user, err := users.Create(ctx, admin, users.CreateOpts{Name: "tina", Password: "pw"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	assign(t, admin, "member", roles.AssignOpts{UserID: user.ID, ProjectID: project.ID})
	assign(t, admin, "member", roles.AssignOpts{UserID: user.ID, DomainID: "default"})
	tina := gophercloud.AuthOptions{UserID: user.ID, Password: "pw", Scope: &gophercloud.AuthScope{ProjectID: project.ID}}
	tenant := real.login(t, tina)

	now := clock.NewFake()
	now.Step(time.Since(now.Now()))
	config := foreign.Config{
		URL: real.url, Username: "admin", Password: adminPassword, Project: "admin", UserDomain: "Default", ProjectDomain: "Default",
		Cache: 10 * time.Second, Clock: now,
	}
	k, err := foreign.Open(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := k.Authenticate(ctx, tenant.Token())
	if err != nil {
		t.Fatal(err)
	}
	if caller.UserID != user.ID || caller.UserName != "tina" || caller.UserDomainID != "default" || caller.ProjectID != project.ID ||
		caller.ProjectName != "tenant" || caller.ProjectDomainID != "default" || !caller.Has("reader") || caller.IsAdmin() || caller.Token.Expires.Before(time.Now()) {
		t.Errorf("%+v", caller)
	}
	if p, err := k.Project(ctx, project.ID); err != nil || p.Name != "tenant" || p.DomainID != "default" || !p.Enabled {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := k.Project(ctx, "none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a project that is none: %v", err)
	}
	inDomain := tina
	inDomain.Scope = &gophercloud.AuthScope{DomainID: "default"}
	if caller, err := k.Authenticate(ctx, real.login(t, inDomain).Token()); err != nil || caller.DomainID != "default" || caller.ProjectID != "" {
		t.Errorf("domain: %+v, %v", caller, err)
	}
	systemAdmin := real.login(t, gophercloud.AuthOptions{Username: "admin", Password: adminPassword, DomainName: "Default", Scope: &gophercloud.AuthScope{System: true}})
	if caller, err := k.Authenticate(ctx, systemAdmin.Token()); err != nil || !caller.System || !caller.IsAdmin() {
		t.Errorf("system: %+v, %v", caller, err)
	}
	for _, token := range []string{"", "nonsense", tenant.Token()[:len(tenant.Token())-4] + "AAAA", "a\nb"} {
		if _, err := k.Authenticate(ctx, token); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%q: %v", token, err)
		}
	}

	t.Run("a service of ours", func(t *testing.T) { ourService(t, k, tenant, admin.Token(), user.ID) })

	// A revocation is known when the cache has run out, and not before.
	if err := tokens.Revoke(ctx, admin, tenant.Token()).Err; err != nil {
		t.Fatal(err)
	}
	if _, err := k.Authenticate(ctx, tenant.Token()); err != nil {
		t.Errorf("the token is asked about again at once: %v", err)
	}
	now.Step(config.Cache)
	if _, err := k.Authenticate(ctx, tenant.Token()); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("a revoked token: %v", err)
	}

	fresh := real.login(t, tina).Token()
	real.stop()
	if _, err := k.Authenticate(ctx, fresh); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a Keystone that is gone: %v", err)
	}
	if _, err := foreign.Open(ctx, config); err == nil {
		t.Error("opened a Keystone that is gone")
	}
}

func assign(t *testing.T, admin *gophercloud.ServiceClient, role string, to roles.AssignOpts) {
	t.Helper()
	page, err := roles.List(admin, roles.ListOpts{Name: role}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := roles.ExtractRoles(page)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := roles.Assign(t.Context(), admin, found[0].ID, to).ExtractErr(); err != nil {
		t.Fatal(err)
	}
}

// ourService lets the Keystone's tokens at a service of ours, also one of an application credential with access rules.
func ourService(t *testing.T, k *foreign.Keystone, tenant *gophercloud.ServiceClient, adminToken, userID string) {
	whoami := func(r *osapi.Request) (any, error) { return osapi.Object{"project": r.Caller.ProjectID}, nil }
	server := osapitest.ServeWith(t, osapi.Config{Auth: k, IdentityURL: "http://keystone", RequestsPerSecond: -1}, osapi.Dialect{
		Name: "test", Type: "compute", Mount: "/compute", Envelope: osapi.NovaEnvelope, Routes: []osapi.Route{
			{Method: "GET", Pattern: "/servers", Policy: osapi.ProjectMember, Handle: whoami},
			{Method: "GET", Pattern: "/flavors", Policy: osapi.ProjectMember, Handle: whoami},
			{Method: "GET", Pattern: "/hypervisors", Policy: osapi.Admin, Handle: whoami},
		},
	})
	credential, err := applicationcredentials.Create(t.Context(), tenant, userID, applicationcredentials.CreateOpts{
		Name: "one", AccessRules: []applicationcredentials.AccessRule{{Service: "compute", Method: "GET", Path: "/servers"}},
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Create(t.Context(), tenant, &tokens.AuthOptions{
		ApplicationCredentialID: credential.ID, ApplicationCredentialSecret: credential.Secret,
	}).ExtractToken()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		who, token, path string
		status           int
	}{
		{"a member", tenant.Token(), "/compute/servers", 200}, {"a member", tenant.Token(), "/compute/hypervisors", 403},
		{"an admin", adminToken, "/compute/hypervisors", 200}, {"nobody", "", "/compute/servers", 401}, {"a forger", "x", "/compute/servers", 401},
		{"a credential", token.ID, "/compute/servers", 200}, {"a credential", token.ID, "/compute/flavors", 401},
	} {
		got := server.Do(x.token, "GET", x.path, nil)
		if got.Status != x.status {
			t.Errorf("%s at %s: %d %s, want %d", x.who, x.path, got.Status, got.Text, x.status)
		}
		if text, _ := json.Marshal(got.Header); x.status == 401 && got.Header.Get("WWW-Authenticate") != `Keystone uri="http://keystone"` {
			t.Errorf("%s at %s: %s", x.who, x.path, text)
		}
	}
}
