package around

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
)

var down = fault.New(fault.Unavailable, "down")

func failing(times int, err error) (f func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error {
		*calls++
		if *calls <= times {
			return err
		}
		return nil
	}, calls
}

func TestRetryRepeatsWhatIsTransient(t *testing.T) {
	cases := map[string]struct {
		times int
		err   error
		calls int
		ok    bool
	}{
		"down twice, then up":       {2, down, 3, true},
		"down for good":             {99, down, 4, false},
		"wrong password":            {1, fault.New(fault.Unauthorized, "no"), 1, false},
		"unclassified":              {1, errors.New("odd"), 1, false},
		"perhaps done":              {1, MaybeDone(down), 1, false},
		"perhaps done, wrapped":     {1, fmt.Errorf("reset: %w", MaybeDone(down)), 1, false},
		"well at the first attempt": {0, nil, 1, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, calls := failing(c.times, c.err)
			retry := Retry(Policy{Attempts: 4, Sleep: func(context.Context, time.Duration) error { return nil }})
			err := retry(t.Context(), "Power", f)
			if *calls != c.calls || (err == nil) != c.ok {
				t.Errorf("%d calls, error %v; want %d calls, ok %v", *calls, err, c.calls, c.ok)
			}
			if !c.ok && !errors.Is(err, c.err) {
				t.Errorf("error is %v, want %v", err, c.err)
			}
		})
	}
}

func TestRetryPausesDoubleToTheBound(t *testing.T) {
	var pauses []time.Duration
	retry := Retry(Policy{
		Attempts: 5, Base: time.Second, Max: 3 * time.Second,
		Jitter: func() float64 { return 0.5 },
		Sleep: func(_ context.Context, d time.Duration) error {
			pauses = append(pauses, d)
			return nil
		},
	})
	f, _ := failing(99, down)
	_ = retry(t.Context(), "Power", f) // its error is the other test's
	want := []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 2250 * time.Millisecond, 2250 * time.Millisecond}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Error(diff)
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, calls := failing(99, down)
	retry := Retry(Policy{Attempts: 9, Sleep: func(ctx context.Context, _ time.Duration) error {
		cancel()
		return ctx.Err()
	}})
	if err := retry(ctx, "Power", f); !errors.Is(err, down) || *calls != 1 {
		t.Errorf("%d calls, %v", *calls, err)
	}
}

func TestChainRunsTheFirstOutermost(t *testing.T) {
	var order []string
	note := func(name string) Func {
		return func(ctx context.Context, op string, f func(context.Context) error) error {
			order = append(order, name+" "+op)
			return f(ctx)
		}
	}
	err := Chain(note("a"), note("b"))(t.Context(), "Boot", func(context.Context) error {
		order = append(order, "body")
		return nil
	})
	if diff := cmp.Diff([]string{"a Boot", "b Boot", "body"}, order); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestLimitLetsOnlySoManyIn(t *testing.T) {
	limit := Limit(2)
	entered, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := limit(t.Context(), "Power", func(context.Context) error {
				entered <- struct{}{}
				<-leave
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := limit(ctx, "Power", func(context.Context) error {
		t.Error("a third call came in")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the third call got %v", err)
	}
	close(leave)
	wg.Wait()
	if err := limit(t.Context(), "Power", func(context.Context) error { return nil }); err != nil {
		t.Errorf("after the others left: %v", err)
	}
}

func TestTimeoutTellsSlowBMCFromImpatientCaller(t *testing.T) {
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := Timeout(time.Millisecond)(t.Context(), "Power", wait); !fault.Is(err, fault.Unavailable) {
		t.Errorf("slow BMC: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Timeout(time.Hour)(ctx, "Power", wait); !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
		t.Errorf("impatient caller: %v", err)
	}
}

func TestLogNeverShowsThePassword(t *testing.T) {
	const password = "s3cr3t-p@ss"
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	run := Log(log, "rack1-m1", password)
	leaky := fmt.Errorf("GET https://admin:%s@10.0.0.1/redfish/v1: refused", password)
	if err := run(t.Context(), "SetPower on", func(context.Context) error { return leaky }); !errors.Is(err, leaky) {
		t.Errorf("the error changed: %v", err)
	}
	if err := run(t.Context(), "Power", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	text := out.String()
	if strings.Contains(text, password) {
		t.Errorf("the password is in the log:\n%s", text)
	}
	for _, want := range []string{"level=WARN", `op="SetPower on"`, "bmc=rack1-m1", "refused", "***", "level=DEBUG", "op=Power"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from the log:\n%s", want, text)
		}
	}
}
