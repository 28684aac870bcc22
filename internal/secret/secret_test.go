package secret_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ingotcloud/ingot/internal/secret"
)

func open(t *testing.T, path string) *secret.Keyring {
	t.Helper()
	k, err := secret.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedTextOpensForItsPurposeOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	k := open(t, path)
	sealed := k.Seal("bmc 1", []byte("calvin"))
	if strings.Contains(sealed, "calvin") || sealed == k.Seal("bmc 1", []byte("calvin")) {
		t.Errorf("sealed text %s tells something", sealed)
	}
	if plain, err := open(t, path).Unseal("bmc 1", sealed); err != nil || string(plain) != "calvin" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := k.Unseal("bmc 2", sealed); err == nil {
		t.Error("it opened for another purpose")
	}
	last := sealed[len(sealed)-3:]
	for name, text := range map[string]string{
		"changed": strings.TrimSuffix(sealed, last) + "AAA", "short": "s1.x.", "empty": "", "unknown key": "s1.00000000." + strings.Split(sealed, ".")[2],
	} {
		if _, err := k.Unseal("bmc 1", text); err == nil {
			t.Errorf("a text that is %s opened", name)
		}
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "other")).Unseal("bmc 1", sealed); err == nil {
		t.Error("another key file opened it")
	}
}

func TestKeyFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Open(path); err == nil || !strings.Contains(err.Error(), "0640") {
		t.Errorf("a key file for everybody: %v", err)
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	running := open(t, path)
	old := running.Seal("p", []byte("old"))
	if err := secret.Rotate(path); err != nil {
		t.Fatal(err)
	}
	rotated := open(t, path)
	if plain, err := rotated.Unseal("p", old); err != nil || string(plain) != "old" {
		t.Errorf("%q, %v", plain, err)
	}
	if !rotated.Stale(old) || running.Stale(old) {
		t.Error("only the process that knows the new key finds the old text stale")
	}
	if plain, err := running.Unseal("p", rotated.Seal("p", []byte("new"))); err != nil || string(plain) != "new" {
		t.Errorf("the running process does not learn the new key: %q, %v", plain, err)
	}
}

func TestProcessesThatStartAtOnceShareOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	rings := make([]*secret.Keyring, 8)
	var all sync.WaitGroup
	for i := range rings {
		all.Go(func() { rings[i], _ = secret.Open(path) })
	}
	all.Wait()
	for _, k := range rings {
		if k == nil {
			t.Fatal("a process got no keys")
		}
		if plain, err := rings[0].Unseal("p", k.Seal("p", []byte("x"))); err != nil || !bytes.Equal(plain, []byte("x")) {
			t.Errorf("%q, %v", plain, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
