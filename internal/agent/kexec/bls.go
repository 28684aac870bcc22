package kexec

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// blsEntry is a type 1 entry of the Boot Loader Specification (UAPI.1), with the name that defaults refer to.
type blsEntry struct {
	Entry
	id, sortKey, version string
}

// findBLS takes the entry that loader.conf calls the default, else the first in the specification's order. On disks of
// grub with BLS entries it is grub.cfg that knows the default, so that those are left to findGrub.
func findBLS(volumes []Volume) (Entry, error) {
	for i := range volumes {
		if volumes[i].grubConfig() != "" {
			return Entry{}, errors.New("boot loader entries, if any, belong to grub")
		}
	}
	entries := readBLS(volumes, func(string) string { return "" })
	if len(entries) == 0 {
		return Entry{}, errors.New("no boot loader entries")
	}
	for i := range volumes {
		conf, err := volumes[i].read("loader/loader.conf")
		if err != nil {
			continue
		}
		for _, line := range blsLines(conf) {
			if line[0] != "default" {
				continue
			}
			for _, e := range entries {
				if ok, err := path.Match(strings.TrimSuffix(line[1], ".conf"), e.id); err == nil && ok {
					return e.Entry, nil
				}
			}
		}
	}
	return entries[0].Entry, nil
}

// readBLS gives the usable entries of all volumes, the preferred first. Grub's variables may stand in options and
// initrds.
func readBLS(volumes []Volume, variable func(name string) string) []blsEntry {
	var entries []blsEntry
	for i := range volumes {
		v := &volumes[i]
		for _, dir := range []string{"loader/entries", "boot/loader/entries"} {
			names, err := fs.Glob(v.FS, dir+"/*.conf")
			if err != nil {
				continue // the pattern is a good one
			}
			for _, name := range names {
				if e, err := readBLSEntry(v, name, variable); err == nil {
					entries = append(entries, e)
				}
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b blsEntry) int {
		// Entries without a sort key come last; then newer before older.
		return cmp.Or(compareBool(b.sortKey != "", a.sortKey != ""), cmp.Compare(a.sortKey, b.sortKey),
			compareVersions(b.version, a.version), compareVersions(b.id, a.id))
	})
	return entries
}

func readBLSEntry(v *Volume, name string, variable func(string) string) (blsEntry, error) {
	text, err := v.read(name)
	if err != nil {
		return blsEntry{}, err
	}
	e := blsEntry{id: strings.TrimSuffix(path.Base(name), ".conf")}
	e.From = name
	var options, initrds []string
	for _, line := range blsLines(text) {
		value := expandGrub(line[1], variable)
		switch line[0] {
		case "title":
			e.Title = value
		case "version":
			e.version = value
		case "sort-key":
			e.sortKey = value
		case "linux":
			if e.Linux, err = v.source(v.bootPath(value)); err != nil {
				return e, err
			}
		case "initrd":
			initrds = append(initrds, strings.Fields(value)...)
		case "options":
			options = append(options, value)
		case "devicetree", "devicetree-overlay", "efi":
			return e, fmt.Errorf("%s: %s is not supported", name, line[0])
		case "architecture":
			if want := map[string]string{"amd64": "x64", "arm64": "aa64"}[runtime.GOARCH]; !strings.EqualFold(value, want) {
				return e, fmt.Errorf("%s is for %s", name, value)
			}
		}
	}
	if e.Linux == nil {
		return e, fmt.Errorf("%s names no kernel", name)
	}
	for _, initrd := range initrds {
		source, err := v.source(v.bootPath(initrd))
		if err != nil {
			return e, err
		}
		e.Initrd = append(e.Initrd, source)
	}
	e.Cmdline = strings.Join(strings.Fields(strings.Join(options, " ")), " ")
	return e, nil
}

// bootPath finds a path that is meant from the root of the boot partition, on a disk where that is a folder.
func (v *Volume) bootPath(name string) string {
	if !v.has(name) && v.has("boot/"+name) {
		return "boot/" + name
	}
	return name
}

// blsLines gives the keys and values of an entry or of loader.conf.
func blsLines(text string) [][2]string {
	var lines [][2]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if i := strings.IndexAny(line, " \t"); i > 0 && line[0] != '#' {
			lines = append(lines, [2]string{line[:i], strings.TrimSpace(line[i:])})
		}
	}
	return lines
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compareVersions compares runs of digits as numbers and the rest as text: 6.1.0-9 is older than 6.1.0-10.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		numA, restA := leading(a)
		numB, restB := leading(b)
		x, errX := strconv.ParseUint(numA, 10, 64)
		y, errY := strconv.ParseUint(numB, 10, 64)
		order := cmp.Compare(numA, numB)
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// leading splits off the digits, or the text up to them, that s begins with.
func leading(s string) (run, rest string) {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}
