// Package boot does the duties of process 1 in the RAM disk: file systems, kernel modules, the network, orphans and the
// clock, and a reboot when all else fails.
package boot
