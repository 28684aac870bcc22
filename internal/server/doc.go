// Package server puts the parts together: it is the only package that imports all of them, and it does so in one
// visible place (build.go). What the running process listens to and loops over is in run.go.
package server
