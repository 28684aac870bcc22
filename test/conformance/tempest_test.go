package conformance

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/ramdisk"
)

var (
	run  = flag.String("tempest.run", "", `regular expression of Tempest's tests to run; "all": every suite; empty: tempest.fast`)
	keep = flag.String("tempest.keep", "", "folder that keeps Tempest's output and log")

	workers = flag.Int("tempest.workers", 2, "how many of Tempest's workers there are; its network tests sleep most of their time, so that more are faster")
)

// suites are all that is run with -tempest.run=all.
var suites = []string{
	`^tempest\.api\.identity\.`, `^tempest\.api\.image\.`, `^tempest\.api\.compute\.`, `^tempest\.api\.network\.`, `^tempest\.api\.volume\.`,
	`^ironic_tempest_plugin\.tests\.api\.`,
}

// discover is where Debian's python3-tempest has what finds the tests.
const discover = "/usr/lib/python3/dist-packages/tempest/test_discover"

func TestTempest(t *testing.T) {
	if testing.Short() {
		t.Skip("Tempest takes a minute or two")
	}
	for _, path := range []string{"/usr/bin/stestr", discover, ramdisk.Stub} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there (scripts/setup.sh conformance)", path)
		}
	}
	failing, err := readFailing("tempest.failing")
	if err != nil {
		t.Fatal(err)
	}
	c := startCloud(t, simulated...)
	results := tempest(t, c, selection(t))
	report(results)
	for _, wrong := range compare(results, failing, "tempest.failing") {
		t.Error(wrong)
	}
}

// selection is stestr's choice of tests.
func selection(t *testing.T) []string {
	switch *run {
	case "":
		list, err := filepath.Abs("tempest.fast")
		if err != nil {
			t.Fatal(err)
		}
		return []string{"--include-list", list}
	case "all":
		return []string{strings.Join(suites, "|")}
	}
	return []string{*run}
}

// tempest runs the selected tests in a folder of their own.
func tempest(t *testing.T, c *cloud, selected []string) map[string]result {
	t.Helper()
	folder := *keep
	if folder == "" {
		folder = t.TempDir()
	}
	folder, err := filepath.Abs(folder)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = writeINI(filepath.Join(folder, "tempest.conf"), c.tempestConf(folder))
	}
	if err == nil {
		err = writeINI(filepath.Join(folder, ".stestr.conf"), map[string]section{
			"DEFAULT": {"test_path": discover, "top_dir": filepath.Dir(filepath.Dir(discover)), "group_regex": `([^\.]*\.)*`},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	stestr := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/stestr", args...)
		cmd.Dir = folder
		// Debian's Python and nobody else's; whatever they write to a home goes with the folder.
		cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin", "HOME="+folder, "TEMPEST_CONFIG_DIR="+folder, "TEMPEST_CONFIG=tempest.conf")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// Both fail when a test fails, which is for us to judge.
	ran, runErr := stestr(append([]string{"run", "--concurrency", strconv.Itoa(*workers)}, selected...)...)
	told, toldErr := stestr("last", "--force-subunit-trace")
	if err := os.WriteFile(filepath.Join(folder, "output"), []byte(told), 0o600); err != nil {
		t.Error(err)
	}
	results := parse(strings.NewReader(told))
	if len(results) == 0 {
		t.Fatalf("Tempest ran nothing: %v, %v\n%s%s", runErr, toldErr, ran, told)
	}
	return results
}

// result of one test.
type result struct {
	status  string // ok, FAILED or SKIPPED
	why     string // of a skip
	said    string // of a failure
	seconds float64
}

// line is how stestr's subunit-trace tells of a test: "{0} name [id-…,smoke] [0.5s] ... ok".
var line = regexp.MustCompile(`^\{\d+\} (.+?)(?: \[([0-9.]+)s\])? \.\.\. (ok|FAILED|SKIPPED)(?:: (.*))?$`)

// labels of a test, which are no part of its name: "[id-…,smoke]", and what scenario names follow.
var labels = regexp.MustCompile(`\[[^\]]*\]`)

// parse reads what stestr prints. The words after a failure are kept with it.
func parse(out io.Reader) map[string]result {
	results := map[string]result{}
	name := ""
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			name = strings.TrimSpace(labels.ReplaceAllString(m[1], ""))
			seconds, _ := strconv.ParseFloat(m[2], 64) // absent where a class was skipped
			results[name] = result{status: m[3], why: m[4], seconds: seconds}
		} else if r := results[name]; r.status == "FAILED" {
			r.said += lines.Text() + "\n"
			results[name] = r
		}
	}
	return results
}

