package ironic

import (
	"context"
	"net/http"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

func (a *api) states(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	n, err := a.view(r, a.db, m)
	if err != nil {
		return nil, err
	}
	return n.show("console_enabled", "last_error", "power_state", "target_power_state", "provision_state", "target_provision_state",
		"provision_updated_at", "raid_config", "target_raid_config", "boot_mode", "secure_boot"), nil
}

// toStates is an empty answer that says where the outcome will be seen.
func toStates(r *osapi.Request, below string) osapi.Response {
	return osapi.Response{Header: http.Header{"Location": {r.URL("/v1/nodes/", r.Path("node")) + "/states" + below}}}
}

// verbs are the provision targets that machines know, by Ironic's names.
var verbs = map[string]machine.Verb{
	"manage": machine.Manage, "inspect": machine.Inspect, "provide": machine.Provide, "abort": machine.Abort,
	"deleted": machine.Undo, "undeploy": machine.Undo,
}

const throughNova = "Servers are made through the Compute API (openstack server create), which chooses a node itself."

// refused are the provision targets that Ironic has and this cloud does not, with what to do instead.
var refused = map[string]string{
	"active": throughNova, "deploy": throughNova,
	"rebuild":  "Rebuild the server through the Compute API (openstack server rebuild).",
	"rescue":   "Rescue the server through the Compute API (openstack server rescue).",
	"unrescue": "Unrescue the server through the Compute API (openstack server unrescue).",
	"clean":    "Steps cannot be chosen: provide erases every disk and proves it.",
	"adopt":    "A machine that somebody else deployed cannot be taken over: manage it, and mind that provide erases it.",
	"service":  "There are no service steps.", "hold": "Nodes cannot be held in a step.", "unhold": "Nodes cannot be held in a step.",
}

func (a *api) provision(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Target         string `json:"target"`
		ConfigDrive    any    `json:"configdrive"`
		CleanSteps     any    `json:"clean_steps"`
		DeploySteps    any    `json:"deploy_steps"`
		ServiceSteps   any    `json:"service_steps"`
		RescuePassword any    `json:"rescue_password"`
		DisableRamdisk any    `json:"disable_ramdisk"`
		Runbook        any    `json:"runbook"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if why, ok := refused[body.Target]; ok {
		return nil, fault.New(fault.Invalid, "The requested action \"%s\" can not be performed on node \"%s\". %s", body.Target, m.ID, why)
	}
	verb, ok := verbs[body.Target]
	if !ok {
		return nil, fault.New(fault.Invalid, "The requested action \"%s\" is not known.", body.Target)
	}
	if verb == machine.Undo && m.Instance != "" {
		return nil, fault.New(fault.Conflict, "Node %s is associated with instance %s: delete the server through the Compute API.", m.ID, m.Instance)
	}
	return toStates(r, ""), a.machines.Provision(r.Context(), m.ID, verb, r.ID)
}

// powers are the power targets.
var powers = map[string]struct {
	action  machine.PowerAction
	restart bool
	since   osapi.Span
}{
	"power on":       {machine.ActionOn, false, always},
	"power off":      {machine.ActionOff, false, always},
	"rebooting":      {machine.ActionReset, false, always},
	"soft power off": {machine.ActionShutdown, false, osapi.Since(1, 27)},
	"soft rebooting": {machine.ActionShutdown, true, osapi.Since(1, 27)},
}

func (a *api) power(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Target  string                    `json:"target"`
		Timeout osapi.Optional[osapi.Int] `json:"timeout"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	order, ok := powers[body.Target]
	if !ok || !order.since.Has(r.Version) {
		return nil, fault.New(fault.Invalid, "The target power state '%s' is not known.", body.Target)
	}
	if body.Timeout.Set && !body.Timeout.Null && body.Timeout.Value < 1 {
		return nil, fault.New(fault.Invalid, "The timeout must be a number of seconds from 1.")
	}
	grace := time.Duration(body.Timeout.Value) * time.Second
	return toStates(r, ""), a.machines.SetPower(r.Context(), m.ID, order.action, order.restart, grace, r.ID)
}

func (a *api) console(r *osapi.Request) (any, error) {
	if _, err := a.node(r); err != nil {
		return nil, err
	}
	return object{"console_enabled": false, "console_info": nil}, nil
}

func (a *api) setConsole(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Enabled osapi.Bool `json:"enabled"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Enabled {
		return nil, notSupported(m, "console: the Compute API shows a server's console")
	}
	return toStates(r, "/console"), nil
}

func (a *api) setRAID(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, notSupported(m, "raid")
}

func notSupported(m *machine.Machine, what string) error {
	return fault.New(fault.Unsupported, "Driver %s does not support %s (disabled or not implemented).", m.BMC.Kind, what)
}

// onBMC runs f with the driver of a node that the caller may change and nothing works on.
func (a *api) onBMC(r *osapi.Request, f func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error) error {
	m, err := a.nodeToChange(r)
	if err != nil {
		return err
	}
	if err := a.free(r, m); err != nil {
		return err
	}
	return a.dialed(r, m, f)
}

func (a *api) dialed(r *osapi.Request, m *machine.Machine, f func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error) error {
	bmc, err := a.machines.Dial(r.Context(), m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	return upstream(f(r.Context(), m, bmc))
}

// upstream tells a BMC that refuses us from a client that we refuse: the client's own credentials are fine.
func upstream(err error) error {
	if fault.Is(err, fault.Unauthorized) {
		return fault.Wrap(err, fault.Unavailable, "%s", fault.Message(err))
	}
	return err
}

func (a *api) setBootMode(r *osapi.Request) (any, error) {
	var body struct {
		Target string `json:"target"`
	}
	err := a.onBMC(r, func(ctx context.Context, _ *machine.Machine, bmc machine.Driver) error {
		if err := r.Decode(&body); err != nil {
			return err
		}
		mode := machine.BootMode(body.Target)
		if mode != machine.ModeUEFI && mode != machine.ModeBIOS {
			return fault.New(fault.Invalid, "The boot mode must be uefi or bios, not '%s'.", body.Target)
		}
		boot, err := bmc.Boot(ctx)
		if err != nil {
			return err
		}
		boot.Mode = mode
		return bmc.SetBoot(ctx, boot)
	})
	return toStates(r, ""), err
}

func (a *api) setSecureBoot(r *osapi.Request) (any, error) {
	var body struct {
		Target bool `json:"target"`
	}
	err := a.onBMC(r, func(ctx context.Context, m *machine.Machine, bmc machine.Driver) error {
		if err := r.Decode(&body); err != nil {
			return err
		}
		secure, ok := bmc.(machine.SecureBooter)
		if !ok {
			return notSupported(m, "set_secure_boot_state")
		}
		return secure.SetSecureBoot(ctx, body.Target)
	})
	return toStates(r, ""), err
}

func (a *api) setMaintenance(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Reason osapi.Optional[string] `json:"reason"`
	}
	if r.HTTP.ContentLength != 0 {
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
	}
	return nil, a.machines.SetMaintenance(r.Context(), m.ID, true, body.Reason.Value)
}

func (a *api) endMaintenance(r *osapi.Request) (any, error) {
	m, err := a.nodeToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.machines.SetMaintenance(r.Context(), m.ID, false, "")
}
