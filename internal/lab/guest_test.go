package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// bootSector is a whole guest in 512 bytes: it says its letter on the serial line and then obeys single keys, r to
// reset the machine and s to shut it down.
func bootSector(letter byte) []byte {
	code := []byte{0xfa, 0xba, 0xf8, 0x03} // cli; mov dx, 0x3f8: COM1
	for _, c := range []byte{'<', letter, '>', '\n'} {
		code = append(code, 0xb0, c, 0xee) // mov al, c; out dx, al
	}
	code = append(code,
		0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd
		0xec,       // in al, dx
		0xa8, 0x01, // test al, 1: is there a key?
		0x74, 0xfb, // jz -5
		0xba, 0xf8, 0x03, 0xec, // mov dx, 0x3f8; in al, dx
		0x3c, 'r', 0x74, 0x0c, // cmp al, 'r'; je reset
		0x3c, 's', 0x75, 0xec, // cmp al, 's'; jne wait
		0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, // mov dx, 0x604; mov ax, 0x2000; out dx, ax: ACPI sleep S5
		0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, // reset: mov dx, 0xcf9; mov al, 6; out dx, al
	)
	sector := make([]byte, 512)
	copy(sector, code)
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// bootCD is an El Torito image with the boot sector.
func bootCD(t *testing.T, dir string, letter byte) string {
	t.Helper()
	name := filepath.Join(dir, "boot.iso")
	image, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if err := image.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	fs, err := iso9660.Create(file.New(image, false), 1<<20, 0, 2048, "")
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile("BOOT.BIN", os.O_CREATE|os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append(bootSector(letter), make([]byte, 1536)...)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := fs.Finalize(iso9660.FinalizeOptions{VolumeIdentifier: "LAB", ElTorito: &iso9660.ElTorito{
		Entries: []*iso9660.ElToritoEntry{
			{Platform: iso9660.BIOS, Emulation: iso9660.NoEmulation, BootFile: "BOOT.BIN"},
		},
	}}); err != nil {
		t.Fatal(err)
	}
	return name
}
