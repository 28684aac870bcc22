package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ingotcloud/ingot/internal/edge"
)

// RackSpec is a rack's declaration, as in lab/rack.yaml.
type RackSpec struct {
	Name     string        `yaml:"rack"`
	Network  NetworkSpec   `yaml:"network"`
	Machines []MachineSpec `yaml:"machines"`
}

// NetworkSpec is the network on which machines meet the control plane: quarantine.
type NetworkSpec struct {
	// CIDR is the control plane's own IPv4 address in it with the prefix length; 10.77.0.1/24 when left out.
	CIDR string `yaml:"cidr"`
}

// MachineSpec is one machine. Lists keep their order: it is the firmware's.
type MachineSpec struct {
	Name       string     `yaml:"name"`
	BMC        BMCSpec    `yaml:"bmc"`
	Firmware   string     `yaml:"firmware"`    // uefi (default) or bios
	CPUs       int        `yaml:"cpus"`        // 1 when left out
	MemoryMiB  int        `yaml:"memory_mib"`  // 1024 when left out
	NICs       []NICSpec  `yaml:"nics"`        // at least one
	Disks      []DiskSpec `yaml:"disks"`       // may be none
	TPM        bool       `yaml:"tpm"`         // a TPM 2.0 (swtpm)
	SecureBoot bool       `yaml:"secure_boot"` // the firmware is capable of it; the BMC turns it on
}

// BMCSpec says what the machine's BMC speaks.
type BMCSpec struct {
	Kind string `yaml:"kind"` // redfish or ipmi
}

// NICSpec is one network card.
type NICSpec struct {
	MAC  string    `yaml:"mac"`  // derived from the rack's and the machine's names when left out
	Edge edge.Kind `yaml:"edge"` // ovs (default): on a chassis, as behind a DPU; or trunk: on a plain switch
}

// DiskSpec is one disk; its file is sparse.
type DiskSpec struct {
	Bus     string `yaml:"bus"` // nvme, virtio or scsi
	SizeGiB int    `yaml:"size_gib"`
	Serial  string `yaml:"serial"` // derived when left out; at most 20 characters
}

// Mistake in a rack file.
type Mistake struct {
	Line int
	Text string
}

// Mistakes is every mistake in a rack file, in the order of its lines.
type Mistakes struct {
	File string
	List []Mistake
}

func (m *Mistakes) Error() string {
	lines := make([]string, len(m.List))
	for i, one := range m.List {
		lines[i] = fmt.Sprintf("%s:%d: %s", m.File, one.Line, one.Text)
	}
	return strings.Join(lines, "\n")
}

// ReadRack reads a rack file. What is wrong in it comes as *Mistakes, all at once.
func ReadRack(file string) (*RackSpec, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ParseRack(file, text)
}

