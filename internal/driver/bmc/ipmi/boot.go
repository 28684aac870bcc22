package ipmi

import (
	"context"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// selectors are IPMI's words (IPMI 2.0 table 28-14, parameter 5) for our boot devices.
var selectors = map[machine.BootDevice]types.BootDeviceSelector{
	machine.BootNone:    types.BootDeviceSelectorNoOverride,
	machine.BootNetwork: types.BootDeviceSelectorForcePXE,
	machine.BootDisk:    types.BootDeviceSelectorForceHardDrive,
	machine.BootCD:      types.BootDeviceSelectorForceCDROM,
}

// devices is the way back; the BMC's remote devices count as local ones.
var devices = map[types.BootDeviceSelector]machine.BootDevice{
	types.BootDeviceSelectorNoOverride:           machine.BootNone,
	types.BootDeviceSelectorForcePXE:             machine.BootNetwork,
	types.BootDeviceSelectorForceHardDrive:       machine.BootDisk,
	types.BootDeviceSelectorForceRemoteHardDrive: machine.BootDisk,
	types.BootDeviceSelectorForceCDROM:           machine.BootCD,
	types.BootDeviceSelectorForceRemoteCDROM:     machine.BootCD,
}

// SetBoot writes the boot flags (28.12). They always hold a firmware mode, so one that the caller left out is read first.
func (d *driver) SetBoot(ctx context.Context, boot machine.BootOverride) error {
	if boot.Device == machine.BootUEFIHTTP {
		return fault.New(fault.Unsupported, "IPMI has no word for booting over HTTP.")
	}
	selector, known := selectors[boot.Device]
	switch {
	case !known:
		return fault.New(fault.Invalid, "%q is no boot device.", boot.Device)
	case boot.HTTPURI != "":
		return fault.New(fault.Invalid, "A boot file's URL goes with boot device %q only.", machine.BootUEFIHTTP)
	case boot.Mode != "" && boot.Mode != machine.ModeUEFI && boot.Mode != machine.ModeBIOS:
		return fault.New(fault.Invalid, "%q is no boot mode.", boot.Mode)
	}
	return d.call(ctx, "SetBoot "+string(boot.Device), func(ctx context.Context, c *client.Client) error {
		efi := types.BIOSBootType(boot.Mode == machine.ModeUEFI)
		if boot.Mode == "" {
			flags, err := bootFlags(ctx, c)
			if err != nil {
				return err
			}
			efi = flags.BIOSBootType
		}
		// BMCs drop the flags after 60 s without a power order, and some servers take longer to be told; not every BMC
		// lets itself be told otherwise.
		err := c.SetSystemBootOptionsParamFor(ctx, &types.BootOptionParam_BMCBootFlagValidBitClear{DontClearOnCommandReceivedTimeout: true})
		if _, refused := types.IsResponseError(err); err != nil && !refused {
			return err
		}
		return c.SetBootDevice(ctx, selector, efi, boot.Continuous && boot.Device != machine.BootNone)
	})
}

func bootFlags(ctx context.Context, c *client.Client) (*types.BootOptionParam_BootFlags, error) {
	flags := &types.BootOptionParam_BootFlags{}
	return flags, c.GetSystemBootOptionsParamFor(ctx, flags)
}

// Boot reads the boot flags (28.13). A device that we never set, say the firmware's setup, is told by its number.
func (d *driver) Boot(ctx context.Context) (machine.BootOverride, error) {
	var boot machine.BootOverride
	err := d.call(ctx, "Boot", func(ctx context.Context, c *client.Client) error {
		flags, err := bootFlags(ctx, c)
		if err != nil {
			return err
		}
		boot = machine.BootOverride{Device: machine.BootNone, Mode: machine.ModeBIOS}
		if flags.BIOSBootType == types.BIOSBootTypeEFI {
			boot.Mode = machine.ModeUEFI
		}
		if !flags.BootFlagsValid || flags.BootDeviceSelector == types.BootDeviceSelectorNoOverride {
			return nil
		}
		boot.Continuous = flags.Persist
		var known bool
		if boot.Device, known = devices[flags.BootDeviceSelector]; !known {
			boot.Device = machine.BootDevice(fmt.Sprintf("ipmi-%#x", uint8(flags.BootDeviceSelector)))
		}
		return nil
	})
	return boot, err
}
