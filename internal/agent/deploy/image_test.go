package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

const mib = 1 << 20

// store is a control plane's image, with faults to order.
type store struct {
	manifest deployimage.Manifest
	blob     []byte

	mu       sync.Mutex
	requests int
	refuse   int                // this many requests fail
	cut      int                // bodies end after so many bytes
	spoil    map[int64]int      // start of a byte in the blob → how many times it comes wrong
	onRange  func(requests int) // called for each request
}

func (s *store) Manifest(context.Context, string) (deployimage.Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse > 0 {
		s.refuse--
		return deployimage.Manifest{}, errors.New("connection refused")
	}
	return s.manifest, nil
}

func (s *store) Range(_ context.Context, _ string, start, length int64) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.onRange != nil {
		s.onRange(s.requests)
	}
	if s.refuse > 0 {
		s.refuse--
		return nil, 0, errors.New("connection refused")
	}
	if start >= int64(len(s.blob)) {
		return nil, 0, failure.New(agentapi.FaultRequest, "past the end")
	}
	data := s.blob[start:min(start+length, int64(len(s.blob)))]
	for at, times := range s.spoil {
		if at >= start && at < start+int64(len(data)) && times > 0 {
			data = bytes.Clone(data)
			data[at-start] ^= 1
			s.spoil[at]--
		}
	}
	if s.cut > 0 {
		data = data[:min(s.cut, len(data))]
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(s.blob)), nil
}

// pack makes an image of raw bytes as the control plane does: zero extents left out, the others compressed if it pays.
func pack(t testing.TB, raw []byte) *store {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{manifest: deployimage.Manifest{Version: deployimage.Version, VirtualSize: int64(len(raw))}, spoil: map[int64]int{}}
	for at := 0; at < len(raw); at += deployimage.ExtentSize {
		plain := raw[at:min(at+deployimage.ExtentSize, len(raw))]
		if len(bytes.Trim(plain, "\x00")) == 0 {
			continue
		}
		sum := sha256.Sum256(plain)
		e := deployimage.Extent{Offset: int64(at), Length: int64(len(plain)), Start: int64(len(s.blob)), SHA256: hex.EncodeToString(sum[:])}
		data := encoder.EncodeAll(plain, nil)
		if len(data) >= len(plain) {
			data, e.Raw = plain, true
		}
		e.Size = int64(len(data))
		s.blob = append(s.blob, data...)
		s.manifest.Extents = append(s.manifest.Extents, e)
		s.manifest.DataSize += e.Length
	}
	s.manifest.BlobSize = int64(len(s.blob))
	return s
}

// contents is a raw image with incompressible, compressible and empty megabytes in turn.
func contents(megabytes int) []byte {
	raw := make([]byte, megabytes*mib)
	source := rand.NewChaCha8([32]byte{1})
	for i := range megabytes {
		part := raw[i*mib : (i+1)*mib]
		switch i % 4 {
		case 0:
			source.Read(part)
		case 1, 2:
			copy(part, bytes.Repeat([]byte("all work and no play "), mib/21))
		}
	}
	return raw
}

// dirtyDisk is a file full of somebody's bytes.
func dirtyDisk(t testing.TB, size int64) *disk.Disk {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, bytes.Repeat([]byte{0xAA}, int(size)), 0o600); err != nil {
		t.Fatal(err)
	}
	return openDisk(t, name)
}

func openDisk(t testing.TB, name string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func wantFault(t *testing.T, err error, want agentapi.Fault) {
	t.Helper()
	var f *failure.Error
	if !errors.As(err, &f) || f.Fault != want {
		t.Errorf("got %v, want a fault of the %s", err, want)
	}
}
