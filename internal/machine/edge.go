package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Edge of the NIC. Its link was checked when it was written.
func (n *NIC) Edge() edge.Edge {
	at, _ := edge.Of(n.Link)
	return at
}

// Moved has the quarantine ports of a machine's NICs looked at: they are about to leave quarantine, or are back. No machine
// (an empty id) has none.
func (s *Service) Moved(ctx context.Context, tx *db.Tx, machine string) error {
	if machine == "" {
		return nil
	}
	nics, err := s.NICs(ctx, tx, machine)
	for _, n := range nics {
		if err == nil {
			err = n.moved(ctx, tx)
		}
	}
	return err
}

func (n *NIC) moved(ctx context.Context, tx *db.Tx) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "nic/"+n.ID)
}
