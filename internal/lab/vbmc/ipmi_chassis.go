package vbmc

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// orderPatience is how long the answer to a power order waits for its outcome. ipmitool repeats an order that is not
// answered within a second, and a reset given twice is one too many, so a slow machine goes on after the answer.
const orderPatience = 500 * time.Millisecond

// ipmiChassis is the IPMI chassis commands (IPMI 2.0 chapter 28) on a Machine.
type ipmiChassis struct {
	ipmi *IPMI

	mu       sync.Mutex
	blinking *time.Timer // puts the light out after an identify for some seconds
	ack      types.BootOptionParam_BootInfoAcknowledge
	last     order // the last Chassis Control
}

// order is one Chassis Control packet and what it came to.
type order struct {
	session, packet uint32
	code            types.CompletionCode
}

var _ hal.ChassisHAL = (*ipmiChassis)(nil)

// controlOnce answers a packet that a client sent again, because the answer was lost, without obeying it again. The
// library lets repeated packets through, which 6.12.13 wants dropped.
func (c *ipmiChassis) controlOnce(_ context.Context, h *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	o := order{session: h.Session.BMCID, packet: h.Session.InboundSeq} // the library sees to it that there is a session
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if o.session == last.session && o.packet == last.packet {
		return nil, last.code, nil
	}
	o.code = c.control(req)
	c.mu.Lock()
	c.last = o
	c.mu.Unlock()
	return nil, o.code, nil
}

// control is Chassis Control (28.3). The library's own knows no diagnostic interrupt and waits for the machine.
func (c *ipmiChassis) control(req []byte) types.CompletionCode {
	if len(req) != 1 {
		return types.CodeRequestDataLengthInvalid
	}
	what := chassis.ChassisControl(req[0] & 0x0f)
	switch what {
	case chassis.ChassisControlPowerUp:
		return c.carryOut(On)
	case chassis.ChassisControlPowerDown:
		return c.carryOut(ForceOff)
	case chassis.ChassisControlSoftShutdown:
		return c.carryOut(GracefulShutdown)
	}
	if !c.ipmi.machine.Power() {
		return types.CodeNotSupported // "in present state": nothing below makes sense for a machine that is off
	}
	switch what {
	case chassis.ChassisControlPowerCycle:
		return c.carryOut(ForceOff, On)
	case chassis.ChassisControlHardReset:
		return c.carryOut(ForceRestart)
	case chassis.ChassisControlDiagnosticInterrupt:
		return c.carryOut(NMI)
	}
	return types.CodeRequestDataFieldInvalid
}

// carryOut starts the actions and answers with their outcome, or with OK when they take longer than a client waits.
func (c *ipmiChassis) carryOut(actions ...Action) types.CompletionCode {
	done := make(chan error, 1)
	c.ipmi.work.Go(func() {
		for _, a := range actions {
			if err := c.ipmi.machine.Do(c.ipmi.ctx, a); err != nil {
				c.ipmi.log.Warn("a power order failed", "action", a, "error", err)
				done <- err
				return
			}
			c.ipmi.sel.ordered(a)
		}
		done <- nil
	})
	select {
	case err := <-done:
		return code(err)
	case <-time.After(orderPatience):
		return types.CodeOK
	}
}

// code is the completion code (IPMI 2.0 table 5-2) for a Machine's error.
func code(err error) types.CompletionCode {
	switch {
	case err == nil:
		return types.CodeOK
	case errors.Is(err, ErrUnsupported):
		return types.CodeRequestDataFieldInvalid
	default:
		return types.CodeUnspecifiedError
	}
}

// PowerState is for Get Chassis Status.
func (c *ipmiChassis) PowerState(context.Context) (bool, error) { return c.ipmi.machine.Power(), nil }

// The library gives power orders to control; these make the interface whole.

func (c *ipmiChassis) SetPower(ctx context.Context, on bool) error {
	if on {
		return c.ipmi.machine.Do(ctx, On)
	}
	return c.ipmi.machine.Do(ctx, ForceOff)
}
func (c *ipmiChassis) PowerCycle(context.Context) error { return hal.ErrNotSupported }
func (c *ipmiChassis) ColdReset(context.Context) error  { return hal.ErrNotSupported }
func (c *ipmiChassis) WarmReset(context.Context) error  { return hal.ErrNotSupported }

