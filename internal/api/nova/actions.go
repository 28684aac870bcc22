package nova

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// action is something that a client may ask of a server by POST …/action.
type action struct {
	admin bool       // only admins may
	span  osapi.Span // the versions that have it
	do    func(a *api, r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error)
}

// actions is the table of all that Nova knows. What a machine can never be asked to take back (it was not paused, resized,
// …) is a Conflict, as it is for a virtual server that was not; what it cannot do at all is not supported.
var actions = map[string]action{
	"os-start":            {do: (*api).start},
	"os-stop":             {do: (*api).stop},
	"reboot":              {do: (*api).reboot},
	"rebuild":             {do: (*api).rebuild},
	"forceDelete":         {do: (*api).forceDelete},
	"rescue":              {do: (*api).rescue},
	"unrescue":            {do: (*api).unrescue},
	"lock":                {do: (*api).lock},
	"unlock":              {do: (*api).unlock},
	"os-getConsoleOutput": {do: (*api).consoleOutput},
	"os-resetState":       {admin: true, do: (*api).resetState},
	"trigger_crash_dump":  {span: osapi.Since(2, 17), do: (*api).crashDump},
	"os-getVNCConsole":    {do: oldConsole("vnc")}, "os-getSPICEConsole": {do: oldConsole("spice")}, "os-getRDPConsole": {do: oldConsole("rdp")},
	"os-getSerialConsole": {do: oldConsole("serial")},

	"addSecurityGroup":    {do: (*api).addSecurityGroup},
	"removeSecurityGroup": {do: (*api).removeSecurityGroup},
	"addFloatingIp":       {span: osapi.Until(2, 43), do: (*api).addFloatingIP},
	"removeFloatingIp":    {span: osapi.Until(2, 43), do: (*api).removeFloatingIP},
	"addFixedIp":          {span: osapi.Until(2, 43), do: (*api).addFixedIP},
	"removeFixedIp":       {span: osapi.Until(2, 43), do: (*api).removeFixedIP},

	"unpause": {do: notInState("unpause")}, "resume": {do: notInState("resume")}, "unshelve": {do: notInState("unshelve")},
	"restore": {do: notInState("restore")}, "shelveOffload": {admin: true, do: notInState("shelveOffload")},
	"confirmResize": {do: notInState("confirmResize")}, "revertResize": {do: notInState("revertResize")},

	"createImage": {do: cannot}, "createBackup": {do: cannot}, "resize": {do: cannot},
	"pause": {do: cannot}, "suspend": {do: cannot}, "shelve": {do: cannot}, "changePassword": {do: cannot},
	"resetNetwork": {admin: true, do: cannot}, "injectNetworkInfo": {admin: true, do: cannot},
	"evacuate": {admin: true, do: cannot}, "migrate": {admin: true, do: cannot}, "os-migrateLive": {admin: true, do: cannot},
}

func (a *api) act(r *osapi.Request) (any, error) {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body) != 1 {
		return nil, fault.New(fault.Invalid, "Malformed request body: one action is expected.")
	}
	for name, arguments := range body {
		asked, known := actions[name]
		if !known {
			return nil, fault.New(fault.Invalid, "There is no such action: %s", clip(name))
		}
		i, err := a.server(r, writer(r))
		if err != nil {
			return nil, err
		}
		if !asked.span.Has(r.Version) {
			return nil, gone(r)
		}
		if asked.admin && !r.Caller.IsAdmin() {
			return nil, fault.New(fault.Forbidden, "Policy doesn't allow the action %s to be performed.", name)
		}
		return asked.do(a, r, i, arguments)
	}
	return nil, nil
}

