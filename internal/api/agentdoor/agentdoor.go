package agentdoor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Images are the deploy images that machines write.
type Images interface {
	Manifest(ctx context.Context, id string) (deployimage.Manifest, error)
	// OpenBlob gives the extents' bytes; the caller closes it.
	OpenBlob(ctx context.Context, id string) (io.ReadSeekCloser, error)
}

// The greatest bodies, in bytes. A report carries an inventory or the agent's log.
const (
	maxHello  = 64 << 10
	maxReport = 4 << 20
)

// Door answers agents.
type Door struct {
	// PollWait is how long a question for work is held; tests shorten it before the first request.
	PollWait time.Duration

	machines *machine.Service
	images   Images
	log      *slog.Logger
	mux      *http.ServeMux
}

// New makes the handler of the agent listener.
func New(machines *machine.Service, images Images, log *slog.Logger) *Door {
	d := &Door{PollWait: agentapi.PollWait, machines: machines, images: images, log: log, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST "+agentapi.PathHello, d.answer(d.hello))
	d.mux.HandleFunc("GET "+agentapi.PathCommand, d.answer(d.known(d.command)))
	d.mux.HandleFunc("POST "+agentapi.PathReport, d.answer(d.known(d.report)))
	d.mux.HandleFunc("GET "+agentapi.PathImage+"manifest", d.answer(d.known(d.manifest)))
	d.mux.HandleFunc("GET "+agentapi.PathImage+"blob", d.answer(d.known(d.blob)))
	d.mux.HandleFunc("/", d.answer(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "The agents' door has no such path.")
	}))
	return d
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// handler is the body of a route; once it has begun an answer it returns nil.
type handler func(w http.ResponseWriter, r *http.Request) error

// known lets only an agent in whose boot is not over.
func (d *Door) known(next func(w http.ResponseWriter, r *http.Request, boot *machine.Boot) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		boot, err := d.machines.Session(r.Context(), r.Header.Get(agentapi.HeaderSession), r.Header.Get(agentapi.HeaderSecret))
		if err != nil {
			return err
		}
		return next(w, r, boot)
	}
}

// answer turns a handler's error into its status and {"error": "sentence"}.
func (d *Door) answer(handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil || r.Context().Err() != nil {
			return // nobody is left to tell
		}
		status, ok := statuses[fault.KindOf(err)]
		if !ok {
			status = http.StatusInternalServerError
		}
		level := slog.LevelInfo
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		d.log.Log(r.Context(), level, "an agent's request failed", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr, "status", status, "error", err)
		write(w, status, map[string]string{"error": fault.Message(err)})
	}
}

var statuses = map[fault.Kind]int{
	fault.Invalid:      http.StatusBadRequest,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the agent is gone: it will ask again
}

// read takes a JSON body. Fields that we do not know are let pass: an agent may be newer than we are.
func read(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(v)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fault.Wrap(err, fault.TooLarge, "The body is larger than %d bytes.", limit)
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The body is not the JSON it should be.")
	}
	return nil
}

func (d *Door) hello(w http.ResponseWriter, r *http.Request) error {
	var hello agentapi.Hello
	if err := read(w, r, maxHello, &hello); err != nil {
		return err
	}
	welcome, err := d.machines.Hello(r.Context(), hello)
	if err != nil {
		return err
	}
	d.log.Info("an agent is there", "session", welcome.Session, "uuid", hello.UUID, "version", hello.Version, "from", r.RemoteAddr,
		"boot seconds", hello.BootSec, "clock skew", hello.Now.Sub(welcome.Now).Round(time.Second).String())
	write(w, http.StatusOK, welcome)
	return nil
}

func (d *Door) command(w http.ResponseWriter, r *http.Request, boot *machine.Boot) error {
	command, err := d.machines.NextCommand(r.Context(), boot, d.PollWait)
	if err != nil {
		return err
	}
	if command == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	write(w, http.StatusOK, command)
	return nil
}

func (d *Door) report(w http.ResponseWriter, r *http.Request, boot *machine.Boot) error {
	var report agentapi.Report
	if err := read(w, r, maxReport, &report); err != nil {
		return err
	}
	if err := d.machines.Report(r.Context(), boot, report); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// mine fails unless the boot's agent is writing that image now.
func (d *Door) mine(r *http.Request, boot *machine.Boot) (image string, err error) {
	image = r.PathValue("id")
	may, err := d.machines.MayFetch(r.Context(), boot, image)
	if err == nil && !may {
		err = fault.New(fault.Forbidden, "This machine is not writing that image.")
	}
	return image, err
}

func (d *Door) manifest(w http.ResponseWriter, r *http.Request, boot *machine.Boot) error {
	image, err := d.mine(r, boot)
	if err != nil {
		return err
	}
	manifest, err := d.images.Manifest(r.Context(), image)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, manifest)
	return nil
}

func (d *Door) blob(w http.ResponseWriter, r *http.Request, boot *machine.Boot) error {
	image, err := d.mine(r, boot)
	if err != nil {
		return err
	}
	blob, err := d.images.OpenBlob(r.Context(), image)
	if err != nil {
		return err
	}
	defer blob.Close() //nolint:errcheck // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, blob)
	return nil
}
