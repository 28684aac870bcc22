package agentapi

import (
	"strings"
	"testing"
)

var pin = strings.Repeat("ab", 32)

func TestCmdlineRoundTrip(t *testing.T) {
	for _, b := range []Boot{
		{URL: "https://172.16.0.1:8443", Pin: pin, Token: "t0k3n", MAC: "52:54:00:12:34:56", CIDR: "172.16.0.9/24", Extra: `console=ttyS0,115200 dyndbg="file nvme* +p" quiet`},
		{URL: "https://[fd00::1]:8443", Pin: pin, Token: "t", CIDR: "fd00::9/64"},
		{URL: "https://h:1", Pin: pin, Token: "a=b="},
	} {
		got, err := ParseCmdline(b.Cmdline() + "\n")
		if err != nil || got != b {
			t.Errorf("%q came back as %+v, %v", b.Cmdline(), got, err)
		}
	}
}

func TestParseCmdlineAmongOthers(t *testing.T) {
	got, err := ParseCmdline("BOOT_IMAGE=/vmlinuz ingot.token=old ingot.url=https://h:1 ingot.pin=" + pin + " ingot.later=1 ingot.token=new -- single")
	if err != nil {
		t.Fatal(err)
	}
	want := Boot{URL: "https://h:1", Pin: pin, Token: "new", Extra: "BOOT_IMAGE=/vmlinuz ingot.later=1 -- single"}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

func TestParseCmdlineRefuses(t *testing.T) {
	good := Boot{URL: "https://h:1", Pin: pin, Token: "t"}
	for name, spoil := range map[string]func(*Boot){
		"ingot.url":   func(b *Boot) { b.URL = "http://h:1" },
		"ingot.pin":   func(b *Boot) { b.Pin = "abcd" },
		"ingot.token": func(b *Boot) { b.Token = "" },
		"ingot.mac":   func(b *Boot) { b.MAC = "52:54" },
		"ingot.cidr":  func(b *Boot) { b.CIDR = "10.0.0.1" },
	} {
		b := good
		spoil(&b)
		if _, err := ParseCmdline(b.Cmdline()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("spoiled %s: %v", name, err)
		}
	}
}
