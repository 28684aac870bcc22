package console_test

import (
	"bytes"
	"context"
	"image/color"
	"image/png"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/console"
	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

func TestScreenshot(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	i := r.instance("m1")
	r.Show(Screen(16, 8, color.RGBA{R: 200, G: 100, B: 50}))
	shot, err := r.Screenshot(t.Context(), i)
	must(t, err)
	picture, err := png.Decode(bytes.NewReader(shot.PNG))
	must(t, err)
	if got := color.RGBAModel.Convert(picture.At(15, 7)); got != (color.RGBA{200, 100, 50, 255}) || picture.Bounds().Dx() != 16 || shot.Black {
		t.Errorf("%v, %v, black %v", got, picture.Bounds(), shot.Black)
	}
	r.Show(Screen(16, 8, color.RGBA{}))
	if shot, err = r.MachineScreenshot(t.Context(), "m1"); err != nil || !shot.Black {
		t.Error(shot.Black, err)
	}
}

// What goes wrong is said clearly, and never as a fault of who asks.
func TestNoScreenshot(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	r.stop()
	c := quick(r.folder)
	c.ScreenPatience = 50 * time.Millisecond
	r.start(c, NoPeers{})
	i := r.instance("m1")
	want := func(kind fault.Kind, words string) {
		t.Helper()
		if _, err := r.Screenshot(t.Context(), i); !fault.Is(err, kind) || !strings.Contains(fault.Message(err), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
	refuses := func(err error) func(context.Context) (io.ReadWriteCloser, error) {
		return func(context.Context) (io.ReadWriteCloser, error) { return nil, err }
	}
	closed := make(chan struct{})
	r.Show(func(context.Context) (io.ReadWriteCloser, error) { // it never says a word
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs); close(closed) }()
		return ours, nil
	})
	want(fault.Unavailable, "did not come within 50ms")
	<-closed // the BMC is let go of
	r.Show(func(ctx context.Context) (io.ReadWriteCloser, error) { <-ctx.Done(); return nil, ctx.Err() })
	want(fault.Unavailable, "did not come within 50ms")
	r.Show(refuses(fault.New(fault.Unsupported, "The machine's BMC has no graphical console.")))
	want(fault.Unsupported, "no graphical console")
	r.Show(refuses(fault.New(fault.Unauthorized, "The BMC refuses the user name or password.")))
	want(fault.Unavailable, "The machine's BMC refused: The BMC refuses the user name or password.")
	r.Show(func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		go func() { _, _ = theirs.Write([]byte("HTTP/1.1 400")); _ = theirs.Close() }()
		return ours, nil
	})
	want(fault.Unavailable, "cannot be read now")
	r.Power(i, machine.PowerOff)
	want(fault.Conflict, "The machine is off")
	i = uuid.NewString()
	want(fault.Conflict, "No machine carries the server.")
}

var _ console.Wires = (*Rack)(nil)
