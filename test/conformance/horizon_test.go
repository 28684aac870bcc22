package conformance

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk"
	"github.com/ingotcloud/ingot/test/conformance/horizon"
)

var (
	horizonRun  = flag.String("horizon.run", "", `regular expression of Horizon's pages and stories ("demo /project/", "story launch"); "all": every one; empty: horizonFast`)
	horizonKeep = flag.String("horizon.keep", "", "folder that keeps screenshots and logs")
	// horizonUp is for those who work on this test: a running cloud is quicker than a new one.
	horizonUp = flag.String("horizon.home", "", "home folder of a running cloud to use instead of a new one")
)

// horizonFast is what CI runs: a page of each kind (Django's, Angular's, a plugin's), and a server by clicks.
const horizonFast = `^(demo /project/(instances/)?$|admin /admin/(flavors|ironic)/$|story (key pair|network|security group|launch|reboot|console|log)$)`

// TestHorizon opens every page that the dashboard's menu has for a member and for the admin, and clicks through what
// both do most. horizon.panels has the menu, horizon.failing what fails, each with the reason.
func TestHorizon(t *testing.T) {
	if testing.Short() {
		t.Skip("Horizon takes two minutes, and the first time five")
	}
	d := startDashboard(t, simulated...)
	c := d.cloud
	c.outside()
	c.ownDomain()
	demo := d.enter("demo")
	d.play(demo, stories) // first, so that the pages have something to show
	menu := d.visit(demo, "demo")
	admin := d.enter("admin")
	d.play(admin, adminStories)
	menu = append(menu, d.visit(admin, "admin")...)
	d.play(demo, farewells)
	want, err := readPanels()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, menu); diff != "" {
		t.Errorf("Horizon's menu is not what horizon.panels has (-listed, +there):\n%s", diff)
	}
	d.judge()
}

// TestHorizonOnARack shows the consoles of a machine of QEMU's, with firmware, a kernel and a getty.
func TestHorizonOnARack(t *testing.T) {
	if *horizonRun == "" {
		t.Skip("a machine that boots takes minutes: make horizon RACK=1")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("qemu-system-x86_64 is not installed (scripts/setup.sh horizon)")
	}
	rack, err := filepath.Abs("horizon.rack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := startDashboard(t, "--rack", rack)
	d.play(d.enter("demo"), rackStories)
	d.judge()
}

// readPanels reads lines of a user and a path.
func readPanels() ([]string, error) {
	text, err := os.ReadFile("horizon.panels")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(line string) bool { return line[0] == '#' }), nil
}

// judge compares with what is known to fail.
func (d *dashboard) judge() {
	d.t.Helper()
	d.report()
	failing, err := readFailing("horizon.failing")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, wrong := range compare(d.results, failing, "horizon.failing") {
		d.t.Error(wrong)
	}
}

// report prints how many of the pages and of the stories are well.
func (d *dashboard) report() {
	well, all := map[string]int{}, map[string]int{}
	for name, r := range d.results {
		kind := "pages"
		if strings.HasPrefix(name, "story ") {
			kind = "stories"
		}
		all[kind]++
		if r.status == "ok" {
			well[kind]++
		}
	}
	fmt.Fprintf(os.Stderr, "Horizon: %d of %d pages and %d of %d stories are well\n", well["pages"], all["pages"], well["stories"], all["stories"])
}

// dashboard is Horizon on a cloud, and what became of its pages.
type dashboard struct {
	t       *testing.T
	cloud   *cloud
	url     string
	keep    string
	wanted  *regexp.Regexp
	results map[string]result
}

// startDashboard starts it with a cloud for it, as the arguments of `ingot up` say. It skips the test where it cannot run.
func startDashboard(t *testing.T, how ...string) *dashboard {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("Horizon's packages are unpacked and run in a root folder of their own, which takes root")
	}
	for _, path := range []string{"/usr/bin/mmdebstrap", chromium, ramdisk.Stub} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there (scripts/setup.sh horizon)", path)
		}
	}
	root, err := horizon.Root(t.Context(), "")
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	keep := *horizonKeep
	if keep == "" {
		keep = t.TempDir()
	}
	if err := os.MkdirAll(keep, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := horizon.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("Horizon: %v", err)
		}
	})
	t.Setenv("INGOT_FRAME_ANCESTORS", server.URL) // consoles show in Horizon's pages
	var c *cloud
	if *horizonUp == "" {
		c = startCloud(t, how...)
	} else {
		c = &cloud{t: t, home: *horizonUp}
		c.login()
	}
	if err := server.Start(t.Context(), root, c.url, filepath.Join(keep, "horizon.log")); err != nil {
		t.Fatal(err)
	}
	pattern := *horizonRun
	switch pattern {
	case "":
		pattern = horizonFast
	case "all":
		pattern = ""
	}
	return &dashboard{t: t, cloud: c, url: server.URL, keep: keep, wanted: regexp.MustCompile(pattern), results: map[string]result{}}
}

// outside is the network that floating IPs are of.
const outside = "outside"

