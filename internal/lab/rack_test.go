package lab

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/edge"
)

func TestTheShippedRackIsValid(t *testing.T) {
	rack, err := ReadRack("../../lab/rack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := rack.Machines[0]
	want := MachineSpec{
		Name: "m1", BMC: BMCSpec{"redfish"}, Firmware: "uefi", CPUs: 2, MemoryMiB: 1024,
		NICs:  []NICSpec{{"52:54:00:ad:a2:6d", edge.OVS}, {"52:54:00:db:80:67", edge.OVS}},
		Disks: []DiskSpec{{"nvme", 4, "LAB0"}, {"virtio", 4, "LAB1"}},
	}
	for d := range got.Disks { // the serials' own test is below
		got.Disks[d].Serial = want.Disks[d].Serial
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if rack.Network.CIDR != "10.77.0.1/24" || len(rack.Machines) != 3 || rack.Machines[2].NICs[0].Edge != edge.Trunk {
		t.Errorf("%+v", rack)
	}
}

func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // mistakes, one per line
	}{
		"empty":     {"", "r:1: the file is empty"},
		"no YAML":   {"rack: a\nmachines: [\n", "r:2: did not find expected node content"},
		"two":       {"rack: a\nmachines: []\n---\nrack: b\n", "r:1: more than one document in the file"},
		"duplicate": {"rack: a\nrack: b\n", `r:2: mapping key "rack" already defined at line 1`},
		"fields and types": {`rack: a
colour: red
machines:
  - name: m1
    cpus: two
    nic: []
`, "r:2: unknown field colour\nr:5: cannot unmarshal !!str `two` into int\nr:6: unknown field nic"},
		"edges": {`rack: a
network: {cidr: 203.0.113.9/29}
machines:
  - name: m1
    bmc: {kind: ipmi}
    nics:
      - {}
      - {edge: ovs}
      - edge: trunk
      - edge: vlan
`, "r:2: 203.0.113.0/24 is the Internet's network in the lab\n" +
			`r:10: edge is ovs or trunk, not "vlan"`},
		"values": {`rack: A Rack
network:
  cidr: 10.0.0.0/24
machines:
  - name: m1
    bmc: {kind: telnet}
    firmware: coreboot
    cpus: 99
    memory_mib: 1
    nics:
      - mac: 01:00:5e:00:00:01
      - {mac: "52:54:00:00:00:01"}
    disks:
      - bus: floppy
        size_gib: 4
      - {bus: nvme, size_gib: -1, serial: "a b"}
  - name: m1
    bmc:
      kind: ipmi
    firmware: bios
    secure_boot: true
    nics: [{mac: "52:54:00:00:00:01"}]
    disks:
      - {bus: scsi, size_gib: 1, serial: same}
      - {bus: scsi, size_gib: 1, serial: same}
  - name: m3
`, `r:1: the rack's name (rack) is 1 to 32 lower case letters, digits and hyphens, not "A Rack"
r:3: cidr is the host's own address in the network: 10.0.0.0 is the network itself
r:6: bmc kind is redfish or ipmi, not "telnet"
r:7: firmware is uefi or bios, not "coreboot"
r:8: cpus is 1 to 64, not 99
r:9: memory_mib is 256 to 1048576, not 1
r:11: "01:00:5e:00:00:01" is no unicast Ethernet address
r:14: bus is nvme, virtio or scsi, not "floppy"
r:16: size_gib is 1 to 16384, not -1
r:16: a serial is 1 to 20 letters, digits, hyphens and underscores, not "a b"
r:17: two machines are named m1
r:21: secure_boot needs firmware uefi
r:22: two NICs have the address 52:54:00:00:00:01
r:25: two disks of the machine have the serial same
r:26: bmc kind is redfish or ipmi, not ""
r:26: a machine has 1 to 8 nics, not 0`},
		"no machines": {"rack: a\nnetwork: {cidr: here}\n",
			"r:1: a rack has at least one machine (machines)\n" +
				`r:2: cidr is the host's IPv4 address with a prefix length of at most 29, such as 10.77.0.1/24, not "here"`},
	} {
		_, err := ParseRack("r", []byte(c.text))
		var mistakes *Mistakes
		if !errors.As(err, &mistakes) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(err.Error(), "\n")); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

func TestWhatIsDerivedIsStableAndDistinct(t *testing.T) {
	// These are in operators' DHCP tables and databases: a change here makes all machines strangers.
	for got, want := range map[string]string{
		deriveMAC("demo", "m1", 0):    "52:54:00:ad:a2:6d",
		deriveMAC("demo", "m1", 1):    "52:54:00:db:80:67",
		deriveMAC("demo", "m2", 0):    "52:54:00:71:cd:fa",
		deriveMAC("other", "m1", 0):   "52:54:00:7b:f3:0f",
		deriveSerial("demo", "m1", 0): "LABC6745949CE0F",
		deriveUUID("demo", "m1"):      "061bce88-b063-569d-af0a-327ee15a1bdb",
		deriveServicesMAC("demo"):     "52:54:00:26:f1:3a",
		deriveSwitchID("demo", "one"): "52:54:00:d7:69:db",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
