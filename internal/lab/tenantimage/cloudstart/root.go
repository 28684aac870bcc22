package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// enterRoot is the RAM disk's work. It returns only when it fails.
func enterRoot() error {
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.kind, m.dir, m.kind, unix.MS_NOSUID, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	label, err := rootLabel()
	if err != nil {
		return err
	}
	device, err := waitForLabel(label, 30*time.Second)
	if err != nil {
		return err
	}
	const root = "/sysroot"
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, root, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	say("OK", "Found the root file system on %s", device)
	return switchRoot(root, "/sbin/init")
}

// loadModules loads what the RAM disk lists, in its order. A driver that finds no hardware is no failure.
func loadModules() error {
	list, err := os.ReadFile("/etc/modules-load")
	if err != nil {
		return err
	}
	for _, path := range strings.Fields(string(list)) {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		file.Close()
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EEXIST) {
			done(err, "Load %s", filepath.Base(path))
		}
	}
	return nil
}

// rootLabel reads root=LABEL=… of the kernel's command line.
func rootLabel() (string, error) {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	label := ""
	for _, word := range strings.Fields(string(cmdline)) {
		if value, ok := strings.CutPrefix(word, "root=LABEL="); ok {
			label = value
		}
	}
	if label == "" {
		return "", fmt.Errorf("no root=LABEL=… in the command line %q", cmdline)
	}
	return label, nil
}

// switchRoot frees the RAM disk's files, moves the mounts over and becomes init.
func switchRoot(root, init string) error {
	for _, dir := range []string{"/lib", "/etc", "/init"} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run"} {
		if err := unix.Mount(dir, root+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to /: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	env := []string{"HOME=/root", "TERM=linux", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return fmt.Errorf("start %s: %w", init, unix.Exec(init, []string{init}, env))
}

// waitForLabel finds the block device with the label. Disks are found in the background: it looks until the patience is
// at its end.
func waitForLabel(label string, patience time.Duration) (string, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		devices, err := filepath.Glob("/sys/class/block/*")
		if err != nil {
			return "", err
		}
		for _, device := range devices {
			path := filepath.Join("/dev", filepath.Base(device))
			if labelOf(path) == label {
				return path, nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no disk has a file system labelled %q", label)
		}
	}
}

// labelOf is the label of the ext4 or ISO 9660 file system on the device; empty for anything else.
func labelOf(path string) string {
	device, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer device.Close()
	read := func(offset int64, length int) string {
		b := make([]byte, length)
		if _, err := device.ReadAt(b, offset); err != nil {
			return ""
		}
		return string(b)
	}
	// The ext4 superblock is at 1024; its magic number at 0x38 and its label at 0x78 in it.
	if read(1024+0x38, 2) == "\x53\xef" {
		return strings.TrimRight(read(1024+0x78, 16), "\x00")
	}
	// The primary volume descriptor of ISO 9660 (ECMA-119) is sector 16; its volume identifier is padded with spaces.
	if read(16*2048, 6) == "\x01CD001" {
		return strings.ToLower(strings.TrimRight(read(16*2048+40, 32), " \x00"))
	}
	return ""
}
