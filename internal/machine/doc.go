// Package machine knows the physical computers: how they are reached, what they are, in which state they are and who
// has them. Its workflows take a machine from an address of a BMC to a clean spare that waits powered on in the agent
// (verify.go, inspect.go, clean.go), and its doors to the agent (boot.go, ask.go) serve every workflow that
// needs work done on a machine. Operators switch the power by a flow of its own (switch.go).
//
// The states are one table (states.go), with Ironic's names. A machine in trouble is quarantined: out of the pool,
// with the reason, and with the verbs manage and provide as the way back.
package machine
