package sim

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat16"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

// commandLine finds what the firmware is told to start and gives its kernel command line; empty for the disk.
func commandLine(boot vbmc.Boot, media string) (string, error) {
	switch {
	case boot.Target == vbmc.TargetCD && media == "":
		return "", errors.New("the virtual CD's drive is empty")
	case boot.Target == vbmc.TargetCD:
		return ofCD(media)
	case boot.Target == vbmc.TargetUEFIHTTP && boot.HTTPURI != "":
		return ofURL(boot.HTTPURI)
	case boot.Target == vbmc.TargetUEFIHTTP || boot.Target == vbmc.TargetPXE:
		return "", errors.New("the simulated network offers nothing")
	}
	return "", nil
}

// Sizes and places in a bootable CD (El Torito specification 1.0, figures 2, 4 and 7).
const (
	cdSector      = 2048
	bootRecordAt  = 17 * cdSector // the descriptor that names the boot catalog
	catalogField  = 0x47
	entryAt       = 0x20 // of the initial entry in the catalog
	loadField     = 8    // its image's first sector
	maxUKI        = 512 << 20
	bootLoader    = "/EFI/BOOT/BOOTX64.EFI" // UEFI specification 3.5.1.1
	fatBlockBytes = 512
)

// ofCD reads a CD as UEFI firmware does: the El Torito entry leads to a FAT image with the default boot loader.
func ofCD(path string) (line string, err error) {
	cd, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer cd.Close() //nolint:errcheck // only read
	sector := make([]byte, 4)
	if _, err := cd.ReadAt(sector, bootRecordAt+catalogField); err != nil {
		return "", fmt.Errorf("no boot record on the CD: %w", err)
	}
	catalog := int64(binary.LittleEndian.Uint32(sector)) * cdSector
	if _, err := cd.ReadAt(sector, catalog+entryAt+loadField); err != nil {
		return "", fmt.Errorf("no boot catalog on the CD: %w", err)
	}
	start := int64(binary.LittleEndian.Uint32(sector)) * cdSector
	info, err := cd.Stat()
	if err != nil {
		return "", err
	}
	fat, err := fat16.Read(file.New(cd, true), info.Size()-start, start, fatBlockBytes)
	if err != nil {
		return "", fmt.Errorf("no file system to boot from on the CD: %w", err)
	}
	loader, err := fat.OpenFile(bootLoader, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer loader.Close() //nolint:errcheck // only read
	uki, err := io.ReadAll(loader)
	if err != nil {
		return "", err
	}
	return ofUKI(uki)
}

func ofURL(url string) (string, error) {
	answer, err := http.Get(url) //nolint:gosec,noctx // a BMC's order; the server ends it
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the boot server answers %s", answer.Status)
	}
	uki, err := io.ReadAll(io.LimitReader(answer.Body, maxUKI))
	if err != nil {
		return "", err
	}
	return ofUKI(uki)
}

// ofUKI is the command line in a unified kernel image.
func ofUKI(uki []byte) (string, error) {
	program, err := pe.NewFile(bytes.NewReader(uki))
	if err != nil {
		return "", fmt.Errorf("what was loaded is no EFI program: %w", err)
	}
	section := program.Section(".cmdline")
	if section == nil {
		return "", errors.New("what was loaded is no unified kernel image")
	}
	line, err := section.Data()
	return string(bytes.TrimRight(line, "\x00 \n")), err
}

var token = regexp.MustCompile(`(ingot\.token=)\S+`)

// withoutToken is a command line that may be logged.
func withoutToken(line string) string { return token.ReplaceAllString(line, "${1}…") }

// Artifacts writes boot artefacts that simulated machines start and real ones do not: a real unified kernel image whose
// kernel and RAM disk are a line of text each. So a cloud of simulated machines needs no kernel.
func Artifacts(dir string) (ramdisk.Artifacts, error) {
	a := ramdisk.Artifacts{
		Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd"), UKI: filepath.Join(dir, "ingot-agent.efi"), KernelVersion: "simulated",
	}
	a.RescueInitrd, a.RescueUKI = a.Initrd, a.UKI
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return a, err
	}
	for _, path := range []string{a.Kernel, a.Initrd} {
		if err := os.WriteFile(path, []byte("for simulated machines only\n"), 0o644); err != nil {
			return a, err
		}
	}
	return a, ramdisk.UKI{Stub: ramdisk.Stub, Kernel: a.Kernel, Initrd: a.Initrd, OSRelease: "ID=ingot\n", Version: a.KernelVersion}.Write(a.UKI)
}
