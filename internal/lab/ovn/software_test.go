package ovn

import "testing"

func TestVersions(t *testing.T) {
	for text, want := range map[string]version{
		"ovs-vswitchd (Open vSwitch) 3.5.0\nDPDK 24.11\n": {3, 5, 0},
		"ovs-vswitchd (Open vSwitch) 3.1.7":               {3, 1, 7},
		"ovn-controller 25.03.0\nOpen vSwitch Library":    {25, 3, 0},
		"ovn-controller 23.03.1":                          {23, 3, 1},
		"ovs-vswitchd (Open vSwitch) 3.3.0.dev":           {3, 3, 0},
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	if v, err := parseVersion("no number"); err == nil {
		t.Errorf("got %v of nothing", v)
	}
	for _, old := range []version{{2, 17, 9}, {3, 1, 0}, {3, 1, 6}} {
		if !old.less(soundOVS) {
			t.Errorf("%v counts as sound", old)
		}
	}
	for _, sound := range []version{{3, 1, 7}, {3, 2, 0}, {4, 0, 0}} {
		if sound.less(soundOVS) {
			t.Errorf("%v counts as too old", sound)
		}
	}
}

func TestFlowCount(t *testing.T) {
	const reply = "OFPST_AGGREGATE reply (OF1.5) (xid=0x2): flow_count=1207\n"
	if n, err := flowCount(reply); err != nil || n != 1207 {
		t.Errorf("got %d, %v", n, err)
	}
	if n, err := flowCount("nothing"); err == nil {
		t.Errorf("got %d of nothing", n)
	}
}

func TestInterfaceNamesFit(t *testing.T) {
	long, other := interfaceName("tor-a-very-long-name"), interfaceName("tor-a-very-long-game")
	if len(long) > 15 || long == other || interfaceName("tor-short") != "tor-short" {
		t.Errorf("got %s and %s", long, other)
	}
}

func TestWrongConfigurations(t *testing.T) {
	fine := []ChassisSpec{{Name: "a"}}
	for what, config := range map[string]Config{
		"a name with a slash":  {Name: "a/b", Dir: "/tmp/x", Chassis: fine},
		"no name":              {Dir: "/tmp/x", Chassis: fine},
		"no chassis":           {Name: "a", Dir: "/tmp/x"},
		"a chassis twice":      {Name: "a", Dir: "/tmp/x", Chassis: append(fine, fine...)},
		"a folder's long name": {Name: "a", Dir: "/tmp/" + string(make([]byte, 100)), Chassis: fine},
	} {
		if err := config.check(); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
