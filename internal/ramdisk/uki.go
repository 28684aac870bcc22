package ramdisk

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Stub is where the distribution's package systemd-boot-efi keeps the EFI program that starts a unified kernel image.
const Stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// CmdlineSize is the room for the kernel command line in a unified kernel image, in bytes, with its closing NUL. It is
// what x86 kernels take (COMMAND_LINE_SIZE).
const CmdlineSize = 2048

// cmdlineSection keeps the command line in a unified kernel image.
const cmdlineSection = ".cmdline"

// UKI is a unified kernel image: one EFI program out of a stub, a kernel, an initrd and a command line, as the UAPI
// group's specification says (https://uapi-group.org/specifications/specs/unified_kernel_image/).
type UKI struct {
	Stub, Kernel, Initrd string // files
	OSRelease            string // content of the os-release file
	Version              string // as uname -r says
	Cmdline              string
}

// Write assembles the image to the file. The sections are appended to the stub here and not by objcopy, which knows
// nothing of PE's alignments and image size and which systemd's own ukify gave up for that.
func (u UKI) Write(file string) error {
	stub, err := os.ReadFile(u.Stub)
	if err != nil {
		return fmt.Errorf("read the EFI stub (package systemd-boot-efi): %w", err)
	}
	kernel, err := os.ReadFile(u.Kernel)
	if err != nil {
		return err
	}
	initrd, err := os.ReadFile(u.Initrd)
	if err != nil {
		return err
	}
	cmdline, err := paddedCmdline(u.Cmdline, CmdlineSize)
	if err != nil {
		return err
	}
	image, err := appendSections(stub, []section{
		{".osrel", []byte(u.OSRelease)},
		{".uname", []byte(u.Version)},
		{cmdlineSection, cmdline},
		{".linux", kernel},
		{".initrd", initrd},
	})
	if err != nil {
		return fmt.Errorf("assemble the unified kernel image: %w", err)
	}
	return os.WriteFile(file, image, 0o644)
}

type section struct {
	name string
	data []byte
}

// appendSections adds sections to a PE32+ program behind what it has, in the file and in memory.
func appendSections(program []byte, added []section) ([]byte, error) {
	h, err := readHeaders(program)
	if err != nil {
		return nil, err
	}
	if int(h.endOfSections()) > len(program) {
		return nil, errors.New("the EFI program is cut short")
	}
	// Pages of their own, even where the program is content with less.
	memoryAlign := max(h.optional.SectionAlignment, 4096)
	fileAlign := h.optional.FileAlignment
	image := bytes.Clone(program[:h.endOfSections()])
	// Behind its sections a stub may have symbols, which nobody loads. Left in the middle they would make a hole that
	// signers and firmware hash differently.
	h.file.PointerToSymbolTable, h.file.NumberOfSymbols = 0, 0
	end := h.optional.SizeOfImage
	for _, s := range added {
		size := uint32(len(s.data))
		header := pe.SectionHeader32{
			VirtualAddress:   align(end, memoryAlign),
			VirtualSize:      size,
			PointerToRawData: align(uint32(len(image)), fileAlign),
			SizeOfRawData:    align(size, fileAlign),
			Characteristics:  pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
		}
		copy(header.Name[:], s.name)
		h.sections = append(h.sections, header)
		image = append(image, make([]byte, header.PointerToRawData-uint32(len(image)))...)
		image = append(image, s.data...)
		image = append(image, make([]byte, header.SizeOfRawData-size)...)
		h.optional.SizeOfInitializedData += header.SizeOfRawData
		end = header.VirtualAddress + size
	}
	h.optional.SizeOfImage = align(end, memoryAlign)
	h.optional.CheckSum = 0 // nobody checks an EFI program's; a stale one would only mislead
	return image, h.write(image)
}

// headers of a PE32+ program, and where they stand.
type headers struct {
	offset   int
	file     pe.FileHeader
	optional pe.OptionalHeader64
	sections []pe.SectionHeader32
}

func readHeaders(program []byte) (*headers, error) {
	parsed, err := pe.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("not an EFI program: %w", err)
	}
	optional, ok := parsed.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		return nil, errors.New("not a 64-bit EFI program")
	}
	// pe.NewFile found the signature through the pointer at 0x3c; the headers follow its four bytes.
	h := &headers{offset: int(binary.LittleEndian.Uint32(program[0x3c:])) + 4, file: parsed.FileHeader, optional: *optional}
	h.sections = make([]pe.SectionHeader32, h.file.NumberOfSections)
	if _, err = binary.Decode(program[h.sectionTable():], binary.LittleEndian, h.sections); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *headers) sectionTable() int {
	return h.offset + binary.Size(h.file) + int(h.file.SizeOfOptionalHeader)
}

// endOfSections is where the last section ends in the file.
func (h *headers) endOfSections() uint32 {
	end := h.optional.SizeOfHeaders
	for _, s := range h.sections {
		end = max(end, s.PointerToRawData+s.SizeOfRawData)
	}
	return end
}

func (h *headers) write(program []byte) error {
	if end := h.sectionTable() + binary.Size(h.sections); end > int(h.optional.SizeOfHeaders) {
		return fmt.Errorf("the headers need %d bytes and the program has room for %d", end, h.optional.SizeOfHeaders)
	}
	h.file.NumberOfSections = uint16(len(h.sections))
	for _, part := range []struct {
		offset int
		data   any
	}{
		{h.offset, h.file},
		{h.offset + binary.Size(h.file), h.optional},
		{h.sectionTable(), h.sections},
	} {
		if _, err := binary.Encode(program[part.offset:], binary.LittleEndian, part.data); err != nil {
			return err
		}
	}
	return nil
}

func align(n, to uint32) uint32 { return (n + to - 1) / to * to }

// PatchCmdline sets the command line of a unified kernel image in place: the image keeps its size and everything else.
// A signature of the image is void after that, so sign later. It fails when the line is longer than the room that the
// image has for it, holds a NUL or a line break, or when the image has no room for a command line at all.
func PatchCmdline(uki []byte, cmdline string) error {
	h, err := readHeaders(uki)
	if err != nil {
		return err
	}
	for _, s := range h.sections {
		if string(bytes.TrimRight(s.Name[:], "\x00")) != cmdlineSection {
			continue
		}
		padded, err := paddedCmdline(cmdline, int(s.VirtualSize))
		if err != nil {
			return err
		}
		end := int64(s.PointerToRawData) + int64(len(padded))
		if s.SizeOfRawData < s.VirtualSize || end > int64(len(uki)) {
			return errors.New("the unified kernel image is cut short")
		}
		copy(uki[s.PointerToRawData:end], padded)
		return nil
	}
	return errors.New("the unified kernel image has no section for a command line")
}

func paddedCmdline(cmdline string, size int) ([]byte, error) {
	if len(cmdline) >= size {
		return nil, fmt.Errorf("the kernel command line has %d bytes and at most %d fit", len(cmdline), size-1)
	}
	if bytes.ContainsAny([]byte(cmdline), "\x00\r\n") {
		return nil, fmt.Errorf("the kernel command line %q has a NUL or a line break", cmdline)
	}
	padded := make([]byte, size)
	copy(padded, cmdline)
	return padded, nil
}
