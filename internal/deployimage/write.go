package deployimage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

var zeros = make([]byte, ExtentSize)

// Write makes an image of src: the blob goes to blob, the manifest is the answer. Extents are read, hashed and
// compressed by GOMAXPROCS workers and written in order; memory is bounded to a few extents per worker. Where zstd
// gains less than a twentieth the bytes are stored as they are, so that the agent needs not unpack them. Progress (may
// be nil) hears from one goroutine how many bytes of the disk are done.
//
// A source that ends before its size is io.ErrUnexpectedEOF. On any error the blob is worthless.
func Write(ctx context.Context, src Source, blob io.Writer, progress func(done, total int64)) (Manifest, error) {
	size := src.Size()
	if size <= 0 || size > MaxVirtualSize {
		return Manifest{}, fmt.Errorf("an image of %d bytes cannot be stored", size)
	}
	workers := runtime.GOMAXPROCS(0)
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(ExtentSize))
	if err != nil {
		return Manifest{}, err
	}
	w := writer{src: src, size: size, pack: pack, todo: make(chan *extentJob), ordered: make(chan *extentJob, 2*workers)}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.scan(ctx) })
	for range workers {
		group.Go(func() error { return w.work(ctx) })
	}
	manifest := Manifest{Version: Version, VirtualSize: size, Extents: []Extent{}}
	group.Go(func() error { return w.collect(ctx, &manifest, blob, progress) })
	if err := group.Wait(); err != nil {
		return Manifest{}, err
	}
	return manifest, nil
}

// writer is one run of Write: scan finds the extents that may hold data, work fills them in, collect takes them in order.
type writer struct {
	src     Source
	size    int64
	pack    *zstd.Encoder
	todo    chan *extentJob
	ordered chan *extentJob // its capacity bounds the memory
	buffers sync.Pool       // of *extentJob
}

// extentJob carries one extent and its buffers.
type extentJob struct {
	Extent
	hole   bool
	plain  []byte
	packed []byte
	done   chan struct{}
}

// stored is what goes to the blob.
func (j *extentJob) stored() []byte {
	if j.Raw {
		return j.plain
	}
	return j.packed
}

func (w *writer) newJob(offset int64) *extentJob {
	job, ok := w.buffers.Get().(*extentJob)
	if !ok {
		job = &extentJob{plain: make([]byte, 0, ExtentSize), packed: make([]byte, 0, ExtentSize)}
	}
	job.Extent = Extent{Offset: offset, Length: extentLength(offset, w.size)}
	job.hole, job.done = false, make(chan struct{})
	return job
}

func (w *writer) scan(ctx context.Context) error {
	defer close(w.ordered)
	defer close(w.todo)
	for offset := int64(0); offset < w.size; {
		start, end, err := w.src.NextData(offset)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if start < offset || end <= start || end > w.size {
			return fmt.Errorf("the source answers %d to %d for data after %d", start, end, offset)
		}
		for offset = start - start%ExtentSize; offset < end; offset += ExtentSize {
			job := w.newJob(offset)
			for _, queue := range []chan *extentJob{w.ordered, w.todo} {
				select {
				case queue <- job:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	}
	return nil
}

func (w *writer) work(ctx context.Context) error {
	for job := range w.todo {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.fill(job); err != nil {
			return err
		}
		close(job.done)
	}
	return nil
}

func (w *writer) fill(job *extentJob) error {
	job.plain = job.plain[:job.Length]
	if n, err := w.src.ReadAt(job.plain, job.Offset); n < len(job.plain) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read the disk at %d: %w", job.Offset+int64(n), err)
	}
	if bytes.Equal(job.plain, zeros[:job.Length]) {
		job.hole = true
		return nil
	}
	sum := sha256.Sum256(job.plain)
	job.SHA256 = hex.EncodeToString(sum[:])
	job.packed = w.pack.EncodeAll(job.plain, job.packed[:0])
	job.Raw = len(job.packed) >= len(job.plain)-len(job.plain)/20
	job.Size = int64(len(job.stored()))
	return nil
}

func (w *writer) collect(ctx context.Context, manifest *Manifest, blob io.Writer, progress func(done, total int64)) error {
	for {
		var job *extentJob
		var more bool
		select {
		case job, more = <-w.ordered:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !more {
			break
		}
		select {
		case <-job.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !job.hole {
			job.Start = manifest.BlobSize
			if _, err := blob.Write(job.stored()); err != nil {
				return fmt.Errorf("write the image blob: %w", err)
			}
			manifest.Extents = append(manifest.Extents, job.Extent)
			manifest.DataSize += job.Length
			manifest.BlobSize += job.Size
		}
		if progress != nil {
			progress(job.Offset+job.Length, w.size)
		}
		w.buffers.Put(job)
	}
	if progress != nil {
		progress(w.size, w.size)
	}
	return nil
}
