package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const chromium = "/usr/bin/chromium"

// patience with a page; a browser, a Python server and a cloud share the machine with other tests.
const patience = 2 * time.Minute

// quiet is how long no request may be under way until a page counts as loaded.
const quiet = 400 * time.Millisecond

// browser is one window of a headless Chromium on the dashboard.
type browser struct {
	ctx  context.Context
	base string // of the dashboard
	keep string // folder of the screenshots

	mu       sync.Mutex
	underway map[network.RequestID]string // URLs
	since    time.Time                    // of the last change of underway
	bad      []string                     // answers of 400 and above, and exceptions of scripts
}

// openBrowser starts one that reaches this machine only. It ends with the test.
func openBrowser(t *testing.T, base, keep string) *browser {
	t.Helper()
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1600, 1200),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(patience))...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx, base: base, keep: keep, underway: map[network.RequestID]string{}}
	if err := chromedp.Listen(ctx, b.hear); err != nil { // starts it
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear keeps the books on what the page does.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(e.Request.URL, "http") {
			b.underway[e.RequestID], b.since = e.Request.URL, time.Now()
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && !strings.HasSuffix(e.Response.URL, "/favicon.ico") { // an error's page names no icon
			b.bad = append(b.bad, fmt.Sprintf("Horizon answers %d to %s", e.Response.Status, strings.TrimPrefix(e.Response.URL, b.base)))
		}
	case *network.EventLoadingFinished:
		b.done(e.RequestID)
	case *network.EventLoadingFailed:
		b.done(e.RequestID)
		if e.BlockedReason != "" || e.Type == network.ResourceTypeDocument && !e.Canceled { // such as a frame that may not be one
			b.bad = append(b.bad, fmt.Sprintf("a %s does not load: %s %s", e.Type, e.ErrorText, e.BlockedReason))
		}
	case *runtime.EventExceptionThrown:
		b.bad = append(b.bad, "a script of the page fails: "+exception(e.ExceptionDetails))
	case *page.EventJavascriptDialogOpening:
		b.bad = append(b.bad, "a dialog opens: "+e.Message)
	}
}

func (b *browser) done(id network.RequestID) {
	if _, ok := b.underway[id]; ok {
		delete(b.underway, id)
		b.since = time.Now()
	}
}

// exception is the first line of what a script died of.
func exception(details *runtime.ExceptionDetails) string {
	text := details.Text
	if details.Exception != nil {
		text += " " + details.Exception.Description
	}
	first, _, _ := strings.Cut(text, "\n")
	return first
}

// do runs actions and waits until the page is at rest after them.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		return err
	}
	return b.settle(ctx)
}

// ask evaluates a script in the page.
func ask[T any](b *browser, script string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}

// askFrame evaluates a script in the page that the first frame of the page shows.
func askFrame[T any](b *browser, script string) (value T, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return value, err
	}
	if len(tree.FrameTree.ChildFrames) == 0 {
		return value, errors.New("the page has no frame")
	}
	frame := tree.FrameTree.ChildFrames[0].Frame.ID
	world, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame})
	if err != nil {
		return value, err
	}
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, func(p *runtime.EvaluateParams) { p.ContextID = world.ExecutionContextID }))
}

