package deployimage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/ingotcloud/ingot/internal/deployimage"
)

// drawDisk makes a disk of up to six extents whose pieces are zero, compressible or random.
func drawDisk(t *rapid.T) []byte {
	extents, rest := rapid.IntRange(0, 5).Draw(t, "extents"), rapid.IntRange(1, deployimage.ExtentSize).Draw(t, "rest")
	disk := make([]byte, extents*deployimage.ExtentSize+rest)
	random := rand.NewChaCha8([32]byte{1: byte(rapid.IntRange(0, 255).Draw(t, "seed"))})
	for range rapid.IntRange(0, 8).Draw(t, "pieces") {
		start := rapid.IntRange(0, len(disk)-1).Draw(t, "start")
		piece := disk[start:rapid.IntRange(start, len(disk)).Draw(t, "end")]
		switch rapid.SampledFrom([]string{"zero", "text", "random"}).Draw(t, "kind") {
		case "zero":
			clear(piece)
		case "text":
			for i := range piece {
				piece[i] = "ingot"[i%5]
			}
		case "random":
			_, _ = random.Read(piece) // never fails
		}
	}
	return disk
}

func write(t testing.TB, src deployimage.Source) (deployimage.Manifest, []byte) {
	t.Helper()
	var blob bytes.Buffer
	manifest, err := deployimage.Write(context.Background(), src, &blob, nil)
	if err != nil {
		t.Fatal(err)
	}
	return manifest, blob.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		disk := drawDisk(rt)
		manifest, blob := write(t, deployimage.FromReader(bytes.NewReader(disk), int64(len(disk))))
		if int64(len(blob)) != manifest.BlobSize {
			rt.Fatalf("a blob of %d bytes, the manifest says %d", len(blob), manifest.BlobSize)
		}
		image, err := deployimage.Open(manifest, bytes.NewReader(blob))
		if err != nil {
			rt.Fatal(err)
		}
		back := make([]byte, len(disk))
		if n, err := image.ReadAt(back, 0); n != len(back) || (err != nil && err != io.EOF) {
			rt.Fatal(n, err)
		}
		if !bytes.Equal(back, disk) {
			rt.Fatal("the disk came back different")
		}
		covered := int64(0)
		for _, e := range manifest.Extents {
			if bytes.Count(disk[e.Offset:e.Offset+e.Length], []byte{0}) == int(e.Length) {
				rt.Fatalf("the extent at %d is all zero and should be a hole", e.Offset)
			}
			covered += e.Length
		}
		if covered != manifest.DataSize {
			rt.Fatalf("%d bytes in extents, the manifest says %d", covered, manifest.DataSize)
		}
		start := rapid.Int64Range(0, int64(len(disk))).Draw(rt, "from")
		section, err := io.ReadAll(iotest.OneByteReader(io.NewSectionReader(image, start, min(64, int64(len(disk))-start))))
		if err != nil || !bytes.Equal(section, disk[start:start+int64(len(section))]) {
			rt.Fatal("a small read came back different", err)
		}
	})
}

func TestACorruptManifestIsRefused(t *testing.T) {
	disk := make([]byte, 5*deployimage.ExtentSize+777)
	for _, at := range []int{0, 1, 3} {
		copy(disk[at*deployimage.ExtentSize:], bytes.Repeat([]byte("ingot"), 999))
	}
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(disk[5*deployimage.ExtentSize:]) // never fails
	good, blob := write(t, deployimage.FromReader(bytes.NewReader(disk), int64(len(disk))))
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		bad := good
		bad.Extents = append([]deployimage.Extent(nil), good.Extents...)
		e := &bad.Extents[rapid.IntRange(0, len(bad.Extents)-1).Draw(rt, "extent")]
		by := rapid.OneOf(rapid.Int64Min(1), rapid.Int64Max(-1)).Draw(rt, "by")
		switch rapid.IntRange(0, 12).Draw(rt, "what") {
		case 0:
			bad.Version += int(by)
		case 1:
			bad.DataSize += by
		case 2:
			bad.BlobSize += by
		case 3: // not onto another hole: such an extent is in its place as far as anybody can tell
			e.Offset += rapid.Int64Range(1, deployimage.ExtentSize-1).Draw(rt, "shift")
		case 4:
			e.Offset = -e.Offset - deployimage.ExtentSize
		case 5:
			e.Length += by
		case 6:
			e.Start += by
		case 7:
			e.Size += by
		case 8:
			e.Raw = !e.Raw
		case 9:
			e.SHA256 = rapid.StringN(0, 70, 70).Filter(func(s string) bool { return s != e.SHA256 }).Draw(rt, "hash")
		case 10:
			bad.VirtualSize = rapid.Int64Max(int64(len(disk))-1).Draw(rt, "size")
		case 11:
			bad.Extents = bad.Extents[:rapid.IntRange(0, len(bad.Extents)-1).Draw(rt, "kept")]
		case 12:
			bad.Extents = append(bad.Extents, *e)
		}
		if bad.Validate() == nil {
			rt.Fatalf("accepted %+v", bad)
		}
		if _, err := deployimage.Open(bad, bytes.NewReader(blob)); err == nil {
			rt.Fatal("opened what Validate refuses")
		}
	})
}

