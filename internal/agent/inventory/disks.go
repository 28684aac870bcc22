package inventory

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

var (
	// notDisks are block devices that are no disk of the machine.
	notDisks = regexp.MustCompile(`^(loop|ram|zram|sr|fd|dm-|md|nbd|mtdblock|rbd|nvme\d+c\d+n\d+|mmcblk\d+(boot\d+|rpmb))`)
	// realWWN tells an identifier that is unique in the world from one that the kernel makes of vendor and serial.
	realWWN = regexp.MustCompile(`^(naa|eui|uuid)\.`)
)

// Disks of the machine, by name: no CDs, no removable media, nothing without a medium.
func (r *Reader) Disks() []agentapi.Disk {
	var disks []agentapi.Disk
	for _, name := range r.list("block") {
		dir := filepath.Join("block", name)
		sectors := r.number(dir, "size") // always of 512 bytes
		if notDisks.MatchString(name) || sectors == 0 || r.number(dir, "hidden") == 1 || r.number(dir, "removable") == 1 {
			continue
		}
		device := r.device(dir)
		d := agentapi.Disk{
			Name:       filepath.Join(r.Dev, name),
			Model:      strings.Join(nonEmpty(r.text(dir, "device/vendor"), r.text(dir, "device/model")), " "),
			Serial:     r.diskSerial(dir),
			WWN:        r.wwn(dir),
			Bus:        bus(device),
			Size:       sectors * 512,
			Rotational: r.number(dir, "queue/rotational") == 1,
			Block:      int(max(512, r.number(dir, "queue/logical_block_size"))),
		}
		switch d.Bus {
		case "virtio": // its vendor is a number
			d.Model = "virtio"
		case "nvme", "ata": // the vendor is the bus or an ID
			d.Model = r.text(dir, "device/model")
		}
		d.ID = d.WWN
		if d.ID == "" {
			d.ID = d.Serial
		}
		if d.ID == "" {
			d.ID = "pci-" + pci(device) + "-" + name
		}
		disks = append(disks, d)
	}
	return disks
}

func bus(device string) string {
	for _, kind := range []struct{ part, bus string }{
		{"/usb", "usb"}, {"/nvme", "nvme"}, {"/ata", "ata"}, {"/host", "scsi"}, {"/virtio", "virtio"},
	} {
		if strings.Contains(device, kind.part) {
			return kind.bus
		}
	}
	return "other"
}

// diskSerial looks where the drivers put it: nvme in device/serial, virtio in serial, SCSI in the vital product data
// page 0x80 (SPC-4, 7.8.11), whose first four bytes are a header.
func (r *Reader) diskSerial(dir string) string {
	for _, name := range []string{"device/serial", "serial"} {
		if s := r.text(dir, name); s != "" {
			return s
		}
	}
	if page := r.text(dir, "device/vpd_pg80"); len(page) > 0 {
		// text strips the header's leading zero; what is printable after the rest of it is the serial.
		return strings.TrimSpace(strings.TrimLeftFunc(page, func(c rune) bool { return c < ' ' || c > '~' }))
	}
	return ""
}

func (r *Reader) wwn(dir string) string {
	for _, name := range []string{"wwid", "device/wwid"} {
		if w := r.text(dir, name); realWWN.MatchString(w) {
			return w
		}
	}
	return ""
}
