package reconcile

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
)

// Options of a Loop. Queue, DB, Clock, Log and Work are required.
type Options struct {
	Queue Queue
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger

	// Work reads what a key is about and mends what differs from it. It is never called for the same key twice at once,
	// and called again, after a growing pause, when it fails. A key that nothing is known of is mended by removing what
	// is there. Its context ends when the process loses the queue.
	Work func(ctx context.Context, key string) error
	// All looks at everything and gives the keys that are worth looking at: for what changed without a mark. It is called
	// when the process takes the queue, after Look, and every FullEvery. nil: never.
	All func(ctx context.Context) ([]string, error)
	// Beside runs while this process has the queue, and returns when its context ends; nil: nothing does.
	Beside func(ctx context.Context)
	// Order sorts keys that are due at once; nil: by the alphabet.
	Order func(a, b string) int

	Workers   int           // keys at once; 0: 8
	FullEvery time.Duration // between full looks; 0: 5 minutes
}

// Loop works a queue off. Any number of them, in any number of processes, may share a queue: one has it, and another takes
// over within seconds after that one died.
//
// One that was stopped (SIGSTOP, a hanging host) longer than its lease lasts may finish what it had begun beside the new
// holder. So Work must be harmless when it is late, and is: it mends by what it read, and the new holder's full look, and
// the marks that the late one can no longer remove, mend what it did.
type Loop struct {
	o      Options
	holder string
	poke   chan struct{} // holds one
	look   chan struct{} // holds one
}

// New makes a loop; Run starts it.
func New(o Options) *Loop {
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.FullEvery == 0 {
		o.FullEvery = 5 * time.Minute
	}
	l := &Loop{o: o, holder: rand.Text(), poke: make(chan struct{}, 1), look: make(chan struct{}, 1)}
	o.DB.Listen(o.Queue.topic(), l.Poke)
	return l
}

// Poke makes the process that has the queue look for marks at once; transactions that mark do it. It never blocks. Without
// it marks are found too, a little later.
func (l *Loop) Poke() { raise(l.poke) }

// Look makes the loop look at everything as soon as it can, if this process has the queue. It never blocks.
func (l *Loop) Look() { raise(l.look) }

// Pending is PendingOf this queue.
func (l *Loop) Pending(ctx context.Context) (Pending, error) {
	return PendingOf(ctx, l.o.DB, l.o.Queue)
}

func raise(flag chan struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. While another process has the queue it waits for its turn, and passes pokes on.
func (l *Loop) Run(ctx context.Context) {
	for ctx.Err() == nil {
		epoch, err := l.take(ctx)
		if err != nil && ctx.Err() == nil {
			l.o.Log.Error("the queue cannot be taken", "queue", l.o.Queue, "error", err)
		}
		if epoch != 0 && err == nil {
			l.o.Log.Info("this process has the queue", "queue", l.o.Queue, "epoch", epoch)
			l.hold(ctx, epoch)
			continue
		}
		l.wait(ctx, time.After(takeEvery))
	}
}

// wait passes pokes on until the time is up.
func (l *Loop) wait(ctx context.Context, up <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-up:
			return
		case <-l.poke:
			if err := l.notify(ctx); err != nil && ctx.Err() == nil {
				l.o.Log.Warn("the process that has the queue was not told; it finds the marks itself", "queue", l.o.Queue, "error", err)
			}
		}
	}
}
