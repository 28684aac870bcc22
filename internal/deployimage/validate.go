package deployimage

import (
	"encoding/hex"
	"fmt"
)

// MaxVirtualSize is the largest disk that a manifest may describe, in bytes (64 TiB): it keeps sums far from overflow.
const MaxVirtualSize = 1 << 46

// Validate reports the first thing that is wrong with a manifest. What passes can be used without further checks of
// bounds: the extents are aligned, in order, inside the disk, and lie in the blob one after another without gaps.
func (m Manifest) Validate() error {
	if m.Version != Version {
		return fmt.Errorf("the image manifest has version %d, this program reads version %d", m.Version, Version)
	}
	if m.VirtualSize <= 0 || m.VirtualSize > MaxVirtualSize {
		return fmt.Errorf("the image manifest names a disk of %d bytes", m.VirtualSize)
	}
	var data, blob, next int64
	for i, e := range m.Extents {
		if err := e.validate(m.VirtualSize); err != nil {
			return fmt.Errorf("extent %d of the image manifest: %w", i, err)
		}
		if e.Offset < next {
			return fmt.Errorf("extent %d of the image manifest: offset %d is out of order or overlaps", i, e.Offset)
		}
		if e.Start != blob {
			return fmt.Errorf("extent %d of the image manifest: starts at byte %d of the blob instead of %d", i, e.Start, blob)
		}
		next, data, blob = e.Offset+e.Length, data+e.Length, blob+e.Size
	}
	if m.DataSize != data {
		return fmt.Errorf("the image manifest says %d bytes of data, its extents hold %d", m.DataSize, data)
	}
	if m.BlobSize != blob {
		return fmt.Errorf("the image manifest says a blob of %d bytes, its extents need %d", m.BlobSize, blob)
	}
	return nil
}

func (e Extent) validate(disk int64) error {
	if e.Offset < 0 || e.Offset >= disk || e.Offset%ExtentSize != 0 {
		return fmt.Errorf("offset %d is not aligned or not on the disk", e.Offset)
	}
	if want := extentLength(e.Offset, disk); e.Length != want {
		return fmt.Errorf("length %d instead of %d", e.Length, want)
	}
	if e.Raw && e.Size != e.Length {
		return fmt.Errorf("stored raw in %d bytes instead of %d", e.Size, e.Length)
	}
	if !e.Raw && (e.Size <= 0 || e.Size >= e.Length) {
		return fmt.Errorf("compressed to %d bytes from %d", e.Size, e.Length)
	}
	// Lower case only, so that equal contents have equal manifests.
	if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 || hex.EncodeToString(sum) != e.SHA256 {
		return fmt.Errorf("%q is no SHA-256", e.SHA256)
	}
	return nil
}

// extentLength is the length of the extent at offset: full, or what is left at the end of the disk.
func extentLength(offset, disk int64) int64 { return min(ExtentSize, disk-offset) }
