package instance

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// CrashDump is the action's name, as Nova has it.
const CrashDump = "trigger_crash_dump"

// Interrupt sends an instance's machine a diagnostic interrupt, which makes a system that is set up for it write a crash
// dump. It is done when the BMC has taken the order, and never given twice: so it is a call and no flow.
func (s *Service) Interrupt(ctx context.Context, v Viewer, id string, by By) error {
	var machine string
	// The action is on record before the order is given: a crash between the two leaves one without an end, which is true.
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.resting(ctx, tx, v, id, CrashDump, Active, Errored)
		if err != nil {
			return err
		}
		if machine = i.Machine; machine == "" {
			return fault.New(fault.Conflict, "Cannot '%s' instance %s while no machine carries it", CrashDump, i.ID)
		}
		return s.recordEvent(ctx, tx, i, by, CrashDump, Event{Name: "inject-nmi", Words: "Send the machine a diagnostic interrupt"})
	})
	if err != nil {
		return err
	}
	failed := s.machines.Interrupt(ctx, machine)
	words := ""
	if failed != nil {
		words = ": " + fault.Message(failed)
	}
	// Also when the client has left: the order was given.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, `UPDATE instance_action SET failed = $3, words = words || $4, ended_at = $5 WHERE instance = $1 AND request = $2`,
		id, by.Request, failed != nil, words, s.clock.Now()); err != nil && failed == nil {
		return err
	}
	return failed
}
