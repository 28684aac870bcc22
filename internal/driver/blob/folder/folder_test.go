package folder_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/image/blobtest"
)

func open(t *testing.T, dir string) *folder.Blobs {
	t.Helper()
	b, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) image.Blobs { return open(t, filepath.Join(t.TempDir(), "new", "images")) })
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAFullFolderIsSaidAndLeftClean(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("ingot-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system for the test cannot be mounted: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH) //nolint:errcheck // the namespace's end would do it
	b := open(t, dir)
	_, err := b.Put(t.Context(), "blob", io.LimitReader(zeros{}, 8<<20))
	if !errors.Is(err, image.ErrStoreFull) {
		t.Errorf("got %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := b.Put(t.Context(), "blob", strings.NewReader("fits")); err != nil {
		t.Errorf("after it: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestOpenSweepsOnlyTheDead has one writer at work and one that crashed.
func TestOpenSweepsOnlyTheDead(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	dead := filepath.Join(dir, ".put-dead")
	if err := os.WriteFile(dead, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := b.Put(t.Context(), "blob", r)
		done <- err
	}()
	if _, err := io.WriteString(w, "the writer is in Put now, "); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead writer's file: %v", err)
	}
	if _, err := io.WriteString(w, "and lives"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) != 1 || left[0] != "blob" {
		t.Errorf("left: %v", left)
	}
}