func notInState(name string) func(*api, *osapi.Request, *instance.Instance, json.RawMessage) (any, error) {
	return func(_ *api, _ *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
		return nil, fault.New(fault.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", name, i.ID, i.VMState)
	}
}

func cannot(*api, *osapi.Request, *instance.Instance, json.RawMessage) (any, error) {
	return nil, errUnsupported
}

func (a *api) start(r *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
	return accepted(a.Instances.Start(r.Context(), writer(r), i.ID, by(r)))
}

func (a *api) stop(r *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
	return accepted(a.Instances.Stop(r.Context(), writer(r), i.ID, by(r)))
}

func (a *api) reboot(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var how struct {
		Type string `json:"type"`
	}
	if err := osapi.Strict(arguments, &how); err != nil {
		return nil, err
	}
	kind := strings.ToUpper(how.Type)
	if kind != "SOFT" && kind != "HARD" {
		return nil, invalid("type", strconv.Quote(clip(how.Type)), "It is neither SOFT nor HARD.")
	}
	return accepted(a.Instances.Reboot(r.Context(), writer(r), i.ID, by(r), kind == "HARD"))
}

func (a *api) forceDelete(r *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
	return accepted(a.Instances.Delete(r.Context(), writer(r), i.ID, by(r)))
}

// lock takes a reason since 2.73.
func (a *api) lock(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var how struct {
		Reason string `json:"locked_reason"`
	}
	if string(arguments) != "null" {
		if err := osapi.Strict(arguments, &how); err != nil {
			return nil, err
		}
		if !r.Version.AtLeast(2, 73) && string(arguments) != "{}" {
			return nil, invalid("lock", clip(string(arguments)), "It is not null.")
		}
		if len(how.Reason) > 255 {
			return nil, invalid("locked_reason", strconv.Quote(clip(how.Reason)), "It is longer than 255 characters.")
		}
	}
	return accepted(a.Instances.Lock(r.Context(), writer(r), i.ID, by(r), how.Reason))
}

func (a *api) unlock(r *osapi.Request, i *instance.Instance, _ json.RawMessage) (any, error) {
	return accepted(a.Instances.Unlock(r.Context(), writer(r), i.ID, by(r)))
}

func (a *api) resetState(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var to struct {
		State string `json:"state"`
	}
	if err := osapi.Strict(arguments, &to); err != nil {
		return nil, err
	}
	state := instance.VMState(to.State)
	if state != instance.Active && state != instance.Errored {
		return nil, invalid("state", strconv.Quote(clip(to.State)), "It is neither active nor error.")
	}
	return accepted(a.Instances.ResetState(r.Context(), i.ID, by(r), state))
}

// crashDump takes null only. Where Nova's driver cannot, it says 400.
func (a *api) crashDump(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	if string(arguments) != "null" {
		return nil, invalid("trigger_crash_dump", clip(string(arguments)), "It is not null.")
	}
	err := a.Instances.Interrupt(r.Context(), writer(r), i.ID, by(r))
	if fault.Is(err, fault.Unsupported) {
		err = fault.Wrap(err, fault.Invalid, "Unable to trigger crash dump: %s", fault.Message(err))
	}
	return accepted(err)
}

// consoleOutput gives the last lines; length may be a number, digits, null or absent for all.
func (a *api) consoleOutput(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var how struct {
		Length any `json:"length"`
	}
	if string(arguments) != "null" {
		if err := osapi.Strict(arguments, &how); err != nil {
			return nil, err
		}
	}
	lines := -1
	switch length := how.Length.(type) {
	case nil:
	case float64:
		if lines = int(length); float64(lines) != length || lines < -1 {
			return nil, invalid("length", length, "It is not a whole number from -1.")
		}
	case string:
		var err error
		if lines, err = strconv.Atoi(length); err != nil || lines < -1 {
			return nil, invalid("length", strconv.Quote(clip(length)), "It is not a whole number from -1.")
		}
	default:
		return nil, invalid("length", "", "It is not a whole number from -1.")
	}
	if a.Console == nil {
		return nil, errUnsupported
	}
	text, err := a.Console.Tail(r.Context(), i.ID, lines)
	return object{"output": text}, err
}

func unavailable(kind string) error {
	return fault.New(fault.Invalid, "Unavailable console type %s.", clip(kind))
}

func noVolume(r *osapi.Request) (any, error) {
	return nil, &osapi.Error{Status: http.StatusNotFound, Err: fault.New(fault.NotFound, "volume_id not found: %s", clip(r.Path("volume")))}
}
