package nova

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
)

// The binaries that clients know. Each machine is a compute host of its own, named by its id; the processes of the control
// plane choose machines and run the flows.
const (
	computeBinary = "nova-compute"
	internalZone  = "internal"
)

var controlBinaries = []string{"nova-scheduler", "nova-conductor"}

// service is a row of os-services: a machine, or one of the two things that a process of the control plane does.
type service struct {
	id, binary, host, zone string
	up                     bool
	seen                   time.Time
	machine                *machine.Machine // nil: a process
}

func (a *api) services(r *osapi.Request) ([]service, error) {
	processes, err := a.Processes(r.Context())
	if err != nil {
		return nil, err
	}
	var all []service
	for _, p := range processes {
		for _, binary := range controlBinaries {
			id := uuid.NewSHA1(uuid.NameSpaceDNS, []byte(binary+"@"+p.Host)).String()
			all = append(all, service{id: id, binary: binary, host: p.Host, zone: internalZone, up: a.up(p), seen: p.Seen})
		}
	}
	zones, err := a.Instances.Zones(r.Context(), a.DB)
	if err != nil {
		return nil, err
	}
	machines, err := a.Machines.List(r.Context(), a.DB)
	for _, m := range machines {
		all = append(all, service{id: m.ID, binary: computeBinary, host: m.ID, zone: zones.Of(m.ID), up: m.Power != machine.PowerUnknown, seen: m.Updated, machine: m})
	}
	return all, err
}

// disabled is a machine in maintenance: no server gets it.
func (s *service) disabled() bool { return s.machine != nil && s.machine.Maintenance }

var serviceFields = osapi.Fields{"forced_down": osapi.Since(2, 11)}

func (s *service) view(r *osapi.Request) object {
	shown := object{
		"binary": s.binary, "host": s.host, "id": any(number(s.id)), "zone": s.zone, "status": "enabled", "state": "down",
		"updated_at": osapi.Naive(s.seen), "disabled_reason": nil, "forced_down": false,
	}
	if r.Version.AtLeast(2, 53) {
		shown["id"] = s.id
	}
	if s.up {
		shown["state"] = "up"
	}
	if s.disabled() {
		shown["status"], shown["disabled_reason"] = "disabled", null(s.machine.MaintenanceReason)
	}
	return serviceFields.Trim(shown, r.Version)
}

func (a *api) listServices(r *osapi.Request) (any, error) {
	q := r.Query()
	host, binary := q.String("host"), q.String("binary")
	all, err := a.services(r)
	shown := []object{}
	for _, s := range all {
		if (host == "" || host == s.host) && (binary == "" || binary == s.binary) {
			shown = append(shown, s.view(r))
		}
	}
	return object{"services": shown}, err
}

// serviceChange is what may change of a service. To disable a machine's is to put the machine into maintenance; to enable
// it ends that, whoever began it.
type serviceChange struct {
	Status string  `json:"status"`
	Reason *string `json:"disabled_reason"`
	Forced *bool   `json:"forced_down"`
}

func (c *serviceChange) check() error {
	switch {
	case c.Forced != nil:
		return errUnsupported // there is nothing to believe of a machine that its BMC does not say
	case c.Status != "enabled" && c.Status != "disabled":
		return invalid("status", strconv.Quote(clip(c.Status)), "It is neither enabled nor disabled.")
	case c.Reason != nil && c.Status == "enabled":
		return fault.New(fault.Invalid, "Specifying 'disabled_reason' when status is 'enabled' is invalid.")
	case c.Reason != nil && (*c.Reason == "" || len(*c.Reason) > 255 || checkDescription(*c.Reason) != nil):
		return fault.New(fault.Invalid, "Disabled reason contains invalid characters or is too long")
	}
	return nil
}

// changeService finds the service and changes it.
func (a *api) changeService(r *osapi.Request, c serviceChange, is func(service) bool, none string) (*service, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	all, err := a.services(r)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, is)
	switch {
	case at < 0:
		return nil, fault.New(fault.NotFound, "%s", none)
	case all[at].machine == nil:
		return nil, fault.New(fault.Invalid, "Updating a %s service is not supported. Only nova-compute services can be updated.", all[at].binary)
	}
	s := &all[at]
	if err := a.Machines.SetMaintenance(r.Context(), s.machine.ID, c.Status == "disabled", pointed(c.Reason)); err != nil {
		return nil, err
	}
	s.machine, err = a.Machines.Get(r.Context(), a.DB, s.machine.ID)
	return s, err
}

