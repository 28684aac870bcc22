package consoledoor

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/fault"
)

//go:embed page/dist
var page embed.FS

// Servers are the instances that consoles belong to, with the eyes and the hands of their project.
type Servers interface {
	// Show tells what the page says of a server. NotFound for another project's.
	Show(ctx context.Context, project, id string) (Server, error)
	// Press asks something of the server, as the user would through the API, and is on record as that.
	Press(ctx context.Context, session *console.Session, request string, button Button) error
}

// Server is what the page says of one.
type Server struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Task   string `json:"task"`
	Power  string `json:"power"`
}

// Button of the page.
type Button string

// The buttons.
const (
	On         Button = "on"
	Off        Button = "off" // asks the system first
	SoftReboot Button = "soft-reboot"
	HardReboot Button = "hard-reboot"
	NMI        Button = "nmi" // a crash dump, where the system is set up for it
)

// Door answers under /console.
type Door struct {
	consoles *console.Service
	servers  Servers
	log      *slog.Logger
	mux      *http.ServeMux
	policy   string          // Content-Security-Policy
	ctx      context.Context // ends websockets, which a server's shutdown leaves alone
}

// New makes the handler. The ancestors are the origins whose pages may show the console in a frame: Horizon's. Websockets
// end with ctx.
func New(ctx context.Context, consoles *console.Service, servers Servers, ancestors []string, log *slog.Logger) *Door {
	d := &Door{consoles: consoles, servers: servers, log: log, mux: http.NewServeMux(), ctx: ctx}
	d.policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; " +
		"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors " + strings.Join(append([]string{"'self'"}, ancestors...), " ")
	files, err := fs.Sub(page, "page/dist")
	if err != nil {
		panic(err) // embedded
	}
	d.mux.Handle("GET /console/", http.StripPrefix("/console", http.FileServerFS(files)))
	d.mux.HandleFunc("POST /console/api/session", d.answer(d.openPage))
	d.mux.HandleFunc("GET /console/api/state", d.answer(d.known(d.state)))
	d.mux.HandleFunc("POST /console/api/token", d.answer(d.known(d.token)))
	d.mux.HandleFunc("GET /console/api/boots", d.answer(d.known(d.boots)))
	d.mux.HandleFunc("GET /console/api/log", d.knownRaw(d.text))
	d.mux.HandleFunc("GET /console/api/screenshot", d.knownRaw(d.screenshot))
	d.mux.HandleFunc("POST /console/api/power", d.answer(d.known(d.power)))
	d.mux.HandleFunc("GET /console/ws", d.websocket)
	d.mux.HandleFunc("GET /console/peer/records", d.records)
	return d
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", d.policy)
	h.Set("Referrer-Policy", "no-referrer") // the page's address holds a token
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	d.mux.ServeHTTP(w, r)
}

// handler gives the answer's body; nil: none.
type handler func(r *http.Request) (any, error)

// known lets only an open page in.
func (d *Door) known(next func(r *http.Request, page *console.Session) (any, error)) handler {
	return func(r *http.Request) (any, error) {
		page, err := d.page(r)
		if err != nil {
			return nil, err
		}
		return next(r, page)
	}
}

func (d *Door) page(r *http.Request) (*console.Session, error) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return d.consoles.Page(r.Context(), key)
}

// knownRaw is known for an answer that is not JSON.
func (d *Door) knownRaw(next func(w http.ResponseWriter, r *http.Request, page *console.Session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, err := d.page(r)
		if err == nil {
			err = next(w, r, page)
		}
		if err != nil {
			d.fail(w, r, err)
		}
	}
}

const maxBody = 64 << 10

func (d *Door) answer(handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		body, err := handle(r)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		write(w, http.StatusOK, body)
	}
}

