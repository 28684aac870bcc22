package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// side is one of the two clouds that are compared.
type side struct {
	identity, baremetal, compute *client           // of an administrator
	login                        object            // the body of the administrator's request for a token
	order                        object            // the body of a request for a server
	services                     map[string][]int  // the processes that take part in each service's work
	absent                       map[string]string // services that this side has not, with the reason
	postgres                     int               // process
	stop                         func() error
}

// cost of an operation.
type cost struct {
	services, postgres time.Duration // of processors, each time
	others             float64       // cores that strangers kept busy meanwhile
	answers
}

func (c cost) whole() time.Duration { return c.services + c.postgres }

// operation is what both sides are asked for.
type operation struct {
	name     string
	service  string        // whose it is
	goal     float64       // our cost in theirs, at most
	recorded time.Duration // their services' cost on another day, on a computer like the one in docs/benchmarks.md
	times    int           // how often it is done; 0: for as long as span
	quick    bool          // it is an answer, and those come quickly
	prepare  func(context.Context, *side) (func(context.Context) error, error)
}

const (
	span    = 6 * time.Second
	clients = 4                     // at once
	quickly = 20 * time.Millisecond // for 99 of 100 answers
	servers = 20                    // that each side boots and lists

	// tolerable is how many cores strangers may keep busy where answers are to be quick: the machines that only pretend do.
	tolerable = 0.3
)

var operations = []operation{
	{"token issue", "identity", 1. / 10, 18 * time.Millisecond, 0, false, issueToken},
	{"token validate", "identity", 1. / 100, 21 * time.Millisecond, 0, true, validateToken},
	{"node create", "baremetal", 1. / 10, 20 * time.Millisecond, 200, false, createNode},
	{"list of 100 nodes", "baremetal", 1. / 20, 30 * time.Millisecond, 0, true, listNodes},
	{"node get", "baremetal", 1. / 20, 10 * time.Millisecond, 0, true, getNode},
	{"server until ACTIVE", "compute", 1. / 30, 5 * time.Second, servers, false, bootServer},
	{"list of 20 servers", "compute", 1. / 20, 240 * time.Millisecond, 0, true, listServers},
}

// measurePeers compares with OpenStack's own services from Debian, both sides on PostgreSQL, one after the other.
func measurePeers(ctx context.Context, bin, scratch string) ([]goal, error) {
	if err := os.Chmod(scratch, 0o711); err != nil { // PostgreSQL runs as another user, whose folder is in there
		return nil, err
	}
	theirs, theirMemory, err := measureSide(ctx, func() (*side, error) { return openTheirs(ctx, filepath.Join(scratch, "peers")) })
	if err != nil {
		return nil, fmt.Errorf("OpenStack's own services: %w", err)
	}
	ours, memory, err := measureSide(ctx, func() (*side, error) { return openOurs(ctx, bin, filepath.Join(scratch, "ours")) })
	if err != nil {
		return nil, err
	}
	var goals []goal
	for _, o := range operations {
		goals = append(goals, o.compare(ours.costs[o.name], theirs))
		if o.quick {
			goals = append(goals, o.quickness(ours.costs[o.name]))
		}
	}
	return append(goals, compareMemory(memory, theirMemory)...), nil
}

// outcome is what was seen of a side.
type outcome struct {
	costs  map[string]cost
	absent map[string]string
}

