package consoledoor_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image/color"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/consoledoor"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
)

// site is one process with its door, over a rack in memory.
type site struct {
	*consoletest.Rack
	t        testing.TB
	consoles *console.Service
	url      string
	log      *locked
	servers  *servers
	tokens   *[]string // all that were ever given
}

// locked is a log that is written and read at once.
type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *locked) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// servers remember what was pressed.
type servers struct {
	mu      sync.Mutex
	pressed []string
}

func (s *servers) Show(_ context.Context, project, id string) (consoledoor.Server, error) {
	if project != "p" {
		return consoledoor.Server{}, fault.New(fault.NotFound, "Instance %s could not be found.", id)
	}
	return consoledoor.Server{ID: id, Name: "web", Status: "ACTIVE", Power: "on"}, nil
}

func (s *servers) Press(_ context.Context, page *console.Session, _ string, button consoledoor.Button) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pressed = append(s.pressed, page.UserID+" "+string(button)); button == consoledoor.On {
		return fault.New(fault.Conflict, "Cannot 'start' instance %s while it is in vm_state active", page.Instance)
	}
	return nil
}

func newSite(t testing.TB, d *db.DB, rack *consoletest.Rack, ancestors ...string) *site {
	s := &site{Rack: rack, t: t, log: &locked{}, servers: &servers{}, tokens: &[]string{}}
	server := httptest.NewUnstartedServer(nil)
	s.url = "http://" + server.Listener.Addr().String()
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.consoles = console.New(d, clock.Real{}, log, console.Config{Folder: filepath.Join(t.TempDir(), "c"), URL: s.url, Settle: time.Millisecond, LookEvery: 10 * time.Millisecond},
		rack, rack, consoledoor.Peers{Client: http.DefaultClient})
	ctx, cancel := context.WithCancel(context.Background())
	server.Config.Handler = consoledoor.New(ctx, s.consoles, s.servers, append(ancestors, "https://horizon.example"), log)
	server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelInfo)
	server.Start()
	ended := make(chan struct{})
	go func() { s.consoles.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; server.Close() })
	return s
}

func (s *site) instance(id string) string {
	s.t.Helper()
	i := uuid.NewString()
	s.Lend(id, i)
	consoletest.Eventually(s.t, "the line to be open", func() bool {
		text, err := s.consoles.Tail(context.Background(), i, -1)
		must(s.t, err)
		return strings.Contains(text, "the serial console is recorded")
	})
	return i
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) grant(i string, kind console.Kind, name string) string {
	s.t.Helper()
	token, err := s.consoles.Grant(context.Background(), console.Grant{Kind: kind, Instance: i, Project: "p", UserID: "u-" + name, UserName: name, Request: "req-1"})
	must(s.t, err)
	*s.tokens = append(*s.tokens, token)
	return token
}

// secretsStayOut looks for tokens in the log.
func (s *site) secretsStayOut() {
	s.t.Helper()
	text := s.log.text()
	if !strings.Contains(text, "a console was opened") {
		s.t.Error("the log does not say who opened a console")
	}
	for _, token := range *s.tokens {
		if strings.Contains(text, token) {
			s.t.Errorf("a token is in the log:\n%s", text)
		}
	}
}

// dial opens a websocket, or gives the status of the refusal.
func (s *site) dial(token, protocol string) (*websocket.Conn, int) {
	s.t.Helper()
	conn, response, err := websocket.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/console/ws?token="+token,
		&websocket.DialOptions{Subprotocols: []string{protocol}, HTTPHeader: http.Header{"Origin": {"https://horizon.example"}}})
	if err != nil {
		if response == nil {
			s.t.Fatal(err)
		}
		return nil, response.StatusCode
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, http.StatusSwitchingProtocols
}

func (s *site) open(token, protocol string) *websocket.Conn {
	s.t.Helper()
	conn, status := s.dial(token, protocol)
	if conn == nil {
		s.t.Fatalf("refused: %d", status)
	}
	if conn.Subprotocol() != protocol {
		s.t.Errorf("the protocol is %q", conn.Subprotocol())
	}
	return conn
}

// until reads messages until one has the text.
func (s *site) until(conn *websocket.Conn, text string, decode func(websocket.MessageType, []byte) string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	all := ""
	for !strings.Contains(all, text) {
		kind, p, err := conn.Read(ctx)
		if err != nil {
			s.t.Fatalf("%v after %q", err, all)
		}
		all += decode(kind, p)
	}
	return all
}

func plain(_ websocket.MessageType, p []byte) string { return string(p) }

