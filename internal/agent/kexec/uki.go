package kexec

import (
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
)

// findUKI looks for a unified kernel image (UAPI.5) where firmware starts it by itself, and then where systemd-boot
// looks for some, newest first.
func findUKI(volumes []Volume) (Entry, error) {
	var looked []error
	for i := range volumes {
		v := &volumes[i]
		if v.Type != "vfat" {
			continue
		}
		names, err := fs.Glob(v.FS, "EFI/Linux/*.efi")
		if err != nil {
			return Entry{}, err
		}
		slices.SortFunc(names, func(a, b string) int { return compareVersions(b, a) })
		for _, name := range append([]string{"EFI/BOOT/" + bootFile()}, names...) {
			entry, err := readUKI(v, name)
			if err == nil {
				return entry, nil
			}
			looked = append(looked, fmt.Errorf("partition %d: %s: %w", v.Partition, name, err))
		}
	}
	return Entry{}, errors.Join(append([]error{errors.New("no unified kernel image")}, looked...)...)
}

func bootFile() string {
	if runtime.GOARCH == "arm64" {
		return "BOOTAA64.EFI"
	}
	return "BOOTX64.EFI"
}

func readUKI(v *Volume, name string) (Entry, error) {
	f, err := v.open(name)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	at, ok := f.(io.ReaderAt)
	if !ok {
		return Entry{}, errors.New("it cannot be read at will")
	}
	image, err := pe.NewFile(at)
	if err != nil {
		return Entry{}, err
	}
	if image.Section(".linux") == nil {
		return Entry{}, errors.New("it is a boot loader, not a kernel")
	}
	entry := Entry{Title: "unified kernel image", From: name, Linux: section(v, name, image, ".linux")}
	for _, initrd := range []string{".ucode", ".initrd"} {
		if image.Section(initrd) != nil {
			entry.Initrd = append(entry.Initrd, section(v, name, image, initrd))
		}
	}
	for section, to := range map[string]*string{".cmdline": &entry.Cmdline, ".uname": &entry.Title} {
		if s := image.Section(section); s != nil {
			text, err := io.ReadAll(io.LimitReader(io.NewSectionReader(at, int64(s.Offset), int64(used(s))), 64<<10))
			if err != nil {
				return Entry{}, fmt.Errorf("section %s: %w", section, err)
			}
			*to = strings.TrimSpace(strings.TrimRight(string(text), "\x00"))
		}
	}
	return entry, nil
}

// used is a section's length without the padding of the file.
func used(s *pe.Section) uint32 {
	if s.VirtualSize > 0 && s.VirtualSize < s.Size {
		return s.VirtualSize
	}
	return s.Size
}

func section(v *Volume, name string, image *pe.File, which string) Source {
	s := image.Section(which)
	offset, length := int64(s.Offset), int64(used(s))
	return func() (io.ReadCloser, error) {
		f, err := v.open(name)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(f.(io.ReaderAt), offset, length), f}, nil
	}
}
