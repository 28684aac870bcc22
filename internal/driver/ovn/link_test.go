package ovn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/driver/ovn/schema"
	"github.com/ingotcloud/ingot/internal/fault"
)

// someRows is a network with ports, a group with rules and a balancer with a health check.
func someRows() wants {
	w := wants{"network/net": {network("net")}, "group/sg": {group("sg"), rule("ssh", "sg")},
		"balancer/lb": {{ID: "lb", In: []ovn.Ref{ovn.Switch("net")}, Model: &nbdb.LoadBalancer{Name: "lb", Vips: map[string]string{"10.0.0.8:80": "10.0.0.5:80"}}},
			{ID: "check", In: []ovn.Ref{ovn.LoadBalancer("lb")}, Model: &nbdb.LoadBalancerHealthCheck{Vip: "10.0.0.8:80", Options: map[string]string{"interval": "1"}}}}}
	for i := range 20 {
		id := fmt.Sprint("p", i)
		w[ovn.Scope("port/"+id)] = []ovn.Row{port(id, "net", "sg")}
	}
	return w
}

func TestServerDies(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	var mu sync.Mutex
	resyncs := 0
	defer c.Watch(func(e ovn.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == ovn.Resync {
			resyncs++
		}
	})()
	want := someRows()
	applyAll := func() int {
		t.Helper()
		n, err := c.ApplyAll(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	applyAll()
	before, _, uuids := dial(t, nb).dump()

	nb.Kill()
	ovntest.Eventually(t, "the loss is seen", func() bool { return !c.Connected() })
	if _, err := c.ApplyAll(t.Context(), want); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a server: %v", err)
	}
	nb.Start()
	wait(t, c)
	if n := applyAll(); n != 0 {
		t.Errorf("after a restart: %d operations", n)
	}

	nb.Kill()
	nb.Wipe()
	nb.Start()
	ovntest.Eventually(t, "the loss is seen", func() bool {
		scopes, err := c.Differing(want)
		return err == nil && len(scopes) == len(want)
	})
	if n := applyAll(); n == 0 {
		t.Error("nothing was written to an empty database")
	}
	after, _, uuidsAfter := dial(t, nb).dump()
	if diff := cmp.Diff(before, after) + cmp.Diff(uuids, uuidsAfter); diff != "" {
		t.Errorf("the database is not what it was:\n%s", diff)
	}
	ovntest.Eventually(t, "each new connection is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return resyncs >= 2
	})
}

// TestKilledWhileWriting kills the server again and again under writers, which come to the right end.
func TestKilledWhileWriting(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	want := someRows()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				for scope := range want {
					_, err1 := c.Apply(t.Context(), scope, want[scope])
					_, err2 := c.Apply(t.Context(), scope, nil)
					for _, err := range []error{err1, err2} {
						if err != nil && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Conflict) {
							t.Errorf("%s: %v", scope, err)
						}
					}
				}
			}
		}
	}()
	for range 4 {
		time.Sleep(50 * time.Millisecond)
		nb.Kill()
		nb.Start()
		ovntest.Eventually(t, "the client is back", func() bool { return c.Connected() })
	}
	close(stop)
	<-stopped
	ovntest.Eventually(t, "all is right again", func() bool {
		_, err := c.ApplyAll(t.Context(), want)
		return err == nil
	})
	if ours, _, _ := dial(t, nb).dump(); cmp.Diff(expected(want), ours) != "" {
		t.Error(cmp.Diff(expected(want), ours))
	}
}

