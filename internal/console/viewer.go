package console

import (
	"context"
	"fmt"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// keyboardIdle is after how long without a key the keyboard goes to whoever types.
const keyboardIdle = 10 * time.Second

// Viewer is somebody who watches a line and may type. Its methods may be called at once, but for Next.
type Viewer struct {
	line  *line
	name  string
	place int64  // in the stream
	seen  Status // that it was told
	ended bool   // under the line's mu
}

// Status is what viewers of a line are told beside its output.
type Status struct {
	Away     string `json:"away"`     // why nothing comes; empty: the line is open
	Keyboard string `json:"keyboard"` // who has it; empty: whoever types first
	Mine     bool   `json:"mine"`     // the viewer itself
	Viewers  int    `json:"viewers"`
}

// News is what Next gives: output, or a new status, or both.
type News struct {
	Output  []byte
	Skipped int64   // bytes before the output that came too fast for this viewer
	Status  *Status // nil: as before
}

// Watch joins the line of an instance, which begins with its last output. Unavailable when this process does not hold the
// line: Holder tells which one does. The caller closes the viewer.
func (s *Service) Watch(instance, name string) (*Viewer, error) {
	s.mu.Lock()
	l := s.lines[instance]
	s.mu.Unlock()
	if l == nil {
		return nil, fault.New(fault.Unavailable, "The server's console is not open yet: it is opened as soon as a machine carries the server.")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil, fault.New(fault.Unavailable, "The server's console is closing; try again in a moment.")
	}
	l.recent.resize(ringWatched)
	v := &Viewer{line: l, name: name, place: max(l.recent.start, l.recent.end-ringIdle), seen: Status{Viewers: -1}}
	l.viewers[v] = struct{}{}
	l.wake()
	return v, nil
}

// Next waits for news. The output is at most as long as the buffer, which it is put into. It fails with Unavailable when the
// line ends: the instance lost its machine, or another process has taken over.
func (v *Viewer) Next(ctx context.Context, buffer []byte) (News, error) {
	l := v.line
	for {
		l.mu.Lock()
		var news News
		if v.place < l.recent.start {
			news.Skipped, v.place = l.recent.start-v.place, l.recent.start
		}
		n := l.recent.read(v.place, buffer)
		news.Output, v.place = buffer[:n], v.place+int64(n)
		if status := l.status(v); status != v.seen {
			v.seen, news.Status = status, &status
		}
		ended, changed := v.ended, l.changed
		l.mu.Unlock()
		switch {
		case n > 0 || news.Status != nil:
			return news, nil
		case ended:
			return news, fault.New(fault.Unavailable, "The server's console has ended.")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return news, ctx.Err()
		}
	}
}

// status wants mu held.
func (l *line) status(v *Viewer) Status {
	s := Status{Away: l.away, Viewers: len(l.viewers), Mine: l.keyboard == v}
	if l.keyboard != nil {
		s.Keyboard = l.keyboard.name
	}
	return s
}

// Type sends keys to the machine. The keyboard has one viewer at a time: the first who types; it goes to somebody else
// who types when it was not used for a while, or by Take. Conflict when somebody else has it, Unavailable when the machine
// is out of reach; the keys are lost then.
func (v *Viewer) Type(keys []byte) error {
	l := v.line
	l.mu.Lock()
	now := l.s.clock.Now()
	if l.keyboard != nil && l.keyboard != v && now.Sub(l.typedAt) < keyboardIdle {
		name := l.keyboard.name
		l.mu.Unlock()
		return fault.New(fault.Conflict, "%s is typing; take the keyboard over first, or wait until it has been idle for %s.", name, keyboardIdle)
	}
	if l.keyboard != v {
		l.keyboard = v
		l.wake()
	}
	l.typedAt = now
	conn, away := l.conn, l.away
	l.mu.Unlock()
	if conn == nil {
		return fault.New(fault.Unavailable, "The machine does not hear you: %s.", away)
	}
	if _, err := conn.Write(keys); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The machine did not hear you.")
	}
	return nil
}

// Take takes the keyboard, whoever has it. All viewers are told.
func (v *Viewer) Take() {
	l := v.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.viewers[v]; there && l.keyboard != v {
		l.keyboard, l.typedAt = v, l.s.clock.Now()
		l.wake()
	}
}

// Close leaves the line, and lets go of the keyboard.
func (v *Viewer) Close() {
	l := v.line
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, v)
	v.ended = true
	if l.keyboard == v {
		l.keyboard = nil
	}
	if len(l.viewers) == 0 {
		l.recent.resize(ringIdle)
	}
	l.wake()
}

// Text tells a status to somebody who has only a terminal.
func (s Status) Text() string {
	switch {
	case s.Away != "":
		return "the serial console is out of reach: " + s.Away
	case s.Mine:
		return "you have the keyboard"
	case s.Keyboard != "":
		return fmt.Sprintf("%s has the keyboard", s.Keyboard)
	}
	return ""
}
