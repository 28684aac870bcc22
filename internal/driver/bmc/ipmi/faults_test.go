package ipmi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/ipmi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// wire is a bad network: a UDP proxy before a BMC.
type wire struct {
	net.PacketConn
	bmc net.Addr

	mu     sync.Mutex
	sent   [2][][]byte // packets to and from the BMC
	onPass func(toBMC bool, nth int) (pass bool, delay time.Duration)
	closed bool
	legs   map[string]net.Conn // by client
}

// wireTo stretches a wire to the BMC. onPass decides the nth packet's fate, counted from 1 in each direction.
func wireTo(t *testing.T, bmc net.Addr, onPass func(toBMC bool, nth int) (bool, time.Duration)) *wire {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	w := &wire{PacketConn: conn, bmc: bmc, onPass: onPass, legs: map[string]net.Conn{}}
	go w.run()
	t.Cleanup(func() {
		conn.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closed = true
		for _, leg := range w.legs {
			leg.Close()
		}
	})
	return w
}

func (w *wire) run() {
	p := make([]byte, 4096)
	for {
		n, client, err := w.ReadFrom(p)
		if err != nil {
			return
		}
		leg := w.leg(client)
		if leg == nil {
			return
		}
		w.pass(true, p[:n], func(p []byte) { leg.Write(p) })
	}
}

// leg is the client's connection to the BMC.
func (w *wire) leg(client net.Addr) net.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if leg, ok := w.legs[client.String()]; ok || w.closed {
		return leg
	}
	leg, err := net.Dial("udp", w.bmc.String())
	if err != nil {
		return nil
	}
	w.legs[client.String()] = leg
	go func() {
		p := make([]byte, 4096)
		for {
			n, err := leg.Read(p)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			w.pass(false, p[:n], func(p []byte) { w.WriteTo(p, client) })
		}
	}()
	return leg
}

func (w *wire) pass(toBMC bool, p []byte, deliver func([]byte)) {
	p = append([]byte(nil), p...)
	direction := 0
	if toBMC {
		direction = 1
	}
	w.mu.Lock()
	w.sent[direction] = append(w.sent[direction], p)
	pass, delay := w.onPass(toBMC, len(w.sent[direction]))
	w.mu.Unlock()
	switch {
	case !pass:
	case delay > 0:
		time.AfterFunc(delay, func() { deliver(p) })
	default:
		deliver(p)
	}
}

// payloads counts what went to the BMC of an RMCP+ payload type (IPMI 2.0 table 13-16).
func (w *wire) payloads(kind byte) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.sent[1] {
		const rmcpPlus = 0x06
		if len(p) > 5 && p[4] == rmcpPlus && p[5]&0x3f == kind {
			n++
		}
	}
	return n
}

const openSessionRequest, rakp1 = 0x10, 0x12

func good(bool, int) (bool, time.Duration) { return true, 0 }

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error is %v (kind %d), want kind %d", err, fault.KindOf(err), kind)
	}
}

func TestBMCThatNeverAnswers(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	d := open(t, at(silent.LocalAddr().String()))

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = d.Power(ctx)
	wantKind(t, err, fault.Unavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the deadline's error is hidden: %v", err)
	}
	if testing.Short() {
		t.Skip("waiting until the driver gives up by itself: not in short mode")
	}
	_, err = d.Power(t.Context())
	wantKind(t, err, fault.Unavailable)
	_, err = d.(machine.SerialConsole).OpenConsole(t.Context())
	wantKind(t, err, fault.Unavailable)
}

