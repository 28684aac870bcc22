package vbmc

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// eventLog is a System Event Log (IPMI 2.0 chapter 31), which the library lacks. It keeps the last selCapacity records.
//
// A SEL has no room for sentences: what happened is one of the specification's events (table 42-3). The log records
// what the BMC sees by itself (the power going on and off) and the orders it was given.
type eventLog struct {
	now func() time.Time

	mu          sync.Mutex
	records     []*types.SEL
	lastID      uint16
	reservation uint16
	overflow    bool
	added       time.Time
	erased      time.Time
}

const (
	selCapacity   = 512
	selRecordSize = 16
	selFirst      = 0x0000 // as an asked-for id: the first record
	selLast       = 0xffff // the last record; as the id of the next one: there is none
)

func newEventLog(now func() time.Time) *eventLog { return &eventLog{now: now} }

// event is a sensor-specific event of table 42-3.
type event struct {
	sensor types.SensorType
	offset uint8
}

// The events that the virtual BMC knows.
var (
	eventPowerOff     = event{types.SensorTypePowerUnit, 0x00}
	eventPowerLost    = event{types.SensorTypePowerUnit, 0x04}
	eventPowerUp      = event{types.SensorTypeSystemBootRestartInitiated, 0x00}
	eventHardReset    = event{types.SensorTypeSystemBootRestartInitiated, 0x01}
	eventNMI          = event{types.SensorTypeCriticalInterrupt, 0x00}
	eventUndetermined = event{types.SensorTypeSystemEvent, 0x02} // "undetermined system hardware failure"
)

// watch records what the machine's events mean to a BMC.
func (l *eventLog) watch(m Machine) func(Event) {
	var mu sync.Mutex
	was := m.Power()
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		on := m.Power()
		switch {
		case on && !was:
			l.record(eventPowerUp)
		case !on && was && e.Severity == "Critical":
			l.record(eventPowerLost)
		case !on && was:
			l.record(eventPowerOff)
		case e.Severity == "Critical":
			l.record(eventUndetermined)
		}
		was = on
	}
}

// ordered records an order that leaves no trace in the machine's power.
func (l *eventLog) ordered(a Action) {
	switch a {
	case ForceRestart:
		l.record(eventHardReset)
	case NMI:
		l.record(eventNMI)
	}
}

func (l *eventLog) record(e event) {
	l.add(&types.SEL{RecordType: 0x02, Standard: &types.SELStandard{
		GeneratorID:      0x20, // the BMC
		EvMRev:           0x04,
		SensorType:       e.sensor,
		EventReadingType: types.EventReadingTypeSensorSpecific,
		EventData:        types.EventData{EventData1: e.offset, EventData2: 0xff, EventData3: 0xff},
	}})
}

// add gives the record its id and time.
func (l *eventLog) add(r *types.SEL) uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lastID++; l.lastID == selLast {
		l.lastID = 1
	}
	l.added = l.now()
	r.RecordID = l.lastID
	if r.Standard != nil {
		r.Standard.Timestamp = l.added
	}
	if r.OEMTimestamped != nil {
		r.OEMTimestamped.Timestamp = l.added
	}
	l.records = append(l.records, r)
	if len(l.records) > selCapacity {
		l.records, l.overflow = l.records[1:], true
	}
	return r.RecordID
}

// info is Get SEL Info (31.2).
func (l *eventLog) info([]byte) ([]byte, types.CompletionCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const version, canReserve, overflowed = 0x51, 0x02, 0x80
	operations := uint8(canReserve)
	if l.overflow {
		operations |= overflowed
	}
	out := []byte{version}
	out = binary.LittleEndian.AppendUint16(out, uint16(len(l.records)))
	out = binary.LittleEndian.AppendUint16(out, uint16((selCapacity-len(l.records))*selRecordSize))
	out = binary.LittleEndian.AppendUint32(out, selTime(l.added))
	out = binary.LittleEndian.AppendUint32(out, selTime(l.erased))
	return append(out, operations), types.CodeOK
}

// reserve is Reserve SEL (31.4): a clear must name the latest reservation, so that nobody clears what another reads.
func (l *eventLog) reserve([]byte) ([]byte, types.CompletionCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reservation++; l.reservation == 0 {
		l.reservation = 1
	}
	return binary.LittleEndian.AppendUint16(nil, l.reservation), types.CodeOK
}

// entry is Get SEL Entry (31.5).
func (l *eventLog) entry(req []byte) ([]byte, types.CompletionCode) {
	if len(req) != 6 {
		return nil, types.CodeRequestDataLengthInvalid
	}
	id, offset, count := binary.LittleEndian.Uint16(req[2:]), int(req[4]), int(req[5])
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, r := range l.records {
		if !(r.RecordID == id || id == selFirst && n == 0 || id == selLast && n == len(l.records)-1) {
			continue
		}
		next := uint16(selLast)
		if n+1 < len(l.records) {
			next = l.records[n+1].RecordID
		}
		data := r.Pack()
		if offset >= len(data) {
			return nil, types.CodeParameterOutOfRange
		}
		data = data[offset:min(len(data), offset+count)]
		return append(binary.LittleEndian.AppendUint16(nil, next), data...), types.CodeOK
	}
	return nil, types.CodeRequestedDataNotPresent
}

// addEntry is Add SEL Entry (31.6): the operating system's way to write here.
func (l *eventLog) addEntry(req []byte) ([]byte, types.CompletionCode) {
	record, err := types.ParseSEL(req)
	if err != nil {
		return nil, types.CodeRequestDataLengthInvalid
	}
	return binary.LittleEndian.AppendUint16(nil, l.add(record)), types.CodeOK
}

// clear is Clear SEL (31.9).
func (l *eventLog) clear(req []byte) ([]byte, types.CompletionCode) {
	if len(req) != 6 || string(req[2:5]) != "CLR" {
		return nil, types.CodeRequestDataFieldInvalid
	}
	const initiate, status, completed = 0xaa, 0x00, 0x01
	l.mu.Lock()
	defer l.mu.Unlock()
	if binary.LittleEndian.Uint16(req) != l.reservation {
		return nil, types.CodeReservationCanceled
	}
	switch req[5] {
	case status:
	case initiate:
		l.records, l.overflow, l.erased = nil, false, l.now()
	default:
		return nil, types.CodeRequestDataFieldInvalid
	}
	return []byte{completed}, types.CodeOK
}

// time is Get SEL Time (31.10).
func (l *eventLog) time([]byte) ([]byte, types.CompletionCode) {
	return binary.LittleEndian.AppendUint32(nil, selTime(l.now())), types.CodeOK
}

// selTime is in seconds since 1970; the specification's word for "never" is all ones (37.1).
func selTime(t time.Time) uint32 {
	if t.IsZero() {
		return 0xffffffff
	}
	return uint32(t.Unix())
}
