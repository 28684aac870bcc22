package ironic

import (
	"context"
	"fmt"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// validateTimeout is how long a BMC may take to answer the look at it: a dead one must not hold the client for minutes.
const validateTimeout = 10 * time.Second

// validate says of each interface whether the node could be worked on over it now, and why not. The BMC is really asked.
func (a *api) validate(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	nics, err := a.machines.NICs(r.Context(), a.db, n.ID)
	if err != nil {
		return nil, err
	}
	bmc, boot := a.reach(r, n), bootReason(n, nics)
	deploy := boot
	if deploy == "" && n.Inventory == nil {
		deploy = "Nobody knows the node's disks yet: inspect it, or let provide look."
	} else if deploy == "" && len(n.Inventory.Disks) == 0 {
		deploy = "The node has no disk."
	}
	network := ""
	if len(nics) == 0 {
		network = "The node has no port."
	}
	answer := object{"storage": verdict("")}
	for name, reason := range map[string]string{
		"power": bmc, "management": bmc, "boot": boot, "deploy": deploy, "inspect": boot, "network": network,
	} {
		answer[name] = verdict(reason)
	}
	for _, name := range []string{"console", "raid", "rescue", "bios"} {
		answer[name] = object{"result": nil, "reason": "not supported"}
	}
	if n.Fake() { // nothing can be in its way
		for name := range answer {
			if chosen, _ := interfaces(n.Machine)[name+"_interface"].(string); chosen == "" || chosen[:3] != "no-" {
				answer[name] = verdict("")
			}
		}
	}
	return answer, nil
}

func verdict(reason string) object {
	if reason == "" {
		return object{"result": true}
	}
	return object{"result": false, "reason": reason}
}

// reach says why the node's BMC cannot be worked with; empty when it can.
func (a *api) reach(r *osapi.Request, n node) string {
	if n.Fake() {
		return ""
	}
	kind := n.BMC.Kind
	for key, value := range map[string]string{"_address": n.BMC.Address, "_username": n.BMC.Username} {
		if value == "" {
			return "driver_info lacks " + kind + key + "."
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), validateTimeout)
	defer cancel()
	err := a.ask(r, n, func(bmc machine.Driver) error {
		_, err := bmc.Power(ctx)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("The BMC did not answer within %s.", validateTimeout)
	case err != nil:
		return fault.Message(err)
	}
	return ""
}

func bootReason(n node, nics []*machine.NIC) string {
	if n.Method(nics) != machine.NoMethod {
		for _, nic := range nics {
			if nic.PXE {
				return ""
			}
		}
		return "The node has no port with pxe_enabled, over which the agent would call home."
	}
	if n.Abilities.SecureBoot {
		return "The node starts only what is signed, and its BMC offers neither virtual media nor HTTP boot."
	}
	return "The node has no means to start the agent: no virtual media, no port with pxe_enabled."
}
