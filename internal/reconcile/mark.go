package reconcile

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Queue names what is kept equal to what.
type Queue string

// Networks is the queue of OVN's rows. A key is a scope: network/ID, subnet changes under their network, port/ID, router/ID,
// floatingip/ID, securitygroup/ID, addressgroup/ID, qos/ID, nic/ID, and quarantine.
const Networks Queue = "networks"

// topic is announced by transactions that mark.
func (q Queue) topic() string { return "reconcile/" + string(q) }

// Mark says that a key changed. It is carried out as soon as the transaction commits, by whichever process has the queue.
func Mark(ctx context.Context, tx *db.Tx, queue Queue, key string) error {
	tx.Announce(queue.topic())
	_, err := tx.ExecContext(ctx, `INSERT INTO reconcile_mark (queue, key, seq, attempts, error) VALUES ($1, $2, 1, 0, '')
		ON CONFLICT (queue, key) DO UPDATE SET seq = reconcile_mark.seq + 1, attempts = 0`, string(queue), key)
	return err
}

// Pending is how far a queue is behind.
type Pending struct {
	Marks   int // not carried out yet
	Failing []Failure
}

// Failure is a mark whose last attempt failed. It is tried again for ever.
type Failure struct {
	Key      string
	Attempts int
	Error    string // for operators
}

// worstFailures is how many of them PendingOf tells.
const worstFailures = 100

// PendingOf tells how far a queue is behind, with the failures that lasted longest first.
func PendingOf(ctx context.Context, q db.Querier, queue Queue) (p Pending, err error) {
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM reconcile_mark WHERE queue = $1`, string(queue)).Scan(&p.Marks); err != nil {
		return p, err
	}
	p.Failing, err = db.List(ctx, q, func(row db.Scanner) (f Failure, err error) {
		return f, row.Scan(&f.Key, &f.Attempts, &f.Error)
	}, `SELECT key, attempts, error FROM reconcile_mark WHERE queue = $1 AND attempts > 0 ORDER BY attempts DESC, key LIMIT $2`,
		string(queue), worstFailures)
	return p, err
}

// mark is a row of reconcile_mark.
type mark struct {
	key      string
	seq      int64
	attempts int
}

func (l *Loop) marks(ctx context.Context) ([]mark, error) {
	return db.List(ctx, l.o.DB, func(row db.Scanner) (m mark, err error) {
		return m, row.Scan(&m.key, &m.seq, &m.attempts)
	}, `SELECT key, seq, attempts FROM reconcile_mark WHERE queue = $1 ORDER BY key`, string(l.o.Queue))
}

// held is the condition that the lease is still the one with the holder and epoch of the last two arguments.
const held = `EXISTS (SELECT 1 FROM reconcile_lease WHERE queue = $1 AND holder = $4 AND epoch = $5)`

// remove takes marks away that were carried out, and gives how many: one that was set again meanwhile stays.
func (l *Loop) remove(ctx context.Context, epoch int64, marks []mark) (removed int, err error) {
	err = l.o.DB.Tx(ctx, func(tx *db.Tx) error {
		removed = 0
		for _, m := range marks {
			n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM reconcile_mark WHERE queue = $1 AND key = $2 AND seq = $3 AND `+held,
				string(l.o.Queue), m.key, m.seq, l.holder, epoch))
			if err != nil {
				return err
			}
			removed += int(n)
		}
		return nil
	})
	return removed, err
}

// fail records what an attempt ended with.
func (l *Loop) fail(ctx context.Context, epoch int64, m mark, cause error) error {
	_, err := l.o.DB.ExecContext(ctx, `UPDATE reconcile_mark SET attempts = attempts + 1, error = $6
		WHERE queue = $1 AND key = $2 AND seq = $3 AND `+held, string(l.o.Queue), m.key, m.seq, l.holder, epoch, cause.Error())
	return err
}

// markAll marks what a full look found. What is marked already stays as it is, with its pauses.
func (l *Loop) markAll(ctx context.Context, keys []string) error {
	return l.o.DB.Tx(ctx, func(tx *db.Tx) error {
		for _, key := range keys {
			if _, err := tx.ExecContext(ctx, `INSERT INTO reconcile_mark (queue, key, seq, attempts, error) VALUES ($1, $2, 1, 0, '')
				ON CONFLICT (queue, key) DO NOTHING`, string(l.o.Queue), key); err != nil {
				return err
			}
		}
		return nil
	})
}
