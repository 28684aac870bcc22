// Command bench measures what Ingot promises about speed and size, and fails when a promise is broken. It needs what
// `make up` needs, brings up a cloud of its own with a rack of one machine, and leaves nothing behind.
//
// Every goal is a ratio, or a figure that does not depend on how fast the computer is; both sides of a ratio are
// measured in the same run. A goal that a computer cannot reach by its kind (emulated machines, two cores for both ends
// of a TLS connection) is shown as measured, with the reason, and does not fail the run.
package main
