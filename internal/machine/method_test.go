package machine

import "testing"

func TestChoose(t *testing.T) {
	all := Abilities{VirtualMedia: true, HTTPBoot: true, UEFI: true, Network: true}
	for _, c := range []struct {
		why  string
		has  Abilities
		want Method
	}{
		{"everything", all, ByMedia},
		{"virtual media needs no network", Abilities{VirtualMedia: true, UEFI: true}, ByMedia},
		{"no virtual media", Abilities{HTTPBoot: true, UEFI: true, Network: true}, ByHTTP},
		{"neither", Abilities{UEFI: true, Network: true}, ByPXE},
		{"BIOS cannot start the ISO", Abilities{VirtualMedia: true, Network: true}, ByPXE},
		{"BIOS has no HTTP boot", Abilities{HTTPBoot: true, Network: true}, ByPXE},
		{"Secure Boot from virtual media", Abilities{VirtualMedia: true, UEFI: true, SecureBoot: true, Network: true}, ByMedia},
		{"Secure Boot over HTTP", Abilities{HTTPBoot: true, UEFI: true, SecureBoot: true, Network: true}, ByHTTP},
		{"Secure Boot refuses iPXE", Abilities{UEFI: true, SecureBoot: true, Network: true}, NoMethod},
		{"nothing", Abilities{}, NoMethod},
	} {
		if got := Choose(c.has); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}
