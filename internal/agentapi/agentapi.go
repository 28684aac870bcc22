// Package agentapi is the contract between the control plane and ingot-agent, the init of the RAM disk that a machine
// runs whenever no tenant owns it. Both sides import only this package of each other's.
//
// The agent speaks first, over TLS to an address and a pinned key it got with its boot artefact (see Boot). It says
// Hello with the boot's one-time token and a secret of its own making; from then on the secret is its credential, the
// token is spent, and only this boot of this machine can speak for the machine. Then it asks for commands by long poll
// and reports on the one it runs. Commands have ids: asking again, or being asked again after either side's restart,
// never runs one twice.
package agentapi

import (
	"encoding/json"
	"time"
)

// Paths under the agent listener. All bodies are JSON; errors are {"error": "sentence"} with a 4xx or 5xx status.
const (
	PathHello   = "/agent/v1/hello"        // POST Hello → Welcome
	PathCommand = "/agent/v1/command"      // GET → 200 Command, or 204 after PollWait with none
	PathReport  = "/agent/v1/report"       // POST Report → 204; 409 when the command is no longer ours: stop it
	PathImage   = "/agent/v1/images/{id}/" // GET manifest (JSON deployimage.Manifest) and blob (bytes, with Range)
)

// Headers of every request after Hello.
const (
	HeaderSession = "X-Ingot-Session" // Welcome.Session
	HeaderSecret  = "X-Ingot-Secret"  // Hello.Secret
)

// PollWait is how long the control plane holds a GET PathCommand that has nothing to hand out.
const PollWait = 20 * time.Second

// Boot is what a boot artefact carries to the agent, on the kernel command line as ingot.<name>=value.
type Boot struct {
	URL   string // ingot.url: https://host:port of the agent listener
	Pin   string // ingot.pin: hex SHA-256 of the listener certificate's SubjectPublicKeyInfo
	Token string // ingot.token: this boot's one-time token
	MAC   string // ingot.mac: the NIC to use
	CIDR  string // ingot.cidr: the address to give it, with prefix length; empty: DHCP
	Extra string // anything else, kept as it is: console=…
}

// Hello opens a session. Repeating it with the same token and secret gives the same session.
type Hello struct {
	Token   string    `json:"token"`
	Secret  string    `json:"secret"` // 32 random bytes, hex, made by the agent at start
	Version string    `json:"version"`
	UUID    string    `json:"uuid"` // SMBIOS system UUID
	MACs    []string  `json:"macs"`
	BootSec float64   `json:"boot_seconds"` // kernel uptime when the agent started
	Now     time.Time `json:"now"`          // the machine's clock: skew is shown, not trusted
}

// Welcome is the answer to Hello.
type Welcome struct {
	Session string    `json:"session"`
	Now     time.Time `json:"now"` // the agent sets its clock by it
}

// Kind of a command.
type Kind string

// The commands. The agent runs one at a time and answers each with a Result of the type named here.
const (
	KindInspect Kind = "inspect" // → Inventory
	KindErase   Kind = "erase"   // Erase → EraseResult
	KindDeploy  Kind = "deploy"  // Deploy → DeployResult
	KindBoot    Kind = "boot"    // BootInto: kexec or firmware; done is reported before the machine goes
	KindRescue  Kind = "rescue"  // Rescue: become the tenant's rescue system; done is reported before the agent forgets us
	KindRelease Kind = "release" // stop running commands of an older epoch; → nothing
	KindLog     Kind = "log"     // → the agent's own log, text
)

// Command is one order. Exactly the field named by Kind is set.
type Command struct {
	ID     string    `json:"id"`
	Epoch  int64     `json:"epoch"` // the agent refuses an epoch lower than the highest it has seen
	Kind   Kind      `json:"kind"`
	Erase  *Erase    `json:"erase,omitempty"`
	Deploy *Deploy   `json:"deploy,omitempty"`
	Boot   *BootInto `json:"boot,omitempty"`
	Rescue *Rescue   `json:"rescue,omitempty"`
}

// State of a command, as the agent reports it.
type State string

