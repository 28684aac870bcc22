package vbmc

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"sync"

	"github.com/ingotcloud/ingot/internal/lab/serial"
)

// SimOptions says how a simulated machine behaves.
type SimOptions struct {
	// On: the machine is on from the start, without a boot.
	On bool
	// OnBoot is called in its own goroutine each time the firmware starts: at power on, at a reset, and at a reset by the
	// guest. boot is the override that this boot obeys; mediaFile is the image in the virtual CD, empty when there is none.
	OnBoot func(boot Boot, mediaFile string)
	// OnOff is called in its own goroutine each time the power goes off, and before each OnBoot of a reset: whatever ran on
	// the machine is gone.
	OnOff func()
	// OnNMI is called when a diagnostic interrupt reaches the running machine.
	OnNMI func()
	// OnKeys gets what is typed on the console. Nil echoes, as a serial terminal does.
	OnKeys func(p []byte)
	// Deaf: the operating system ignores the power button (GracefulShutdown is accepted and nothing comes of it).
	Deaf bool
	// Fail is asked before each action; its error is the action's. For tests of faulty BMCs.
	Fail func(action Action) error
}

// Simulated is a machine in memory: it keeps every promise of Machine and starts no process, so that tests run
// hundreds of them. Make it with NewSimulated.
type Simulated struct {
	info Info
	opts SimOptions
	line *serial.Line

	mu        sync.Mutex
	on        bool
	boot      Boot
	mediaURL  string
	mediaFile string
	secure    bool
	lit       bool

	watchers Watchers
}

var _ Machine = (*Simulated)(nil)

// NewSimulated makes a machine that is off, unless the options say otherwise.
func NewSimulated(info Info, opts SimOptions) *Simulated {
	s := &Simulated{info: info, opts: opts, line: serial.New(), boot: Boot{}.Normal(info)}
	s.setPower(opts.On)
	return s
}

// Info is what NewSimulated was given.
func (s *Simulated) Info() Info { return s.info }

// Power says whether the machine is on.
func (s *Simulated) Power() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on
}

// Do orders the power; it takes effect before Do returns.
func (s *Simulated) Do(ctx context.Context, action Action) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.opts.Fail != nil {
		if err := s.opts.Fail(action); err != nil {
			return err
		}
	}
	switch action {
	case On:
		s.start()
	case ForceOff:
		s.stop("The machine was powered off.")
	case GracefulShutdown:
		if !s.opts.Deaf {
			s.stop("The operating system shut down.")
		}
	case ForceRestart:
		s.restart("The machine was reset.")
	case NMI:
		if !s.Power() {
			return fmt.Errorf("a diagnostic interrupt needs a machine that is on")
		}
		s.watchers.Tell(Event{"Warning", "A diagnostic interrupt was sent."})
		if s.opts.OnNMI != nil {
			s.opts.OnNMI()
		}
	default:
		return fmt.Errorf("%q is no power action", action)
	}
	return nil
}

// Reboot is the guest's own doing: the operating system resets the machine, which obeys the boot override as any reset.
func (s *Simulated) Reboot() {
	if s.Power() {
		s.restart("The operating system reset the machine.")
	}
}

// Crash is a sudden death: off, with a Critical event.
func (s *Simulated) Crash() {
	s.mu.Lock()
	was := s.on
	s.setPower(false)
	s.mu.Unlock()
	if was {
		s.gone()
		s.watchers.Tell(Event{"Critical", "The machine lost power unexpectedly."})
	}
}

func (s *Simulated) start() {
	s.mu.Lock()
	if s.on {
		s.mu.Unlock()
		return
	}
	s.setPower(true)
	used, media := s.takeBoot()
	s.mu.Unlock()
	s.watchers.Tell(Event{"OK", "The machine was powered on."})
	if s.opts.OnBoot != nil {
		go s.opts.OnBoot(used, media)
	}
}

func (s *Simulated) stop(why string) {
	s.mu.Lock()
	was := s.on
	s.setPower(false)
	s.mu.Unlock()
	if was {
		s.gone()
		s.watchers.Tell(Event{"OK", why})
	}
}

// restart also turns on a machine that is off, as ForceRestart does on real BMCs.
func (s *Simulated) restart(why string) {
	s.mu.Lock()
	was := s.on
	s.setPower(true)
	used, media := s.takeBoot()
	s.mu.Unlock()
	s.watchers.Tell(Event{"OK", why})
	go func() { // one goroutine, so that the guest's end comes before its new beginning
		if was && s.opts.OnOff != nil {
			s.opts.OnOff()
		}
		if s.opts.OnBoot != nil {
			s.opts.OnBoot(used, media)
		}
	}()
}

