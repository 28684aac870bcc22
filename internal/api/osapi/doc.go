// Package osapi is what all OpenStack dialects share: a table of routes, microversions, strict JSON, policies, paging,
// error envelopes, request ids, limits, access log and metrics.
//
// A dialect (internal/api/nova and its siblings) is a value: where it is mounted, how it speaks of versions and of
// errors, and its routes. A route says method, pattern, versions, policy, success status and handler on one line; a
// route without a policy keeps the program from starting. Handlers get a Request, return a value or a fault, and know
// nothing of HTTP beyond that.
package osapi
