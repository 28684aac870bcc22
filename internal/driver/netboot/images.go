package netboot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// images are files that had to be written out: the ISO template, and what is signed for single boots. The folder holds
// a bounded number of them; the one that was used longest ago goes first, and is made again when it is asked for.
type images struct {
	folder    string
	temporary bool
	mu        sync.Mutex // also held while an image is made: one at a time, it is all disk and processor
	recent    []string   // paths, the last used at the end
}

// Kinds of images, as parts of their file names.
const (
	templateISO = "template.iso"
	signedUKI   = "signed.efi"
	signedISO   = "signed.iso"
)

// maxImages of some 25 to 100 MB each.
const maxImages = 32

// newImages empties the folder of what an earlier run left there.
func newImages(folder string) (*images, error) {
	if folder == "" {
		folder, err := os.MkdirTemp("", "ingot-netboot-")
		return &images{folder: folder, temporary: true}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	i := &images{folder: folder}
	return i, i.clear()
}

// path of an image. The key, which is a secret, does not show in it.
func (i *images) path(key, kind string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(i.folder, fmt.Sprintf("netboot-%x-%s", sum[:16], kind))
}

// of gives the path of an image, which build writes when it is not there.
func (i *images) of(key, kind string, build func(to string) error) (string, error) {
	path := i.path(key, kind)
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := slices.Index(i.recent, path); at >= 0 {
		i.recent = append(slices.Delete(i.recent, at, at+1), path)
		return path, nil
	}
	if len(i.recent) >= maxImages {
		// Whoever reads it goes on reading: the file itself goes with its last reader.
		if err := i.drop(i.recent[0]); err != nil {
			return "", err
		}
	}
	unfinished := path + ".new"
	if err := build(unfinished); err != nil {
		return "", errors.Join(err, os.RemoveAll(unfinished))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	i.recent = append(i.recent, path)
	return path, nil
}

// remove the signed images of one boot.
func (i *images) remove(key string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return errors.Join(i.drop(i.path(key, signedUKI)), i.drop(i.path(key, signedISO)))
}

func (i *images) drop(path string) error {
	at := slices.Index(i.recent, path)
	if at < 0 {
		return nil
	}
	i.recent = slices.Delete(i.recent, at, at+1)
	return os.Remove(path)
}

func (i *images) clear() error {
	found, err := filepath.Glob(filepath.Join(i.folder, "netboot-*"))
	for _, path := range found {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

func (i *images) close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.recent = nil
	if i.temporary {
		return os.RemoveAll(i.folder)
	}
	return i.clear()
}
