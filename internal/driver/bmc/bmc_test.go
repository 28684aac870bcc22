package bmc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/bmctest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// TestConformance runs the suite with the wrappers that the program has, where the drivers' own tests have none.
func TestConformance(t *testing.T) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	info := vbmc.Info{Name: "m1", UUID: "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", Serial: "S1", UEFI: true, SecureBootCapable: true, BIOSVersion: "1"}
	bmctest.Run(t, func(t *testing.T) bmctest.Subject {
		m := vbmc.NewSimulated(info, vbmc.SimOptions{})
		service, err := vbmc.NewRedfish(m, vbmc.RedfishOptions{Username: "u", Password: "p", MediaDir: t.TempDir(), Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := service.Close(); err != nil {
				t.Error(err)
			}
		})
		bmc := machine.BMC{Kind: "redfish", Address: service.URL(), Username: "u", Password: "p", CA: string(service.CertificatePEM())}
		dead := bmc
		dead.Address = "https://127.0.0.1:1" // tcpmux: nobody has it
		noPause := around.Policy{Attempts: 3, Sleep: func(context.Context, time.Duration) error { return nil }}
		return bmctest.Subject{Dial: New(Options{Log: quiet, Retry: noPause}), BMC: bmc, Dead: dead, Machine: m}
	})
}

func TestTheKindChoosesTheDriver(t *testing.T) {
	dial := New(Options{})
	for _, c := range []struct{ kind, address, want string }{
		{"redfish", "https://10.0.0.1", "*redfish.Driver"},
		{"ipmi", "10.0.0.1", "*ipmi.driver"},
	} {
		d, err := dial(machine.BMC{Kind: c.kind, Address: c.address, Username: "u", Password: "p"})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%T", d); got != c.want {
			t.Errorf("kind %s gives a %s, want %s", c.kind, got, c.want)
		}
	}
	if d, err := dial(machine.BMC{Kind: "redfish", Address: "nonsense"}); d != nil || !fault.Is(err, fault.Invalid) {
		t.Errorf("a bad address gives %v, %v", d, err)
	}
}

func TestDriversOfOneBMCShareItsLimit(t *testing.T) {
	l := limits{n: 1}
	if err := l.of("a")(t.Context(), "Power", func(ctx context.Context) error {
		done, cancel := context.WithCancel(ctx)
		cancel()
		if err := l.of("a")(done, "Power", func(context.Context) error { return nil }); err == nil {
			t.Error("a second call to the same BMC came through")
		}
		return l.of("b")(ctx, "Power", func(context.Context) error { return nil })
	}); err != nil {
		t.Errorf("a call to another BMC: %v", err)
	}
}
