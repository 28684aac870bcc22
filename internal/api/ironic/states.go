package ironic

import (
	"net/http"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

var stateFields = []string{
	"console_enabled", "last_error", "power_state", "provision_state", "provision_updated_at", "target_power_state",
	"target_provision_state", "raid_config", "target_raid_config", "boot_mode", "secure_boot",
}

func (a *api) showStates(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return osapi.Page{Fields: stateFields}.Pick(a.view(r, n)), nil
}

// accepted sends the client to look at the node's states.
func accepted(r *osapi.Request) osapi.Response {
	return osapi.Response{Header: http.Header{"Location": {r.URL("/v1/nodes/", r.Path("node")) + "/states"}}}
}

// powers are Ironic's names of what can be done to the power.
var powers = map[string]struct {
	action  machine.PowerAction
	restart bool
	since   osapi.Span
}{
	"power on":       {machine.ActionOn, false, osapi.Span{}},
	"power off":      {machine.ActionOff, false, osapi.Span{}},
	"rebooting":      {machine.ActionReset, false, osapi.Span{}},
	"soft power off": {machine.ActionShutdown, false, osapi.Since(1, 27)},
	"soft rebooting": {machine.ActionShutdown, true, osapi.Since(1, 27)},
}

func (a *api) setPower(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Target  string                    `json:"target"`
		Timeout osapi.Optional[osapi.Int] `json:"timeout"` // seconds
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	power, known := powers[body.Target]
	switch {
	case !known:
		return nil, fault.New(fault.Invalid, "The requested power state %q is not one of %v.", body.Target, sorted(powers))
	case !power.since.Has(r.Version):
		return nil, tooNew(r, body.Target)
	case body.Timeout.Set && !r.Version.AtLeast(1, 27):
		return nil, tooNew(r, "the field timeout")
	case body.Timeout.Set && !body.Timeout.Null && (body.Timeout.Value < 1 || body.Timeout.Value > 24*60*60):
		return nil, fault.New(fault.Invalid, "A timeout is from 1 second to a day.")
	}
	if err := a.settle(r.Context(), n.ID); err != nil {
		return nil, err
	}
	grace := time.Duration(body.Timeout.Value) * time.Second
	return accepted(r), a.machines.SetPower(r.Context(), n.ID, power.action, power.restart, grace, r.ID)
}

// verbs are the provision targets that the domain has.
var verbs = map[string]struct {
	verb  machine.Verb
	since osapi.Span
}{
	"manage":   {machine.Manage, osapi.Since(1, 4)},
	"provide":  {machine.Provide, osapi.Since(1, 4)},
	"inspect":  {machine.Inspect, osapi.Since(1, 6)},
	"abort":    {machine.Abort, osapi.Since(1, 13)},
	"adopt":    {machine.Adopt, osapi.Since(1, 17)},
	"active":   {machine.Deploy, osapi.Span{}},
	"deploy":   {machine.Deploy, osapi.Since(1, 73)},
	"rebuild":  {machine.Rebuild, osapi.Span{}},
	"deleted":  {machine.Undo, osapi.Span{}},
	"undeploy": {machine.Undo, osapi.Since(1, 73)},
}

// refused are Ironic's other targets, and why there is none of it here.
var refused = map[string]string{
	"rescue":   "there is no rescue system",
	"unrescue": "there is no rescue system",
	"clean":    "cleaning always erases all disks; the verb provide does it, and puts the machine into the pool",
	"service":  "there are no service steps",
}

func (a *api) setProvision(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Target         string              `json:"target"`
		ConfigDrive    osapi.Optional[any] `json:"configdrive"`
		CleanSteps     osapi.Optional[any] `json:"clean_steps"`
		DeploySteps    osapi.Optional[any] `json:"deploy_steps"`
		ServiceSteps   osapi.Optional[any] `json:"service_steps"`
		RescuePassword osapi.Optional[any] `json:"rescue_password"`
		DisableRAMDisk osapi.Optional[any] `json:"disable_ramdisk"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Target == "unhold" {
		return a.unhold(r, n)
	}
	if why, known := refused[body.Target]; known {
		return nil, fault.New(fault.Invalid, "The requested action %q can not be performed on node %s: %s.", body.Target, n.ID, why)
	}
	asked, known := verbs[body.Target]
	more := slices.ContainsFunc([]osapi.Optional[any]{body.ConfigDrive, body.CleanSteps, body.DeploySteps, body.ServiceSteps, body.RescuePassword, body.DisableRAMDisk},
		func(o osapi.Optional[any]) bool { return o.Set && !o.Null })
	switch {
	case !known:
		return nil, fault.New(fault.Invalid, "The requested action %q is not known.", body.Target)
	case !asked.since.Has(r.Version):
		return nil, tooNew(r, "the target "+body.Target)
	case more && (!n.Fake() || asked.verb != machine.Deploy && asked.verb != machine.Rebuild):
		return nil, fault.New(fault.Invalid, "The target %q takes no configdrive, steps, password or RAM disk.", body.Target)
	case asked.verb == machine.Undo && n.Instance != "":
		return nil, fault.New(fault.Conflict, "Node %s is associated with instance %s: delete the server through Nova.", n.ID, n.Instance)
	}
	if err := a.settle(r.Context(), n.ID); err != nil {
		return nil, err
	}
	return accepted(r), a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		if asked.verb == machine.Undo {
			if _, err := a.unplug(r.Context(), tx, m.ID, ""); err != nil {
				return err
			}
		}
		return a.machines.ProvisionIn(r.Context(), tx, m, asked.verb, r.ID)
	})
}

// unhold has work that waits for an operator try again.
func (a *api) unhold(r *osapi.Request, n node) (any, error) {
	if !r.Version.AtLeast(1, 85) {
		return nil, tooNew(r, "the target unhold")
	}
	if n.work == nil || n.work.Status != workflow.IsStuck {
		return nil, fault.New(fault.Invalid, "The requested action \"unhold\" can not be performed on node %s: no work on it waits for an operator.", n.ID)
	}
	return accepted(r), a.engine.Resume(r.Context(), n.work.ID)
}

func (a *api) showConsole(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	answer := object{"console_enabled": n.Notes.Console, "console_info": nil}
	if n.Notes.Console {
		answer["console_info"] = object{}
	}
	return answer, nil
}

// setConsole is for fake hardware, which has none: clients see it switched. A real machine's console is its server's.
func (a *api) setConsole(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	if interfaces(n.Machine)["console_interface"] == "no-console" {
		return nil, unsupported(n, "console")
	}
	q := r.Query()
	on := q.Bool("enabled", false)
	if err := q.Done(); err != nil {
		return nil, err
	}
	if !q.Has("enabled") {
		var body struct {
			Enabled osapi.Optional[osapi.Bool] `json:"enabled"`
		}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		if !body.Enabled.Set || body.Enabled.Null {
			return nil, fault.New(fault.Invalid, "'enabled' must be true or false.")
		}
		on = bool(body.Enabled.Value)
	}
	answer := osapi.Response{Header: http.Header{"Location": {r.URL("/v1/nodes/", r.Path("node")) + "/states/console"}}}
	return answer, a.note(r, n, func(notes *machine.Notes) { notes.Console = on })
}

// note changes what is only kept of a node.
func (a *api) note(r *osapi.Request, n node, change func(*machine.Notes)) error {
	return a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		change(&m.Notes)
		return a.machines.Update(r.Context(), tx, m)
	})
}

// setRAID keeps what the disks of fake hardware are to be, which has none.
func (a *api) setRAID(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	if interfaces(n.Machine)["raid_interface"] == "no-raid" {
		return nil, unsupported(n, "raid")
	}
	var body struct {
		LogicalDisks []map[string]any `json:"logical_disks"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	disks := []any{}
	for _, disk := range body.LogicalDisks {
		for name := range disk {
			if _, known := logicalDisk[name]; !known {
				return nil, fault.New(fault.Invalid, "RAID config validation error: %q is no property of a logical disk.", name)
			}
		}
		if disk["size_gb"] == nil || disk["raid_level"] == nil {
			return nil, fault.New(fault.Invalid, "RAID config validation error: a logical disk needs a size_gb and a raid_level.")
		}
		disks = append(disks, disk)
	}
	return nil, a.note(r, n, func(notes *machine.Notes) { notes.TargetRAID = object{"logical_disks": disks} })
}

func (a *api) setBootMode(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, unsupported(n, "set_boot_mode") // no BMC that we drive changes it for more than one boot
}

// setSecureBoot takes effect when the machine starts the next time.
func (a *api) setSecureBoot(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Target osapi.Optional[osapi.Bool] `json:"target"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !body.Target.Set || body.Target.Null {
		return nil, fault.New(fault.Invalid, "The target must be true or false.")
	}
	err = a.order(r, n, func(bmc machine.Driver) error {
		secure, ok := bmc.(machine.SecureBooter)
		if !ok {
			return unsupported(n, "set_secure_boot")
		}
		return secure.SetSecureBoot(r.Context(), bool(body.Target.Value))
	})
	if err != nil {
		return nil, err
	}
	return accepted(r), a.machines.NoteSecureBoot(r.Context(), n.ID, bool(body.Target.Value))
}
