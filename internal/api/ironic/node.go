package ironic

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// nodeFields says from which version on a node has a field (ironic/api/controllers/v1/versions.py).
var nodeFields = osapi.Fields{
	"driver_internal_info": osapi.Since(1, 3), "name": osapi.Since(1, 5),
	"inspection_finished_at": osapi.Since(1, 6), "inspection_started_at": osapi.Since(1, 6), "clean_step": osapi.Since(1, 7),
	"raid_config": osapi.Since(1, 12), "target_raid_config": osapi.Since(1, 12), "states": osapi.Since(1, 14),
	"network_interface": osapi.Since(1, 20), "resource_class": osapi.Since(1, 21), "portgroups": osapi.Since(1, 24),
	"boot_interface": osapi.Since(1, 31), "console_interface": osapi.Since(1, 31), "deploy_interface": osapi.Since(1, 31),
	"inspect_interface": osapi.Since(1, 31), "management_interface": osapi.Since(1, 31), "power_interface": osapi.Since(1, 31),
	"raid_interface": osapi.Since(1, 31), "vendor_interface": osapi.Since(1, 31), "volume": osapi.Since(1, 32),
	"storage_interface": osapi.Since(1, 33), "traits": osapi.Since(1, 37), "rescue_interface": osapi.Since(1, 38),
	"bios_interface": osapi.Since(1, 40), "fault": osapi.Since(1, 42), "deploy_step": osapi.Since(1, 44),
	"conductor_group": osapi.Since(1, 46), "automated_clean": osapi.Since(1, 47), "protected": osapi.Since(1, 48),
	"protected_reason": osapi.Since(1, 48), "conductor": osapi.Since(1, 49), "owner": osapi.Since(1, 50),
	"description": osapi.Since(1, 51), "allocation_uuid": osapi.Since(1, 52), "retired": osapi.Since(1, 61),
	"retired_reason": osapi.Since(1, 61), "lessee": osapi.Since(1, 65), "network_data": osapi.Since(1, 66),
	"boot_mode": osapi.Since(1, 75), "secure_boot": osapi.Since(1, 75), "shard": osapi.Since(1, 82),
	"parent_node": osapi.Since(1, 83), "firmware_interface": osapi.Since(1, 86), "service_step": osapi.Since(1, 87),
}

// fixed are fields that have no place in the domain: they show, and take, these values only.
var fixed = object{"conductor_group": ""}

// node is a machine with the work that holds it now; nil: none.
type node struct {
	*machine.Machine
	work *workflow.Run
}

// held reports whether an operator has to wait for the work on the node. Warming a spare gives way to everybody.
func (n node) held() bool { return n.work != nil && n.work.Flow != warming }

const warming = "machine-warm"

// brief is what a list shows of a node, as the request's version does, unless more is asked for.
func (a *api) brief(r *osapi.Request, n node) object {
	return nodeFields.Trim(object{
		"uuid": n.ID, "name": orNull(n.Name), "instance_uuid": orNull(cmp.Or(n.Instance, n.Holder)), "maintenance": n.Maintenance,
		"power_state": powerState(n.Power), "provision_state": provisionState(r.Version, n), "links": links(r, "/nodes/", n.ID),
	}, r.Version)
}

