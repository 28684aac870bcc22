package console

import (
	"context"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
)

// reportFor is for how long a report serves all who ask.
const reportFor = 3 * time.Second

// reports are the last ones made, by instance.
type reports struct {
	mu sync.Mutex
	by map[string]*report
}

// report is locked while it is made.
type report struct {
	sync.Mutex
	report forensics.Report
	made   time.Time
}

func (r *reports) of(instance string) *report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]*report{}
	}
	for id, old := range r.by {
		if id != instance && old.TryLock() { // one that is being made is in use
			if time.Since(old.made) > time.Minute {
				delete(r.by, id)
			}
			old.Unlock()
		}
	}
	if r.by[instance] == nil {
		r.by[instance] = &report{}
	}
	return r.by[instance]
}

// Boots reads the log for what it says about the machine's boots, and the hardware's for what befell them.
//
// A report is some seconds old at most: many who look at one console cost no more than one.
func (s *Service) Boots(ctx context.Context, instance string) (forensics.Report, error) {
	r := s.reports.of(instance)
	r.Lock()
	defer r.Unlock()
	if time.Since(r.made) < reportFor {
		return r.report, nil
	}
	report, err := s.analyse(ctx, instance)
	if err == nil {
		r.report, r.made = report, time.Now()
	}
	return report, err
}

func (s *Service) analyse(ctx context.Context, instance string) (forensics.Report, error) {
	var failed error
	report := forensics.Analyse(func(yield func(forensics.Chunk) bool) {
		for r, err := range s.Records(ctx, instance) {
			if err != nil {
				failed = fault.Wrap(err, fault.Unavailable, "The server's console log cannot be read now.")
				return
			}
			if r.Kind == notice {
				continue
			}
			if !yield(forensics.Chunk{At: r.At, PowerOn: r.Kind == powerOn, Output: r.Data}) {
				return
			}
		}
	})
	if failed != nil {
		return report, failed
	}
	hardware, err := s.hardwareFindings(ctx, instance)
	for _, f := range hardware {
		report.Add(f)
	}
	return report, err
}