// TestSilentServer shows that a call ends with its context when the server says nothing.
func TestSilentServer(t *testing.T) {
	nb := ovntest.Northbound(t)
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	resume := nb.Pause()
	defer resume()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Apply(ctx, "network/net", []ovn.Row{network("net")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	resume()
	if _, err := c.Apply(t.Context(), "network/net", []ovn.Row{network("net")}); err != nil {
		t.Error(err)
	}
}

// TestTwoWriters has two processes write the same at once.
func TestTwoWriters(t *testing.T) {
	nb := ovntest.Northbound(t)
	want := someRows()
	var done sync.WaitGroup
	for range 2 {
		c := connect(t, ovn.Options{NB: nb.Endpoint()})
		done.Go(func() {
			for _, scope := range []ovn.Scope{"network/net", "group/sg"} {
				if _, err := c.Apply(t.Context(), scope, want[scope]); err != nil {
					t.Errorf("%s: %v", scope, err)
				}
			}
			for scope, rows := range want {
				if _, err := c.Apply(t.Context(), scope, rows); err != nil {
					t.Errorf("%s: %v", scope, err)
				}
			}
		})
	}
	done.Wait()
	if ours, _, _ := dial(t, nb).dump(); cmp.Diff(expected(want), ours) != "" {
		t.Error(cmp.Diff(expected(want), ours))
	}
}

// TestOtherSchemas connects to a newer OVN, which has columns and tables that we do not know, and refuses one that lacks a
// column.
func TestOtherSchemas(t *testing.T) {
	var newer, older map[string]any
	for _, s := range []*map[string]any{&newer, &older} {
		if err := json.Unmarshal(schema.Northbound, s); err != nil {
			t.Fatal(err)
		}
	}
	columns := func(s map[string]any, table string) map[string]any {
		return s["tables"].(map[string]any)[table].(map[string]any)["columns"].(map[string]any)
	}
	columns(newer, "Logical_Switch")["novelty"] = map[string]any{"type": "string"}
	newer["tables"].(map[string]any)["Novelty"] = map[string]any{"columns": map[string]any{"name": map[string]any{"type": "string"}}, "isRoot": true}
	delete(columns(older, "ACL"), "tier")
	text := func(s map[string]any) []byte {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nb := ovntest.WithSchema(t, "nb", text(newer))
	c := connect(t, ovn.Options{NB: nb.Endpoint()})
	if _, err := c.ApplyAll(t.Context(), someRows()); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, nb).transact(op{"op": "update", "table": "Logical_Switch", "where": []any{}, "row": op{"novelty": "x"}}); err != nil {
		t.Error(err)
	}
	if n, err := c.ApplyAll(t.Context(), someRows()); n != 0 || err != nil {
		t.Errorf("a new column: %d operations, %v", n, err)
	}

	c, err := ovn.Connect(t.Context(), ovn.Options{NB: ovntest.WithSchema(t, "nb", text(older)).Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ovntest.Eventually(t, "Health names the column", func() bool {
		err := c.Health()
		return err != nil && strings.Contains(err.Error(), "tier")
	})
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ovn"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certFile, keyFile := write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
	nb := ovntest.Northbound(t, "--remote=pssl:0:127.0.0.1", "--private-key="+keyFile, "--certificate="+certFile, "--ca-cert="+certFile)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c := connect(t, ovn.Options{NB: "ssl:127.0.0.1:" + nb.Port(), TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "127.0.0.1"}})
	apply(t, c, "network/net", network("net"))

	stranger, err := ovn.Connect(t.Context(), ovn.Options{NB: "ssl:127.0.0.1:" + nb.Port(), TLS: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	ovntest.Eventually(t, "a client without a certificate is refused", func() bool {
		err := stranger.Health()
		return err != nil && !bytes.Contains([]byte(err.Error()), []byte("not connected yet"))
	})
}

func TestOptions(t *testing.T) {
	for what, o := range map[string]ovn.Options{
		"no endpoint":           {},
		"an unknown kind":       {NB: "http://example"},
		"no address":            {NB: "unix:"},
		"TLS without a key":     {NB: "ssl:127.0.0.1:6641"},
		"an owner with a space": {NB: "unix:/nowhere", Owner: "a b"},
		"a bad second endpoint": {NB: "unix:/nowhere,"},
		"a bad southbound one":  {NB: "unix:/nowhere", SB: "x"},
	} {
		if c, err := ovn.Connect(t.Context(), o); err == nil {
			c.Close()
			t.Errorf("%s is accepted", what)
		}
	}
}
