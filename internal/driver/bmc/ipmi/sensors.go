package ipmi

import (
	"context"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/machine"
)

// Sensors reads the analog sensors that the BMC itself owns and that have a reading now (IPMI 2.0 chapters 33 and 35).
func (d *driver) Sensors(ctx context.Context) ([]machine.Sensor, error) {
	var sensors []machine.Sensor
	err := d.call(ctx, "Sensors", func(ctx context.Context, c *client.Client) error {
		sensors = nil
		repository, err := c.GetSDRRepoInfo(ctx)
		if err != nil || repository.RecordCount == 0 {
			return err
		}
		records, err := c.GetSDRsRaw(ctx, types.SDRRecordTypeFullSensor)
		if err != nil {
			return err
		}
		for _, r := range records {
			if !r.HasAnalogReading() || r.Full.GeneratorID.OwnerID() != types.BMC_SA {
				continue
			}
			s, err := readSensor(ctx, c, r.Full)
			if unanswered(err) {
				return err
			}
			if err == nil && s != nil { // one sensor that is refused does not hide the others
				sensors = append(sensors, *s)
			}
		}
		return nil
	})
	return sensors, err
}

// readSensor gives nil for a sensor without a reading: its part is missing or has no power.
func readSensor(ctx context.Context, c *client.Client, full *types.SDRFull) (*machine.Sensor, error) {
	ctx = client.WithCommandContext(ctx, (&client.CommandContext{}).WithResponderLUN(full.GeneratorID.LUN()))
	number := uint8(full.SensorNumber)
	reading, err := c.GetSensorReading(ctx, number)
	if err != nil {
		return nil, err
	}
	if reading.ReadingUnavailable || reading.SensorScanningDisabled {
		return nil, nil
	}
	if full.LinearizationFunc.IsNonLinear() {
		factors, err := c.GetSensorReadingFactors(ctx, number, reading.Reading)
		if err != nil {
			return nil, err
		}
		full.ReadingFactors = factors.ReadingFactors
	}
	kind, unit := kindAndUnit(full.SensorUnit)
	return &machine.Sensor{
		Name: text(full.IDStringBytes), Kind: kind, Unit: unit,
		Reading: full.ConvertReading(reading.Reading),
		Health:  health(reading.ThresholdStatus()),
	}, nil
}

// kindAndUnit gives the unit as Redfish writes it (UCUM, and RPM).
func kindAndUnit(u types.SensorUnit) (kind, unit string) {
	switch {
	case u.Percentage:
		return "other", "%"
	case u.BaseUnit == types.SensorUnitType_DegreesC:
		return "temperature", "Cel"
	case u.BaseUnit == types.SensorUnitType_DegreesF:
		return "temperature", "[degF]"
	case u.BaseUnit == types.SensorUnitType_Volts:
		return "voltage", "V"
	case u.BaseUnit == types.SensorUnitType_Amps:
		return "other", "A"
	case u.BaseUnit == types.SensorUnitType_Watts:
		return "power", "W"
	case u.BaseUnit == types.SensorUnitType_RPM:
		return "fan", "RPM"
	default:
		return "other", u.BaseUnit.String()
	}
}

func health(status types.SensorThresholdStatus) string {
	switch status {
	case types.SensorThresholdStatus_OK:
		return "OK"
	case types.SensorThresholdStatus_LNC, types.SensorThresholdStatus_UNC:
		return "Warning"
	default:
		return "Critical"
	}
}
