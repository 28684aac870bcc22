package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which proc(5) counts time: USER_HZ, which is 100 wherever Linux runs.
const tick = 10 * time.Millisecond

// process is what is counted of one.
type process struct {
	parent int
	time   time.Duration // user and system, with that of children that ended and were waited for
}

// processes are all that run on this computer, by id.
func processes() (map[int]process, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := map[int]process{}
	for _, folder := range folders {
		text, err := os.ReadFile(filepath.Join(folder, "stat"))
		if err != nil {
			continue // it ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			return nil, err
		}
		if all[pid], err = parseStat(text); err != nil {
			return nil, fmt.Errorf("%s/stat: %w", folder, err)
		}
	}
	return all, nil
}

// parseStat reads a line of /proc/PID/stat, proc(5). The program's name may have anything in it, so what follows the
// last parenthesis counts.
func parseStat(line []byte) (p process, err error) {
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:])) // state ppid …
	const first, last = 11, 14                                                // utime, stime, cutime, cstime
	if len(fields) <= last {
		return p, errors.New("it is too short")
	}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return p, err
	}
	for _, field := range fields[first : last+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return p, err
		}
		p.time += time.Duration(ticks) * tick
	}
	return p, nil
}

// family is some processes with all that descend from them.
func family(all map[int]process, ancestors ...int) (pids []int) {
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	pids = append(pids, ancestors...)
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

// computed is how long processes and their descendants have computed so far.
func computed(ancestors ...int) (sum time.Duration, err error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range family(all, ancestors...) {
		sum += all[pid].time
	}
	return sum, nil
}

// share of the computer's memory that processes and their descendants hold, in bytes. What several have in common is
// counted once (PSS).
func share(ancestors ...int) (sum int64, err error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range family(all, ancestors...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
				if err != nil {
					return 0, err
				}
				sum += kib << 10
			}
		}
	}
	return sum, nil
}
