package fake_test

import (
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/bmc/bmctest"
	"github.com/ingotcloud/ingot/internal/driver/bmc/fake"
	"github.com/ingotcloud/ingot/internal/machine"
)

func TestConformance(t *testing.T) {
	const nobody = "there is nothing behind it that could refuse, be silent or take time"
	bmctest.Run(t, func(t *testing.T) bmctest.Subject {
		rack := fake.NewRack()
		if err := rack.Dial(machine.BMC{Machine: "m"}).SetPower(t.Context(), machine.ActionOff); err != nil {
			t.Fatal(err)
		}
		return bmctest.Subject{
			Dial: func(b machine.BMC) (machine.Driver, error) { return rack.Dial(b), nil },
			BMC:  machine.BMC{Kind: machine.FakeHardware, Machine: "m"},
			Lacks: map[string]string{
				"a wrong password is Unauthorized":               nobody,
				"a BMC that does not answer is Unavailable":      nobody,
				"a cancelled context ends the call":              nobody,
				"identity is the machine's":                      nobody,
				"a boot override once is spent by the next boot": "nothing boots",
			},
		}
	})
}

// What one machine was told is not told to another, and nothing is known of a machine that was told nothing.
func TestMachinesAreApart(t *testing.T) {
	rack := fake.NewRack()
	a, b := rack.Dial(machine.BMC{Machine: "a"}), rack.Dial(machine.BMC{Machine: "b"})
	if err := a.SetPower(t.Context(), machine.ActionReset); err != nil {
		t.Fatal(err)
	}
	if on, err := rack.Dial(machine.BMC{Machine: "a"}).Power(t.Context()); err != nil || on != machine.PowerOn {
		t.Errorf("a is %s, %v", on, err)
	}
	if power, err := b.Power(t.Context()); err != nil || power != machine.PowerUnknown {
		t.Errorf("b is %s, %v", power, err)
	}
}