// updateService is PUT /os-services/{id}, since 2.53.
func (a *api) updateService(r *osapi.Request) (any, error) {
	var change serviceChange
	if err := r.Decode(&change); err != nil {
		return nil, err
	}
	id := r.Path("id")
	s, err := a.changeService(r, change, func(s service) bool { return s.id == id }, "Service "+clip(id)+" could not be found.")
	if err != nil {
		return nil, err
	}
	return object{"service": s.view(r)}, nil
}

// oldServiceChange is PUT /os-services/enable and its like, until 2.52.
func (a *api) oldServiceChange(r *osapi.Request) (any, error) {
	var body struct {
		Host   string  `json:"host"`
		Binary string  `json:"binary"`
		Reason *string `json:"disabled_reason"`
		Forced *bool   `json:"forced_down"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	change := serviceChange{Reason: body.Reason}
	switch verb := r.Path("id"); {
	case body.Host == "":
		return nil, missing("host")
	case body.Binary == "":
		return nil, missing("binary")
	case verb == "enable":
		change.Status = "enabled"
	case verb == "disable" && body.Reason == nil:
		change.Status = "disabled"
	case verb == "disable-log-reason" && body.Reason != nil:
		change.Status = "disabled"
	case verb == "force-down" && body.Forced != nil && r.Version.AtLeast(2, 11):
		change.Forced = body.Forced
	case slices.Contains([]string{"disable", "disable-log-reason", "force-down"}, verb):
		return nil, missing("disabled_reason")
	default:
		return nil, fault.New(fault.NotFound, "Unknown action")
	}
	s, err := a.changeService(r, change, func(s service) bool { return s.host == body.Host && s.binary == body.Binary },
		"Could not find binary "+clip(body.Binary)+" on host "+clip(body.Host)+".")
	if err != nil {
		return nil, err
	}
	shown := object{"host": s.host, "binary": s.binary, "status": change.Status}
	if body.Reason != nil {
		shown["disabled_reason"] = *body.Reason
	}
	return object{"service": shown}, nil
}

// deleteService says where machines are forgotten.
func (a *api) deleteService(r *osapi.Request) (any, error) {
	all, err := a.services(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(s service) bool { return s.id == r.Path("id") || strconv.Itoa(number(s.id)) == r.Path("id") }) {
		return nil, fault.New(fault.NotFound, "Service %s could not be found.", clip(r.Path("id")))
	}
	return nil, fault.New(fault.Conflict, "A compute service goes with its machine: delete the node in the Bare Metal API.")
}

// listHosts names machines for the service compute, and processes for what they do.
func (a *api) listHosts(r *osapi.Request) (any, error) {
	zone := r.Query().String("zone")
	all, err := a.services(r)
	shown := []object{}
	for _, s := range all {
		if zone == "" || zone == s.zone {
			shown = append(shown, object{"host_name": s.host, "service": s.binary[len("nova-"):], "zone": s.zone})
		}
	}
	return object{"hosts": shown}, err
}

func (a *api) zones(r *osapi.Request) (any, error) { return a.zonesView(r, false) }

func (a *api) zonesDetail(r *osapi.Request) (any, error) { return a.zonesView(r, true) }

// zonesView gathers the services by their zones. One is available when a machine in it is not in maintenance; the zone of
// the control plane only operators see.
func (a *api) zonesView(r *osapi.Request, detail bool) (any, error) {
	all, err := a.services(r)
	hosts, available := map[string]object{instance.DefaultZone: {}}, map[string]bool{}
	for _, s := range all {
		if s.zone == internalZone && !detail {
			continue
		}
		if hosts[s.zone] == nil {
			hosts[s.zone] = object{}
		}
		services, ok := hosts[s.zone][s.host].(object)
		if !ok {
			services = object{}
			hosts[s.zone][s.host] = services
		}
		services[s.binary] = object{"available": s.up, "active": !s.disabled(), "updated_at": osapi.Naive(s.seen)}
		available[s.zone] = available[s.zone] || !s.disabled()
	}
	if len(hosts[instance.DefaultZone]) == 0 && len(available) > 1 {
		delete(hosts, instance.DefaultZone) // every machine is in a zone of its own
	}
	shown := []object{}
	for _, zone := range slices.Sorted(maps.Keys(hosts)) {
		one := object{"zoneName": zone, "zoneState": object{"available": available[zone]}, "hosts": nil}
		if detail {
			one["hosts"] = hosts[zone]
		}
		shown = append(shown, one)
	}
	return object{"availabilityZoneInfo": shown}, err
}
