package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describeComputer says what the figures were measured on. How busy it is otherwise matters, too.
func describeComputer(w io.Writer) {
	fmt.Fprintf(w, "%d cores (%s), %s, %s, load %s\n\n", //nolint:errcheck // nobody is left to tell
		runtime.NumCPU(), value("/proc/cpuinfo", "model name"), value("/proc/meminfo", "MemTotal"), runtime.Version(), load())
}

// value of the first line "name : value" of a file of proc(5).
func value(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "?"
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

// ownTime is what this process has computed so far, user and system.
func ownTime() time.Duration {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage) // it fails for wrong arguments only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// idleTime is how long the computer's cores have been idle so far, all together: proc(5), in ticks of 1/100 s.
func idleTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)) // cpu user nice system idle iowait
	if len(fields) < 6 {
		return 0
	}
	var ticks int64
	for _, field := range fields[4:6] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
