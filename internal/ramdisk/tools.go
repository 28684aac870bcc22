package ramdisk

import (
	"cmp"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
	"github.com/ingotcloud/ingot/internal/ramdisk/deb"
)

// toolPackages have what a rescue system needs beside the agent. Of util-linux only a program is taken that needs no library
// beyond those of the others: it alone depends on many.
var (
	toolPackages = []string{"busybox-static", "e2fsprogs", "dosfstools", "fdisk", "xfsprogs"}
	utilLinux    = "util-linux"
)

// tools are the programs, with the other names that they go by. Busybox's own are made where it runs, and give way to these.
var tools = map[string][]string{
	"bin/busybox":     {"bin/sh"},
	"sbin/blkid":      nil,
	"sbin/e2fsck":     {"sbin/fsck.ext2", "sbin/fsck.ext3", "sbin/fsck.ext4"},
	"sbin/mke2fs":     {"sbin/mkfs.ext2", "sbin/mkfs.ext3", "sbin/mkfs.ext4"},
	"sbin/tune2fs":    {"sbin/e2label"},
	"sbin/resize2fs":  nil,
	"sbin/dumpe2fs":   nil,
	"sbin/debugfs":    nil,
	"sbin/sfdisk":     nil,
	"sbin/fsck.fat":   {"sbin/fsck.vfat"},
	"sbin/mkfs.fat":   {"sbin/mkfs.vfat"},
	"sbin/mkfs.xfs":   nil,
	"sbin/xfs_repair": nil,
}

// Where libraries are in the RAM disk, and the loader that every program names.
const (
	libraryDir = "lib/x86_64-linux-gnu"
	loader     = "ld-linux-x86-64.so.2"
	loaderDir  = "lib64"
)

// fetchTools gives the packages that the tools and their libraries come from.
func fetchTools(ctx context.Context, cacheRoot string) ([]deb.Package, error) {
	libraries, err := deb.Libraries(ctx, toolPackages...)
	if err != nil {
		return nil, err
	}
	return deb.Fetch(ctx, cacheRoot, slices.Concat(toolPackages, []string{utilLinux}, libraries)...)
}

// toolsInitrd gives the initrd that has the tools alone, out of the cache.
func toolsInitrd(ctx context.Context, cacheRoot string) (file, key string, err error) {
	packages, err := fetchTools(ctx, cacheRoot)
	if err != nil {
		return "", "", err
	}
	inputs := []string{Recipe()}
	for _, pkg := range packages {
		inputs = append(inputs, pkg.File)
	}
	key = buildcache.Key(inputs...)
	const name = "tools.zst"
	dir, err := buildcache.Dir(ctx, cacheRoot, "rescue-tools", key, func(dir string) error {
		records, err := Tools(packages)
		if err != nil {
			return fmt.Errorf("collect the tools of the rescue system: %w", err)
		}
		return archive(filepath.Join(dir, name), records)
	})
	return filepath.Join(dir, name), key, err
}

// Tools are the programs of the rescue system, with the libraries that they need, as records of an initrd.
func Tools(packages []deb.Package) ([]cpio.Record, error) {
	c := &collector{packages: packages, seen: map[string]bool{}}
	for name, others := range tools {
		if err := c.add(name, name); err != nil {
			return nil, err
		}
		for _, other := range others {
			c.records = append(c.records, cpio.Symlink(other, "/"+name))
		}
	}
	slices.SortFunc(c.records, func(a, b cpio.Record) int { return cmp.Compare(a.Name, b.Name) })
	return c.records, nil
}

// collector takes files out of packages.
type collector struct {
	packages []deb.Package
	seen     map[string]bool // by the name in the RAM disk
	records  []cpio.Record
}

// add takes a program or library, and the libraries that it is linked to.
func (c *collector) add(file, as string) error {
	if c.seen[as] {
		return nil
	}
	c.seen[as] = true
	source, err := c.find(file)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	c.records = append(c.records, cpio.StaticFile(as, string(content), 0o755))
	object, err := elf.Open(source)
	if err != nil {
		return err
	}
	defer object.Close()
	needed, err := object.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range needed {
		from := path.Join(libraryDir, name)
		to := from
		if name == loader {
			to = path.Join(loaderDir, name)
		}
		if err := c.add(from, to); err != nil {
			return fmt.Errorf("%s: %w", as, err)
		}
	}
	return nil
}

// find looks for a file in the packages, with and without the /usr that Debian 13 moved everything to.
func (c *collector) find(file string) (string, error) {
	for _, pkg := range c.packages {
		for _, candidate := range []string{file, path.Join("usr", file)} {
			found := filepath.Join(pkg.Dir, candidate)
			if _, err := os.Stat(found); err == nil {
				return found, nil
			}
		}
	}
	return "", fmt.Errorf("none of the packages has %s", file)
}
