package vbmc

import (
	"fmt"
	"slices"
)

// The values of Boot's fields (Redfish ComputerSystem, Boot).
const (
	TargetNone     = "None"
	TargetPXE      = "Pxe"
	TargetDisk     = "Hdd"
	TargetCD       = "Cd"
	TargetUEFIHTTP = "UefiHttp"

	BootDisabled   = "Disabled"
	BootOnce       = "Once"
	BootContinuous = "Continuous"

	ModeUEFI   = "UEFI"
	ModeLegacy = "Legacy"
)

// Normal fills what the caller left out, so that two ways to say the same compare equal: no override is
// {None, Disabled}, and the mode is the machine's own.
func (b Boot) Normal(info Info) Boot {
	if b.Enabled == "" {
		b.Enabled = BootDisabled
	}
	if b.Target == "" || b.Enabled == BootDisabled {
		b.Target = TargetNone
	}
	if b.Mode == "" {
		b.Mode = ModeLegacy
		if info.UEFI {
			b.Mode = ModeUEFI
		}
	}
	return b
}

// Check says why the machine cannot take this override: an error that wraps ErrUnsupported where the machine lacks the
// means, another where the order makes no sense for any machine.
func (b Boot) Check(info Info) error {
	switch {
	case !slices.Contains([]string{"", TargetNone, TargetPXE, TargetDisk, TargetCD, TargetUEFIHTTP}, b.Target):
		return fmt.Errorf("%q is no boot target", b.Target)
	case !slices.Contains([]string{"", BootDisabled, BootOnce, BootContinuous}, b.Enabled):
		return fmt.Errorf("a boot override is Disabled, Once or Continuous, not %q", b.Enabled)
	case !slices.Contains([]string{"", ModeUEFI, ModeLegacy}, b.Mode):
		return fmt.Errorf("a boot mode is UEFI or Legacy, not %q", b.Mode)
	case b.Mode == ModeUEFI && !info.UEFI:
		return fmt.Errorf("boot mode UEFI: %w", ErrUnsupported)
	case b.Target == TargetUEFIHTTP && b.Normal(info).Mode == ModeLegacy:
		return fmt.Errorf("boot over HTTP needs boot mode UEFI: %w", ErrUnsupported)
	}
	return nil
}

// Take is a boot: used is what this boot obeys, left is the override that remains for the next one. Once is spent and
// its mode with it; Continuous stays.
func (b Boot) Take(info Info) (used, left Boot) {
	used = b.Normal(info)
	if used.Enabled == BootOnce {
		return used, Boot{}.Normal(info)
	}
	return used, used
}
