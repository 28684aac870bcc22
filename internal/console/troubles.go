package console

import (
	"context"
	"errors"
	"sync"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
)

// troubles are what a line's output says of boots that go wrong. It has a lock of its own: whoever prints is not held up by
// the database.
type troubles struct {
	mu    sync.Mutex
	watch forensics.Watch
	due   []forensics.Trouble // not on record yet
}

// heard reads what was printed, or that the machine was switched on.
func (t *troubles) heard(c forensics.Chunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch.Feed(c)
}

// tellTroubles puts on record what the lines of this process say. What cannot be recorded now is tried again at the next look;
// a record that is there already stays as it is, so a crash between the two costs nothing.
func (s *Service) tellTroubles(ctx context.Context, l *line) error {
	t := &l.troubles
	t.mu.Lock()
	t.due = append(t.due, t.watch.Troubles(s.clock.Now())...)
	due := t.due
	t.due = nil
	t.mu.Unlock()
	var failed error
	for n, trouble := range due {
		err := s.instances.Trouble(ctx, l.instance, trouble)
		if fault.Is(err, fault.NotFound) {
			continue // the instance is gone
		}
		if err != nil {
			t.mu.Lock()
			t.due = append(due[n:len(due):len(due)], t.due...)
			t.mu.Unlock()
			failed = errors.Join(failed, err)
			break
		}
		l.hardware.hurry() // perhaps it knows why
		l.log.Info("a boot went wrong", "fault", trouble.Fault, "phase", trouble.Phase.String(), "line", trouble.Line)
	}
	return failed
}
