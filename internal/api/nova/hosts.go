package nova

import (
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
)

// number is the whole number that old versions want in the place of an id.
func number(id string) int { return int(crc32.ChecksumIEEE([]byte(id)) >> 1) }

// up reports whether a process has said in time that it is there.
func (a *api) up(p Process) bool { return a.Clock.Now().Sub(p.Seen) < processDead }

// pool is a look at all machines, as hypervisors of one server each: so Nova shows Ironic's nodes.
type pool struct {
	machines []*machine.Machine
	on       map[string]*instance.Instance // by machine
}

func (a *api) pool(r *osapi.Request) (p pool, err error) {
	if p.machines, err = a.Machines.List(r.Context(), a.DB); err != nil {
		return p, err
	}
	servers, err := a.Instances.List(r.Context(), "", false)
	if err != nil {
		return p, err
	}
	p.on = map[string]*instance.Instance{}
	for _, i := range servers {
		p.on[i.Machine] = i
	}
	return p, nil
}

// hypervisorID is a number until 2.52.
func hypervisorID(r *osapi.Request, m *machine.Machine) any {
	if r.Version.AtLeast(2, 53) {
		return m.ID
	}
	return number(m.ID)
}

func hypervisorView(r *osapi.Request, m *machine.Machine) object {
	shown := object{"id": hypervisorID(r, m), "hypervisor_hostname": m.ID, "state": "up", "status": "enabled"}
	if m.Maintenance {
		shown["status"] = "disabled"
	}
	if m.Power == machine.PowerUnknown {
		shown["state"] = "down"
	}
	return shown
}

var hypervisorFields = osapi.Fields{
	"servers": osapi.Since(2, 53), "uptime": osapi.Since(2, 88),
	"vcpus": osapi.Until(2, 87), "memory_mb": osapi.Until(2, 87), "local_gb": osapi.Until(2, 87), "vcpus_used": osapi.Until(2, 87),
	"memory_mb_used": osapi.Until(2, 87), "local_gb_used": osapi.Until(2, 87), "free_ram_mb": osapi.Until(2, 87), "free_disk_gb": osapi.Until(2, 87),
	"current_workload": osapi.Until(2, 87), "running_vms": osapi.Until(2, 87), "disk_available_least": osapi.Until(2, 87), "cpu_info": osapi.Until(2, 87),
}

func (p pool) detail(r *osapi.Request, m *machine.Machine) object {
	shown := hypervisorView(r, m)
	shown["hypervisor_type"], shown["hypervisor_version"], shown["host_ip"] = "ironic", 1, nil
	shown["service"] = object{"id": hypervisorID(r, m), "host": m.ID, "disabled_reason": null(m.MaintenanceReason)}
	shown["cpu_info"], shown["uptime"] = cpuInfo(r, m), nil
	for name, n := range p.quantities(m) {
		shown[name] = n
	}
	if p.on[m.ID] != nil {
		shown["servers"] = serversOn(p.on[m.ID])
	}
	return hypervisorFields.Trim(shown, r.Version)
}

// cpuInfo is JSON in a string until 2.27.
func cpuInfo(r *osapi.Request, m *machine.Machine) any {
	info := object{}
	if m.Inventory != nil {
		info["arch"], info["model"] = m.Inventory.Arch, m.Inventory.CPU.Model
		info["topology"] = object{"sockets": m.Inventory.CPU.Sockets, "cores": m.Inventory.CPU.Cores, "threads": m.Inventory.CPU.Threads}
	}
	if r.Version.AtLeast(2, 28) {
		return info
	}
	if m.Inventory == nil {
		return ""
	}
	return `{"arch": ` + strconv.Quote(m.Inventory.Arch) + `, "model": ` + strconv.Quote(m.Inventory.CPU.Model) + `}`
}

