package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// sampled is how many extents are read back: all of an image of up to 16 MiB; else the first, the last and 14 that
// chance picks. Every extent's hash was checked before it was written; this catches a disk that lies, which it does
// anywhere, and must not cost a second pass over the disk.
const sampled = 16

func (j *Job) sample() []deployimage.Extent {
	extents := j.Manifest.Extents
	if len(extents) <= sampled {
		return extents
	}
	picked := []int{0, len(extents) - 1}
	for _, i := range rand.Perm(len(extents) - 2)[:sampled-2] {
		picked = append(picked, i+1)
	}
	slices.Sort(picked)
	sample := make([]deployimage.Extent, len(picked))
	for n, i := range picked {
		sample[n] = extents[i]
	}
	return sample
}

func sampleSize(extents []deployimage.Extent) int64 {
	var size int64
	for _, e := range extents {
		size += e.Length
	}
	return size
}

// readers is how many extents are read back and hashed at once.
const readers = 4

// verify reads a sample back from the medium; write has flushed the disk's cache and dropped the kernel's.
func (j *Job) verify(ctx context.Context, result *agentapi.DeployResult, count func(int64)) error {
	sample := j.sample()
	group, ctx := errgroup.WithContext(ctx)
	extents := make(chan deployimage.Extent)
	group.Go(func() error {
		defer close(extents)
		for _, e := range sample {
			if err := send(ctx, extents, e); err != nil {
				return err
			}
		}
		return nil
	})
	for range readers {
		group.Go(func() error {
			buffer := disk.Buffer(deployimage.ExtentSize)
			for e := range extents {
				if err := j.readBack(e, buffer); err != nil {
					return err
				}
				count(e.Length)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	result.Verified = sampleSize(sample)
	return nil
}

func (j *Job) readBack(e deployimage.Extent, buffer []byte) error {
	// Whole blocks, which is what direct I/O reads.
	if err := j.Disk.ReadFullAt(buffer[:roundUp(e.Length, int64(j.Disk.Block))], e.Offset); err != nil {
		return err
	}
	sum := sha256.Sum256(buffer[:e.Length])
	if hex.EncodeToString(sum[:]) != e.SHA256 {
		return failure.New(agentapi.FaultMachine, "The disk gives back something else than was written at %d MiB.", e.Offset>>20)
	}
	return nil
}
