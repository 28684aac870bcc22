package topology_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/network"
)

// Where nothing carries the networks the ports are up that an OVN would have up, and subports follow their parent.
func TestPretence(t *testing.T) {
	m := edges()
	m.Ports = append(m.Ports, routed().Ports...)
	r, up := &memory{m: m}, map[string]bool{}
	pretence := &topology.Pretence{Reader: r, Up: func(_ context.Context, port string, is bool) error {
		up[port] = is
		return nil
	}}
	told := func(key string, want map[string]bool) {
		t.Helper()
		clear(up)
		if err := pretence.Work(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, up); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	told("network/red", map[string]bool{})
	told("port/gone", map[string]bool{})
	told("port/on-switch", map[string]bool{"on-switch": true, "sub-of-switch": false}) // a trunk cannot be in a trunk
	told("port/not-enforced", map[string]bool{"not-enforced": false})
	told("port/unbound", map[string]bool{"unbound": false, "sub-of-unbound": false})

	keys, err := pretence.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"port/on-dpu", "port/on-switch", "port/r-green", "port/r-gw", "port/r-red", "port/stopped-green", "port/sub-of-dpu"}; !slices.Equal(slices.Sorted(slices.Values(keys)), want) {
		t.Errorf("up is not known of %q, want %q", keys, want)
	}
	for _, key := range keys {
		if err := pretence.Work(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	r.change(func(m *topology.Model) {
		for _, p := range m.Ports {
			p.Up = up[p.ID]
		}
	})
	if keys, err := pretence.All(t.Context()); err != nil || len(keys) > 0 {
		t.Errorf("told of all, %q remain of %v (%v)", keys, slices.Sorted(maps.Keys(up)), err)
	}
	r.change(func(m *topology.Model) {
		for _, p := range m.Ports {
			if p.ID == "unbound" {
				p.Edge = network.Edge{Kind: network.EdgeOVS, Interface: "m9-nic0"}
			}
		}
	})
	told("port/unbound", map[string]bool{"unbound": true, "sub-of-unbound": true})
}
