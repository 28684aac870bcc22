package buildcache

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestManyAskOneBuilds(t *testing.T) {
	root := t.TempDir()
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := Dir(t.Context(), root, "kind", "key", func(dir string) error {
				builds.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if content, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(content) != "content" {
				t.Errorf("read %q, %v", content, err)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	root := t.TempDir()
	broken := errors.New("broken")
	_, err := Dir(t.Context(), root, "kind", "key", func(dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o644))
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	dir, err := Dir(t.Context(), root, "kind", "key", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the second build found %v, %v", entries, err)
	}
}

func TestUnusedEntriesGo(t *testing.T) {
	root := t.TempDir()
	empty := func(string) error { return nil }
	for _, key := range []string{"old", "used"} {
		dir, err := Dir(t.Context(), root, "kind", key, empty)
		if err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-2 * unusedFor)
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"used", "new"} {
		if _, err := Dir(t.Context(), root, "kind", key, empty); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]bool{"old": false, "used": true, "new": true} {
		if _, err := os.Stat(filepath.Join(root, "kind", key)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", key, err == nil, want)
		}
	}
}

func TestKeyKeepsInputsApart(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") {
		t.Error("different inputs share a key")
	}
}
