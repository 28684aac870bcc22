package redfish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	drivers "github.com/ingotcloud/ingot/internal/driver/bmc"
	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// patient is how a program dials, without its pauses.
func patient(log *slog.Logger, timeout time.Duration) machine.Dial {
	return drivers.New(drivers.Options{
		Log: log, Timeout: timeout,
		Retry: around.Policy{Attempts: 4, Sleep: func(context.Context, time.Duration) error { return nil }},
	})
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func dial(t *testing.T, b machine.BMC, timeout time.Duration) machine.Driver {
	t.Helper()
	d, err := patient(quiet, timeout)(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) // never fails a caller
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error is %v (kind %d), want kind %d", err, fault.KindOf(err), kind)
	}
}

func TestABusyBMCIsAskedAgain(t *testing.T) {
	b := newBMC(t, info)
	d := dial(t, b.address, time.Minute)
	b.faults.Unavailable(3)
	_, err := d.Power(t.Context())
	must(t, err)

	before := b.faults.Requests()
	b.faults.Unavailable(1000)
	_, err = d.Power(t.Context())
	wantKind(t, err, fault.Unavailable)
	if n := b.faults.Requests() - before; n != 4 {
		t.Errorf("%d requests were made, want one for each of 4 attempts", n)
	}
}

func TestABMCThatHangsIsAskedAgain(t *testing.T) {
	b := newBMC(t, info)
	d := dial(t, b.address, time.Second)
	_, err := d.Power(t.Context()) // the login, which a loaded machine may take long over, is not the matter
	must(t, err)
	b.faults.Hang(1)
	_, err = d.Power(t.Context())
	must(t, err)
	b.faults.Hang(1000)
	quick := dial(t, b.address, 50*time.Millisecond)
	_, err = quick.Power(t.Context())
	wantKind(t, err, fault.Unavailable)
	b.faults.Hang(0) // so that logging out need not wait
}

func TestASlowBMCIsWaitedFor(t *testing.T) {
	b := newBMC(t, info)
	b.faults.Slow(100 * time.Millisecond)
	d := dial(t, b.address, time.Minute)
	must(t, d.SetPower(t.Context(), machine.ActionOn))
	if !b.machine.Power() {
		t.Error("the machine is not on")
	}
}

func TestACallersDeadlineEndsASlowCall(t *testing.T) {
	b := newBMC(t, info)
	b.faults.Slow(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := dial(t, b.address, time.Hour).Power(ctx)
	wantKind(t, err, fault.Unavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's deadline is not in %v", err)
	}
}

func TestABMCThatLiesAboutThePowerIsToldAsItSpeaks(t *testing.T) {
	b := newBMC(t, info)
	d := dial(t, b.address, time.Minute)
	must(t, d.SetPower(t.Context(), machine.ActionOn))
	b.faults.LieOn(2)
	must(t, d.SetPower(t.Context(), machine.ActionOff))
	var said []machine.PowerState
	for range 3 {
		state, err := d.Power(t.Context())
		must(t, err)
		said = append(said, state)
	}
	if got := fmt.Sprint(said); got != "[on on off]" {
		t.Errorf("the power was told as %s", got)
	}
	if b.machine.Power() {
		t.Error("the machine is on")
	}
}

func TestOffIsOrderedThoughTheBMCSaysOff(t *testing.T) {
	var orders atomic.Int32
	m := vbmc.NewSimulated(info, vbmc.SimOptions{Fail: func(a vbmc.Action) error {
		if a == vbmc.ForceOff {
			orders.Add(1)
		}
		return nil
	}})
	service, err := vbmc.NewRedfish(m, vbmc.RedfishOptions{Username: "admin", Password: password, MediaDir: t.TempDir(), Logger: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, service.Close()) })
	d := dial(t, machine.BMC{Kind: "redfish", Address: service.URL(), Username: "admin", Password: password, Insecure: true}, time.Minute)
	must(t, d.SetPower(t.Context(), machine.ActionOff))
	if orders.Load() != 1 {
		t.Errorf("ForceOff was ordered %d times, want once: fencing rests on it", orders.Load())
	}
}

// openSessions asks the BMC itself, by basic authentication.
func openSessions(t *testing.T, b bmc) int {
	t.Helper()
	var list struct {
		Members []any
	}
	ask(t, b, http.MethodGet, "/redfish/v1/SessionService/Sessions", "", &list)
	return len(list.Members)
}

func ask(t *testing.T, b bmc, method, path, body string, answer any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.service.URL()+path, strings.NewReader(body))
	must(t, err)
	req.SetBasicAuth("admin", password)
	resp, err := insecure().Do(req)
	must(t, err)
	defer resp.Body.Close()
	must(t, json.NewDecoder(resp.Body).Decode(answer))
}

func TestADroppedSessionIsOpenedAnew(t *testing.T) {
	b := newBMC(t, info)
	d := dial(t, b.address, time.Minute)
	_, err := d.Power(t.Context())
	must(t, err)
	b.service.DropSessions()
	must(t, d.SetPower(t.Context(), machine.ActionOn))
	b.service.DropSessions()
	line, err := d.(machine.SerialConsole).OpenConsole(t.Context())
	must(t, err)
	must(t, line.Close())
	if n := openSessions(t, b); n != 1 {
		t.Errorf("%d sessions are open, want the one in use", n)
	}
	must(t, d.Close())
	if n := openSessions(t, b); n != 0 {
		t.Errorf("%d sessions are open after Close", n)
	}
}

