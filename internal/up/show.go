package up

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// display prints what happens, with the seconds since the start.
type display struct {
	out     *os.File
	started time.Time
	live    bool // a terminal: a progress bar may be drawn over
	bar     *progressbar.ProgressBar
	percent int
}

func newDisplay(out *os.File) *display {
	return &display{out: out, started: time.Now(), live: term.IsTerminal(int(out.Fd()))}
}

func (d *display) line(mark, format string, args ...any) {
	d.endBar()
	fmt.Fprintf(d.out, "%s %6.1f s  %s\n", mark, time.Since(d.started).Seconds(), fmt.Sprintf(format, args...)) //nolint:errcheck // a closed terminal must not stop the work
}

func (d *display) title(text string)               { d.line("==", "%s", text) }
func (d *display) note(format string, args ...any) { d.line("  ", format, args...) }

func (d *display) text(format string, args ...any) {
	d.endBar()
	fmt.Fprintf(d.out, format, args...) //nolint:errcheck // see line
}

// progress shows how far a step is: a bar on a terminal, a line per quarter elsewhere.
func (d *display) progress(title string, percent int) {
	if !d.live {
		if percent/25 > d.percent/25 {
			d.note("%s: %d %%", title, percent)
		}
		d.percent = percent
		return
	}
	if d.bar == nil {
		d.bar = progressbar.NewOptions(100, progressbar.OptionSetWriter(d.out), progressbar.OptionSetDescription("   "+strings.Repeat(" ", 9)+title),
			progressbar.OptionSetWidth(30), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	_ = d.bar.Set(percent)
}

func (d *display) endBar() {
	if d.bar != nil {
		_ = d.bar.Finish()
		d.bar = nil
	}
	d.percent = 0
}
