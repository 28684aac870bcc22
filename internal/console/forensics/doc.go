// Package forensics reads what a machine printed while it started: it cuts the stream into boots and their phases, says
// how long each took next to the last good boot, and recognises what commonly goes wrong. It knows text and times only,
// neither machines nor instances.
//
// Each known fault is one file, named fault_….go; the table of all is in faults.go. The logs in testdata show what each
// looks like: a new fault begins with one of them.
package forensics
