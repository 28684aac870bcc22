package kexec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mounted is a disk whose readable file systems are mounted.
type Mounted struct {
	Volumes []Volume
	close   []func() error
}

// mountOptions keep the kernel from writing: a journal is not replayed, for the tenant's own boot will do that.
var mountOptions = map[string]string{"vfat": "", "ext4": "noload", "xfs": "norecovery,nouuid"}

// Mount mounts the disk's partitions (or the disk, if it has none) read-only below a new folder in dir. A partition
// that holds nothing known or cannot be mounted is logged and left out.
func Mount(disk, dir string, log *slog.Logger) (*Mounted, error) {
	partitions, err := partitions("/sys", disk)
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(dir, "disk-")
	if err != nil {
		return nil, err
	}
	m := &Mounted{close: []func() error{func() error { return os.Remove(root) }}}
	for number, device := range partitions {
		v, err := probeDevice(device)
		if err == nil && v.Type != "" {
			v.Partition = number
			err = m.mount(device, filepath.Join(root, strconv.Itoa(number)), v)
		}
		if err != nil {
			log.Warn("a partition is not readable", "device", device, "error", err)
		}
	}
	return m, nil
}

// Close unmounts everything.
func (m *Mounted) Close() error {
	var errs []error
	for i := len(m.close) - 1; i >= 0; i-- {
		errs = append(errs, m.close[i]())
	}
	return errors.Join(errs...)
}

func (m *Mounted) mount(device, point string, v Volume) error {
	if err := os.Mkdir(point, 0o700); err != nil {
		return err
	}
	m.close = append(m.close, func() error { return os.Remove(point) })
	flags := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount(device, point, v.Type, flags, mountOptions[v.Type]); err != nil {
		return fmt.Errorf("mounting %s: %w", v.Type, err)
	}
	m.close = append(m.close, func() error { return unix.Unmount(point, 0) })
	root, err := os.OpenRoot(point) // its paths, also through links, cannot leave the file system
	if err != nil {
		return err
	}
	m.close = append(m.close, root.Close)
	v.FS = root.FS()
	m.Volumes = append(m.Volumes, v)
	return nil
}

// partitions of a disk by number; the disk itself, as number 0, when there are none.
func partitions(sys, disk string) (map[int]string, error) {
	name := filepath.Base(disk)
	files, err := filepath.Glob(filepath.Join(sys, "class/block", name, name+"*", "partition"))
	if err != nil {
		return nil, err
	}
	found := map[int]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found[number] = filepath.Join(filepath.Dir(disk), filepath.Base(filepath.Dir(file)))
	}
	if len(found) == 0 {
		found[0] = disk
	}
	return found, nil
}

func probeDevice(device string) (Volume, error) {
	f, err := os.Open(device)
	if err != nil {
		return Volume{}, err
	}
	defer f.Close()
	return probe(f)
}

// probe knows a file system by its superblock; an unknown one gives a Volume without a type.
func probe(r io.ReaderAt) (Volume, error) {
	head := make([]byte, 4096)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Volume{}, err
	}
	if n < len(head) {
		return Volume{}, nil
	}
	ext := head[1024:]
	switch {
	case bytes.HasPrefix(head, []byte("XFSB")):
		return Volume{Type: "xfs", UUID: uuid(head[32:48]), Label: label(head[108:120])}, nil
	case binary.LittleEndian.Uint16(ext[0x38:]) == 0xef53: // the driver for ext4 reads its ancestors too
		return Volume{Type: "ext4", UUID: uuid(ext[0x68:0x78]), Label: label(ext[0x78:0x88])}, nil
	case head[510] == 0x55 && head[511] == 0xaa && bytes.HasPrefix(head[0x52:], []byte("FAT32")):
		return Volume{Type: "vfat", UUID: serial(head[0x43:]), Label: label(head[0x47:0x52])}, nil
	case head[510] == 0x55 && head[511] == 0xaa && bytes.HasPrefix(head[0x36:], []byte("FAT1")):
		return Volume{Type: "vfat", UUID: serial(head[0x27:]), Label: label(head[0x2b:0x36])}, nil
	}
	return Volume{}, nil
}

func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func serial(b []byte) string {
	n := binary.LittleEndian.Uint32(b)
	return fmt.Sprintf("%04X-%04X", n>>16, n&0xffff)
}

func label(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	if trimmed := strings.TrimSpace(string(text)); trimmed != "NO NAME" {
		return trimmed
	}
	return ""
}
