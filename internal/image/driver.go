package image

import (
	"context"
	"errors"
	"io"

	"github.com/ingotcloud/ingot/internal/db"
)

// What a Blobs driver's errors can be (by errors.Is); any other error means that the store cannot be reached or is
// broken, and trying again later may help.
var (
	ErrNoBlob    = errors.New("no such blob")
	ErrStoreFull = errors.New("the blob store is full")
)

// Blobs keeps the bytes of images: a folder, an S3 bucket. Keys are 1 to 200 of the characters a-z A-Z 0-9 . _ - and
// begin with a letter or digit. All methods are safe for concurrent use, also from several processes. The driver does
// not retry what it has streamed; callers retry whole operations.
type Blobs interface {
	// Put stores all of r and gives its length. It is atomic: the blob appears whole and durable or not at all, and
	// when r or ctx fails nothing stays behind. An existing blob of that key is replaced; callers never replace one
	// that may be open.
	Put(ctx context.Context, key string, r io.Reader) (int64, error)
	// Open gives the blob for reading; ErrNoBlob when absent. ctx holds for as long as the Blob is used.
	Open(ctx context.Context, key string) (Blob, error)
	// Delete removes the blob and what an interrupted Put of it left. An absent blob is no error.
	Delete(ctx context.Context, key string) error
	// List gives the keys that begin with prefix, in no order.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Blob is an open blob. Sequential reads stream; ReadAt may be called from several goroutines and costs a round trip
// with a remote store, so it wants large pieces.
type Blob interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

// Usage is what a project has, or would have.
type Usage struct {
	Images int64
	Bytes  int64 // of what was uploaded
}

// Quota decides whether a project may come to have this much. It runs inside the transaction that makes it so, and
// refuses with a fault of kind Quota.
type Quota interface {
	CheckImages(ctx context.Context, q db.Querier, project string, wanted Usage) error
}
