// Package around holds what is wrapped around every call to a BMC, whichever protocol the driver speaks: retry, a
// limit of concurrent calls, a deadline and a log line.
//
// A driver takes one Func and runs the body of each of its methods through it; bmc.New (the package above) says in one
// visible place which ones are chained, and in which order.
package around

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Func runs f, the body of the driver's method op, and gives its error back. f may run several times, or never.
// op is the method's name, with the argument that matters where there is one: "Power", "SetPower on".
type Func func(ctx context.Context, op string, f func(ctx context.Context) error) error

// Plain runs the body and nothing else.
func Plain(ctx context.Context, _ string, f func(ctx context.Context) error) error { return f(ctx) }

// Chain runs the functions around each other: the first is the outermost.
func Chain(funcs ...Func) Func {
	return func(ctx context.Context, op string, f func(ctx context.Context) error) error {
		for i := len(funcs) - 1; i >= 0; i-- {
			outer, inner := funcs[i], f
			f = func(ctx context.Context) error { return outer(ctx, op, inner) }
		}
		return f(ctx)
	}
}

// Policy says how often and how patiently Retry repeats.
type Policy struct {
	Attempts int           // in all, the first one included; less than 1 counts as 1
	Base     time.Duration // pause before the second attempt; it doubles each time
	Max      time.Duration // the longest pause; 0: no bound
	// Jitter gives a number in [0,1): the pause is between half and the whole of what the doubling says, so that a
	// rack whose network comes back is not asked by everyone at the same moment. nil: always the whole.
	Jitter func() float64
	// Sleep waits for d or for the context's end, whose error it returns. nil: Sleep of this package.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Sleep waits for d by the real clock; it returns the context's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Retry repeats a call that failed with fault.Unavailable: no answer, or the BMC said to come again. All else is an
// answer and goes back at once, and so does an error marked by MaybeDone and anything after the caller's context ended.
func Retry(p Policy) Func {
	sleep := p.Sleep
	if sleep == nil {
		sleep = Sleep
	}
	return func(ctx context.Context, _ string, f func(ctx context.Context) error) error {
		pause := p.Base
		for attempt := 1; ; attempt++ {
			err := f(ctx)
			if err == nil || attempt >= p.Attempts || !repeatable(err) || ctx.Err() != nil {
				return err
			}
			if p.Max > 0 {
				pause = min(pause, p.Max)
			}
			wait := pause
			if p.Jitter != nil {
				wait = pause/2 + time.Duration(p.Jitter()*float64(pause/2))
			}
			if sleepErr := sleep(ctx, wait); sleepErr != nil {
				return err // the BMC's own words say more than "context canceled"
			}
			pause *= 2
		}
	}
}

// maybeDone marks an error after which the order may have been carried out.
type maybeDone struct{ error }

func (m maybeDone) Unwrap() error { return m.error }

// MaybeDone marks the error of an order that must not be given twice (a reset, an NMI) and whose answer was lost: the
// BMC may have carried it out. Retry leaves it to the caller, who looks at the machine first.
func MaybeDone(err error) error {
	if err == nil {
		return nil
	}
	return maybeDone{err}
}

func repeatable(err error) bool {
	var m maybeDone
	return fault.Is(err, fault.Unavailable) && !errors.As(err, &m)
}

// Limit lets n calls run at once; the others wait, or give up with their context. BMCs are small computers: many
// answer 503 or lose sessions when asked several things at once. Drivers of the same BMC must share one Limit.
func Limit(n int) Func {
	slots := make(chan struct{}, max(n, 1))
	return func(ctx context.Context, op string, f func(ctx context.Context) error) error {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the BMC to finish other calls before %s: %w", op, ctx.Err())
		}
		defer func() { <-slots }()
		return f(ctx)
	}
}

// Timeout gives each call at most d. A call that needs longer fails with fault.Unavailable; when it is the caller's own
// context that ended, its error stays.
func Timeout(d time.Duration) Func {
	return func(ctx context.Context, op string, f func(ctx context.Context) error) error {
		inner, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		err := f(inner)
		if err != nil && inner.Err() != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			return fault.Wrap(err, fault.Unavailable, "The machine's BMC did not answer %s within %s.", op, d)
		}
		return err
	}
}

// Log writes one line for each call: debug when it went well, warn when not. Each of the secrets (the BMC's password)
// is struck out, should a library have put it into its error.
func Log(log *slog.Logger, bmc string, secrets ...string) Func {
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, "***")
		}
	}
	redact := strings.NewReplacer(pairs...)
	return func(ctx context.Context, op string, f func(ctx context.Context) error) error {
		start := time.Now()
		err := f(ctx)
		attrs := []slog.Attr{slog.String("bmc", bmc), slog.String("op", op), slog.Duration("took", time.Since(start))}
		if err == nil {
			log.LogAttrs(ctx, slog.LevelDebug, "BMC call", attrs...)
			return nil
		}
		attrs = append(attrs, slog.String("error", redact.Replace(err.Error())))
		log.LogAttrs(ctx, slog.LevelWarn, "BMC call failed", attrs...)
		return err
	}
}
