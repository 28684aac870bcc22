package forensics

import "regexp"

// outOfMemory is the kernel's OOM killer (mm/oom_kill.c).
var outOfMemory = Fault{
	Name: "out-of-memory",
	Says: "The machine ran out of memory: %s",
	Do:   "Find what uses it (the kernel's table above this line names every process), give it a limit, or take a flavor with more memory.",
	Signs: []Sign{
		{Text: "ut of memory: Killed process", Detail: regexp.MustCompile(`(Killed process \d+ \([^)]*\))`)},
		{Text: "Out of memory and no killable processes", Detail: regexp.MustCompile(`(no killable processes)`)},
		{Text: "System is deadlocked on memory", Detail: regexp.MustCompile(`(deadlocked on memory)`)},
	},
}
