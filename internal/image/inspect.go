package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
)

// inspect checks that an upload is what its image says and that a machine can have it as its disk. It trusts nothing
// that stands in the file.
func inspect(ctx context.Context, file *spool, img *Image, maxVirtual int64) (deployimage.Source, error) {
	if file.size == 0 {
		return nil, fault.New(fault.Invalid, "The image is empty.")
	}
	if img.ContainerFormat != "bare" {
		return nil, fault.New(fault.Invalid, "The container format %q cannot be deployed to a machine; use bare.", img.ContainerFormat)
	}
	found, err := sniff(file, file.size)
	if err != nil {
		return nil, err
	}
	// Many an ISO is a disk too ("hybrid") and is uploaded as raw; both are written as they are.
	if found != img.DiskFormat && !(found == "iso" && img.DiskFormat == "raw") {
		return nil, fault.New(fault.Invalid, "The image says its disk format is %s, but its contents are %s.", img.DiskFormat, found)
	}
	switch found {
	case "raw":
		if err := checkPartitions(file, file.size); err != nil {
			return nil, err
		}
		fallthrough
	case "iso":
		if file.size > maxVirtual {
			return nil, tooLarge(file.size, maxVirtual)
		}
		return deployimage.FromFile(file.File, file.size), nil
	case "qcow2":
		return openQcow2(ctx, file, file.size, maxVirtual)
	}
	return nil, fault.New(fault.Invalid, "Images of the format %s cannot be deployed to a machine; convert it with: qemu-img convert -O qcow2", found)
}

func tooLarge(size, limit int64) error {
	return fault.New(fault.TooLarge, "The image's disk of %d bytes is larger than the limit of %d.", size, limit)
}

// signatures are what formats have at fixed places.
var signatures = []struct {
	format string
	offset int64 // negative: from the end
	magic  string
}{
	{"qcow2", 0, "QFI\xfb"},
	{"qed", 0, "QED\x00"},
	{"vmdk", 0, "KDMV"},
	{"vmdk", 0, "COWD"},
	{"vmdk", 0, "# Disk DescriptorFile"},
	{"vhdx", 0, "vhdxfile"},
	{"vhd", 0, "conectix"},
	{"vhd", -512, "conectix"}, // a fixed VHD is a raw disk and this footer
	{"vdi", 0x40, "\x7f\x10\xda\xbe"},
	{"ploop", 0, "WithoutFreeSpace"},
	{"ploop", 0, "WithouFreSpacExt"},
	{"gzip data", 0, "\x1f\x8b\x08"},
	{"xz data", 0, "\xfd7zXZ\x00"},
	{"zstd data", 0, "\x28\xb5\x2f\xfd"},
	{"bzip2 data", 0, "BZh"},
	{"zip data", 0, "PK\x03\x04"},
	{"iso", 32769, "CD001"},
}

// sniff tells the format by the contents; what has no signature is raw.
func sniff(r io.ReaderAt, size int64) (string, error) {
	for _, s := range signatures {
		offset := s.offset
		if offset < 0 {
			offset += size
		}
		if offset < 0 || offset+int64(len(s.magic)) > size {
			continue
		}
		found := make([]byte, len(s.magic))
		if _, err := r.ReadAt(found, offset); err != nil && err != io.EOF {
			return "", spoolError(err)
		}
		if string(found) == s.magic {
			return s.format, nil
		}
	}
	return "raw", nil
}

// checkPartitions refuses a raw disk that is shorter than its partition table says: the rest was lost on the way. A
// disk without a table, or with a broken one, passes; it may hold anything.
func checkPartitions(r io.ReaderAt, size int64) error {
	var mbr [512]byte
	if size < int64(len(mbr)) {
		return nil
	}
	if _, err := r.ReadAt(mbr[:], 0); err != nil {
		return spoolError(err)
	}
	for _, sector := range []int64{512, 4096} {
		found, end, err := gptEnd(r, size, sector)
		if err != nil {
			return err
		}
		if found {
			return enough(size, end, "GPT")
		}
	}
	return enough(size, mbrEnd(mbr[:]), "MBR")
}

func enough(size, end int64, table string) error {
	if end > size {
		return fault.New(fault.Invalid,
			"The image is truncated: it has %d bytes, but the partitions in its %s reach to byte %d.", size, table, end)
	}
	return nil
}

// gptEnd is where the last partition of a GUID partition table ends (UEFI specification 2.10, section 5.3).
func gptEnd(r io.ReaderAt, size, sector int64) (found bool, end int64, err error) {
	header := make([]byte, 92)
	if sector+int64(len(header)) > size {
		return false, 0, nil
	}
	if _, err := r.ReadAt(header, sector); err != nil {
		return false, 0, spoolError(err)
	}
	if string(header[:8]) != "EFI PART" {
		return false, 0, nil
	}
	first := binary.LittleEndian.Uint64(header[72:])
	count := int64(binary.LittleEndian.Uint32(header[80:]))
	length := int64(binary.LittleEndian.Uint32(header[84:]))
	if first < 2 || first > 1<<40 || count > 4096 || length < 128 || length > 4096 {
		return false, 0, nil // no firmware reads this
	}
	at := int64(first) * sector
	if at+count*length > size {
		return true, at + count*length, nil
	}
	table := make([]byte, count*length)
	if _, err := r.ReadAt(table, at); err != nil {
		return false, 0, spoolError(err)
	}
	for ; len(table) > 0; table = table[length:] {
		if bytes.Equal(table[:16], zeroBlock[:16]) { // type: unused
			continue
		}
		last := min(binary.LittleEndian.Uint64(table[40:]), 1<<50)
		end = max(end, int64(last+1)*sector)
	}
	return true, end, nil
}

// mbrEnd is where the last partition of an MBR ends; 0 where the sector is something else, a file system's boot sector
// for instance, which has the same signature and code where the partitions would be.
func mbrEnd(mbr []byte) (end int64) {
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return 0
	}
	for entry := mbr[446:510]; len(entry) > 0; entry = entry[16:] {
		start, sectors := int64(binary.LittleEndian.Uint32(entry[8:])), int64(binary.LittleEndian.Uint32(entry[12:]))
		switch kind := entry[4]; {
		case entry[0] != 0 && entry[0] != 0x80, kind != 0 && start == 0:
			return 0
		case kind == 0, kind == 0xee: // unused; GPT's protection, whose length may be anything
		default:
			end = max(end, (start+sectors)*512)
		}
	}
	return end
}