// ParseRack is ReadRack of a text; file is for its error only.
func ParseRack(file string, text []byte) (*RackSpec, error) {
	var tree yaml.Node
	var rack RackSpec
	var shape *yaml.TypeError
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(&rack)
	switch {
	case errors.Is(err, io.EOF):
		return nil, &Mistakes{file, []Mistake{{1, "the file is empty"}}}
	case errors.As(err, &shape): // unknown fields and wrong types: yaml names them all
		return nil, &Mistakes{file, fromYAML(shape.Errors...)}
	case err != nil: // no YAML at all
		return nil, &Mistakes{file, fromYAML(strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, &Mistakes{file, []Mistake{{1, "more than one document in the file"}}}
	}
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err // unreachable: it has just been decoded
	}
	rack.fill()
	c := checker{root: &tree}
	c.rack(&rack)
	if len(c.found) > 0 {
		slices.SortStableFunc(c.found, func(a, b Mistake) int { return a.Line - b.Line })
		return nil, &Mistakes{file, c.found}
	}
	return &rack, nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): (.*)`)

func fromYAML(texts ...string) []Mistake {
	var all []Mistake
	for _, text := range texts {
		one := Mistake{1, text}
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			one.Line, _ = strconv.Atoi(m[1]) // digits, says the expression
			one.Text = m[2]
		}
		one.Text = unknownField.ReplaceAllString(one.Text, "unknown field $1")
		all = append(all, one)
	}
	return all
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// fill writes the defaults and what is derived, so that the rest of the lab reads one complete declaration.
func (r *RackSpec) fill() {
	if r.Network.CIDR == "" {
		r.Network.CIDR = "10.77.0.1/24"
	}
	for i := range r.Machines {
		m := &r.Machines[i]
		if m.Firmware == "" {
			m.Firmware = "uefi"
		}
		if m.CPUs == 0 {
			m.CPUs = 1
		}
		if m.MemoryMiB == 0 {
			m.MemoryMiB = 1024
		}
		for n := range m.NICs {
			if m.NICs[n].MAC == "" {
				m.NICs[n].MAC = deriveMAC(r.Name, m.Name, n)
			}
			m.NICs[n].MAC = strings.ToLower(m.NICs[n].MAC)
			if m.NICs[n].Edge == "" {
				m.NICs[n].Edge = edge.OVS
			}
		}
		for d := range m.Disks {
			if m.Disks[d].Serial == "" {
				m.Disks[d].Serial = deriveSerial(r.Name, m.Name, d)
			}
		}
	}
}

// checker gathers mistakes; root tells their lines.
type checker struct {
	root  *yaml.Node
	found []Mistake
}

// bad notes a mistake at a path of keys and indexes: at the deepest node of it that the file has.
func (c *checker) bad(path []any, format string, args ...any) {
	node := c.root.Content[0]
	line := node.Line
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case int:
			if step < len(node.Content) {
				next = node.Content[step]
			}
		case string:
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == step {
					line, next = node.Content[i].Line, node.Content[i+1]
				}
			}
		}
		if next == nil {
			break
		}
		node, line = next, next.Line
	}
	c.found = append(c.found, Mistake{line, fmt.Sprintf(format, args...)})
}

var (
	rackName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	diskSerial  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)
	nameAllowed = "1 to 32 lower case letters, digits and hyphens"
)

func (c *checker) rack(r *RackSpec) {
	if !rackName.MatchString(r.Name) {
		c.bad([]any{"rack"}, "the rack's name (rack) is %s, not %q", nameAllowed, r.Name)
	}
	if prefix, err := netip.ParsePrefix(r.Network.CIDR); err != nil || !prefix.Addr().Is4() || prefix.Bits() > 29 {
		c.bad([]any{"network", "cidr"}, "cidr is the host's IPv4 address with a prefix length of at most 29, such as 10.77.0.1/24, not %q", r.Network.CIDR)
	} else if prefix.Overlaps(internetNetwork) {
		c.bad([]any{"network", "cidr"}, "%s is the Internet's network in the lab", internetNetwork)
	} else if prefix.Addr() == prefix.Masked().Addr() {
		c.bad([]any{"network", "cidr"}, "cidr is the host's own address in the network: %s is the network itself", prefix.Addr())
	}
	if len(r.Machines) == 0 {
		c.bad([]any{"machines"}, "a rack has at least one machine (machines)")
	}
	names, macs, trunks := map[string]bool{}, map[string]bool{}, 0
	for i := range r.Machines {
		m := &r.Machines[i]
		at := func(path ...any) []any { return append([]any{"machines", i}, path...) }
		if !rackName.MatchString(m.Name) {
			c.bad(at("name"), "a machine's name is %s, not %q", nameAllowed, m.Name)
		} else if names[m.Name] {
			c.bad(at("name"), "two machines are named %s", m.Name)
		}
		names[m.Name] = true
		c.machine(m, at)
		for n, nic := range m.NICs {
			if hw, err := net.ParseMAC(nic.MAC); err != nil || len(hw) != 6 || hw[0]&1 != 0 {
				c.bad(at("nics", n, "mac"), "%q is no unicast Ethernet address", nic.MAC)
			} else if macs[nic.MAC] {
				c.bad(at("nics", n, "mac"), "two NICs have the address %s", nic.MAC)
			}
			macs[nic.MAC] = true
			if nic.Edge == edge.Trunk {
				trunks++
			} else if nic.Edge != edge.OVS {
				c.bad(at("nics", n, "edge"), "edge is %s or %s, not %q", edge.OVS, edge.Trunk, nic.Edge)
			}
		}
	}
	if trunks > vlans {
		c.bad([]any{"machines"}, "a switch has %d VLANs, which is too few for %d nics with edge trunk", vlans, trunks)
	}
}

func (c *checker) machine(m *MachineSpec, at func(path ...any) []any) {
	if m.BMC.Kind != "redfish" && m.BMC.Kind != "ipmi" {
		c.bad(at("bmc", "kind"), "bmc kind is redfish or ipmi, not %q", m.BMC.Kind)
	}
	if m.Firmware != "uefi" && m.Firmware != "bios" {
		c.bad(at("firmware"), "firmware is uefi or bios, not %q", m.Firmware)
	}
	if m.SecureBoot && m.Firmware != "uefi" {
		c.bad(at("secure_boot"), "secure_boot needs firmware uefi")
	}
	if m.CPUs < 1 || m.CPUs > 64 {
		c.bad(at("cpus"), "cpus is 1 to 64, not %d", m.CPUs)
	}
	if m.MemoryMiB < 256 || m.MemoryMiB > 1<<20 {
		c.bad(at("memory_mib"), "memory_mib is 256 to %d, not %d", 1<<20, m.MemoryMiB)
	}
	if len(m.NICs) == 0 || len(m.NICs) > 8 {
		c.bad(at("nics"), "a machine has 1 to 8 nics, not %d", len(m.NICs))
	}
	if len(m.Disks) > 8 {
		c.bad(at("disks"), "a machine has at most 8 disks, not %d", len(m.Disks))
	}
	serials := map[string]bool{}
	for d, disk := range m.Disks {
		if !slices.Contains([]string{"nvme", "virtio", "scsi"}, disk.Bus) {
			c.bad(at("disks", d, "bus"), "bus is nvme, virtio or scsi, not %q", disk.Bus)
		}
		if disk.SizeGiB < 1 || disk.SizeGiB > 1<<14 {
			c.bad(at("disks", d, "size_gib"), "size_gib is 1 to %d, not %d", 1<<14, disk.SizeGiB)
		}
		if !diskSerial.MatchString(disk.Serial) {
			c.bad(at("disks", d, "serial"), "a serial is 1 to 20 letters, digits, hyphens and underscores, not %q", disk.Serial)
		} else if serials[disk.Serial] {
			c.bad(at("disks", d, "serial"), "two disks of the machine have the serial %s", disk.Serial)
		}
		serials[disk.Serial] = true
	}
}