func TestSessionLostLogsInAnew(t *testing.T) {
	t.Parallel()
	var resets atomic.Int32
	m, b := rack(t, vbmc.SimOptions{On: true, Fail: func(a vbmc.Action) error {
		if a == vbmc.ForceRestart {
			resets.Add(1)
		}
		return nil
	}})
	w := wireTo(t, b.Addr(), good)
	d := open(t, at(w.LocalAddr().String()))
	_, err := d.Power(t.Context())
	must(t, err)

	address := b.Addr().String()
	must(t, b.Close()) // the BMC restarts and knows no session
	serve(t, m, address)
	must(t, d.SetPower(t.Context(), machine.ActionReset))
	if n := resets.Load(); n != 1 {
		t.Errorf("the machine was reset %d times", n)
	}
	if n := w.payloads(openSessionRequest); n != 2 {
		t.Errorf("the driver logged in %d times, want 2", n)
	}
	state, err := d.Power(t.Context())
	must(t, err)
	if state != machine.PowerOn {
		t.Errorf("the power is %s", state)
	}
}

func TestConsoleEndsWithItsBMC(t *testing.T) {
	t.Parallel()
	m, b := rack(t, vbmc.SimOptions{On: true})
	line, err := open(t, at(b.Addr().String())).(machine.SerialConsole).OpenConsole(t.Context())
	must(t, err)
	m.Print([]byte("login: "))
	got := make([]byte, len("login: "))
	_, err = io.ReadFull(line, got)
	must(t, err)
	must(t, b.Close())
	_, err = io.ReadAll(line)
	wantKind(t, err, fault.Unavailable)
	must(t, line.Close())
}

func TestConsoleInUseIsAConflict(t *testing.T) {
	t.Parallel()
	_, b := rack(t, vbmc.SimOptions{On: true})
	c := open(t, at(b.Addr().String())).(machine.SerialConsole)
	line, err := c.OpenConsole(t.Context())
	must(t, err)
	_, err = c.OpenConsole(t.Context())
	wantKind(t, err, fault.Conflict)
	must(t, line.Close())
}

// A machine that prints more than a packet, a window and a pipe hold is heard to the last byte.
func TestConsoleLosesNothing(t *testing.T) {
	t.Parallel()
	m, b := rack(t, vbmc.SimOptions{On: true})
	line, err := open(t, at(b.Addr().String())).(machine.SerialConsole).OpenConsole(t.Context())
	must(t, err)
	defer line.Close()
	printed := strings.Repeat("0123456789abcdef", 2000)
	m.Print([]byte(printed))
	got := make([]byte, len(printed))
	_, err = io.ReadFull(line, got)
	must(t, err)
	if string(got) != printed {
		t.Error("the text arrived damaged")
	}
}

func TestWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	_, b := rack(t, vbmc.SimOptions{})
	w := wireTo(t, b.Addr(), good)
	bmc := at(w.LocalAddr().String())
	bmc.Password = "wrong"
	_, err := open(t, bmc).Power(t.Context())
	wantKind(t, err, fault.Unauthorized)
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error shows the password: %v", err)
	}
	// BMCs lock users out after a few failures: one call must not use them up with several cipher suites.
	if n := w.payloads(rakp1); n != 1 {
		t.Errorf("the BMC was tried %d times", n)
	}
	bmc = at(w.LocalAddr().String())
	bmc.Username = "nobody"
	_, err = open(t, bmc).Power(t.Context())
	wantKind(t, err, fault.Unauthorized)
}

// patient is a driver with the retries that the program gives it.
func patient(t *testing.T, bmc machine.BMC) machine.Driver {
	t.Helper()
	d, err := ipmi.New(bmc, around.Retry(around.Policy{Attempts: 5, Base: time.Millisecond}))
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// walk is a bit of everything.
func walk(t *testing.T, m *vbmc.Simulated, d machine.Driver) {
	t.Helper()
	ctx := t.Context()
	must(t, d.SetBoot(ctx, machine.BootOverride{Device: machine.BootNetwork, Continuous: true, Mode: machine.ModeUEFI}))
	must(t, d.SetPower(ctx, machine.ActionOn))
	if !m.Power() || m.Boot().Target != vbmc.TargetPXE {
		t.Errorf("power %v, boot %+v", m.Power(), m.Boot())
	}
	_, err := d.Identify(ctx)
	must(t, err)
	log, err := d.(machine.EventLogger).EventLog(ctx)
	must(t, err)
	if len(log) != 1 {
		t.Errorf("the log holds %+v", log)
	}
}

func TestLostPackets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waiting for answers that were lost: not in short mode")
	}
	m, b := rack(t, vbmc.SimOptions{})
	w := wireTo(t, b.Addr(), func(toBMC bool, nth int) (bool, time.Duration) {
		if toBMC {
			return nth%7 != 0, 0
		}
		return nth%9 != 0, 0
	})
	walk(t, m, patient(t, at(w.LocalAddr().String())))
}