// view is a node as the request's version shows it.
func (a *api) view(r *osapi.Request, n node) object {
	o := object{
		"driver": n.BMC.Kind, "driver_info": driverInfo(n.Machine),
		"driver_internal_info": internalInfo(n), "properties": orEmpty(n.Properties), "extra": orEmpty(n.Extra),
		"resource_class": orNull(n.ResourceClass), "owner": orNull(n.Owner),
		"description": orNull(n.Description), "traits": slices.Clone(n.Traits), "conductor": a.host,
		"target_provision_state": orNull(string(n.Target)), "provision_updated_at": osapi.Offset(n.StateSince),
		"target_power_state": powerTarget(n.PowerTarget), "maintenance_reason": orNull(n.MaintenanceReason), "fault": faultOf(n.Machine),
		"last_error": orNull(n.LastError), "reservation": nil,
		"inspection_started_at": nil, "inspection_finished_at": osapi.Offset(n.Inspected),
		"clean_step": step(n, machine.Cleaning), "deploy_step": step(n, machine.Deploying),
		"boot_mode": nil, "secure_boot": nil, "raid_config": object{}, "service_step": object{},
		"target_raid_config": orEmpty(n.Notes.TargetRAID), "console_enabled": n.Notes.Console, "allocation_uuid": orNull(n.Allocation),
		"created_at": osapi.Offset(n.Created), "updated_at": nil,
	}
	maps.Copy(o, a.brief(r, n))
	if n.Updated.After(n.Created) {
		o["updated_at"] = osapi.Offset(n.Updated)
	}
	if n.held() {
		o["reservation"] = a.host
	}
	if n.State == machine.Inspecting {
		o["inspection_started_at"], o["inspection_finished_at"] = osapi.Offset(n.StateSince), nil
	}
	if mode := bootMode(n.Machine); mode != "" {
		o["boot_mode"], o["secure_boot"] = string(mode), n.Abilities.SecureBoot
	}
	for _, collection := range []string{"ports", "states", "portgroups", "volume"} {
		o[collection] = below(r, "/nodes/", n.ID, collection)
	}
	for name, value := range fixed {
		o[name] = value
	}
	maps.Copy(o, noted(n.Machine))
	maps.Copy(o, interfaces(n.Machine))
	if !r.Caller.Reads(n.Owner) { // the lessee knows the node, and not how it is driven
		o["driver_info"], o["driver_internal_info"] = object{"content": redacted}, object{"content": redacted}
		o["last_error"] = redacted
	}
	return nodeFields.Trim(o, r.Version)
}

const redacted = "** Redacted: it is shown to the node's owner. **"

// noted are the fields that operators write and the domain only keeps.
func noted(m *machine.Machine) object {
	o := object{
		"lessee": orNull(m.Lessee), "chassis_uuid": orNull(m.Chassis), "protected": m.Protected, "protected_reason": orNull(m.Notes.ProtectedReason),
		"retired": m.Retired, "retired_reason": orNull(m.Notes.RetiredReason), "shard": orNull(m.Notes.Shard), "parent_node": orNull(m.Notes.Parent),
		"instance_info": masking(m.Notes.InstanceInfo), "network_data": orEmpty(m.Notes.NetworkData), "automated_clean": nil,
	}
	if m.Notes.AutomatedClean != nil {
		o["automated_clean"] = *m.Notes.AutomatedClean
	}
	return o
}

// The faults that Ironic has a word for (ironic/common/faults.py).
const (
	powerFailure = "power failure"
	cleanFailure = "clean failure"
)

var faults = []string{powerFailure, cleanFailure, "rescue abort failure", "none"}

