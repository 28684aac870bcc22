package console_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

func cpu(b *testing.B) time.Duration {
	var used unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// 1,000 consoles that print 1 kB/s each are recorded. What the machines in memory cost is in it.
func BenchmarkThousandConsoles(b *testing.B) {
	r := newRig(b, dbtest.SQLite(b))
	var instances []string
	r.stop()
	for n := range 1000 {
		i := uuid.NewString()
		r.Lend(fmt.Sprint("m", n), i)
		instances = append(instances, i)
	}
	c := quick(r.folder)
	c.LookEvery = time.Second
	r.start(c, NoPeers{})
	Eventually(b, "all lines to be open", func() bool { return r.Opened() == len(instances) })
	for _, i := range instances {
		r.recorded(i)
	}
	line := strings.Repeat("x", 99) + "\n"
	const seconds = 5
	for b.Loop() {
		before, began := cpu(b), time.Now()
		tick := time.NewTicker(100 * time.Millisecond)
		for range 10 * seconds {
			for n := range instances {
				r.Print(fmt.Sprint("m", n), line)
			}
			<-tick.C
		}
		tick.Stop()
		b.ReportMetric(100*float64(cpu(b)-before)/float64(time.Since(began)), "%core")
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys-m.HeapReleased)/1e6, "MB")
	}
	for _, i := range instances[:3] {
		Eventually(b, "the whole output to be recorded", func() bool { return strings.Count(r.text(i), line)%(10*seconds) == 0 })
	}
}

// From a key to its echo, within the process that records: what recording and viewers add to the BMC's own time.
func BenchmarkKeyToEcho(b *testing.B) {
	r := newRig(b, dbtest.SQLite(b))
	i := r.instance("m1")
	v, err := r.Watch(i, "alice")
	must(b, err)
	defer v.Close()
	var took []time.Duration
	buffer := make([]byte, 4096)
	for b.Loop() {
		began := time.Now()
		must(b, v.Type([]byte("k")))
		for echoed := false; !echoed; {
			news, err := v.Next(b.Context(), buffer)
			must(b, err)
			echoed = strings.Contains(string(news.Output), "k")
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
}
