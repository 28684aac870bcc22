// Package blobtest is the conformance suite of the Blobs drivers: each driver's test runs it against its own store.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ingotcloud/ingot/internal/image"
)

// Run checks the contract of image.Blobs. Open gives an empty store.
func Run(t *testing.T, open func(t *testing.T) image.Blobs) {
	for name, test := range map[string]func(*testing.T, image.Blobs){
		"a blob comes back":           comesBack,
		"reads of any range":          ranges,
		"an absent blob":              absent,
		"put replaces":                replaces,
		"delete is idempotent":        deletes,
		"a failed put leaves nothing": failedPut,
		"a cancelled put leaves all":  cancelledPut,
		"list by prefix":              lists,
		"keys that reach elsewhere":   badKeys,
		"concurrent puts are atomic":  concurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, b image.Blobs, key string, data []byte) {
	t.Helper()
	n, err := b.Put(t.Context(), key, bytes.NewReader(data))
	if err != nil || n != int64(len(data)) {
		t.Fatalf("put %s: %d bytes, %v", key, n, err)
	}
}

func get(t *testing.T, b image.Blobs, key string) []byte {
	t.Helper()
	blob, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer blob.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(blob)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if blob.Size() != int64(len(data)) {
		t.Errorf("%s says %d bytes and has %d", key, blob.Size(), len(data))
	}
	return data
}

func list(t *testing.T, b image.Blobs, prefix string) []string {
	t.Helper()
	keys, err := b.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data) // never fails
	return data
}

func comesBack(t *testing.T, b image.Blobs) {
	for key, size := range map[string]int{"empty": 0, "one": 1, "big.a_b-C9": 7<<20 + 13} {
		put(t, b, key, random(size))
		if !bytes.Equal(get(t, b, key), random(size)) {
			t.Errorf("%s came back different", key)
		}
	}
}

func ranges(t *testing.T, b image.Blobs) {
	data := random(100_000)
	put(t, b, "blob", data)
	blob, err := b.Open(t.Context(), "blob")
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close() //nolint:errcheck // read only
	part := make([]byte, 1000)
	for _, at := range []int64{0, 50_000, 99_000, 7} {
		if n, err := blob.ReadAt(part, at); n != len(part) || (err != nil && err != io.EOF) || !bytes.Equal(part, data[at:at+1000]) {
			t.Errorf("ReadAt %d: %d %v", at, n, err)
		}
	}
	if n, err := blob.ReadAt(part, 99_500); n != 500 || err != io.EOF || !bytes.Equal(part[:500], data[99_500:]) {
		t.Errorf("ReadAt over the end: %d %v", n, err)
	}
	if n, err := blob.ReadAt(part, 100_000); n != 0 || err != io.EOF {
		t.Errorf("ReadAt behind the end: %d %v", n, err)
	}
	if at, err := blob.Seek(-10, io.SeekEnd); at != 99_990 || err != nil {
		t.Errorf("Seek: %d %v", at, err)
	}
	if rest, err := io.ReadAll(blob); err != nil || !bytes.Equal(rest, data[99_990:]) {
		t.Errorf("read after Seek: %d bytes, %v", len(rest), err)
	}
	if _, err := blob.Seek(42, io.SeekStart); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(blob, part); err != nil || !bytes.Equal(part, data[42:1042]) {
		t.Errorf("read after a Seek back: %v", err)
	}
	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			part := make([]byte, 5000)
			at := int64(i * 10_000)
			if n, err := blob.ReadAt(part, at); n != len(part) || err != nil || !bytes.Equal(part, data[at:at+5000]) {
				t.Errorf("one of several ReadAt: %d %v", n, err)
			}
		})
	}
	readers.Wait()
}

func absent(t *testing.T, b image.Blobs) {
	if _, err := b.Open(t.Context(), "nothing"); !errors.Is(err, image.ErrNoBlob) {
		t.Errorf("open: %v", err)
	}
	if keys := list(t, b, ""); len(keys) != 0 {
		t.Errorf("an empty store lists %v", keys)
	}
}

func replaces(t *testing.T, b image.Blobs) {
	put(t, b, "blob", random(1000))
	put(t, b, "blob", random(10))
	if !bytes.Equal(get(t, b, "blob"), random(10)) {
		t.Error("the first contents are still there")
	}
}

func deletes(t *testing.T, b image.Blobs) {
	put(t, b, "a", random(10))
	put(t, b, "b", random(10))
	for range 2 {
		if err := b.Delete(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Open(t.Context(), "a"); !errors.Is(err, image.ErrNoBlob) {
		t.Errorf("open after delete: %v", err)
	}
	if keys := list(t, b, ""); !slices.Equal(keys, []string{"b"}) {
		t.Errorf("what is left: %v", keys)
	}
}

func failedPut(t *testing.T, b image.Blobs) {
	boom := errors.New("boom")
	for _, size := range []int{0, 10, 6 << 20} {
		r := io.MultiReader(bytes.NewReader(random(size)), failing{boom})
		if _, err := b.Put(t.Context(), "blob", r); !errors.Is(err, boom) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		if keys := list(t, b, ""); len(keys) != 0 {
			t.Errorf("after %d bytes these are left: %v", size, keys)
		}
	}
	put(t, b, "blob", random(10))
	if _, err := b.Put(t.Context(), "blob", failing{boom}); !errors.Is(err, boom) {
		t.Error(err)
	}
	if !bytes.Equal(get(t, b, "blob"), random(10)) {
		t.Error("a failed put harmed what was there")
	}
}

func cancelledPut(t *testing.T, b image.Blobs) {
	put(t, b, "blob", random(10))
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(bytes.NewReader(random(100_000)), does(cancel), endless{})
	if _, err := b.Put(ctx, "blob", r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(get(t, b, "blob"), random(10)) {
		t.Error("a cancelled put harmed what was there")
	}
}

func lists(t *testing.T, b image.Blobs) {
	for _, key := range []string{"a.1", "a.2", "ab", "b"} {
		put(t, b, key, random(1))
	}
	for prefix, want := range map[string][]string{"": {"a.1", "a.2", "ab", "b"}, "a.": {"a.1", "a.2"}, "b": {"b"}, "zz": {}} {
		if keys := list(t, b, prefix); !slices.Equal(keys, want) {
			t.Errorf("list %q: %v", prefix, keys)
		}
	}
}

func badKeys(t *testing.T, b image.Blobs) {
	for _, key := range []string{"", ".", "..", ".hidden", "a/b", "../a", "a\x00", "ü", "-a", strings.Repeat("a", 201)} {
		if _, err := b.Put(t.Context(), key, strings.NewReader("x")); err == nil {
			t.Errorf("put %q was accepted", key)
		}
		if _, err := b.Open(t.Context(), key); err == nil {
			t.Errorf("open %q was accepted", key)
		}
		if err := b.Delete(t.Context(), key); err == nil {
			t.Errorf("delete %q was accepted", key)
		}
	}
}

func concurrent(t *testing.T, b image.Blobs) {
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			if _, err := b.Put(t.Context(), "blob", bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 200_000))); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	data := get(t, b, "blob")
	if len(data) != 200_000 || bytes.Count(data, data[:1]) != len(data) {
		t.Error("two puts were mixed")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type does func()

func (d does) Read([]byte) (int, error) { d(); return 0, io.EOF }
