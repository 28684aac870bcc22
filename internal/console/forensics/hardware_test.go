package forensics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
)

func TestHardware(t *testing.T) {
	for _, x := range []struct{ severity, message, want string }{
		{"Critical", "Memory 0x53: Uncorrectable ECC / other uncorrectable memory error", "hardware-memory"},
		{"Warning", "Correctable memory error rate exceeded for DIMM_A1.", "hardware-memory"},
		{"Critical", "CPU 1 machine check error detected.", "hardware-machine-check"},
		{"Critical", "Processor 0x60: IERR", "hardware-machine-check"},
		{"Critical", "Critical Interrupt 0x05: PCI SERR", "hardware-machine-check"},
		{"Critical", "A fatal error was detected on a component at bus 0 device 1 function 0.", "hardware-machine-check"},
		{"Critical", "Uncorrectable Machine Check Exception (Processor 2, APIC ID 0x00000020)", "hardware-machine-check"},
		{"Critical", "Temperature 0x30: Upper Critical - going high", "hardware-thermal"},
		{"Warning", "Fan 0x31: Lower Non-critical - going low", "hardware-thermal"},
		{"Critical", "Power Supply 0x70: Power Supply Failure detected", "hardware-power"},
		{"Critical", "The machine lost power unexpectedly.", "hardware-power"},
		{"Critical", "Temperature 0x30: Upper Critical - going high (no longer)", ""},
		{"OK", "Memory 0x53: Presence detected", ""},
		{"OK", "Power Unit 0x01: Power Off / Power Down", ""},
		{"Warning", "The chassis is open while the power is off.", ""},
		{"Critical", "Critical Interrupt 0x00: Front Panel NMI / Diagnostic Interrupt", ""},
	} {
		got, ok := forensics.Hardware(began, x.severity, x.message)
		if got.Fault != x.want || ok != (x.want != "") || ok && (got.Do == "" || !strings.Contains(got.Says, strings.TrimRight(x.message, ".")) || strings.Contains(got.Says, "%")) {
			t.Errorf("%s: %+v, want %q", x.message, got, x.want)
		}
	}
}

// An entry belongs to the boot in which it came.
func TestReportAdd(t *testing.T) {
	report := forensics.Analyse(second([]byte(kernel + kernel + kernel)))
	for _, after := range []time.Duration{-time.Hour, 1500 * time.Millisecond, time.Hour, 2 * time.Hour} {
		f, _ := forensics.Hardware(began.Add(after), "Critical", "Processor 0x60: IERR")
		report.Add(f)
	}
	for n, boot := range report.Boots {
		if len(boot.Findings) != 1 {
			t.Errorf("boot %d: %+v", n, boot.Findings)
		}
	}
	var empty forensics.Report
	f, _ := forensics.Hardware(began, "Critical", "Processor 0x60: IERR")
	if empty.Add(f); len(empty.Boots) != 1 || empty.Latest().Phase() != forensics.PowerOn {
		t.Errorf("%+v", empty)
	}
}
