package ironic

import (
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/machine"
)

// parked are the states that a node shows while its work waits for the agent.
var parked = map[machine.State]string{
	machine.Inspecting: "inspect wait",
	machine.Cleaning:   "clean wait",
	machine.Deploying:  "wait call-back",
}

func (n *node) provisionState() any {
	if wait, ok := parked[n.State]; ok && n.run != nil && strings.HasPrefix(n.run.Waiting, "the agent") {
		if n.State != machine.Inspecting || n.version.AtLeast(1, 39) {
			return wait
		}
	}
	if n.State == machine.Available && !n.version.AtLeast(1, 2) {
		return nil // as it was before available had a name
	}
	return string(n.State)
}

func (n *node) reservation() any {
	if n.run == nil {
		return nil
	}
	return n.host
}

func (n *node) fault() any {
	switch {
	case n.Fault == "":
		return nil
	case n.State == machine.CleanFailed:
		return "clean failure"
	}
	return "quarantined"
}

func (n *node) inspectionStarted() any {
	if n.State == machine.Inspecting {
		return osapi.Offset(n.StateSince)
	}
	return nil
}

func (n *node) bootMode() any {
	if n.Inventory != nil {
		return orNull(n.Inventory.BootMode)
	}
	return orNull(string(n.Identity.BootMode))
}

func (n *node) secureBoot() any {
	if n.Inventory == nil && n.State == machine.Enroll {
		return nil // nobody asked yet
	}
	return n.Abilities.SecureBoot
}

func powerState(p machine.PowerState) any {
	switch p {
	case machine.PowerOn:
		return "power on"
	case machine.PowerOff:
		return "power off"
	}
	return nil
}

func targetPower(p machine.PowerAction) any {
	switch p {
	case machine.ActionOn:
		return "power on"
	case machine.ActionOff:
		return "power off"
	case machine.ActionShutdown:
		return "soft power off"
	case machine.ActionReset:
		return "rebooting"
	}
	return nil
}
