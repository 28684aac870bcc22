// Package rescue is what the agent's RAM disk becomes for a tenant who repairs a server: an SSH server on the tenant's own
// networks, with tools (internal/ramdisk, tools.go) and the machine's disks, none of which is mounted.
//
// The agent enters it by executing itself anew (Enter). So its memory, its connections and its session's secret are gone
// before anything of the tenant's runs; what goes on is a file with the tenant's keys, and the kernel, whose command
// line shows a token that was spent long ago. Process 1 (Init) then only minds a second process (Serve), which does the rest:
// children of a Go program are best not reaped behind its back.
package rescue
