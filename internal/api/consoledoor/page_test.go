package consoledoor_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// browser is a headless Chromium that ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	if testing.Short() {
		t.Skip("starting a browser takes several seconds")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	return ctx
}

// tab runs steps in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func run[T any](b tab, a chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// shows waits until an expression in the page is true. The page's policy forbids what chromedp.Poll does.
func (b tab) shows(expression string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if run(b, chromedp.Evaluate[bool]("Boolean("+expression+")")) {
			return
		}
	}
	b.t.Fatalf("the page does not show %s, but: %s", expression, run(b, chromedp.Evaluate[string]("document.body.innerText")))
}

// types presses keys as a keyboard does.
func (b tab) types(text string) {
	b.t.Helper()
	for _, c := range text {
		for _, event := range []input.DispatchKeyEventParams{{Type: input.DispatchKeyEventTypeKeyDown, Text: string(c)}, {Type: input.DispatchKeyEventTypeKeyUp}} {
			event.Key, event.UnmodifiedText = string(c), event.Text
			run(b, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, event)
				return err
			}))
		}
	}
}

// screen is an expression for what the terminal shows, spaces being what they are.
const screen = `(document.querySelector(".xterm-rows")?.textContent ?? "").replaceAll("\u00a0", " ")`

// link is what Nova gives a browser.
func (s *site) link(token string) string {
	return s.url + "/console/?path=console%2Fws%3Ftoken%3D" + token
}

// In a real browser: what the machine printed is shown, a key typed arrives at the machine and its echo comes back, the
// boot's trouble is told, and the token is gone from the address. All of it fits on a telephone.
func TestPageInABrowser(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	i := s.instance("m1")
	s.Print("m1", "[    0.000000] Linux version 6.1.0\r\n[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n")
	token := s.grant(i, console.Serial, "alice")
	b := tab{t, browser(t)}
	run(b, chromedp.EmulateViewport(1280, 800))
	run(b, chromedp.Navigate(s.link(token)))
	b.shows(`document.querySelector("#name").textContent === "web"`)
	b.shows(screen + `.includes("Kernel panic")`)
	b.shows(`document.querySelector(".finding")?.textContent.includes("The kernel gave up: Attempted to kill init!")`)
	b.types("typed in the browser")
	b.shows(screen + `.includes("typed in the browser")`)
	b.shows(`document.querySelector("#keyboard").textContent.startsWith("You have the keyboard")`)
	if address := run(b, chromedp.Location()); strings.Contains(address, token) {
		t.Error(address)
	}
	keep(t, "wide.png", run(b, chromedp.FullScreenshot(100)))
	run(b, chromedp.Click("#theme"))
	run(b, chromedp.Click(`[data-view="both"]`))
	b.shows(`document.querySelector("#rfb").getBoundingClientRect().height === document.querySelector("#terminal").getBoundingClientRect().height`)
	keep(t, "dark.png", run(b, chromedp.FullScreenshot(100)))
	if text, err := s.consoles.Tail(t.Context(), i, -1); err != nil || !strings.Contains(text, "typed in the browser") {
		t.Errorf("%q, %v", text, err)
	}
	run(b, chromedp.EmulateViewport(400, 800))
	run(b, chromedp.Reload()) // its key is enough
	b.shows(screen + `.includes("in the browser")`)
	b.shows(`document.querySelector(".finding")`)
	if wide := run(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > 400 {
		t.Errorf("the page is %d pixels wide", wide)
	}
	keep(t, "narrow.png", run(b, chromedp.FullScreenshot(100)))
	s.secretsStayOut()
}

// The page works in a frame of an origin that the operator names, and is not shown in any other.
func TestPageInAFrame(t *testing.T) {
	var s *site
	horizon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<iframe src="%s" width="800" height="600" onload="document.title = 'loaded'"></iframe>`, html.EscapeString(s.link(r.URL.Query().Get("t"))))
	}))
	defer horizon.Close()
	b := tab{t, browser(t)}
	s = newSite(t, dbtest.SQLite(t), consoletest.New(), horizon.URL)
	i := s.instance("m1")
	refused, shown := s.grant(i, console.Serial, "alice"), s.grant(i, console.Serial, "alice")
	run(b, chromedp.Navigate(strings.Replace(horizon.URL, "127.0.0.1", "localhost", 1)+"/?t="+refused))
	b.shows(`document.title === "loaded"`)
	run(b, chromedp.Navigate(horizon.URL+"/?t="+shown))
	consoletest.Eventually(t, "the framed page to open the console", func() bool {
		_, err := s.consoles.Look(t.Context(), shown)
		return err != nil && strings.Contains(s.log.text(), "kind=serial")
	})
	if _, err := s.consoles.Look(t.Context(), refused); err != nil {
		t.Errorf("a frame of another origin has opened the console: %v", err)
	}
}

// keep writes a picture where INGOT_PICTURES says, for people to look at.
func keep(t *testing.T, name string, picture []byte) {
	t.Helper()
	if dir := os.Getenv("INGOT_PICTURES"); dir != "" {
		must(t, os.WriteFile(filepath.Join(dir, name), picture, 0o644))
	}
}
