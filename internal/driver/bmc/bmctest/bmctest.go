// Package bmctest is the one suite that every BMC driver passes: what package machine promises of a Driver, tried
// through the real protocol against a virtual BMC whose machine the suite looks at from behind.
package bmctest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Subject is one BMC to try a driver on.
type Subject struct {
	Dial machine.Dial // makes the driver under test
	BMC  machine.BMC  // answers, with the right credentials
	Dead machine.BMC  // an address at which nothing answers
	// Machine is what the BMC has wires to: off at the start, its console echoing as vbmc.Simulated's does. nil when the
	// BMC is other people's and its machine cannot be seen; the suite then believes the driver.
	Machine vbmc.Machine
	// Lacks says, by a test's name, what other people's BMC cannot do; the test is skipped with these words.
	Lacks map[string]string
}

// Run runs the suite; setup makes a fresh subject for each test and leaves the cleaning up to t.Cleanup.
func Run(t *testing.T, setup func(t *testing.T) Subject) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Subject, d machine.Driver)
	}{
		{"power goes on and off, and the same order twice succeeds", powerIsIdempotent},
		{"a shutdown of the operating system turns the machine off", shutdown},
		{"a reset turns on a machine that is off", resetTurnsOn},
		{"an unknown order is refused", unknownOrders},
		{"a boot override once is spent by the next boot", bootOnce},
		{"a continuous boot override stays until it is taken away", bootContinuous},
		{"the boot mode is told and kept", bootMode},
		{"boot over HTTP is offered exactly where the firmware has it", httpBoot},
		{"identity is the machine's", identity},
		{"virtual media is fetched, replaced and ejected", virtualMedia},
		{"virtual media that cannot be fetched is an error", virtualMediaMissing},
		{"secure boot is set and read", secureBoot},
		{"the locator light is set", indicator},
		{"firmware is listed", firmware},
		{"sensors have names, kinds and units", sensors},
		{"the event log tells and is cleared", eventLog},
		{"the console passes bytes both ways", console},
		{"a wrong password is Unauthorized", wrongPassword},
		{"a BMC that does not answer is Unavailable", unreachable},
		{"a cancelled context ends the call", cancelled},
		{"two callers at once both succeed", concurrent},
		{"Close may be called twice", closeTwice},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t)
			if why := s.Lacks[test.name]; why != "" {
				t.Skip(why)
			}
			test.run(t, s, dial(t, s, s.BMC))
		})
	}
}

func dial(t *testing.T, s Subject, bmc machine.BMC) machine.Driver {
	t.Helper()
	d, err := s.Dial(bmc)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { d.Close() }) // never fails a caller
	return d
}

// has is the driver's optional capability, or skips: a protocol that lacks it is no fault of the driver.
func has[T any](t *testing.T, d machine.Driver) T {
	t.Helper()
	capability, ok := d.(T)
	if !ok {
		t.Skipf("this driver is no %T", (*T)(nil))
	}
	return capability
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error is %v (kind %d), want kind %d", err, fault.KindOf(err), kind)
	}
}

// eventually polls: a BMC accepts an order before the machine obeys. The deadline is generous, and only a failure
// waits for it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within a minute it was not so that %s", what)
		}
	}
}

func order(t *testing.T, s Subject, d machine.Driver, action machine.PowerAction, want machine.PowerState) {
	t.Helper()
	must(t, d.SetPower(t.Context(), action))
	eventually(t, "the power is "+string(want), func() bool {
		state, err := d.Power(t.Context())
		must(t, err)
		return state == want
	})
	if s.Machine != nil && s.Machine.Power() != (want == machine.PowerOn) {
		t.Errorf("after %s the BMC says %s, but the machine's power is %v", action, want, s.Machine.Power())
	}
}

func powerIsIdempotent(t *testing.T, s Subject, d machine.Driver) {
	state, err := d.Power(t.Context())
	must(t, err)
	if state != machine.PowerOff {
		t.Errorf("the power is %q at the start, want off", state)
	}
	for range 2 {
		order(t, s, d, machine.ActionOn, machine.PowerOn)
	}
	for range 2 {
		order(t, s, d, machine.ActionOff, machine.PowerOff)
	}
}

func shutdown(t *testing.T, s Subject, d machine.Driver) {
	order(t, s, d, machine.ActionOn, machine.PowerOn)
	order(t, s, d, machine.ActionShutdown, machine.PowerOff)
}

func resetTurnsOn(t *testing.T, s Subject, d machine.Driver) {
	order(t, s, d, machine.ActionReset, machine.PowerOn)
	order(t, s, d, machine.ActionReset, machine.PowerOn)
}

func unknownOrders(t *testing.T, _ Subject, d machine.Driver) {
	wantKind(t, d.SetPower(t.Context(), "explode"), fault.Invalid)
	wantKind(t, d.SetBoot(t.Context(), machine.BootOverride{Device: "floppy"}), fault.Invalid)
	wantKind(t, d.SetBoot(t.Context(), machine.BootOverride{Device: machine.BootDisk, Mode: "openfirmware"}), fault.Invalid)
	wantKind(t, d.SetBoot(t.Context(), machine.BootOverride{Device: machine.BootDisk, HTTPURI: "http://127.0.0.1/x.efi"}), fault.Invalid)
}

