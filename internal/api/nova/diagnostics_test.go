package nova_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/nova"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/keypair"
)

// boots reports what machines print.
type boots struct {
	console
	began time.Time
	lines []string // one a second
}

func (b *boots) Boots(context.Context, string) (forensics.Report, error) {
	return forensics.Analyse(func(yield func(forensics.Chunk) bool) {
		for n, line := range b.lines {
			if !yield(forensics.Chunk{At: b.began.Add(time.Duration(n) * time.Second), Output: []byte(line + "\n")}) {
				return
			}
		}
	}), nil
}

func TestDiagnosticsTellTheBoot(t *testing.T) {
	c := start(t, 1)
	b := &boots{began: c.Clock.Now().Add(-time.Hour)}
	c.dialect = nova.Dialect(nova.Services{
		DB: c.DB, Instances: c.Instances, Flavors: flavor.NewStore(c.DB, c.Clock), Keypairs: keypair.NewStore(c.DB, c.Clock), Images: c.Images,
		Networks: c.Networks, Routers: c.Routers, Groups: c.Groups, Machines: c.Service, Console: b, Clock: c.Clock,
	})
	c.Server = Serve(t, c.dialect)
	id := c.create(nil)
	show := func(version string) object {
		t.Helper()
		return c.ask(200, Admin, "GET", "/servers/"+id+"/diagnostics", nil, at(version)).Body
	}
	had := keys(show("2.48"))
	if old := show("2.47"); len(old) != 4 || old["state"] != "running" {
		t.Errorf("before the first boot: %v", old)
	}
	b.lines = []string{
		"UEFI firmware (version 1)", "[    0.000000] Linux version 6.1.0", "web login: ",
		"UEFI firmware (version 1)", "still", "[    0.000000] Linux version 6.1.0", "[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
	}
	old := show("2.47")
	if old["boot_phase"] != "kernel" || old["boot_came_up"] != false || old["boot_01_firmware"] != "2.0 s, in the last good boot 1.0 s" ||
		!strings.Contains(old["boot_fault_kernel_panic"].(string), "The kernel gave up: Attempted to kill init!") {
		t.Errorf("%v", old)
	}
	now := show("2.48")
	if got := keys(now); !slices.Equal(got, had) {
		t.Errorf("2.48 has the fields %v instead of %v", got, had)
	}
	if up, _ := now["uptime"].(float64); now["state"] != "crashed" || up < 3590 || up > 3700 {
		t.Errorf("%v, up %v", now["state"], now["uptime"])
	}
	c.ask(403, Demo, "GET", "/servers/"+id+"/diagnostics", nil)

	c.Check(c.Instances.NoteBoot(t.Context(), id, b.began, instance.Event{
		Name: "kernel-panic", Words: "The kernel gave up.", Started: c.Clock.Now(), Ended: c.Clock.Now(), Failed: true}))
	action := c.ask(200, Demo, "GET", "/servers/"+id+"/os-instance-actions", nil).Body["instanceActions"].([]any)[0].(map[string]any)
	if action["action"] != "boot" || action["message"] != "The kernel gave up." || action["user_id"] != nil || action["project_id"] != DemoProject {
		t.Errorf("%v", action)
	}
	path := "/servers/" + id + "/os-instance-actions/" + action["request_id"].(string)
	event := c.ask(200, Demo, "GET", path, nil, at("2.84")).Body["instanceAction"].(map[string]any)["events"].([]any)[0].(map[string]any)
	if event["event"] != "kernel-panic" || event["result"] != "Error" || event["details"] != "The kernel gave up." {
		t.Errorf("%v", event)
	}
	c.ask(404, Other, "GET", path, nil)
}
