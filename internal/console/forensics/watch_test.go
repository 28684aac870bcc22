package forensics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/console/forensics"
)

// story feeds a watch one line a second and notes what it says, and when: "kernel-panic@25".
type story struct {
	w    forensics.Watch
	now  time.Time
	said []string
}

func (s *story) prints(lines ...string) {
	for _, line := range lines {
		s.w.Feed(forensics.Chunk{At: s.now, Output: []byte(line)})
		s.waits(time.Second)
	}
}

func (s *story) waits(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(time.Second)
		for _, trouble := range s.w.Troubles(s.now) {
			s.said = append(s.said, fmt.Sprintf("%s@%d", trouble.Fault, int(s.now.Sub(began).Seconds())))
		}
	}
}

func (s *story) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(s.said, " "); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	s.said, s.now = nil, began.Add(s.now.Sub(began).Truncate(time.Second))
}

const (
	kernel   = "[    0.000000] Linux version 6.1.0\n"
	panics   = "[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n"
	noAnswer = "PXE-E18: Server response timeout.\n"
)

func TestWatchSaysWhatStands(t *testing.T) {
	s := story{now: began}
	s.prints(kernel, panics)
	s.waits(time.Minute)
	s.want(t, "kernel-panic@21")
	// The machine is reset and panics again: that is no news until an hour has gone by.
	for range 3 {
		s.prints(kernel, panics)
	}
	s.want(t, "")
	s.waits(time.Hour)
	s.prints(kernel, panics, kernel) // it does not stand long, but the boot is over
	if len(s.said) != 1 || !strings.HasPrefix(s.said[0], "kernel-panic@") {
		t.Errorf("after an hour: %v", s.said)
	}
}

func TestWatchForgetsAfterAGoodBoot(t *testing.T) {
	s := story{now: began}
	s.prints(kernel, panics, kernel, "web login: ")
	s.waits(5 * time.Second) // the prompt has no end of line
	s.want(t, "kernel-panic@3")
	s.prints("\n", kernel, panics, kernel)
	if len(s.said) != 1 {
		t.Errorf("after a good boot: %v", s.said)
	}
}

func TestWatchIsSilentAboutWhatPasses(t *testing.T) {
	s := story{now: began}
	s.prints("iPXE initialising devices...\n", noAnswer)
	s.waits(10 * time.Second)
	s.prints("Booting from Hard Disk...\n", kernel, "web login: ")
	s.waits(time.Minute)
	s.want(t, "")
}

// Output of a boot that began before the watch counts: the process was started anew while the machine ran.
func TestWatchComesLate(t *testing.T) {
	s := story{now: began}
	s.prints("[ 9000.1] Out of memory: Killed process 4711 (mysqld) total-vm:1kB\n")
	s.waits(time.Minute)
	s.want(t, "out-of-memory@20")
}
