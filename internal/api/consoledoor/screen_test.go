package consoledoor_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/redfish"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// screened is a machine in memory with the screen of a QEMU.
type screened struct {
	*vbmc.Simulated
	socket string
}

func (s screened) VNC(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", s.socket)
}

// firmware starts a QEMU that has nothing to boot from, and gives what dumps its screen by QEMU's own means.
func firmware(t *testing.T, socket string) (dump func() image.Image) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-nodefaults", "-vga", "std", "-display", "none",
		"-vnc", "unix:"+socket, "-monitor", "stdio")
	monitor, err := c.StdinPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() { cancel(); _ = c.Wait() }) // it was killed
	n := 0
	return func() (shown image.Image) {
		t.Helper()
		n++
		file := filepath.Join(filepath.Dir(socket), fmt.Sprintf("dump%d.png", n))
		_, err := io.WriteString(monitor, "screendump "+file+" -f png\n")
		must(t, err)
		consoletest.Eventually(t, "QEMU's own picture", func() bool {
			f, err := os.Open(file)
			if err != nil {
				return false
			}
			defer f.Close() //nolint:errcheck // it was read only
			shown, err = png.Decode(f)
			return err == nil
		})
		return shown
	}
}

// lit counts the pixels that are not black; apart those in which two pictures of one size differ.
func lit(p image.Image) (n int) {
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			if r, g, b, _ := p.At(x, y).RGBA(); r|g|b != 0 {
				n++
			}
		}
	}
	return n
}

func apart(a, b image.Image) (n int) {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if r>>8 != r2>>8 || g>>8 != g2>>8 || b1>>8 != b2>>8 {
				n++
			}
		}
	}
	return n
}

// A real machine's firmware prints on its screen: the page shows it by noVNC through a BMC, and the picture that the page takes
// is the one that QEMU takes of itself. Only the cursor may blink.
func TestScreenOfARealMachine(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("qemu-system-x86_64 is not installed")
	}
	b := tab{t, browser(t)}
	dir, err := os.MkdirTemp("", "screen") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	m := screened{vbmc.NewSimulated(vbmc.Info{Name: "m1", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f"}, vbmc.SimOptions{On: true}), filepath.Join(dir, "vnc")}
	dump := firmware(t, m.socket)
	bmc, err := vbmc.NewRedfish(m, vbmc.RedfishOptions{Username: "admin", Password: "fifteen-bytes-l", MediaDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, bmc.Close()) })
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	s.Show(func(ctx context.Context) (io.ReadWriteCloser, error) {
		d, err := redfish.New(machine.BMC{Kind: "redfish", Address: bmc.URL(), Username: "admin", Password: "fifteen-bytes-l", CA: string(bmc.CertificatePEM())}, around.Plain)
		if err != nil {
			return nil, err
		}
		return d.(machine.ScreenConsole).OpenScreen(ctx)
	})
	i := s.instance("m1")
	var own image.Image
	const textMode = 720 // pixels wide; before that QEMU itself says that nothing is shown yet
	consoletest.Eventually(t, "the firmware's text", func() bool {
		before := own
		own = dump() // it has printed all when two pictures are the same, but for the cursor
		return before != nil && own.Bounds().Dx() == textMode && lit(own) > 1000 && before.Bounds() == own.Bounds() && apart(before, own) < 50
	})

	run(b, chromedp.EmulateViewport(1280, 800))
	run(b, chromedp.Navigate(s.link(s.grant(i, console.Screen, "alice"))))
	b.shows(`document.querySelector("#picture").textContent === "connected"`)
	b.shows(fmt.Sprintf(`document.querySelector("#rfb canvas")?.width === %d`, own.Bounds().Dx()))
	canvas := func() image.Image {
		url := run(b, chromedp.Evaluate[string](`document.querySelector("#rfb canvas").toDataURL("image/png")`))
		file, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(url, "data:image/png;base64,"))
		must(t, err)
		picture, err := png.Decode(bytes.NewReader(file))
		must(t, err)
		return picture
	}
	consoletest.Eventually(t, "noVNC to show what QEMU shows", func() bool {
		shown := canvas()
		return shown.Bounds() == own.Bounds() && apart(shown, own) < 50
	})
	keep(t, "screen.png", run(b, chromedp.FullScreenshot(100)))

	shot, err := s.consoles.Screenshot(t.Context(), i)
	must(t, err)
	picture, err := png.Decode(bytes.NewReader(shot.PNG))
	must(t, err)
	if picture.Bounds() != own.Bounds() || apart(picture, own) >= 50 || shot.Black {
		t.Errorf("%v with %d other pixels, black: %v", picture.Bounds(), apart(picture, own), shot.Black)
	}
	t.Logf("%v, %d pixels of text", own.Bounds(), lit(own))

	// The page's button.
	run(b, chromedp.Evaluate[bool](`(() => { window.saved = ""; const old = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob.type + " " + blob.size; return old(blob); };
		document.querySelector("#shot").click(); return true; })()`))
	b.shows(`window.saved.startsWith("image/png ")`)
	s.secretsStayOut()
}
