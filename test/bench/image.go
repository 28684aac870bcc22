package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

const mib = 1 << 20

// image is a deploy image in memory, of bytes that nothing compresses. Its blob is the pool over and over.
type image struct {
	manifest deployimage.Manifest
	pool     []byte
}

var _ agent.Images = (*image)(nil)

// newImage makes an image of a disk of which every nth extent has data.
func newImage(size, nth int64) *image {
	const extent = deployimage.ExtentSize
	i := &image{pool: make([]byte, 32*extent), manifest: deployimage.Manifest{Version: deployimage.Version, VirtualSize: size}}
	rand.NewChaCha8([32]byte{3}).Read(i.pool) //nolint:errcheck // never fails
	m := &i.manifest
	for at := int64(0); at < size; at += extent * nth {
		start := m.BlobSize % int64(len(i.pool))
		sum := sha256.Sum256(i.pool[start : start+extent])
		m.Extents = append(m.Extents, deployimage.Extent{
			Offset: at, Length: extent, Start: m.BlobSize, Size: extent, Raw: true, SHA256: hex.EncodeToString(sum[:]),
		})
		m.DataSize += extent
		m.BlobSize += extent
	}
	return i
}

// open gives the blob.
func (i *image) open() *io.SectionReader { return io.NewSectionReader(i, 0, i.manifest.BlobSize) }

// ReadAt reads the blob.
func (i *image) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], i.pool[(at+int64(n))%int64(len(i.pool)):])
	}
	return n, nil
}

// Manifest implements agent.Images.
func (i *image) Manifest(context.Context, string) (deployimage.Manifest, error) {
	return i.manifest, nil
}

// Range implements agent.Images.
func (i *image) Range(_ context.Context, _ string, start, length int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(io.NewSectionReader(i, start, length)), i.manifest.BlobSize, nil
}

// packed makes the deploy image of a raw disk, as the control plane does.
type packed struct {
	image
	blob []byte
}

func pack(ctx context.Context, source deployimage.Source) (*packed, error) {
	var blob bytes.Buffer
	manifest, err := deployimage.Write(ctx, source, &blob, nil)
	if err != nil {
		return nil, fmt.Errorf("pack the image: %w", err)
	}
	return &packed{image{manifest: manifest}, blob.Bytes()}, nil
}

// Range implements agent.Images.
func (p *packed) Range(_ context.Context, _ string, start, length int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(p.blob[start : start+length])), int64(len(p.blob)), nil
}
