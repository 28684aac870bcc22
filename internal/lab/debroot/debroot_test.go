package debroot

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
)

func TestMirrorIsTheHostsOwn(t *testing.T) {
	targets := `Other|Other|main|http://other.invalid/apt/
Debian|Debian-Security|main|http://mirror.invalid/debian-security/
Debian|Debian|contrib|http://contrib.invalid/debian/
Debian|Debian|main|http://mirror.invalid/debian/
Debian|Debian|main|http://second.invalid/debian/
`
	configuration := `APT::Architecture "amd64";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.invalid:3128";
Acquire::https::CAInfo "/etc/ssl/own.pem";
`
	got, err := parseMirror(targets, configuration)
	if err != nil {
		t.Fatal(err)
	}
	want := mirror{"http://mirror.invalid/debian/", []string{
		`Acquire::Check-Valid-Until "false"`,
		`Acquire::http::Proxy "http://proxy.invalid:3128"`,
		`Acquire::https::CAInfo "/etc/ssl/own.pem"`,
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mirror{})); diff != "" {
		t.Error(diff)
	}
}

func TestNoMirror(t *testing.T) {
	if _, err := parseMirror("Other|Other|main|http://other.invalid/\n", ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want a fault of kind Unavailable", err)
	}
}

func TestHostsOwnPrograms(t *testing.T) {
	command, err := Root{}.Command("env")
	if err != nil || len(command) != 1 {
		t.Fatalf("got %q, %v", command, err)
	}
	if _, err := (Root{}).Command("ingot-has-no-such-program"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// A release's programs run with the release's libraries, whatever the host's are.
func TestProgramsRunFromTheRoot(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacking a release takes a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("unpacking a release needs root")
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("mmdebstrap is not installed")
	}
	root, err := Ensure(t.Context(), t.TempDir(), "trixie", "zstd")
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	command, err := root.Command("zstd")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(command[0], append(command[1:], "--version")...).CombinedOutput(); err != nil {
		t.Errorf("%q: %v: %s", command, err, out)
	}
	libraries, err := exec.Command(command[0], append([]string{"--list"}, command[1:]...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, libraries)
	}
	for line := range strings.Lines(string(libraries)) {
		if _, path, ok := strings.Cut(line, " => "); ok && !strings.HasPrefix(path, root.Dir) {
			t.Errorf("a library of the host: %s", line)
		}
	}
	if err := root.Touch(); err != nil {
		t.Error(err)
	}
}
