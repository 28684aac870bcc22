package lab

import (
	"fmt"
	"strings"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// The files of a machine's folder, which is QEMU's working directory: relative names keep sockets within the 107
// bytes that their names may have, and commas out of the command line.
const (
	fileQMP        = "qmp.sock"
	fileSerial     = "serial.sock"
	fileSerialLog  = "serial.log"
	fileVNC        = "vnc.sock"
	fileTPM        = "tpm.sock"
	fileTPMPID     = "tpm.pid"
	fileVars       = "vars.fd"        // firmware variables with Secure Boot off
	fileVarsSecure = "vars-secure.fd" // and on
	fileState      = "state.json"
	fileLog        = "qemu.log"
)

// firstTap is the file descriptor of the first NIC's tap, after standard input, output and error. A descriptor, and not the
// tap's name, because the taps of one machine may be in different network namespaces.
const firstTap = 3

func fileDisk(i int) string { return fmt.Sprintf("disk%d.raw", i) }

// Where Debian's package ovmf has the firmware. The variables with the snakeoil keys trust the certificate
// /usr/share/ovmf/PkKek-1-snakeoil.pem, whose private key is in the package: what the lab signs with.
const (
	ovmfCode        = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfCodeSecure  = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	ovmfVars        = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	ovmfVarsEnroled = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
)

// hardware is everything that a command line depends on.
type hardware struct {
	rack       string // the rack's name, for what is derived from it
	run        string // names the process for people who look at ps
	spec       MachineSpec
	taps       []tap // one per NIC
	accel      string
	direct     bool // the disks' file system takes O_DIRECT
	boot       vbmc.Boot
	secureBoot bool
}

// vars says which file of firmware variables this boot uses and what it is copied from when it is not there yet.
// Variables persist over power cycles as in a real machine, one file for each state of Secure Boot: a stale boot entry
// does no harm, because OVMF drops the entries that QEMU's boot order does not name.
func (h hardware) vars() (file, template string) {
	if h.secureBoot {
		return fileVarsSecure, ovmfVarsEnroled
	}
	return fileVars, ovmfVars
}

// bootOrder lists the devices in the order in which the firmware tries them: the override's first, then the rest of the
// usual order, disks and then the network.
func (h hardware) bootOrder() []string {
	var disks, nics []string
	for i := range h.spec.Disks {
		disks = append(disks, fmt.Sprintf("disk%d", i))
	}
	for i := range h.spec.NICs {
		nics = append(nics, fmt.Sprintf("nic%d", i))
	}
	switch h.boot.Target {
	case vbmc.TargetPXE, vbmc.TargetUEFIHTTP:
		return append(nics, disks...)
	case vbmc.TargetCD:
		return append(append([]string{"cd"}, disks...), nics...)
	}
	return append(disks, nics...)
}

// processor is all that the accelerator can do, less the AES instructions where they are emulated: that is six times slower
// than to do without, and both ends of a TLS connection then agree on ChaCha20 by themselves.
func (h hardware) processor() string {
	if strings.HasPrefix(h.accel, "tcg") {
		return "max,-aes"
	}
	return "max"
}

// commandLine is QEMU's arguments. The machine comes up paused, so that nobody misses its first words, and pauses again
// when the guest resets or shuts down, so that the lab can tell which of them it was: a reset starts a new QEMU with
// the next boot's command line. kexec is neither and goes on undisturbed.
func (h hardware) commandLine() []string {
	uefi := h.boot.Mode == vbmc.ModeUEFI
	secureFirmware := uefi && h.spec.SecureBoot
	var args []string
	add := func(option string, values ...string) {
		args = append(args, option)
		if len(values) > 0 {
			args = append(args, strings.Join(values, ","))
		}
	}
	index := map[string]string{}
	for i, device := range h.bootOrder() {
		index[device] = fmt.Sprintf("bootindex=%d", i)
	}
	device := func(kind, id string, values ...string) {
		values = append([]string{kind, "id=" + id}, values...)
		if at, ok := index[id]; ok {
			values = append(values, at)
		}
		add("-device", values...)
	}

	add("-name", "ingot-"+h.run+"/"+h.spec.Name)
	add("-nodefaults")
	add("-no-user-config")
	machine := []string{"q35", "hpet=off"} // under TCG its interrupts were seen to stop after a kexec
	if secureFirmware {
		machine = append(machine, "smm=on")
	}
	if !uefi {
		machine = append(machine, "graphics=off") // SeaBIOS then speaks on the serial line too
	}
	add("-machine", machine...)
	add("-accel", h.accel)
	add("-cpu", h.processor())
	add("-smp", fmt.Sprint(h.spec.CPUs))
	add("-m", fmt.Sprint(h.spec.MemoryMiB))
	add("-uuid", deriveUUID(h.rack, h.spec.Name))
	add("-smbios", "type=1", "manufacturer="+vendor, "product="+model, "serial="+chassisSerial(h.rack, h.spec.Name))
	add("-S")
	add("-action", "reboot=shutdown", "shutdown=pause")
	add("-boot", "strict=on")
	add("-qmp", "unix:"+fileQMP, "server=on", "wait=off")
	add("-chardev", "socket", "id=serial", "path="+fileSerial, "server=on", "wait=off", "logfile="+fileSerialLog, "logappend=on")
	add("-serial", "chardev:serial")
	add("-vnc", "unix:"+fileVNC)

	if uefi {
		code := ovmfCode
		if secureFirmware {
			code = ovmfCodeSecure
			add("-global", "driver=cfi.pflash01", "property=secure", "value=on")
			add("-global", "ICH9-LPC.disable_s3=1") // OVMF cannot resume from S3 with this flash
		}
		vars, _ := h.vars()
		add("-drive", "if=pflash", "unit=0", "format=raw", "readonly=on", "file="+code)
		add("-drive", "if=pflash", "unit=1", "format=raw", "file="+vars)
		add("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport", "string=n") // nobody answers, and it waits long
		if h.boot.Target == vbmc.TargetUEFIHTTP {
			add("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport", "string=n") // PXE would come before HTTP
		}
	}

	for i, nic := range h.spec.NICs {
		id := fmt.Sprintf("nic%d", i)
		add("-netdev", "tap", "id=net-"+id, fmt.Sprintf("fd=%d", firstTap+i))
		values := []string{"netdev=net-" + id, "mac=" + nic.MAC}
		if uefi {
			values = append(values, "romfile=") // OVMF's own network stack, not the card's iPXE
		}
		device("virtio-net-pci", id, values...)
	}
	add("-device", "VGA")
	add("-device", "virtio-rng-pci")
	add("-device", "virtio-scsi-pci", "id=scsi")
	device("scsi-cd", "cd", "bus=scsi.0")
	cache := "cache=writeback"
	if h.direct {
		cache = "cache=none"
	}
	for i, disk := range h.spec.Disks {
		id := fmt.Sprintf("disk%d", i)
		add("-drive", "if=none", "id=file-"+id, "file="+fileDisk(i), "format=raw", cache, "discard=unmap")
		values := []string{"drive=file-" + id, "serial=" + disk.Serial}
		switch disk.Bus {
		case "nvme":
			device("nvme", id, values...)
		case "virtio":
			device("virtio-blk-pci", id, values...)
		case "scsi":
			device("scsi-hd", id, append(values, "bus=scsi.0")...)
		}
	}
	if h.spec.TPM {
		add("-chardev", "socket", "id=tpm", "path="+fileTPM)
		add("-tpmdev", "emulator", "id=tpm0", "chardev=tpm")
		add("-device", "tpm-crb", "tpmdev=tpm0")
	}
	return args
}
