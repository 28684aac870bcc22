package redfish

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Identify reads what the BMC says of its machine and of itself.
func (d *Driver) Identify(ctx context.Context) (machine.Identity, error) {
	var id machine.Identity
	err := d.withSystem(ctx, "Identify", func(_ context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		id = machine.Identity{
			Vendor: s.Manufacturer, Model: s.Model, Serial: s.SerialNumber, UUID: s.UUID,
			BIOSVersion: s.BiosVersion, BootMode: bootMode(s),
		}
		managers, err := managersOf(c, s)
		if err != nil {
			return err
		}
		if len(managers) > 0 {
			id.BMCFirmware = managers[0].FirmwareVersion
		}
		nics, err := s.EthernetInterfaces()
		if err != nil && statusOf(err) != http.StatusNotFound { // linked but absent while the machine is off: some BMCs
			return err
		}
		for _, nic := range nics {
			mac := nic.PermanentMACAddress
			if mac == "" {
				mac = nic.MACAddress
			}
			if mac != "" {
				id.NICs = append(id.NICs, strings.ReplaceAll(strings.ToLower(mac), "-", ":"))
			}
		}
		return nil
	})
	return id, err
}

// SetIndicator sets the locator light of the chassis, or of the system where the chassis has none.
func (d *Driver) SetIndicator(ctx context.Context, on bool) error {
	return d.withSystem(ctx, "SetIndicator", func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		chassis, err := s.Chassis()
		if err != nil {
			return err
		}
		type part struct {
			raw   []byte
			patch func(body any) error
		}
		var parts []part
		for _, x := range chassis {
			parts = append(parts, part{x.RawData, func(body any) error { return x.Patch(x.ODataID, body) }})
		}
		parts = append(parts, part{s.RawData, func(body any) error { return s.Patch(s.ODataID, body) }})
		for _, p := range parts {
			if property(p.raw, "LocationIndicatorActive") {
				return p.patch(map[string]any{"LocationIndicatorActive": on})
			}
		}
		for _, p := range parts { // what came before schema 1.13
			if property(p.raw, "IndicatorLED") {
				state := schemas.OffIndicatorLED
				if on {
					state = schemas.BlinkingIndicatorLED
				}
				return p.patch(map[string]any{"IndicatorLED": state})
			}
		}
		return fault.New(fault.Unsupported, "The machine has no locator light.")
	})
}

// property says whether the JSON text has the property at the path: gofish's structs do not tell absent from empty.
func property(raw []byte, path ...string) bool {
	for _, name := range path {
		var o map[string]json.RawMessage
		if json.Unmarshal(raw, &o) != nil {
			return false // no object, so no property
		}
		value, ok := o[name]
		if !ok {
			return false
		}
		raw = value
	}
	return true
}

// Firmware lists the UpdateService's firmware inventory.
func (d *Driver) Firmware(ctx context.Context) ([]machine.FirmwareItem, error) {
	var items []machine.FirmwareItem
	err := d.run(ctx, "Firmware", func(_ context.Context, c *gofish.APIClient) error {
		items = nil // a repeated call starts anew
		service, err := c.Service.UpdateService()
		if err != nil {
			return err
		}
		if service == nil {
			return fault.New(fault.Unsupported, "The BMC has no firmware inventory.")
		}
		inventory, err := service.FirmwareInventory()
		if err != nil {
			return err
		}
		for _, x := range inventory {
			items = append(items, machine.FirmwareItem{Name: x.Name, Version: x.Version, Component: x.ID})
		}
		return nil
	})
	return items, err
}

// Sensors reads the chassis' Sensors, or Thermal and Power where it has no Sensors yet.
func (d *Driver) Sensors(ctx context.Context) ([]machine.Sensor, error) {
	var sensors []machine.Sensor
	err := d.withSystem(ctx, "Sensors", func(_ context.Context, _ *gofish.APIClient, s *schemas.ComputerSystem) error {
		sensors = nil
		chassis, err := s.Chassis()
		if err != nil {
			return err
		}
		for _, x := range chassis {
			found, err := x.Sensors()
			if err != nil {
				return err
			}
			for _, sensor := range found {
				if sensor.Reading != nil {
					kind, unit := sensorKind(sensor)
					sensors = append(sensors, machine.Sensor{Name: sensor.Name, Kind: kind, Unit: unit, Reading: *sensor.Reading, Health: string(sensor.Status.Health)})
				}
			}
			if len(found) == 0 {
				older, err := thermalAndPower(x)
				if err != nil {
					return err
				}
				sensors = append(sensors, older...)
			}
		}
		return nil
	})
	return sensors, err
}

