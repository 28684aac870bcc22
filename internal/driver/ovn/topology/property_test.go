package topology_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
)

// The budget of the property in CI. INGOT_SOAK=MINUTES lets it run that long instead, from a random seed.
const (
	randomTopologies = 12
	packetsEach      = 400
)

// Random topologies are written to a real OVN, and where the packets of random machines arrive, by OVN's own trace, equals
// what the reference says.
func TestReachabilityIsWhatNeutronPromises(t *testing.T) {
	config := ovntest.Config(t, lab.ChassisSpec{Name: "gw", Gateway: true})
	cluster := ovntest.StartWith(t, config)
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
		complaints(t, config.Dir)
	})
	c := connect(t, cluster)
	first, more := uint64(1), func(n int) bool { return n < randomTopologies }
	if text := os.Getenv("INGOT_SOAK"); text != "" {
		minutes, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("INGOT_SOAK is a number of minutes: %v", err)
		}
		end := time.Now().Add(time.Duration(minutes) * time.Minute)
		first, more = rand.Uint64N(1<<40), func(int) bool { return time.Now().Before(end) }
	}
	traced, arrived := 0, 0
	for n := 0; more(n) && !t.Failed(); n++ {
		seed := first + uint64(n)
		r := rand.New(rand.NewPCG(seed, 0))
		cloud := draw(r)
		if _, err := c.ApplyAll(t.Context(), cloud.All()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		ovntest.Sync(t, cluster)
		cloud.tellNeighbours(t, cluster)
		tr := newTracer(t, cluster)
		for range packetsEach {
			p := cloud.drawPacket(r)
			want := reference{cloud}.send(p)
			trace := tr.trace(t, p.microflow())
			if diff := cmp.Diff(map[string]bool(want), arrivals(trace), cmp.Comparer(func(a, b map[string]bool) bool { return maps.Equal(a, b) })); diff != "" {
				detail, err := tr.call("trace", "--detailed", p.microflow())
				t.Errorf("seed %d: %s\n%s\n%s\n%s %v", seed, p.microflow(), diff, trace, detail, err)
				break
			}
			traced++
			arrived += min(1, len(want))
		}
		tr.close()
	}
	t.Logf("%d packets as promised, %d of them arrived", traced, arrived)
	if arrived < traced/50 {
		t.Error("hardly a packet arrives: the property proves little")
	}
}

// tellNeighbours tells OVN which MAC the addresses of the external network have, as it would learn by ARP: a trace sends no
// packets.
func (c *cloud) tellNeighbours(t *testing.T, cluster *lab.Cluster) {
	t.Helper()
	known := map[string]string{outsideAddr: outsideMAC, "203.0.113.1": outsideMAC}
	datapaths := datapaths(t, cluster)
	for _, lr := range c.Routers {
		if lr.Gateway == nil {
			continue
		}
		for _, f := range c.FloatingIPs {
			if f.Router == lr.ID {
				known[f.Addr.String()] = c.gatewayMAC(lr)
			}
		}
		for _, p := range c.Ports {
			if p.ID == lr.Gateway.Port {
				known[p.FixedIPs[0].Addr.String()] = p.MAC
			}
		}
	}
	args := []string{"--", "--all", "destroy", "MAC_Binding"}
	for _, lr := range c.Routers {
		if lr.Gateway == nil || datapaths[lr.ID] == "" {
			continue
		}
		for ip, mac := range known {
			args = append(args, "--", "create", "MAC_Binding", "logical_port=lrp-"+lr.Gateway.Port, "ip="+ip, fmt.Sprintf("mac=%q", mac),
				"datapath="+datapaths[lr.ID], fmt.Sprintf("timestamp=%d", time.Now().UnixMilli()))
		}
	}
	ovntest.Run(t, cluster, "", "ovn-sbctl", args...)
}

// datapaths are the southbound UUIDs of routers and switches, by name.
func datapaths(t *testing.T, cluster *lab.Cluster) map[string]string {
	t.Helper()
	var table struct{ Data [][]json.RawMessage }
	out := ovntest.Run(t, cluster, "", "ovn-sbctl", "--format=json", "--columns=_uuid,external_ids", "list", "Datapath_Binding")
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, row := range table.Data {
		var uuid [2]string
		var ids [2]json.RawMessage
		var pairs [][2]string
		for value, into := range map[*json.RawMessage]any{&row[0]: &uuid, &row[1]: &ids} {
			if err := json.Unmarshal(*value, into); err != nil {
				t.Fatal(err)
			}
		}
		if err := json.Unmarshal(ids[1], &pairs); err != nil {
			t.Fatal(err)
		}
		for _, pair := range pairs {
			if pair[0] == "name" {
				byName[strings.TrimSpace(pair[1])] = uuid[1]
			}
		}
	}
	return byName
}
