// Package folder keeps the blobs of images as files of one folder, which may be shared by processes and hosts.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/image"
)

// Blobs is the folder. Unfinished blobs are files that begin with a dot and are locked by their writer.
type Blobs struct{ dir string }

// Open uses the folder, makes it when it is absent and removes what crashed writers left in it.
func Open(dir string) (*Blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the image folder: %w", err)
	}
	b := &Blobs{dir}
	if err := b.sweep(); err != nil {
		return nil, fmt.Errorf("sweep the image folder: %w", err)
	}
	return b, nil
}

// Put writes beside and renames, so that the blob appears whole. Data is synced before the rename and the folder after
// it: after a power cut there is either the whole blob or none.
func (b *Blobs) Put(ctx context.Context, key string, r io.Reader) (size int64, err error) {
	if err := image.CheckKey(key); err != nil {
		return 0, err
	}
	f, err := b.create()
	if err != nil {
		return 0, storeError(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(storeError(err), os.Remove(f.Name()), f.Close())
		}
	}()
	if size, err = io.Copy(f, cancellable{ctx, r}); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), b.path(key)); err != nil {
		return 0, err
	}
	// From here on the blob exists; a caller that gets an error puts or deletes it again.
	if err := errors.Join(f.Close(), b.syncDir()); err != nil {
		return 0, storeError(err)
	}
	return size, nil
}

// create makes a locked temporary file. The lock tells sweep that its writer lives.
func (b *Blobs) create() (*os.File, error) {
	for {
		f, err := os.CreateTemp(b.dir, ".put-*")
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(err, os.Remove(f.Name()), f.Close())
		}
		if _, err := os.Lstat(f.Name()); err == nil {
			return f, nil
		}
		// A sweep took the file between its creation and its lock: once more.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func (b *Blobs) sweep() error {
	left, err := filepath.Glob(filepath.Join(b.dir, ".put-*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			err = os.Remove(path)
			if errors.Is(err, fs.ErrNotExist) { // renamed into its place just now
				err = nil
			}
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Open opens the blob's file.
func (b *Blobs) Open(_ context.Context, key string) (image.Blob, error) {
	if err := image.CheckKey(key); err != nil {
		return nil, err
	}
	f, err := os.Open(b.path(key))
	if err != nil {
		return nil, storeError(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return file{f, info.Size()}, nil
}

type file struct {
	*os.File
	size int64
}

func (f file) Size() int64 { return f.size }

// Delete removes the blob's file.
func (b *Blobs) Delete(_ context.Context, key string) error {
	if err := image.CheckKey(key); err != nil {
		return err
	}
	err := os.Remove(b.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, b.syncDir())
}

// List reads the folder.
func (b *Blobs) List(_ context.Context, prefix string) ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, prefix) && image.CheckKey(name) == nil {
			keys = append(keys, name)
		}
	}
	return keys, nil
}

func (b *Blobs) path(key string) string { return filepath.Join(b.dir, key) }

func (b *Blobs) syncDir() error {
	dir, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func storeError(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: %w", image.ErrStoreFull, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", image.ErrNoBlob, err)
	}
	return err
}

type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
