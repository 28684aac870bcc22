package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
)

// How patiently a machine's line is opened.
const (
	openPatience = 90 * time.Second // for one attempt, the BMC driver's own repetitions included
	firstPause   = time.Second      // doubled up to
	longestPause = 15 * time.Second
	conflictWait = 5 * time.Second // somebody else has the line
	hopelessWait = time.Minute     // the BMC has no such thing; an operator may change that
)

// line is the serial line of one instance's machine, held by this process.
type line struct {
	s                 *Service
	instance, machine string
	log               *slog.Logger
	cancel            context.CancelFunc
	ended             chan struct{}

	troubles troubles
	hardware hardware

	disk sync.Mutex // held while rec writes; taken before mu
	rec  *recording

	mu       sync.Mutex
	recent   ring
	changed  chan struct{} // closed and made anew when something came that viewers want to see
	viewers  map[*Viewer]struct{}
	keyboard *Viewer
	typedAt  time.Time          // by whoever has the keyboard
	conn     io.ReadWriteCloser // nil while the machine is out of reach
	away     string             // why; empty while it is not
	lostAt   time.Time
	badDisk  bool // told once, until it works again
	over     bool // no more output is taken
}

func newLine(s *Service, instance, machine string) (*line, error) {
	dir := s.dir(instance)
	rec, err := openRecording(dir, s.config.Keep)
	if err != nil {
		return nil, err
	}
	l := &line{
		s: s, instance: instance, machine: machine, log: s.log.With("instance", instance, "machine", machine), ended: make(chan struct{}),
		rec: rec, changed: make(chan struct{}), viewers: map[*Viewer]struct{}{}, away: "it is being opened",
	}
	l.recent = newRing(ringIdle)
	for record, err := range readRecording(dir) {
		if err != nil {
			return nil, err
		}
		if record.Kind == output {
			l.recent.write(record.Data)
		}
	}
	return l, nil
}