// faultOf is Ironic's word for why a node was quarantined; the sentence is its maintenance reason.
func faultOf(m *machine.Machine) any {
	switch {
	case m.Fault == "":
		return nil
	case m.State == machine.CleanFailed:
		return cleanFailure
	}
	return powerFailure // it does not start, or does not go off
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(o object) object {
	if o == nil {
		return object{}
	}
	return o
}

// bootMode as the agent saw it, else as the BMC says; empty before that.
func bootMode(m *machine.Machine) machine.BootMode {
	if m.Inventory != nil {
		return machine.BootMode(m.Inventory.BootMode)
	}
	return m.Identity.BootMode
}

// internalInfo tells what the work on a node waits for and how far it is.
func internalInfo(n node) object {
	info := object{}
	if n.Identity.Vendor != "" {
		info["vendor"] = strings.TrimSpace(n.Identity.Vendor + " " + n.Identity.Model)
	}
	if n.work == nil {
		return info
	}
	info["work"] = object{"id": n.work.ID, "flow": n.work.Flow, "step": n.work.Step, "waiting_for": orNull(n.work.Waiting), "progress": n.work.Progress}
	return info
}

// step is where the work is, for the field of the state it belongs to.
func step(n node, state machine.State) object {
	if n.State != state || n.work == nil {
		return object{}
	}
	return object{"step": n.work.Step, "interface": "deploy", "priority": 0}
}

// waits and holds are Ironic's names for a state whose work waits for the agent, or for an operator.
var (
	waits = map[machine.State]string{
		machine.Cleaning: "clean wait", machine.Inspecting: "inspect wait", machine.Deploying: "wait call-back",
	}
	holds = map[machine.State]string{machine.Cleaning: "clean hold", machine.Deploying: "deploy hold"}
)

// begins says in which state a flow puts a node. A node whose flow was taken and has not begun is shown there already,
// as in Ironic: clients that wait for the state which a verb leads back to (inspect: manageable) would else be done at
// once.
var begins = map[string]machine.State{
	"machine-verify": machine.Verifying, "machine-inspect": machine.Inspecting, "machine-clean": machine.Cleaning,
	"machine-adopt": machine.Adopting, "machine-pretend": machine.Deploying,
}

// provisionState names a node's state as the version knows it.
func provisionState(v osapi.Microversion, n node) any {
	state := string(n.State)
	if n.work != nil && n.Target != "" && begins[n.work.Flow] != "" {
		state = string(begins[n.work.Flow])
	}
	switch {
	case n.work != nil && n.work.Status == workflow.IsStuck && holds[n.State] != "" && v.AtLeast(1, 85):
		state = holds[n.State]
	case n.work != nil && n.work.Waiting != "" && waits[n.State] != "":
		state = waits[n.State]
	}
	switch {
	case state == string(machine.Available) && !v.AtLeast(1, 2):
		return nil
	case state == "inspect wait" && !v.AtLeast(1, 39):
		return string(machine.Inspecting)
	}
	return state
}

func powerState(p machine.PowerState) any {
	switch p {
	case machine.PowerOn, machine.PowerOff:
		return "power " + string(p)
	}
	return nil
}

func powerTarget(p machine.PowerAction) any {
	switch p {
	case "":
		return nil
	case machine.ActionReset:
		return "rebooting"
	case machine.ActionShutdown:
		return "soft power off"
	}
	return "power " + string(p)
}

// withWork finds the work on a machine. While a server is put on it or taken off it, that is the server's work.
func (a *api) withWork(ctx context.Context, m *machine.Machine) (node, error) {
	run, err := workflow.ActiveOf(ctx, a.db, machine.Resource(m.ID))
	if err == nil && run == nil && m.Instance != "" {
		run, err = workflow.ActiveOf(ctx, a.db, instance.Resource(m.Instance))
	}
	return node{m, run}, err
}

// reads reports whether the caller may know of the node: its owner, its lessee, and those who read everything.
func reads(r *osapi.Request, m *machine.Machine) bool {
	return r.Caller.Reads(m.Owner) || r.Caller.Reads(m.Lessee)
}

// find gives the node that the path names, for callers who may know of it.
func (a *api) find(r *osapi.Request) (node, error) {
	m, err := a.machines.Get(r.Context(), a.db, r.Path("node"))
	if err != nil {
		return node{}, err
	}
	if !reads(r, m) {
		return node{}, fault.New(fault.NotFound, "Node %s could not be found.", r.Path("node"))
	}
	return a.withWork(r.Context(), m)
}

// findToChange is find for those who may change the node, too.
func (a *api) findToChange(r *osapi.Request) (node, error) {
	n, err := a.find(r)
	if err == nil && !r.Caller.Writes(n.Owner) && !r.Caller.Writes(n.Lessee) {
		err = fault.New(fault.Forbidden, "Only members of the projects that own or lease node %s, and admins, may do this.", r.Path("node"))
	}
	return n, err
}

// lockPatience is how long a request waits for the power of its node to have been switched, which Ironic does with every lock
// (node_locked_retry_attempts times node_locked_retry_interval).
const lockPatience = 3 * time.Second

// settle waits a moment while the node's power is switched. Whatever else works on the node refuses the request.
func (a *api) settle(ctx context.Context, node string) error {
	for wait := time.Duration(0); wait < lockPatience; wait += lockPatience / 60 {
		run, err := workflow.ActiveOf(ctx, a.db, machine.Resource(node))
		if err != nil || run == nil || run.Flow != switching {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPatience / 60):
		}
	}
	return locked(node, a.host)
}

const switching = "machine-power"
