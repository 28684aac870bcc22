package deploy

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// The benchmarks compare whole deployments (emptying, writing, flushing, reading back) with plain direct writes of as
// many bytes as the image spans, on the same file, in turn. The metric of-raw is what counts: 1 is the disk's own
// speed. INGOT_BENCH_DIR names a folder on the disk to measure; INGOT_BENCH_DEVICE a block device, whose contents are
// lost.

const benchMiB = 512

func BenchmarkIncompressible(b *testing.B) { benchmark(b, 1) }

func BenchmarkHalfHoles(b *testing.B) { benchmark(b, 2) }

// benchmark writes an image in which every nth extent is data.
func benchmark(b *testing.B, nth int) {
	raw := make([]byte, benchMiB*mib)
	source := rand.NewChaCha8([32]byte{3})
	for i := 0; i < benchMiB; i += nth {
		source.Read(raw[i*mib : (i+1)*mib])
	}
	s := pack(b, raw)
	raw = nil
	d := benchDisk(b)
	var imageTime, rawTime time.Duration
	for b.Loop() {
		began := time.Now()
		writeRaw(b, d)
		rawTime += time.Since(began)

		began = time.Now()
		if _, err := job(s, d).Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		imageTime += time.Since(began)
	}
	perSecond := func(t time.Duration) float64 { return float64(b.N) * benchMiB / t.Seconds() }
	b.ReportMetric(perSecond(imageTime), "image-MiB/s")
	b.ReportMetric(perSecond(rawTime), "raw-MiB/s")
	b.ReportMetric(rawTime.Seconds()/imageTime.Seconds(), "of-raw")
}

func benchDisk(b *testing.B) *disk.Disk {
	if device := os.Getenv("INGOT_BENCH_DEVICE"); device != "" {
		return openDisk(b, device)
	}
	dir := os.Getenv("INGOT_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	name := filepath.Join(dir, "ingot-bench")
	b.Cleanup(func() { os.Remove(name) })
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Truncate(benchMiB * mib); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	d := openDisk(b, name)
	if !d.Direct {
		b.Skip("compares direct I/O: " + dir + " does not support it")
	}
	return d
}

// writeRaw writes as deployments do, with as many bytes at once, but without fetching, decoding and checking.
func writeRaw(b *testing.B, d *disk.Disk) {
	if err := disk.Sweep(context.Background(), 0, benchMiB*mib, d.Discard, func(int64) {}); err != nil {
		b.Log("the disk does not discard:", err)
	}
	j := Job{}
	j.defaults()
	var next atomic.Int64
	var group errgroup.Group
	for range j.Writers {
		group.Go(func() error {
			buffer := disk.Buffer(deployimage.ExtentSize)
			rand.NewChaCha8([32]byte{4}).Read(buffer)
			for {
				at := (next.Add(1) - 1) * deployimage.ExtentSize
				if at >= benchMiB*mib {
					return nil
				}
				if _, err := d.WriteAt(buffer, at); err != nil {
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		b.Fatal(err)
	}
}