// quantities of a machine: it is used whole or not at all.
func (p pool) quantities(m *machine.Machine) map[string]int {
	c := m.Capacity()
	q := map[string]int{"vcpus": c.VCPUs, "memory_mb": c.MemoryMiB, "local_gb": c.DiskGiB, "vcpus_used": 0, "memory_mb_used": 0, "local_gb_used": 0,
		"running_vms": 0, "current_workload": 0}
	if m.Instance != "" {
		q["vcpus_used"], q["memory_mb_used"], q["local_gb_used"], q["running_vms"] = c.VCPUs, c.MemoryMiB, c.DiskGiB, 1
	}
	q["free_ram_mb"], q["free_disk_gb"] = q["memory_mb"]-q["memory_mb_used"], q["local_gb"]-q["local_gb_used"]
	q["disk_available_least"] = q["free_disk_gb"]
	return q
}

func serversOn(i *instance.Instance) []object {
	return []object{{"name": "instance-" + i.ID[:8], "uuid": i.ID}}
}

// wanted are the machines that the query asks for, since 2.53 by a part of their names.
func (p pool) wanted(r *osapi.Request) []*machine.Machine {
	part := ""
	if r.Version.AtLeast(2, 53) {
		part = r.Query().String("hypervisor_hostname_pattern")
	}
	return slices.DeleteFunc(slices.Clone(p.machines), func(m *machine.Machine) bool { return !strings.Contains(m.ID, part) })
}

func (a *api) listHypervisors(r *osapi.Request) (any, error) {
	p, err := a.pool(r)
	shown := []object{}
	for _, m := range p.wanted(r) {
		shown = append(shown, hypervisorView(r, m))
	}
	return object{"hypervisors": shown}, err
}

func (a *api) listHypervisorsDetail(r *osapi.Request) (any, error) {
	p, err := a.pool(r)
	shown := []object{}
	for _, m := range p.wanted(r) {
		shown = append(shown, p.detail(r, m))
	}
	return object{"hypervisors": shown}, err
}

func (a *api) showHypervisor(r *osapi.Request) (any, error) {
	p, err := a.pool(r)
	if err != nil {
		return nil, err
	}
	for _, m := range p.machines {
		if id := r.Path("id"); id == m.ID && r.Version.AtLeast(2, 53) || id == strconv.Itoa(number(m.ID)) && !r.Version.AtLeast(2, 53) {
			return object{"hypervisor": p.detail(r, m)}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Compute host %s could not be found.", clip(r.Path("id")))
}

// searchHypervisors finds by a part of the name; none is not found.
func (a *api) searchHypervisors(r *osapi.Request) (any, error) {
	return a.searched(r, func(pool, *machine.Machine, object) {})
}

func (a *api) hypervisorServers(r *osapi.Request) (any, error) {
	return a.searched(r, func(p pool, m *machine.Machine, shown object) {
		if p.on[m.ID] != nil {
			shown["servers"] = serversOn(p.on[m.ID])
		}
	})
}

func (a *api) searched(r *osapi.Request, add func(pool, *machine.Machine, object)) (any, error) {
	p, err := a.pool(r)
	if err != nil {
		return nil, err
	}
	shown := []object{}
	for _, m := range p.machines {
		if strings.Contains(m.ID, r.Path("id")) {
			one := hypervisorView(r, m)
			add(p, m, one)
			shown = append(shown, one)
		}
	}
	if len(shown) == 0 {
		return nil, fault.New(fault.NotFound, "No hypervisor matching '%s' could be found.", clip(r.Path("id")))
	}
	return object{"hypervisors": shown}, nil
}

func (a *api) statistics(r *osapi.Request) (any, error) {
	p, err := a.pool(r)
	sum := map[string]int{"count": len(p.machines)}
	for _, name := range []string{"vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb", "free_disk_gb",
		"current_workload", "running_vms", "disk_available_least"} {
		for _, m := range p.machines {
			sum[name] += p.quantities(m)[name]
		}
	}
	return object{"hypervisor_statistics": sum}, err
}
