package kexec

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxLoaded bounds what is copied of a kernel or of all its initial RAM disks, in bytes.
const maxLoaded = 1 << 30

// Load copies the entry into memory and hands it to the kernel; the disk is no longer needed then. Under Secure Boot
// the kernel refuses what is not signed by a key it knows.
func Load(e Entry) error {
	kernel, err := inMemory("kernel", []Source{e.Linux})
	if err != nil {
		return fmt.Errorf("reading the kernel: %w", err)
	}
	defer kernel.Close()
	flags, initrdFD := unix.KEXEC_FILE_NO_INITRAMFS, 0
	if len(e.Initrd) > 0 {
		initrd, err := inMemory("initrd", e.Initrd)
		if err != nil {
			return fmt.Errorf("reading the initial RAM disk: %w", err)
		}
		defer initrd.Close()
		flags, initrdFD = 0, int(initrd.Fd())
	}
	if err := unix.KexecFileLoad(int(kernel.Fd()), initrdFD, e.Cmdline, flags); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	return nil
}

// inMemory makes one file of the sources, each padded to four bytes as archives want it. It is open for reading only:
// the kernel refuses files that somebody could write.
func inMemory(name string, sources []Source) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	writable := os.NewFile(uintptr(fd), name)
	defer writable.Close()
	var total int64
	for _, source := range sources {
		n, err := copySource(writable, source, maxLoaded-total)
		if err != nil {
			return nil, err
		}
		padding := -n & 3
		if _, err := writable.Write(make([]byte, padding)); err != nil {
			return nil, err
		}
		total += n + padding
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func copySource(to io.Writer, source Source, limit int64) (int64, error) {
	from, err := source()
	if err != nil {
		return 0, err
	}
	defer from.Close()
	n, err := io.Copy(to, io.LimitReader(from, limit+1))
	if err == nil && n > limit {
		err = errors.New("it is too large")
	}
	return n, err
}

// Jump starts the loaded kernel. It returns only when that failed.
func Jump(log *slog.Logger) error {
	quiet(log)
	return fmt.Errorf("kexec: %w", unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC))
}

// Reboot leaves through the firmware. It returns only when that failed.
func Reboot(log *slog.Logger) error {
	quiet(log)
	return fmt.Errorf("reboot: %w", unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}

// quiet writes everything out and stops the NICs, which would go on writing received frames into memory that belongs
// to the next kernel.
func quiet(log *slog.Logger) {
	unix.Sync()
	links, err := netlink.LinkList()
	if err != nil {
		log.Warn("listing the NICs failed", "error", err)
	}
	for _, link := range links {
		if err := netlink.LinkSetDown(link); err != nil {
			log.Warn("stopping a NIC failed", "nic", link.Attrs().Name, "error", err)
		}
	}
}