// measureSide opens a side, asks it for everything and closes it; it gives the memory that its services hold then, too.
func measureSide(ctx context.Context, open func() (*side, error)) (seen outcome, memory int64, err error) {
	s, err := open()
	if s != nil {
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	if err != nil {
		return seen, 0, err
	}
	seen = outcome{map[string]cost{}, s.absent}
	var all []int
	for _, o := range operations {
		if s.absent[o.service] != "" {
			continue
		}
		all = append(all, s.services[o.service]...)
		if seen.costs[o.name], err = o.measure(ctx, s); err != nil {
			return seen, 0, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	slices.Sort(all)
	memory, err = share(slices.Compact(all)...)
	return seen, memory, err
}

func (o operation) measure(ctx context.Context, s *side) (c cost, err error) {
	do, err := o.prepare(ctx, s)
	if err != nil {
		return c, err
	}
	if o.times == 0 { // what is done once only, such as opening connections, is not what is asked about
		if _, err := press(ctx, clients, time.Second, 0, do); err != nil {
			return c, err
		}
	}
	before, err := s.used(o.service)
	if err != nil {
		return c, err
	}
	idle, own := idleTime(), ownTime()
	if c.answers, err = press(ctx, clients, span, o.times, do); err != nil {
		return c, err
	}
	after, err := s.used(o.service)
	if err != nil {
		return c, err
	}
	known := after.whole() - before.whole() + (idleTime() - idle) + (ownTime() - own)
	c.others = max(0, float64(runtime.NumCPU())-known.Seconds()/c.wall.Seconds())
	n := time.Duration(len(c.times))
	c.services, c.postgres = (after.services-before.services)/n, (after.postgres-before.postgres)/n
	return c, nil
}

// used is what a service has cost so far.
func (s *side) used(service string) (c cost, err error) {
	if c.services, err = computed(s.services[service]...); err != nil {
		return c, err
	}
	c.postgres, err = computed(s.postgres)
	return c, err
}

// compare makes the line of the report. Where their side could not be measured, what was recorded once stands in for it,
// and there is no verdict.
func (o operation) compare(ours cost, theirs outcome) goal {
	g := goal{name: "Processor time, ours / theirs: " + o.name, limit: fmt.Sprintf("≤ 1/%.0f", 1/o.goal)}
	if reason := theirs.absent[o.service]; reason != "" {
		g.figure, g.verdict = fraction(ours.services, o.recorded), beyond
		g.behind = fmt.Sprintf("ours %s; theirs, as recorded on another day: %s", ours, milliseconds(o.recorded))
		g.reason = reason
		return g
	}
	other := theirs.costs[o.name]
	g.figure, g.verdict = fraction(ours.whole(), other.whole()), atMost(ours.whole().Seconds()/other.whole().Seconds(), o.goal)
	g.behind = fmt.Sprintf("ours %s\n    theirs %s", ours, other)
	return g
}

// quickness is about the answers under load.
func (o operation) quickness(ours cost) goal {
	p99 := ours.quantile(0.99)
	g := goal{
		name:  fmt.Sprintf("99 of 100 answers under load: %s", o.name),
		limit: fmt.Sprintf("< %.0f ms", quickly.Seconds()*1e3), figure: milliseconds(p99), verdict: atMost(p99.Seconds(), quickly.Seconds()),
	}
	return g.excuse(ours.others > tolerable, "%d clients and Ingot had to share the cores with others, who kept %.1f of %d busy", clients, ours.others, runtime.NumCPU())
}

// recordedMemory is what a whole OpenStack of Debian 12 held where it was recorded, with two workers for each API.
const recordedMemory = 6 << 30

func compareMemory(ours, theirs int64) []goal {
	const limit = 1. / 20
	size := func(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/megabyte) }
	goals := []goal{{
		name: "Memory, ours / a whole OpenStack's", limit: "≤ 1/20", figure: fraction(ours, recordedMemory), verdict: atMost(float64(ours)/recordedMemory, limit),
		behind: fmt.Sprintf("ours %s; theirs, as recorded on another day: %s", size(ours), size(recordedMemory)),
	}}
	if theirs > 0 {
		goals = append(goals, goal{
			name: "Memory, ours / that of the services of this run", limit: "-", figure: fraction(ours, theirs),
			behind: fmt.Sprintf("ours %s; Keystone and Ironic %s", size(ours), size(theirs)),
		})
	}
	return goals
}

// fraction writes a ratio as 1/12.
func fraction[N ~int64](part, whole N) string {
	if part <= 0 {
		return "0"
	}
	if ratio := float64(whole) / float64(part); ratio >= 1 {
		return fmt.Sprintf("1/%.3g", ratio)
	}
	return fmt.Sprintf("%.2g", float64(part)/float64(whole))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3g ms", d.Seconds()*1e3) }

func (c cost) String() string {
	return fmt.Sprintf("%s, of it PostgreSQL %s (%d times; half of the answers within %s, 99 of 100 within %s)",
		milliseconds(c.whole()), milliseconds(c.postgres), len(c.times), milliseconds(c.quantile(0.5)), milliseconds(c.quantile(0.99)))
}
