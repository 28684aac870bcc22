// Package buildcache keeps what is slow to make: unpacked packages, RAM disks, disk images. An entry is a folder whose
// name says what went into it, so it is never wrong, only absent. Any number of processes may ask for the same entry at
// once: one makes it, the others wait for it.
package buildcache

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unusedFor is how long an entry stays after its last use. What must outlive that (the artefacts of a running cloud) is
// copied or linked out of the cache by whoever needs it.
const unusedFor = 14 * 24 * time.Hour

// Root is the folder of the cache: dir itself, or "ingot" in the user's cache folder when dir is empty.
func Root(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(user, "ingot"), nil
}

// Key condenses the inputs of an entry to a name: 32 hex digits.
func Key(inputs ...string) string {
	h := sha256.New()
	for _, input := range inputs {
		fmt.Fprintf(h, "%d:%s", len(input), input)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// KeyOfFile is the Key of a file's content.
func KeyOfFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return Key(string(content)), nil
}

// KeyOfFS is the Key of all files' names and contents. It panics when a file cannot be read, which embedded ones can.
func KeyOfFS(files embed.FS) string {
	var inputs []string
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		inputs = append(inputs, path, string(content))
		return err
	})
	if err != nil {
		panic(err)
	}
	return Key(inputs...)
}

// Dir gives the folder root/kind/key and has build fill it first when it is not there. build gets a scratch folder
// beside it, which becomes the entry by one rename when build returns nil and vanishes otherwise.
func Dir(ctx context.Context, root, kind, key string, build func(dir string) error) (string, error) {
	entry := filepath.Join(root, kind, key)
	if touch(entry) {
		return entry, nil
	}
	if err := os.MkdirAll(filepath.Dir(entry), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, entry+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if touch(entry) { // made while we waited
		return entry, nil
	}
	scratch := entry + ".partial"
	if err := os.RemoveAll(scratch); err != nil { // of a builder that was killed
		return "", err
	}
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return "", err
	}
	if err := build(scratch); err != nil {
		return "", errors.Join(err, os.RemoveAll(scratch))
	}
	if err := os.Rename(scratch, entry); err != nil {
		return "", err
	}
	return entry, prune(filepath.Dir(entry), time.Now().Add(-unusedFor))
}

// touch marks the entry as used and reports whether it is there.
func touch(entry string) bool {
	now := time.Now()
	return os.Chtimes(entry, now, now) == nil
}

// prune removes the finished entries of a kind that nobody used since the given time.
func prune(kind string, since time.Time) error {
	entries, err := os.ReadDir(kind)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || strings.HasSuffix(entry.Name(), ".partial") || info.ModTime().After(since) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(kind, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock holds the file against other processes and other goroutines. The file stays: removing a lock file that someone
// waits for would give the lock to two.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
