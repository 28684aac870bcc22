package disk

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// DefaultVerify is how many random blocks are read back when the order does not say.
const DefaultVerify = 64

const (
	verifyEdge  = 1 << 20  // bytes read back at either end, where partition tables and other signatures are
	verifyBlock = 64 << 10 // bytes of a random block
)

// method is one way to erase a disk.
type method struct {
	name  string
	erase func(ctx context.Context, d *Disk, count func(int64)) error
	// noise: what is read afterwards is anything but what was there, for the key is gone; without it, zeros.
	noise bool
}

// methods, strongest first: what reaches spare and remapped blocks comes before what does not.
var methods = []method{
	{name: "nvme-format-crypto", erase: nvmeFormat(sesCrypto), noise: true},
	{name: "nvme-format", erase: nvmeFormat(sesUser)},
	{name: "blkdiscard", erase: sweeping((*Disk).Discard)},
	{name: "zeroout", erase: sweeping((*Disk).ZeroOut)},
	{name: "overwrite", erase: sweeping((*Disk).Overwrite)},
}

func sweeping(do func(*Disk, int64, int64) error) func(context.Context, *Disk, func(int64)) error {
	return func(ctx context.Context, d *Disk, count func(int64)) error {
		return Sweep(ctx, 0, d.Size, func(o, n int64) error { return do(d, o, n) }, count)
	}
}

// Erase erases the disk by the strongest method that proves itself: a disk's word is not believed, only what is read
// back from both ends and from verify random blocks. It fails, to the machine's blame, when no method does.
func Erase(ctx context.Context, which agentapi.Disk, verify int, progress func(agentapi.Progress)) (agentapi.ErasedDisk, error) {
	return eraseBy(ctx, methods, which, verify, progress)
}

func eraseBy(ctx context.Context, methods []method, which agentapi.Disk, verify int, progress func(agentapi.Progress)) (agentapi.ErasedDisk, error) {
	result := agentapi.ErasedDisk{ID: which.ID, Tried: []string{}}
	began := time.Now()
	d, err := Open(which.Name)
	if err != nil {
		return result, failure.Wrap(err, agentapi.FaultMachine, "The disk %s cannot be opened.", which.ID)
	}
	defer d.Close()
	if verify <= 0 {
		verify = DefaultVerify
	}
	result.Bytes = d.Size
	samples, err := d.takeSamples(verify)
	if err != nil {
		return result, failure.Wrap(err, agentapi.FaultMachine, "The disk %s cannot be read.", which.ID)
	}
	for _, m := range methods {
		step := agentapi.Progress{Step: fmt.Sprintf("Erasing %s (%s)", which.ID, m.name), Total: d.Size}
		progress(step)
		err := m.erase(ctx, d, func(n int64) {
			step.Done += n
			progress(step)
		})
		if err == nil {
			err = d.prove(samples, m.noise)
		}
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		if err != nil {
			result.Tried = append(result.Tried, m.name+": "+err.Error())
			continue
		}
		result.Method = m.name
		for _, s := range samples {
			result.Verified += int64(len(s.before))
		}
		result.Seconds = time.Since(began).Seconds()
		if err := d.RereadPartitions(); err != nil {
			result.Tried = append(result.Tried, "forgetting the old partitions: "+err.Error())
		}
		return result, nil
	}
	return result, failure.New(agentapi.FaultMachine, "The disk %s could not be erased (%s).", which.ID, strings.Join(result.Tried, "; "))
}

// sample is what a place on the disk held before the erasure.
type sample struct {
	offset int64
	before []byte
}

func (d *Disk) takeSamples(random int) ([]sample, error) {
	edge := min(verifyEdge, d.Size)
	places := []sample{{0, Buffer(int(edge))}, {d.Size - edge, Buffer(int(edge))}}
	if blocks := d.Size / verifyBlock; blocks > 0 {
		for range random {
			places = append(places, sample{rand.Int64N(blocks) * verifyBlock, Buffer(verifyBlock)})
		}
	}
	for _, s := range places {
		if err := d.ReadFullAt(s.before, s.offset); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// prove reads the samples' places again. A place must be zero or, after a noisy method, in every block other than it
// was.
func (d *Disk) prove(samples []sample, noise bool) error {
	if err := d.Flush(); err != nil {
		return err
	}
	buffer, zeros := Buffer(verifyEdge), make([]byte, Align)
	for _, s := range samples {
		now := buffer[:len(s.before)]
		if err := d.ReadFullAt(now, s.offset); err != nil {
			return err
		}
		for at := 0; at < len(now); at += Align {
			end := min(at+Align, len(now))
			block := now[at:end]
			if bytes.Equal(block, zeros[:len(block)]) {
				continue
			}
			if !noise {
				return fmt.Errorf("bytes at %d are not zero afterwards", s.offset+int64(at))
			}
			if bytes.Equal(block, s.before[at:end]) {
				return fmt.Errorf("bytes at %d are the same afterwards", s.offset+int64(at))
			}
		}
	}
	return nil
}
