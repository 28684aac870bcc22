package ovn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Times of a connection.
const (
	firstDelay = 100 * time.Millisecond // between attempts to connect; doubled up to lastDelay
	lastDelay  = 5 * time.Second
	readTime   = 2 * time.Minute // to connect and read the whole database
	probeEvery = 10 * time.Second
	probeTime  = 30 * time.Second // a server that writes a large transaction answers nothing meanwhile
	lookEvery  = 200 * time.Millisecond
)

// link holds the connection to one database. Each connection has a new client of the library, which could reconnect by
// itself, but then gives up with a panic, keeps a cache that missed an update, and says it is connected while it is not.
type link struct {
	name      string
	models    model.ClientDBModel
	schema    ovsdb.DatabaseSchema
	options   []client.Option
	log       *slog.Logger
	handler   cache.EventHandler // is told of every change of a row
	connected func()             // is called after each connection

	mu    sync.Mutex
	now   *session      // nil: down
	err   error         // why it is down; nil: it is not, or that is not known yet
	since time.Time     // when it went down
	up    chan struct{} // closed when now is set, new when it is cleared
}

// session is one connection with its copy of the database.
type session struct {
	client.Client
	rows *cache.TableCache
	gone chan struct{} // closed when the connection is lost
}

func newLink(name string, models model.ClientDBModel, schema ovsdb.DatabaseSchema, endpoints string, o Options) (*link, error) {
	list, err := splitEndpoints(endpoints, o.TLS)
	if err != nil {
		return nil, fmt.Errorf("ovn: %s database: %w", name, err)
	}
	l := &link{name: name, models: models, schema: schema, log: o.Logger.With("database", name),
		err: errors.New("not connected yet"), since: time.Now(), up: make(chan struct{})}
	logger := logr.FromSlogHandler(l.log.Handler())
	l.options = []client.Option{client.WithLogger(&logger), client.WithTLSConfig(o.TLS), client.WithLeaderOnly(len(list) > 1)}
	for _, endpoint := range list {
		l.options = append(l.options, client.WithEndpoint(endpoint))
	}
	return l, nil
}

// run connects for ever.
func (l *link) run(ctx context.Context) {
	delay := firstDelay
	for ctx.Err() == nil {
		s, err := l.dial(ctx)
		if err == nil {
			l.log.Info("OVN is connected", "endpoint", s.CurrentEndpoint())
			l.set(s, nil)
			l.connected()
			err = s.watch(ctx)
			l.set(nil, err)
			s.Close()
			delay = firstDelay
		} else {
			l.set(nil, err)
		}
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("OVN is not connected", "error", err, "again_in", delay)
		select {
		case <-ctx.Done():
		case <-time.After(delay/2 + rand.N(delay)):
		}
		delay = min(2*delay, lastDelay)
	}
}

func (l *link) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c, err := client.NewOVSDBClient(l.models, l.options...)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(ctx); err != nil {
		return nil, err
	}
	s := &session{Client: c, rows: c.Cache(), gone: make(chan struct{})}
	if s.rows == nil {
		c.Close()
		return nil, errors.New("the connection was lost at once")
	}
	s.rows.AddEventHandler(l.handler)
	monitor := c.NewMonitor()
	// With monitor_cond_since the library lets errors of its cache pass; with this method it disconnects.
	monitor.Method = ovsdb.ConditionalMonitorRPC
	for name, table := range l.schema.Tables {
		monitor.Tables = append(monitor.Tables, client.TableMonitor{Table: name, Fields: slices.Collect(maps.Keys(table.Columns))})
	}
	if _, err := c.Monitor(ctx, monitor); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// watch returns when the connection is lost or ctx ends. The library may forget to tell of a loss, and does not tell at all
// when the other side is silent, so it looks by itself too.
func (s *session) watch(ctx context.Context) error {
	defer close(s.gone)
	look, probe := time.NewTicker(lookEvery), time.NewTicker(probeEvery)
	defer look.Stop()
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.DisconnectNotify():
			return errors.New("the connection was lost")
		case <-look.C:
			if s.CurrentEndpoint() == "" {
				return errors.New("the connection was lost")
			}
		case <-probe.C:
			ctx, cancel := context.WithTimeout(ctx, probeTime)
			err := s.Echo(ctx)
			cancel()
			if err != nil {
				return fmt.Errorf("the server does not answer: %w", err)
			}
		}
	}
}

func (l *link) set(s *session, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s != nil {
		close(l.up)
	} else if l.now != nil {
		l.up, l.since = make(chan struct{}), time.Now()
	}
	l.now, l.err = s, err
}

func (l *link) health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now != nil && l.now.CurrentEndpoint() != "" {
		return nil
	}
	return l.away()
}

// away is the fault of a database that is not connected. The caller holds mu.
func (l *link) away() error {
	return fault.Wrap(l.err, fault.Unavailable, "OVN's %s database has been away since %s.", l.name, l.since.UTC().Format(time.RFC3339))
}

// session is the connection there is now.
func (l *link) session() (*session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		return nil, l.away()
	}
	return l.now, nil
}

func (l *link) wait(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.away()
	}
}
