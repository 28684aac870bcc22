package agent

import (
	"io"
	"log/slog"
	"strings"
	"sync"
)

// logKept is how much of its own log the agent keeps for KindLog, in bytes.
const logKept = 256 << 10

// Log keeps the last lines of the agent's own log and passes them on to a console.
type Log struct {
	mu      sync.Mutex
	console io.Writer
	kept    []byte
}

// NewLog makes a log that also prints to console.
func NewLog(console io.Writer) *Log { return &Log{console: console} }

// Logger writes into the log.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write takes whole lines. A console that fails is no reason to lose them.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.console.Write(line)
	l.kept = append(l.kept, line...)
	if len(l.kept) > 2*logKept { // cut rarely: each cut copies
		l.kept = append([]byte(nil), l.kept[len(l.kept)-logKept:]...)
	}
	return len(line), nil
}

// Text is what is kept, from the start of a line.
func (l *Log) Text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) <= logKept {
		return string(l.kept)
	}
	_, rest, _ := strings.Cut(string(l.kept[len(l.kept)-logKept:]), "\n")
	return rest
}
