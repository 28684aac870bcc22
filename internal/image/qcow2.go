package image

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	qcow2reader "github.com/lima-vm/go-qcow2reader/image/qcow2"

	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
)

// A qcow2 file is a program for its reader: where to look for which cluster, and in which other files. So everything
// that the library will follow is checked here before the library sees the file. The format is QEMU's
// docs/interop/qcow2.txt; the numbers below are offsets in its header.
const (
	qcow2MaxTable   = 32 << 20 // bytes of the L1 table, QEMU's own limit
	qcow2Corrupt    = 1 << 1
	qcow2DataFile   = 1 << 2
	qcow2Compressed = 1 << 3
	qcow2ExtendedL2 = 1 << 4
	qcow2Known      = 1 | qcow2Corrupt | qcow2DataFile | qcow2Compressed | qcow2ExtendedL2 // 1: dirty, harmless to readers
	qcow2Offset     = 0x00fffffffffffe00
)

func badQcow2(format string, args ...any) error {
	return fault.New(fault.Invalid, "The qcow2 image cannot be used: "+format+".", args...)
}

// openQcow2 gives the disk within a qcow2 file that stands alone and is whole.
func openQcow2(ctx context.Context, file io.ReaderAt, size, maxVirtual int64) (deployimage.Source, error) {
	h, err := readQcow2Header(file, size, maxVirtual)
	if err != nil {
		return nil, err
	}
	if err := h.checkTables(ctx, file); err != nil {
		return nil, err
	}
	unpackers()
	// Only the ReaderAt goes in: without a name and with no backing file the library opens nothing.
	img, err := qcow2reader.Open(struct{ io.ReaderAt }{file}, nil)
	if err == nil {
		err = img.Readable()
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The qcow2 image cannot be read.")
	}
	return qcow2Source{img}, nil
}

type qcow2Header struct {
	fileSize    int64
	size        int64 // of the disk
	clusterBits uint
	l1Offset    int64
	l1Entries   int64 // that the disk needs; the table may be longer
}

func readQcow2Header(file io.ReaderAt, fileSize, maxVirtual int64) (*qcow2Header, error) {
	raw := make([]byte, 112)
	n, err := file.ReadAt(raw, 0)
	if err != nil && err != io.EOF {
		return nil, spoolError(err)
	}
	if n < 72 {
		return nil, badQcow2("its header is cut off")
	}
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	version := u32(raw[4:])
	if version != 2 && version != 3 {
		return nil, badQcow2("its version %d is unknown", version)
	}
	if u64(raw[8:]) != 0 || u32(raw[16:]) != 0 {
		return nil, badQcow2("it needs a backing file; flatten it with: qemu-img convert -O qcow2")
	}
	if u32(raw[32:]) != 0 {
		return nil, badQcow2("it is encrypted")
	}
	if version == 3 {
		if err := checkQcow2Features(raw, n); err != nil {
			return nil, err
		}
	}
	h := &qcow2Header{fileSize: fileSize, clusterBits: uint(u32(raw[20:]))}
	if h.clusterBits < 9 || h.clusterBits > 21 {
		return nil, badQcow2("its clusters of 2^%d bytes are not allowed", h.clusterBits)
	}
	size, l1Offset, l1Size := u64(raw[24:]), u64(raw[40:]), int64(u32(raw[36:]))
	if size == 0 || size > deployimage.MaxVirtualSize {
		return nil, badQcow2("it describes a disk of %d bytes", size)
	}
	h.size = int64(size)
	if h.size > maxVirtual {
		return nil, tooLarge(h.size, maxVirtual)
	}
	perL1 := h.cluster() * h.perTable()
	h.l1Entries = (h.size + perL1 - 1) / perL1
	switch {
	case l1Size < h.l1Entries || l1Size*8 > qcow2MaxTable:
		return nil, badQcow2("its L1 table has %d entries where the disk needs %d", l1Size, h.l1Entries)
	case l1Offset == 0 || l1Offset%uint64(h.cluster()) != 0:
		return nil, badQcow2("its L1 table is not where a table can be")
	case l1Offset > uint64(fileSize) || int64(l1Offset)+l1Size*8 > fileSize:
		return nil, badQcow2("it is truncated: its L1 table lies behind its end")
	}
	h.l1Offset = int64(l1Offset)
	return h, h.checkExtensions(file, version, raw)
}

func checkQcow2Features(raw []byte, n int) error {
	if n < 104 {
		return badQcow2("its header is cut off")
	}
	incompatible, autoclear := binary.BigEndian.Uint64(raw[72:]), binary.BigEndian.Uint64(raw[88:])
	length := binary.BigEndian.Uint32(raw[100:])
	switch {
	case length < 104 || length%8 != 0 || length > 4096:
		return badQcow2("its header has the length %d", length)
	case incompatible&qcow2DataFile != 0 || autoclear&2 != 0:
		return badQcow2("its data are in another file")
	case incompatible&qcow2Corrupt != 0:
		return badQcow2("it is marked as corrupt; repair it with: qemu-img check -r all")
	case incompatible&qcow2ExtendedL2 != 0:
		return badQcow2("it has extended L2 entries; convert it with: qemu-img convert -O qcow2")
	case incompatible&^qcow2Known != 0:
		return badQcow2("it has features (%#x) that are not known here", incompatible&^qcow2Known)
	case incompatible&qcow2Compressed != 0 && (length < 112 || n < 112 || raw[104] > 1):
		return badQcow2("its kind of compression is unknown")
	}
	return nil
}

