package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("77 (a) b (c)) S 5 77 77 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 99 1000 200\n"))
	if want := (process{parent: 5, time: 1240 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := parseStat([]byte("77 (a) S 5 77")); err == nil {
		t.Error("half a line was read")
	}
}

func TestFamilyIsAllDescendantsOnce(t *testing.T) {
	got := family(map[int]process{1: {parent: 0}, 2: {parent: 1}, 3: {parent: 2}, 4: {parent: 1}, 5: {parent: 4}}, 2, 4)
	if len(got) != 4 {
		t.Errorf("%v", got)
	}
}

func TestPress(t *testing.T) {
	var asked atomic.Int64
	seen, err := press(t.Context(), 3, 0, 10, func(context.Context) error { asked.Add(1); return nil })
	if err != nil || asked.Load() != 10 || len(seen.times) != 10 || seen.quantile(1) < seen.quantile(0) {
		t.Errorf("asked %d times, %+v, %v", asked.Load(), seen, err)
	}
	if _, err := press(t.Context(), 3, 0, 10, func(context.Context) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestCompare(t *testing.T) {
	of := func(services time.Duration) cost {
		return cost{services: services, answers: answers{times: []time.Duration{1}}}
	}
	theirs := outcome{costs: map[string]cost{"x": of(100 * time.Millisecond)}, absent: map[string]string{"compute": "no room"}}
	for _, x := range []struct {
		o      operation
		ours   time.Duration
		figure string
		verdict
	}{
		{operation{name: "x", goal: .1}, 10 * time.Millisecond, "1/10", met},
		{operation{name: "x", goal: .1}, 20 * time.Millisecond, "1/5", missed},
		{operation{name: "y", service: "compute", goal: .1, recorded: time.Second}, 500 * time.Millisecond, "1/2", beyond},
	} {
		if g := x.o.compare(of(x.ours), theirs); g.figure != x.figure || g.verdict != x.verdict {
			t.Errorf("%+v", g)
		}
	}
}
