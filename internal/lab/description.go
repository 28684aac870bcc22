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
)

// DescriptionFile is where a running lab says how to reach its machines, in its folder. Only its owner may read it.
const DescriptionFile = "lab.json"

// Description is everything that an operator needs to enrol a rack's machines. BMC addresses and passwords stay the
// same for as long as the folder does.
type Description struct {
	Rack        string               `json:"rack"`
	Run         string               `json:"run"`
	Netns       string               `json:"netns"`        // the network namespace with the rack's network
	Network     string               `json:"network"`      // the host's address in it, with the prefix length
	DialSocket  string               `json:"dial_socket"`  // see Dial
	ControlHTTP string               `json:"control_http"` // the socket behind lab status, power, console and screenshot
	Machines    []MachineDescription `json:"machines"`
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

// NICDescription is one network card and the tap on the rack's bridge that it is plugged into.
type NICDescription struct {
	MAC string `json:"mac"`
	Tap string `json:"tap"`
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
		Rack: rack.Name, Run: run, Netns: namespace(run), Network: rack.Network.CIDR,
		DialSocket: filepath.Join(dir, dialSocket), ControlHTTP: filepath.Join(dir, controlSocket),
	}
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
			m.NICs = append(m.NICs, NICDescription{MAC: nic.MAC, Tap: tapName(i, n)})
		}
		d.Machines = append(d.Machines, m)
	}
	return d, nil
}
