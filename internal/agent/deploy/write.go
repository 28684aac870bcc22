package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

const (
	fetchers     = 4                // ranged requests at once
	requestBytes = 12 << 20         // of the blob in one request, about
	stall        = 30 * time.Second // a request that brings no whole extent for so long is given up
)

var errHash = errors.New("the hash differs")

// stored is an extent as it came from the blob.
type stored struct {
	deployimage.Extent
	data []byte
}

// write is a pipeline: fetchers bring runs of extents, writers decode, verify and write them. Memory is bounded by the
// buffers between them, which go round.
func (j *Job) write(ctx context.Context, result *agentapi.DeployResult, count func(int64)) error {
	group, ctx := errgroup.WithContext(ctx)
	runs := make(chan []deployimage.Extent)
	fetched := make(chan stored)
	buffers := make(chan []byte, fetchers+j.Writers) // one in each hand
	for range cap(buffers) {
		buffers <- disk.Buffer(int(roundUp(deployimage.ExtentSize, disk.Align)))
	}
	var speed speedometer

	group.Go(func() error {
		defer close(runs)
		for _, run := range coalesce(j.Manifest.Extents) {
			if err := send(ctx, runs, run); err != nil {
				return err
			}
		}
		return nil
	})
	fetching, fetchCtx := errgroup.WithContext(ctx)
	for range fetchers {
		fetching.Go(func() error {
			for run := range runs {
				if err := j.fetch(fetchCtx, run, buffers, fetched); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(fetched)
		return fetching.Wait()
	})
	for range j.Writers {
		group.Go(func() error {
			w, err := j.newWriter(&speed, count)
			if err != nil {
				return err
			}
			defer w.zstd.Close()
			for s := range fetched {
				if err := w.put(ctx, s); err != nil {
					return err
				}
				buffers <- s.data[:cap(s.data)]
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	speed.begin()
	if err := j.Disk.Flush(); err != nil {
		return err
	}
	speed.end(0) // a write is on the disk when the disk's cache is
	result.Written = j.Manifest.DataSize
	result.RawBytesPerSec = speed.bytesPerSecond()
	return nil
}

func send[T any](ctx context.Context, to chan<- T, value T) error {
	select {
	case to <- value:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// coalesce makes runs of extents that lie one after another in the blob.
func coalesce(extents []deployimage.Extent) [][]deployimage.Extent {
	var runs [][]deployimage.Extent
	begin := 0
	for i := 1; i <= len(extents); i++ {
		if i < len(extents) && extents[i].Start == extents[i-1].Start+extents[i-1].Size &&
			extents[i].Start+extents[i].Size-extents[begin].Start <= requestBytes {
			continue
		}
		runs = append(runs, extents[begin:i])
		begin = i
	}
	return runs
}

// fetch brings a run of extents, going on where a broken request ended.
func (j *Job) fetch(ctx context.Context, run []deployimage.Extent, buffers chan []byte, out chan<- stored) error {
	return persist(ctx, j.Patience, j.Pause, func() (bool, error) {
		n, err := j.fetchOnce(ctx, run, buffers, out)
		run = run[n:]
		return n > 0, err
	})
}

// fetchOnce makes one request and gives how many extents it brought. It takes a buffer for each and gives back the one
// it could not fill.
func (j *Job) fetchOnce(ctx context.Context, run []deployimage.Extent, buffers chan []byte, out chan<- stored) (int, error) {
	request, cancel := context.WithCancel(ctx)
	defer cancel()
	last := run[len(run)-1]
	body, total, err := j.Images.Range(request, j.Image, run[0].Start, last.Start+last.Size-run[0].Start)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if total != j.Manifest.BlobSize {
		return 0, failure.New(agentapi.FaultRequest, "The image's data has %d bytes, and its manifest says %d.", total, j.Manifest.BlobSize)
	}
	for i, e := range run {
		var data []byte
		select {
		case data = <-buffers:
		case <-ctx.Done():
			return i, ctx.Err()
		}
		data = data[:e.Size]
		watchdog := time.AfterFunc(stall, cancel)
		_, err := io.ReadFull(body, data)
		watchdog.Stop()
		if err != nil {
			buffers <- data[:cap(data)]
			return i, fmt.Errorf("reading %d bytes at %d of the blob: %w", e.Size, e.Start, err)
		}
		if err := send(ctx, out, stored{e, data}); err != nil {
			return i, err
		}
	}
	return len(run), nil
}

// writer turns stored extents into bytes on the disk. One goroutine uses it.
type writer struct {
	*Job
	zstd  *zstd.Decoder
	plain []byte // of one extent, aligned
	speed *speedometer
	count func(int64)
}

func (j *Job) newWriter(speed *speedometer, count func(int64)) (*writer, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.IgnoreChecksum(true), // SHA-256 decides
		zstd.WithDecoderMaxMemory(deployimage.ExtentSize), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	return &writer{Job: j, zstd: decoder, plain: disk.Buffer(deployimage.ExtentSize), speed: speed, count: count}, nil
}

// put writes one extent. One whose hash differs is fetched once more, for the network may have spoilt it; the second
// time it is the image.
func (w *writer) put(ctx context.Context, s stored) error {
	plain, err := w.decode(s)
	if errors.Is(err, errHash) {
		w.Log.Warn("an extent's hash differs, fetching it again", "offset", s.Offset)
		if err := w.fetchAgain(ctx, s); err != nil {
			return err
		}
		plain, err = w.decode(s)
	}
	if err != nil {
		return failure.Wrap(err, agentapi.FaultRequest, "The image's data is corrupt at %d MiB.", s.Offset>>20)
	}
	padded := roundUp(int64(len(plain)), int64(w.Disk.Block))
	clear(plain[len(plain):padded])
	w.speed.begin()
	n, err := w.Disk.WriteAt(plain[:padded], s.Offset)
	w.speed.end(n)
	if err != nil {
		return failure.Wrap(err, agentapi.FaultMachine, "The disk failed while writing at %d MiB.", s.Offset>>20)
	}
	w.count(s.Length)
	return nil
}

// decode gives the extent's bytes, in a buffer that is aligned and has room up to its capacity.
func (w *writer) decode(s stored) ([]byte, error) {
	plain := s.data
	if !s.Raw {
		var err error
		if plain, err = w.zstd.DecodeAll(s.data, w.plain[:0]); err != nil {
			return nil, fmt.Errorf("%w: %v", errHash, err)
		}
	}
	if int64(len(plain)) != s.Length {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", errHash, len(plain), s.Length)
	}
	sum := sha256.Sum256(plain)
	if hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, errHash
	}
	return plain, nil
}

func (w *writer) fetchAgain(ctx context.Context, s stored) error {
	buffers, out := make(chan []byte, 1), make(chan stored, 1) // of s.data alone
	buffers <- s.data
	return persist(ctx, w.Patience, w.Pause, func() (bool, error) {
		_, err := w.fetchOnce(ctx, []deployimage.Extent{s.Extent}, buffers, out)
		return false, err
	})
}
