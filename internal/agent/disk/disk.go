// Package disk reads, writes and erases block devices past the page cache. Regular files behave the same, with holes
// punched where a device would discard: tests and benchmarks run on them.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Align is what buffers, offsets and lengths of direct I/O are aligned to; a multiple of every logical block size.
const Align = 4096

// Disk is an open block device or regular file. All methods may be called from several goroutines.
type Disk struct {
	*os.File
	Size    int64 // bytes
	Block   int   // logical block size in bytes
	Direct  bool  // O_DIRECT holds; tmpfs refuses it
	regular bool
}

// Open opens path for direct I/O, or through the page cache where the file system refuses that.
func Open(path string) (*Disk, error) {
	d := &Disk{Direct: true}
	var err error
	d.File, err = os.OpenFile(path, os.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) {
		d.Direct = false
		d.File, err = os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := d.measure(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Disk) measure() error {
	info, err := d.Stat()
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		d.regular, d.Size, d.Block = true, info.Size(), 512
		return nil
	}
	if info.Mode().Type() != fs.ModeDevice {
		return fmt.Errorf("%s is neither a block device nor a regular file", d.Name())
	}
	if d.Block, err = unix.IoctlGetInt(int(d.Fd()), unix.BLKSSZGET); err != nil {
		return fmt.Errorf("reading the block size of %s: %w", d.Name(), err)
	}
	if Align%d.Block != 0 {
		return fmt.Errorf("%s has blocks of %d bytes", d.Name(), d.Block)
	}
	var size uint64
	if err := d.ioctl(unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return fmt.Errorf("reading the size of %s: %w", d.Name(), err)
	}
	d.Size = int64(size)
	return nil
}

// Buffer makes a buffer for direct I/O.
func Buffer(size int) []byte {
	b := make([]byte, size+Align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (Align - 1)
	return b[skip : skip+size : skip+size]
}

// Discard tells the device that the range holds nothing. It promises nothing about what is read there afterwards.
func (d *Disk) Discard(offset, length int64) error {
	if d.regular {
		return d.Punch(offset, length)
	}
	return d.rangeIoctl(unix.BLKDISCARD, offset, length)
}

// Punch deallocates the range and guarantees that it reads as zero; only devices that do that by themselves do
// (Linux: blkdev_fallocate), others answer EOPNOTSUPP.
func (d *Disk) Punch(offset, length int64) error {
	return unix.Fallocate(int(d.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
}

// ZeroOut makes the range read as zero: by the device where it can, else the kernel writes zeros.
func (d *Disk) ZeroOut(offset, length int64) error {
	if d.regular {
		return d.Punch(offset, length)
	}
	return d.rangeIoctl(unix.BLKZEROOUT, offset, length)
}

// sweepStep is how much one call of the kernel gets, in bytes: such calls cannot be interrupted.
const sweepStep = 1 << 30

// Sweep calls do (Discard, Punch, ZeroOut, Overwrite) for the range piece by piece, until ctx ends.
func Sweep(ctx context.Context, offset, length int64, do func(offset, length int64) error, done func(bytes int64)) error {
	for at := int64(0); at < length; at += sweepStep {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(sweepStep, length-at)
		if err := do(offset+at, n); err != nil {
			return err
		}
		done(n)
	}
	return nil
}

// Overwrite writes zeros to the range, which is aligned to the block size.
func (d *Disk) Overwrite(offset, length int64) error {
	zeros := Buffer(int(min(length, 4<<20)))
	for length > 0 {
		n, err := d.WriteAt(zeros[:min(length, int64(len(zeros)))], offset)
		if err != nil {
			return err
		}
		offset += int64(n)
		length -= int64(n)
	}
	return nil
}

// Flush writes the device's own cache to the medium and forgets cached pages, so that reads come from the medium.
func (d *Disk) Flush() error {
	if err := d.Sync(); err != nil {
		return err
	}
	if d.regular {
		return unix.Fadvise(int(d.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	if _, err := unix.IoctlRetInt(int(d.Fd()), unix.BLKFLSBUF); err != nil {
		return fmt.Errorf("dropping the cache of %s: %w", d.Name(), err)
	}
	return nil
}

// RereadPartitions makes the kernel look at the partition table again. Something that has just looked at the device
// keeps it busy for a moment.
func (d *Disk) RereadPartitions() error {
	if d.regular {
		return nil
	}
	for attempt := 0; ; attempt++ {
		_, err := unix.IoctlRetInt(int(d.Fd()), unix.BLKRRPART)
		if err == nil || attempt == 20 || !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ReadFullAt is ReadAt with an error for anything but a full buffer.
func (d *Disk) ReadFullAt(p []byte, offset int64) error {
	n, err := d.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), offset, err)
}

func (d *Disk) rangeIoctl(request uint, offset, length int64) error {
	span := [2]uint64{uint64(offset), uint64(length)}
	return d.ioctl(request, unsafe.Pointer(&span))
}

func (d *Disk) ioctl(request uint, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), uintptr(request), uintptr(arg))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}
