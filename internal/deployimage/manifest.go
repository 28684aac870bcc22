// Package deployimage is the form in which an image streams straight to a disk: independent zstd extents, each with
// its hash, the holes left out. The control plane makes it from an upload, the agent writes it; both import this.
//
// An image is two objects: the manifest (JSON) and the blob (the compressed extents one after another). Any part of
// the blob can be fetched by range, verified and written alone, in any order and in parallel.
package deployimage

// Version of the format that this code writes.
const Version = 1

// ExtentSize is the length of a full extent on the disk, in bytes. Extents are aligned to it.
const ExtentSize = 1 << 20

// Manifest describes an image.
type Manifest struct {
	Version     int      `json:"version"`
	VirtualSize int64    `json:"virtual_size"` // bytes of the disk as the guest sees it
	DataSize    int64    `json:"data_size"`    // bytes in extents, uncompressed
	BlobSize    int64    `json:"blob_size"`    // bytes of the blob
	Extents     []Extent `json:"extents"`      // in order of Offset, not overlapping
}

// Extent is a run of data. What no extent covers is a hole and reads as zero.
type Extent struct {
	Offset int64  `json:"o"`           // on the disk
	Length int64  `json:"l"`           // on the disk, ExtentSize but for the last
	Start  int64  `json:"s"`           // in the blob
	Size   int64  `json:"z"`           // in the blob
	Raw    bool   `json:"r,omitempty"` // stored as it is: zstd gained nothing
	SHA256 string `json:"h"`           // hex, of the uncompressed bytes
}
