package ipmi

import (
	"context"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/storage"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/ingotcloud/ingot/internal/machine"
)

const (
	firstEntry = 0x0000
	noEntry    = 0xffff
)

// EventLog reads the System Event Log, oldest first (IPMI 2.0 chapters 31 and 32).
func (d *driver) EventLog(ctx context.Context) ([]machine.LogEntry, error) {
	var entries []machine.LogEntry
	err := d.call(ctx, "EventLog", func(ctx context.Context, c *client.Client) error {
		entries = nil
		info, err := c.GetSELInfo(ctx)
		if err != nil || info.Entries == 0 {
			return err
		}
		// Bounded, for BMCs whose last record points back into the list.
		for id, n := uint16(firstEntry), 0; id != noEntry && n < int(info.Entries); n++ {
			var answer storage.GetSELEntryResponse
			if err := c.Exchange(ctx, &storage.GetSELEntryRequest{RecordID: id, ReadBytes: 0xff}, &answer); err != nil {
				return err
			}
			record, err := types.ParseSEL(answer.Data)
			if err != nil {
				return fmt.Errorf("record %#04x of the event log: %w", id, err)
			}
			entries = append(entries, logEntry(record, answer.Data))
			id = answer.NextRecordID
		}
		return nil
	})
	return entries, err
}

func logEntry(r *types.SEL, raw []byte) machine.LogEntry {
	e := machine.LogEntry{ID: fmt.Sprintf("%d", r.RecordID), Severity: "OK"}
	switch {
	case r.Standard != nil:
		s := r.Standard
		e.Time = s.Timestamp
		e.Severity = severity(s.EventSeverity())
		what := s.EventString()
		if what == "" {
			what = fmt.Sprintf("event type %#02x, data %s", uint8(s.EventReadingType), s.EventData.String())
		}
		e.Message = fmt.Sprintf("%s %#02x: %s", s.SensorType, uint8(s.SensorNumber), what)
		if s.EventDir == types.EventDirDeassertion {
			e.Message += " (no longer)"
		}
	case r.OEMTimestamped != nil:
		e.Time = r.OEMTimestamped.Timestamp
		e.Message = fmt.Sprintf("The manufacturer's own event % x", raw[3:])
	default:
		e.Message = fmt.Sprintf("The manufacturer's own event % x", raw[3:])
	}
	return e
}

func severity(s types.EventSeverity) string {
	switch s {
	case types.EventSeverityCritical:
		return "Critical"
	case types.EventSeverityWarning, types.EventSeverityDegraded, types.EventSeverityNonFatal:
		return "Warning"
	default:
		return "OK"
	}
}

// erasePoll is how often a BMC that is busy erasing its log is asked whether it is done.
const erasePoll = 100 * time.Millisecond

// ClearEventLog erases the log (31.9) and returns when that is done.
func (d *driver) ClearEventLog(ctx context.Context) error {
	return d.call(ctx, "ClearEventLog", func(ctx context.Context, c *client.Client) error {
		reservation, err := c.ReserveSEL(ctx)
		if err != nil {
			return err
		}
		request := &storage.ClearSELRequest{ReservationID: reservation.ReservationID}
		for {
			var answer storage.ClearSELResponse
			if err := c.Exchange(ctx, request, &answer); err != nil {
				return err
			}
			const done = 0x01
			if answer.ErasureProgressStatus&0x0f == done {
				return nil
			}
			request.GetErasureStatusFlag = true
			if err := pause(ctx, erasePoll); err != nil {
				return err
			}
		}
	})
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