// settle waits until the document is complete and no request was under way for a while.
func (b *browser) settle(ctx context.Context) error {
	for start := time.Now(); ; {
		b.mu.Lock()
		waits := len(b.underway) > 0 || time.Since(b.since) < quiet || time.Since(start) < quiet
		told := fmt.Sprint(b.underway)
		b.mu.Unlock()
		if !waits {
			// It fails while a page gives way to the next.
			if ready, err := ask[bool](b, `document.readyState === "complete"`); err == nil && ready {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the page does not come to rest: %s: %w", told, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// open goes to a path of the dashboard.
func (b *browser) open(path string) error {
	b.mu.Lock()
	clear(b.underway) // of the page that is left
	b.mu.Unlock()
	return b.do(chromedp.Navigate(b.base + path))
}

// forget drops what was complained of so far.
func (b *browser) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = nil
}

// toasts are the error messages that a page shows: those of Django's pages and those of Angular's.
const toasts = `Array.from(document.querySelectorAll(".alert-danger, .alert-error"))
	.filter(e => e.offsetParent !== null).map(e => e.innerText.replace(/\s+/g, " ").trim()).filter(s => s)`

// complaints are what the browser found wrong since forget.
func (b *browser) complaints() ([]string, error) {
	shown, err := ask[[]string](b, toasts)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	said := slices.Clone(b.bad)
	for _, text := range shown {
		said = append(said, "the page says: "+text)
	}
	return said, nil
}

// shoot keeps a screenshot and the page's text beside it.
func (b *browser) shoot(name string) error {
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	html, err := ask[string](b, `document.documentElement.outerHTML`)
	if err != nil {
		return err
	}
	file := filepath.Join(b.keep, strings.Trim(strings.NewReplacer("/", "_", " ", "_", "?", "_").Replace(name), "_"))
	if err := os.WriteFile(file+".png", png, 0o644); err != nil {
		return err
	}
	return os.WriteFile(file+".html", []byte(html), 0o644)
}

// js is a value as it stands in a script.
func js(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and lists of them can be encoded
	}
	return string(text)
}

// path is where the browser is.
func (b *browser) path() (string, error) {
	at, err := ask[string](b, `location.href`)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	return u.Path, nil
}

// until waits for a script of the page to give something true.
func (b *browser) until(what, script string) error {
	return b.await(what, func() bool {
		met, err := ask[bool](b, `!!(`+script+`)`)
		return err == nil && met // it fails while a page gives way to the next
	})
}

// await waits for something to become true.
func (b *browser) await(what string, met func() bool) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		if met() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// visible is a script for the first element of a selector that can be seen, is not switched off and has the text in it.
func visible(selector, text string) string {
	return fmt.Sprintf(`Array.from(document.querySelectorAll(%s)).find(e => e.offsetParent !== null && !e.disabled && e.innerText.includes(%s))`, js(selector), js(text))
}

// click clicks on what can be seen of a selector, with the text in it.
func (b *browser) click(selector, text string) error {
	if err := b.press(visible(selector, text)); err != nil {
		return fmt.Errorf("click on %s %s: %w", selector, text, err)
	}
	return nil
}

// press clicks on what a script of the page gives, as soon as it gives something.
func (b *browser) press(script string) error {
	if err := b.until("something to click on", `(e => e && (e.click(), true))(`+script+`)`); err != nil {
		return err
	}
	return b.do()
}

// tabs opens each tab of the page.
func (b *browser) tabs() error {
	const tabs = `document.querySelectorAll("#content_body ul.nav-tabs a, #content_body ul.nav-tabs li")`
	number, err := ask[int](b, tabs+`.length`)
	for n := 0; err == nil && n < number; n++ {
		if _, err = ask[bool](b, fmt.Sprintf(`%s[%d]?.click() ?? true`, tabs, n)); err == nil {
			err = b.do()
		}
	}
	return err
}

// fill writes a value into a field.
func (b *browser) fill(selector, value string) error {
	if err := b.until("a field "+selector, visible(selector, "")); err != nil {
		return err
	}
	_, err := ask[bool](b, fmt.Sprintf(`(field => {
		field.value = %s;
		for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {bubbles: true}));
		return true;
	})(%s)`, js(value), visible(selector, "")))
	if err != nil {
		return fmt.Errorf("fill %s: %w", selector, err)
	}
	return b.do()
}

// choose takes the option whose text begins with a text from a list: Angular's are the browser's own, over Django's
// Horizon lays a menu of links.
func (b *browser) choose(selector, text string) error {
	const script = `(() => {
		const list = document.querySelector(%s), text = %s;
		const begins = e => e.textContent.trim().startsWith(text);
		const menu = list && list.closest(".themable-select");
		const option = menu ? Array.from(menu.querySelectorAll("a")).find(begins) : list && Array.from(list.options).find(begins);
		if (!option) return false;
		if (menu) { option.click(); return true; }
		list.value = option.value;
		list.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`
	if err := b.until("the choice "+text+" in "+selector, fmt.Sprintf(script, js(selector), js(text))); err != nil {
		return err
	}
	return b.do()
}

// shows waits until the page has a text in what can be seen of a selector.
func (b *browser) shows(selector, text string) error {
	if err := b.until(selector+" with "+text, visible(selector, text)); err != nil {
		return err
	}
	return b.do()
}

// framed waits for a script of the page in the frame to give something true.
func (b *browser) framed(what, script string) error {
	return b.await(what, func() bool {
		met, err := askFrame[bool](b, `!!(`+script+`)`)
		return err == nil && met // it fails until the frame has loaded
	})
}

// clickFramed clicks with the mouse in the middle of what the frame has of a selector.
func (b *browser) clickFramed(selector string) error {
	type point struct{ X, Y float64 }
	corner, err := ask[point](b, `(e => { e.scrollIntoView(); const r = e.getBoundingClientRect(); return {x: r.x, y: r.y}; })(document.querySelector("iframe"))`)
	if err != nil {
		return err
	}
	middle, err := askFrame[point](b, fmt.Sprintf(`(r => ({x: r.x + r.width / 2, y: r.y + r.height / 2}))(document.querySelector(%s).getBoundingClientRect())`, js(selector)))
	if err != nil {
		return err
	}
	return b.do(chromedp.MouseClickXY(corner.X+middle.X, corner.Y+middle.Y))
}

// keys presses the keys of a text as a keyboard does, wherever the page has its focus; "\r" is Enter.
func (b *browser) keys(text string) error {
	for _, key := range text {
		name := string(key)
		if key == '\r' {
			name = "Enter"
		}
		for _, event := range []input.DispatchKeyEventParams{
			{Type: input.DispatchKeyEventTypeKeyDown, Key: name, Text: string(key), UnmodifiedText: string(key)},
			{Type: input.DispatchKeyEventTypeKeyUp, Key: name},
		} {
			if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, event); err != nil {
				return err
			}
		}
	}
	return b.do()
}

// steps are done one after the other, up to the first that fails.
func steps(all ...func() error) error {
	for n, step := range all {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
	}
	return nil
}
