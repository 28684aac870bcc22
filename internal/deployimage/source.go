package deployimage

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Source is a disk to make an image of. ReadAt is called from several goroutines at once.
type Source interface {
	io.ReaderAt
	Size() int64 // bytes
	// NextData gives the first run of data at or after offset. What lies between runs is known to be zero without
	// reading it. After the last run it gives io.EOF.
	NextData(offset int64) (start, end int64, err error)
}

// FromReader is a source about whose holes nothing is known: all of it is read.
func FromReader(r io.ReaderAt, size int64) Source { return plainSource{r, size} }

type plainSource struct {
	io.ReaderAt
	size int64
}

func (s plainSource) Size() int64 { return s.size }

func (s plainSource) NextData(offset int64) (int64, int64, error) {
	if offset >= s.size {
		return 0, 0, io.EOF
	}
	return offset, s.size, nil
}

// FromFile is a source of which the file system tells where the holes are (SEEK_DATA), so that holes cost no reading.
// It moves the file's offset. Where there are no such answers (a block device) everything counts as data.
func FromFile(f *os.File, size int64) Source { return fileSource{plainSource{f, size}, f} }

type fileSource struct {
	plainSource
	file *os.File
}

func (s fileSource) NextData(offset int64) (int64, int64, error) {
	if offset >= s.size {
		return 0, 0, io.EOF
	}
	start, err := s.file.Seek(offset, unix.SEEK_DATA)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return 0, 0, io.EOF
	case errors.Is(err, syscall.EINVAL):
		return s.plainSource.NextData(offset)
	case err != nil:
		return 0, 0, err
	}
	end, err := s.file.Seek(start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, err
	}
	if start >= s.size {
		return 0, 0, io.EOF
	}
	return start, min(end, s.size), nil
}
