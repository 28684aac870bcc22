package deb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ingotcloud/ingot/internal/fault"
)

func TestFetchUnpacksWithoutInstalling(t *testing.T) {
	packages, err := Fetch(t.Context(), t.TempDir(), "busybox-static", "hostname")
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range []string{"usr/share/doc/busybox-static/copyright", "usr/share/doc/hostname/copyright"} {
		if _, err := os.Stat(filepath.Join(packages[i].Dir, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownPackage(t *testing.T) {
	if _, err := Fetch(t.Context(), t.TempDir(), "ingot-has-no-such-package"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want a fault of kind Unavailable", err)
	}
}
