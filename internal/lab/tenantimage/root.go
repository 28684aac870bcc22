package tenantimage

import (
	"bytes"
	"context"
	"debug/elf"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ingotcloud/ingot/internal/ramdisk/deb"
)

// rootfs is what the image has beside programs: its configuration, as it lies on the disk.
//
//go:embed all:rootfs
var rootfs embed.FS

// packages that the root file system takes programs and libraries from.
var packages = []string{
	"busybox-static", "dropbear-bin", "libc6", "libcrypt1", "libgmp10", "libtomcrypt1", "libtommath1", "zlib1g",
}

// writeRoot fills a folder with the root file system.
func (b *builder) writeRoot(ctx context.Context, root string) error {
	for _, dir := range []string{
		"bin", "sbin", "usr/bin", "usr/sbin", "etc/dropbear", "proc", "sys", "dev", "run", "tmp", "root", "home/ingot",
		"var/lib/ingot", "var/log", "lib/x86_64-linux-gnu", "lib64", "mnt",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "root"), 0o700); err != nil {
		return err
	}
	for link, target := range map[string]string{"var/run": "/run", "var/tmp": "/tmp", "etc/mtab": "/proc/mounts"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	if err := copyFile(b.start, filepath.Join(root, "sbin/cloudstart"), 0o755); err != nil {
		return err
	}
	if err := b.writeConfiguration(root); err != nil {
		return err
	}
	if err := b.installBusybox(ctx, root); err != nil {
		return err
	}
	programs := []string{"usr/sbin/dropbear", "usr/bin/dbclient"}
	if b.loader == GRUB {
		programs = append(programs, "sbin/debugfs") // what can break a file system from within
	}
	for _, program := range programs {
		if err := b.installProgram(root, program); err != nil {
			return err
		}
	}
	return nil
}

// writeConfiguration copies rootfs. The embedded files have no modes: scripts are known by their first two bytes.
func (b *builder) writeConfiguration(root string) error {
	return fs.WalkDir(rootfs, "rootfs", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(root, strings.TrimPrefix(path, "rootfs"))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := fs.ReadFile(rootfs, path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		} else if entry.Name() == "shadow" {
			mode = 0o600
		}
		return os.WriteFile(target, content, mode)
	})
}

// installBusybox puts busybox in, and a link for each of its programs that nothing better has the place of.
func (b *builder) installBusybox(ctx context.Context, root string) error {
	busybox, err := b.find("bin/busybox")
	if err != nil {
		return err
	}
	if err := copyFile(busybox, filepath.Join(root, "bin/busybox"), 0o755); err != nil {
		return err
	}
	list, err := exec.CommandContext(ctx, busybox, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("list busybox's programs: %w", err)
	}
	for _, program := range strings.Fields(string(list)) {
		link := filepath.Join(root, program)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("/bin/busybox", link); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// installProgram copies a dynamically linked program with the libraries that it needs.
func (b *builder) installProgram(root, program string) error {
	source, err := b.find(program)
	if err != nil {
		return err
	}
	if err := copyFile(source, filepath.Join(root, program), 0o755); err != nil {
		return err
	}
	return b.installLibraries(root, source)
}

func (b *builder) installLibraries(root, binary string) error {
	object, err := elf.Open(binary)
	if err != nil {
		return err
	}
	defer object.Close()
	needed, err := object.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range needed {
		target := filepath.Join(root, "lib/x86_64-linux-gnu", name)
		if name == "ld-linux-x86-64.so.2" {
			target = filepath.Join(root, "lib64", name) // the path that every program names
		}
		if _, err := os.Stat(target); err == nil {
			continue
		}
		library, err := b.find("lib/x86_64-linux-gnu/" + name)
		if err != nil {
			return err
		}
		if err := copyFile(library, target, 0o755); err != nil {
			return err
		}
		if err := b.installLibraries(root, library); err != nil {
			return err
		}
	}
	return nil
}

// find looks for a file in the unpacked packages, with and without the /usr that Debian 13 moved everything to.
func (b *builder) find(file string) (string, error) {
	for _, pkg := range b.packages {
		for _, candidate := range []string{file, filepath.Join("usr", file)} {
			path := filepath.Join(pkg.Dir, candidate)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("none of the packages %s has %s", names(b.packages), file)
}

func names(packages []deb.Package) string {
	var all []string
	for _, pkg := range packages {
		all = append(all, pkg.Name)
	}
	return strings.Join(all, ", ")
}

func copyFile(from, to string, mode fs.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, mode)
}