func TestSubprotocols(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	i := s.instance("m1")
	for _, c := range []struct {
		protocol string
		encode   func(string) (websocket.MessageType, []byte)
		decode   func(websocket.MessageType, []byte) string
	}{
		{"binary", func(text string) (websocket.MessageType, []byte) { return websocket.MessageBinary, []byte(text) }, plain},
		{"ingot", func(text string) (websocket.MessageType, []byte) { return websocket.MessageBinary, []byte(text) }, plain},
		{"base64", func(text string) (websocket.MessageType, []byte) {
			return websocket.MessageText, []byte(base64.StdEncoding.EncodeToString([]byte(text)))
		}, func(kind websocket.MessageType, p []byte) string {
			text, err := base64.StdEncoding.DecodeString(string(p))
			if err != nil || kind != websocket.MessageText {
				t.Errorf("%v: %s", err, p)
			}
			return string(text)
		}},
	} {
		conn := s.open(s.grant(i, console.Serial, "alice"), c.protocol)
		kind, typed := c.encode("typed over " + c.protocol)
		must(t, conn.Write(t.Context(), kind, typed))
		s.until(conn, "typed over "+c.protocol, c.decode)
		s.Print("m1", "printed to "+c.protocol)
		s.until(conn, "printed to "+c.protocol, c.decode)
		must(t, conn.Close(websocket.StatusNormalClosure, ""))
	}
	conn := s.open(s.grant(i, console.Screen, "alice"), "binary")
	s.until(conn, "RFB 003.008\n", plain)
	must(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("RFB 003.008\n")))
	s.until(conn, "RFB 003.008\n", plain)
	s.secretsStayOut()
}

func TestRefusals(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	i := s.instance("m1")
	used := s.grant(i, console.Serial, "alice")
	s.open(used, "binary")
	for what, token := range map[string]string{"used": used, "made up": "0123456789ABCDEF", "none": "", "of another kind": s.grant(i, console.Log, "alice")} {
		if _, status := s.dial(token, "binary"); status != http.StatusUnauthorized {
			t.Errorf("a token that is %s: %d", what, status)
		}
	}
	other := uuid.NewString() // has no machine
	if _, status := s.dial(s.grant(other, console.Serial, "alice"), "binary"); status != http.StatusServiceUnavailable {
		t.Errorf("a console that is not open: %d", status)
	}
	response, err := http.Get(s.url + "/console/ws?token=" + s.grant(i, console.Serial, "alice"))
	must(t, err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("no websocket: %d", response.StatusCode)
	}
	for _, path := range []string{"state", "boots", "log"} {
		response, err := http.Get(s.url + "/console/api/" + path)
		must(t, err)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", path, response.StatusCode)
		}
	}
	response, err = http.Get(s.url + "/console/peer/records?token=" + s.grant(i, console.Serial, "alice"))
	must(t, err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("records with a user's token: %d", response.StatusCode)
	}
	s.secretsStayOut()
}

// call is the page's.
func (s *site) call(key, method, path, body string) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/console/api/"+path, strings.NewReader(body))
	must(s.t, err)
	r.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer response.Body.Close() //nolint:errcheck // it was read only
	text, err := io.ReadAll(response.Body)
	must(s.t, err)
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		answer = map[string]any{"text": string(text)}
	}
	return response.StatusCode, answer
}

