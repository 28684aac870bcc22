package ramdisk

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
)

// Initrd writes an initial RAM disk to the file: the program as /init, a console for it and the records. The same
// input gives the same bytes.
func Initrd(file, init string, records []cpio.Record) error {
	program, err := os.ReadFile(init)
	if err != nil {
		return err
	}
	records = append([]cpio.Record{
		cpio.StaticFile("init", string(program), 0o755),
		// The kernel opens /dev/console for init before init can mount devtmpfs.
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.Directory("proc", 0o755),
		cpio.Directory("sys", 0o755),
		cpio.Directory("run", 0o755),
		cpio.Directory("tmp", 0o777),
	}, records...)
	return archive(file, records)
}

// archive writes an initrd of the records alone. The kernel unpacks several behind each other in one file, in their order.
func archive(file string, records []cpio.Record) error {
	records = withFolders(records)
	cpio.MakeAllReproducible(records)

	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close() // a second Close after success is harmless
	compressed, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(compressed, 1<<20)
	archive := cpio.Newc.Writer(buffered)
	if err := cpio.WriteRecords(archive, records); err != nil {
		return fmt.Errorf("write the initrd: %w", err)
	}
	if err := cpio.WriteTrailer(archive); err != nil {
		return fmt.Errorf("write the initrd: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return out.Close()
}

// withFolders puts each record's folders before it: the kernel makes none by itself.
func withFolders(records []cpio.Record) []cpio.Record {
	var all []cpio.Record
	seen := map[string]bool{".": true}
	var folder func(name string)
	folder = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		folder(filepath.Dir(name))
		all = append(all, cpio.Directory(name, 0o755))
	}
	for _, record := range records {
		folder(filepath.Dir(record.Name))
		if !seen[record.Name] {
			seen[record.Name] = true
			all = append(all, record)
		}
	}
	return all
}
