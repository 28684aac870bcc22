// Package serial is one serial line with any number of readers.
//
// A serial port has a single owner, yet a rack wants its console watched by an operator, a Redfish websocket, IPMI SOL
// and a log at once. The owner calls Print with what the machine says; everybody else joins. A reader that does not
// keep up loses the oldest bytes and never holds up the machine or the other readers.
package serial

import (
	"errors"
	"io"
	"sync"
)

// backlog is how many unread bytes a joined reader may have before it loses the oldest: a screenful of boot log
// many times over.
const backlog = 256 << 10

// ErrHungUp is the answer to keys typed into a line whose machine is off.
var ErrHungUp = errors.New("nothing listens on the serial line: the machine is off")

// Line is a serial line. Make it with New.
type Line struct {
	mu      sync.Mutex
	keys    io.Writer // nil while nothing listens
	readers map[*joined]struct{}
	closed  bool
}

// New makes a line to which nothing is attached yet.
func New() *Line { return &Line{readers: map[*joined]struct{}{}} }

// Attach says where typed keys go; nil when the machine goes off. Readers stay joined all the while.
func (l *Line) Attach(keys io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = keys
}

// Print gives every reader what the machine printed. It never blocks.
func (l *Line) Print(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.readers {
		r.push(p)
	}
}

// Join reads what is printed from now on and types what is written. Close it when done.
func (l *Line) Join() (io.ReadWriteCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, io.ErrClosedPipe
	}
	r := &joined{line: l}
	r.arrived.L = &r.mu
	l.readers[r] = struct{}{}
	return r, nil
}

// Close ends the line: readers see what they have left and then io.EOF.
func (l *Line) Close() {
	l.mu.Lock()
	readers := l.readers
	l.readers, l.keys, l.closed = nil, nil, true
	l.mu.Unlock()
	for r := range readers {
		r.end()
	}
}

// joined is one reader.
type joined struct {
	line    *Line
	mu      sync.Mutex
	arrived sync.Cond
	unread  []byte
	ended   bool
}

func (r *joined) push(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread = append(r.unread, p...)
	if over := len(r.unread) - backlog; over > 0 {
		r.unread = append(r.unread[:0], r.unread[over:]...)
	}
	r.arrived.Broadcast()
}

func (r *joined) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.arrived.Broadcast()
}

// Read waits for the machine to print.
func (r *joined) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.unread) == 0 && !r.ended && len(p) > 0 {
		r.arrived.Wait()
	}
	if len(r.unread) == 0 && r.ended {
		return 0, io.EOF
	}
	n := copy(p, r.unread)
	r.unread = append(r.unread[:0], r.unread[n:]...)
	return n, nil
}

// Write types keys.
func (r *joined) Write(p []byte) (int, error) {
	r.line.mu.Lock()
	keys := r.line.keys
	r.line.mu.Unlock()
	if keys == nil {
		return 0, ErrHungUp
	}
	return keys.Write(p)
}

// Close leaves the line and wakes a waiting Read.
func (r *joined) Close() error {
	r.line.mu.Lock()
	delete(r.line.readers, r)
	r.line.mu.Unlock()
	r.end()
	return nil
}
