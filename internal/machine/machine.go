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

	Abilities Abilities
	Identity  Identity
	Inventory *agentapi.Inventory
	Erased    *agentapi.EraseResult
	Inspected time.Time

	Created, Updated time.Time
}

// NIC is a network card of a machine: Ironic's port.
type NIC struct {
	ID, Machine, MAC string
	PXE              bool   // the agent may boot over it
	Address          string // in quarantine, with prefix length
	Link, Extra      map[string]any
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
func (m *Machine) Spare() bool { return m.State == Available && m.Instance == "" && !m.Maintenance }
