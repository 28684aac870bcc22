package main

import (
	"fmt"
	"io"
)

// verdict on a goal.
type verdict string

const (
	met     verdict = "met"
	missed  verdict = "MISSED"
	beyond  verdict = "not here" // this computer cannot tell: see the goal's reason
	noLimit verdict = ""         // only for information
)

// goal is a line of the report.
type goal struct {
	name    string
	limit   string
	figure  string
	behind  string // the figures behind the figure
	verdict verdict
	reason  string
}

// atMost judges a figure that is to be small.
func atMost(figure, limit float64) verdict {
	if figure <= limit {
		return met
	}
	return missed
}

// atLeast judges a figure that is to be large.
func atLeast(figure, limit float64) verdict {
	if figure >= limit {
		return met
	}
	return missed
}

// excuse turns a miss into a figure without verdict where the computer is to blame.
func (g goal) excuse(blame bool, reason string, args ...any) goal {
	if g.verdict == missed && blame {
		g.verdict, g.reason = beyond, fmt.Sprintf(reason, args...)
	}
	return g
}

// print writes the goal and says whether the run may pass.
func (g goal) print(w io.Writer) (passed bool) {
	fmt.Fprintf(w, "%-56s %-10s %10s  %s\n", g.name, g.limit, g.figure, g.verdict) //nolint:errcheck // nobody is left to tell
	for _, line := range []string{g.behind, g.reason} {
		if line != "" {
			fmt.Fprintf(w, "    %s\n", line) //nolint:errcheck // see above
		}
	}
	return g.verdict != missed
}
