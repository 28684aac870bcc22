package inventory

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

var (
	cpuDir  = regexp.MustCompile(`^cpu\d+$`)
	nodeDir = regexp.MustCompile(`^node(\d+)$`)
)

// cpu counts in sysfs, which all architectures fill alike, and takes the names from /proc/cpuinfo.
func (r *Reader) cpu() agentapi.CPU {
	var cpu agentapi.CPU
	sockets, cores := map[string]bool{}, map[string]bool{}
	for _, name := range r.list("devices/system/cpu") {
		if !cpuDir.MatchString(name) {
			continue
		}
		topology := filepath.Join("devices/system/cpu", name, "topology")
		socket := r.text(topology, "physical_package_id")
		sockets[socket] = true
		cores[socket+"/"+r.text(topology, "die_id")+"/"+r.text(topology, "core_id")] = true
		cpu.Threads++
	}
	cpu.Sockets, cpu.Cores = len(sockets), len(cores)
	info, err := os.ReadFile(filepath.Join(r.Proc, "cpuinfo"))
	if err != nil {
		r.note("CPU", err)
		return cpu
	}
	first, _, _ := strings.Cut(string(info), "\n\n")
	for line := range strings.Lines(first) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "model name":
			cpu.Model = value
		case "cpu MHz":
			cpu.MHz, _ = strconv.ParseFloat(value, 64) // a frequency of the moment; replaced below where a better is known
		case "flags", "Features":
			cpu.Flags = strings.Fields(value)
		}
	}
	if kHz := r.number("devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); kHz > 0 {
		cpu.MHz = float64(kHz) / 1000
	}
	return cpu
}

// memory is what is plugged in, in bytes, by the SMBIOS tables; what the kernel got when there are none.
func (r *Reader) memory() int64 {
	table, err := os.ReadFile(filepath.Join(r.Sys, "firmware/dmi/tables/DMI"))
	if err == nil {
		if size := pluggedIn(table); size > 0 {
			return size
		}
	}
	info, err := os.ReadFile(filepath.Join(r.Proc, "meminfo"))
	if err != nil {
		r.note("memory", err)
		return 0
	}
	return memTotal(string(info))
}

// pluggedIn sums the memory devices, structures of type 17 (SMBIOS 3.7, 7.18). A structure is a header with type and
// length, the formatted part, and strings up to two zero bytes.
func pluggedIn(table []byte) int64 {
	var total int64
	for len(table) >= 4 {
		kind, length := table[0], int(table[1])
		if length < 4 || length > len(table) {
			break
		}
		if kind == 17 && length >= 0x0e {
			total += moduleSize(table[:length])
		}
		end := strings.Index(string(table[length:]), "\x00\x00")
		if end < 0 {
			break
		}
		table = table[length+end+2:]
	}
	return total
}

func moduleSize(s []byte) int64 {
	switch size := binary.LittleEndian.Uint16(s[0x0c:]); {
	case size == 0xffff: // unknown
		return 0
	case size == 0x7fff && len(s) >= 0x20: // does not fit
		return int64(binary.LittleEndian.Uint32(s[0x1c:])&0x7fffffff) << 20
	case size&0x8000 != 0:
		return int64(size&0x7fff) << 10
	default:
		return int64(size) << 20
	}
}

var memTotalLine = regexp.MustCompile(`MemTotal:\s*(\d+) kB`)

func memTotal(meminfo string) int64 {
	match := memTotalLine.FindStringSubmatch(meminfo)
	if match == nil {
		return 0
	}
	kB, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil {
		return 0
	}
	return kB << 10
}

func (r *Reader) numa() []agentapi.NUMA {
	var nodes []agentapi.NUMA
	for _, name := range r.list("devices/system/node") {
		match := nodeDir.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		id, err := strconv.Atoi(match[1])
		if err != nil {
			continue
		}
		cpus, err := parseList(r.text("devices/system/node", name, "cpulist"))
		if err != nil {
			r.note("NUMA node "+match[1], err)
		}
		nodes = append(nodes, agentapi.NUMA{ID: id, CPUs: cpus, Memory: memTotal(r.text("devices/system/node", name, "meminfo"))})
	}
	slices.SortFunc(nodes, func(a, b agentapi.NUMA) int { return a.ID - b.ID })
	return nodes
}

// parseList reads the kernel's lists of CPUs: 0-3,8.
func parseList(list string) ([]int, error) {
	var numbers []int
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || b-a > 1<<16 {
			return nil, fmt.Errorf("%q is no list of CPUs", list)
		}
		for n := a; n <= b; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}
