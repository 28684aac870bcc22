package netboot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// efiImage is the name of the FAT image on the ISO; nothing may sort after it, see buildISO.
const efiImage = "EFI.IMG"

// buildISO writes a CD that UEFI firmware starts: ISO 9660 with an El Torito boot catalog, whose only entry is a FAT
// image with the unified kernel image as the default boot loader (UEFI specification 13.3.2).
func buildISO(to, uki string) (err error) {
	work, err := os.MkdirTemp(filepath.Dir(to), "netboot-iso-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	tree := filepath.Join(work, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return err
	}
	if err := buildFAT(filepath.Join(tree, efiImage), uki); err != nil {
		return fmt.Errorf("FAT image: %w", err)
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	iso, err := iso9660.Create(file.New(out, false), 0, 0, 2048, tree)
	if err != nil {
		return err
	}
	// The catalog counts 512-byte sectors in 16 bits. For an image over 32 MiB the count is 0, which firmware takes as
	// "to the end of the disc", so the image must be the last file.
	if err := iso.Finalize(iso9660.FinalizeOptions{
		VolumeIdentifier: "INGOT",
		ElTorito: &iso9660.ElTorito{Entries: []*iso9660.ElToritoEntry{
			{Platform: iso9660.EFI, Emulation: iso9660.NoEmulation, BootFile: efiImage},
		}},
	}); err != nil {
		return err
	}
	// The library does not look at every write's error, so read it all back.
	return verifyISO(out, uki)
}

// buildFAT writes a FAT16 file system with \EFI\BOOT\BOOTX64.EFI.
func buildFAT(to, uki string) (err error) {
	content, err := os.ReadFile(uki)
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	// Room for the tables and directories; FAT16 has at least 4085 clusters, here of 1 KiB; whole CD sectors.
	size := max(int64(len(content))+int64(len(content))/64+1<<20, 8<<20) &^ 2047
	if err := out.Truncate(size); err != nil {
		return err
	}
	fs, err := fat16.Create(file.New(out, false), size, 0, 512, "INGOT", true)
	if err != nil {
		return err
	}
	if err := fs.Mkdir("/EFI/BOOT"); err != nil {
		return err
	}
	f, err := fs.OpenFile("/EFI/BOOT/BOOTX64.EFI", os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// verifyISO says whether the whole unified kernel image lies in one piece in the ISO: what is patched per boot.
func verifyISO(iso io.ReaderAt, uki string) error {
	u, err := openFile(uki, "")
	if err != nil {
		return err
	}
	defer u.Close()
	at, err := findUKI(iso, u)
	if err != nil {
		return err
	}
	const step = 1 << 20
	want, got := make([]byte, step), make([]byte, step)
	for off := int64(0); off < u.size; off += step {
		n := min(step, u.size-off)
		_, err1 := u.ReadAt(want[:n], off)
		_, err2 := iso.ReadAt(got[:n], at+off)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(want[:n], got[:n]) {
			return fmt.Errorf("the ISO image differs from %s at byte %d", uki, off)
		}
	}
	return nil
}

// findUKI is the offset of the unified kernel image in an ISO that buildISO made. Only small tables come before it.
func findUKI(iso, uki io.ReaderAt) (int64, error) {
	head, front := make([]byte, 1024), make([]byte, 4<<20)
	if _, err := uki.ReadAt(head, 0); err != nil {
		return 0, err
	}
	n, err := iso.ReadAt(front, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	at := bytes.Index(front[:n], head)
	if at < 0 {
		return 0, errors.New("the ISO image does not hold the unified kernel image")
	}
	return int64(at), nil
}
