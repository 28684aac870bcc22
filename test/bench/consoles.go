package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// consoles runs the benchmarks beside the code, whose machines are in memory: they print the figures.
func (b *bench) consoles(ctx context.Context) ([]goal, error) {
	recorded, err := benchmark(ctx, "./internal/console", "BenchmarkThousandConsoles", "%core", "MB")
	if err != nil {
		return nil, err
	}
	echo, err := benchmark(ctx, "./internal/api/consoledoor", "BenchmarkKeyToEcho", "µs-median")
	if err != nil {
		return nil, err
	}
	core, memory, late := recorded[0], recorded[1], echo[0]/1e3
	return []goal{
		{name: "1,000 consoles of 1 kB/s recorded: of one core", limit: "< 25 %", figure: fmt.Sprintf("%.1f %%", core), verdict: atMost(core, 25)},
		{name: "1,000 consoles of 1 kB/s recorded: memory", limit: "< 200 MB", figure: fmt.Sprintf("%.0f MB", memory), verdict: atMost(memory, 200)},
		{name: "Key to echo, added by the proxy (median)", limit: "< 5 ms", figure: fmt.Sprintf("%.3f ms", late), verdict: atMost(late, 5)},
	}, nil
}

// benchmark runs one of a package and gives its figures in these units, all of which it must print.
func benchmark(ctx context.Context, where, name string, units ...string) ([]float64, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+name+"$", where).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w\n%s", name, where, err, out)
	}
	fields := strings.Fields(string(out))
	var figures []float64
	for _, unit := range units {
		at := slices.Index(fields, unit)
		if at < 1 {
			return nil, fmt.Errorf("%s of %s printed no %s:\n%s", name, where, unit, out)
		}
		figure, err := strconv.ParseFloat(fields[at-1], 64)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", name, where, err)
		}
		figures = append(figures, figure)
	}
	return figures, nil
}
