package deploy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// meter reports a step's progress from any number of goroutines.
func (j *Job) meter(step string, total int64) func(bytes int64) {
	var done atomic.Int64
	j.Progress(agentapi.Progress{Step: step, Total: total})
	return func(bytes int64) { j.Progress(agentapi.Progress{Step: step, Done: done.Add(bytes), Total: total}) }
}

// speedometer measures the disk's own speed on the fly: bytes over the time in which at least one write was under way.
type speedometer struct {
	mu     sync.Mutex
	active int
	since  time.Time
	busy   time.Duration
	bytes  int64
}

func (s *speedometer) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active++; s.active == 1 {
		s.since = time.Now()
	}
}

func (s *speedometer) end(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += int64(bytes)
	if s.active--; s.active == 0 {
		s.busy += time.Since(s.since)
	}
}

// bytesPerSecond is 0 when nothing was written.
func (s *speedometer) bytesPerSecond() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy <= 0 {
		return 0
	}
	return float64(s.bytes) / s.busy.Seconds()
}
