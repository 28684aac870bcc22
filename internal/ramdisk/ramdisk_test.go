package ramdisk

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/program"
	"github.com/ingotcloud/ingot/internal/ramdisk/qemutest"
)

const maxInitrd = 25 << 20

// buildWithTestInit builds the RAM disk around a small init that prints the command line and powers off.
func buildWithTestInit(t *testing.T, flavour string) Artifacts {
	t.Helper()
	init := filepath.Join(t.TempDir(), "init")
	if err := program.Build(t.Context(), "./testdata/init", init); err != nil {
		t.Fatal(err)
	}
	a, err := Build(t.Context(), Options{Agent: init, Kernel: flavour})
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestInitrdHoldsModulesInOrder(t *testing.T) {
	for flavour, wanted := range map[string][]string{
		Cloud: {"virtio_blk", "virtio_net", "virtio_scsi", "isofs", "vfat"},
		Full:  {"nvme", "megaraid_sas", "mpt3sas", "mlx5_core", "ixgbe", "ahci", "e1000e", "ipmi_si", "usb_storage", "ext4", "xfs"},
	} {
		t.Run(flavour, func(t *testing.T) {
			a := buildWithTestInit(t, flavour)
			files := readInitrd(t, a.Initrd)
			place := map[string]int{}
			for i, line := range strings.Fields(files[ModuleList]) {
				if _, ok := files[strings.TrimPrefix(line, "/")]; !ok {
					t.Errorf("%s is listed but not there", line)
				}
				place[normalize(strings.TrimSuffix(filepath.Base(line), ".ko"))] = i
			}
			for _, name := range wanted {
				if _, ok := place[name]; !ok {
					t.Errorf("the module %s is missing", name)
				}
			}
			dep := files["lib/modules/"+a.KernelVersion+"/modules.dep"]
			for line := range strings.Lines(dep) {
				name, needed, _ := strings.Cut(line, ":")
				for _, n := range strings.Fields(needed) {
					before, after := normalize(filepath.Base(n)), normalize(filepath.Base(name))
					if place[strings.TrimSuffix(before, ".ko")] >= place[strings.TrimSuffix(after, ".ko")] {
						t.Errorf("%s is loaded after %s, which needs it", before, after)
					}
				}
			}
			info, err := os.Stat(a.Initrd)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > maxInitrd {
				t.Errorf("the initrd has %d bytes, more than %d", info.Size(), maxInitrd)
			}
			t.Logf("%s: %d modules, initrd %.1f MB", a.KernelVersion, len(place), float64(info.Size())/1e6)
		})
	}
}

func readInitrd(t *testing.T, file string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	plain, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(plain)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, record := range records {
		content := make([]byte, record.FileSize)
		if record.FileSize > 0 {
			if _, err := record.ReadAt(content, 0); err != nil {
				t.Fatal(err)
			}
		}
		files[record.Name] = string(content)
	}
	return files
}

func TestUKISections(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	file, err := pe.Open(a.UKI)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	end := uint32(0)
	for _, s := range file.Sections {
		if s.VirtualAddress < end {
			t.Errorf("section %s begins at %#x, inside of the one before it", s.Name, s.VirtualAddress)
		}
		end = s.VirtualAddress + s.VirtualSize
	}
	if size := file.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; size < end {
		t.Errorf("the image has %#x bytes in memory and its sections end at %#x", size, end)
	}
	for name, path := range map[string]string{".linux": a.Kernel, ".initrd": a.Initrd} {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := file.Section(name).Data()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[:file.Section(name).VirtualSize], want) {
			t.Errorf("section %s is not the file %s", name, path)
		}
	}
}

// A hole between the sections in the file would be hashed differently by signers and firmware.
func TestUKICanBeSigned(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	dir := t.TempDir()
	key, cert, signed := filepath.Join(dir, "key"), filepath.Join(dir, "cert"), filepath.Join(dir, "signed.efi")
	for _, command := range [][]string{
		{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=test", "-days", "2"},
		{"sbsign", "--key", key, "--cert", cert, "--output", signed, a.UKI},
		{"sbverify", "--cert", cert, signed},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Skipf("signs the image: %s is not installed", command[0])
		}
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("warning")) {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}

func TestPatchCmdline(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	original, err := os.ReadFile(a.UKI)
	if err != nil {
		t.Fatal(err)
	}
	patched := bytes.Clone(original)
	if err := PatchCmdline(patched, strings.Repeat("x", CmdlineSize-1)); err != nil {
		t.Fatal(err)
	}
	if err := PatchCmdline(patched, defaultCmdline); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(original, patched) {
		t.Error("setting the same command line again changed something else")
	}
	for name, cmdline := range map[string]string{
		"too long":   strings.Repeat("x", CmdlineSize),
		"NUL":        "a\x00b",
		"line break": "a\nb",
	} {
		if err := PatchCmdline(patched, cmdline); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if !bytes.Equal(original, patched) {
		t.Error("a refused command line changed the image")
	}
	stub, err := os.ReadFile(Stub)
	if err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string][]byte{"a bare stub": stub, "a cut image": original[:bytes.Index(original, []byte(defaultCmdline))+10], "nothing": nil} {
		if err := PatchCmdline(bytes.Clone(image), "x"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBootKernelAndInitrd(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	vm := qemutest.Start(t, "-kernel", a.Kernel, "-initrd", a.Initrd, "-append", "console=ttyS0 ingot.token=direct")
	vm.WaitFor("ingot.token=direct\"")
	vm.WaitOff()
	expectModulesLoaded(t, vm)
}

func TestBootUKI(t *testing.T) {
	a := buildWithTestInit(t, Cloud)
	image, err := os.ReadFile(a.UKI)
	if err != nil {
		t.Fatal(err)
	}
	// As long as a command line can be, so that the stub is seen to take all of it and to stop at the NUL.
	cmdline := "console=ttyS0 ingot.token=patched"
	cmdline = "padding=" + strings.Repeat("p", CmdlineSize-1-len("padding= ")-len(cmdline)) + " " + cmdline
	if err := PatchCmdline(image, cmdline); err != nil {
		t.Fatal(err)
	}
	vm := qemutest.Start(t, append(qemutest.Firmware(t), "-drive", "if=none,id=esp,format=raw,file="+espWith(t, image),
		"-device", "nvme,drive=esp,serial=esp,bootindex=0")...)
	vm.WaitFor(cmdline + "\"")
	vm.WaitOff()
	expectModulesLoaded(t, vm)
}

func expectModulesLoaded(t *testing.T, vm *qemutest.VM) {
	t.Helper()
	if strings.Contains(vm.Console(), "INIT cannot") {
		t.Errorf("the init had trouble:\n%s", vm.Console())
	}
}

// espWith makes a FAT drive that UEFI firmware starts the program from.
func espWith(t *testing.T, program []byte) string {
	t.Helper()
	dir := t.TempDir()
	drive, efi := filepath.Join(dir, "esp"), filepath.Join(dir, "boot.efi")
	if err := os.WriteFile(efi, program, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"truncate", "--size=64M", drive},
		{"mkfs.vfat", "-F", "32", drive},
		{"mmd", "-i", drive, "::EFI", "::EFI/BOOT"},
		{"mcopy", "-i", drive, efi, "::EFI/BOOT/BOOTX64.EFI"},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Skipf("makes a FAT drive: %s is not installed", command[0])
		}
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	return drive
}
