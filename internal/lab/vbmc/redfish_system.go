package vbmc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// resetTypes are the orders that the machine's Actions make possible.
var resetTypes = []Action{On, ForceOff, GracefulShutdown, ForceRestart, NMI}

func powerState(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}

func getSystem(s *Redfish, _ *call) (object, error) {
	info := s.machine.Info()
	o := object{
		"Name":                    info.Name,
		"SystemType":              "Physical",
		"Manufacturer":            info.Vendor,
		"Model":                   info.Model,
		"SerialNumber":            info.Serial,
		"UUID":                    info.UUID,
		"BiosVersion":             info.BIOSVersion,
		"PowerState":              powerState(s.machine.Power()),
		"Status":                  healthy(),
		"LocationIndicatorActive": s.machine.Indicator(),
		"ProcessorSummary":        object{"Count": info.CPUs, "CoreCount": info.Cores, "Status": healthy()},
		"MemorySummary":           object{"TotalSystemMemoryGiB": float64(info.MemoryMiB) / 1024, "Status": healthy()},
		"Boot":                    s.bootObject(),
		"EthernetInterfaces":      link(systemPath + "/EthernetInterfaces"),
		"Storage":                 link(systemPath + "/Storage"),
		"LogServices":             link(systemPath + "/LogServices"),
		"Links":                   object{"Chassis": links(chassisPath), "ManagedBy": links(managerPath)},
		"SerialConsole":           s.serialConsole(),
		"GraphicalConsole":        object{"ServiceEnabled": true, "MaxConcurrentSessions": 16, "ConnectTypesSupported": []string{"KVMIP"}},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target":                            root + "/" + systemPath + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": resetTypes,
		}},
	}
	if info.SecureBootCapable {
		o["SecureBoot"] = link(systemPath + "/SecureBoot")
	}
	if info.TPM {
		o["TrustedModules"] = []object{{"InterfaceType": "TPM2_0", "Status": object{"State": "Enabled"}}}
	}
	return o, nil
}

func (s *Redfish) serialConsole() object {
	if s.sshPort != 0 {
		return object{"MaxConcurrentSessions": 16, "SSH": object{"ServiceEnabled": true, "Port": s.sshPort, "SharedWithManagerCLI": false}}
	}
	return object{"MaxConcurrentSessions": 16, "WebSocket": object{"ServiceEnabled": true, "Interactive": true, "ConsoleURI": "/console0"}}
}

// bootTargets and bootModes are what this machine's firmware can: HTTP boot is UEFI's.
func bootTargets(info Info) []string {
	targets := []string{TargetNone, TargetPXE, TargetDisk, TargetCD}
	if info.UEFI {
		targets = append(targets, TargetUEFIHTTP)
	}
	return targets
}

func bootModes(info Info) []string {
	if info.UEFI {
		return []string{ModeUEFI, ModeLegacy}
	}
	return []string{ModeLegacy}
}

func (s *Redfish) bootObject() object {
	info, boot := s.machine.Info(), s.machine.Boot()
	o := object{
		"BootSourceOverrideTarget":                          boot.Target,
		"BootSourceOverrideTarget@Redfish.AllowableValues":  bootTargets(info),
		"BootSourceOverrideEnabled":                         boot.Enabled,
		"BootSourceOverrideEnabled@Redfish.AllowableValues": []string{BootDisabled, BootOnce, BootContinuous},
		"BootSourceOverrideMode":                            boot.Mode,
		"BootSourceOverrideMode@Redfish.AllowableValues":    bootModes(info),
	}
	if info.UEFI {
		o["HttpBootUri"] = nil
		if boot.HTTPURI != "" {
			o["HttpBootUri"] = boot.HTTPURI
		}
	}
	return o
}

