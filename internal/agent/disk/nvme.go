package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Secure erase settings of Format NVM (NVM Command Set 1.0, 4.1.2 with NVMe Base 2.0, 5.14).
const (
	sesUser   = 1
	sesCrypto = 2
)

// From linux/nvme_ioctl.h.
const (
	nvmeIoctlID    = 0x4e40
	nvmeIoctlAdmin = 0xc0484e41
)

// Admin opcodes, and what Identify may name.
const (
	nvmeIdentify         = 0x06
	nvmeFormatNVM        = 0x80
	identifyNamespace    = 0
	identifyController   = 1
	identifyActiveSpaces = 2
)

// formatTimeout is long: a user data erase of a large disk may overwrite it.
const formatTimeout = 2 * time.Hour

// nvmeCommand is struct nvme_passthru_cmd.
type nvmeCommand struct {
	opcode, flags           uint8
	_                       uint16
	nsid                    uint32
	_, _                    uint32
	_                       uint64
	addr                    uint64
	_, dataLen              uint32
	cdw10, _, _, _, _, _    uint32
	timeoutMilliseconds, rc uint32
}

// nvmeFormat erases a namespace by Format NVM, keeping its block format.
func nvmeFormat(ses uint32) func(context.Context, *Disk, func(int64)) error {
	return func(_ context.Context, d *Disk, count func(int64)) error {
		nsid, err := unix.IoctlRetInt(int(d.Fd()), nvmeIoctlID)
		if err != nil || nsid <= 0 {
			return errors.New("not an NVMe disk")
		}
		controller, err := d.identify(0, identifyController)
		if err != nil {
			return err
		}
		active, err := d.identify(0, identifyActiveSpaces)
		if err != nil {
			return err
		}
		if err := formatAllowed(controller, active, ses); err != nil {
			return err
		}
		namespace, err := d.identify(uint32(nsid), identifyNamespace)
		if err != nil {
			return err
		}
		cmd := nvmeCommand{
			opcode:              nvmeFormatNVM,
			nsid:                uint32(nsid),
			cdw10:               formatDword(namespace, ses),
			timeoutMilliseconds: uint32(formatTimeout.Milliseconds()),
		}
		if err := d.admin(&cmd); err != nil {
			return fmt.Errorf("format: %w", err)
		}
		count(d.Size)
		return nil
	}
}

// formatAllowed reads OACS (256), FNA (524) and the list of active namespaces.
func formatAllowed(controller, active []byte, ses uint32) error {
	const formats, eraseAll, crypto = 1 << 1, 1 << 1, 1 << 2
	fna := controller[524]
	switch {
	case binary.LittleEndian.Uint16(controller[256:])&formats == 0:
		return errors.New("the controller does not format")
	case ses == sesCrypto && fna&crypto == 0:
		return errors.New("the controller has no cryptographic erase")
	case fna&eraseAll != 0 && binary.LittleEndian.Uint32(active[4:]) != 0:
		return errors.New("the controller would erase other namespaces too")
	}
	return nil
}

// formatDword keeps the namespace's LBA format (FLBAS, 26) and protection (DPS, 29).
func formatDword(namespace []byte, ses uint32) uint32 {
	flbas, dps := uint32(namespace[26]), uint32(namespace[29])
	lbaf, metadata := flbas&0xf, flbas>>4&1
	upper := flbas >> 5 & 3
	return lbaf | metadata<<4 | (dps&7)<<5 | (dps>>3&1)<<8 | ses<<9 | upper<<12
}

func (d *Disk) identify(nsid, what uint32) ([]byte, error) {
	page := Buffer(4096)
	cmd := nvmeCommand{opcode: nvmeIdentify, nsid: nsid, cdw10: what, addr: uint64(uintptr(unsafe.Pointer(&page[0]))), dataLen: uint32(len(page))}
	err := d.admin(&cmd)
	runtime.KeepAlive(page)
	if err != nil {
		return nil, fmt.Errorf("identify %d: %w", what, err)
	}
	return page, nil
}

// admin sends a command; a positive return of the ioctl is the NVMe status.
func (d *Disk) admin(cmd *nvmeCommand) error {
	status, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), nvmeIoctlAdmin, uintptr(unsafe.Pointer(cmd)))
	if errno != 0 {
		return errno
	}
	if status != 0 {
		return fmt.Errorf("NVMe status %#x", status)
	}
	return nil
}
