package image_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/image"
)

// BenchmarkUpload reports how long an image takes from its first byte to active, against writing the same bytes to a
// file and syncing it. Half of the disk is text, a quarter random, a quarter holes.
func BenchmarkUpload(b *testing.B) {
	disk := make([]byte, 128<<20)
	words := rand.New(rand.NewPCG(1, 2))
	for i := range disk[:len(disk)/2] {
		disk[i] = "etaoin shrdlu\n"[words.IntN(14)]
	}
	_, _ = rand.NewChaCha8([32]byte{}).Read(disk[len(disk)/2 : len(disk)*3/4]) // never fails
	for name, data := range map[string][]byte{
		"raw":             disk,
		"qcow2":           qemuImg(b, disk, "-O", "qcow2"),
		"qcow2-deflated":  qemuImg(b, disk, "-O", "qcow2", "-c"),
		"qcow2-with-zstd": qemuImg(b, disk, "-O", "qcow2", "-c", "-o", "compression_type=zstd"),
	} {
		b.Run(name, func(b *testing.B) {
			blobs, err := folder.Open(filepath.Join(b.TempDir(), "images"))
			if err != nil {
				b.Fatal(err)
			}
			s := image.New(image.Config{DB: dbtest.SQLite(b), Blobs: blobs, SpoolDir: b.TempDir()})
			defer s.Close()
			format := "raw"
			if name != "raw" {
				format = "qcow2"
			}
			var plain time.Duration
			b.SetBytes(int64(len(disk)))
			for b.Loop() {
				b.StopTimer()
				start := time.Now()
				if err := writeSynced(filepath.Join(b.TempDir(), "plain"), disk); err != nil {
					b.Fatal(err)
				}
				plain += time.Since(start)
				img, err := s.Create(b.Context(), demo, image.Image{DiskFormat: format, ContainerFormat: "bare"})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := s.Upload(b.Context(), demo, img.ID, bytes.NewReader(data), image.Expect{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/plain.Seconds(), "times-plain-write")
		})
	}
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // Sync told
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}
