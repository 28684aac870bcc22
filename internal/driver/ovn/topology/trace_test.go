package topology_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
)

// connect gives a client of a lab's OVN.
func connect(t testing.TB, cluster *lab.Cluster) *ovn.Client {
	t.Helper()
	c, err := ovn.Connect(context.Background(), ovn.Options{NB: cluster.NB(), SB: cluster.SB(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(context.Background(), ovntest.Patience)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// tracer is an ovn-trace that stays: it read the southbound database when it started, and traces packets in a fraction of a
// millisecond each.
type tracer struct {
	conn    net.Conn
	encoder *json.Encoder
	decoder *json.Decoder
	next    int
}

// connections is how often a tracer's packets may meet the connection tracker, in all, and be new there.
const connections = 20000

// newTracer starts one. It ends with close, or with the test.
func newTracer(t testing.TB, cluster *lab.Cluster) *tracer {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(strings.TrimPrefix(cluster.SB(), "unix:")), "trace")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "ctl")
	ctx, cancel := context.WithTimeout(t.Context(), ovntest.Patience)
	defer cancel()
	args := []string{"--db=" + cluster.SB(), "--detach", "--no-chdir", "--unixctl=" + socket, "-vconsole:off"}
	for range connections {
		args = append(args, "--ct=new")
	}
	cmd, err := cluster.Command(ctx, "", "ovn-trace", args...)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err != nil { // it returns when the daemon has read the database
		t.Fatal(err)
	}
	tr := &tracer{}
	if tr.conn, err = net.Dial("unix", socket); err != nil {
		t.Fatal(err)
	}
	tr.encoder, tr.decoder = json.NewEncoder(tr.conn), json.NewDecoder(tr.conn)
	t.Cleanup(tr.close)
	return tr
}

func (tr *tracer) close() {
	if tr.conn != nil {
		_, _ = tr.call("exit") // the daemon is gone before it answers, or after
		tr.conn.Close()
		tr.conn = nil
	}
}

// call is a request to an Open vSwitch daemon's control socket (ovs-appctl(8)): JSON-RPC.
func (tr *tracer) call(method string, params ...string) (string, error) {
	tr.next++
	if params == nil {
		params = []string{}
	}
	if err := tr.conn.SetDeadline(time.Now().Add(ovntest.Patience)); err != nil {
		return "", err
	}
	if err := tr.encoder.Encode(map[string]any{"id": tr.next, "method": method, "params": params}); err != nil {
		return "", err
	}
	var reply struct{ Result, Error *string }
	if err := tr.decoder.Decode(&reply); err != nil {
		return "", err
	}
	if reply.Error != nil {
		return "", errors.New(*reply.Error)
	}
	return *reply.Result, nil
}

// trace follows the first packet of a connection.
func (tr *tracer) trace(t testing.TB, microflow string) string {
	t.Helper()
	out, err := tr.call("trace", "--minimal", microflow)
	if err != nil {
		t.Fatalf("%s: %v", microflow, err)
	}
	return out
}

// arrivals are the ports that a traced packet comes out of. What the packet made others send (questions about addresses, errors)
// is not it.
func arrivals(trace string) map[string]bool {
	ports := map[string]bool{}
	depth := 0
	for line := range strings.SplitSeq(trace, "\n") {
		line = strings.TrimSpace(line)
		if depth > 0 {
			depth += strings.Count(line, "{") - strings.Count(line, "}")
			continue
		}
		for _, other := range []string{"arp ", "nd_ns ", "nd_na ", "nd_na_router ", "icmp4 ", "icmp6 ", "icmp4_error ", "icmp6_error ", "tcp_reset ", "reject "} {
			if strings.HasPrefix(line, other) && strings.HasSuffix(line, "{") {
				depth = 1
			}
		}
		if line == "icmp4.type = 0;" || line == "icmp6.type = 129;" {
			return map[string]bool{} // a router answered an echo request itself
		}
		if name, ok := strings.CutPrefix(line, `output("`); ok && depth == 0 {
			name, _, _ = strings.Cut(name, `"`)
			ports[name] = true
		}
	}
	return ports
}