// suite is what a test counts for: tempest.api.compute.servers.… is of compute.servers, tempest.api.image.… of image,
// ironic_tempest_plugin.… of ironic.
var suite = regexp.MustCompile(`\b(?:tempest\.(?:api\.)?(compute\.[a-z_]+|[a-z_]+)|([a-z]+)_tempest_plugin)`)

// report prints what became of each suite; seconds are those of its tests, of which several run at once.
func report(results map[string]result) {
	type count map[string]int
	counts, took := map[string]count{}, map[string]float64{}
	for name, r := range results {
		of := "other"
		if m := suite.FindStringSubmatch(name); m != nil {
			of = m[1] + m[2] // one of them is empty
		}
		for _, key := range []string{of, "total"} {
			if counts[key] == nil {
				counts[key] = count{}
			}
			counts[key][r.status]++
			took[key] += r.seconds
		}
	}
	table := fmt.Sprintf("%-28s %6s %6s %7s %9s\n", "suite", "passed", "failed", "skipped", "seconds")
	for _, name := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { // the total last
		return cmp.Or(cmp.Compare(strings.Count(a, "total"), strings.Count(b, "total")), strings.Compare(a, b))
	}) {
		table += fmt.Sprintf("%-28s %6d %6d %7d %9.1f\n", name, counts[name]["ok"], counts[name]["FAILED"], counts[name]["SKIPPED"], took[name])
	}
	fmt.Fprintln(os.Stderr, table)
}

// compare says what is not as the list of failures has it, which is in a file.
func compare(results map[string]result, failing map[string]string, file string) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(results)) {
		_, listed := failing[name]
		switch r := results[name]; {
		case r.status == "FAILED" && !listed:
			wrong = append(wrong, fmt.Sprintf("%s failed:\n%s", name, r.said))
		case r.status == "ok" && listed:
			wrong = append(wrong, name+" passes: take it out of "+file)
		}
	}
	return wrong
}

// readFailing reads lines of "test: reason"; a reason is a must.
func readFailing(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	failing := map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || strings.TrimSpace(reason) == "" || failing[name] != "" {
			return nil, fmt.Errorf("%s:%d: a line is a test, a colon and the reason, once for each test", path, n+1)
		}
		failing[name] = reason
	}
	return failing, nil
}

func TestParse(t *testing.T) {
	results := parse(strings.NewReader(`{1} tempest.api.image.v2.test_images.BasicOperationsImagesTest.test_delete_image [id-f848bb94-1c6e-45a4-8726-39e3a5b23535,smoke] [0.482129s] ... ok
{0} setUpClass (tempest.api.compute.admin.test_volume.VolumesTest) [0.000000s] ... SKIPPED: Cinder is required
{0} tempest.api.compute.test_x.X.test_y [id-1] [1.5s] ... FAILED

Captured traceback:
    it was 7
{1} tempest.api.compute.test_x.X.test_z [id-2] [1.5s] ... ok
`))
	want := map[string]string{
		"tempest.api.image.v2.test_images.BasicOperationsImagesTest.test_delete_image": "ok",
		"setUpClass (tempest.api.compute.admin.test_volume.VolumesTest)":               "SKIPPED",
		"tempest.api.compute.test_x.X.test_y":                                          "FAILED", "tempest.api.compute.test_x.X.test_z": "ok",
	}
	got := map[string]string{}
	for name, r := range results {
		got[name] = r.status
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if said := results["tempest.api.compute.test_x.X.test_y"].said; !strings.Contains(said, "it was 7") {
		t.Errorf("the failure says %q", said)
	}
	wrong := compare(results, map[string]string{"tempest.api.compute.test_x.X.test_z": "known"}, "x.failing")
	if len(wrong) != 2 || !strings.Contains(wrong[0], "test_y failed") || !strings.Contains(wrong[1], "test_z passes") {
		t.Errorf("compared: %q", wrong)
	}
}
