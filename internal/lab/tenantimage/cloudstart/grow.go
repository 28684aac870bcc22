package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"golang.org/x/sys/unix"
)

// ext4IocResizeFS is EXT4_IOC_RESIZE_FS of linux/ext4.h, _IOW('f', 16, __u64): grow the mounted file system to so many
// blocks. The kernel does all of it; resize2fs and systemd-growfs ask for the same.
const ext4IocResizeFS = 0x40086610

// blkpg is BLKPG of linux/blkpg.h; blkpgPartition is its struct blkpg_partition.
const blkpg = 0x1269

type blkpgPartition struct {
	start, length int64 // bytes
	number        int32
	names         [2][64]byte
}

// growRoot makes the root partition end where the next one begins, or with the disk, and its file system with it. It
// gives the size in bytes. On a root that fills its place already it changes nothing.
func growRoot() (size int64, err error) {
	disk, number, err := rootPartition()
	if err != nil {
		return 0, err
	}
	if size, err = growPartition(disk, number); err != nil {
		return 0, err
	}
	root, err := os.Open("/")
	if err != nil {
		return 0, err
	}
	defer root.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(root.Fd()), &fs); err != nil {
		return 0, err
	}
	blocks := uint64(size / fs.Bsize)
	if err := ioctl(root, ext4IocResizeFS, unsafe.Pointer(&blocks)); err != nil {
		return 0, fmt.Errorf("resize the file system: %w", err)
	}
	return size, nil
}

// rootPartition is the disk (/dev/vda) and the number of the partition (2) that / lives on.
func rootPartition() (disk string, number int, err error) {
	var stat unix.Stat_t
	if err := unix.Stat("/", &stat); err != nil {
		return "", 0, err
	}
	sys, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev)))
	if err != nil {
		return "", 0, err
	}
	text, err := os.ReadFile(filepath.Join(sys, "partition"))
	if err != nil {
		return "", 0, fmt.Errorf("the root file system is on no partition: %w", err)
	}
	number, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return filepath.Join("/dev", filepath.Base(filepath.Dir(sys))), number, err
}

// growPartition grows a partition in the GPT on the disk, then in the kernel's mind, and gives its size in bytes.
func growPartition(disk string, number int) (size int64, err error) {
	file, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	sector, err := unix.IoctlGetInt(int(file.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, err
	}
	diskSize, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	table, err := gpt.Read(file, sector, sector)
	if err != nil {
		return 0, fmt.Errorf("read the partition table of %s: %w", disk, err)
	}
	table.Resize(uint64(diskSize)) // it was written for the image's size
	partition, grown, err := stretch(table, number)
	if err != nil {
		return 0, err
	}
	size = int64(partition.Size)
	if !grown {
		return size, nil
	}
	if err := table.Write(file, diskSize); err != nil {
		return 0, fmt.Errorf("write the partition table of %s: %w", disk, err)
	}
	told := blkpgPartition{start: int64(partition.Start) * int64(sector), length: size, number: int32(number)}
	order := unix.BlkpgIoctlArg{
		Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(told)), Data: (*byte)(unsafe.Pointer(&told)),
	}
	if err := ioctl(file, blkpg, unsafe.Pointer(&order)); err != nil {
		return 0, fmt.Errorf("tell the kernel of the larger partition: %w", err)
	}
	return size, nil
}

// stretch moves the end of the partition up to the next one or to the last sector that the table may use.
func stretch(table *gpt.Table, number int) (partition *gpt.Partition, grown bool, err error) {
	for _, p := range table.Partitions {
		if p.Index == number {
			partition = p
		}
	}
	if partition == nil {
		return nil, false, fmt.Errorf("the partition table has no partition %d", number)
	}
	end := table.LastDataSector()
	for _, p := range table.Partitions {
		if p.Type != gpt.Unused && p.Start > partition.Start {
			end = min(end, p.Start-1)
		}
	}
	if end <= partition.End {
		return partition, false, nil
	}
	partition.Expand(end - partition.End)
	return partition, true, nil
}

func ioctl(file *os.File, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), uintptr(request), uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
