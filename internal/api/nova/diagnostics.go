package nova

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// BootReports are what servers' consoles say of their boots. A Console that has them implements it.
type BootReports interface {
	Boots(ctx context.Context, instance string) (forensics.Report, error)
}

// diagnostics of a server's machine: what is known from outside of it. Since 2.48 Nova fixes the fields, and clients know no
// others: the last boot is told there by "crashed" and the uptime only. Before, the fields are each driver's own: the boot is
// told in full.
func (a *api) diagnostics(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	if i.Machine == "" {
		return nil, fault.New(fault.Conflict, "Cannot 'get_diagnostics' instance %s while it is in vm_state %s", i.ID, i.VMState)
	}
	m, err := a.Machines.Get(r.Context(), a.DB, i.Machine)
	if err != nil {
		return nil, err
	}
	var report forensics.Report
	if reports, ok := a.Console.(BootReports); ok {
		if report, err = reports.Boots(r.Context(), i.ID); err != nil {
			return nil, err
		}
	}
	boot := report.Latest()
	state := map[machine.PowerState]string{machine.PowerOn: "running", machine.PowerOff: "shutdown", machine.PowerUnknown: "pending"}[m.Power]
	if !r.Version.AtLeast(2, 48) {
		c := m.Capacity()
		shown := object{"state": state, "vcpus": c.VCPUs, "memory": c.MemoryMiB << 10, "disk_gb": c.DiskGiB}
		if boot != nil {
			tellBoot(shown, boot)
		}
		return shown, nil
	}
	var uptime any
	if boot != nil && m.Power == machine.PowerOn {
		uptime = int(a.Clock.Now().Sub(boot.Began).Seconds())
		if boot.Trouble() != nil {
			state = "crashed"
		}
	}
	nics, disks, cpus := []object{}, []object{}, 0
	if m.Inventory != nil {
		cpus = m.Inventory.CPU.Threads
		for _, nic := range m.Inventory.NICs {
			nics = append(nics, object{
				"mac_address": nic.MAC, "rx_octets": nil, "rx_errors": nil, "rx_drop": nil, "rx_packets": nil, "rx_rate": nil,
				"tx_octets": nil, "tx_errors": nil, "tx_drop": nil, "tx_packets": nil, "tx_rate": nil,
			})
		}
		for range m.Inventory.Disks {
			disks = append(disks, object{"read_bytes": nil, "read_requests": nil, "write_bytes": nil, "write_requests": nil, "errors_count": nil})
		}
	}
	return object{
		"state": state, "driver": "ironic", "hypervisor": nil, "hypervisor_os": nil, "uptime": uptime, "config_drive": i.ConfigDrive,
		"num_cpus": cpus, "num_nics": len(nics), "num_disks": len(disks), "memory_details": object{"maximum": m.Capacity().MemoryMiB, "used": nil},
		"cpu_details": []object{}, "nic_details": nics, "disk_details": disks,
	}, nil
}

// tellBoot puts a boot into flat fields, which clients print sorted by their names: boot_01_firmware comes before
// boot_02_kernel.
func tellBoot(shown object, b *forensics.Boot) {
	shown["boot_began"], shown["boot_phase"], shown["boot_came_up"] = osapi.Zulu(b.Began), b.Phase().String(), b.Good
	for n, span := range b.Phases {
		took := "since " + span.Began.UTC().Format(time.RFC3339)
		if n < len(b.Phases)-1 {
			took = seconds(span.Took)
		}
		if span.Usual > 0 {
			took += ", in the last good boot " + seconds(span.Usual)
		}
		shown[fmt.Sprintf("boot_%02d_%s", n+1, strings.NewReplacer(" ", "_", "-", "_").Replace(span.Phase.String()))] = took
	}
	for _, f := range b.Findings {
		passed := ""
		if f.Passed {
			passed = " The boot went on all the same."
		}
		shown["boot_fault_"+strings.ReplaceAll(f.Fault, "-", "_")] = f.Says + " " + f.Do + passed
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
