package vbmc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var simInfo = Info{Name: "s1", UEFI: true, SecureBootCapable: true}

func simDo(t *testing.T, m Machine, a Action) {
	t.Helper()
	if err := m.Do(context.Background(), a); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
}

func TestSimulatedOnceIsSpentByTheNextBootAndContinuousStays(t *testing.T) {
	boots := make(chan Boot)
	m := NewSimulated(simInfo, SimOptions{OnBoot: func(b Boot, _ string) { boots <- b }})
	none := Boot{Target: "None", Enabled: "Disabled", Mode: "UEFI"}
	pxe := Boot{Target: "Pxe", Enabled: "Once", Mode: "UEFI"}

	if err := m.SetBoot(Boot{Target: "Pxe", Enabled: "Once"}); err != nil {
		t.Fatal(err)
	}
	simDo(t, m, On)
	simDo(t, m, On) // idempotent: no second boot, or the next receive would see it
	if got := <-boots; got != pxe {
		t.Errorf("first boot obeyed %+v", got)
	}
	if m.Boot() != none {
		t.Errorf("Once was not spent: %+v", m.Boot())
	}
	m.SetBoot(Boot{Target: "Hdd", Enabled: "Continuous", Mode: "Legacy"})
	want := Boot{Target: "Hdd", Enabled: "Continuous", Mode: "Legacy"}
	m.Reboot()
	simDo(t, m, ForceRestart)
	for range 2 {
		if got := <-boots; got != want {
			t.Errorf("a reset obeyed %+v, want %+v", got, want)
		}
	}
	if m.Boot() != want {
		t.Errorf("Continuous was spent: %+v", m.Boot())
	}
}

func TestBootOrdersThatCannotBe(t *testing.T) {
	bios := Info{Name: "old"}
	for _, c := range []struct {
		boot        Boot
		info        Info
		unsupported bool
	}{
		{Boot{Target: "Floppy", Enabled: "Once"}, simInfo, false},
		{Boot{Target: "Pxe", Enabled: "Twice"}, simInfo, false},
		{Boot{Target: "Pxe", Enabled: "Once", Mode: "OpenFirmware"}, simInfo, false},
		{Boot{Target: "Pxe", Enabled: "Once", Mode: "UEFI"}, bios, true},
		{Boot{Target: "UefiHttp", Enabled: "Once"}, bios, true},
		{Boot{Target: "UefiHttp", Enabled: "Once", Mode: "Legacy"}, simInfo, true},
	} {
		m := NewSimulated(c.info, SimOptions{})
		before := m.Boot()
		err := m.SetBoot(c.boot)
		if err == nil || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%+v: %v", c.boot, err)
		}
		if m.Boot() != before {
			t.Errorf("a refused order changed the override to %+v", m.Boot())
		}
	}
}

func TestSimulatedEvents(t *testing.T) {
	m := NewSimulated(simInfo, SimOptions{})
	var got []Event
	stop := m.Watch(func(e Event) { got = append(got, e) })
	simDo(t, m, On)
	simDo(t, m, GracefulShutdown)
	simDo(t, m, ForceOff) // already off: nothing to tell
	simDo(t, m, On)
	m.Crash()
	stop()
	simDo(t, m, On)
	want := []Event{
		{"OK", "The machine was powered on."}, {"OK", "The operating system shut down."},
		{"OK", "The machine was powered on."}, {"Critical", "The machine lost power unexpectedly."},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSimulatedFaults(t *testing.T) {
	broken := errors.New("no power")
	m := NewSimulated(simInfo, SimOptions{Deaf: true, Fail: func(a Action) error {
		if a == ForceOff {
			return broken
		}
		return nil
	}})
	simDo(t, m, On)
	simDo(t, m, GracefulShutdown)
	if err := m.Do(context.Background(), ForceOff); !errors.Is(err, broken) || !m.Power() {
		t.Errorf("%v, on=%v; want the fault and a machine still on", err, m.Power())
	}
	if err := m.Do(context.Background(), "Explode"); err == nil {
		t.Error("an unknown action was accepted")
	}
}

func TestSimulatedMediaReachesTheBoot(t *testing.T) {
	media := make(chan string, 1)
	m := NewSimulated(simInfo, SimOptions{OnBoot: func(_ Boot, file string) { media <- file }})
	m.InsertMedia(context.Background(), "http://x/a.iso", "/tmp/a.iso")
	simDo(t, m, On)
	if got := <-media; got != "/tmp/a.iso" {
		t.Errorf("booted with %q in the drive", got)
	}
	m.EjectMedia(context.Background())
	if url, file := m.Media(); url != "" || file != "" {
		t.Errorf("after eject: %q %q", url, file)
	}
}

func TestSimulatedConsoleEchoesAndPicturesNeedPower(t *testing.T) {
	m := NewSimulated(simInfo, SimOptions{On: true})
	c, err := m.Console()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "hi")
	m.Print([]byte(" there"))
	got := make([]byte, 8)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hi there" {
		t.Errorf("%q, %v", got, err)
	}
	if shot, err := m.Screenshot(context.Background()); err != nil || !bytes.HasPrefix(shot, []byte("\x89PNG")) {
		t.Errorf("%d bytes, %v", len(shot), err)
	}
	v, err := m.VNC(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	hello := make([]byte, 12)
	if _, err := io.ReadFull(v, hello); err != nil || string(hello) != "RFB 003.008\n" {
		t.Errorf("%q, %v", hello, err)
	}
	simDo(t, m, ForceOff)
	if _, err := m.Screenshot(context.Background()); err == nil {
		t.Error("a machine that is off shows a picture")
	}
}
