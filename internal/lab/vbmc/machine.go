// Package vbmc gives the lab's machines their BMCs: servers that speak Redfish (redfish.go and its neighbours) and
// IPMI 2.0 (ipmi.go) on one side and order a Machine on the other. The protocols are the real ones, so that other
// people's clients drive them; the Machine behind is QEMU (internal/lab) or, for scale and faults, Simulated.
package vbmc

import (
	"context"
	"errors"
	"io"
	"net"
)

// ErrUnsupported is a Machine's answer to an order that it has no means for.
var ErrUnsupported = errors.New("this machine has no such part")

// Action on the power, named as in Redfish's ResetType.
type Action string

// The actions.
const (
	On               Action = "On"
	ForceOff         Action = "ForceOff"
	GracefulShutdown Action = "GracefulShutdown"
	ForceRestart     Action = "ForceRestart"
	NMI              Action = "Nmi"
)

// Boot override, named as in Redfish's Boot object.
type Boot struct {
	Target  string // None Pxe Hdd Cd UefiHttp
	Enabled string // Disabled Once Continuous
	Mode    string // UEFI Legacy
	HTTPURI string
}

// Info is what a BMC may tell of its machine.
type Info struct {
	Name, UUID, Serial, Vendor, Model, BIOSVersion string
	CPUs, Cores                                    int
	MemoryMiB                                      int
	NICs                                           []NIC
	Disks                                          []Disk
	UEFI, TPM, SecureBootCapable                   bool
}

// NIC of a machine.
type NIC struct{ ID, MAC string }

// Disk of a machine.
type Disk struct {
	Name, Serial, Bus string
	Bytes             int64
}

// Event is something that happened to the machine: a line for the event log and for Redfish's SSE stream.
type Event struct {
	Severity string // OK Warning Critical
	Message  string
}

// Machine is what a BMC has wires to. All methods may be called at once from several servers.
type Machine interface {
	Info() Info
	Power() bool // true: on
	// Do orders the power. On and ForceOff are idempotent; it returns when the order has taken effect, except for
	// GracefulShutdown, which the operating system may take long over or refuse.
	Do(ctx context.Context, action Action) error
	Boot() Boot
	SetBoot(Boot) error
	// Media in the virtual CD: the URL it was fetched from and the local file that holds it; empty when none.
	Media() (url, file string)
	InsertMedia(ctx context.Context, url, file string) error
	EjectMedia(ctx context.Context) error
	SecureBoot() bool
	SetSecureBoot(on bool) error
	// Console joins the serial line: reads what the machine prints from now on, writes keys. Any number may join.
	Console() (io.ReadWriteCloser, error)
	Screenshot(ctx context.Context) ([]byte, error) // PNG
	VNC(ctx context.Context) (net.Conn, error)      // a raw RFB stream
	Indicator() bool
	SetIndicator(on bool)
	// Watch calls f for each event until the returned function is called.
	Watch(f func(Event)) (stop func())
}