func setBoot(t *testing.T, d machine.Driver, boot machine.BootOverride) {
	t.Helper()
	must(t, d.SetBoot(t.Context(), boot))
	wantBoot(t, d, boot)
}

func wantBoot(t *testing.T, d machine.Driver, want machine.BootOverride) {
	t.Helper()
	got, err := d.Boot(t.Context())
	must(t, err)
	if want.Mode == "" {
		got.Mode = "" // the BMC may tell a mode that nobody asked for
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the boot override differs (-want +got):\n%s", diff)
	}
}

func bootOnce(t *testing.T, s Subject, d machine.Driver) {
	for _, device := range []machine.BootDevice{machine.BootNetwork, machine.BootCD, machine.BootDisk} {
		setBoot(t, d, machine.BootOverride{Device: device})
		order(t, s, d, machine.ActionReset, machine.PowerOn)
		wantBoot(t, d, machine.BootOverride{Device: machine.BootNone})
	}
}

func bootContinuous(t *testing.T, s Subject, d machine.Driver) {
	network := machine.BootOverride{Device: machine.BootNetwork, Continuous: true}
	setBoot(t, d, network)
	order(t, s, d, machine.ActionOn, machine.PowerOn)
	wantBoot(t, d, network)
	order(t, s, d, machine.ActionReset, machine.PowerOn)
	wantBoot(t, d, network)
	setBoot(t, d, machine.BootOverride{Device: machine.BootNone})
}

func bootMode(t *testing.T, s Subject, d machine.Driver) {
	mode := machine.ModeBIOS
	if s.Machine != nil && s.Machine.Info().UEFI {
		mode = machine.ModeUEFI
	}
	setBoot(t, d, machine.BootOverride{Device: machine.BootDisk, Mode: mode})
}

func httpBoot(t *testing.T, s Subject, d machine.Driver) {
	boot := machine.BootOverride{Device: machine.BootUEFIHTTP, Mode: machine.ModeUEFI, HTTPURI: "http://127.0.0.1/boot.efi"}
	able := false
	if b, ok := d.(machine.HTTPBooter); ok {
		var err error
		able, err = b.HasHTTPBoot(t.Context())
		must(t, err)
		if s.Machine != nil && able != s.Machine.Info().UEFI {
			t.Errorf("HTTP boot is said to be %v, UEFI is %v", able, s.Machine.Info().UEFI)
		}
	}
	if able {
		setBoot(t, d, boot)
		return
	}
	wantKind(t, d.SetBoot(t.Context(), boot), fault.Unsupported)
}

func identity(t *testing.T, s Subject, d machine.Driver) {
	got, err := d.Identify(t.Context())
	must(t, err)
	if s.Machine == nil {
		return
	}
	info := s.Machine.Info()
	// IPMI tells less than Redfish: what is told must be true, and the serial number is told by both.
	for name, pair := range map[string][2]string{
		"vendor": {got.Vendor, info.Vendor}, "model": {got.Model, info.Model}, "UUID": {got.UUID, info.UUID},
		"BIOS version": {got.BIOSVersion, info.BIOSVersion},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			t.Errorf("the %s is told as %q, it is %q", name, pair[0], pair[1])
		}
	}
	if got.Serial != info.Serial {
		t.Errorf("the serial number is told as %q, it is %q", got.Serial, info.Serial)
	}
	if len(got.NICs) > 0 {
		var macs []string
		for _, nic := range info.NICs {
			macs = append(macs, nic.MAC)
		}
		if diff := cmp.Diff(macs, got.NICs); diff != "" {
			t.Errorf("NICs (-want +got):\n%s", diff)
		}
	}
}

func wrongPassword(t *testing.T, s Subject, _ machine.Driver) {
	bmc := s.BMC
	bmc.Password += "x"
	d := dial(t, s, bmc)
	_, err := d.Power(t.Context())
	wantKind(t, err, fault.Unauthorized)
	wantKind(t, d.SetPower(t.Context(), machine.ActionOn), fault.Unauthorized)
	if s.Machine != nil && s.Machine.Power() {
		t.Error("the machine was turned on with a wrong password")
	}
}

func unreachable(t *testing.T, s Subject, _ machine.Driver) {
	d := dial(t, s, s.Dead)
	_, err := d.Power(t.Context())
	wantKind(t, err, fault.Unavailable)
}

func cancelled(t *testing.T, _ Subject, d machine.Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Power(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Power with a cancelled context: %v", err)
	}
	_, err := d.Power(t.Context())
	must(t, err) // and the driver still works
}

func concurrent(t *testing.T, s Subject, d machine.Driver) {
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := d.Power(t.Context())
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func closeTwice(t *testing.T, _ Subject, d machine.Driver) {
	_, err := d.Power(t.Context())
	must(t, err)
	must(t, d.Close())
	must(t, d.Close())
}
