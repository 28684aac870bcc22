package vbmc

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Faults makes a BMC behave badly, as real ones do. The zero value is a good BMC; each method may be called at any
// time. A Redfish service takes it by its options; Machine makes any server lie about the power.
type Faults struct {
	mu          sync.Mutex
	unavailable int
	hang        int
	lies        int
	lost        int
	delay       time.Duration
	noSessions  bool
	seen        int
}

// Unavailable: the next n requests are answered by 503.
func (f *Faults) Unavailable(n int) { f.set(func() { f.unavailable = n }) }

// Hang: the next n requests are never answered; the connection stays open until the client leaves.
func (f *Faults) Hang(n int) { f.set(func() { f.hang = n }) }

// Slow: every request waits for d before it is looked at; 0 ends it.
func (f *Faults) Slow(d time.Duration) { f.set(func() { f.delay = d }) }

// NoSessions: the service has no sessions (404), as some BMCs; basic authentication works.
func (f *Faults) NoSessions(on bool) { f.set(func() { f.noSessions = on }) }

// LieOn: after the machine was forced off, the power is told as on for the next n questions.
func (f *Faults) LieOn(n int) { f.set(func() { f.lies = n }) }

// LoseAnswers: the next n POSTs are carried out, but the connection breaks before the answer.
func (f *Faults) LoseAnswers(n int) { f.set(func() { f.lost = n }) }

// Requests is how many requests came so far, those that were treated badly included.
func (f *Faults) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func (f *Faults) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// take uses up one of a counter's faults.
func (f *Faults) take(counter *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *counter == 0 {
		return false
	}
	*counter--
	return true
}

// Handler misbehaves in front of next.
func (f *Faults) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.seen++
		delay, noSessions := f.delay, f.noSessions && isSessionPath(r.URL.Path)
		f.mu.Unlock()
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case f.take(&f.hang):
			<-r.Context().Done()
		case f.take(&f.unavailable):
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the BMC is busy", http.StatusServiceUnavailable)
		case noSessions:
			http.NotFound(w, r)
		case r.Method == http.MethodPost && !isSessionPath(r.URL.Path) && f.take(&f.lost):
			next.ServeHTTP(nobody{}, r)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// nobody reads the answer.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

func isSessionPath(path string) bool {
	const prefix = root + "/SessionService"
	return len(path) >= len(prefix) && path[:len(prefix)] == prefix
}

// Machine is m with the lies about its power.
func (f *Faults) Machine(m Machine) Machine { return &liar{Machine: m, faults: f} }

type liar struct {
	Machine
	faults *Faults

	mu     sync.Mutex
	forced bool // off by ForceOff, and not on since
}

func (l *liar) Power() bool {
	if l.Machine.Power() {
		return true
	}
	l.mu.Lock()
	forced := l.forced
	l.mu.Unlock()
	return forced && l.faults.take(&l.faults.lies)
}

func (l *liar) Do(ctx context.Context, action Action) error {
	err := l.Machine.Do(ctx, action)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forced = err == nil && action == ForceOff
	return err
}
