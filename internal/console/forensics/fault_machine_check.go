package forensics

import "regexp"

// machineCheck is what the processor or the memory controller tells the kernel (x86 MCE, GHES, EDAC), and unexplained NMIs.
var machineCheck = Fault{
	Name: "machine-check",
	Says: "The hardware reported an error of its own: %s",
	Do:   "Ask the operator to look at the machine's event log. If it comes again, evacuate or rebuild the server: it gets another machine.",
	Signs: []Sign{
		{Text: "[Hardware Error]: ", Detail: regexp.MustCompile(`\[Hardware Error\]: (.*)`)},
		{Text: "Fatal machine check", Detail: regexp.MustCompile(`(Fatal machine check.*)`)},
		{Text: "EDAC MC", Detail: regexp.MustCompile(`(EDAC MC\d+: \d+ [UC]E .*)`)},
		{Text: "Uhhuh. NMI received", Detail: regexp.MustCompile(`(NMI received .*)`)},
	},
}
