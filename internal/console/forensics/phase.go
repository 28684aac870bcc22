package forensics

import "regexp"

// Phase of a boot. Their order is that of a boot; some are skipped by some machines.
type Phase int

// The phases.
const (
	PowerOn     Phase = iota // the BMC was told, nothing was printed yet
	Firmware                 // POST, UEFI
	NetworkBoot              // PXE, HTTP
	DiskBoot                 // the firmware loads from a disk or a CD
	BootLoader               // GRUB, systemd-boot, the kernel's EFI stub
	Kernel
	Init // the initial RAM disk, then systemd or whatever is first
	CloudInit
	Login // somebody could log in: the boot was good
)

var phaseNames = [...]string{"power on", "firmware", "network boot", "disk boot", "boot loader", "kernel", "init", "cloud-init", "login"}

// String is the phase's name for people.
func (p Phase) String() string { return phaseNames[p] }

// MarshalText writes the name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// phaseSign tells that a phase has begun.
type phaseSign struct {
	phase Phase
	text  string // somewhere in the line
	tells tells
}

// tells says what it means to see a sign when the boot is further than that.
type tells int

const (
	nothing tells = iota // a straggler, or somebody speaks of it: the kernel names the firmware's maker
	reset                // no kernel prints that: after a kernel it is another boot
	start                // it is printed once, at the start: it is another boot in any case
)

// signs: the first that fits a line counts.
var signs = []phaseSign{
	{Firmware, "SeaBIOS (version", start}, {Firmware, "UEFI firmware (version", start},
	{Firmware, "American Megatrends", nothing}, {Firmware, "Lifecycle Controller", nothing},
	{Firmware, "Press <F2>", nothing}, {Firmware, "Press F2", nothing}, {Firmware, "Press <DEL>", nothing},
	{NetworkBoot, "iPXE initialising devices", reset}, {NetworkBoot, ">>Start PXE over", reset}, {NetworkBoot, ">>Start HTTP Boot over", reset},
	{NetworkBoot, "Booting from ROM", reset}, {NetworkBoot, "PXE-E", nothing},
	{DiskBoot, "Booting from Hard Disk", reset}, {DiskBoot, "Booting from DVD/CD", reset}, {DiskBoot, "BdsDxe: starting Boot", reset},
	{Firmware, "BdsDxe: ", reset},
	{BootLoader, "GRUB loading", start}, {BootLoader, "Welcome to GRUB", reset}, {BootLoader, "GNU GRUB", reset}, {BootLoader, "grub rescue>", reset},
	{BootLoader, "EFI stub: ", reset}, {BootLoader, "Loading initial ramdisk", nothing},
	{Kernel, "] Linux version ", start},
	{Init, "Run /init as init process", nothing}, {Init, "Run /sbin/init as init process", nothing}, {Init, "systemd[1]: ", nothing},
	{Init, "Loading, please wait", nothing}, {Init, "Begin: Loading essential drivers", nothing}, {Init, "INIT: version", nothing},
	{Init, "dracut: ", nothing}, {CloudInit, "Cloud-init v. ", nothing}, {CloudInit, "cloud-init[", nothing},
}

// prompt is what getty prints: the machine's name and "login:".
var prompt = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]* login:`)

const promptText = "login:"

// phaseOf tells which phase a line that has these texts speaks of.
func phaseOf(line string, has map[string]bool) (phaseSign, bool) {
	if has == nil {
		return phaseSign{}, false
	}
	for _, sign := range signs {
		if has[sign.text] {
			return sign, true
		}
	}
	if has[promptText] && prompt.MatchString(line) {
		return phaseSign{phase: Login}, true
	}
	return phaseSign{}, false
}