var statuses = map[fault.Kind]int{
	fault.Invalid:      http.StatusBadRequest,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.Unsupported:  http.StatusNotImplemented,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

func statusOf(err error) int {
	if status, ok := statuses[fault.KindOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// fail answers {"error": "sentence"}.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	d.note(r, err)
	write(w, statusOf(err), map[string]string{"error": fault.Message(err)})
}

// note logs a failure; the path only, since the query may hold a token.
func (d *Door) note(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client left
	}
	level := slog.LevelInfo
	if statusOf(err) == http.StatusInternalServerError {
		level = slog.LevelError
	}
	d.log.Log(r.Context(), level, "a console request failed", "method", r.Method, "path", r.URL.Path, "peer", peer(r), "error", err)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody is left to tell
}

func read(r *http.Request, v any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return fault.Wrap(err, fault.Invalid, "The body is not the JSON it should be.")
	}
	return nil
}

// peer is where a request comes from; behind another process of ours, where that one says it came from.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if from := r.Header.Get("X-Forwarded-For"); from != "" && r.Header.Get(forwarded) != "" {
		return from + " through " + host
	}
	return host
}

func (d *Door) openPage(r *http.Request) (any, error) {
	var body struct {
		Token string `json:"token"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	first, err := d.consoles.Look(r.Context(), body.Token)
	if err != nil {
		return nil, err
	}
	session, key, err := d.consoles.OpenPage(r.Context(), body.Token, peer(r))
	if err != nil {
		return nil, err
	}
	return map[string]any{"key": key, "instance": session.Instance, "user": session.UserName, "first": first.Kind}, nil
}

func (d *Door) state(r *http.Request, page *console.Session) (any, error) {
	return d.servers.Show(r.Context(), page.Project, page.Instance)
}

func (d *Door) token(r *http.Request, page *console.Session) (any, error) {
	var body struct {
		Kind console.Kind `json:"kind"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	token, err := d.consoles.GrantMore(r.Context(), page, body.Kind, requestID())
	return map[string]string{"token": token}, err
}

func (d *Door) boots(r *http.Request, page *console.Session) (any, error) {
	return d.consoles.Boots(r.Context(), page.Instance)
}

func (d *Door) text(w http.ResponseWriter, r *http.Request, page *console.Session) error {
	text, err := d.consoles.Text(r.Context(), page.Instance, true)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="console-`+page.Instance+`.log"`)
	_, _ = w.Write([]byte(text)) // the client is gone: nobody is left to tell
	return nil
}

// screenBlack is the header that says of a picture that nothing is on it.
const screenBlack = "Ingot-Screen-Black"

func (d *Door) screenshot(w http.ResponseWriter, r *http.Request, page *console.Session) error {
	picture, err := d.consoles.Screenshot(r.Context(), page.Instance)
	if err != nil {
		return err
	}
	d.log.Info("a screenshot was taken on the console page", "session", page.ID, "instance", page.Instance, "user", page.UserID)
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="screen-`+page.Instance+`.png"`)
	if picture.Black {
		w.Header().Set(screenBlack, "true")
	}
	_, _ = w.Write(picture.PNG) // the client is gone: nobody is left to tell
	return nil
}

func (d *Door) power(r *http.Request, page *console.Session) (any, error) {
	var body struct {
		Button Button `json:"button"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	switch body.Button {
	case On, Off, SoftReboot, HardReboot, NMI:
	default:
		return nil, fault.New(fault.Invalid, "There is no button %q.", body.Button)
	}
	d.log.Info("a button was pressed on the console page", "session", page.ID, "instance", page.Instance, "user", page.UserID, "button", body.Button)
	return map[string]string{}, d.servers.Press(r.Context(), page, requestID(), body.Button)
}

func requestID() string { return "req-" + uuid.NewString() }

// records gives another process what this one recorded.
func (d *Door) records(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	err := d.consoles.WriteRecords(r.Context(), r.URL.Query().Get("token"), w)
	switch {
	case fault.Is(err, fault.Unauthorized):
		d.fail(w, r, err)
	case err != nil:
		d.note(r, err)
		panic(http.ErrAbortHandler) // the answer has begun: it is cut so that the other process sees that it is not whole
	}
}

// errGone ends a websocket whose client says nothing and reads nothing.
var errGone = errors.New("the viewer does not read")

// patience with a viewer's socket that takes nothing.
const patience = 15 * time.Second
