package ironic

import (
	"maps"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// driver is a kind of BMC as the wire shows it.
type driver struct {
	properties map[string]string   // of driver_info, with what they mean; nil: it takes anything
	interfaces map[string][]string // by kind, those that a node may have; the first is the default
	raid       map[string]string   // what a logical disk may be asked to be; none: it has no RAID
}

// drivers that the cloud has.
func drivers(withFake bool) map[string]driver {
	all := map[string]driver{
		"redfish": {properties: driverInfoKeys["redfish"], interfaces: ours(map[string][]string{
			"boot": {"redfish-virtual-media", "http", "ipxe"}, "management": {"redfish"}, "power": {"redfish"}, "firmware": {"redfish"},
		})},
		"ipmi": {properties: driverInfoKeys["ipmi"], interfaces: ours(map[string][]string{
			"boot": {"ipxe"}, "management": {"ipmitool"}, "power": {"ipmitool"}, "firmware": {"no-firmware"},
		})},
	}
	if withFake {
		all[machine.FakeHardware] = driver{
			properties: map[string]string{"A1": "Anything; nothing comes of it. Optional.", "B1": "Anything; nothing comes of it. Optional."},
			interfaces: ours(map[string][]string{
				"bios": {"fake", "no-bios"}, "boot": {"fake"}, "console": {"fake", "no-console"}, "deploy": {"fake"}, "firmware": {"fake", "no-firmware"},
				"inspect": {"fake", "no-inspect"}, "management": {"fake"}, "power": {"fake"}, "raid": {"fake", "no-raid"}, "vendor": {"fake", "no-vendor"},
			}),
			raid: logicalDisk,
		}
	}
	return all
}

// ours adds the interfaces that all drivers have in common.
func ours(more map[string][]string) map[string][]string {
	all := map[string][]string{
		"bios": {"no-bios"}, "console": {"no-console"}, "deploy": {"direct"}, "inspect": {"agent"}, "network": {"neutron"}, "raid": {"no-raid"},
		"rescue": {"no-rescue"}, "storage": {"noop"}, "vendor": {"no-vendor"},
	}
	for kind, names := range more {
		all[kind] = names
	}
	return all
}

// logicalDisk is what a logical disk may be asked to be (ironic/drivers/raid_config_schema.json).
var logicalDisk = map[string]string{
	"size_gb":                  "The size in GiB (Integer), or MAX for all that is left. Required.",
	"raid_level":               "The RAID level: JBOD, 0, 1, 2, 5, 6, 1+0, 5+0 or 6+0. Required.",
	"is_root_volume":           "Whether this is the root volume: true or false. Optional.",
	"share_physical_disks":     "Whether its physical disks may be shared with other logical disks: true or false. Optional.",
	"volume_name":              "The name of the logical disk. Optional.",
	"disk_type":                "The type of its physical disks: hdd or ssd. Optional.",
	"interface_type":           "The interface of its physical disks: sata, scsi or sas. Optional.",
	"number_of_physical_disks": "How many physical disks it is made of (Integer). Optional.",
	"controller":               "The RAID controller. Optional.",
	"physical_disks":           "The physical disks it is made of, as the controller names them. Optional.",
}

// allDrivers is for what is known of drivers apart from which of them are offered.
var allDrivers = drivers(true)

// interfaces names, in Ironic's words, how a machine is driven. They follow from its driver, its abilities, and, where a
// driver has several, what an operator chose.
func interfaces(m *machine.Machine) object {
	o := object{}
	for kind, names := range allDrivers[m.BMC.Kind].interfaces {
		o[kind+"_interface"] = names[0]
	}
	if !m.Fake() && len(o) > 0 {
		o["boot_interface"] = map[machine.Method]string{machine.ByMedia: "redfish-virtual-media", machine.ByHTTP: "http", machine.ByPXE: "ipxe", machine.NoMethod: "ipxe"}[m.Method([]*machine.NIC{{PXE: true}})]
	}
	for field, name := range m.Notes.Interfaces {
		o[field] = name
	}
	return o
}

// choose gives a node one of the interfaces that its driver has; null: the driver's own.
func choose(m *machine.Machine, field string, value any) error {
	name, isText := value.(string)
	has := allDrivers[m.BMC.Kind].interfaces[strings.TrimSuffix(field, "_interface")]
	switch {
	case value == nil:
		m.Notes.Interfaces = maps.Clone(m.Notes.Interfaces)
		delete(m.Notes.Interfaces, field)
		return nil
	case !m.Fake(): // how it is driven follows from what it can
		if now := interfaces(m)[field]; now != value {
			return fault.New(fault.Invalid, "This cloud does not have the field %s of a node; it can only be left at %v.", field, now)
		}
		return nil
	case !isText || !slices.Contains(has, name):
		return fault.New(fault.Invalid, "Could not find the following interface in the '%s' entrypoint of driver %s: %v. Valid interfaces are %v.", field, m.BMC.Kind, value, has)
	}
	chosen := maps.Clone(m.Notes.Interfaces)
	if chosen == nil {
		chosen = map[string]string{}
	}
	chosen[field] = name
	m.Notes.Interfaces = chosen
	return nil
}

// mayChoose are the states in which a node's interfaces may be changed (ironic/conductor/manager.py, update_node).
var mayChoose = []machine.State{machine.Enroll, machine.Manageable, machine.Inspecting, machine.Available}

// checkInterfaces refuses to change a node's interfaces while somebody uses it, and to take fake hardware, whose interfaces
// no other driver has, for a real node unless they are reset.
func checkInterfaces(was, now *machine.Machine, reset bool) error {
	if was.Fake() && !now.Fake() {
		if !reset {
			return fault.New(fault.Invalid, "Node %s has interfaces that driver %s does not have: use reset_interfaces.", now.ID, now.BMC.Kind)
		}
		return nil
	}
	if !maps.Equal(was.Notes.Interfaces, now.Notes.Interfaces) && !slices.Contains(mayChoose, now.State) && !now.Maintenance {
		return fault.New(fault.Conflict, "Node %s can not have its interfaces updated unless it is in one of the states %v or in maintenance mode.", now.ID, mayChoose)
	}
	return nil
}
