package forensics

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"time"
)

// Chunk is a piece of the stream with when it came.
type Chunk struct {
	At      time.Time
	PowerOn bool // the BMC said that the machine was switched on; no output
	Output  []byte
}

// Report is what became of a machine's boots, oldest first.
type Report struct {
	Boots []Boot `json:"boots"`
}

// Boot is one of them.
type Boot struct {
	Began    time.Time `json:"began"`
	Last     time.Time `json:"last"` // of its output
	Phases   []Span    `json:"phases"`
	Findings []Finding `json:"findings"`
	Good     bool      `json:"good"` // it came to a login prompt
}

// Span is a phase of a boot. The last one of a boot lasts: its duration is 0.
type Span struct {
	Phase Phase         `json:"phase"`
	Began time.Time     `json:"began"`
	Took  time.Duration `json:"took"`  // nanoseconds
	Usual time.Duration `json:"usual"` // in the last good boot before; 0: there is none, or it had no such phase
}

// Finding is a known fault that was seen.
type Finding struct {
	Fault  string    `json:"fault"`
	At     time.Time `json:"at"`
	Says   string    `json:"says"`
	Do     string    `json:"do"`
	Line   string    `json:"line"`
	Passed bool      `json:"passed"` // the boot went on all the same
	halts  bool
}

// Latest is the last boot; nil before the first.
func (r *Report) Latest() *Boot {
	if len(r.Boots) == 0 {
		return nil
	}
	return &r.Boots[len(r.Boots)-1]
}

// Trouble is the finding that matters: the first that the boot did not get past. What comes after it, an emergency shell or a
// firmware without another device to try, is what it led to. Nil when all is well.
func (b *Boot) Trouble() *Finding {
	for i := range b.Findings {
		if f := &b.Findings[i]; f.halts && !f.Passed {
			return f
		}
	}
	return nil
}

// Phase is how far the boot came.
func (b *Boot) Phase() Phase { return b.Phases[len(b.Phases)-1].Phase }

// Analyse reads a stream from its beginning. Its cost grows with the stream's length only: about 30 ms of a core for 4 MiB.
func Analyse(chunks iter.Seq[Chunk]) Report {
	var a analysis
	for chunk := range chunks {
		if chunk.PowerOn {
			a.flush()
			a.begin(chunk.At, PowerOn)
			continue
		}
		a.feed(chunk.At, chunk.Output)
	}
	a.flush() // a prompt has no end of line
	a.compare()
	return Report{a.boots}
}

// maxLine is where a line without an end is cut, in bytes.
const maxLine = 4096

type analysis struct {
	boots   []Boot
	partial []byte
	at      time.Time // of the partial line's first byte
	reasons map[*Fault]string
}

func (a *analysis) feed(at time.Time, output []byte) {
	for _, c := range output {
		if len(a.partial) == 0 {
			a.at = at
		}
		if c == '\n' || c == '\r' || len(a.partial) >= maxLine {
			a.flush()
			continue
		}
		a.partial = append(a.partial, c)
	}
}

func (a *analysis) flush() {
	if len(a.partial) == 0 {
		return
	}
	text := Plain(string(a.partial))
	a.partial = a.partial[:0]
	if text = strings.TrimRight(text, " "); text != "" {
		a.line(a.at, text)
	}
}

// line takes one without its end.
func (a *analysis) line(at time.Time, text string) {
	has := known.in(text)
	if sign, ok := phaseOf(text, has); ok {
		a.reached(at, sign)
	}
	boot := a.current()
	if boot == nil {
		return // output of before our record: of no boot that we know
	}
	if boot.Last = at; has == nil {
		return
	}
	for _, f := range faults {
		if f.Reason != "" && strings.HasPrefix(text, f.Reason) {
			a.reasons[f] = strings.TrimPrefix(text, f.Reason)
		}
	}
	f, detail := find(text, has)
	if f == nil || boot.has(f.Name) {
		return
	}
	if detail == "" {
		detail = cmp.Or(a.reasons[f], f.Unsaid, text)
	}
	says := f.Says
	if strings.Contains(says, "%s") {
		says = fmt.Sprintf(says, strings.TrimRight(detail, ".")) + "."
	}
	boot.Findings = append(boot.Findings, Finding{Fault: f.Name, At: at, Says: says, Do: f.Do, Line: text, halts: f.Halts})
}

func (b *Boot) has(fault string) bool {
	for _, f := range b.Findings {
		if f.Fault == fault {
			return true
		}
	}
	return false
}

func (a *analysis) current() *Boot {
	if len(a.boots) == 0 {
		return nil
	}
	return &a.boots[len(a.boots)-1]
}

func (a *analysis) begin(at time.Time, phase Phase) {
	a.boots = append(a.boots, Boot{Began: at, Last: at, Phases: []Span{{Phase: phase, Began: at}}})
	a.reasons = map[*Fault]string{}
}

// reached notes that a boot is in a phase. It goes forward only; what belongs to an earlier phase is either a straggler
// or, where it cannot be, another boot.
func (a *analysis) reached(at time.Time, sign phaseSign) {
	boot, phase := a.current(), sign.phase
	if boot == nil || phase <= boot.Phase() && (sign.tells == start || sign.tells == reset && boot.Phase() >= Kernel) {
		a.begin(at, phase)
		return
	}
	// The firmware tries one device after the other, so that these two come in any order.
	swap := boot.Phase() == DiskBoot && phase == NetworkBoot
	if phase <= boot.Phase() && !swap {
		return
	}
	last := &boot.Phases[len(boot.Phases)-1]
	last.Took = at.Sub(last.Began)
	boot.Phases = append(boot.Phases, Span{Phase: phase, Began: at})
	// A firmware that goes on to the next device has not got past what is wrong with the one before.
	for i := range boot.Findings {
		boot.Findings[i].Passed = boot.Findings[i].Passed || phase >= BootLoader
	}
	if phase == Login {
		boot.Good = true
	}
}

// compare puts beside each phase how long it took in the last good boot before.
func (a *analysis) compare() {
	var good *Boot
	for i := range a.boots {
		boot := &a.boots[i]
		for j := range boot.Phases {
			if good != nil {
				boot.Phases[j].Usual = good.took(boot.Phases[j].Phase)
			}
		}
		if boot.Good {
			good = boot
		}
	}
}

func (b *Boot) took(phase Phase) (sum time.Duration) {
	for _, span := range b.Phases {
		if span.Phase == phase {
			sum += span.Took
		}
	}
	return sum
}

// control are terminal sequences (ECMA-48: CSI, OSC, two-character escapes) and control characters that print nothing.
var control = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]`)

// Plain is a terminal's text without its control sequences; ends of lines and tabs stay.
func Plain(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }) {
		return text
	}
	return control.ReplaceAllString(text, "")
}
