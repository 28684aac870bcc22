package ipmi_test

import (
	"net"
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/bmctest"
	"github.com/ingotcloud/ingot/internal/driver/bmc/ipmi"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

const (
	username = "admin"
	password = "fifteen-bytes-l" // ipmi_sim takes 16, and the suite makes a wrong one by adding a byte
)

func dial(bmc machine.BMC) (machine.Driver, error) { return ipmi.New(bmc, around.Plain) }

// rack is a simulated machine behind a virtual BMC.
func rack(t *testing.T, opts vbmc.SimOptions) (*vbmc.Simulated, *vbmc.IPMI) {
	t.Helper()
	m := vbmc.NewSimulated(vbmc.Info{
		Name: "m1", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f", Serial: "S123", Vendor: "Ingot", Model: "Lab Machine",
		BIOSVersion: "2.1", UEFI: true,
	}, opts)
	return m, serve(t, m, "")
}

func serve(t *testing.T, m vbmc.Machine, listen string) *vbmc.IPMI {
	t.Helper()
	b, err := vbmc.NewIPMI(m, vbmc.IPMIOptions{Username: username, Password: password, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// open makes a driver that is closed with the test.
func open(t *testing.T, bmc machine.BMC) machine.Driver {
	t.Helper()
	d, err := dial(bmc)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(address string) machine.BMC {
	return machine.BMC{Kind: "ipmi", Address: address, Username: username, Password: password}
}

// deadAddress is a port of ours that nothing listens on any more.
func deadAddress(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	return conn.LocalAddr().String()
}

func TestConformance(t *testing.T) {
	bmctest.Run(t, func(t *testing.T) bmctest.Subject {
		m, b := rack(t, vbmc.SimOptions{})
		return bmctest.Subject{Dial: dial, BMC: at(b.Addr().String()), Dead: at(deadAddress(t)), Machine: m}
	})
}
