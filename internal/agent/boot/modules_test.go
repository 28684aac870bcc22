package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func ramdisk(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestModules(t *testing.T) {
	root := ramdisk(t, map[string]string{
		"etc/modules-load":            "/lib/modules/1/kernel/a.ko\n/lib/modules/1/kernel/no-hardware.ko\n/lib/modules/1/kernel/bad.ko\n",
		"lib/modules/1/modules.dep":   "kernel/a.ko:\nkernel/lib.ko:\nkernel/bus-core.ko: kernel/lib.ko\nkernel/nic.ko: kernel/bus-core.ko kernel/a.ko\nkernel/other.ko:\n",
		"lib/modules/1/modules.alias": "# a comment\nalias pci:v00001AF4d*sv* nic\nalias pci:v00008086d00001234sv* other\nalias fs-ext4 ext4\n",
		"sys/devices/pci/x/modalias":  "pci:v00001AF4d00001000sv00001AF4\n",
		"sys/devices/pci/y/modalias":  "pci:v00001AF4d00001000sv00001AF4\n",
	})
	var loaded []string
	m := Modules{Root: root, Load: func(file string) error {
		name := filepath.Base(file)
		loaded = append(loaded, name)
		switch name {
		case "no-hardware.ko":
			return unix.ENODEV
		case "bad.ko":
			return errors.New("unknown symbol")
		}
		return nil
	}}
	if err := m.LoadList(); err == nil || !strings.Contains(err.Error(), "bad") || strings.Contains(err.Error(), "no_hardware") {
		t.Errorf("the list: %v", err)
	}
	if err := m.LoadForDevices(filepath.Join(root, "sys"), "1"); err != nil {
		t.Error(err)
	}
	want := []string{"a.ko", "no-hardware.ko", "bad.ko", "lib.ko", "bus-core.ko", "nic.ko"}
	if !slices.Equal(loaded, want) {
		t.Errorf("loaded %v, want %v", loaded, want)
	}
}

func TestKernelWithoutModules(t *testing.T) {
	m := Modules{Root: t.TempDir()}
	if err := errors.Join(m.LoadList(), m.LoadForDevices("/sys", "1")); err != nil {
		t.Error(err)
	}
}
