package lab

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

var update = flag.Bool("update", false, "write the golden command lines")

func TestCommandLines(t *testing.T) {
	plain := MachineSpec{Name: "m1", Firmware: "uefi", CPUs: 2, MemoryMiB: 1024,
		NICs:  []NICSpec{{MAC: "52:54:00:00:00:01"}, {MAC: "52:54:00:00:00:02"}},
		Disks: []DiskSpec{{"nvme", 4, "A"}, {"virtio", 4, "B"}, {"scsi", 4, "C"}}}
	guarded := plain
	guarded.TPM, guarded.SecureBoot = true, true
	bios := plain
	bios.Firmware = "bios"
	uefi := func(target string) vbmc.Boot { return vbmc.Boot{Target: target, Enabled: "Once", Mode: "UEFI"} }
	for name, hw := range map[string]hardware{
		"uefi":           {spec: plain, boot: vbmc.Boot{Target: "None", Mode: "UEFI"}},
		"uefi-pxe":       {spec: plain, boot: uefi("Pxe")},
		"uefi-http":      {spec: plain, boot: uefi("UefiHttp")},
		"uefi-cd":        {spec: plain, boot: uefi("Cd")},
		"uefi-hdd":       {spec: plain, boot: uefi("Hdd")},
		"guarded":        {spec: guarded, boot: uefi("None")},
		"guarded-secure": {spec: guarded, boot: uefi("None"), secureBoot: true},
		"guarded-legacy": {spec: guarded, boot: vbmc.Boot{Target: "Pxe", Mode: "Legacy"}, secureBoot: true},
		"bios":           {spec: bios, boot: vbmc.Boot{Target: "None", Mode: "Legacy"}, accel: "kvm", direct: true},
	} {
		hw.rack, hw.run = "demo", "test"
		if hw.accel == "" {
			hw.accel = "tcg,thread=multi"
		}
		// An option and its value on one line.
		got := strings.ReplaceAll(strings.Join(hw.commandLine(), "\n"), "\n-", "\x00-")
		got = strings.ReplaceAll(strings.ReplaceAll(got, "\n", " "), "\x00", "\n") + "\n"
		file := filepath.Join("testdata", name+".args")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

func TestVirtualizationIsReadFromTheFlags(t *testing.T) {
	for text, want := range map[string]bool{
		"processor\t: 0\nflags\t\t: fpu vmx sse\n":             true,
		"flags\t: fpu svm\n":                                   true,
		"flags\t: fpu sse svm_lock\n":                          false,
		"vmx flags\t: vnmi\nflags\t: fpu\nmodel name: vmx\n":   false,
		"processor: 0\nbugs: spectre vmx\nflags: fpu sse2\n\n": false,
	} {
		if got := hasVirtualization([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
