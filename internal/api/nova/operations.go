package nova

import (
	"fmt"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
)

// host finds the machine of the path.
func (a *api) host(r *osapi.Request) (*machine.Machine, error) {
	m, err := a.Machines.Get(r.Context(), a.DB, r.Path("host"))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "Compute host %s could not be found.", clip(r.Path("host")))
	}
	return m, err
}

// showHost says what a machine has, and what of it is used: all or nothing.
func (a *api) showHost(r *osapi.Request) (any, error) {
	m, err := a.host(r)
	if err != nil {
		return nil, err
	}
	has := pool{}.quantities(m)
	resource := func(project, suffix string) object {
		return object{"resource": object{
			"host": m.ID, "project": project, "cpu": has["vcpus"+suffix], "memory_mb": has["memory_mb"+suffix], "disk_gb": has["local_gb"+suffix],
		}}
	}
	return object{"host": []object{resource("(total)", ""), resource("(used_now)", "_used"), resource("(used_max)", "_used")}}, nil
}

// changeHost checks as Nova does, and sends to what replaced it: os-services.
func (a *api) changeHost(r *osapi.Request) (any, error) {
	var body struct {
		Status      *string `json:"status"`
		Maintenance *string `json:"maintenance_mode"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Status == nil && body.Maintenance == nil {
		return nil, missing("status")
	}
	for field, value := range map[string]*string{"status": body.Status, "maintenance_mode": body.Maintenance} {
		if value != nil && *value != "enable" && *value != "disable" {
			return nil, invalid(field, clip(*value), "It is neither enable nor disable.")
		}
	}
	return a.onHost(r)
}

func (a *api) onHost(r *osapi.Request) (any, error) {
	if _, err := a.host(r); err != nil {
		return nil, err
	}
	return nil, errUnsupported
}

// auditLog says what Nova says where no host writes the log: what servers used is in os-simple-tenant-usage.
func (a *api) auditLog(name string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		before := a.Clock.Now()
		if text := r.Path("before"); text != "" {
			var err error
			if before, err = time.Parse("2006-01-02 15:04:05", text); err != nil {
				if before, err = time.Parse("2006-01-02 15:04:05.999999", text); err != nil {
					return nil, fault.New(fault.Invalid, "Invalid timestamp for date %s", clip(text))
				}
			}
		}
		processes, err := a.Processes(r.Context())
		hosts := make([]string, len(processes))
		for n, p := range processes {
			hosts[n] = p.Host
		}
		end := time.Date(before.Year(), before.Month(), 1, 0, 0, 0, 0, time.UTC)
		return object{name: object{
			"hosts_not_run": hosts, "log": object{}, "num_hosts": len(hosts), "num_hosts_done": 0, "num_hosts_not_run": len(hosts), "num_hosts_running": 0,
			"overall_status":   fmt.Sprintf("0 of %d hosts done. 0 errors.", len(hosts)),
			"period_beginning": end.AddDate(0, -1, 0).Format(time.DateTime), "period_ending": end.Format(time.DateTime), "total_errors": 0, "total_instances": 0,
		}}, err
	}
}

// externalEvents are how other services tell Nova that they are done. Ours need not be told; each event is answered for
// its server.
func (a *api) externalEvents(r *osapi.Request) (any, error) {
	var body struct {
		Events []struct {
			Name   string  `json:"name"`
			Server string  `json:"server_uuid"`
			Status string  `json:"status"`
			Tag    *string `json:"tag"`
		} `json:"events"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body.Events) == 0 {
		return nil, missing("events")
	}
	status, known := 200, 0
	shown := make([]object, len(body.Events))
	for n, e := range body.Events {
		if !slices.Contains(externalEvents, e.Name) {
			return nil, invalid("name", clip(e.Name), "There is no such event.")
		}
		shown[n] = object{"name": e.Name, "server_uuid": e.Server, "status": "completed", "code": 200}
		if e.Status != "" {
			shown[n]["status"] = e.Status
		}
		if e.Tag != nil {
			shown[n]["tag"] = *e.Tag
		}
		_, err := a.Instances.Get(r.Context(), a.DB, reader(r), e.Server)
		switch {
		case fault.Is(err, fault.NotFound):
			shown[n]["status"], shown[n]["code"], status = "failed", 404, 207
		case err != nil:
			return nil, err
		default:
			known++
		}
	}
	if known == 0 {
		return nil, fault.New(fault.NotFound, "No instances found for any event")
	}
	return osapi.Response{Status: status, Body: object{"events": shown}}, nil
}

// externalEvents are nova/objects/external_event.py, EVENT_NAMES.
var externalEvents = []string{
	"network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted", "volume-extended", "power-update", "accelerator-request-bound",
}

// uptime of a hypervisor: a machine's own system keeps it to itself.
func (a *api) hypervisorUptime(r *osapi.Request) (any, error) {
	pool, err := a.pool(r)
	if err != nil {
		return nil, err
	}
	for _, m := range pool.machines {
		if fmt.Sprint(hypervisorID(r, m)) == r.Path("id") {
			return nil, errUnsupported
		}
	}
	return nil, fault.New(fault.NotFound, "Compute host %s could not be found.", clip(r.Path("id")))
}

// noPassword: no machine ever tells us one.
func noPassword(*osapi.Request) (any, error) { return object{"password": ""}, nil }

func nothing(*osapi.Request) (any, error) { return nil, nil }

// Until 2.35 Nova shows networks too: name and id, and what else it once had, empty.
func (a *api) networkViews(r *osapi.Request, view func(n *network.Network) object) (any, error) {
	all, err := a.Networks.Networks(r.Context(), a.DB, reader(r), network.NetworkFilter{})
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(all))
	for at, n := range all {
		if shown[at] = view(n); n.ID == r.Path("id") {
			return object{"network": shown[at]}, nil
		}
	}
	if r.Path("id") != "" {
		return nil, fault.New(fault.NotFound, "Network not found")
	}
	return object{"networks": shown}, nil
}

func (a *api) adminNetworks(r *osapi.Request) (any, error) {
	return a.networkViews(r, func(n *network.Network) object {
		shown := object{"id": n.ID, "label": n.Name}
		for _, field := range []string{
			"bridge", "bridge_interface", "broadcast", "cidr", "cidr_v6", "created_at", "deleted", "deleted_at", "dhcp_start", "dns1", "dns2", "gateway",
			"gateway_v6", "host", "injected", "multi_host", "netmask", "netmask_v6", "priority", "project_id", "rxtx_base", "updated_at", "vlan",
			"vpn_private_address", "vpn_public_address", "vpn_public_port", "mtu", "dhcp_server", "enable_dhcp", "share_address",
		} {
			shown[field] = nil
		}
		return shown
	})
}

func (a *api) tenantNetworks(r *osapi.Request) (any, error) {
	return a.networkViews(r, func(n *network.Network) object { return object{"id": n.ID, "label": n.Name, "cidr": "None"} })
}
