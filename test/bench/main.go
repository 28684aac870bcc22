package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/tenantimage"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

func main() {
	if os.Getpid() == 1 {
		guest()
		return
	}
	bin := flag.String("bin", "bin", "folder with the programs, as `make build` leaves it")
	dir := flag.String("dir", "/var/tmp", "folder on the disk to measure")
	only := flag.String("only", "", "part to measure alone: "+partNames())
	networks := flag.Int("networks", 1000, "how many networks are many")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	passed, err := run(ctx, *bin, *dir, *only, *networks)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// run measures everything, or one part, and says whether no goal was missed.
func run(ctx context.Context, bin, dir, only string, networks int) (passed bool, err error) {
	began := time.Now()
	if only != "" && !slices.ContainsFunc(parts, func(p part) bool { return p.name == only }) {
		return false, fmt.Errorf("%q is no part; these are: %s", only, partNames())
	}
	if os.Getuid() != 0 {
		return false, errors.New("the rack's network needs root")
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp(dir, "ingot-bench-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	passed = true
	b := &bench{bin: bin, scratch: scratch, networks: networks}
	describeComputer(os.Stdout)
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		goals, err := p.measure(b, ctx)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.name, err)
		}
		for _, g := range goals {
			passed = g.print(os.Stdout) && passed
		}
	}
	fmt.Printf("\nmeasured in %.0f s\n", time.Since(began).Seconds())
	return passed, nil
}

// bench is what all parts are told.
type bench struct {
	bin      string // folder of the programs
	scratch  string // folder of the run's own
	networks int    // how many are many
}

// part is something that can be measured alone.
type part struct {
	name    string
	measure func(*bench, context.Context) ([]goal, error)
}

