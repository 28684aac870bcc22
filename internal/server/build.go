package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/cinder"
	"github.com/ingotcloud/ingot/internal/api/consoledoor"
	"github.com/ingotcloud/ingot/internal/api/glance"
	"github.com/ingotcloud/ingot/internal/api/ironic"
	"github.com/ingotcloud/ingot/internal/api/keystone"
	"github.com/ingotcloud/ingot/internal/api/neutron"
	"github.com/ingotcloud/ingot/internal/api/nova"
	"github.com/ingotcloud/ingot/internal/api/octavia"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/api/placement"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/driver/blob/s3"
	"github.com/ingotcloud/ingot/internal/driver/bmc"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/foreign"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/keypair"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/metadef"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/secret"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// parts are all the pieces of a running control plane.
type parts struct {
	config    config.Config
	log       *slog.Logger
	clock     clock.Clock
	db        *db.DB
	engine    *workflow.Engine
	identity  *identity.Service // nil where an existing Keystone is trusted
	auth      osapi.Authenticator
	images    *image.Service
	machines  *machine.Service
	networks  *network.Service
	routers   *router.Service
	groups    *securitygroup.Service
	policies  *qos.Service
	trunks    *trunk.Service
	instances *instance.Service
	consoles  *console.Service
	api       *osapi.Server
}

// catalog is where the services stand under the public URL, as DevStack lays them out.
var catalog = []identity.BootstrapService{
	{Type: "identity", Name: "keystone", URL: "/identity/v3"},
	{Type: "image", Name: "glance", URL: "/image"},
	{Type: "compute", Name: "nova", URL: "/compute/v2.1"},
	{Type: "network", Name: "neutron", URL: "/network"},
	{Type: "baremetal", Name: "ironic", URL: "/baremetal"},
	{Type: "placement", Name: "placement", URL: "/placement"},
	{Type: "block-storage", Name: "cinder", URL: "/volume/v3"},
	{Type: "volumev3", Name: "cinderv3", URL: "/volume/v3"}, // Horizon knows it by this name only
	{Type: "load-balancer", Name: "octavia", URL: "/load-balancer"},
}

// build makes the parts. On an error everything made so far is closed again.
func build(ctx context.Context, c config.Config, log *slog.Logger, access machine.Access) (p *parts, err error) {
	p = &parts{config: c, log: log, clock: clock.Real{}}
	made := p // a return of nil forgets p
	defer func() {
		if err != nil {
			made.close()
		}
	}()
	keys, err := secret.Open(filepath.Join(c.Home, "secret.key"))
	if err != nil {
		return nil, err
	}
	if p.db, err = db.Open(ctx, c.Database); err != nil {
		return nil, err
	}
	if err := p.openIdentity(ctx, keys); err != nil {
		return nil, err
	}
	blobs, err := openBlobs(ctx, c.Images)
	if err != nil {
		return nil, err
	}
	p.images = image.New(image.Config{DB: p.db, Blobs: blobs, Log: log, SpoolDir: spool(c.Home), MaxSize: c.Images.MaxBytes, MaxVirtualSize: c.Images.MaxBytes})
	p.engine = workflow.New(p.db, p.clock, log, c.Workers)
	p.machines = machine.New(p.db, p.clock, log, p.engine, keys, bmc.New(bmc.Options{Log: log, Fake: c.Machines.FakeHardware}), access)
	p.networks = network.New(p.db, p.clock, log)
	p.routers = router.New(p.clock, p.networks)
	p.groups, p.policies, p.trunks = securitygroup.New(p.clock), qos.New(p.clock), trunk.New(p.clock, p.networks)
	p.joinNetworks()
	p.instances = instance.New(p.db, p.clock, log, p.engine, p.machines, p.networks, p.images)
	p.consoles = console.New(p.db, p.clock, log, console.Config{Folder: c.Consoles.Folder, Keep: c.Consoles.KeepBytes, URL: c.Consoles.PeerURL},
		console.BMCs{Service: p.machines, DB: p.db}, consoleServers{p}, consoledoor.Peers{Client: &http.Client{Timeout: time.Minute}})
	p.api, err = osapi.New(osapi.Config{
		PublicURL: c.PublicURL, Auth: p.auth, IdentityURL: c.Identity.Keystone.URL, Log: log,
		RequestsPerSecond: float64(c.RequestsPerSecond), Burst: 2 * c.RequestsPerSecond,
	}, p.dialects()...)
	return p, err
}

