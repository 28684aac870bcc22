package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/agent"
	"github.com/ingotcloud/ingot/internal/agent/deploy"
	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

const (
	writeSize   = 1024 * mib // of the disk
	writeRounds = 3          // raw and image in turn; the medians count
)

// Raw writes are what a disk tester would do: whole megabytes, as many at once as the agent has in flight.
const (
	rawBlock = mib
	rawDepth = 8
)

// rawWrite writes bytes from the beginning of a disk and flushes them.
func rawWrite(d *disk.Disk, bytes int64) (time.Duration, error) {
	var next atomic.Int64
	var group errgroup.Group
	buffers := make([][]byte, rawDepth)
	for i := range buffers {
		buffers[i] = disk.Buffer(rawBlock)
		rand.NewChaCha8([32]byte{4}).Read(buffers[i]) //nolint:errcheck // never fails
	}
	began := time.Now()
	for _, buffer := range buffers {
		group.Go(func() error {
			for {
				at := next.Add(rawBlock) - rawBlock
				if at >= bytes {
					return nil
				}
				if _, err := d.WriteAt(buffer[:min(rawBlock, bytes-at)], at); err != nil {
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	err := d.Flush()
	return time.Since(began), err
}

// file is the hardware of an agent that runs on this computer: a file, written past the page cache.
type file struct {
	path string
	took time.Duration // of the last deployment
}

var _ agent.Hardware = (*file)(nil)

// Deploy implements agent.Hardware as the metal does, for the whole way from the manifest to the partition table.
func (f *file) Deploy(ctx context.Context, order agentapi.Deploy, images agent.Images, progress agent.Progress) (agentapi.DeployResult, error) {
	began := time.Now()
	job := deploy.Job{Image: order.Image, Images: images, ConfigDrive: order.ConfigDrive, Progress: progress}
	var err error
	if job.Manifest, err = deploy.Fetch(ctx, images, order.Image, time.Minute); err != nil {
		return agentapi.DeployResult{}, err
	}
	if job.Disk, err = disk.Open(f.path); err != nil {
		return agentapi.DeployResult{}, err
	}
	defer job.Disk.Close() //nolint:errcheck // flushed
	result, err := job.Run(ctx)
	f.took = time.Since(began)
	return result, err
}

var errOnlyDeploys = errors.New("this hardware can only be deployed to")

// Inspect implements agent.Hardware.
func (f *file) Inspect(context.Context, agent.Progress) (agentapi.Inventory, error) {
	return agentapi.Inventory{}, errOnlyDeploys
}

// Erase implements agent.Hardware.
func (f *file) Erase(context.Context, agentapi.Erase, agent.Progress) (agentapi.EraseResult, error) {
	return agentapi.EraseResult{}, errOnlyDeploys
}

// Boot implements agent.Hardware.
func (f *file) Boot(context.Context, agentapi.BootInto) (agentapi.BootResult, func() error, error) {
	return agentapi.BootResult{}, nil, errOnlyDeploys
}

// Rescue implements agent.Hardware.
func (f *file) Rescue(context.Context, agentapi.Rescue) (func() error, error) {
	return nil, errOnlyDeploys
}

// clean makes the file one great hole, which is how cleaning leaves a disk.
func (f *file) clean(size int64) error {
	return errors.Join(os.WriteFile(f.path, nil, 0o600), os.Truncate(f.path, size))
}

// raw is how long raw writes of the whole file take.
func (f *file) raw(size int64) (time.Duration, error) {
	if err := f.clean(size); err != nil {
		return 0, err
	}
	d, err := disk.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer d.Close() //nolint:errcheck // flushed
	if !d.Direct {
		return 0, fmt.Errorf("the file system of %s has no direct I/O", filepath.Dir(f.path))
	}
	return rawWrite(d, size)
}

// measureWrites has an agent write images on this computer: of bytes that nothing compresses, without and with holes.
func measureWrites(ctx context.Context, dir string) ([]goal, error) {
	var goals []goal
	for _, kind := range []struct {
		name  string
		nth   int64
		limit float64
	}{
		{"Image write / raw direct I/O, incompressible", 1, 0.9},
		{"Image write / raw direct I/O, half of it holes", 2, 1},
	} {
		w, err := measureWrite(ctx, filepath.Join(dir, "disk"), newImage(writeSize, kind.nth))
		if err != nil {
			return nil, err
		}
		ratio := w.raw.Seconds() / w.image.Seconds()
		needed := w.cores * w.image.Seconds() / (w.raw.Seconds() / kind.limit)
		g := goal{
			name: kind.name, limit: fmt.Sprintf("≥ %.2f", kind.limit), figure: fmt.Sprintf("%.2f", ratio), verdict: atLeast(ratio, kind.limit),
			behind: fmt.Sprintf("image %.0f MiB/s, raw %.0f MiB/s", perSecond(writeSize, w.image), perSecond(writeSize, w.raw)),
		}
		goals = append(goals, g.excuse(needed > enough*w.free,
			"at that speed both ends of the connection compute with %.1f cores; of this computer's %d the others left %.1f", needed, runtime.NumCPU(), w.free))
	}
	return goals, nil
}

// writing is what measureWrite saw, all medians.
type writing struct {
	raw   time.Duration // raw writes
	image time.Duration // a deployment
	cores float64       // that this process computed with during deployments, on the average
	free  float64       // cores that nobody else computed with meanwhile
}

// enough of the free cores: work that takes more of them waits for them now and then, and the disk for it.
const enough = 0.8

func perSecond(bytes int64, t time.Duration) float64 { return float64(bytes) / mib / t.Seconds() }

// measureWrite lets raw writes and deployments over TLS take turns.
func measureWrite(ctx context.Context, path string, i *image) (writing, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := newPlane(i)
	defer p.close()
	defer cancel()
	f := &file{path: path}
	defer os.Remove(path) //nolint:errcheck // the folder goes too
	a, err := agent.New(agent.Options{Boot: p.boot(), Hardware: f, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return writing{}, err
	}
	go a.Run(ctx) //nolint:errcheck // ends with ctx
	var raws, images []time.Duration
	var own, idle, all time.Duration
	for round := range writeRounds {
		t, err := f.raw(i.manifest.VirtualSize)
		if err != nil {
			return writing{}, err
		}
		raws = append(raws, t)
		if err := f.clean(i.manifest.VirtualSize); err != nil {
			return writing{}, err
		}
		began, ownBefore, idleBefore := time.Now(), ownTime(), idleTime()
		if err := p.deploy(ctx, fmt.Sprint("round", round)); err != nil {
			return writing{}, err
		}
		all, own, idle = all+time.Since(began), own+ownTime()-ownBefore, idle+idleTime()-idleBefore
		images = append(images, f.took)
	}
	return writing{
		raw: median(raws), image: median(images), cores: own.Seconds() / all.Seconds(), free: (own + idle).Seconds() / all.Seconds(),
	}, nil
}