// The states. Running may come any number of times, with progress.
const (
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Report is the agent's word on a command. The agent repeats a Done or Failed until it is taken (204 or 409).
type Report struct {
	Command  string          `json:"command"`
	State    State           `json:"state"`
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"` // one sentence a tenant may read
	Fault    Fault           `json:"fault,omitempty"` // with Failed: who is to blame
}

// Progress of a long command; units are bytes unless Unit says otherwise.
type Progress struct {
	Step  string `json:"step"` // a sentence: "Writing the image"
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Unit  string `json:"unit,omitempty"`
}

// Fault classes decide what the control plane does next.
type Fault string

// The classes.
const (
	FaultRequest  Fault = "request"  // the order cannot work on any machine: disk image corrupt, bad config drive
	FaultMachine  Fault = "machine"  // this machine is broken: I/O errors, no disk: take another, quarantine this one
	FaultTooSmall Fault = "toosmall" // no disk here is large enough
	FaultRetry    Fault = "retry"    // network to the control plane: try again
)

// Erase names what to erase; an empty Disks means every internal disk.
type Erase struct {
	Disks []string `json:"disks,omitempty"` // stable ids as in Disk.ID
	// Verify reads back this many random blocks per disk beside first and last MiB; 0 takes the default of 64.
	Verify int `json:"verify,omitempty"`
}

// EraseResult says for each disk how it was erased and what was read back.
type EraseResult struct {
	Disks []ErasedDisk `json:"disks"`
}

// ErasedDisk is one disk's proof.
type ErasedDisk struct {
	ID       string   `json:"id"`
	Method   string   `json:"method"` // nvme-format-crypto nvme-format blkdiscard zeroout overwrite
	Tried    []string `json:"tried"`  // stronger methods that the disk refused, with the reason
	Bytes    int64    `json:"bytes"`
	Verified int64    `json:"verified_bytes"` // read back as zero (or, after a crypto erase, as not what was there)
	Seconds  float64  `json:"seconds"`
}

// Deploy writes an image and a config drive to the root disk.
type Deploy struct {
	Image       string   `json:"image"`        // id for PathImage
	RootDisk    RootHint `json:"root_disk"`    // which disk
	ConfigDrive []byte   `json:"config_drive"` // an ISO 9660 image labelled config-2, written to a partition at the end; empty: none
}

// RootHint chooses the root disk; the first match in size order wins. All empty: the smallest disk that fits.
type RootHint struct {
	Serial  string `json:"serial,omitempty"`
	WWN     string `json:"wwn,omitempty"`
	Name    string `json:"name,omitempty"`     // /dev/…
	MinSize int64  `json:"min_size,omitempty"` // bytes
}

// DeployResult is what was written.
type DeployResult struct {
	Disk           string  `json:"disk"` // Disk.ID
	Written        int64   `json:"written_bytes"`
	Discarded      int64   `json:"discarded_bytes"`
	Verified       int64   `json:"verified_bytes"`
	Seconds        float64 `json:"seconds"`
	RawBytesPerSec float64 `json:"raw_bytes_per_second"` // the disk's own direct-I/O speed measured on the fly; 0 when not measured
}

// BootInto starts what Deploy wrote.
type BootInto struct {
	Disk string `json:"disk"`
	// Kexec jumps into the disk's kernel (from a unified kernel image, a BLS entry or grub.cfg); otherwise, or when the
	// kernel cannot be found or is refused, the machine reboots through its firmware. The report's result is BootResult.
	Kexec bool `json:"kexec"`
}

// BootResult says how the machine went.
type BootResult struct {
	Kexec  bool   `json:"kexec"`
	Reason string `json:"reason,omitempty"` // why firmware although kexec was asked
	Kernel string `json:"kernel,omitempty"`
}

// Inventory is what Inspect found.
type Inventory struct {
	UUID     string   `json:"uuid"`
	Vendor   string   `json:"vendor"`
	Product  string   `json:"product"`
	Serial   string   `json:"serial"`
	BIOS     string   `json:"bios"`      // vendor version date
	BootMode string   `json:"boot_mode"` // uefi or bios
	Secure   bool     `json:"secure_boot"`
	Arch     string   `json:"arch"` // x86_64, aarch64
	CPU      CPU      `json:"cpu"`
	Memory   int64    `json:"memory_bytes"`
	NUMA     []NUMA   `json:"numa"`
	Disks    []Disk   `json:"disks"`
	NICs     []NIC    `json:"nics"`
	TPM      *TPM     `json:"tpm,omitempty"`
	Notes    []string `json:"notes,omitempty"` // what could not be read, and why
}

// CPU of the whole machine.
type CPU struct {
	Model   string   `json:"model"`
	Sockets int      `json:"sockets"`
	Cores   int      `json:"cores"`
	Threads int      `json:"threads"`
	MHz     float64  `json:"mhz"`
	Flags   []string `json:"flags,omitempty"`
}

// NUMA node.
type NUMA struct {
	ID     int   `json:"id"`
	CPUs   []int `json:"cpus"`
	Memory int64 `json:"memory_bytes"`
}

// Disk that belongs to the machine (no CD, no loop, no RAM disk).
type Disk struct {
	ID         string `json:"id"`   // stable: WWN, else serial, else the PCI path
	Name       string `json:"name"` // /dev/nvme0n1
	Model      string `json:"model"`
	Serial     string `json:"serial"`
	WWN        string `json:"wwn,omitempty"`
	Bus        string `json:"bus"` // nvme virtio scsi ata usb
	Size       int64  `json:"size_bytes"`
	Rotational bool   `json:"rotational"`
	Block      int    `json:"logical_block_bytes"`
}

// NIC with its link and its neighbour as LLDP tells.
type NIC struct {
	Name    string `json:"name"`
	MAC     string `json:"mac"`
	Driver  string `json:"driver"`
	PCI     string `json:"pci,omitempty"`
	Carrier bool   `json:"carrier"`
	Speed   int    `json:"speed_mbps,omitempty"`
	LLDP    *LLDP  `json:"lldp,omitempty"`
}

// LLDP neighbour (IEEE 802.1AB).
type LLDP struct {
	ChassisID string `json:"chassis_id"`
	PortID    string `json:"port_id"`
	System    string `json:"system,omitempty"`
}

// TPM found.
type TPM struct {
	Version      string            `json:"version"`
	Manufacturer string            `json:"manufacturer,omitempty"`
	PCRs         map[string]string `json:"pcrs,omitempty"` // SHA-256 bank, "0" → hex
}
