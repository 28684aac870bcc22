// Package console records what instances' machines print on their serial lines, and lets people watch and type.
//
// A line has one owner, so one process holds a lease on it (lease.go) and keeps it open all the time, watched or not
// (line.go). What is printed goes into a bounded recording on disk (recording.go) and to whoever watches (viewer.go). A
// console is opened with a token that is good once (token.go); who opened which, when and for how long stays in the
// database (session.go). What the recording says about boots is internal/console/forensics; what goes wrong is put on record
// with the instance (troubles.go).
//
// The decisions behind it are in docs/decisions/0005-console.md.
package console
