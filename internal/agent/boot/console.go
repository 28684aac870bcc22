package boot

import (
	"io"
	"os"
)

// Console is where a person watches. It writes to the kernel's log, which shows on every console of the machine, screen
// and serial line alike, and never in the middle of a kernel message.
type Console struct{ kmsg io.Writer }

// Levels of the kernel's log (syslog's): a machine started with "quiet" shows the status line only.
const (
	levelStatus = "<3>"
	levelLog    = "<5>"
)

// OpenConsole opens the kernel's log, or standard output where there is none.
func OpenConsole() *Console {
	// Without this, the kernel drops lines that come too fast.
	if err := os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0); err != nil {
		return &Console{}
	}
	kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return &Console{}
	}
	return &Console{kmsg: kmsg}
}

// Write takes a line of the log.
func (c *Console) Write(line []byte) (int, error) {
	c.print(levelLog, string(line))
	return len(line), nil
}

// Status says in one line what the agent is at.
func (c *Console) Status(line string) { c.print(levelStatus, line+"\n") }

// print falls back to standard output, also for lines that are too long for the kernel (1 KiB).
func (c *Console) print(level, line string) {
	if c.kmsg != nil {
		if _, err := io.WriteString(c.kmsg, level+line); err == nil {
			return
		}
	}
	_, _ = os.Stdout.WriteString(line)
}
