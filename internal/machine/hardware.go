package machine

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// HardwareEvent is an entry of a machine's hardware log that came while an instance had the machine.
type HardwareEvent struct {
	At       time.Time
	Severity string // OK, Warning, Critical
	Message  string
}

// forgetEntries is after how long an entry that the BMC's log has no more is forgotten.
const forgetEntries = 30 * 24 * time.Hour

// ReadHardware reads the hardware log of the machine that an instance has, and notes what is new in it. The first reading of
// each loan only tells what was there before: BMCs' clocks are not good enough to part one tenant's entries from another's.
// Unsupported where the BMC keeps no log, Unavailable where it does not answer; nothing is noted then.
func (s *Service) ReadHardware(ctx context.Context, machine, instance string) error {
	m, err := s.Get(ctx, s.db, machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	logger, ok := bmc.(EventLogger)
	if !ok {
		return fault.New(fault.Unsupported, "The machine's BMC keeps no hardware event log.")
	}
	entries, err := logger.EventLog(ctx)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error { return s.noteHardware(ctx, tx, m, instance, entries) })
}

// noteHardware notes a reading that was begun when the machine was as m says.
func (s *Service) noteHardware(ctx context.Context, tx *db.Tx, m *Machine, instance string, entries []LogEntry) error {
	now, err := s.Get(ctx, tx, m.ID)
	if err != nil || m.Instance != instance || now.Instance != instance || now.Epoch != m.Epoch {
		return err // it changed hands meanwhile
	}
	var before struct {
		instance string
		epoch    int64
		at       time.Time
	}
	err = tx.QueryRowContext(ctx, `SELECT instance, epoch, read_at FROM machine_event_reading WHERE machine = $1`, m.ID).Scan(&before.instance, &before.epoch, &before.at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	owner, read := "", s.clock.Now()
	if err == nil && before.instance == instance && before.epoch == m.Epoch {
		owner = instance
	}
	known, err := digests(ctx, tx, m.ID)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digest := e.digest()
		if known[digest] {
			continue
		}
		known[digest] = true
		at := e.Time
		if at.Before(before.at) || at.After(read) {
			at = read
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO machine_event (machine, digest, instance, at, severity, message, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			m.ID, digest, owner, at, e.Severity, e.Message, read); err != nil {
			return err
		}
	}
	if err := s.forgetHardware(ctx, tx, m.ID, entries, read); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO machine_event_reading (machine, instance, epoch, read_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (machine) DO UPDATE SET instance = $2, epoch = $3, read_at = $4`, m.ID, instance, m.Epoch, read)
	return err
}

func digests(ctx context.Context, tx *db.Tx, machine string) (map[string]bool, error) {
	list, err := db.List(ctx, tx, func(row db.Scanner) (d string, err error) { return d, row.Scan(&d) }, `SELECT digest FROM machine_event WHERE machine = $1`, machine)
	known := map[string]bool{}
	for _, digest := range list {
		known[digest] = true
	}
	return known, err
}

// forgetHardware drops what the log has not had for long. What it has is kept, whatever its age: it must not come as new. Once
// a day is often enough to say that an entry is still there.
func (s *Service) forgetHardware(ctx context.Context, tx *db.Tx, machine string, entries []LogEntry, now time.Time) error {
	stale, err := db.List(ctx, tx, func(row db.Scanner) (d string, err error) { return d, row.Scan(&d) },
		`SELECT digest FROM machine_event WHERE machine = $1 AND seen_at < $2`, machine, now.Add(-24*time.Hour))
	if err != nil || len(stale) == 0 {
		return err
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.digest()] = true
	}
	for _, digest := range stale {
		if !there[digest] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE machine_event SET seen_at = $3 WHERE machine = $1 AND digest = $2`, machine, digest, now); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM machine_event WHERE machine = $1 AND seen_at < $2`, machine, now.Add(-forgetEntries))
	return err
}

func (e LogEntry) digest() string {
	sum := sha256.Sum256([]byte(e.ID + "\x00" + e.Time.UTC().Format(time.RFC3339Nano) + "\x00" + e.Message))
	return hex.EncodeToString(sum[:16])
}

// HardwareEvents are what the hardware logs of an instance's machines said while it had them, oldest first, the last 200.
func (s *Service) HardwareEvents(ctx context.Context, instance string) ([]HardwareEvent, error) {
	return db.List(ctx, s.db, func(row db.Scanner) (e HardwareEvent, err error) { return e, row.Scan(&e.At, &e.Severity, &e.Message) },
		`SELECT at, severity, message FROM (SELECT at, severity, message, digest FROM machine_event WHERE instance = $1 ORDER BY at DESC, digest LIMIT 200) AS last ORDER BY at, digest`, instance)
}
