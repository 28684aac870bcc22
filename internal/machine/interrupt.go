package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Interrupt sends a machine a diagnostic interrupt (NMI), which makes a system that is set up for it write a crash dump.
// It is sent once: when the answer was lost, Unavailable says so and nobody knows whether it arrived. Conflict when the
// machine is off; Unsupported where the BMC has no such order.
func (s *Service) Interrupt(ctx context.Context, machine string) error {
	m, err := s.Get(ctx, s.db, machine)
	if err != nil {
		return err
	}
	bmc, err := s.Dial(ctx, m)
	if err != nil {
		return err
	}
	defer bmc.Close() //nolint:errcheck // by contract it never fails a caller
	switch err := bmc.SetPower(ctx, ActionNMI); fault.KindOf(err) {
	case fault.Unauthorized, fault.Forbidden, fault.NotFound, fault.Invalid: // between us and the BMC; no fault of who asks
		return fault.Wrap(err, fault.Unavailable, "The machine's BMC refused: %s", fault.Message(err))
	default:
		return err
	}
}
