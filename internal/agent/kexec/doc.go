// Package kexec starts the system on a disk without going through the firmware: it looks for a kernel where boot
// loaders look (a unified kernel image, a Boot Loader Specification entry, grub.cfg), loads it and jumps.
//
// What it reads was written by a tenant, so nothing of it is trusted: file systems are mounted read-only and without
// replaying their journals, paths cannot leave them, scripts have a budget of steps. Whatever goes wrong here is no
// failure: the machine can still start through its firmware.
package kexec