// run keeps the line open until ctx ends. inherited: the process that had it died and cannot let go of it.
func (l *line) run(ctx context.Context, inherited bool) {
	defer close(l.ended)
	defer l.end()
	pause, since := firstPause, time.Time{}
	for ctx.Err() == nil {
		take := inherited || !since.IsZero() && time.Since(since) > l.s.config.TakeAfter
		conn, err := l.open(ctx, take)
		if err == nil {
			began := time.Now()
			err = l.record(ctx, conn)
			inherited, since = false, time.Time{}
			if time.Since(began) > longestPause {
				pause = firstPause
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.lost(err)
		wait := pause + time.Duration(rand.Float64()*float64(pause)/4)
		switch pause = min(2*pause, longestPause); {
		case fault.Is(err, fault.Conflict):
			if since.IsZero() {
				since = time.Now()
			}
			wait = conflictWait
		case fault.Is(err, fault.Unsupported):
			wait = hopelessWait
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (l *line) open(ctx context.Context, take bool) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	return l.s.wires.OpenSerial(ctx, l.machine, take)
}

// record reads the connection until it breaks. What comes at first may be a replay: see fresh.
func (l *line) record(ctx context.Context, conn io.ReadWriteCloser) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // wakes the Read below
	defer func() {
		if stop() {
			_ = conn.Close() // the far side is lost anyway
		}
	}()
	greeting := greeting{line: l, conn: conn}
	timer := time.AfterFunc(l.s.config.Settle, greeting.settle)
	defer func() {
		timer.Stop()
		greeting.settle() // a connection that broke early may have brought something
	}()
	buffer := make([]byte, 8<<10)
	for {
		n, err := conn.Read(buffer)
		if n > 0 && !greeting.hold(buffer[:n]) {
			l.print(buffer[:n])
		}
		if err != nil {
			return err
		}
	}
}

// greeting holds back what a connection brings at first.
type greeting struct {
	line *line
	conn io.ReadWriteCloser
	mu   sync.Mutex
	held []byte
	done bool
}

// maxGreeting is more than any BMC replays, in bytes: whatever is beyond it is live.
const maxGreeting = 1 << 20

func (g *greeting) hold(p []byte) bool {
	g.mu.Lock()
	if g.done {
		g.mu.Unlock()
		return false
	}
	g.held = append(g.held, p...)
	full := len(g.held) > maxGreeting
	g.mu.Unlock()
	if full {
		g.settle()
	}
	return true
}

// settle prints what is new of it. From then on everything is live.
func (g *greeting) settle() {
	g.mu.Lock()
	defer g.mu.Unlock() // kept while it is printed, so that live output comes behind it
	if g.done {
		return
	}
	g.done = true
	l := g.line
	l.found(g.conn)
	l.mu.Lock()
	tail := l.recent.last(tailKept)
	l.mu.Unlock()
	if p := fresh(g.held, tail); len(p) > 0 {
		l.print(p)
	}
	g.held = nil
}

// print takes what the machine printed.
func (l *line) print(p []byte) {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	now := l.s.clock.Now()
	l.rec.add(output, now, p)
	l.recent.write(p)
	full := len(l.rec.pending) >= flushAt
	l.wake()
	l.mu.Unlock()
	l.troubles.heard(forensics.Chunk{At: now, Output: p})
	if full {
		l.flush()
	}
}

// wake tells the viewers; it wants mu held.
func (l *line) wake() {
	if len(l.viewers) > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// note puts a record of ours behind what was printed.
func (l *line) note(kind recordKind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.rec.add(kind, l.s.clock.Now(), []byte(text))
		l.wake()
	}
}

// lost marks the beginning of a gap.
func (l *line) lost(err error) {
	why := "the machine's BMC ended the connection"
	if err != nil {
		why = reason(err)
	}
	l.mu.Lock()
	was := l.away
	if was == why {
		l.mu.Unlock()
		return
	}
	first := l.conn != nil || l.lostAt.IsZero()
	l.conn, l.away = nil, why
	if first {
		l.lostAt = l.s.clock.Now()
	}
	l.mu.Unlock()
	l.log.Warn("the serial console is out of reach", "error", err)
	l.note(notice, "the serial console is out of reach: "+why)
}

// found marks the end of a gap.
func (l *line) found(conn io.ReadWriteCloser) {
	l.mu.Lock()
	lost := l.lostAt
	l.conn, l.away, l.lostAt = conn, "", time.Time{}
	l.mu.Unlock()
	if lost.IsZero() {
		l.note(notice, "the serial console is recorded")
		return
	}
	gap := l.s.clock.Now().Sub(lost).Round(100 * time.Millisecond)
	l.log.Info("the serial console is back", "gap", gap.String())
	l.note(notice, fmt.Sprintf("the serial console is back after %s; what was printed meanwhile is missing", gap))
}

// reason is what a tenant may read of an error.
func reason(err error) string {
	if fault.KindOf(err) == fault.Internal {
		return "the connection to the machine's BMC broke"
	}
	text := fault.Message(err)
	if len(text) > 1 {
		text = string(text[0]|0x20) + text[1:]
	}
	for len(text) > 0 && text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return text
}

// flush brings to the disk what waits in memory.
func (l *line) flush() {
	l.disk.Lock()
	defer l.disk.Unlock()
	l.mu.Lock()
	waiting := l.rec.take()
	l.mu.Unlock()
	if len(waiting) == 0 {
		return
	}
	err := l.rec.write(waiting)
	if err != nil && !l.badDisk {
		l.log.Error("the console's output cannot be recorded; it is shown to viewers only", "error", err)
	}
	l.badDisk = err != nil
}

// end lets go of everything. The recording stays.
func (l *line) end() {
	l.mu.Lock()
	l.over, l.conn = true, nil
	for v := range l.viewers {
		v.ended = true
	}
	l.wake()
	l.mu.Unlock()
	l.flush()
	l.disk.Lock()
	defer l.disk.Unlock()
	if err := l.rec.close(); err != nil {
		l.log.Error("close the console's recording", "error", err)
	}
}
