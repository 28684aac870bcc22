package vbmc

import (
	"context"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/types"
)

// noReading is a sensor's value while the machine is off and the part has no power.
const noReading = -1

// ipmiSensor is an analog sensor: value = raw × factor × 10^exponent. Thresholds are raw; 0 means there is none.
type ipmiSensor struct {
	name                  string
	kind                  types.SensorType
	unit                  types.SensorUnitType
	entity                types.EntityID
	factor                int16
	exponent              int8
	on, off               int // raw readings
	lowWarn, lowCrit      uint8
	highWarn, highCrit    uint8
	lowNonRec, highNonRec uint8
}

// ipmiSensors are what a modest server shows. Sensor number n is the one at n-1.
var ipmiSensors = []ipmiSensor{
	{name: "Inlet Temp", kind: types.SensorTypeTemperature, unit: types.SensorUnitType_DegreesC, entity: 0x37,
		factor: 1, on: 24, off: 22, highWarn: 40, highCrit: 45, highNonRec: 50},
	{name: "CPU Temp", kind: types.SensorTypeTemperature, unit: types.SensorUnitType_DegreesC, entity: 0x03,
		factor: 1, on: 47, off: noReading, highWarn: 85, highCrit: 95, highNonRec: 105},
	{name: "P12V", kind: types.SensorTypeVoltage, unit: types.SensorUnitType_Volts, entity: 0x07,
		factor: 6, exponent: -2, on: 201, off: noReading,
		lowNonRec: 175, lowCrit: 183, lowWarn: 190, highWarn: 210, highCrit: 217, highNonRec: 225},
	{name: "Fan 1", kind: types.SensorTypeFan, unit: types.SensorUnitType_RPM, entity: 0x1d,
		factor: 50, on: 84, off: noReading, lowNonRec: 6, lowCrit: 10, lowWarn: 16},
	{name: "PSU Power", kind: types.SensorTypePowerSupply, unit: types.SensorUnitType_Watts, entity: 0x0a,
		factor: 2, on: 61, off: 4, highWarn: 200, highCrit: 225},
}

// raw thresholds in the order of Get Sensor Thresholds (IPMI 2.0 35.9): bit and byte n belong together.
func (s ipmiSensor) thresholds() [6]uint8 {
	return [6]uint8{s.lowWarn, s.lowCrit, s.lowNonRec, s.highWarn, s.highCrit, s.highNonRec}
}

// readable is the mask of the thresholds that the sensor has.
func (s ipmiSensor) readable() (mask uint8) {
	for n, t := range s.thresholds() {
		if t != 0 {
			mask |= 1 << n
		}
	}
	return mask
}

// crossed is the mask of the thresholds that the reading is at or beyond.
func (s ipmiSensor) crossed(raw uint8) (mask uint8) {
	for n, t := range s.thresholds() {
		if low := n < 3; t != 0 && (low && raw <= t || !low && raw >= t) {
			mask |= 1 << n
		}
	}
	return mask
}

// sensorReading is Get Sensor Reading (35.14).
func (i *IPMI) sensorReading(req []byte) ([]byte, types.CompletionCode) {
	s, code := sensorOf(req)
	if code != types.CodeOK {
		return nil, code
	}
	value := s.off
	if i.machine.Power() {
		value = s.on
	}
	const scanning, unavailable, reserved = 0x40, 0x20, 0xc0
	if value == noReading {
		return []byte{0, scanning | unavailable, reserved}, types.CodeOK
	}
	return []byte{uint8(value), scanning, reserved | s.crossed(uint8(value))}, types.CodeOK
}

// sensorThresholds is Get Sensor Thresholds (35.9).
func sensorThresholds(req []byte) ([]byte, types.CompletionCode) {
	s, code := sensorOf(req)
	if code != types.CodeOK {
		return nil, code
	}
	t := s.thresholds()
	return append([]byte{s.readable()}, t[:]...), types.CodeOK
}

func sensorOf(req []byte) (ipmiSensor, types.CompletionCode) {
	if len(req) < 1 {
		return ipmiSensor{}, types.CodeRequestDataLengthInvalid
	}
	n := int(req[0])
	if n < 1 || n > len(ipmiSensors) {
		return ipmiSensor{}, types.CodeRequestedDataNotPresent
	}
	return ipmiSensors[n-1], types.CodeOK
}

// record is the sensor's full SDR (43.1).
func (s ipmiSensor) record(number uint8) []byte {
	threshold := func(raw uint8) types.Mask_Threshold {
		return types.Mask_Threshold{Readable: raw != 0, StatusReturned: raw != 0}
	}
	full := &types.SDRFull{
		GeneratorID:            0x20, // the BMC
		SensorNumber:           types.SensorNumber(number),
		SensorEntityID:         s.entity,
		SensorEntityInstance:   1,
		SensorInitialization:   types.SensorInitialization{InitScanning: true, SensorScanningEnabled: true},
		SensorCapabilities:     types.SensorCapabilities{AutoRearm: true, ThresholdAccess: types.SensorThresholdAccess_Readable},
		SensorType:             s.kind,
		SensorEventReadingType: types.EventReadingTypeThreshold,
		Mask: types.Mask{Threshold: types.Mask_Thresholds{
			LNC: threshold(s.lowWarn), LCR: threshold(s.lowCrit), LNR: threshold(s.lowNonRec),
			UNC: threshold(s.highWarn), UCR: threshold(s.highCrit), UNR: threshold(s.highNonRec),
		}},
		SensorUnit:              types.SensorUnit{BaseUnit: s.unit},
		ReadingFactors:          types.ReadingFactors{M: s.factor, R_Exp: s.exponent},
		NominalReadingSpecified: true,
		NominalReadingRaw:       uint8(s.on),
		SensorMaxReadingRaw:     0xff,
		LNC_Raw:                 s.lowWarn, LCR_Raw: s.lowCrit, LNR_Raw: s.lowNonRec,
		UNC_Raw: s.highWarn, UCR_Raw: s.highCrit, UNR_Raw: s.highNonRec,
		IDStringTypeLength: types.TypeLength(0xc0 | len(s.name)),
		IDStringBytes:      []byte(s.name),
	}
	return full.Pack(uint16(number))
}

// inventory is what does not change: the sensors' records and the FRU data. The library calls its store in memory a
// mock; it is the very thing for a BMC without hardware.
func inventory(info Info) (hal.StorageHAL, error) {
	ctx := context.Background()
	store := &mock.Storage{}
	for n, s := range ipmiSensors {
		if err := store.SDR().Write(ctx, uint16(n+1), s.record(uint8(n+1))); err != nil {
			return nil, fmt.Errorf("storing the record of sensor %s: %w", s.name, err)
		}
	}
	fru, err := types.PackFRU(types.FRUPackConfig{
		Board: &types.FRUPackBoard{Mfg: info.Vendor, Product: info.Model, Serial: info.Serial},
		Product: &types.FRUPackProduct{
			Manufacturer: info.Vendor, Name: info.Model, Version: info.BIOSVersion, Serial: info.Serial,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("packing the FRU data: %w", err)
	}
	return store, store.FRU().Write(ctx, 0, fru)
}
