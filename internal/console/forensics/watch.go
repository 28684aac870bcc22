package forensics

import "time"

// Watch follows a stream as it comes, for as long as a machine runs, and says what went wrong. It keeps the present boot
// only. The zero value is ready; it is not safe for concurrent use.
type Watch struct {
	a      analysis
	heard  time.Time // the last output came
	said   map[string]bool
	lately map[string]time.Time // when each fault was last said; forgotten with a good boot
	due    []Trouble
}

// Trouble is a finding that did not pass.
type Trouble struct {
	Began time.Time // of the boot
	Phase Phase     // how far it came
	Finding
}

const (
	// stands is for how long a finding must last until it is trouble: firmware tries one device after the other.
	stands = 20 * time.Second
	// repeatAfter is when a machine that fails again and again for the same reason is worth another word.
	repeatAfter = time.Hour
	// promptIdle is when a line without an end is taken for whole: a prompt has none.
	promptIdle = 2 * time.Second
)

// Feed reads on. What comes before the first sign of a boot belongs to one that began before.
func (w *Watch) Feed(c Chunk) {
	w.heard = c.At
	switch {
	case c.PowerOn:
		w.a.flush()
		w.a.begin(c.At, PowerOn)
	default:
		if w.a.current() == nil {
			w.a.begin(c.At, PowerOn)
		}
		w.a.feed(c.At, c.Output)
	}
	w.settle()
}

// settle sees what became of the boots, and keeps the last.
func (w *Watch) settle() {
	last := len(w.a.boots) - 1
	if last < 0 {
		return
	}
	for i := range w.a.boots[:last] {
		w.look(&w.a.boots[i], time.Time{})
		w.said = nil
	}
	w.a.boots = append(w.a.boots[:0], w.a.boots[last:]...)
}

// look finds what has not passed and was not said; of a boot that goes on (now is not zero) only what stands.
func (w *Watch) look(b *Boot, now time.Time) {
	if b.Good && !w.said[""] { // once a boot
		w.say("")
		w.lately = nil
	}
	for _, f := range b.Findings {
		if f.Passed || w.said[f.Fault] || !now.IsZero() && now.Sub(f.At) < stands {
			continue
		}
		w.say(f.Fault)
		if was, ok := w.lately[f.Fault]; ok && f.At.Sub(was) < repeatAfter {
			continue
		}
		if w.lately == nil {
			w.lately = map[string]time.Time{}
		}
		w.lately[f.Fault] = f.At
		w.due = append(w.due, Trouble{Began: b.Began, Phase: b.Phase(), Finding: f})
	}
}

func (w *Watch) say(fault string) {
	if w.said == nil {
		w.said = map[string]bool{}
	}
	w.said[fault] = true
}

// Troubles gives those that have not been given before, oldest first.
func (w *Watch) Troubles(now time.Time) []Trouble {
	if now.Sub(w.heard) >= promptIdle {
		w.a.flush()
		w.settle()
	}
	if b := w.a.current(); b != nil {
		w.look(b, now)
	}
	due := w.due
	w.due = nil
	return due
}