func (s *Simulated) gone() {
	if s.opts.OnOff != nil {
		go s.opts.OnOff()
	}
}

// setPower and takeBoot want mu held.
func (s *Simulated) setPower(on bool) {
	s.on = on
	switch {
	case !on:
		s.line.Attach(nil)
	case s.opts.OnKeys != nil:
		s.line.Attach(simKeys(s.opts.OnKeys))
	default:
		s.line.Attach(simKeys(s.line.Print))
	}
}

func (s *Simulated) takeBoot() (used Boot, media string) {
	used, s.boot = s.boot.Take(s.info)
	return used, s.mediaFile
}

// Boot is the override in force.
func (s *Simulated) Boot() Boot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boot
}

// SetBoot sets the override for the next boot.
func (s *Simulated) SetBoot(b Boot) error {
	if err := b.Check(s.info); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boot = b.Normal(s.info)
	return nil
}

// Media is what is in the virtual CD.
func (s *Simulated) Media() (url, file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mediaURL, s.mediaFile
}

// InsertMedia replaces what is in the virtual CD.
func (s *Simulated) InsertMedia(_ context.Context, url, file string) error {
	s.mu.Lock()
	s.mediaURL, s.mediaFile = url, file
	s.mu.Unlock()
	s.watchers.Tell(Event{"OK", "Virtual media was inserted."})
	return nil
}

// EjectMedia empties the virtual CD.
func (s *Simulated) EjectMedia(context.Context) error {
	s.mu.Lock()
	had := s.mediaFile != "" || s.mediaURL != ""
	s.mediaURL, s.mediaFile = "", ""
	s.mu.Unlock()
	if had {
		s.watchers.Tell(Event{"OK", "Virtual media was ejected."})
	}
	return nil
}

// SecureBoot says whether Secure Boot is on.
func (s *Simulated) SecureBoot() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secure
}

// SetSecureBoot takes effect at the next boot, of which a simulated firmware makes nothing.
func (s *Simulated) SetSecureBoot(on bool) error {
	if on && !s.info.SecureBootCapable {
		return fmt.Errorf("secure boot: %w", ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure = on
	return nil
}

// Console joins the serial line.
func (s *Simulated) Console() (io.ReadWriteCloser, error) { return s.line.Join() }

// Print is what the machine prints on its serial line.
func (s *Simulated) Print(p []byte) { s.line.Print(p) }

// Screenshot is a small black PNG while the machine is on.
func (s *Simulated) Screenshot(context.Context) ([]byte, error) {
	if !s.Power() {
		return nil, fmt.Errorf("the machine is off and shows no picture")
	}
	var out bytes.Buffer
	err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 64, 48)))
	return out.Bytes(), err
}

// VNC greets as an RFB server does and then echoes: enough for a test to see that bytes pass both ways.
func (s *Simulated) VNC(context.Context) (net.Conn, error) {
	if !s.Power() {
		return nil, fmt.Errorf("the machine is off and shows no picture")
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if _, err := io.WriteString(server, "RFB 003.008\n"); err == nil {
			io.Copy(server, server) // ends when the viewer leaves
		}
	}()
	return client, nil
}

// Indicator says whether the locator light is on.
func (s *Simulated) Indicator() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lit
}

// SetIndicator lights the locator light or puts it out.
func (s *Simulated) SetIndicator(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lit = on
}

// Ail makes the hardware's event log say something.
func (s *Simulated) Ail(e Event) { s.watchers.Tell(e) }

// Watch calls f for each event until stop is called.
func (s *Simulated) Watch(f func(Event)) (stop func()) { return s.watchers.Add(f) }

type simKeys func(p []byte)

func (f simKeys) Write(p []byte) (int, error) { f(p); return len(p), nil }

// Watchers is a list of who wants to hear of events; the zero value is ready. Both machines use it.
type Watchers struct {
	mu   sync.Mutex
	next int
	all  map[int]func(Event)
}

// Add adds f until stop is called.
func (w *Watchers) Add(f func(Event)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(Event){}
	}
	id := w.next
	w.next++
	w.all[id] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

// Tell calls everybody in turn, outside the lock so that a watcher may stop itself.
func (w *Watchers) Tell(e Event) {
	w.mu.Lock()
	fs := make([]func(Event), 0, len(w.all))
	for id := range w.next {
		if f := w.all[id]; f != nil {
			fs = append(fs, f)
		}
	}
	w.mu.Unlock()
	for _, f := range fs {
		f(e)
	}
}