// dialects are the services that clients see.
func (p *parts) dialects() []osapi.Dialect {
	dialects := []osapi.Dialect{
		glance.Dialect(p.images, metadef.NewStore(p.db, p.clock)),
		nova.Dialect(nova.Services{
			DB: p.db, Instances: p.instances, Machines: p.machines, Networks: p.networks, Images: p.images, Routers: p.routers, Groups: p.groups,
			Flavors: flavor.NewStore(p.db, p.clock), Keypairs: keypair.NewStore(p.db, p.clock),
			Console: novaConsoles{p.consoles},
		}),
		neutron.Dialect(neutron.Services{Networks: p.networks, Routers: p.routers, Groups: p.groups, Policies: p.policies, Trunks: p.trunks}, p.db),
		ironic.Dialect(ironic.Services{
			DB: p.db, Machines: p.machines, Networks: p.networks, Engine: p.engine, Screens: p.consoles, FakeHardware: p.config.Machines.FakeHardware,
		}),
		placement.Dialect(p.machines, p.db),
		cinder.Dialect(),
		octavia.Dialect(),
	}
	if p.identity != nil {
		dialects = append([]osapi.Dialect{keystone.Dialect(p.identity)}, dialects...)
	}
	return dialects
}

// openIdentity opens our own identity, or the existing Keystone that the configuration names.
func (p *parts) openIdentity(ctx context.Context, keys *secret.Keyring) error {
	c := p.config.Identity
	if k := c.Keystone; k.URL != "" {
		existing, err := foreign.Open(ctx, foreign.Config{
			URL: k.URL, Username: k.Username, Password: k.Password, Project: k.Project,
			UserDomain: k.UserDomain, ProjectDomain: k.ProjectDomain, Cache: k.Cache,
		})
		if err != nil {
			return err
		}
		p.auth = existing
		return nil
	}
	var err error
	if p.identity, err = identity.New(ctx, p.db, keys, identity.Config{TokenLifetime: c.TokenLife, BcryptCost: c.PasswordHashRounds, Passwords: passwords(c.Passwords)}); err != nil {
		return err
	}
	p.auth = p.identity
	return p.bootstrap(ctx)
}

func (p *parts) close() {
	if p.images != nil {
		p.images.Close()
	}
	if p.db != nil {
		if err := p.db.Close(); err != nil {
			p.log.Error("close the database", "error", err)
		}
	}
}

func spool(home string) string { return filepath.Join(home, "spool") }

// bootstrap makes what every cloud begins with. The admin's password is drawn at the first start.
func (p *parts) bootstrap(ctx context.Context) error {
	password := p.config.Identity.AdminPassword
	if password == "" {
		var err error
		if password, err = drawnPassword(filepath.Join(p.config.Home, "admin-password")); err != nil {
			return err
		}
	}
	services := make([]identity.BootstrapService, len(catalog))
	for i, s := range catalog {
		services[i] = s
		services[i].URL = p.config.PublicURL + s.URL
	}
	return p.identity.Bootstrap(ctx, identity.Bootstrap{AdminPassword: password, Region: p.config.Identity.Region, Catalog: services})
}

// passwords translates the configuration, whose pattern was checked when it was read.
func passwords(c config.Passwords) identity.PasswordRules {
	rules := identity.PasswordRules{
		Lifetime: c.Lifetime, MinAge: c.MinAge, History: c.History, PatternHint: c.PatternHint,
		LockAfter: c.LockAfter, LockFor: c.LockFor, ChangeFirst: c.ChangeFirst,
	}
	if c.Pattern != "" {
		rules.Pattern = regexp.MustCompile(c.Pattern)
	}
	return rules
}

// drawnPassword reads the password kept in a file, or draws one and keeps it there.
func drawnPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text() + "\n")
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("the admin's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func openBlobs(ctx context.Context, c config.Images) (image.Blobs, error) {
	if c.S3.Endpoint == "" {
		return folder.Open(c.Folder)
	}
	return s3.Open(ctx, s3.Options{
		Endpoint: c.S3.Endpoint, Bucket: c.S3.Bucket, AccessKey: c.S3.AccessKey, SecretKey: c.S3.SecretKey, Insecure: c.S3.Insecure,
	})
}
