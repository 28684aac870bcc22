package redfish_test

import (
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/bmctest"
	"github.com/ingotcloud/ingot/internal/driver/bmc/redfish"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

var info = vbmc.Info{
	Name: "m1", UUID: "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", Serial: "SN-0001", Vendor: "Ingot Lab", Model: "Virtual One",
	BIOSVersion: "2022.11-6", CPUs: 1, Cores: 2, MemoryMiB: 1024, UEFI: true, TPM: true, SecureBootCapable: true,
	NICs:  []vbmc.NIC{{ID: "nic0", MAC: "52:54:00:aa:bb:01"}, {ID: "nic1", MAC: "52:54:00:aa:bb:02"}},
	Disks: []vbmc.Disk{{Name: "nvme0", Serial: "D1", Bus: "nvme", Bytes: 1 << 30}},
}

const password = "c0rrect-h0rse"

// bmc is one virtual BMC with everything in reach.
type bmc struct {
	machine *vbmc.Simulated
	faults  *vbmc.Faults
	service *vbmc.Redfish
	address machine.BMC
}

func newBMC(t *testing.T, info vbmc.Info) bmc {
	t.Helper()
	b := bmc{machine: vbmc.NewSimulated(info, vbmc.SimOptions{}), faults: &vbmc.Faults{}}
	var err error
	b.service, err = vbmc.NewRedfish(b.machine, vbmc.RedfishOptions{
		Username: "admin", Password: password, MediaDir: t.TempDir(), Faults: b.faults,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.service.Close(); err != nil {
			t.Error(err)
		}
	})
	b.address = machine.BMC{Kind: "redfish", Address: b.service.URL(), Username: "admin", Password: password, CA: string(b.service.CertificatePEM())}
	return b
}

func dialWith(wrap around.Func) machine.Dial {
	return func(bmc machine.BMC) (machine.Driver, error) { return redfish.New(bmc, wrap) }
}

// closedPort is an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestConformance(t *testing.T) {
	bios := info
	bios.UEFI, bios.SecureBootCapable, bios.TPM = false, false, false
	for name, info := range map[string]vbmc.Info{"UEFI machine": info, "BIOS machine": bios} {
		for _, sessions := range []bool{true, false} {
			auth := "sessions"
			if !sessions {
				auth = "basic authentication"
			}
			t.Run(name+" with "+auth, func(t *testing.T) {
				bmctest.Run(t, func(t *testing.T) bmctest.Subject {
					b := newBMC(t, info)
					b.faults.NoSessions(!sessions)
					dead := b.address
					dead.Address = "https://" + closedPort(t)
					return bmctest.Subject{Dial: dialWith(around.Plain), BMC: b.address, Dead: dead, Machine: b.machine}
				})
			})
		}
	}
}
