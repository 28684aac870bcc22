package kexec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime/debug"
	"strings"
)

// Volume is a file system on the disk.
type Volume struct {
	Partition int    // 1 is the first; 0: the whole disk
	Type      string // vfat ext4 xfs
	UUID      string // as blkid writes it
	Label     string
	FS        fs.FS
}

// Entry is a kernel that can be started.
type Entry struct {
	Title   string // for people
	From    string // which file told of it
	Cmdline string
	Linux   Source
	Initrd  []Source // one after another
}

// Source opens a kernel or an initial RAM disk.
type Source func() (io.ReadCloser, error)

// Find gives what the disk's own boot loader would start by default. The error tells what was looked at.
func Find(volumes []Volume) (entry Entry, err error) {
	defer func() {
		if p := recover(); p != nil { // parsers on foreign bytes
			err = fmt.Errorf("looking for a kernel: panic: %v\n%s", p, debug.Stack())
		}
	}()
	var looked []error
	for _, look := range []func([]Volume) (Entry, error){findUKI, findBLS, findGrub} {
		entry, err := look(volumes)
		if err == nil {
			return entry, nil
		}
		looked = append(looked, err)
	}
	return Entry{}, fmt.Errorf("no kernel found: %w", errors.Join(looked...))
}

// open opens a file by its path from the volume's root.
func (v *Volume) open(name string) (fs.File, error) { return v.FS.Open(rooted(name)) }

// read gives a configuration file; one of more than a mebibyte is not one.
func (v *Volume) read(name string) (string, error) {
	f, err := v.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(b), err
}

func (v *Volume) has(name string) bool {
	_, err := fs.Stat(v.FS, rooted(name))
	return err == nil
}

// source is a file of the volume, which must be there.
func (v *Volume) source(name string) (Source, error) {
	info, err := fs.Stat(v.FS, rooted(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	return func() (io.ReadCloser, error) { return v.open(name) }, nil
}

// rooted is the path in the form of io/fs; it cannot climb out of the root.
func rooted(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}