func patchSystem(s *Redfish, c *call) error {
	var body struct {
		LocationIndicatorActive *bool
		Boot                    *struct {
			BootSourceOverrideTarget  *string
			BootSourceOverrideEnabled *string
			BootSourceOverrideMode    *string
			HTTPBootURI               *string `json:"HttpBootUri"`
		}
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if b := body.Boot; b != nil {
		info, boot := s.machine.Info(), s.machine.Boot()
		for _, p := range []struct {
			name    string
			value   *string
			field   *string
			allowed []string
		}{
			{"BootSourceOverrideTarget", b.BootSourceOverrideTarget, &boot.Target, bootTargets(info)},
			{"BootSourceOverrideEnabled", b.BootSourceOverrideEnabled, &boot.Enabled, []string{BootDisabled, BootOnce, BootContinuous}},
			{"BootSourceOverrideMode", b.BootSourceOverrideMode, &boot.Mode, bootModes(info)},
		} {
			if p.value == nil {
				continue
			}
			if !slices.Contains(p.allowed, *p.value) {
				return fail("PropertyValueNotInList", *p.value, p.name).about("Boot/" + p.name)
			}
			*p.field = *p.value
		}
		if b.HTTPBootURI != nil {
			if !info.UEFI {
				return fail("PropertyUnknown", "HttpBootUri").about("Boot/HttpBootUri")
			}
			boot.HTTPURI = *b.HTTPBootURI
		}
		if err := s.machine.SetBoot(boot); err != nil {
			return fail("PropertyValueConflict", "BootSourceOverrideTarget", "BootSourceOverrideMode").
				because("The boot override was refused: %v.", err).about("Boot")
		}
	}
	if body.LocationIndicatorActive != nil {
		s.machine.SetIndicator(*body.LocationIndicatorActive)
	}
	return nil
}

func resetSystem(s *Redfish, c *call) (*reply, error) {
	var body struct{ ResetType *string }
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body.ResetType == nil {
		return nil, fail("ActionParameterMissing", c.action(), "ResetType").about("ResetType")
	}
	action := Action(*body.ResetType)
	if !slices.Contains(resetTypes, action) {
		return nil, fail("ActionParameterValueNotInList", *body.ResetType, "ResetType", c.action()).about("ResetType")
	}
	if (action == NMI || action == GracefulShutdown) && !s.machine.Power() {
		return nil, fail("ResourceInStandby")
	}
	// The order is the BMC's own once it is taken: it is carried out though the client leaves.
	switch err := s.machine.Do(s.ctx, action); {
	case errors.Is(err, ErrUnsupported):
		return nil, fail("ActionNotSupported", string(action)).about("ResetType")
	case err != nil:
		return nil, fail("OperationFailed").because("%s failed: %v.", action, err)
	}
	return nil, nil
}

func nicIDs(s *Redfish) (ids []string) {
	for _, nic := range s.machine.Info().NICs {
		ids = append(ids, nic.ID)
	}
	return ids
}

func getNIC(s *Redfish, c *call) (object, error) {
	for _, nic := range s.machine.Info().NICs {
		if nic.ID == c.r.PathValue("id") {
			mac := strings.ToUpper(nic.MAC) // as many BMCs write it
			return object{"MACAddress": mac, "PermanentMACAddress": mac, "InterfaceEnabled": true, "Status": healthy()}, nil
		}
	}
	return nil, c.missing()
}

func canSecureBoot(s *Redfish) bool { return s.machine.Info().SecureBootCapable }

func getSecureBoot(s *Redfish, _ *call) (object, error) {
	state := "Disabled"
	if s.machine.SecureBoot() {
		state = "Enabled"
	}
	return object{"SecureBootEnable": s.machine.SecureBoot(), "SecureBootCurrentBoot": state, "SecureBootMode": "UserMode"}, nil
}

func patchSecureBoot(s *Redfish, c *call) error {
	var body struct{ SecureBootEnable *bool }
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.SecureBootEnable == nil {
		return nil
	}
	return s.machine.SetSecureBoot(*body.SecureBootEnable)
}

func getStorage(s *Redfish, c *call) (object, error) {
	var drives []string
	for i := range s.machine.Info().Disks {
		drives = append(drives, systemPath+"/Storage/disks/Drives/"+strconv.Itoa(i))
	}
	return object{"Drives": links(drives...), "Drives@odata.count": len(drives), "Status": healthy()}, nil
}

func getDrive(s *Redfish, c *call) (object, error) {
	disks := s.machine.Info().Disks
	i, err := strconv.Atoi(c.r.PathValue("id"))
	if err != nil || i < 0 || i >= len(disks) {
		return nil, c.missing()
	}
	o := object{"Name": disks[i].Name, "SerialNumber": disks[i].Serial, "CapacityBytes": disks[i].Bytes, "MediaType": "SSD", "Status": healthy()}
	if disks[i].Bus == "nvme" { // virtio is no word of the schema's
		o["Protocol"] = "NVMe"
	}
	return o, nil
}

func getManager(s *Redfish, _ *call) (object, error) {
	now := s.clock.Now()
	return object{
		"ManagerType":         "BMC",
		"Manufacturer":        "Ingot",
		"Model":               "Ingot virtual BMC",
		"FirmwareVersion":     bmcVersion,
		"UUID":                s.machine.Info().UUID,
		"DateTime":            now.Format("2006-01-02T15:04:05Z07:00"),
		"DateTimeLocalOffset": "+00:00",
		"PowerState":          "On",
		"Status":              healthy(),
		"VirtualMedia":        link(managerPath + "/VirtualMedia"),
		"SerialConsole":       object{"ServiceEnabled": true, "MaxConcurrentSessions": 16, "ConnectTypesSupported": []string{"Oem"}},
		"GraphicalConsole":    object{"ServiceEnabled": true, "MaxConcurrentSessions": 16, "ConnectTypesSupported": []string{"KVMIP"}},
		"Links":               object{"ManagerForServers": links(systemPath), "ManagerForChassis": links(chassisPath)},
	}, nil
}

// bmcVersion is the virtual BMC's own firmware version.
const bmcVersion = "1.0.0"

// getUpdateService has no actions; sushy wants to read that.
func getUpdateService(*Redfish, *call) (object, error) {
	return object{"ServiceEnabled": true, "Status": healthy(), "FirmwareInventory": link("UpdateService/FirmwareInventory"), "Actions": object{}}, nil
}

func firmwareIDs(s *Redfish) []string { return []string{"BIOS", "BMC"} }

func getFirmware(s *Redfish, c *call) (object, error) {
	o := object{"Updateable": false, "Status": healthy()}
	switch c.r.PathValue("id") {
	case "BIOS":
		o["Name"], o["Version"], o["RelatedItem"] = "System firmware", s.machine.Info().BIOSVersion, links(systemPath)
	case "BMC":
		o["Name"], o["Version"], o["RelatedItem"] = "Virtual BMC", bmcVersion, links(managerPath)
	default:
		return nil, c.missing()
	}
	return o, nil
}

// reading is one value of a sensor. The lab's machines have none: the values are made up from the power state, and
// every name says so.
type reading struct {
	id, name        string
	kind, unit      string // Sensor's ReadingType and ReadingUnits (UCUM)
	context         string // PhysicalContext
	whenOn, whenOff float64
}

var readings = []reading{
	{"inlet_temperature", "Inlet temperature (simulated)", "Temperature", "Cel", "Intake", 22, 21},
	{"cpu_temperature", "CPU temperature (simulated)", "Temperature", "Cel", "CPU", 48, 21},
	{"fan1", "Fan 1 (simulated)", "Rotational", "{rev}/min", "Fan", 5400, 0},
	{"fan2", "Fan 2 (simulated)", "Rotational", "{rev}/min", "Fan", 5350, 0},
	{"p12v", "12 V rail (simulated)", "Voltage", "V", "VoltageRegulator", 12.06, 0},
	{"power", "Power consumption (simulated)", "Power", "W", "PowerSupply", 185, 9},
}

func (r reading) value(on bool) float64 {
	if on {
		return r.whenOn
	}
	return r.whenOff
}

func sensorIDs(*Redfish) (ids []string) {
	for _, r := range readings {
		ids = append(ids, r.id)
	}
	return ids
}

func getSensor(s *Redfish, c *call) (object, error) {
	for _, r := range readings {
		if r.id == c.r.PathValue("id") {
			return object{
				"Name": r.name, "Description": "Simulated: the machine has no such sensor.", "Implementation": "Synthesized",
				"ReadingType": r.kind, "ReadingUnits": r.unit, "PhysicalContext": r.context,
				"Reading": r.value(s.machine.Power()), "Status": healthy(),
			}, nil
		}
	}
	return nil, c.missing()
}

// list gives the readings of a kind as the members of Thermal and Power, which older clients read.
func (s *Redfish) list(c *call, kind, array string, fields func(r reading, value float64) object) []object {
	all := []object{}
	for _, r := range readings {
		if r.kind != kind {
			continue
		}
		o := fields(r, r.value(s.machine.Power()))
		o["@odata.id"] = fmt.Sprintf("%s#/%s/%d", c.r.URL.Path, array, len(all))
		o["MemberId"], o["Name"], o["PhysicalContext"], o["Status"] = r.id, r.name, r.context, healthy()
		all = append(all, o)
	}
	return all
}

func getThermal(s *Redfish, c *call) (object, error) {
	return object{
		"Temperatures": s.list(c, "Temperature", "Temperatures", func(_ reading, v float64) object { return object{"ReadingCelsius": v} }),
		"Fans":         s.list(c, "Rotational", "Fans", func(_ reading, v float64) object { return object{"Reading": int(v), "ReadingUnits": "RPM"} }),
	}, nil
}

func getPower(s *Redfish, c *call) (object, error) {
	return object{
		"PowerControl": s.list(c, "Power", "PowerControl", func(_ reading, v float64) object { return object{"PowerConsumedWatts": v} }),
		"Voltages":     s.list(c, "Voltage", "Voltages", func(_ reading, v float64) object { return object{"ReadingVolts": v} }),
	}, nil
}

func getChassis(s *Redfish, _ *call) (object, error) {
	info := s.machine.Info()
	return object{
		"Name":                    info.Name,
		"ChassisType":             "RackMount",
		"Manufacturer":            info.Vendor,
		"Model":                   info.Model,
		"SerialNumber":            info.Serial,
		"PowerState":              powerState(s.machine.Power()),
		"Status":                  healthy(),
		"LocationIndicatorActive": s.machine.Indicator(),
		"Sensors":                 link(chassisPath + "/Sensors"),
		"Thermal":                 link(chassisPath + "/Thermal"),
		"Power":                   link(chassisPath + "/Power"),
		"Links":                   object{"ComputerSystems": links(systemPath), "ManagedBy": links(managerPath)},
	}, nil
}

func patchChassis(s *Redfish, c *call) error {
	var body struct{ LocationIndicatorActive *bool }
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.LocationIndicatorActive != nil {
		s.machine.SetIndicator(*body.LocationIndicatorActive)
	}
	return nil
}
