package ironic

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

func (a *api) traits(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	return object{"traits": m.Traits}, nil
}

// trait is a custom one, or one of the os-traits catalogue, whose names all have a capital prefix.
var trait = regexp.MustCompile(`^[A-Z][A-Z0-9]*_[A-Z0-9_]{1,240}$`)

// maxTraits is Ironic's limit.
const maxTraits = 50

// changeTraits saves what edit makes of a node's traits.
func (a *api) changeTraits(r *osapi.Request, edit func(traits []string) ([]string, error)) error {
	found, err := a.nodeToChange(r)
	if err != nil {
		return err
	}
	return a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, found.ID)
		if err != nil {
			return err
		}
		if m.Traits, err = edit(slices.Clone(m.Traits)); err != nil {
			return err
		}
		slices.Sort(m.Traits)
		m.Traits = slices.Compact(m.Traits)
		if len(m.Traits) > maxTraits {
			return fault.New(fault.Invalid, "A node cannot have more than %d traits.", maxTraits)
		}
		for _, t := range m.Traits {
			if !trait.MatchString(t) {
				return fault.New(fault.Invalid, "A trait must be capital letters, digits and underscores, like CUSTOM_RAID5 or HW_CPU_X86_VMX, not %s.", t)
			}
		}
		return a.machines.Update(r.Context(), tx, m)
	})
}

func (a *api) setTraits(r *osapi.Request) (any, error) {
	var body struct {
		Traits []string `json:"traits"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return nil, a.changeTraits(r, func([]string) ([]string, error) { return body.Traits, nil })
}

func (a *api) removeTraits(r *osapi.Request) (any, error) {
	return nil, a.changeTraits(r, func([]string) ([]string, error) { return nil, nil })
}

func (a *api) addTrait(r *osapi.Request) (any, error) {
	return nil, a.changeTraits(r, func(traits []string) ([]string, error) { return append(traits, r.Path("trait")), nil })
}

func (a *api) removeTrait(r *osapi.Request) (any, error) {
	return nil, a.changeTraits(r, func(traits []string) ([]string, error) {
		i := slices.Index(traits, r.Path("trait"))
		if i < 0 {
			return nil, fault.New(fault.NotFound, "Node %s doesn't have a trait '%s'.", r.Path("node"), r.Path("trait"))
		}
		return slices.Delete(traits, i, i+1), nil
	})
}

// inventory is what the agent found, in the form of ironic-python-agent.
func (a *api) inventory(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	found := m.Inventory
	if found == nil {
		return nil, fault.New(fault.NotFound, "Could not find inventory for node %s.", m.ID)
	}
	disks, nics := []object{}, []object{}
	for _, d := range found.Disks {
		disks = append(disks, object{
			"name": d.Name, "model": d.Model, "size": d.Size, "rotational": d.Rotational, "serial": orNull(d.Serial),
			"wwn": orNull(d.WWN), "by_path": nil, "vendor": nil, "logical_sectors": d.Block,
		})
	}
	for _, n := range found.NICs {
		lldp := []any{}
		if n.LLDP != nil {
			lldp = append(lldp, object{"chassis_id": n.LLDP.ChassisID, "port_id": n.LLDP.PortID, "system_name": n.LLDP.System})
		}
		nics = append(nics, object{
			"name": n.Name, "mac_address": n.MAC, "has_carrier": n.Carrier, "driver": n.Driver, "pci_address": orNull(n.PCI),
			"speed_mbps": n.Speed, "lldp": lldp, "ipv4_address": nil, "ipv6_address": nil, "product": nil, "vendor": nil,
		})
	}
	pxe := ""
	if all, err := a.machines.NICs(r.Context(), a.db, m.ID); err == nil {
		if i := slices.IndexFunc(all, func(n *machine.NIC) bool { return n.PXE }); i >= 0 {
			pxe = all[i].MAC
		}
	} else {
		return nil, err
	}
	return object{
		"inventory": object{
			"cpu": object{
				"model_name": found.CPU.Model, "count": found.CPU.Threads, "architecture": found.Arch, "flags": found.CPU.Flags,
				"frequency": found.CPU.MHz, "socket_count": found.CPU.Sockets, "cores": found.CPU.Cores,
			},
			"memory": object{"total": found.Memory, "physical_mb": found.Memory >> 20},
			"disks":  disks, "interfaces": nics,
			"boot":        object{"current_boot_mode": found.BootMode, "pxe_interface": orNull(pxe)},
			"bmc_address": nil,
			"system_vendor": object{
				"manufacturer": found.Vendor, "product_name": found.Product, "serial_number": found.Serial,
				"firmware": object{"version": found.BIOS, "vendor": "", "build_date": ""},
			},
		},
		"plugin_data": object{"numa": found.NUMA, "tpm": found.TPM, "notes": found.Notes, "uuid": found.UUID, "secure_boot": found.Secure},
	}, nil
}

// history tells of the work that was done on a node: one event for each workflow that ended.
func (a *api) events(r *osapi.Request) (*machine.Machine, []object, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, nil, err
	}
	runs, err := workflow.Of(r.Context(), a.db, machine.Resource(m.ID))
	if err != nil {
		return nil, nil, err
	}
	events := []object{}
	for _, run := range slices.Backward(runs) { // oldest first
		if run.Ended.IsZero() {
			continue
		}
		kind := strings.TrimPrefix(run.Flow, "machine-")
		event := object{
			"uuid": run.ID, "created_at": osapi.Offset(run.Ended), "severity": "INFO", "event_type": kind, "conductor": a.host,
			"event": "The work \"" + kind + "\" succeeded.", "user": nil, "links": links(r, "nodes", m.ID, "history", run.ID),
		}
		if run.Status == workflow.Aborted {
			event["severity"], event["event"] = "ERROR", "The work \""+kind+"\" failed: "+run.Err
		}
		events = append(events, event)
	}
	return m, events, nil
}

func (a *api) history(r *osapi.Request) (any, error) {
	q := r.Query()
	detail := q.Bool("detail", false)
	page := q.Page(osapi.Paging{ZeroIsAll: true})
	if err := q.Err(); err != nil {
		return nil, err
	}
	_, events, err := a.events(r)
	if err != nil {
		return nil, err
	}
	some, next, err := osapi.Cut(page, events, func(e object) string { return e["uuid"].(string) })
	if err != nil {
		return nil, err
	}
	if !detail {
		page.Fields = []string{"uuid", "created_at", "severity", "event", "links"}
	}
	list := []object{}
	for _, event := range some {
		list = append(list, page.Pick(event))
	}
	body := object{"history": list}
	if next != "" {
		body["next"] = r.Next(next)
	}
	return body, nil
}

func (a *api) historyEvent(r *osapi.Request) (any, error) {
	_, events, err := a.events(r)
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

// firmware is read from the BMC as it is now.
func (a *api) firmware(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	list := []object{}
	err = a.dialed(r, m, func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error {
		lister, ok := bmc.(machine.FirmwareLister)
		if !ok {
			return notSupported(m, "firmware")
		}
		items, err := lister.Firmware(ctx)
		for _, item := range items {
			component := item.Component
			if component == "" {
				component = item.Name
			}
			list = append(list, object{
				"component": component, "initial_version": item.Version, "current_version": item.Version, "last_version_flashed": nil,
				"created_at": osapi.Offset(m.Created), "updated_at": nil,
			})
		}
		return err
	})
	return object{"firmware": list}, err
}
