// Package test tells the stories of Ingot's users as scripts that anyone can read (testdata/*.txtar), run with the real
// clients against a cloud that `ingot up` made: QEMU machines with real firmware, virtual BMCs, and the programs as
// they are installed.
package test
