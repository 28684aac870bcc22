package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const readyFile = "serve.ready"

// SayReady notes in the home that this process is ready to serve; the function it gives takes that back.
func SayReady(home string) (takeBack func() error, err error) {
	path := filepath.Join(home, readyFile)
	err = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600)
	return func() error { return os.Remove(path) }, err
}

// ReadyPID is the process that last said that it is ready; 0 when none did. It may have died since.
func ReadyPID(home string) int {
	text, err := os.ReadFile(filepath.Join(home, readyFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
