package ironic

import (
	"net"
	"net/url"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

var historyList = collection{key: "history", brief: []string{"uuid", "created_at", "severity", "event", "links"}}

// eventView is a failed or stuck piece of work as Ironic's node history shows it.
func (a *api) eventView(r *osapi.Request, n node, run *workflow.Run) object {
	return object{
		"uuid": run.ID, "created_at": osapi.Offset(run.Created), "updated_at": osapi.Offset(run.Ended), "severity": "ERROR", "event": run.Err,
		"event_type": run.Flow, "conductor": a.host, "user": nil, "node_uuid": n.ID,
		"links": below(r, "/nodes/", n.ID, "history/"+run.ID),
	}
}

// failures of the work on a node, newest first.
func (a *api) failures(r *osapi.Request, n node) ([]object, error) {
	runs, err := workflow.Of(r.Context(), a.db, machine.Resource(n.ID))
	if err != nil {
		return nil, err
	}
	events := []object{}
	for _, run := range runs {
		if run.Err != "" && (run.Status == workflow.Aborted || run.Status == workflow.IsStuck) {
			events = append(events, a.eventView(r, n, run))
		}
	}
	return events, nil
}

func (a *api) history(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	events, err := a.failures(r, n)
	if err != nil {
		return nil, err
	}
	example := a.eventView(r, n, &workflow.Run{})
	return historyList.answer(r, events, example, false)
}

func (a *api) event(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	events, err := a.failures(r, n)
	if err != nil {
		return nil, err
	}
	for _, event := range events {
		if event["uuid"] == r.Path("event") {
			return event, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Node history record %s could not be found.", r.Path("event"))
}

// inventory is what the agent found, in the form of Ironic's own agent (ironic-python-agent, hardware.py).
func (a *api) inventory(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if n.Inventory == nil {
		return nil, fault.New(fault.NotFound, "Node %s has no inventory: it was not inspected yet.", n.ID)
	}
	found := n.Inventory
	interfaces, disks := []object{}, []object{}
	for _, nic := range found.NICs {
		interfaces = append(interfaces, object{
			"name": nic.Name, "mac_address": nic.MAC, "has_carrier": nic.Carrier, "driver": nic.Driver, "pci_address": orNull(nic.PCI),
			"speed_mbps": nic.Speed, "lldp": lldp(nic),
		})
	}
	for _, disk := range found.Disks {
		disks = append(disks, object{
			"name": disk.Name, "model": disk.Model, "serial": disk.Serial, "wwn": orNull(disk.WWN), "size": disk.Size,
			"rotational": disk.Rotational, "by_path": nil, "vendor": nil,
		})
	}
	return object{"plugin_data": object{}, "inventory": object{
		"interfaces": interfaces, "disks": disks, "bmc_address": bmcHost(n.BMC),
		"cpu": object{
			"model_name": found.CPU.Model, "frequency": found.CPU.MHz, "count": found.CPU.Threads, "architecture": found.Arch,
			"flags": found.CPU.Flags, "socket_count": found.CPU.Sockets,
		},
		"memory":        object{"total": found.Memory, "physical_mb": found.Memory >> 20},
		"boot":          object{"current_boot_mode": found.BootMode, "pxe_interface": nil},
		"system_vendor": object{"manufacturer": found.Vendor, "product_name": found.Product, "serial_number": found.Serial, "firmware": object{"version": found.BIOS}},
		"hostname":      orNull(n.Name),
	}}, nil
}

// bios would list the firmware's settings: no driver of ours reads them (bios_interface: no-bios).
func (a *api) bios(r *osapi.Request) (any, error) {
	_, err := a.find(r)
	return object{"bios": []object{}}, err
}

func (a *api) biosSetting(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.NotFound, "Node %s doesn't have a BIOS setting '%s'", n.ID, r.Path("setting"))
}

func lldp(nic agentapi.NIC) any {
	if nic.LLDP == nil {
		return nil
	}
	return object{"chassis_id": nic.LLDP.ChassisID, "port_id": nic.LLDP.PortID, "system": nic.LLDP.System}
}

// bmcHost is where the BMC is, without port and path.
func bmcHost(b machine.BMC) any {
	if u, err := url.Parse(b.Address); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(b.Address); err == nil {
		return host
	}
	return orNull(b.Address)
}
