package deploy

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// span is a range of the disk in bytes.
type span struct{ offset, length int64 }

// empty discards the whole disk, which keeps an SSD fast, and then makes sure that the image's holes read as zero,
// which a discard does not promise. The device does that at once or, failing that, holes that do not look zero
// already are written.
func (j *Job) empty(ctx context.Context, result *agentapi.DeployResult, count func(int64)) error {
	err := disk.Sweep(ctx, 0, j.Disk.Size, j.Disk.Discard, func(n int64) {
		result.Discarded += n
		count(n)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		j.Log.Info("the disk does not discard", "error", err)
	}
	holes := j.holes()
	zeroed, err := j.punch(ctx, holes)
	if err != nil || zeroed {
		return err
	}
	if result.Discarded == j.Disk.Size {
		if zero, err := j.looksZero(holes); err != nil || zero {
			return err
		}
	}
	for _, h := range holes {
		if err := disk.Sweep(ctx, h.offset, h.length, j.Disk.ZeroOut, func(int64) {}); err == nil {
			continue
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := disk.Sweep(ctx, h.offset, h.length, j.Disk.Overwrite, func(int64) {}); err != nil {
			return err
		}
	}
	return nil
}

// punch is false when the device cannot.
func (j *Job) punch(ctx context.Context, holes []span) (bool, error) {
	for _, h := range holes {
		err := disk.Sweep(ctx, h.offset, h.length, j.Disk.Punch, func(int64) {})
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENODEV) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// holes of the image, in whole blocks of the disk.
func (j *Job) holes() []span {
	var holes []span
	var end int64
	add := func(until int64) {
		if until > end {
			holes = append(holes, span{end, until - end})
		}
	}
	for _, e := range j.Manifest.Extents {
		add(e.Offset)
		end = roundUp(e.Offset+e.Length, int64(j.Disk.Block)) // the last block is padded with zeros
	}
	add(min(roundUp(j.Manifest.VirtualSize, disk.Align), j.Disk.Size))
	return holes
}

// looksZero reads the first block of each hole and a random one, of at most 256 holes.
func (j *Job) looksZero(holes []span) (bool, error) {
	block := disk.Buffer(disk.Align)
	zeros := make([]byte, disk.Align)
	step := max(1, len(holes)/256)
	for i := 0; i < len(holes); i += step {
		h := holes[i]
		for _, at := range []int64{0, rand.Int64N(max(1, h.length/disk.Align)) * disk.Align} {
			n := min(disk.Align, h.length-at)
			if err := j.Disk.ReadFullAt(block[:n], h.offset+at); err != nil {
				return false, err
			}
			if !bytes.Equal(block[:n], zeros[:n]) {
				return false, nil
			}
		}
	}
	return true, nil
}
