package reconcile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	pollEvery  = 300 * time.Millisecond // for marks that nobody poked for
	firstPause = 50 * time.Millisecond  // after a failure; doubled each time
	lastPause  = 30 * time.Second
)

// tenure is the time in which this process has the queue.
type tenure struct {
	*Loop
	epoch   int64
	running sync.WaitGroup
	done    chan result
	looked  chan error      // a full look ended
	looking bool            // one is under way
	relook  bool            // and another is asked for
	news    bool            // marks may be there that are not in todo
	todo    []mark          // due, in order
	busy    map[string]bool // keys being worked on
	rest    map[string]rest // keys that failed
}

// rest is until when a mark that failed waits, unless it is set again.
type rest struct {
	seq   int64
	until time.Time
}

type result struct {
	mark
	err error // of Work
}

// hold works until ctx ends or the lease is lost, and returns when nothing is being worked on any more.
func (l *Loop) hold(ctx context.Context, epoch int64) {
	ctx, lose := context.WithCancel(ctx)
	t := &tenure{Loop: l, epoch: epoch, done: make(chan result, l.o.Workers), looked: make(chan error, 1),
		news: true, busy: map[string]bool{}, rest: map[string]rest{}}
	defer l.release(epoch)
	defer t.running.Wait()
	defer lose()
	t.running.Go(func() { defer lose(); l.keep(ctx, epoch) })
	t.running.Go(func() { l.listen(ctx) })
	if l.o.Beside != nil {
		t.running.Go(func() { l.o.Beside(ctx) })
	}
	poll, full := time.NewTicker(pollEvery), time.NewTicker(l.o.FullEvery)
	defer poll.Stop()
	defer full.Stop()
	again := time.NewTimer(0) // the first full look
	defer again.Stop()
	failed := 0
	for ctx.Err() == nil {
		if t.news && len(t.todo) == 0 {
			t.news = false
			t.find(ctx)
		}
		t.start(ctx)
		select {
		case <-ctx.Done():
		case <-l.poke:
			t.news = true
		case <-poll.C:
			t.news = true
		case r := <-t.done:
			t.end(ctx, t.withOthers(r))
		case err := <-t.looked:
			t.looking, failed = false, failed+1
			if err == nil {
				failed = 0
			} else if ctx.Err() == nil {
				l.o.Log.Warn("the full look failed and is tried again", "queue", l.o.Queue, "error", err)
				again.Reset(pause(failed))
			}
			if t.relook {
				t.relook = false
				t.lookAtAll(ctx)
			}
		case <-again.C:
			t.lookAtAll(ctx)
		case <-full.C:
			t.lookAtAll(ctx)
		case <-l.look:
			clear(t.rest) // what failed may succeed now
			t.lookAtAll(ctx)
		}
	}
}

// find reads which marks are due.
func (t *tenure) find(ctx context.Context) {
	marks, err := t.marks(ctx)
	if err != nil {
		if ctx.Err() == nil {
			t.o.Log.Error("the queue cannot be read", "queue", t.o.Queue, "error", err)
		}
		return
	}
	for _, m := range marks {
		if r, failed := t.rest[m.key]; t.busy[m.key] || failed && r.seq == m.seq && time.Now().Before(r.until) {
			continue
		}
		t.todo = append(t.todo, m)
	}
	if t.o.Order != nil {
		slices.SortStableFunc(t.todo, func(a, b mark) int { return t.o.Order(a.key, b.key) })
	}
}

// start gives work to idle workers.
func (t *tenure) start(ctx context.Context) {
	for len(t.todo) > 0 && len(t.busy) < t.o.Workers {
		m := t.todo[0]
		t.todo = t.todo[1:]
		if t.busy[m.key] {
			t.news = true // it is found again
			continue
		}
		t.busy[m.key] = true
		t.running.Go(func() { t.done <- t.work(ctx, m) })
	}
}

// work carries out a mark, and records why it could not.
func (t *tenure) work(ctx context.Context, m mark) result {
	r := result{m, guarded(func() error { return t.o.Work(ctx, m.key) })}
	if r.err == nil || ctx.Err() != nil {
		return r
	}
	t.o.Log.Warn("not mended yet; it is tried again", "queue", t.o.Queue, "key", m.key, "attempt", m.attempts+1, "error", r.err)
	if err := t.fail(ctx, t.epoch, m, r.err); err != nil && ctx.Err() == nil {
		t.o.Log.Error("the queue cannot be written", "queue", t.o.Queue, "key", m.key, "error", err)
	}
	return r
}

// withOthers are a result and those that are there too by now.
func (t *tenure) withOthers(first result) []result {
	all := []result{first}
	for {
		select {
		case r := <-t.done:
			all = append(all, r)
		default:
			return all
		}
	}
}

// end removes the marks that were carried out, all in one transaction: a disk is waited for once. Where ctx has ended the next
// holder carries them out again.
func (t *tenure) end(ctx context.Context, results []result) {
	var done []mark
	for _, r := range results {
		delete(t.busy, r.key)
		delete(t.rest, r.key)
		if r.err == nil {
			done = append(done, r.mark)
		} else {
			t.pauseAfter(ctx, r)
		}
	}
	if len(done) == 0 || ctx.Err() != nil {
		return
	}
	removed, err := t.remove(ctx, t.epoch, done)
	if err != nil && ctx.Err() == nil {
		t.o.Log.Error("the queue cannot be written", "queue", t.o.Queue, "count", len(done), "error", err)
	}
	t.news = t.news || removed < len(done) // they were set again meanwhile
}

func (t *tenure) pauseAfter(ctx context.Context, r result) {
	wait := pause(r.attempts + 1)
	t.rest[r.key] = rest{r.seq, time.Now().Add(wait)}
	if wait < pollEvery {
		t.running.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
				t.Poke()
			}
		})
	}
}

// lookAtAll looks at everything beside the work and marks what it finds.
func (t *tenure) lookAtAll(ctx context.Context) {
	if t.o.All == nil {
		return
	}
	if t.looking {
		t.relook = true // what it is asked for may be newer than what it sees
		return
	}
	t.looking = true
	t.running.Go(func() {
		var keys []string
		err := guarded(func() (err error) { keys, err = t.o.All(ctx); return err })
		if err == nil && len(keys) > 0 {
			t.o.Log.Info("the full look found differences", "queue", t.o.Queue, "count", len(keys), "first", strings.Join(keys[:min(3, len(keys))], " "))
			err = t.markAll(ctx, keys)
		}
		t.looked <- err
		t.Poke()
	})
}

// pause before the attempt after that many failures. It differs, so that what failed together is not tried together.
func pause(failures int) time.Duration {
	p := min(firstPause<<min(failures-1, 20), lastPause)
	return p/2 + rand.N(p/2)
}

// guarded turns a panic into an error: one broken key shall not stop the others.
func guarded(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	return f()
}