// outside makes it, where the cloud does not have it.
func (c *cloud) outside() {
	c.t.Helper()
	if len(c.call(c.service("network"), http.MethodGet, "v2.0/networks?name="+outside, nil)["networks"].([]any)) == 0 {
		c.external(outside)
	}
}

// ownDomain lets the admin manage the domain as well, without which Horizon has no panel of domains.
func (c *cloud) ownDomain() {
	c.t.Helper()
	keystone := c.service("identity")
	find := func(collection string) string {
		return c.call(keystone, http.MethodGet, collection+"?name=admin", nil)[collection].([]any)[0].(object)["id"].(string)
	}
	path := keystone.ServiceURL("domains", "default", "users", find("users"), "roles", find("roles"))
	if _, err := keystone.Request(c.t.Context(), http.MethodPut, path, &gophercloud.RequestOpts{OkCodes: []int{204}}); err != nil {
		c.t.Fatal(err)
	}
}

// enter logs a user in, in a browser of its own.
func (d *dashboard) enter(user string) *browser {
	b := openBrowser(d.t, d.url, d.keep)
	d.check(b, user+" login", func() error { return d.login(b, user) })
	return b
}

// visit opens the pages of a user's menu. It gives the menu, as horizon.panels has it.
func (d *dashboard) visit(b *browser, user string) (menu []string) {
	paths, err := ask[[]string](b, `Array.from(document.querySelectorAll("a.openstack-panel")).map(a => a.getAttribute("href"))`)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range paths {
		name := user + " " + path
		menu = append(menu, name)
		if d.wanted.MatchString(name) {
			d.check(b, name, func() error { return b.panel(path) })
		}
	}
	return menu
}

// play does stories.
func (d *dashboard) play(b *browser, all []story) {
	for _, s := range all {
		if name := "story " + s.name; d.wanted.MatchString(name) {
			d.check(b, name, func() error { return steps(func() error { return b.open(s.page) }, func() error { return s.does(b) }) }, s.refusals...)
		}
	}
}

// panel opens a page and its tabs.
func (b *browser) panel(path string) error {
	if err := b.open(path); err != nil {
		return err
	}
	if at, err := b.path(); err != nil || strings.TrimSuffix(at, "/") != strings.TrimSuffix(path, "/") {
		return fmt.Errorf("it leads to %s: %w", at, err)
	}
	return b.tabs()
}

func (d *dashboard) login(b *browser, user string) error {
	password, err := os.ReadFile(filepath.Join(d.cloud.home, user+"-password"))
	if err != nil {
		return err
	}
	if err := b.open("/auth/login/"); err != nil {
		return err
	}
	return b.do(chromedp.SetValue("#id_username", user), chromedp.SetValue("#id_password", strings.TrimSpace(string(password))),
		chromedp.Click("#loginBtn"), chromedp.WaitReady("#sidebar-accordion"))
}

// check does something in the browser and keeps what came of it: it is well when it does what it should, the page shows
// no error, no script failed, and neither Horizon nor ingot answered with 400 or above but for the refusals, which are
// parts of paths whose 404 belongs to it.
func (d *dashboard) check(b *browser, name string, do func() error, refusals ...string) {
	b.forget()
	log := d.ingotLog()
	start := time.Now()
	err := do()
	said, failure := b.complaints()
	said = append(said, d.refused(log)...)
	said = slices.DeleteFunc(said, func(text string) bool {
		return strings.Contains(text, "answers 404") && slices.ContainsFunc(refusals, func(part string) bool { return strings.Contains(text, part) })
	})
	for _, err := range []error{err, failure, b.shoot(name)} {
		if err != nil {
			said = append(said, err.Error())
		}
	}
	r := result{status: "ok", seconds: time.Since(start).Seconds()}
	if len(said) > 0 {
		r.status, r.said = "FAILED", strings.Join(said, "\n")
	}
	d.results[name] = r
	d.t.Logf("%s: %s in %.1f s %s", name, r.status, r.seconds, r.said)
}

// ingotLog is how long ingot's log is.
func (d *dashboard) ingotLog() int64 {
	info, err := os.Stat(filepath.Join(d.cloud.home, "serve.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	return info.Size()
}

// denial is an answer of 400 and above in ingot's log.
var denial = regexp.MustCompile(`msg=request service=(\S+) .* method=(\S+) path=(\S+) status=([45]\d\d)(?:.*? why=(.*))?`)

// refused are the requests since a place in ingot's log that were answered with 400 and above, but for those that
// Horizon makes in order to be refused.
func (d *dashboard) refused(since int64) (said []string) {
	file, err := os.Open(filepath.Join(d.cloud.home, "serve.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, since, 1<<40))
	if err != nil {
		d.t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if m := denial.FindStringSubmatch(lines.Text()); m != nil && !slices.Contains(probes, strings.Join(m[2:5], " ")) {
			said = append(said, fmt.Sprintf("%s answers %s to %s %s: %s", m[1], m[4], m[2], m[3], m[5]))
		}
	}
	return said
}

// probes are requests that Horizon makes to see whether they are refused.
var probes = []string{
	"POST /identity/v3/auth/tokens 401", // at login it asks for a token of the domain, which few users may have
}
