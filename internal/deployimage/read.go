package deployimage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoder is shared: DecodeAll is safe for concurrent use. Its memory limit makes a stored extent that would unpack to
// more than an extent fail instead of eating memory.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(2*ExtentSize))
})

// Plain gives the bytes of the extent from how the blob stores them, and verifies length and hash. The answer may share
// memory with stored (a raw extent) or with buf, which is used when its capacity suffices and may be nil.
func (e Extent) Plain(stored, buf []byte) ([]byte, error) {
	if int64(len(stored)) != e.Size {
		return nil, fmt.Errorf("extent at %d: %d stored bytes instead of %d", e.Offset, len(stored), e.Size)
	}
	plain := stored
	if !e.Raw {
		unpack, err := decoder()
		if err != nil {
			return nil, err
		}
		if plain, err = unpack.DecodeAll(stored, buf[:0]); err != nil {
			return nil, fmt.Errorf("extent at %d: %w", e.Offset, err)
		}
	}
	if int64(len(plain)) != e.Length {
		return nil, fmt.Errorf("extent at %d: %d bytes instead of %d", e.Offset, len(plain), e.Length)
	}
	if sum := sha256.Sum256(plain); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("extent at %d: the contents do not match their SHA-256", e.Offset)
	}
	return plain, nil
}

// Disk reads an image as the disk that it describes. It is safe for concurrent use; one extent is kept unpacked, so
// sequential reads of any size unpack each extent once.
type Disk struct {
	manifest Manifest
	blob     io.ReaderAt

	mu      sync.Mutex // guards the rest
	extent  int        // index of the extent in plain, -1: none
	plain   []byte
	stored  []byte
	scratch []byte
}

// Open checks the manifest and gives the disk.
func Open(manifest Manifest, blob io.ReaderAt) (*Disk, error) {
	if err := manifest.Validate(); err != nil {
		return nil, err
	}
	return &Disk{manifest: manifest, blob: blob, extent: -1}, nil
}

// Size is the disk's length in bytes.
func (d *Disk) Size() int64 { return d.manifest.VirtualSize }

// ReadAt reads from the disk; holes read as zero. An extent that fails its check gives an error and none of its bytes.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read of the image at %d", off)
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= d.manifest.VirtualSize {
			return n, io.EOF
		}
		start := at - at%ExtentSize
		end := start + extentLength(start, d.manifest.VirtualSize)
		part := p[n:min(int64(len(p)), int64(n)+end-at)]
		if err := d.readExtent(part, start, at-start); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// readExtent fills p from the extent at start, from its byte skip on.
func (d *Disk) readExtent(p []byte, start, skip int64) error {
	i, found := slices.BinarySearchFunc(d.manifest.Extents, start, func(e Extent, at int64) int {
		return int(min(max(e.Offset-at, -1), 1))
	})
	if !found {
		clear(p)
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.extent != i {
		if err := d.load(i); err != nil {
			return err
		}
	}
	copy(p, d.plain[skip:])
	return nil
}

func (d *Disk) load(i int) error {
	if d.stored == nil {
		d.stored, d.scratch = make([]byte, ExtentSize), make([]byte, ExtentSize)
	}
	d.extent = -1 // the buffers are about to change
	e := d.manifest.Extents[i]
	stored := d.stored[:e.Size]
	if n, err := d.blob.ReadAt(stored, e.Start); n < len(stored) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the blob is shorter than its manifest; the disk has not ended
		}
		return fmt.Errorf("extent at %d: read of the blob: %w", e.Offset, err)
	}
	plain, err := e.Plain(stored, d.scratch)
	if err != nil {
		return err
	}
	d.extent, d.plain = i, plain
	return nil
}
