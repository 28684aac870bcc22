package topology_test

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/qos"
)

// A port's limits hold in each direction by themselves, and only there.
func TestRateLimits(t *testing.T) {
	const rate, burst = 1000, 100 // kbit/s, kbit
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one"})
	c := connect(t, cluster)
	m := &cloud{}
	m.network("red", "10.0.0.0/24")
	m.group("open", "out v4", "in v4")
	m.Policies = []*qos.Policy{
		{ID: "slow-up", Rules: []*qos.Rule{{ID: "up", Kind: qos.BandwidthLimit, Egress: true, Rate: rate, Burst: burst}}},
		{ID: "slow-down", Rules: []*qos.Rule{{ID: "down", Kind: qos.BandwidthLimit, Rate: rate, Burst: burst}}},
	}
	at := map[string]*ovntest.Machine{}
	for i, policy := range []string{"slow-up", "slow-down", ""} {
		p := m.port("port-"+policy, "red", []string{"10.0.0.10", "10.0.0.11", "10.0.0.12"}[i])
		p.Groups, p.QoS = []string{"open"}, policy
		at[policy] = plugged(t, cluster, "one", p)
	}
	run(t, c, &m.Model).settled(t, c)
	ovntest.Sync(t, cluster)
	for _, way := range []struct {
		from, to string
		limited  bool
	}{
		{"slow-up", "", true}, {"", "slow-down", true}, {"", "slow-up", false}, {"slow-down", "", false},
	} {
		from, to := at[way.from], at[way.to]
		if !from.Ping(t, to.Address[0].Addr().String(), ovntest.Patience) {
			t.Fatalf("%s does not reach %s", from.ID, to.ID)
		}
		sent, arrived, took := flood(t, from, to)
		limit := rate*1000/8*took.Seconds() + burst*1000/8
		t.Logf("%s to %s: %d bytes sent in %v, %d arrived, %.0f are allowed", from.ID, to.ID, sent, took, arrived, limit)
		switch {
		case float64(sent) < 3*limit:
			t.Skipf("this host sends only %d bytes where %.0f are allowed", sent, limit)
		case way.limited && (float64(arrived) > 1.5*limit || float64(arrived) < limit/3):
			t.Errorf("of %d bytes from %s to %s %d arrived; the limit allows %.0f", sent, from.ID, to.ID, arrived, limit)
		case !way.limited && float64(arrived) < 1.6*limit:
			t.Errorf("of %d bytes from %s to %s only %d arrived; the limit of the other direction allows %.0f", sent, from.ID, to.ID, arrived, limit)
		}
	}
}

// flood sends datagrams for two seconds, and counts the bytes of those that arrive.
func flood(t *testing.T, from, to *ovntest.Machine) (sent, arrived int, took time.Duration) {
	t.Helper()
	listener, err := netns.ListenPacket(to.Namespace, "udp", ":9000")
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	if err := netns.Do(from.Namespace, func() (err error) {
		conn, err = net.Dial("udp", to.Address[0].Addr().String()+":9000")
		return err
	}); err != nil {
		t.Fatal(errors.Join(err, listener.Close()))
	}
	defer conn.Close()
	counted := make(chan int)
	go func() {
		total, buffer := 0, make([]byte, 2000)
		for {
			n, _, err := listener.ReadFrom(buffer)
			if err != nil {
				counted <- total
				return
			}
			total += n
		}
	}()
	payload := bytes.Repeat([]byte("x"), 1000)
	began := time.Now()
	for time.Since(began) < 2*time.Second {
		for range 3 {
			if n, err := conn.Write(payload); err == nil { // a full buffer is no matter
				sent += n
			}
		}
		time.Sleep(time.Millisecond)
	}
	took = time.Since(began)
	time.Sleep(200 * time.Millisecond) // what is on its way arrives
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return sent, <-counted, took
}
