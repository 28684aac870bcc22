package tenantimage

import (
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/ingotcloud/ingot/internal/lab/snakeoil"
	"github.com/ingotcloud/ingot/internal/ramdisk"
	"github.com/ingotcloud/ingot/internal/ramdisk/deb"
)

// grubPackages are what a Debian server boots by: shim and GRUB as Debian signed them, GRUB without a signature, and the
// scripts and programs that mkinitramfs puts into an initial RAM disk.
var grubPackages = []string{
	"shim-signed", "grub-efi-amd64-signed", "grub-efi-amd64-bin", "initramfs-tools-core", "klibc-utils", "libklibc",
	"util-linux", "e2fsprogs", "logsave",
}

// grubLibraries depend on the libraries that the programs need; util-linux itself on many more.
var grubLibraries = []string{"e2fsprogs", "mount"}

// grubModules let the system on the disk mount its EFI system partition.
var grubModules = []string{"vfat", "nls_cp437", "nls_ascii"}

// Where Debian's packages keep the boot loaders, and where they are on the image's root: what a repair copies from.
const (
	shimSigned   = "usr/lib/shim/shimx64.efi.signed"
	grubSigned   = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
	grubUnsigned = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"
)

// espConfig is what grub-install leaves beside GRUB: it leads to the configuration on the root file system.
const espConfig = `search.fs_label ` + rootLabel + ` root
set prefix=($root)'/boot/grub'
configfile $prefix/grub.cfg
`

// grubConfig is what update-grub would write for one kernel.
const grubConfig = `set timeout=0
menuentry 'Ingot tenant image' {
	search --no-floppy --label --set=root ` + rootLabel + `
	linux /boot/vmlinuz-%[1]s %[2]s
	initrd /boot/initrd.img-%[1]s
}
`

//go:embed init-bottom
var initBottom string

func fetchGRUB(ctx context.Context, cache string) ([]deb.Package, error) {
	libraries, err := deb.Libraries(ctx, grubLibraries...)
	if err != nil {
		return nil, err
	}
	return deb.Fetch(ctx, cache, slices.Concat(grubPackages, libraries)...)
}