// checkExtensions refuses the header extensions that name other files or keys, also where no feature bit announces them.
func (h *qcow2Header) checkExtensions(file io.ReaderAt, version uint32, raw []byte) error {
	at := int64(72)
	if version == 3 {
		at = int64(binary.BigEndian.Uint32(raw[100:]))
	}
	for at+8 <= min(h.cluster(), h.fileSize) {
		var extension [8]byte
		if _, err := file.ReadAt(extension[:], at); err != nil {
			return spoolError(err)
		}
		length := int64(binary.BigEndian.Uint32(extension[4:]))
		switch binary.BigEndian.Uint32(extension[:]) {
		case 0:
			return nil
		case 0x44415441:
			return badQcow2("its data are in another file")
		case 0x0537be77:
			return badQcow2("it is encrypted")
		}
		at += 8 + (length+7)/8*8
	}
	return nil
}

func (h *qcow2Header) cluster() int64  { return 1 << h.clusterBits }
func (h *qcow2Header) perTable() int64 { return h.cluster() / 8 }

// checkTables walks the L1 and L2 tables: every offset aligned and inside the file, no table used twice, and no more
// data than the file can hold, so that a small file cannot keep a converter busy for days.
func (h *qcow2Header) checkTables(ctx context.Context, file io.ReaderAt) error {
	l1 := make([]byte, h.l1Entries*8)
	if _, err := file.ReadAt(l1, h.l1Offset); err != nil && err != io.EOF {
		return spoolError(err)
	}
	seen := map[int64]bool{}
	l2 := make([]byte, h.cluster())
	var plain, packed int64 // clusters
	for i := range h.l1Entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		at := int64(binary.BigEndian.Uint64(l1[i*8:]) & qcow2Offset)
		if at == 0 {
			continue
		}
		switch {
		case at%h.cluster() != 0:
			return badQcow2("an L2 table is not aligned")
		case at+h.cluster() > h.fileSize:
			return badQcow2("it is truncated: an L2 table lies behind its end")
		case seen[at]:
			return badQcow2("an L2 table is used twice")
		}
		seen[at] = true
		if _, err := file.ReadAt(l2, at); err != nil && err != io.EOF {
			return spoolError(err)
		}
		for j := range h.perTable() {
			disk := (i*h.perTable() + j) << h.clusterBits
			if disk >= h.size {
				break
			}
			if err := h.checkCluster(binary.BigEndian.Uint64(l2[j*8:]), min(h.cluster(), h.size-disk), &plain, &packed); err != nil {
				return err
			}
		}
		// A compressed cluster takes more than 8 bytes whatever is in it.
		if plain*h.cluster() > h.fileSize+h.cluster() || packed > h.fileSize/8 {
			return badQcow2("several parts of its disk share their data")
		}
	}
	return nil
}

// checkCluster checks one L2 entry whose cluster holds length bytes of the disk.
func (h *qcow2Header) checkCluster(entry uint64, length int64, plain, packed *int64) error {
	if entry&(1<<62) != 0 {
		offsetBits := 62 - (h.clusterBits - 8)
		at := int64(entry & (1<<offsetBits - 1))
		if at == 0 || at >= h.fileSize {
			return badQcow2("it is truncated: a compressed cluster lies behind its end")
		}
		*packed++
		return nil
	}
	at := int64(entry & qcow2Offset)
	if entry&1 != 0 || at == 0 { // reads as zero
		return nil
	}
	switch {
	case at%h.cluster() != 0:
		return badQcow2("a cluster is not aligned")
	case at+length > h.fileSize:
		return badQcow2("it is truncated: a cluster lies behind its end")
	}
	*plain++
	return nil
}

// qcow2Source gives the converter the allocation map. The library's reader is safe for concurrent use: it reads by
// ReadAt and locks its table cache.
type qcow2Source struct{ *qcow2reader.Qcow2 }

func (s qcow2Source) NextData(offset int64) (int64, int64, error) {
	for offset < s.Size() {
		extent, err := s.Extent(offset, s.Size()-offset)
		if err != nil {
			return 0, 0, err
		}
		if extent.Length <= 0 {
			return 0, 0, errors.New("the qcow2 image has an extent without length")
		}
		end := min(extent.Start+extent.Length, s.Size())
		if extent.Allocated && !extent.Zero {
			return offset, end, nil
		}
		offset = end
	}
	return 0, 0, io.EOF
}

func (s qcow2Source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Qcow2.ReadAt(p, off)
	if n < len(p) && err != nil {
		return n, fault.Wrap(err, fault.Invalid, "The qcow2 image is damaged: its disk cannot be read at byte %d.", off+int64(n))
	}
	return n, err
}

// unpackers gives the library decompressors that are pooled, and that fill a read: the library unpacks a cluster again
// for what one read did not give.
var unpackers = sync.OnceFunc(func() {
	var flates, zstds sync.Pool
	qcow2reader.SetDecompressor(qcow2reader.CompressionTypeZlib, func(r io.Reader) (io.ReadCloser, error) {
		reader, ok := flates.Get().(io.ReadCloser)
		if !ok {
			return &unpacker{reader: flate.NewReader(r), back: &flates}, nil
		}
		u := &unpacker{reader: reader, back: &flates}
		return u, reader.(flate.Resetter).Reset(r, nil)
	})
	qcow2reader.SetDecompressor(qcow2reader.CompressionTypeZstd, func(r io.Reader) (io.ReadCloser, error) {
		reader, ok := zstds.Get().(*zstd.Decoder)
		if !ok {
			var err error
			if reader, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)); err != nil {
				return nil, err
			}
		}
		return &unpacker{reader: reader, back: &zstds}, reader.Reset(r)
	})
})

type unpacker struct {
	reader io.Reader
	back   *sync.Pool
}

func (u *unpacker) Read(p []byte) (int, error) { return io.ReadFull(u.reader, p) }

func (u *unpacker) Close() error {
	u.back.Put(u.reader)
	return nil
}
