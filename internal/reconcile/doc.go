// Package reconcile keeps one thing equal to another: a domain marks what changed in the transaction that changes it,
// and a loop mends what is marked until that succeeds. A mark says only that it is worth looking; what is right is read
// anew, so marks may come twice, and none is lost with a process.
package reconcile
