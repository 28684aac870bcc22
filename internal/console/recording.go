package console

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Kind of a record.
type recordKind byte

// The kinds. Their values are in files.
const (
	output  recordKind = 'o' // what the machine printed
	notice  recordKind = 'n' // a sentence of ours between two outputs: a gap
	powerOn recordKind = 'p' // the BMC said that the machine was switched on
)

// Record is a piece of a recording.
type Record struct {
	Kind recordKind
	At   time.Time
	Data []byte
}

// A recording is a folder of segments with rising numbers. A segment is a row of records: kind (1 byte), length (3 bytes),
// time (8 bytes, microseconds since 1970), data; numbers are big-endian. It is only ever appended to, by the process that
// made it: whoever comes later begins a segment of its own. So a crash costs the end of the last record, which readers
// leave out, and a late owner of a shared folder spoils nothing.
const (
	headerSize = 12
	maxRecord  = 32 << 10
	segments   = 8                      // of which the oldest is dropped as a whole
	mergeFor   = 100 * time.Millisecond // output that comes closer together is one record
	flushAt    = 64 << 10               // bytes that wait in memory at most
	// LeastKept is the smallest bound of a recording, in bytes.
	LeastKept = 64 << 10
)

// recording is the writer's side. Its methods are not safe for use at once, but for write beside the others.
type recording struct {
	dir     string
	limit   int64
	sizes   []int64 // of the segments, oldest first
	numbers []int64
	file    *os.File // the newest one; nil before the first record
	pending []byte
	last    int // where the last pending record begins
	lastAt  time.Time
}

func openRecording(dir string, limit int64) (*recording, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &recording{dir: dir, limit: max(limit, LeastKept), last: -1}
	var err error
	if r.numbers, err = listSegments(dir); err != nil {
		return nil, err
	}
	for _, n := range r.numbers {
		info, err := os.Stat(segmentPath(dir, n))
		if err != nil {
			return nil, err
		}
		r.sizes = append(r.sizes, info.Size())
	}
	return r, nil
}

func segmentPath(dir string, n int64) string { return filepath.Join(dir, fmt.Sprintf("%012d.rec", n)) }

// listSegments gives the numbers, rising; none of a folder that is not there.
func listSegments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var numbers []int64
	for _, entry := range entries {
		var n int64
		if _, err := fmt.Sscanf(entry.Name(), "%012d.rec", &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// add puts a record behind the others, in memory.
func (r *recording) add(kind recordKind, at time.Time, data []byte) {
	for {
		if r.last >= 0 && kind == output && recordKind(r.pending[r.last]) == output && at.Sub(r.lastAt) < mergeFor {
			have := len(r.pending) - r.last - headerSize
			n := min(len(data), maxRecord-have)
			r.pending = append(r.pending, data[:n]...)
			putLength(r.pending[r.last:], have+n)
			if data = data[n:]; len(data) == 0 {
				return
			}
		}
		n := min(len(data), maxRecord)
		r.last, r.lastAt = len(r.pending), at
		r.pending = append(r.pending, byte(kind), 0, 0, 0)
		putLength(r.pending[r.last:], n)
		r.pending = binary.BigEndian.AppendUint64(r.pending, uint64(at.UnixMicro()))
		r.pending = append(r.pending, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return
		}
	}
}

func putLength(header []byte, n int) {
	header[1], header[2], header[3] = byte(n>>16), byte(n>>8), byte(n)
}

// take gives what waits in memory, for write.
func (r *recording) take() []byte {
	waiting := r.pending
	r.pending, r.last = nil, -1
	return waiting
}

// write puts whole records on the disk. Where that fails, they are lost.
func (r *recording) write(records []byte) error {
	for len(records) > 0 {
		n := headerSize + length(records)
		for n < len(records) && int64(n+headerSize+length(records[n:])) <= r.limit/segments {
			n += headerSize + length(records[n:])
		}
		if err := r.room(int64(n)); err != nil {
			return err
		}
		if _, err := r.file.Write(records[:n]); err != nil {
			return errors.Join(err, r.close()) // what stands half in this segment is its end
		}
		r.sizes[len(r.sizes)-1] += int64(n)
		records = records[n:]
	}
	return nil
}

func length(header []byte) int { return int(header[1])<<16 | int(header[2])<<8 | int(header[3]) }

// room opens a segment that takes n bytes more, and keeps the whole within the limit.
func (r *recording) room(n int64) error {
	if r.file == nil || r.sizes[len(r.sizes)-1]+n > max(r.limit/segments, n) {
		if err := r.close(); err != nil {
			return err
		}
		if err := r.next(); err != nil {
			return err
		}
	}
	total := n
	for _, size := range r.sizes {
		total += size
	}
	for total > r.limit && len(r.sizes) > 1 {
		if err := os.Remove(segmentPath(r.dir, r.numbers[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		total -= r.sizes[0]
		r.sizes, r.numbers = r.sizes[1:], r.numbers[1:]
	}
	return nil
}

// next begins a segment. O_EXCL: a folder that several processes share never has two writers of one file.
func (r *recording) next() error {
	n := int64(1)
	if len(r.numbers) > 0 {
		n = r.numbers[len(r.numbers)-1] + 1
	}
	for {
		file, err := os.OpenFile(segmentPath(r.dir, n), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
		if errors.Is(err, os.ErrExist) {
			n++
			continue
		}
		if err != nil {
			return err
		}
		r.file, r.numbers, r.sizes = file, append(r.numbers, n), append(r.sizes, 0)
		return nil
	}
}

func (r *recording) close() error {
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.Close()
}

// readRecording gives what is on the disk, oldest first. A segment that is dropped meanwhile is left out.
func readRecording(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		numbers, err := listSegments(dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, n := range numbers {
			file, err := os.Open(segmentPath(dir, n))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			more := true
			for record, err := range readRecords(file) {
				if more = yield(record, err); !more {
					break
				}
			}
			_ = file.Close() // it was read only
			if !more {
				return
			}
		}
	}
}

// readRecords reads records up to the end, or to where the last one is torn.
func readRecords(from io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r := bufio.NewReaderSize(from, 64<<10)
		for {
			var header [headerSize]byte
			if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			} else if err != nil {
				yield(Record{}, err)
				return
			}
			record := Record{Kind: recordKind(header[0]), At: time.UnixMicro(int64(binary.BigEndian.Uint64(header[4:]))).UTC()}
			n := length(header[:])
			if n > maxRecord {
				return // a disk that lost its power in the middle: nothing after it can be told apart
			}
			record.Data = make([]byte, n)
			if _, err := io.ReadFull(r, record.Data); err != nil {
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// appendTo is the record as it stands in files.
func (r Record) appendTo(p []byte) []byte {
	at := len(p)
	p = append(p, byte(r.Kind), 0, 0, 0)
	putLength(p[at:], len(r.Data))
	p = binary.BigEndian.AppendUint64(p, uint64(r.At.UnixMicro()))
	return append(p, r.Data...)
}