func TestSeveralCallersMakeOneSession(t *testing.T) {
	b := newBMC(t, info)
	d := dial(t, b.address, time.Minute)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if _, err := d.Power(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := openSessions(t, b); n != 1 {
		t.Errorf("%d sessions are open, want 1", n)
	}
}

func TestAFullSessionTableIsNoObstacle(t *testing.T) {
	b := newBMC(t, info)
	for range 32 {
		var session any
		ask(t, b, http.MethodPost, "/redfish/v1/SessionService/Sessions", `{"UserName":"admin","Password":"`+password+`"}`, &session)
	}
	_, err := dial(t, b.address, time.Minute).Power(t.Context())
	must(t, err)
}

func TestAResetWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	var boots atomic.Int32
	b := bmc{faults: &vbmc.Faults{}, machine: vbmc.NewSimulated(info, vbmc.SimOptions{On: true, Fail: func(a vbmc.Action) error {
		if a == vbmc.ForceRestart {
			boots.Add(1)
		}
		return nil
	}})}
	service, err := vbmc.NewRedfish(b.machine, vbmc.RedfishOptions{Username: "admin", Password: password, MediaDir: t.TempDir(), Logger: quiet, Faults: b.faults})
	must(t, err)
	t.Cleanup(func() { must(t, service.Close()) })
	d := dial(t, machine.BMC{Kind: "redfish", Address: service.URL(), Username: "admin", Password: password, Insecure: true}, time.Minute)

	b.faults.LoseAnswers(1)
	wantKind(t, d.SetPower(t.Context(), machine.ActionReset), fault.Unavailable)
	if boots.Load() != 1 {
		t.Errorf("the machine was reset %d times, want once", boots.Load())
	}
	b.faults.LoseAnswers(1) // while turning off twice does no harm
	must(t, d.SetPower(t.Context(), machine.ActionOff))
}

func TestCertificates(t *testing.T) {
	b, other := newBMC(t, info), newBMC(t, info)
	cases := map[string]struct {
		change func(*machine.BMC)
		ok     bool
	}{
		"its own":        {func(*machine.BMC) {}, true},
		"another's":      {func(m *machine.BMC) { m.CA = other.address.CA }, false},
		"the system's":   {func(m *machine.BMC) { m.CA = "" }, false},
		"any is allowed": {func(m *machine.BMC) { m.CA, m.Insecure = "", true }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			address := b.address
			c.change(&address)
			before := b.faults.Requests()
			_, err := dial(t, address, time.Minute).Power(t.Context())
			if c.ok {
				must(t, err)
				return
			}
			wantKind(t, err, fault.Invalid)
			if n := b.faults.Requests() - before; n != 0 {
				t.Errorf("%d requests went to a BMC that is not trusted", n)
			}
		})
	}
}

func TestServersThatSpeakNoRedfish(t *testing.T) {
	page := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a web page":     page(http.StatusOK, "<html>Welcome</html>"),
		"nothing there":  page(http.StatusNotFound, "<html>404</html>"),
		"other JSON":     page(http.StatusOK, `{"hello":"world"}`),
		"a list":         page(http.StatusOK, `[]`),
		"methods, no us": page(http.StatusMethodNotAllowed, ""),
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(handler)
			t.Cleanup(server.Close)
			_, err := dial(t, machine.BMC{Kind: "redfish", Address: server.URL, Username: "a", Password: "b", Insecure: true}, time.Minute).Power(t.Context())
			wantKind(t, err, fault.Unsupported)
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		server := httptest.NewServer(page(http.StatusOK, ""))
		t.Cleanup(server.Close)
		_, err := dial(t, machine.BMC{Kind: "redfish", Address: "https" + strings.TrimPrefix(server.URL, "http"), Insecure: true}, time.Minute).Power(t.Context())
		if err == nil {
			t.Error("no error")
		}
	})
	t.Run("hangs up", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { l.Close() }) // ends the loop
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		_, err = dial(t, machine.BMC{Kind: "redfish", Address: "https://" + l.Addr().String(), Insecure: true}, time.Minute).Power(t.Context())
		wantKind(t, err, fault.Unavailable)
	})
}

func TestBadAddresses(t *testing.T) {
	for _, address := range []string{"", "10.0.0.1", "ftp://10.0.0.1", "http://10.0.0.1", "https://", "https://user:secret@10.0.0.1", "https://10.0.0.1/?a=b"} {
		_, err := patient(quiet, time.Minute)(machine.BMC{Kind: "redfish", Address: address})
		wantKind(t, err, fault.Invalid)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	_, err := patient(quiet, time.Minute)(machine.BMC{Kind: "redfish", Address: "https://10.0.0.1", CA: "no PEM"})
	wantKind(t, err, fault.Invalid)
	_, err = patient(quiet, time.Minute)(machine.BMC{Kind: "telegraph", Address: "https://10.0.0.1"})
	wantKind(t, err, fault.Invalid)
}

func TestThePasswordIsNeverLogged(t *testing.T) {
	b := newBMC(t, info)
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	wrong := b.address
	wrong.Password = "wr0ng-passw0rd"
	for _, address := range []machine.BMC{b.address, wrong} {
		d, err := patient(log, time.Minute)(address)
		must(t, err)
		_, powerErr := d.Power(t.Context())
		if (powerErr == nil) != (address.Password == password) {
			t.Errorf("Power: %v", powerErr)
		}
		must(t, d.Close())
		for _, text := range []string{out.String(), fmt.Sprint(powerErr)} {
			if strings.Contains(text, address.Password) {
				t.Errorf("the password is in %s", text)
			}
		}
	}
	if n := strings.Count(out.String(), `"op":"Power"`); n != 2 {
		t.Errorf("%d calls were logged, want 2:\n%s", n, out.String())
	}
}

func insecure() *http.Client {
	client := httptest.NewTLSServer(nil)
	defer client.Close()
	c := client.Client()
	c.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
	return c
}
