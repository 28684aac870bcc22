// Package reconcile keeps one thing equal to another: a domain marks what changed in the transaction that changes it,
// and a loop mends what is marked until that succeeds. A mark says only that it is worth looking; what is right is read
// anew, so marks may come twice, and none is lost with a process.
//
//	mark.go    Mark, and what is Pending
//	loop.go    Loop: what it is made of, Run, Poke, Look
//	round.go   the work of the process that has the queue
//	lease.go   which process that is
//	notify.go  how another process's Poke reaches it
package reconcile