// writeGRUB puts kernel, initial RAM disk and GRUB's configuration on the root, and the loaders on the EFI system partition.
// Debian's shim gets a second signature, by the key that the lab's firmware trusts; from there on every link is as
// Debian signed it: shim trusts GRUB, and GRUB the kernel.
func (b *builder) writeGRUB(ctx context.Context, root, esp string) error {
	boot := filepath.Join(root, "boot")
	for _, dir := range []string{
		filepath.Join(boot, "grub"), filepath.Join(boot, "efi"), filepath.Join(esp, "EFI/BOOT"), filepath.Join(esp, "EFI/debian"),
		filepath.Join(root, filepath.Dir(shimSigned)), filepath.Join(root, filepath.Dir(grubSigned)), filepath.Join(root, filepath.Dir(grubUnsigned)),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := copyFile(b.kernel.Image, filepath.Join(boot, "vmlinuz-"+b.kernel.Version), 0o644); err != nil {
		return err
	}
	if err := b.writeInitramfs(ctx, filepath.Join(boot, "initrd.img-"+b.kernel.Version)); err != nil {
		return err
	}
	config := fmt.Sprintf(grubConfig, b.kernel.Version, cmdline+" rw")
	if err := os.WriteFile(filepath.Join(boot, "grub/grub.cfg"), []byte(config), 0o644); err != nil {
		return err
	}
	if err := b.signShim(ctx, filepath.Join(root, shimSigned)); err != nil {
		return err
	}
	for _, file := range []string{grubSigned, grubUnsigned} {
		source, err := b.find(file)
		if err != nil {
			return err
		}
		if err := copyFile(source, filepath.Join(root, file), 0o644); err != nil {
			return err
		}
	}
	for target, file := range map[string]string{"BOOTX64.EFI": shimSigned, "grubx64.efi": grubSigned} {
		if err := copyFile(filepath.Join(root, file), filepath.Join(esp, "EFI/BOOT", target), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(esp, "EFI/debian/grub.cfg"), []byte(espConfig), 0o644)
}

func (b *builder) signShim(ctx context.Context, target string) error {
	shim, err := b.find(shimSigned)
	if err != nil {
		return err
	}
	key := filepath.Join(b.scratch, "snakeoil.key")
	if err := snakeoil.UnlockKey(ctx, key); err != nil {
		return err
	}
	return run(ctx, []string{"sbsign", "--key", key, "--cert", snakeoil.Cert, "--output", target, shim})
}

// writeInitramfs makes the initial RAM disk that mkinitramfs would make of initramfs-tools' own scripts, less udev: a few
// modules are loaded by name, and the kernel makes the device nodes.
func (b *builder) writeInitramfs(ctx context.Context, file string) error {
	tree := filepath.Join(b.scratch, "initramfs")
	for _, dir := range []string{"bin", "sbin", "conf", "scripts/init-bottom", "lib64", "lib/x86_64-linux-gnu"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	for _, program := range []string{"sbin/fsck", "sbin/blkid", "sbin/logsave", "sbin/e2fsck"} {
		if err := b.installProgram(tree, program); err != nil {
			return err
		}
	}
	if err := os.Symlink("e2fsck", filepath.Join(tree, "sbin/fsck.ext4")); err != nil {
		return err
	}
	interpreter, err := b.klibc()
	if err != nil {
		return err
	}
	for source, target := range map[string]string{
		"usr/share/initramfs-tools/scripts/functions": "scripts/functions",
		"usr/share/initramfs-tools/scripts/local":     "scripts/local",
		"usr/share/initramfs-tools/scripts/nfs":       "scripts/nfs",
		"etc/initramfs-tools/initramfs.conf":          "conf/initramfs.conf",
		"usr/lib/klibc/bin/run-init":                  "bin/run-init",
		"usr/lib/klibc/bin/fstype":                    "bin/fstype",
		interpreter:                                   interpreter,
	} {
		path, err := b.find(source)
		if err != nil {
			return err
		}
		if err := copyFile(path, filepath.Join(tree, target), 0o755); err != nil {
			return err
		}
	}
	if err := b.installBusybox(ctx, tree); err != nil {
		return err
	}
	modules, err := ramdisk.Modules(b.kernel, append(modules, grubModules...))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"conf/arch.conf":               "DPKG_ARCH=amd64\n",
		"conf/modules":                 moduleNames(modules),
		"scripts/init-bottom/ORDER":    "/scripts/init-bottom/devtmpfs \"$@\"\n",
		"scripts/init-bottom/devtmpfs": initBottom,
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	records, err := recordsOf(tree)
	if err != nil {
		return err
	}
	init, err := b.find("usr/share/initramfs-tools/init")
	if err != nil {
		return err
	}
	return ramdisk.Initrd(file, init, append(records, modules...))
}

// klibc is the path of the library that klibc's programs name as their interpreter; it has its hash in its name.
func (b *builder) klibc() (string, error) {
	for _, pkg := range b.packages {
		for _, dir := range []string{"lib", "usr/lib"} {
			found, err := filepath.Glob(filepath.Join(pkg.Dir, dir, "klibc-*.so"))
			if err != nil {
				return "", err
			}
			if len(found) > 0 {
				return filepath.Join("lib", filepath.Base(found[0])), nil
			}
		}
	}
	return "", fmt.Errorf("none of the packages %s has klibc's library", names(b.packages))
}

// moduleNames is one line per module, in the order of loading.
func moduleNames(records []cpio.Record) string {
	var lines strings.Builder
	for _, record := range records {
		if name, ok := strings.CutSuffix(filepath.Base(record.Name), ".ko"); ok {
			fmt.Fprintln(&lines, name)
		}
	}
	return lines.String()
}

// recordsOf gives a folder's files and links as records of an initrd.
func recordsOf(dir string) (records []cpio.Record, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			records = append(records, cpio.Symlink(name, target))
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		records = append(records, cpio.StaticFile(name, string(content), uint64(info.Mode().Perm())))
		return err
	})
	return records, err
}