func sensorKind(s *schemas.Sensor) (kind, unit string) {
	unit = s.ReadingUnits
	switch s.ReadingType {
	case schemas.TemperatureReadingType:
		return "temperature", unit
	case schemas.VoltageReadingType:
		return "voltage", unit
	case schemas.PowerReadingType:
		return "power", unit
	case schemas.RotationalReadingType:
		if unit == "{rev}/min" { // UCUM's way to write it
			unit = "RPM"
		}
		return "fan", unit
	}
	return "other", unit
}

func thermalAndPower(x *schemas.Chassis) ([]machine.Sensor, error) {
	var sensors []machine.Sensor
	thermal, err := x.Thermal()
	if err != nil {
		return nil, err
	}
	if thermal != nil {
		for _, t := range thermal.Temperatures {
			if t.ReadingCelsius != nil {
				sensors = append(sensors, machine.Sensor{Name: t.Name, Kind: "temperature", Unit: "Cel", Reading: *t.ReadingCelsius, Health: string(t.Status.Health)})
			}
		}
		for _, f := range thermal.Fans {
			if f.Reading != nil {
				sensors = append(sensors, machine.Sensor{Name: f.Name, Kind: "fan", Unit: string(f.ReadingUnits), Reading: float64(*f.Reading), Health: string(f.Status.Health)})
			}
		}
	}
	power, err := x.Power()
	if err != nil {
		return nil, err
	}
	if power != nil {
		for _, v := range power.Voltages {
			if v.ReadingVolts != nil {
				sensors = append(sensors, machine.Sensor{Name: v.Name, Kind: "voltage", Unit: "V", Reading: float64(*v.ReadingVolts), Health: string(v.Status.Health)})
			}
		}
		for _, p := range power.PowerControl {
			if p.PowerConsumedWatts != nil {
				sensors = append(sensors, machine.Sensor{Name: p.Name, Kind: "power", Unit: "W", Reading: float64(*p.PowerConsumedWatts), Health: string(p.Status.Health)})
			}
		}
	}
	return sensors, nil
}

// EventLog reads the hardware event log.
func (d *Driver) EventLog(ctx context.Context) ([]machine.LogEntry, error) {
	var entries []machine.LogEntry
	err := d.withLog(ctx, "EventLog", func(l *schemas.LogService) error {
		entries = nil
		found, err := l.Entries()
		if err != nil {
			return err
		}
		for _, e := range found {
			when, err := time.Parse(time.RFC3339, e.Created)
			if err != nil {
				when = time.Time{} // a BMC without a clock; the entry counts all the same
			}
			entries = append(entries, machine.LogEntry{ID: e.ID, Time: when.UTC(), Severity: string(e.Severity), Message: e.Message})
		}
		return nil
	})
	return entries, err
}

// ClearEventLog empties the hardware event log.
func (d *Driver) ClearEventLog(ctx context.Context) error {
	return d.withLog(ctx, "ClearEventLog", func(l *schemas.LogService) error {
		if !l.SupportsClearLog() {
			return fault.New(fault.Unsupported, "The BMC does not let its event log be cleared.")
		}
		_, err := l.ClearLog("")
		return err
	})
}

// withLog runs f on the hardware's event log: the one of IPMI kind, else one named so (Dell's Sel, HPE's IML), of the
// system or of its managers.
func (d *Driver) withLog(ctx context.Context, op string, f func(l *schemas.LogService) error) error {
	return d.withSystem(ctx, op, func(_ context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		logs, err := s.LogServices()
		if err != nil {
			return err
		}
		managers, err := managersOf(c, s)
		if err != nil {
			return err
		}
		for _, m := range managers {
			more, err := m.LogServices()
			if err != nil {
				return err
			}
			logs = append(logs, more...)
		}
		for _, l := range logs {
			if l.LogEntryType == schemas.SELLogEntryTypes {
				return f(l)
			}
		}
		for _, name := range []string{"sel", "iml", "eventlog"} {
			for _, l := range logs {
				if strings.EqualFold(l.ID, name) {
					return f(l)
				}
			}
		}
		return fault.New(fault.Unsupported, "The BMC keeps no hardware event log.")
	})
}
