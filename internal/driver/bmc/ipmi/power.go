package ipmi

import (
	"context"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Power reads the chassis status (IPMI 2.0 28.2).
func (d *driver) Power(ctx context.Context) (machine.PowerState, error) {
	state := machine.PowerUnknown
	err := d.call(ctx, "Power", func(ctx context.Context, c *client.Client) error {
		on, err := isOn(ctx, c)
		if err != nil {
			return err
		}
		state = machine.PowerOff
		if on {
			state = machine.PowerOn
		}
		return nil
	})
	return state, err
}

func isOn(ctx context.Context, c *client.Client) (bool, error) {
	status, err := c.GetChassisStatus(ctx)
	if err != nil {
		return false, err
	}
	return status.PowerIsOn, nil
}

// SetPower gives a chassis control order (28.3). It looks at the power first: BMCs refuse some orders that change
// nothing, and before a reset or an NMI, which are sent once only, the look shows that the session is alive.
func (d *driver) SetPower(ctx context.Context, action machine.PowerAction) error {
	switch action {
	case machine.ActionOn, machine.ActionOff, machine.ActionShutdown, machine.ActionReset, machine.ActionNMI:
	default:
		return fault.New(fault.Invalid, "%q is no power action.", action)
	}
	return d.call(ctx, "SetPower "+string(action), func(ctx context.Context, c *client.Client) error {
		on, err := isOn(ctx, c)
		if err != nil {
			return err
		}
		control := func(order chassis.ChassisControl) error {
			_, err := c.ChassisControl(ctx, order)
			return err
		}
		switch {
		case !on && (action == machine.ActionOn || action == machine.ActionReset):
			return control(chassis.ChassisControlPowerUp)
		case on && action == machine.ActionOff:
			return control(chassis.ChassisControlPowerDown)
		case on && action == machine.ActionShutdown:
			return control(chassis.ChassisControlSoftShutdown)
		case on && action == machine.ActionReset:
			return once(control(chassis.ChassisControlHardReset))
		case on && action == machine.ActionNMI:
			return once(control(chassis.ChassisControlDiagnosticInterrupt))
		case action == machine.ActionNMI:
			return fault.New(fault.Conflict, "The machine is off: there is nothing to interrupt.")
		default:
			return nil // it is so already
		}
	})
}

// SetIndicator lights the locator light until it is put out (28.5), which needs IPMI 2.0's "force on" bit.
func (d *driver) SetIndicator(ctx context.Context, on bool) error {
	return d.call(ctx, "SetIndicator", func(ctx context.Context, c *client.Client) error {
		_, err := c.ChassisIdentify(ctx, 0, on)
		return err
	})
}
