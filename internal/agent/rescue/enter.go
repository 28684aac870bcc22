package rescue

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// What the program is told to be, as its only argument.
const (
	InitArgument  = "rescue"
	ServeArgument = "rescue-serve"
)

const (
	program   = "/init"
	busybox   = "/bin/busybox"
	stateFile = "/run/rescue.json"
)

// environment of everything in the rescue system.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh"}

// state is all that is kept of the time before.
type state struct {
	agentapi.Rescue
	HostKey []byte // seed of an Ed25519 key, which lives as long as this boot
}

// Prepare writes down what the rescue system needs to know. It fails where the RAM disk has no tools.
func Prepare(order agentapi.Rescue) error {
	if _, err := os.Stat(busybox); err != nil {
		return fmt.Errorf("this RAM disk is not that of the rescue system: %w", err)
	}
	s := state{Rescue: order, HostKey: make([]byte, ed25519.SeedSize)}
	if _, err := rand.Read(s.HostKey); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(stateFile, text, 0o600)
}

// Enter replaces this process by the rescue system's init. It returns only when that failed.
func Enter() error {
	return fmt.Errorf("starting the rescue system: %w", unix.Exec(program, []string{program, InitArgument}, environment))
}

func readState() (s state, err error) {
	text, err := os.ReadFile(stateFile)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}
