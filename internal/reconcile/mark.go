package reconcile

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Queue names what is kept equal to what.
type Queue string

// Networks is the queue of OVN's rows. A key is a scope: network/ID, subnet changes under their network, port/ID, router/ID,
// floatingip/ID, securitygroup/ID, addressgroup/ID, qos/ID, nic/ID.
const Networks Queue = "networks"

// Mark says that a key changed. It is carried out after the transaction commits, by whichever process has the queue.
func Mark(ctx context.Context, tx *db.Tx, queue Queue, key string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO reconcile_mark (queue, key, seq, attempts, error) VALUES ($1, $2, 1, 0, '')
		ON CONFLICT (queue, key) DO UPDATE SET seq = reconcile_mark.seq + 1, attempts = 0`, string(queue), key)
	return err
}