// Answers that come later than the first login waits: no error, and above all no "wrong password".
func TestSlowBMC(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waiting for late answers: not in short mode")
	}
	_, b := rack(t, vbmc.SimOptions{})
	w := wireTo(t, b.Addr(), func(toBMC bool, _ int) (bool, time.Duration) {
		if toBMC {
			return true, 0
		}
		return true, 1300 * time.Millisecond
	})
	state, err := open(t, at(w.LocalAddr().String())).Power(t.Context())
	must(t, err)
	if state != machine.PowerOff {
		t.Errorf("the power is %s", state)
	}
}

// A reset whose answer is lost may have happened: it is neither repeated by the driver nor by the wrappers.
func TestResetIsNotRepeated(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waiting for an answer that was lost: not in short mode")
	}
	var mu sync.Mutex
	resets, deaf := 0, false
	_, b := rack(t, vbmc.SimOptions{On: true, Fail: func(a vbmc.Action) error {
		mu.Lock()
		defer mu.Unlock()
		if a == vbmc.ForceRestart {
			resets, deaf = resets+1, true
		}
		return nil
	}})
	w := wireTo(t, b.Addr(), func(toBMC bool, _ int) (bool, time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		return toBMC || !deaf, 0
	})
	d := patient(t, at(w.LocalAddr().String()))
	err := d.SetPower(t.Context(), machine.ActionReset)
	wantKind(t, err, fault.Unavailable)
	mu.Lock()
	if resets != 1 {
		t.Errorf("the machine was reset %d times", resets)
	}
	deaf = false
	mu.Unlock()
	_, err = d.Power(t.Context())
	must(t, err)
}

func TestWhatIPMICannotSay(t *testing.T) {
	t.Parallel()
	for name, bmc := range map[string]machine.BMC{
		"a password of 21 bytes":  {Address: "127.0.0.1", Username: "admin", Password: "123456789012345678901"},
		"a user name of 17 bytes": {Address: "127.0.0.1", Username: "12345678901234567", Password: "x"},
		"no address":              {},
		"a port out of range":     {Address: "127.0.0.1:70000"},
		"a named port":            {Address: "127.0.0.1:ipmi"},
		"a URL":                   {Address: "https://127.0.0.1/redfish/v1"},
	} {
		d, err := dial(bmc)
		if d != nil {
			t.Errorf("%s was taken", name)
		}
		wantKind(t, err, fault.Invalid)
		if err != nil && bmc.Password != "" && strings.Contains(err.Error(), bmc.Password) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	for _, address := range []string{"bmc.example", "bmc.example:1623", "192.0.2.1", "[2001:db8::1]:623", "[2001:db8::1]", "2001:db8::1"} {
		if _, err := dial(at(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skip("a BMC with an IPv6 address: this host has no ::1")
	} else {
		l.Close()
	}
	m := vbmc.NewSimulated(vbmc.Info{Name: "six", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f"}, vbmc.SimOptions{})
	_, err := open(t, at(serve(t, m, "[::1]:0").Addr().String())).Power(t.Context())
	must(t, err)
}

func TestPasswordOfTwentyBytes(t *testing.T) {
	t.Parallel()
	m := vbmc.NewSimulated(vbmc.Info{Name: "m", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f"}, vbmc.SimOptions{})
	const long = "12345678901234567890"
	b, err := vbmc.NewIPMI(m, vbmc.IPMIOptions{Username: username, Password: long})
	must(t, err)
	defer b.Close()
	bmc := at(b.Addr().String())
	bmc.Password = long
	_, err = open(t, bmc).Power(t.Context())
	must(t, err)
}
