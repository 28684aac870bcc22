package lab

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
)

// DescriptionFile is where a running lab says how to reach its machines, in its folder. Only its owner may read it.
const DescriptionFile = "lab.json"

// Description is everything that an operator needs to enrol a rack's machines. BMC addresses and passwords stay the
// same for as long as the folder does.
type Description struct {
	Rack        string               `json:"rack"`
	Run         string               `json:"run"`
	Netns       string               `json:"netns"`        // the network namespace in which the control plane meets the machines
	Interface   string               `json:"interface"`    // its interface there
	Network     string               `json:"network"`      // and the interface's address, with the prefix length
	DialSocket  string               `json:"dial_socket"`  // see Dial
	ControlHTTP string               `json:"control_http"` // the socket behind lab status, power, console and screenshot
	OVN         OVNDescription       `json:"ovn"`
	Machines    []MachineDescription `json:"machines"`
}

// OVNDescription is what the control plane's configuration says of the rack's OVN.
type OVNDescription struct {
	NB string `json:"nb"` // endpoints of the databases; empty: simulated machines pretend that there is one
	SB string `json:"sb"`
	// ServicesPort is the logical port of the control plane's interface, and ServicesMAC that interface's address.
	ServicesPort string `json:"services_port"`
	ServicesMAC  string `json:"services_mac"`
	UserspaceTSO bool   `json:"userspace_tso"` // the chassis leave segmentation to the NICs, but not to the kernel
	// ExternalPhysical is the physical network behind the gateways. Internet is the gateway's address in it, with the prefix
	// length: the whole of the prefix is free for routers and floating IPs.
	ExternalPhysical string `json:"external_physical"`
	Internet         string `json:"internet"`
	InternetNetns    string `json:"internet_netns"` // the network namespace that has that address
	// Chassis are where `ingot chassis` belongs.
	Chassis []ChassisDescription `json:"chassis"`
}

// ChassisDescription is one chassis of OVN.
type ChassisDescription struct {
	Name  string `json:"name"`
	Netns string `json:"netns"` // the network namespace that its Open vSwitch runs in
	OVS   string `json:"ovs"`   // endpoint of that Open vSwitch's database
}

// MachineDescription is one machine.
type MachineDescription struct {
	Name     string           `json:"name"`
	UUID     string           `json:"uuid"`
	Serial   string           `json:"serial"`
	Firmware string           `json:"firmware"` // uefi or bios
	TPM      bool             `json:"tpm"`
	Secure   bool             `json:"secure_boot"` // capable of it
	BMC      BMCDescription   `json:"bmc"`
	NICs     []NICDescription `json:"nics"`
	Log      string           `json:"serial_log"`
}

// BMCDescription is how to reach a BMC.
type BMCDescription struct {
	Kind     string `json:"kind"`    // redfish or ipmi
	Address  string `json:"address"` // redfish: https://host:port; ipmi: host:port
	Username string `json:"username"`
	Password string `json:"password"`
	CA       string `json:"ca,omitempty"` // PEM, for redfish
}

// NICDescription is one network card and where its cable ends.
type NICDescription struct {
	MAC   string `json:"mac"`
	Tap   string `json:"tap"`   // the tap that it is
	Netns string `json:"netns"` // and the network namespace of it
	Link  Link   `json:"local_link_connection"`
}

// Link is how Ironic calls the place where a NIC meets the network (local_link_connection).
type Link struct {
	SwitchID   string `json:"switch_id"`   // a MAC that stands for the chassis or the switch
	SwitchInfo string `json:"switch_info"` // with PortID what edge.Of reads
	PortID     string `json:"port_id"`
}

// ReadDescription reads a lab's folder. It fails with fs.ErrNotExist when no lab ever ran there.
func ReadDescription(dir string) (*Description, error) {
	text, err := os.ReadFile(filepath.Join(dir, DescriptionFile))
	if err != nil {
		return nil, err
	}
	var d Description
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, DescriptionFile), err)
	}
	return &d, nil
}

// Write saves the description in a lab's folder, at once.
func (d *Description) Write(dir string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, DescriptionFile), append(text, '\n'), 0o600)
}

// Describe is the description of a rack before its BMCs listen: names and passwords, with what an earlier lab in the
// folder gave out kept.
func Describe(run, dir string, rack *RackSpec) (*Description, error) {
	old, err := ReadDescription(dir)
	if errors.Is(err, fs.ErrNotExist) {
		old = &Description{}
	} else if err != nil {
		return nil, err
	}
	d := &Description{
		Rack: rack.Name, Run: run, Netns: namespace(run), Interface: door, Network: rack.Network.CIDR,
		DialSocket: filepath.Join(dir, dialSocket), ControlHTTP: filepath.Join(dir, controlSocket),
		OVN: OVNDescription{ExternalPhysical: ovn.PhysicalNetwork, Internet: internetGateway.String()},
	}
	places := places(rack)
	for i, spec := range rack.Machines {
		m := MachineDescription{
			Name: spec.Name, UUID: deriveUUID(rack.Name, spec.Name), Serial: chassisSerial(rack.Name, spec.Name),
			Firmware: spec.Firmware, TPM: spec.TPM, Secure: spec.SecureBoot,
			BMC: BMCDescription{Kind: spec.BMC.Kind, Username: "ingot", Password: strings.ToLower(rand.Text()[:16])},
			Log: filepath.Join(dir, spec.Name, fileSerialLog),
		}
		for _, before := range old.Machines {
			if before.Name == m.Name && before.BMC.Kind == m.BMC.Kind {
				m.BMC = before.BMC
			}
		}
		for n, nic := range spec.NICs {
			at := places[nic.MAC]
			m.NICs = append(m.NICs, NICDescription{MAC: nic.MAC, Tap: tapName(i, n), Netns: at.namespace(run), Link: at.link(rack.Name)})
		}
		d.Machines = append(d.Machines, m)
	}
	return d, nil
}
