package image

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Glance's checksum; what must not be forged is SHA-512
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/fault"
)

// spool is an upload on the local disk. Its file has no name, so it vanishes with the process.
type spool struct {
	*os.File
	size                int64
	md5, sha256, sha512 string // hex
}

var zeroBlock = make([]byte, 64<<10)

// fill streams body into a file, with holes where the body is zero, and hashes it on the way.
func fill(ctx context.Context, dir string, body io.Reader, limit int64) (_ *spool, err error) {
	file, err := unnamed(dir)
	if err != nil {
		return nil, spoolError(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	s := &spool{File: file}
	sums := map[*string]hash.Hash{&s.md5: md5.New(), &s.sha256: sha256.New(), &s.sha512: sha512.New()} //nolint:gosec // see the import
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		n, err := readBlock(body, buf)
		if s.size+int64(n) > limit {
			return nil, fault.New(fault.TooLarge, "The image is larger than the limit of %d bytes.", limit)
		}
		if err := s.write(buf[:n]); err != nil {
			return nil, spoolError(err)
		}
		for _, sum := range sums {
			sum.Write(buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "The upload broke off after %d bytes.", s.size)
		}
	}
	if err := file.Truncate(s.size); err != nil { // a hole at the end
		return nil, spoolError(err)
	}
	for text, sum := range sums {
		*text = hex.EncodeToString(sum.Sum(nil))
	}
	return s, nil
}

// readBlock is io.ReadFull but for its errors: io.ErrUnexpectedEOF is the body's own word for "broken off", and a body
// that is over is io.EOF also when some bytes came before it.
func readBlock(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var got int
		got, err = r.Read(buf[n:])
		n += got
	}
	return n, err
}

func (s *spool) write(p []byte) error {
	for len(p) > 0 {
		block := p[:min(len(p), len(zeroBlock))]
		if !bytes.Equal(block, zeroBlock[:len(block)]) {
			if _, err := s.WriteAt(block, s.size); err != nil {
				return err
			}
		}
		s.size += int64(len(block))
		p = p[len(block):]
	}
	return nil
}

func unnamed(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "ingot-upload-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func spoolError(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return full(err)
	}
	return fault.Wrap(err, fault.Unavailable, "The image cannot be received now; try again later.")
}

func full(err error) error {
	return fault.Wrap(err, fault.Unavailable, "There is no room left to store this image; the cloud's operator must make some before you try again.")
}
