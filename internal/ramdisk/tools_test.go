package ramdisk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
)

// Every tool runs with nothing but what is in the RAM disk, under each of its names.
func TestToolsRunByThemselves(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	cache, err := buildcache.Root("")
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := toolsInitrd(t.Context(), cache)
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, content := range readInitrd(t, file) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(content, "\x7fELF") {
			err = os.WriteFile(path, []byte(content), 0o755)
		} else if content != "" { // a link
			err = os.Symlink(content, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, others := range tools {
		for _, program := range append(others, name) {
			if program == "bin/sh" {
				continue
			}
			out, err := exec.Command("chroot", root, "/"+program, "-V").CombinedOutput() // not all know -V, and these say so
			if err != nil && !bytes.Contains(out, []byte("sage:")) && !bytes.Contains(out, []byte("applet not found")) && !bytes.Contains(out, []byte("mtab")) {
				t.Errorf("%s: %v: %s", program, err, out)
			}
		}
	}
	if out, err := exec.Command("chroot", root, "/bin/sh", "-c", "echo works").Output(); err != nil || string(out) != "works\n" {
		t.Errorf("the shell: %q, %v", out, err)
	}
}

// The usual RAM disk has none of the tools, and the rescue system's is that one with the tools behind it.
func TestRescueInitrd(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	plain, err := os.ReadFile(a.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := os.ReadFile(a.RescueInitrd)
	if err != nil {
		t.Fatal(err)
	}
	if _, there := readInitrd(t, a.Initrd)["bin/busybox"]; there || !bytes.HasPrefix(joined, plain) || len(joined) == len(plain) {
		t.Errorf("busybox in the usual one: %v; %d bytes before %d", there, len(plain), len(joined))
	}
}
