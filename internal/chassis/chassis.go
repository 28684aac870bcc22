package chassis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
)

// Options of Run.
type Options struct {
	// OVS is the endpoint of the local Open vSwitch's database, such as unix:/run/openvswitch/db.sock. It also tells where
	// OVN's southbound database is, as it tells ovn-controller.
	OVS string
	// Namespace is the named network namespace in which vswitchd runs; empty: this process' own.
	Namespace string
	// Name begins the names of the namespaces that are made: two chassis on one host differ in it.
	Name string
	// URL of the control plane's metadata door (https), Pin the hex SHA-256 of its key, and Secret what it shares with
	// the chassis.
	URL    *url.URL
	Pin    []byte
	Secret []byte
	TLS    *tls.Config // for a southbound database at "ssl:"
	Logger *slog.Logger
}

// Times of Run.
const (
	lookEvery  = 30 * time.Second       // at everything: who tampered with an outpost, what was left by another process
	settle     = 50 * time.Millisecond  // changes of bindings come in bursts
	againAfter = 500 * time.Millisecond // after a failure; doubled up to lookEvery
)

// local is what the local Open vSwitch says of itself.
type local struct {
	chassis    string // system-id
	southbound string // ovn-remote
	bridge     string
}

// runner is a running program.
type runner struct {
	Options
	local    local
	upstream http.RoundTripper
	outposts map[string]*outpost // by network; those that answer
	// complaints about the control plane follow tenants' requests, who must not be able to fill the log.
	complaints rate.Sometimes
}

// Run brings the metadata service to this chassis' networks until ctx ends. What fails is logged and tried again.
func Run(ctx context.Context, o Options) error {
	r := &runner{Options: o, upstream: transport(o.Pin), outposts: map[string]*outpost{}, complaints: rate.Sometimes{Interval: 10 * time.Second}}
	defer func() {
		for network := range r.outposts {
			r.hangUp(network)
		}
	}()
	pause := againAfter
	for ctx.Err() == nil {
		began := time.Now()
		err := r.run(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > lookEvery {
			pause = againAfter
		}
		r.Logger.Warn("the chassis has no connection; it is tried again", "error", err, "after", pause)
		sleep(ctx, pause)
		pause = min(2*pause, lookEvery)
	}
	return nil
}

// run works until ctx ends or the local Open vSwitch says something new of itself.
func (r *runner) run(ctx context.Context) (err error) {
	if r.local, err = r.identity(ctx); err != nil {
		return err
	}
	southbound, err := ovn.ConnectSouthbound(ctx, ovn.Options{SB: r.local.southbound, TLS: r.TLS, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer southbound.Close()
	if err := southbound.Wait(ctx); err != nil { // until then it logs what is missing
		return err
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	pause, whole := againAfter, true
	for {
		err := r.round(ctx, southbound, whole)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		whole = whole && err != nil // until everything was looked at once
		if err != nil {
			r.Logger.Warn("not every network has its metadata service; it is tried again", "error", err, "after", pause)
			retry.Reset(pause)
			pause = min(2*pause, lookEvery)
		} else {
			retry.Stop()
			pause = againAfter
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-southbound.Changed():
			sleep(ctx, settle)
		case <-retry.C:
		case <-look.C:
			whole = true
			now, err := r.identity(ctx)
			if err == nil && now != r.local {
				return fmt.Errorf("the chassis is another one now: %+v was %+v", now, r.local)
			}
		}
	}
}

// round gives each network with a machine here its outpost, and takes away those that are not needed any more. A whole round
// also mends what stands already, and finds what others left.
func (r *runner) round(ctx context.Context, southbound *ovn.Southbound, whole bool) error {
	ports, err := southbound.Localports(r.local.chassis)
	if err != nil {
		return err // what stands goes on: nobody said that it is not needed
	}
	want := map[string]place{}
	for port, addresses := range ports {
		network, ours := topology.MetadataNetwork(port)
		if !ours {
			continue
		}
		if want[network], err = parsePlace(addresses); err != nil {
			return fmt.Errorf("port %s: %w", port, err)
		}
	}
	var failed []error
	for network, at := range want {
		if o := r.outposts[network]; !whole && o != nil && o.place.equal(at) {
			continue
		}
		if err := r.raise(ctx, network, at); err != nil {
			failed = append(failed, fmt.Errorf("network %s: %w", network, err))
		}
	}
	gone := map[string]bool{}
	for network := range r.outposts {
		gone[network] = true
	}
	if whole {
		left, err := r.leftovers(ctx)
		if err != nil {
			failed = append(failed, err)
		}
		for _, network := range left {
			gone[network] = true
		}
	}
	for network := range gone {
		if _, wanted := want[network]; wanted {
			continue
		}
		if err := r.remove(ctx, network); err != nil {
			failed = append(failed, fmt.Errorf("network %s: %w", network, err))
		}
	}
	return errors.Join(failed...)
}

// Remove takes away everything that a Run of that name made.
func Remove(ctx context.Context, o Options) (err error) {
	r := &runner{Options: o}
	if r.local, err = r.identity(ctx); err != nil {
		return err
	}
	left, err := r.leftovers(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, network := range left {
		failed = append(failed, r.remove(ctx, network))
	}
	return errors.Join(failed...)
}

// place is what an outpost's interface must have.
type place struct {
	mac       string
	addresses []netip.Addr
}

func (p place) equal(q place) bool { return p.mac == q.mac && slices.Equal(p.addresses, q.addresses) }

// parsePlace reads a binding's addresses: one entry, "MAC IP IP".
func parsePlace(mac []string) (p place, err error) {
	if len(mac) != 1 {
		return p, fmt.Errorf("its addresses are %q", mac)
	}
	fields := strings.Fields(mac[0])
	if len(fields) < 2 {
		return p, fmt.Errorf("its addresses are %q", mac)
	}
	p.mac = fields[0]
	for _, field := range fields[1:] {
		a, err := netip.ParseAddr(field)
		if err != nil {
			return p, err
		}
		p.addresses = append(p.addresses, a)
	}
	return p, nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
