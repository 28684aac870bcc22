package machine

import (
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// Machine is a physical computer with a BMC. Its id is what the wire calls the node's uuid.
type Machine struct {
	ID, Name      string
	BMC           BMC // without the password: Service.Dial adds it
	State, Target State
	StateSince    time.Time
	Power         PowerState // as last seen
	PowerTarget   PowerAction
	Instance      string // id of the instance that has it; empty: nobody
	HandedOver    bool   // its NICs are on the tenant's networks
	Epoch         int64

	Maintenance       bool
	MaintenanceReason string
	Fault             string // why we quarantined it; empty: we did not
	LastError         string

	ResourceClass, Owner, Description string
	Properties, Extra                 map[string]any
	Traits                            []string

	Lessee     string // the project that has it on lease
	Holder     string // who has it without a server of ours (Ironic's instance_uuid); empty: nobody
	Allocation string // by which the holder got it
	Chassis    string // id
	Protected  bool   // from being undeployed and deleted
	Retired    bool   // it never becomes a spare again
	Notes      Notes

	Abilities Abilities
	Identity  Identity
	Inventory *agentapi.Inventory
	Erased    *agentapi.EraseResult
	Inspected time.Time

	Created, Updated time.Time
}

// Notes are what operators and clients of Ironic keep with a machine, and Ingot only shows.
type Notes struct {
	ProtectedReason string            `json:"protected_reason,omitempty"`
	RetiredReason   string            `json:"retired_reason,omitempty"`
	Shard           string            `json:"shard,omitempty"`
	Parent          string            `json:"parent,omitempty"`          // the machine that it is a part of
	AutomatedClean  *bool             `json:"automated_clean,omitempty"` // only true may be asked: it is always so
	InstanceInfo    map[string]any    `json:"instance_info,omitempty"`
	NetworkData     map[string]any    `json:"network_data,omitempty"`
	TargetRAID      map[string]any    `json:"target_raid,omitempty"`
	Interfaces      map[string]string `json:"interfaces,omitempty"`  // chosen otherwise than the driver's own
	DriverInfo      map[string]any    `json:"driver_info,omitempty"` // of fake hardware, which takes anything
	Console         bool              `json:"console,omitempty"`     // of fake hardware
}

// NIC is a network card of a machine: Ironic's port.
type NIC struct {
	ID, Machine, MAC string
	PXE              bool   // the agent may boot over it
	Address          string // in quarantine, with prefix length
	Link, Extra      map[string]any
	PortGroup        string // id of the bond that it is a member of
	PhysicalNetwork  string
	Smart            bool   // it is a SmartNIC
	VIF              string // the network port on it, put there without a server
	Created, Updated time.Time
}

// Capacity of a machine, in Nova's units.
type Capacity struct {
	VCPUs, MemoryMiB, DiskGiB int
}

// Capacity as inspected; zero before that. The disk is the largest one.
func (m *Machine) Capacity() Capacity {
	if m.Inventory == nil {
		return Capacity{}
	}
	var largest int64
	for _, disk := range m.Inventory.Disks {
		largest = max(largest, disk.Size)
	}
	return Capacity{m.Inventory.CPU.Threads, int(m.Inventory.Memory >> 20), int(largest >> 30)}
}

// Spare reports whether the machine may be given to somebody.
func (m *Machine) Spare() bool {
	return m.State == Available && m.Instance == "" && m.Holder == "" && !m.Maintenance
}
