// Package instancetest is a cloud for tests: a rack of simulated machines (internal/machine/machinetest) with images,
// networks and instances over it. A server is deployed in well under a second.
package instancetest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/network/networktest"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Project and User are the tenant.
const (
	Project = "0000000000000000000000000000de01"
	User    = "user-demo"
)

// Cloud is what NewCloud makes.
type Cloud struct {
	*machinetest.Rig
	Images    *image.Service
	Networks  *network.Service
	Routers   *router.Service
	Groups    *securitygroup.Service
	Network   *network.Network // the flat one, without port security
	Instances *instance.Service

	t testing.TB
}

// Flavor fits every machine of the rack.
var Flavor = flavor.Flavor{ID: "1", Name: "bm.small", RAM: 4096, VCPUs: 2, Disk: 10, Public: true, RxTxFactor: 1, ExtraSpecs: map[string]string{}}

// New makes a cloud whose machines nobody knows yet and whose engine does not work yet: see Run and Spares.
func New(t testing.TB, d *db.DB, specs ...machinetest.Spec) *Cloud {
	t.Helper()
	rig := machinetest.NewRig(t, d, specs...)
	log := slog.New(slog.DiscardHandler)
	blobs, err := folder.Open(filepath.Join(t.TempDir(), "blobs"))
	c := &Cloud{Rig: rig, t: t}
	c.Check(err)
	c.Images = image.New(image.Config{DB: d, Blobs: blobs, Clock: rig.Clock, Log: log, SpoolDir: t.TempDir()})
	t.Cleanup(c.Images.Close)
	c.Networks = network.New(d, rig.Clock, log)
	c.Routers, c.Groups = router.New(rig.Clock, c.Networks), securitygroup.New(rig.Clock)
	c.Networks.Surround(network.Surroundings{Groups: c.Groups})
	c.Network = networktest.Shared(t, d, c.Networks, network.NewSubnet{Project: "admin", CIDR: netip.MustParsePrefix("10.20.0.0/24")})
	c.Instances = instance.New(d, rig.Clock, log, rig.Engine, rig.Service, c.Networks, c.Images)
	rig.Images = images{c.Images}
	return c
}

// images are what agents fetch, as the server gives them.
type images struct{ *image.Service }

func (i images) Manifest(ctx context.Context, id string) (deployimage.Manifest, error) {
	return i.DeployManifest(ctx, id)
}

func (i images) OpenBlob(ctx context.Context, id string) (io.ReadSeekCloser, error) {
	return i.Service.OpenBlob(ctx, id)
}

// Check ends the test for an error.
func (c *Cloud) Check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// Run lets the engine work until stop is called or the test ends.
func (c *Cloud) Run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Engine.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	c.t.Cleanup(stop)
	return stop
}

// Upload makes an active image of some bytes for the tenant and gives its id.
func (c *Cloud) Upload() string {
	c.t.Helper()
	ctx, caller := context.Background(), image.Caller{Project: Project}
	img, err := c.Images.Create(ctx, caller, image.Image{Name: "tenant", DiskFormat: "raw", ContainerFormat: "bare"})
	c.Check(err)
	c.Check(c.Images.Upload(ctx, caller, img.ID, bytes.NewReader(bytes.Repeat([]byte("ingot "), 1<<14)), image.Expect{}))
	return img.ID
}

// By is the tenant in a request of its own.
func By() instance.By {
	return instance.By{User: User, Project: Project, Request: "req-" + uuid.NewString()}
}

// Viewer is what the tenant sees.
var Viewer = instance.Viewer{Project: Project}

// Create asks for a server on the flat network.
func (c *Cloud) Create(image string) *instance.Instance {
	c.t.Helper()
	made, err := c.Instances.Create(context.Background(), By(), instance.Spec{
		Name: "web", Flavor: Flavor, Image: image, NICs: []instance.NIC{{Network: c.Network.ID}}, UserData: "I2Nsb3VkLWNvbmZpZwo=",
	})
	c.Check(err)
	return made[0]
}

// Get is the server as it is now, deleted or not.
func (c *Cloud) Get(id string) *instance.Instance {
	c.t.Helper()
	i, err := c.Instances.GetAlways(context.Background(), c.DB, Viewer, id)
	c.Check(err)
	return i
}

// Await waits until the server rests in the state.
func (c *Cloud) Await(id string, state instance.VMState) *instance.Instance {
	c.t.Helper()
	var i *instance.Instance
	end := time.Now().Add(60 * time.Second)
	for {
		if i = c.Get(id); i.VMState == state && i.TaskState == instance.NoTask {
			return i
		}
		if time.Now().After(end) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	run, err := c.Instances.Running(context.Background(), id)
	c.Check(err)
	told := "nothing is under way"
	if run != nil {
		told = run.Flow + " is at " + run.Step + ", waiting for " + run.Waiting + ", error " + run.Err
	}
	c.t.Fatalf("the server is %s/%s, not %s: %+v; %s", i.VMState, i.TaskState, state, i.Fault, told)
	return nil
}

// On is the computer that carries a server; nil when none does.
func (c *Cloud) On(i *instance.Instance) *machinetest.Computer {
	for _, computer := range c.Machines {
		if computer.ID == i.Machine {
			return computer
		}
	}
	return nil
}

// Flows registers all flows of machines and instances with another engine: another process.
func (c *Cloud) Flows(e *workflow.Engine) {
	workflow.Register(e, c.Service.VerifyFlow())
	workflow.Register(e, c.Service.InspectFlow())
	workflow.Register(e, c.Service.CleanFlow())
	workflow.Register(e, c.Service.WarmFlow())
	workflow.Register(e, c.Service.PowerFlow())
}
