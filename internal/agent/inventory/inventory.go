// Package inventory finds out what a machine is made of, from /sys, /proc, the SMBIOS tables, the TPM and LLDP.
//
// What cannot be read becomes a note in the inventory, never a failure: a machine without a TPM or with an odd NIC is
// still a machine.
package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// Reader reads a machine. The roots are the machine's own, or a test's copies.
type Reader struct {
	Sys  string // /sys
	Proc string // /proc
	Dev  string // /dev
	// Neighbour tells a NIC's LLDP neighbour, nil when none was heard; a nil function: nobody listens.
	Neighbour func(nic string) *agentapi.LLDP

	notes []string
}

// New reads this machine.
func New(neighbour func(nic string) *agentapi.LLDP) *Reader {
	return &Reader{Sys: "/sys", Proc: "/proc", Dev: "/dev", Neighbour: neighbour}
}

// Read gives the whole inventory.
func (r *Reader) Read() agentapi.Inventory {
	r.notes = nil
	inv := agentapi.Inventory{
		UUID:     r.UUID(),
		Vendor:   r.dmi("sys_vendor"),
		Product:  r.dmi("product_name"),
		Serial:   r.dmi("product_serial"),
		BIOS:     strings.Join(nonEmpty(r.dmi("bios_vendor"), r.dmi("bios_version"), r.dmi("bios_date")), " "),
		BootMode: "bios",
		Arch:     architecture(),
		CPU:      r.cpu(),
		Memory:   r.memory(),
		NUMA:     r.numa(),
		Disks:    r.Disks(),
		NICs:     r.NICs(),
		TPM:      r.tpm(),
	}
	if _, err := os.Stat(filepath.Join(r.Sys, "firmware/efi")); err == nil {
		inv.BootMode = "uefi"
		inv.Secure = r.secureBoot()
	}
	inv.Notes = r.notes
	return inv
}

// UUID is the SMBIOS system UUID in lower case, as Redfish writes it; empty when there is none.
func (r *Reader) UUID() string { return strings.ToLower(r.dmi("product_uuid")) }

func (r *Reader) dmi(name string) string { return r.text("class/dmi/id", name) }

// secureBoot reads the EFI variable: four bytes of attributes, one of value (UEFI 2.10, 3.3).
func (r *Reader) secureBoot() bool {
	value, err := os.ReadFile(filepath.Join(r.Sys, "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"))
	if err != nil {
		if !os.IsNotExist(err) {
			r.note("Secure Boot", err)
		}
		return false
	}
	return len(value) == 5 && value[4] == 1
}

func architecture() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

func (r *Reader) note(what string, err error) {
	r.notes = append(r.notes, fmt.Sprintf("%s: %v", what, err))
}

// text is a sysfs attribute without the space around it; empty when it is absent.
func (r *Reader) text(path ...string) string {
	b, err := os.ReadFile(filepath.Join(append([]string{r.Sys}, path...)...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.Trim(string(b), "\x00"))
}

// number is a sysfs attribute as a number; 0 when it is absent or none.
func (r *Reader) number(path ...string) int64 {
	n, err := strconv.ParseInt(r.text(path...), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

func (r *Reader) list(path string) []string {
	entries, err := os.ReadDir(filepath.Join(r.Sys, path))
	if err != nil && !os.IsNotExist(err) {
		r.note(path, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// device is the real path of a device below /sys, which shows the buses that it hangs on.
func (r *Reader) device(path ...string) string {
	real, err := filepath.EvalSymlinks(filepath.Join(append([]string{r.Sys}, path...)...))
	if err != nil {
		return ""
	}
	return real
}

var pciAddress = regexp.MustCompile(`[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]`)

// pci is the last PCI address in a device's path.
func pci(device string) string {
	all := pciAddress.FindAllString(device, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}
