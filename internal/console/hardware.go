package console

import (
	"context"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
)

// How the hardware's logs are read: BMCs are slow, and a thousand of them are not asked at once.
const (
	hardwareReaders  = 4               // machines whose logs are read at once
	hardwarePatience = 2 * time.Minute // for one of them
)

// hardware is when a line's machine was last asked for its hardware's log.
type hardware struct {
	mu      sync.Mutex
	asked   time.Time // zero: never by this process
	urgent  bool      // a boot went wrong
	reading bool
}

// hurry makes the log be read soon.
func (h *hardware) hurry() {
	h.mu.Lock()
	h.urgent = true
	h.mu.Unlock()
}

// due tells how much a reading is wanted, in time since it was; 0: not yet.
func (h *hardware) due(now time.Time, every time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	waited := now.Sub(h.asked)
	switch {
	case h.reading:
		return 0
	case h.urgent || h.asked.IsZero():
		return max(waited, every)
	case waited < every:
		return 0
	}
	return waited
}

// readHardware reads the logs of the machines that want it most, as many as there are readers free, and does not wait.
func (s *Service) readHardware(ctx context.Context) {
	now := s.clock.Now()
	held := s.held()
	for {
		var most *line
		var longest time.Duration
		for _, l := range held {
			if waited := l.hardware.due(now, s.config.HardwareEvery); waited > longest {
				most, longest = l, waited
			}
		}
		if most == nil {
			return
		}
		select {
		case s.readers <- struct{}{}:
		default:
			return
		}
		most.hardware.mu.Lock()
		most.hardware.asked, most.hardware.urgent, most.hardware.reading = now, false, true
		most.hardware.mu.Unlock()
		s.reading.Go(func() {
			defer func() {
				most.hardware.mu.Lock()
				most.hardware.reading = false
				most.hardware.mu.Unlock()
				<-s.readers
			}()
			s.readHardwareOf(ctx, most)
		})
	}
}

// readHardwareOf reads one machine's log, and puts on record what is recognised: of each fault one record an hour.
func (s *Service) readHardwareOf(ctx context.Context, l *line) {
	ctx, cancel := context.WithTimeout(ctx, hardwarePatience)
	defer cancel()
	err := s.wires.ReadHardware(ctx, l.machine, l.instance)
	if err == nil {
		var found []forensics.Finding
		if found, err = s.hardwareFindings(ctx, l.instance); err == nil {
			for _, f := range found {
				if err = s.instances.Trouble(ctx, l.instance, forensics.Trouble{Began: f.At.Truncate(time.Hour), Finding: f}); err != nil {
					break
				}
			}
		}
	}
	switch {
	case err == nil, ctx.Err() != nil && context.Cause(ctx) == context.Canceled, fault.Is(err, fault.NotFound):
	case fault.Is(err, fault.Unsupported):
		l.log.Debug("the machine's hardware keeps no log", "error", err)
	default:
		l.log.Warn("the hardware's log cannot be read; the next look tries again", "error", err)
	}
}

// hardwareFindings are what the hardware said while the instance had it.
func (s *Service) hardwareFindings(ctx context.Context, instance string) (found []forensics.Finding, err error) {
	events, err := s.wires.HardwareEvents(ctx, instance)
	for _, e := range events {
		if f, ok := forensics.Hardware(e.At, e.Severity, e.Message); ok {
			found = append(found, f)
		}
	}
	return found, err
}
