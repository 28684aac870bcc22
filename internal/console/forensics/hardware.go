package forensics

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// hardwareFault is what a BMC's event log tells of the hardware: words of IPMI's event names, and of the usual vendors'.
type hardwareFault struct {
	name, says, do string
	signs          *regexp.Regexp
}

const replace = "Tell the operator. If it comes again, rebuild the server or let it be evacuated: it gets another machine."

// hardwareFaults, the first that fits counts: a fan of a power supply is a fan.
var hardwareFaults = []hardwareFault{
	{"hardware-thermal", "The machine is too hot, or its cooling fails: %s.", "Tell the operator: the machine will slow down or switch itself off.",
		regexp.MustCompile(`(?i)\bthermal|\btemperature|overheat|processor hot|prochot|\bfans?\b`)},
	{"hardware-machine-check", "The processor or a bus reported an error of its own: %s.", replace,
		regexp.MustCompile(`(?i)machine check|\bMCE\b|\bMCERR\b|\bCATERR\b|\bIERR\b|\b[SP]ERR\b|FRB\d|fatal error.*\bbus\b|(processor|\bCPU\b|\bPCIe?\b|\bbus\b).*(error|fail|fatal|fault|uncorrect)`)},
	{"hardware-memory", "The memory failed or had to be corrected: %s.", replace,
		regexp.MustCompile(`(?i)\bECC\b|\bmemory\b|\bDIMMs?\b`)},
	{"hardware-power", "The machine's power failed: %s.", "Tell the operator. Switch the server on again if it is off.",
		regexp.MustCompile(`(?i)power suppl|\bPSU|power unit|lost power|power (was )?lost|AC lost|input lost|\bvoltage|power redundancy`)},
}

// Hardware recognises an entry of a machine's hardware log: severity is Redfish's (OK, Warning, Critical). What is well, what
// is over again, and what no user needs to know is none.
func Hardware(at time.Time, severity, message string) (Finding, bool) {
	if severity == "OK" || severity == "" || strings.HasSuffix(message, "(no longer)") {
		return Finding{}, false
	}
	for _, f := range hardwareFaults {
		if f.signs.MatchString(message) {
			detail := strings.TrimRight(strings.TrimSpace(message), ".")
			return Finding{Fault: f.name, At: at, Says: fmt.Sprintf(f.says, detail), Do: f.do, Line: message}, true
		}
	}
	return Finding{}, false
}

// Add puts a finding from elsewhere into the boot in which it came; one of before the first boot that is known into that. Of
// the same fault a boot has one.
func (r *Report) Add(f Finding) {
	if len(r.Boots) == 0 {
		r.Boots = append(r.Boots, Boot{Began: f.At, Last: f.At, Phases: []Span{{Phase: PowerOn, Began: f.At}}})
	}
	boot := &r.Boots[0]
	for i := range r.Boots {
		if !r.Boots[i].Began.After(f.At) {
			boot = &r.Boots[i]
		}
	}
	if !boot.has(f.Fault) {
		boot.Findings = append(boot.Findings, f)
	}
}
