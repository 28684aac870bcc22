package main

import "testing"

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ address, netmask, want string }{
		{"192.0.2.7", "255.255.255.0", "192.0.2.7/24"},
		{"192.0.2.7/28", "", "192.0.2.7/28"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0/0"},
		{"2001:db8::7", "ffff:ffff:ffff:ffff::", "2001:db8::7/64"},
		{"::", "::", "::/0"},
	} {
		if got, err := prefix(c.address, c.netmask); err != nil || got != c.want {
			t.Errorf("prefix(%q, %q) = %q, %v, want %q", c.address, c.netmask, got, err, c.want)
		}
	}
	for _, c := range []struct{ address, netmask string }{
		{"192.0.2.7", ""}, {"192.0.2.7", "255.0.255.0"}, {"192.0.2.7", "ffff::"}, {"web", "255.255.255.0"}, {"192.0.2.7/40", ""},
	} {
		if got, err := prefix(c.address, c.netmask); err == nil {
			t.Errorf("prefix(%q, %q) = %q, want an error", c.address, c.netmask, got)
		}
	}
}

func TestHostName(t *testing.T) {
	for given, want := range map[string]string{"web-1.example.org": "web-1", "web": "web", "": "ingot", ".org": "ingot"} {
		if got := hostName(metaData{Hostname: given}); got != want {
			t.Errorf("hostName(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestShellCommand(t *testing.T) {
	for _, c := range []struct {
		item any
		want string
	}{
		{"echo $HOME", "echo $HOME"},
		{[]any{"echo", "it's", 3}, `'echo' 'it'\''s' '3'`},
	} {
		if got := shellCommand(c.item); got != c.want {
			t.Errorf("shellCommand(%v) = %s, want %s", c.item, got, c.want)
		}
	}
}
