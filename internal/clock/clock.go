// Package clock gives time as a constructor input, so that tests step it and databases compare it.
//
// All times are UTC with microseconds: what PostgreSQL's timestamp keeps.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// Real is the machine's own clock.
type Real struct{}

// Now is the current time, UTC, in microseconds.
func (Real) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Fake is a clock that moves only when told to.
type Fake struct {
	mu  sync.Mutex
	now time.Time
}

// NewFake starts at a fixed, arbitrary moment.
func NewFake() *Fake { return &Fake{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now is the time the fake was last stepped to.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Step moves the clock by d, which may be negative: clocks jump.
func (f *Fake) Step(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}