func TestACorruptBlobIsRefused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		disk := drawDisk(rt)
		disk[0] = 1 // at least one extent
		manifest, blob := write(t, deployimage.FromReader(bytes.NewReader(disk), int64(len(disk))))
		if rapid.Bool().Draw(rt, "truncate") {
			blob = blob[:rapid.IntRange(0, len(blob)-1).Draw(rt, "kept")]
		} else {
			blob[rapid.IntRange(0, len(blob)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		image, err := deployimage.Open(manifest, bytes.NewReader(blob))
		if err != nil {
			rt.Fatal(err)
		}
		back, err := io.ReadAll(io.NewSectionReader(image, 0, image.Size()))
		if err == nil && !bytes.Equal(back, disk) {
			rt.Fatal("wrong bytes came back without an error")
		}
		if err == nil && len(blob) < int(manifest.BlobSize) {
			rt.Fatal("a truncated blob was read without an error")
		}
	})
}

// TestHolesAreNotRead gives a source that fails when a hole is read.
func TestHolesAreNotRead(t *testing.T) {
	const size = 1 << 40
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a test's file
	if err := f.Truncate(size); err != nil {
		t.Skipf("no file of 1 TiB here: %v", err)
	}
	if _, err := f.WriteAt([]byte("data"), size/2); err != nil {
		t.Fatal(err)
	}
	counted := &counting{Source: deployimage.FromFile(f, size)}
	if _, end, err := counted.NextData(0); err != nil || end == size {
		t.Skip("this file system does not tell holes")
	}
	manifest, _ := write(t, counted)
	if len(manifest.Extents) != 1 || manifest.Extents[0].Offset != size/2 || counted.reads.n > 4 {
		t.Errorf("%d extents by %d reads", len(manifest.Extents), counted.reads.n)
	}
}

type counting struct {
	deployimage.Source
	reads struct{ n int } // one extent is read by one worker only, so no lock
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads.n++
	return c.Source.ReadAt(p, off)
}

func TestATruncatedSourceIsAnError(t *testing.T) {
	short := deployimage.FromReader(bytes.NewReader(make([]byte, 100)), 3*deployimage.ExtentSize)
	if _, err := deployimage.Write(context.Background(), short, io.Discard, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestAFailingBlobStopsTheWrite(t *testing.T) {
	full := errors.New("disk full")
	src := deployimage.FromReader(bytes.NewReader(bytes.Repeat([]byte{7}, 9*deployimage.ExtentSize)), 9*deployimage.ExtentSize)
	if _, err := deployimage.Write(context.Background(), src, failing{full}, nil); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestProgressEndsAtTheSize(t *testing.T) {
	disk := make([]byte, 3*deployimage.ExtentSize+1)
	disk[5] = 1
	var last int64
	_, err := deployimage.Write(context.Background(), deployimage.FromReader(bytes.NewReader(disk), int64(len(disk))), io.Discard,
		func(done, total int64) {
			if done < last || total != int64(len(disk)) {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		})
	if err != nil || last != int64(len(disk)) {
		t.Errorf("%v, progress ended at %d", err, last)
	}
}

// BenchmarkWrite reports how long making an image takes against reading and discarding the same file.
func BenchmarkWrite(b *testing.B) {
	const size = 64 << 20
	kinds := map[string]func([]byte){
		"random": func(p []byte) { _, _ = rand.NewChaCha8([32]byte{}).Read(p) },
		"text": func(p []byte) {
			words := rand.New(rand.NewPCG(1, 2))
			for i := range p {
				p[i] = "etaoin shrdlu\n"[words.IntN(14)]
			}
		},
		"half-holes": func(p []byte) { _, _ = rand.NewChaCha8([32]byte{}).Read(p[:len(p)/2]) },
	}
	for name, fill := range kinds {
		b.Run(name, func(b *testing.B) {
			data := make([]byte, size)
			fill(data)
			path := filepath.Join(b.TempDir(), "disk")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				b.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close() //nolint:errcheck // read only
			var plain time.Duration
			buffer := make([]byte, deployimage.ExtentSize)
			b.SetBytes(size)
			for b.Loop() {
				b.StopTimer()
				start := time.Now()
				if _, err := io.CopyBuffer(io.Discard, onlyReader{io.NewSectionReader(f, 0, size)}, buffer); err != nil {
					b.Fatal(err)
				}
				plain += time.Since(start)
				b.StartTimer()
				if _, err := deployimage.Write(context.Background(), deployimage.FromFile(f, size), io.Discard, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/plain.Seconds(), "times-plain-read")
		})
	}
}

type onlyReader struct{ io.Reader }
