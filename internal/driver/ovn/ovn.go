package ovn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/sbdb"
)

// Options of Connect. NB is required.
type Options struct {
	// NB and SB are the endpoints of the databases as OVN writes them (ovsdb(7)): "unix:/run/ovn/ovnnb_db.sock",
	// "tcp:192.0.2.1:6641", "ssl:…"; those of a cluster with commas between. Without SB there is nothing to tell about
	// chassis, bindings and gateways.
	NB, SB string
	TLS    *tls.Config // for "ssl:"
	// Owner marks our rows and tells them from those of other clouds in the same database; empty: "ingot".
	Owner  string
	Logger *slog.Logger // nil: slog.Default
}

// Client speaks to OVN's databases. All its methods may be called at once.
type Client struct {
	owner  string
	nb     *link
	sb     *link // nil: none was asked for
	cancel context.CancelFunc
	ended  sync.WaitGroup
	events events

	mu     sync.Mutex
	global chan struct{} // closed when NB_Global has changed
}

// Connect begins to connect, and connects again for ever when a connection is lost, until Close or the end of ctx. It does
// not wait for the first connection (see Wait), and fails only where the options cannot work.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Owner == "" {
		o.Owner = "ingot"
	}
	if err := checkName(o.Owner); err != nil {
		return nil, fmt.Errorf("ovn: owner: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{owner: o.Owner, cancel: cancel, global: make(chan struct{})}
	c.events.wake = make(chan struct{}, 1)

	northbound := models()
	northbound.SetIndexes(scopeIndexes())
	nb, err := newLink("northbound", northbound, nbdb.Schema(), o.NB, o)
	if err != nil {
		cancel()
		return nil, err
	}
	c.nb, nb.handler, nb.connected = nb, c.northboundEvents(), func() { c.events.tell(Event{Kind: Resync}) }
	if o.SB != "" {
		southbound, err := sbdb.FullDatabaseModel()
		if err != nil {
			cancel()
			return nil, err
		}
		sb, err := newLink("southbound", southbound, sbdb.Schema(), o.SB, o)
		if err != nil {
			cancel()
			return nil, err
		}
		c.sb, sb.handler, sb.connected = sb, c.southboundEvents(), nb.connected
		c.ended.Go(func() { sb.run(ctx) })
	}
	c.ended.Go(func() { nb.run(ctx) })
	c.ended.Go(func() { c.events.run(ctx) })
	return c, nil
}

// Close ends the connections and waits until nothing of the client runs any more.
func (c *Client) Close() {
	c.cancel()
	c.ended.Wait()
}

// Connected reports whether all databases are connected and read.
func (c *Client) Connected() bool { return c.Health() == nil }

// Health says what keeps the client from its work: nil when all is well.
func (c *Client) Health() error {
	var sick []error
	for _, l := range []*link{c.nb, c.sb} {
		if l != nil {
			sick = append(sick, l.health())
		}
	}
	return errors.Join(sick...)
}

// Wait waits until the client is connected, or else until the end of ctx, which is the fault Unavailable.
func (c *Client) Wait(ctx context.Context) error {
	for _, l := range []*link{c.nb, c.sb} {
		if l == nil {
			continue
		}
		if err := l.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// splitEndpoints takes a list of endpoints apart. The library takes an empty address for a default, which we never mean.
func splitEndpoints(list string, config *tls.Config) ([]string, error) {
	var endpoints []string
	for endpoint := range strings.SplitSeq(list, ",") {
		kind, address, _ := strings.Cut(strings.TrimSpace(endpoint), ":")
		if kind != "unix" && kind != "tcp" && kind != "ssl" || address == "" {
			return nil, fmt.Errorf("%q is no endpoint: it begins with unix:, tcp: or ssl: and names an address", endpoint)
		}
		if kind == "ssl" && config == nil {
			return nil, fmt.Errorf("%q needs a certificate and key", endpoint)
		}
		endpoints = append(endpoints, kind+":"+address)
	}
	return endpoints, nil
}

// scopeIndexes make the rows of a scope findable without a look at the others.
func scopeIndexes() map[string][]model.ClientIndex {
	indexes := map[string][]model.ClientIndex{}
	for _, name := range tables {
		indexes[name] = []model.ClientIndex{{Columns: []model.ColumnKey{{Column: "external_ids", Key: scopeKey}}}}
	}
	return indexes
}
