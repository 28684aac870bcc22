package lab

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// What a machine is born with is derived from its rack's and its own name, so that it stays the same machine when the
// folder is made anew.

// deriveMAC is an address of the range that QEMU uses, 52:54:00 and three bytes.
func deriveMAC(rack, machine string, nic int) string {
	return hashMAC(fmt.Sprintf("%s/%s/nic%d", rack, machine, nic))
}

// deriveServicesMAC is the address of the control plane's interface.
func deriveServicesMAC(rack string) string { return hashMAC(rack + "/services") }

// deriveSwitchID is the MAC that stands for a switch or a chassis.
func deriveSwitchID(rack, name string) string { return hashMAC(rack + "/switch/" + name) }

func hashMAC(text string) string {
	h := sha256.Sum256([]byte(text))
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", h[0], h[1], h[2])
}

// The VLANs of server ports: 1 is the switch's own, and some of the last are special to many switches.
const firstVLAN, vlans = 2, 4000

func deriveVLAN(mac string) int {
	h := sha256.Sum256(fmt.Appendf(nil, "vlan of %s", mac))
	return firstVLAN + int(binary.BigEndian.Uint16(h[:]))%vlans
}

// deriveSerial fits in the 20 characters that NVMe and virtio have.
func deriveSerial(rack, machine string, disk int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%s/disk%d", rack, machine, disk))
	return fmt.Sprintf("LAB%X", h[:6])
}

func deriveUUID(rack, machine string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("ingot-lab:"+rack+"/"+machine)).String()
}

func chassisSerial(rack, machine string) string { return strings.ToUpper(rack + "-" + machine) }
