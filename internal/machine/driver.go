package machine

import (
	"context"
	"io"
	"time"
)

// PowerState of a machine as its BMC reports it.
type PowerState string

// The power states; Unknown when the BMC does not answer or says something else.
const (
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
	PowerUnknown PowerState = "unknown"
)

// PowerAction is an order to a BMC.
type PowerAction string

// The power actions. On and Off are idempotent: ordering the state that is already there succeeds.
const (
	ActionOn       PowerAction = "on"
	ActionOff      PowerAction = "off"      // at once, like pulling the plug
	ActionShutdown PowerAction = "shutdown" // ACPI button; the operating system may refuse
	ActionReset    PowerAction = "reset"    // hard reset of a machine that is on; turns on one that is off
	ActionNMI      PowerAction = "nmi"      // diagnostic interrupt
)

// BootDevice is what the firmware is told to start from.
type BootDevice string

// The boot devices, named as in IPMI and Redfish's BootSourceOverrideTarget.
const (
	BootDisk     BootDevice = "disk" // Redfish Hdd
	BootNetwork  BootDevice = "pxe"  // Redfish Pxe
	BootCD       BootDevice = "cd"   // Redfish Cd: also the virtual one
	BootUEFIHTTP BootDevice = "http" // Redfish UefiHttp; Redfish only
	BootNone     BootDevice = "none" // no override: the firmware's own order
)

// BootMode of the firmware; empty leaves it as it is.
type BootMode string

// The firmware modes.
const (
	ModeUEFI BootMode = "uefi"
	ModeBIOS BootMode = "bios"
)

// BootOverride is one order to the firmware.
type BootOverride struct {
	Device     BootDevice
	Continuous bool     // until changed; otherwise for the next boot only
	Mode       BootMode // optional
	HTTPURI    string   // for BootUEFIHTTP: the boot file's URL, where the BMC takes one
}

// Driver talks to one machine's BMC. Every driver has these methods; what only some BMCs can do is a small interface
// of its own below, found with a type assertion.
//
// Contract: calls are idempotent; the driver retries what is safe (see internal/driver/bmc); errors are faults:
// Unauthorized (credentials refused), Unavailable (no answer, 5xx after retries), Unsupported (this BMC cannot),
// Invalid (the order makes no sense). Close frees the BMC's session; it never fails a caller.
type Driver interface {
	Power(ctx context.Context) (PowerState, error)
	// SetPower returns when the BMC has accepted the order, not when the state is reached: poll Power.
	SetPower(ctx context.Context, action PowerAction) error
	SetBoot(ctx context.Context, boot BootOverride) error
	// Boot reads the override that is in force.
	Boot(ctx context.Context) (BootOverride, error)
	Identify(ctx context.Context) (Identity, error)
	Close() error
}

// Identity is what a BMC says of its machine.
type Identity struct {
	Vendor, Model, Serial, UUID string
	BMCFirmware, BIOSVersion    string
	BootMode                    BootMode
	NICs                        []string // MAC addresses, lower case with colons; empty where the BMC does not tell
}

// VirtualMedia lends the machine a CD image over the BMC's own network (Redfish VirtualMedia).
type VirtualMedia interface {
	// InsertMedia replaces whatever is in the drive by the ISO image at url.
	InsertMedia(ctx context.Context, url string) error
	EjectMedia(ctx context.Context) error
	// Media is the URL in the drive; empty when there is none.
	Media(ctx context.Context) (string, error)
}

// HTTPBooter says whether the machine's firmware boots over HTTP (Redfish AllowableValues has UefiHttp).
type HTTPBooter interface {
	HasHTTPBoot(ctx context.Context) (bool, error)
}

// SecureBooter reads and sets UEFI Secure Boot (Redfish SecureBoot). Takes effect at the next boot.
type SecureBooter interface {
	SecureBoot(ctx context.Context) (bool, error)
	SetSecureBoot(ctx context.Context, on bool) error
}

// Indicator is the locator light (Redfish LocationIndicatorActive, IPMI chassis identify).
type Indicator interface {
	SetIndicator(ctx context.Context, on bool) error
}

// FirmwareItem is one row of a firmware inventory.
type FirmwareItem struct{ Name, Version, Component string }

// FirmwareLister lists firmware (Redfish UpdateService/FirmwareInventory).
type FirmwareLister interface {
	Firmware(ctx context.Context) ([]FirmwareItem, error)
}

// Sensor is one reading.
type Sensor struct {
	Name, Kind string // Kind: temperature, voltage, fan, power, other
	Unit       string // Cel, V, RPM, W, …
	Reading    float64
	Health     string // OK, Warning, Critical; empty when not told
}

// SensorReader reads sensors (Redfish Thermal/Power/Sensors, IPMI SDR).
type SensorReader interface {
	Sensors(ctx context.Context) ([]Sensor, error)
}

// LogEntry is one line of the hardware's event log.
type LogEntry struct {
	ID       string
	Time     time.Time
	Severity string // OK, Warning, Critical
	Message  string
}

// EventLogger reads and clears the hardware event log (Redfish LogService, IPMI SEL).
type EventLogger interface {
	EventLog(ctx context.Context) ([]LogEntry, error)
	ClearEventLog(ctx context.Context) error
}

// SerialConsole opens the machine's serial line (OpenBMC /console0 websocket, Redfish SSH, IPMI SOL). One owner at a time.
type SerialConsole interface {
	OpenConsole(ctx context.Context) (io.ReadWriteCloser, error)
}

// ConsoleTaker opens the serial line although somebody else has it, who is cut off (IPMI Deactivate Payload).
type ConsoleTaker interface {
	TakeConsole(ctx context.Context) (io.ReadWriteCloser, error)
}

// ScreenConsole opens the machine's picture as a raw RFB stream (RFC 6143; OpenBMC's /kvm/0 websocket).
type ScreenConsole interface {
	OpenScreen(ctx context.Context) (io.ReadWriteCloser, error)
}

// BMC is how to reach a machine's BMC: what a driver is made from.
type BMC struct {
	Machine  string `json:"-"`       // whose it is: all that there is of fake hardware
	Kind     string `json:"kind"`    // redfish, ipmi or FakeHardware
	Address  string `json:"address"` // redfish: https://host[:port][/redfish/v1/Systems/id]; ipmi: host[:port]
	Username string `json:"username"`
	Password string `json:"-"` // kept encrypted, apart
	// CA is a PEM certificate to trust for a Redfish address; Insecure accepts any certificate. With neither, the
	// system's roots decide.
	CA       string `json:"ca,omitempty"`
	Insecure bool   `json:"insecure,omitempty"`
	// HostKey is what the BMC's SSH server showed first, as in authorized_keys: no other is trusted. Empty: it was not seen
	// yet, and a driver that sees it keeps it. Whoever saves the address anew forgets it.
	HostKey  string   `json:"host_key,omitempty"`
	HostKeys HostKeys `json:"-"` // nil: nothing is kept
}

// HostKeys keep the SSH host key that a BMC showed first. Keep fails with Conflict when another is kept already.
type HostKeys interface {
	Keep(ctx context.Context, key string) error
}

// Dial makes a driver for a BMC without talking to it yet.
type Dial func(bmc BMC) (Driver, error)