// parts in their order.
var parts = []part{
	{"sizes", (*bench).sizes},
	{"writes", (*bench).writes},
	{"servers", (*bench).servers},
	{"networks", (*bench).tenantNetworks},
	{"consoles", (*bench).consoles},
	{"peers", (*bench).peers},
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

func (b *bench) writes(ctx context.Context) ([]goal, error) { return measureWrites(ctx, b.scratch) }

func (b *bench) peers(ctx context.Context) ([]goal, error) {
	return measurePeers(ctx, b.bin, b.scratch)
}

// servers compares a server's way to its prompt in the rack with a machine that boots directly.
func (b *bench) servers(ctx context.Context) ([]goal, error) {
	artifacts, err := b.artifacts(ctx)
	if err != nil {
		return nil, err
	}
	image, err := tenantimage.Build(ctx, tenantimage.Options{})
	if err != nil {
		return nil, err
	}
	lived, accel, err := measureCloud(ctx, b.bin, b.scratch)
	if err != nil {
		return nil, err
	}
	inGuest, err := bootGuest(ctx, b.scratch, accel, artifacts.Kernel)
	if err != nil {
		return nil, err
	}
	direct, data, err := directBoot(ctx, b.scratch, accel, image, bestOf)
	if err != nil {
		return nil, err
	}
	return append(lived.goals, goal{
		name: "Image write / raw direct I/O in a machine of the rack", limit: "-", figure: fmt.Sprintf("%.2f", inGuest.Image/inGuest.Raw),
		behind: fmt.Sprintf("image %.0f MiB/s, raw %.0f MiB/s, SHA-256 on one core %.0f MiB/s", inGuest.Image, inGuest.Raw, inGuest.Hash),
	}, lived.againstDirect(direct, data, inGuest, accel)), nil
}

func (b *bench) artifacts(ctx context.Context) (ramdisk.Artifacts, error) {
	return ramdisk.Build(ctx, ramdisk.Options{Agent: filepath.Join(b.bin, "ingot-agent")})
}

const megabyte = 1e6

func (b *bench) sizes(ctx context.Context) ([]goal, error) {
	artifacts, err := b.artifacts(ctx)
	if err != nil {
		return nil, err
	}
	var goals []goal
	for _, part := range []struct {
		name, path string
		limit      float64 // megabytes; 0: none
	}{
		{"RAM disk of the agent", artifacts.Initrd, 25},
		{"Program ingot-agent", filepath.Join(b.bin, "ingot-agent"), 0},
		{"Program ingot", filepath.Join(b.bin, "ingot"), 0},
	} {
		info, err := os.Stat(part.path)
		if err != nil {
			return nil, err
		}
		size := float64(info.Size()) / megabyte
		g := goal{name: part.name, limit: "-", figure: fmt.Sprintf("%.1f MB", size)}
		if part.limit > 0 {
			g.limit, g.verdict = fmt.Sprintf("≤ %.0f MB", part.limit), atMost(size, part.limit)
		}
		goals = append(goals, g)
	}
	return goals, nil
}

// bestOf is how often what boots a machine is measured. The best counts, on both sides: others can only slow it down.
const bestOf = 2

// life is what was seen of a cloud.
type life struct {
	goals []goal
	best  order
}

func measureCloud(ctx context.Context, bin, scratch string) (l life, accel string, err error) {
	if err := os.MkdirAll(filepath.Join(scratch, "cloud"), 0o700); err != nil {
		return l, "", err
	}
	c, up, err := bringUp(ctx, bin, scratch)
	if c != nil {
		defer func() { err = errors.Join(err, c.takeDown()) }()
	}
	if err != nil {
		return l, "", err
	}
	if accel, err = c.accel(); err != nil {
		return l, "", err
	}
	model, err := c.theServer(ctx)
	if err != nil {
		return l, "", err
	}
	s, peak := model, int64(0)
	var releases []time.Duration
	for range bestOf {
		released, err := c.release(ctx, s)
		if err != nil {
			return l, "", err
		}
		releases = append(releases, released)
		var o order
		if o, s, err = c.order(ctx, model); err != nil {
			return l, "", err
		}
		peak = max(peak, o.peak)
		if l.best.prompt == 0 || o.prompt < l.best.prompt {
			l.best = o
		}
	}
	pid, err := c.pid("serve")
	if err != nil {
		return l, "", err
	}
	time.Sleep(settle)
	memory, err := resident(pid)
	if err != nil {
		return l, "", err
	}
	var restarts []time.Duration
	for range 3 {
		restarted, err := c.restart(ctx)
		if err != nil {
			return l, "", err
		}
		restarts = append(restarts, restarted)
	}
	ready := median(restarts).Seconds()
	l.goals = []goal{
		{name: "From nothing to a tenant's login (ingot up, one machine)", limit: "-", figure: fmt.Sprintf("%.1f s", up.Seconds())},
		{name: "From DELETE to a clean warm spare", limit: "-", figure: fmt.Sprintf("%.1f s", slices.Min(releases).Seconds())},
		megabytes("Control plane at rest, after these servers", memory, 120),
		megabytes("Agent at its peak while it deploys", peak, 64),
		{
			name: "ingot serve from exec to listening (SQLite)", limit: "< 1 s", figure: fmt.Sprintf("%.2f s", ready), verdict: atMost(ready, 1),
			behind: fmt.Sprint("restarts: ", restarts),
		},
		{
			name: "POST /servers to the prompt on a warm spare", limit: "< 60 s", figure: fmt.Sprintf("%.1f s", l.best.prompt.Seconds()), verdict: atMost(l.best.prompt.Seconds(), 60),
			behind: fmt.Sprintf("the agent wrote the image in %.1f s, ACTIVE after %.1f s", l.best.writing.Seconds(), l.best.active.Seconds()),
		},
	}
	return l, accel, nil
}

func megabytes(name string, bytes int64, limit float64) goal {
	size := float64(bytes) / megabyte
	return goal{name: name, limit: fmt.Sprintf("≤ %.0f MB", limit), figure: fmt.Sprintf("%.0f MB", size), verdict: atMost(size, limit)}
}

// againstDirect compares with the least that there is to do: write the image as fast as the disk takes it, boot it.
func (l life) againstDirect(direct time.Duration, data int64, machine guestFigures, accel string) goal {
	const limit = 1.25
	write := float64(data) / mib / machine.Raw
	ratio := l.best.prompt.Seconds() / (write + direct.Seconds())
	g := goal{
		name: "POST to prompt / (raw write + direct boot)", limit: fmt.Sprintf("≤ %.2f", limit), figure: fmt.Sprintf("%.2f", ratio), verdict: atMost(ratio, limit),
		behind: fmt.Sprintf("%.1f s / (%.0f MiB at %.0f MiB/s = %.1f s, + %.1f s)", l.best.prompt.Seconds(), float64(data)/mib, machine.Raw, write, direct.Seconds()),
	}
	return g.excuse(strings.HasPrefix(accel, "tcg"),
		"the machines are emulated: TLS, SHA-256 (%.0f MiB/s) and kexec's own checks are computing there, and a raw write is none", machine.Hash)
}

// median of some times.
func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
