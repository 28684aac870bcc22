// Package ipmi drives machines through IPMI 2.0 over the network (RMCP+, "lanplus"), with go-ipmi's client.
//
// A driver logs in at its first call and keeps the session; the library keeps it alive. When a call gets no answer, the
// session counts as lost: the driver logs in anew and repeats the call once, except orders that must not be given
// twice. Calls of one driver take turns, because the numbers that pair IPMI answers with requests allow no other; an open
// console has a session of its own and disturbs nobody.
//
// Only cipher suites 17 and 3 are spoken: the others know no encryption, no integrity or, as suite 0, no password.
package ipmi
