package vbmc

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/bougou/go-ipmi/pkg/hal"
)

// ipmiConsole is the serial line behind SOL (IPMI 2.0 chapter 15).
type ipmiConsole struct{ ipmi *IPMI }

// Open joins the line for one SOL activation; the library allows one at a time.
func (c ipmiConsole) Open(context.Context) (hal.ConsoleConn, error) {
	line, err := c.ipmi.machine.Console()
	if err != nil {
		return nil, fmt.Errorf("joining the serial line: %w", err)
	}
	s := &solLine{ipmi: c.ipmi, line: line}
	s.room.L = &s.mu
	go s.fill()
	return s, nil
}

// solLine turns a blocking reader into one that the library may poll.
type solLine struct {
	ipmi *IPMI
	line io.ReadWriteCloser

	mu     sync.Mutex
	room   sync.Cond
	unread []byte
	err    error // why the line ended
	closed bool
}

// solBacklog is how much output waits for a slow client before the line itself has to hold it.
const solBacklog = 64 << 10

// fill reads until the line ends, which Close brings about.
func (s *solLine) fill() {
	p := make([]byte, 4096)
	for {
		n, err := s.line.Read(p)
		s.mu.Lock()
		s.unread = append(s.unread, p[:n]...)
		s.err = err
		for len(s.unread) >= solBacklog && !s.closed {
			s.room.Wait()
		}
		closed := s.closed
		s.mu.Unlock()
		if err != nil || closed {
			return
		}
	}
}

// ReadAvailable gives what is there and never waits.
func (s *solLine) ReadAvailable(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unread) == 0 {
		return 0, s.err
	}
	n := copy(p, s.unread)
	s.unread = append(s.unread[:0], s.unread[n:]...)
	s.room.Broadcast()
	return n, nil
}

// Write types keys. As on a real wire, keys for a machine that does not listen are lost and nobody is told: an error
// would end the console of a machine that is off and about to be turned on. The library also calls it for each
// acknowledgement, with nothing to write.
func (s *solLine) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := s.line.Write(p); err != nil {
		s.ipmi.log.Debug("keys typed over SOL were lost", "error", err)
	}
	return len(p), nil
}

// SendBreak is something a virtual serial line cannot.
func (s *solLine) SendBreak(context.Context) error { return hal.ErrNotSupported }

// Close leaves the line.
func (s *solLine) Close() error {
	s.mu.Lock()
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	return s.line.Close()
}
