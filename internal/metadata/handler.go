package metadata

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Servers knows what there is to tell.
type Servers interface {
	// MetadataOf is of the server whose port has that address on that network; the fault NotFound when there is none. It may
	// be called again at will.
	MetadataOf(ctx context.Context, c Caller) (*Content, error)
}

// Door is what the chassis' programs ask, on a listener of its own.
type Door struct {
	Servers Servers
	Secret  []byte // shared with the chassis
	Now     func() time.Time
	Log     *slog.Logger
}

// answer of the service.
type answer struct {
	kind string // Content-Type
	text []byte
}

const (
	text      = "text/plain; charset=utf-8"
	jsonText  = "application/json"
	something = "application/octet-stream" // user data may be anything
)

func kindOf(file string) string {
	switch {
	case strings.HasSuffix(file, ".json"):
		return jsonText
	case file == userDataFile:
		return something
	}
	return text
}

func lines(list []string) answer { return answer{text, []byte(strings.Join(list, "\n"))} }

// ServeHTTP answers as Nova does: 404 for what is not there, and for a caller that nobody knows.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := caller(r.Header, d.Secret, d.Now())
	var found answer
	if err == nil {
		found, err = d.find(r, who)
	}
	if err == nil {
		w.Header().Set("Content-Type", found.kind)
		w.Header().Set("Cache-Control", "no-store") // the next reboot may learn something else
		_, _ = w.Write(found.text)                  // a guest that is gone asks again
		return
	}
	if r.Context().Err() != nil {
		return // nobody is left to tell
	}
	status, ok := statuses[fault.KindOf(err)]
	if !ok {
		status = http.StatusInternalServerError
	}
	level := slog.LevelDebug
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case status == http.StatusUnauthorized:
		level = slog.LevelWarn
	}
	d.Log.Log(r.Context(), level, "a question for metadata was refused", "method", r.Method, "path", r.URL.Path, "network", who.Network,
		"address", who.Address, "from", r.RemoteAddr, "status", status, "error", err)
	http.Error(w, fault.Message(err), status)
}

var statuses = map[fault.Kind]int{
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Unsupported:  http.StatusMethodNotAllowed,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

func (d *Door) find(r *http.Request, who Caller) (answer, error) {
	content, err := d.Servers.MetadataOf(r.Context(), who)
	if err != nil {
		return answer{}, err
	}
	elements := strings.FieldsFunc(path.Clean("/"+r.URL.Path), func(c rune) bool { return c == '/' })
	found, is, err := content.at(elements)
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("metadata of server %s: %w", content.ID, err)
	case !is:
		return answer{}, fault.New(fault.NotFound, "There is nothing at %s.", r.URL.Path)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return found, nil
	case r.Method == http.MethodPost && elements[len(elements)-1] == passwordFile:
		return answer{}, fault.New(fault.Forbidden, "This cloud keeps no passwords of servers. Use a key pair.")
	}
	return answer{}, fault.New(fault.Unsupported, "Metadata can only be read.")
}

// at gives what is at a path, and whether anything is. What is neither form's is EC2's, as ever.
func (c *Content) at(elements []string) (answer, bool, error) {
	if len(elements) == 0 {
		elements = []string{"ec2"}
	}
	switch elements[0] {
	case "openstack":
		return c.openstack(elements[1:])
	case "ec2":
		elements = elements[1:]
	}
	found, is := c.ec2(elements)
	return found, is, nil
}