func (c *ipmiChassis) IntrusionState(context.Context) (bool, error) {
	return false, hal.ErrNotSupported
}

// Identify lights the locator light for some seconds; 0 puts it out, 255 is how the library says "until told otherwise".
func (c *ipmiChassis) Identify(_ context.Context, seconds uint8) error {
	c.stopBlinking()
	c.ipmi.machine.SetIndicator(seconds > 0)
	if seconds > 0 && seconds < math.MaxUint8 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.blinking = time.AfterFunc(time.Duration(seconds)*time.Second, func() { c.ipmi.machine.SetIndicator(false) })
	}
	return nil
}

func (c *ipmiChassis) stopBlinking() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blinking != nil {
		c.blinking.Stop()
	}
}

// selectors says which IPMI boot device (table 28-14, parameter 5) means which Redfish target.
var selectors = map[types.BootDeviceSelector]string{
	types.BootDeviceSelectorNoOverride:           TargetNone,
	types.BootDeviceSelectorForcePXE:             TargetPXE,
	types.BootDeviceSelectorForceHardDrive:       TargetDisk,
	types.BootDeviceSelectorForceRemoteHardDrive: TargetDisk,
	types.BootDeviceSelectorForceCDROM:           TargetCD,
	types.BootDeviceSelectorForceRemoteCDROM:     TargetCD,
}

// SetBootFlags takes device, persistence and firmware mode and leaves the locks and console bits, which no virtual
// firmware has. A clear EFI bit means legacy boot, as the specification says: clients of UEFI machines set the bit.
func (c *ipmiChassis) SetBootFlags(_ context.Context, flags *types.BootOptionParam_BootFlags) error {
	target, known := selectors[flags.BootDeviceSelector]
	if !known {
		return types.CodeRequestDataFieldInvalid
	}
	boot := Boot{Target: target, Enabled: BootOnce, Mode: ModeLegacy}
	if flags.Persist {
		boot.Enabled = BootContinuous
	}
	if flags.BIOSBootType == types.BIOSBootTypeEFI {
		boot.Mode = ModeUEFI
	}
	if !flags.BootFlagsValid || target == TargetNone {
		boot.Target, boot.Enabled = TargetNone, BootDisabled
	}
	if err := c.ipmi.machine.SetBoot(boot); err != nil {
		c.ipmi.log.Warn("the boot override was refused", "boot", boot, "error", err)
		return code(err)
	}
	return nil
}

// GetBootFlags is the override in force, also one that was set through Redfish.
func (c *ipmiChassis) GetBootFlags(context.Context) (*types.BootOptionParam_BootFlags, error) {
	boot := c.ipmi.machine.Boot()
	flags := &types.BootOptionParam_BootFlags{
		BootFlagsValid: boot.Enabled == BootOnce || boot.Enabled == BootContinuous,
		Persist:        boot.Enabled == BootContinuous,
		BIOSBootType:   types.BIOSBootType(boot.Mode == ModeUEFI),
	}
	switch boot.Target {
	case TargetPXE, TargetUEFIHTTP: // IPMI has one word for the network
		flags.BootDeviceSelector = types.BootDeviceSelectorForcePXE
	case TargetDisk:
		flags.BootDeviceSelector = types.BootDeviceSelectorForceHardDrive
	case TargetCD:
		flags.BootDeviceSelector = types.BootDeviceSelectorForceCDROM
	}
	return flags, nil
}

// SetBootInfoAcknowledge keeps what the client says of who has seen the boot info; ipmitool writes it with every bootdev.
func (c *ipmiChassis) SetBootInfoAcknowledge(_ context.Context, ack *types.BootOptionParam_BootInfoAcknowledge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ack = *ack
	return nil
}

// GetBootInfoAcknowledge reads it back.
func (c *ipmiChassis) GetBootInfoAcknowledge(context.Context) (*types.BootOptionParam_BootInfoAcknowledge, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := c.ack
	return &ack, nil
}
