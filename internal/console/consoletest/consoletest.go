// Package consoletest gives tests consoles of machines in memory: lines that print what the test says, and say what was
// typed into them.
package consoletest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/serial"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Rack implements console.Wires and console.Instances over lines in memory.
type Rack struct {
	mu               sync.Mutex
	lines            map[string]*serial.Line // by machine
	loans            map[string]machine.Loan // by instance
	deleted          map[string]bool
	greeting         map[string]string // what a new connection is replayed, as OpenBMC does
	owner            map[string]bool   // machines whose line somebody else has
	broken           error
	opened           int
	exclude          bool                           // one connection at a time, as SOL
	inUse            map[string]bool                // by machine
	troubles         map[string][]forensics.Trouble // by instance
	deaf             bool
	screen           func(ctx context.Context) (io.ReadWriteCloser, error) // nil: a greeting and an echo
	ailing, hardware map[string][]machine.HardwareEvent                    // not read yet, and read, by instance
	read             map[string]int                                        // by machine
}

// New makes an empty rack.
func New() *Rack {
	return &Rack{lines: map[string]*serial.Line{}, loans: map[string]machine.Loan{}, deleted: map[string]bool{},
		greeting: map[string]string{}, owner: map[string]bool{}, inUse: map[string]bool{}, troubles: map[string][]forensics.Trouble{},
		ailing: map[string][]machine.HardwareEvent{}, hardware: map[string][]machine.HardwareEvent{}, read: map[string]int{}}
}

// Lend gives an instance a machine, whose line echoes, and is on.
func (r *Rack) Lend(id, instance string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines[id] == nil {
		l := serial.New()
		l.Attach(echo{l})
		r.lines[id] = l
	}
	r.loans[instance] = machine.Loan{Machine: id, Instance: instance, Power: machine.PowerOn}
}

type echo struct{ line *serial.Line }

func (e echo) Write(p []byte) (int, error) { e.line.Print(p); return len(p), nil }

// Power sets what the BMC says of an instance's machine.
func (r *Rack) Power(instance string, power machine.PowerState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	loan := r.loans[instance]
	loan.Power = power
	r.loans[instance] = loan
}

// Return takes the machine from an instance; with delete the instance is gone too.
func (r *Rack) Return(instance string, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loans, instance)
	r.deleted[instance] = deleted
}

// Greet makes every new connection to a machine begin with a replay.
func (r *Rack) Greet(id, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.greeting[id] = text
}

// Occupy lets somebody else have a machine's line, or leave it.
func (r *Rack) Occupy(id string, by bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner[id] = by
}

// Break fails all openings; nil ends that.
func (r *Rack) Break(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
}

// Exclusive allows one connection to a line at a time from now on.
func (r *Rack) Exclusive() { r.mu.Lock(); r.exclude = true; r.mu.Unlock() }

// Opened is how often a line was opened.
func (r *Rack) Opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

// Print is what a machine prints.
func (r *Rack) Print(id, text string) { r.Line(id).Print([]byte(text)) }

// Line is a machine's.
func (r *Rack) Line(id string) *serial.Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines[id]
}

// Cut ends all connections of a machine's line, as a BMC does that starts anew.
func (r *Rack) Cut(id string) {
	r.mu.Lock()
	l := serial.New()
	l.Attach(echo{l})
	old := r.lines[id]
	r.lines[id] = l
	r.mu.Unlock()
	old.Close()
}

// Lent implements console.Wires.
func (r *Rack) Lent(context.Context) ([]machine.Loan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []machine.Loan
	for _, loan := range r.loans {
		list = append(list, loan)
	}
	slices.SortFunc(list, func(a, b machine.Loan) int { return strings.Compare(a.Machine, b.Machine) })
	return list, nil
}

// OpenSerial implements console.Wires.
func (r *Rack) OpenSerial(_ context.Context, id string, take bool) (io.ReadWriteCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	if r.broken != nil {
		return nil, r.broken
	}
	if r.owner[id] && !take || r.exclude && r.inUse[id] {
		return nil, fault.New(fault.Conflict, "The machine's serial console is in use.")
	}
	r.owner[id], r.inUse[id] = false, true
	line, err := r.lines[id].Join()
	if err != nil {
		return nil, err
	}
	return &connection{line, []byte(r.greeting[id]), sync.OnceFunc(func() { r.mu.Lock(); r.inUse[id] = false; r.mu.Unlock() })}, nil
}

type connection struct {
	io.ReadWriteCloser
	greeting []byte
	left     func()
}

func (c *connection) Read(p []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	return c.ReadWriteCloser.Read(p)
}

func (c *connection) Close() error { c.left(); return c.ReadWriteCloser.Close() }

// Show sets what opening a screen gives from now on: a Screen, or something worse.
func (r *Rack) Show(open func(ctx context.Context) (io.ReadWriteCloser, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.screen = open
}

// OpenScreen implements console.Wires: what Show says; else an RFB server's greeting, and then an echo.
func (r *Rack) OpenScreen(ctx context.Context, _ string) (io.ReadWriteCloser, error) {
	r.mu.Lock()
	open := r.screen
	r.mu.Unlock()
	if open != nil {
		return open(ctx)
	}
	l := serial.New()
	l.Attach(echo{l})
	line, err := l.Join()
	l.Print([]byte("RFB 003.008\n"))
	return line, err
}

// Ail makes the hardware of an instance's machine say something; it is read at the next ReadHardware.
func (r *Rack) Ail(instance string, e machine.HardwareEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ailing[instance] = append(r.ailing[instance], e)
}

// ReadHardware implements console.Wires.
func (r *Rack) ReadHardware(_ context.Context, id, instance string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[id]++
	r.hardware[instance] = append(r.hardware[instance], r.ailing[instance]...)
	r.ailing[instance] = nil
	return nil
}

// Readings counts how often a machine's hardware log was read.
func (r *Rack) Readings(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read[id]
}

// HardwareEvents implements console.Wires.
func (r *Rack) HardwareEvents(_ context.Context, instance string) ([]machine.HardwareEvent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.hardware[instance]), nil
}

// Exists implements console.Instances.
func (r *Rack) Exists(_ context.Context, instance string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.deleted[instance], nil
}

// Trouble implements console.Instances.
func (r *Rack) Trouble(_ context.Context, instance string, trouble forensics.Trouble) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf {
		return errors.New("the database does not answer")
	}
	r.troubles[instance] = append(r.troubles[instance], trouble)
	return nil
}

// Troubles are what was put on record for an instance.
func (r *Rack) Troubles(instance string) []forensics.Trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.troubles[instance])
}

// Deafen makes records of troubles fail, or ends that.
func (r *Rack) Deafen(on bool) { r.mu.Lock(); r.deaf = on; r.mu.Unlock() }

// ErrNoPeers is what NoPeers answers.
var ErrNoPeers = errors.New("there are no other processes")

// NoPeers implements console.Peers.
type NoPeers struct{}

// Records implements console.Peers.
func (NoPeers) Records(context.Context, string, string) (io.ReadCloser, error) {
	return nil, ErrNoPeers
}

// Eventually waits until is gives true.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