func TestPage(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	i := s.instance("m1")
	s.Print("m1", "[    0.000000] Linux version 6.1.0\r\nweb login: ")
	response, err := http.Get(s.url + "/console/")
	must(t, err)
	html, err := io.ReadAll(response.Body)
	must(t, err)
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "frame-ancestors 'self' https://horizon.example") || response.Header.Get("X-Frame-Options") != "" ||
		response.Header.Get("Referrer-Policy") != "no-referrer" || !bytes.Contains(html, []byte("noVNC")) {
		t.Errorf("%v %s", response.Header, html)
	}
	token := s.grant(i, console.Screen, "alice")
	status, session := s.call("", "POST", "session", `{"token":"`+token+`"}`)
	if status != 200 || session["first"] != "screen" || session["user"] != "alice" || session["instance"] != i {
		t.Fatalf("%d %v", status, session)
	}
	key := session["key"].(string)
	*s.tokens = append(*s.tokens, key)
	if status, _ := s.call("", "POST", "session", `{"token":"`+token+`"}`); status != 401 {
		t.Errorf("the token is good twice: %d", status)
	}
	if status, answer := s.call(key, "GET", "state", ""); status != 200 || answer["name"] != "web" {
		t.Errorf("%d %v", status, answer)
	}
	consoletest.Eventually(t, "the boot", func() bool {
		status, answer := s.call(key, "GET", "boots", "")
		boots, _ := answer["boots"].([]any)
		return status == 200 && len(boots) == 1 && boots[0].(map[string]any)["good"] == true
	})
	if status, answer := s.call(key, "GET", "log", ""); status != 200 || !strings.Contains(answer["text"].(string), "web login:") {
		t.Errorf("%d %v", status, answer)
	}
	if status, _ := s.call(key, "POST", "power", `{"button":"hard-reboot"}`); status != 200 {
		t.Error(status)
	}
	if status, answer := s.call(key, "POST", "power", `{"button":"on"}`); status != 409 || !strings.Contains(answer["error"].(string), "vm_state") {
		t.Errorf("%d %v", status, answer)
	}
	for _, body := range []string{`{"button":"explode"}`, `{"more":1}`, ``, `[]`} {
		if status, _ := s.call(key, "POST", "power", body); status != 400 {
			t.Errorf("%s: %d", body, status)
		}
	}
	if got := strings.Join(s.servers.pressed, ", "); got != "u-alice hard-reboot, u-alice on" {
		t.Error(got)
	}
	s.Show(consoletest.Screen(4, 4, color.RGBA{R: 255}))
	if status, answer := s.call(key, "GET", "screenshot", ""); status != 200 || !strings.HasPrefix(answer["text"].(string), "\x89PNG") {
		t.Errorf("%d %v", status, answer)
	}
	if status, _ := s.call("another's key", "GET", "screenshot", ""); status != 401 {
		t.Error(status)
	}
	s.Show(func(context.Context) (io.ReadWriteCloser, error) {
		return nil, fault.New(fault.Unsupported, "The machine's BMC has no graphical console.")
	})
	if status, answer := s.call(key, "GET", "screenshot", ""); status != 501 || !strings.Contains(answer["error"].(string), "no graphical console") {
		t.Errorf("%d %v", status, answer)
	}
	s.Show(nil)
	if status, _ := s.call(key, "POST", "token", `{"kind":"log"}`); status != 400 {
		t.Errorf("a page got a token for the log: %d", status)
	}
	status, more := s.call(key, "POST", "token", `{"kind":"serial"}`)
	if status != 200 {
		t.Fatal(more)
	}
	*s.tokens = append(*s.tokens, more["token"].(string))
	conn := s.open(more["token"].(string), "ingot")
	s.until(conn, `"mine":false`, plain)
	must(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"order":"take"}`)))
	s.until(conn, `"mine":true`, plain)
	s.secretsStayOut()
}

// Terminals without a page see in the output who has the keyboard.
func TestHandOverInPlainTerminals(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t), consoletest.New())
	i := s.instance("m1")
	alice, bob := s.open(s.grant(i, console.Serial, "alice"), "binary"), s.open(s.grant(i, console.Serial, "bob"), "binary")
	must(t, alice.Write(t.Context(), websocket.MessageBinary, []byte("from alice")))
	s.until(bob, "[ingot: alice has the keyboard]", plain)
	must(t, bob.Write(t.Context(), websocket.MessageBinary, []byte("from bob")))
	if text := s.until(bob, "[ingot: alice is typing", plain); strings.Contains(text, "from bob") {
		t.Error(text)
	}
}

// A viewer comes in at any process and is sent to the one that has the line.
func TestThroughAnotherProcess(t *testing.T) {
	d, rack := dbtest.SQLite(t), consoletest.New()
	a := newSite(t, d, rack)
	i := a.instance("m1")
	b := newSite(t, d, rack)
	b.Print("m1", "recorded by the other")
	consoletest.Eventually(t, "the log through the other process", func() bool {
		text, err := b.consoles.Tail(t.Context(), i, -1)
		must(t, err)
		return strings.Contains(text, "recorded by the other")
	})
	token := b.grant(i, console.Serial, "alice")
	conn := b.open(token, "binary")
	must(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("typed through b")))
	b.until(conn, "typed through b", plain)
	if _, status := b.dial(token, "binary"); status != http.StatusUnauthorized {
		t.Errorf("the token is good twice: %d", status)
	}
	a.tokens = b.tokens
	a.secretsStayOut()
	if text := b.log.text(); strings.Contains(text, token) {
		t.Error(text)
	}
}

// From a key to its echo through the whole proxy, over a machine in memory: what the proxy adds to a BMC's own time.
func BenchmarkKeyToEcho(b *testing.B) {
	s := newSite(b, dbtest.SQLite(b), consoletest.New())
	conn := s.open(s.grant(s.instance("m1"), console.Serial, "alice"), "binary")
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		must(b, conn.Write(b.Context(), websocket.MessageBinary, []byte("k")))
		s.until(conn, "k", plain)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
}
