package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// Progress takes the state of a long command; it may be called at any rate, from several goroutines.
type Progress func(agentapi.Progress)

// Hardware is the machine that commands run on. Every method may be called again after it failed or was cancelled, and
// begins anew. Errors carry their blame as *failure.Error.
type Hardware interface {
	Inspect(ctx context.Context, progress Progress) (agentapi.Inventory, error)
	Erase(ctx context.Context, order agentapi.Erase, progress Progress) (agentapi.EraseResult, error)
	Deploy(ctx context.Context, order agentapi.Deploy, images Images, progress Progress) (agentapi.DeployResult, error)
	// Boot prepares the jump. The loop calls jump once the result is taken; jump returns only when it failed.
	Boot(ctx context.Context, order agentapi.BootInto) (result agentapi.BootResult, jump func() error, err error)
	// Rescue prepares to become the rescue system. The loop calls enter once the report is taken; enter takes nothing with it
	// but the order, and returns only when it failed.
	Rescue(ctx context.Context, order agentapi.Rescue) (enter func() error, err error)
}

// Images gives images from the control plane.
type Images interface {
	// Manifest of the image, parsed but not checked.
	Manifest(ctx context.Context, image string) (deployimage.Manifest, error)
	// Range of the image's blob, and the blob's whole size as the server tells it. The caller closes the body, which
	// ends early when the connection breaks. It does not retry, but says hello again when the session is refused.
	Range(ctx context.Context, image string, start, length int64) (body io.ReadCloser, total int64, err error)
}

// Options of an agent. Boot, Hardware and Log are required.
type Options struct {
	Boot        agentapi.Boot
	Hardware    Hardware
	Log         *slog.Logger
	Version     string
	UUID        string // SMBIOS system UUID
	MACs        []string
	BootSeconds float64             // kernel uptime when the agent started
	LogText     func() string       // answers KindLog; nil: an empty log
	SetClock    func(time.Time)     // takes the control plane's time; nil: the clock stays
	Status      func(status string) // one line for the person at the console; nil: nobody watches
	RetryMin    time.Duration       // first pause after a failed request; 0: 250 ms
	RetryMax    time.Duration       // longest pause; 0: 10 s
	Heartbeat   time.Duration       // a running command without progress is reported this often; 0: 5 s
}

// Agent is one boot of one machine.
type Agent struct {
	Options
	client *client

	mu       sync.Mutex
	epoch    int64                      // highest seen
	current  *run                       // nil when idle
	finished map[string]agentapi.Report // by command id
	order    []string                   // of finished, oldest first
}

// run is the command that runs now.
type run struct {
	command agentapi.Command
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed after the last report was taken or dropped
}

// Reasons for which a command's context is cancelled; neither wants a report.
var (
	errNotOurs = errors.New("the control plane no longer wants this command")
	errFenced  = errors.New("an order of a newer epoch took over")
)

// remembered results; the control plane asks again only for recent ones.
const remembered = 256

// New makes an agent with a fresh secret. It fails when the boot parameters cannot be used.
func New(o Options) (*Agent, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("making the session secret: %w", err)
	}
	o.RetryMin = cmpOr(o.RetryMin, 250*time.Millisecond)
	o.RetryMax = cmpOr(o.RetryMax, 10*time.Second)
	o.Heartbeat = cmpOr(o.Heartbeat, 5*time.Second)
	if o.LogText == nil {
		o.LogText = func() string { return "" }
	}
	if o.SetClock == nil {
		o.SetClock = func(time.Time) {}
	}
	if o.Status == nil {
		o.Status = func(string) {}
	}
	a := &Agent{Options: o, finished: map[string]agentapi.Report{}}
	c, err := newClient(o.Boot, hex.EncodeToString(secret), a.hello, a.welcomed)
	if err != nil {
		return nil, err
	}
	a.client = c
	return a, nil
}

func cmpOr(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Run serves the control plane until ctx ends, then stops the running command, waits for it and returns ctx's error.
func (a *Agent) Run(ctx context.Context) error {
	a.Status("calling the control plane at " + a.Boot.URL)
	retry := a.newRetry()
	waiting := false
	for ctx.Err() == nil {
		command, err := a.client.poll(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			a.Log.Warn("asking for work failed, trying again", "error", err)
			waiting = false
			retry.pause(ctx)
		default:
			retry.reset()
			if a.idle() && !waiting {
				a.Status(fmt.Sprintf("waiting for work (machine %s)", a.UUID))
				waiting = true
			}
			if command != nil {
				waiting = false
				a.take(ctx, *command)
			}
		}
	}
	a.stop(errNotOurs)
	return ctx.Err()
}

// hello is the body of the first request of a session.
func (a *Agent) hello(secret string) agentapi.Hello {
	return agentapi.Hello{
		Token:   a.Boot.Token,
		Secret:  secret,
		Version: a.Version,
		UUID:    a.UUID,
		MACs:    a.MACs,
		BootSec: a.BootSeconds,
		Now:     time.Now().UTC(),
	}
}

// welcomed keeps the clock right: certificates and file systems of tenants want it.
func (a *Agent) welcomed(w agentapi.Welcome) {
	a.Log.Info("the control plane knows this machine", "session", w.Session)
	a.SetClock(w.Now)
}

func (a *Agent) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current == nil
}

// stop cancels the running command, if any, and waits until it is gone.
func (a *Agent) stop(why error) {
	a.mu.Lock()
	current := a.current
	a.mu.Unlock()
	if current != nil {
		current.cancel(why)
		<-current.done
	}
}
