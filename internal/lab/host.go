package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// checkHost says everything that the host lacks for this rack, with the package to install, in one error.
func checkHost(rack *RackSpec) error {
	var lacks []error
	program := func(name, pkg string) {
		if _, err := exec.LookPath(name); err != nil {
			lacks = append(lacks, fmt.Errorf("%s is not installed (Debian package %s)", name, pkg))
		}
	}
	file := func(name, pkg string) {
		if _, err := os.Stat(name); err != nil {
			lacks = append(lacks, fmt.Errorf("%s is missing (Debian package %s)", name, pkg))
		}
	}
	if os.Geteuid() != 0 {
		lacks = append(lacks, errors.New("the lab makes network namespaces and taps: run it as root"))
	}
	program("qemu-system-x86_64", "qemu-system-x86")
	file("/dev/net/tun", "none: the kernel's module tun")
	program("nft", "nftables")
	for _, m := range rack.Machines {
		if m.Firmware == "uefi" {
			file(ovmfCode, "ovmf")
			file(ovmfVars, "ovmf")
		}
		if m.SecureBoot {
			file(ovmfCodeSecure, "ovmf")
			file(ovmfVarsEnroled, "ovmf")
		}
		if m.TPM {
			program("swtpm", "swtpm")
		}
	}
	return errors.Join(unique(lacks)...)
}

func unique(errs []error) []error {
	seen := map[string]bool{}
	var out []error
	for _, err := range errs {
		if !seen[err.Error()] {
			seen[err.Error()] = true
			out = append(out, err)
		}
	}
	return out
}

// accelerator is KVM only where the processor really has it: /dev/kvm may open on a host without, and then nothing runs.
func accelerator() string {
	const software = "tcg,thread=multi"
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !hasVirtualization(info) {
		return software
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return software
	}
	kvm.Close()
	return "kvm"
}

func hasVirtualization(cpuinfo []byte) bool {
	for line := range bytes.Lines(cpuinfo) {
		if name, flags, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "flags" {
			for _, flag := range strings.Fields(flags) {
				if flag == "vmx" || flag == "svm" {
					return true
				}
			}
			return false // the other processors are the same
		}
	}
	return false
}

// takesDirect says whether the folder's file system takes O_DIRECT, which some (tmpfs) refuse.
func takesDirect(dir string) bool {
	probe := filepath.Join(dir, ".direct")
	f, err := os.OpenFile(probe, os.O_CREATE|os.O_RDWR|unix.O_DIRECT, 0o600)
	if err != nil {
		return false
	}
	f.Close()
	os.Remove(probe)
	return true
}

// sparse makes a file of that size without writing it, unless it is there: a machine keeps its disk.
func sparse(file string, bytes int64) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == bytes {
		return nil
	}
	if info.Size() > bytes {
		return fmt.Errorf("%s has %d bytes and the rack declares %d: a disk does not shrink, remove the file first", file, info.Size(), bytes)
	}
	return f.Truncate(bytes)
}

// copyOnce copies template to file, unless it is there.
func copyOnce(file, template string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	content, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	return replaceFile(file, content, 0o600)
}

// replaceFile writes a file in one go: a reader or a crash sees the old or the new one.
func replaceFile(file string, content []byte, mode os.FileMode) error {
	temp := file + ".new"
	if err := os.WriteFile(temp, content, mode); err != nil {
		return err
	}
	return os.Rename(temp, file)
}
