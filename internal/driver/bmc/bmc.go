// Package bmc chooses the driver of a machine's BMC and what is wrapped around its calls. The drivers are below it,
// one package for each protocol; bmctest is the suite that they all pass.
package bmc

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/fake"
	"github.com/ingotcloud/ingot/internal/driver/bmc/ipmi"
	"github.com/ingotcloud/ingot/internal/driver/bmc/redfish"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Options says how patiently BMCs are treated. The zero value is made of defaults that suit real ones.
type Options struct {
	Log        *slog.Logger  // nil: slog.Default()
	Retry      around.Policy // no Attempts: 4 attempts, pauses of 1 s to 8 s with jitter
	Concurrent int           // calls to one BMC at once; 0: 2
	Timeout    time.Duration // of one attempt; 0: 60 s
	Fake       bool          // machines that exist nowhere are there too: machine.FakeHardware
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Retry.Attempts == 0 {
		o.Retry = around.Policy{Attempts: 4, Base: time.Second, Max: 8 * time.Second, Jitter: rand.Float64}
	}
	if o.Concurrent == 0 {
		o.Concurrent = 2
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return o
}

// New gives the Dial that the rest of the program makes its drivers with. BMC kinds: "redfish", "ipmi" and, where that is
// wanted, machine.FakeHardware; another is fault.Invalid. All drivers of one address share its limit of concurrent calls.
//
// Each call is logged once with its outcome; each attempt waits for its turn apart, so that a BMC that is down does not
// hold its slots during the pauses, and has a deadline of its own.
func New(opts Options) machine.Dial {
	opts = opts.withDefaults()
	limits, nowhere := limits{n: opts.Concurrent}, fake.NewRack()
	return func(b machine.BMC) (machine.Driver, error) {
		wrap := around.Chain(
			around.Log(opts.Log, b.Kind+" "+b.Address, b.Password),
			around.Retry(opts.Retry),
			limits.of(b.Address),
			around.Timeout(opts.Timeout),
		)
		switch b.Kind {
		case "redfish":
			return redfish.New(b, wrap)
		case "ipmi":
			return ipmi.New(b, wrap)
		case machine.FakeHardware:
			if opts.Fake {
				return nowhere.Dial(b), nil
			}
		}
		return nil, fault.New(fault.Invalid, "A BMC's kind is redfish or ipmi, not %q.", b.Kind)
	}
}

// limits keeps one limit for each BMC address for as long as the program runs: as many as there are machines.
type limits struct {
	n  int
	mu sync.Mutex
	by map[string]around.Func
}

func (l *limits) of(address string) around.Func {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]around.Func{}
	}
	if l.by[address] == nil {
		l.by[address] = around.Limit(l.n)
	}
	return l.by[address]
}
