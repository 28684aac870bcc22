package deploy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/diskfs/go-diskfs/partition/mbr"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// configLabel is what cloud-init looks for.
const configLabel = "config-2"

// finishTable fits the image's partition table to the disk and gives the config drive its partition. The drive's bytes
// go first, so that a table never points at garbage. Bytes before the drive stay free for growing the last partition.
func (j *Job) finishTable(ctx context.Context, _ *agentapi.DeployResult, count func(int64)) error {
	// Partition tables are a few sectors: through the page cache, by a file of their own.
	table, err := os.OpenFile(j.Disk.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer table.Close()
	kind, err := tableKind(table, j.Disk.Block)
	if err != nil {
		return err
	}
	switch {
	case kind == "gpt":
		err = j.finishGPT(table)
	case len(j.ConfigDrive) == 0:
	case kind == "mbr":
		err = j.finishMBR(table)
	default:
		err = failure.New(agentapi.FaultRequest, "The image has no partition table, so there is no place for its config drive.")
	}
	if err != nil {
		return err
	}
	if err := table.Sync(); err != nil {
		return err
	}
	if err := table.Close(); err != nil {
		return err
	}
	count(int64(len(j.ConfigDrive)))
	if err := j.Disk.Flush(); err != nil {
		return err
	}
	if err := j.Disk.RereadPartitions(); err != nil {
		j.Log.Warn("the kernel did not take the new partition table", "error", err) // only kexec needs it, and falls back
	}
	return nil
}

// tableKind is gpt, mbr or empty. The image is a tenant's: nothing is believed before it is checked.
func tableKind(f *os.File, block int) (string, error) {
	head := make([]byte, 2*4096)
	if _, err := f.ReadAt(head, 0); err != nil {
		return "", fmt.Errorf("reading the partition table: %w", err)
	}
	magic := []byte("EFI PART")
	header := head[block:]
	if bytes.HasPrefix(header, magic) {
		le := binary.LittleEndian
		if first, n, size := le.Uint64(header[72:]), le.Uint32(header[80:]), le.Uint32(header[84:]); first != 2 || n > 1024 || size != 128 {
			return "", failure.New(agentapi.FaultRequest, "The image's partition table is unusual: %d entries of %d bytes at block %d.", n, size, first)
		}
		return "gpt", nil
	}
	for _, other := range []int{512, 4096} {
		if bytes.HasPrefix(head[other:], magic) {
			return "", failure.New(agentapi.FaultRequest, "The image is made for a disk with blocks of %d bytes, and this one has %d.", other, block)
		}
	}
	if head[510] != 0x55 || head[511] != 0xaa {
		return "", nil
	}
	used := false
	for e := head[446:510]; len(e) > 0; e = e[16:] { // a boot sector of a bare file system has no such entries
		if e[0]&0x7f != 0 {
			return "", nil
		}
		used = used || e[4] != 0 && binary.LittleEndian.Uint32(e[12:]) != 0
	}
	if !used {
		return "", nil
	}
	return "mbr", nil
}

// finishGPT moves the backup header to the disk's end and adds the config drive.
func (j *Job) finishGPT(f *os.File) error {
	table, err := gpt.Read(f, j.Disk.Block, j.Disk.Block)
	if err != nil {
		return failure.Wrap(err, agentapi.FaultRequest, "The image's partition table is not readable.")
	}
	table.Resize(uint64(j.Disk.Size))
	if len(j.ConfigDrive) > 0 {
		var lastEnd uint64 // block after the last partition
		index := 1
		for _, p := range table.Partitions {
			if p.Type != gpt.Unused {
				lastEnd = max(lastEnd, p.End+1)
				index = max(index, p.Index+1)
			}
		}
		drive, err := j.placeDrive(int64(lastEnd)*int64(j.Disk.Block), int64(table.LastDataSector()+1)*int64(j.Disk.Block))
		if err != nil {
			return err
		}
		table.Partitions = append(table.Partitions, &gpt.Partition{
			Index: index,
			Start: uint64(drive.offset / int64(j.Disk.Block)),
			Size:  uint64(drive.length),
			Type:  gpt.LinuxFilesystem,
			Name:  configLabel,
		})
	}
	if err := table.Write(f, j.Disk.Size); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}
	return nil
}

// finishMBR adds the config drive as a primary partition.
func (j *Job) finishMBR(f *os.File) error {
	table, err := mbr.Read(f, j.Disk.Block, j.Disk.Block)
	if err != nil {
		return failure.Wrap(err, agentapi.FaultRequest, "The image's partition table is not readable.")
	}
	var free *mbr.Partition
	var lastEnd int64
	for _, p := range table.Partitions {
		if p.Type != mbr.Empty {
			lastEnd = max(lastEnd, int64(p.Start)+int64(p.Size))
		} else if free == nil {
			free = p
		}
	}
	if free == nil {
		return failure.New(agentapi.FaultRequest, "The image uses all four primary partitions, so there is no place for its config drive.")
	}
	reach := min(j.Disk.Size, int64(j.Disk.Block)<<32) // what 32 bits can count
	drive, err := j.placeDrive(lastEnd*int64(j.Disk.Block), reach)
	if err != nil {
		return err
	}
	free.Type = mbr.Linux
	free.Start = uint32(drive.offset / int64(j.Disk.Block))
	free.Size = uint32(drive.length / int64(j.Disk.Block))
	if err := table.Write(f, j.Disk.Size); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}
	return nil
}

// placeDrive writes the config drive into the last aligned megabytes of the free space and gives its range.
func (j *Job) placeDrive(freeFrom, freeUntil int64) (span, error) {
	length := roundUp(int64(len(j.ConfigDrive)), alignment)
	offset := (freeUntil - length) / alignment * alignment
	if offset < freeFrom {
		return span{}, failure.New(agentapi.FaultTooSmall, "The disk has no room for the config drive behind the image's last partition.")
	}
	padded := disk.Buffer(int(length))
	copy(padded, j.ConfigDrive)
	if _, err := j.Disk.WriteAt(padded, offset); err != nil {
		return span{}, fmt.Errorf("writing the config drive: %w", err)
	}
	readBack := disk.Buffer(int(length))
	if err := j.Disk.ReadFullAt(readBack, offset); err != nil {
		return span{}, err
	}
	if !bytes.Equal(padded, readBack) {
		return span{}, failure.New(agentapi.FaultMachine, "The disk gives back another config drive than was written.")
	}
	return span{offset, length}, nil
}
