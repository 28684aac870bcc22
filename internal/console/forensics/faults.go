package forensics

import (
	"regexp"
	"strings"
)

// Fault is something that goes wrong at boots, and what its user can do.
type Fault struct {
	Name string
	// Says is one sentence for the user; %s in it is the detail that Signs found.
	Says string
	// Do is what helps.
	Do    string
	Signs []Sign
	// Reason is the beginning of lines that come before the sign and say why; the last one is the finding's detail.
	Reason string
	// Unsaid is the detail where no line said why; empty: the sign's own line.
	Unsaid string
	// Halts: the boot does not go on by itself.
	Halts bool
}

// Sign is what a fault looks like in one line.
type Sign struct {
	Text   string         // somewhere in the line
	Detail *regexp.Regexp // its first group is the finding's detail; nil: the whole line is. A line that does not match is no sign
	Not    string         // a line with this belongs to another fault; empty: none
}

// faults are all that are known, the more specific ones first: a line is a sign of one fault only.
var faults = []*Fault{
	&secureBoot, &noBootDevice, &kernelMissing, &grubRescue, &rootNotFound, &fsckWaiting, &initramfsShell, &dhcpTimeout, &outOfMemory, &machineCheck,
	&diskErrors, &kernelPanic,
}

// find tells which fault a line that has these texts is a sign of, and its detail.
func find(line string, has map[string]bool) (*Fault, string) {
	for _, f := range faults {
		for _, sign := range f.Signs {
			if !has[sign.Text] || sign.Not != "" && strings.Contains(line, sign.Not) {
				continue
			}
			if sign.Detail == nil {
				return f, ""
			}
			if found := sign.Detail.FindStringSubmatch(line); found != nil {
				return f, strings.TrimSpace(found[1])
			}
		}
	}
	return nil, ""
}

// FaultNames are all faults that are known.
func FaultNames() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.Name)
	}
	return names
}
