package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

// controlSocket in the rack's folder takes orders from lab's other commands, over HTTP.
const controlSocket = "lab.sock"

// Status is one machine as lab status shows it.
type Status struct {
	Name       string    `json:"name"`
	On         bool      `json:"on"`
	Boot       vbmc.Boot `json:"boot"`
	Media      string    `json:"media,omitempty"`
	SecureBoot bool      `json:"secure_boot"`
	BMC        string    `json:"bmc"` // kind and address
	MACs       []string  `json:"macs"`
}

// powerActions are lab power's words.
var powerActions = map[string]vbmc.Action{
	"on": vbmc.On, "off": vbmc.ForceOff, "reset": vbmc.ForceRestart, "shutdown": vbmc.GracefulShutdown, "nmi": vbmc.NMI,
}

// serve opens the rack's two sockets.
func (r *Rack) serve() error {
	dial, err := listenFor(filepath.Join(r.dir, dialSocket))
	if err != nil {
		return err
	}
	r.undo = append(r.undo, dial.Close)
	go func() {
		if err := serveDials(dial, r.route); err != nil {
			r.log.Error("the dial socket ended", "err", err)
		}
	}()
	control, err := listenFor(filepath.Join(r.dir, controlSocket))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: r.control(), ReadHeaderTimeout: 10 * time.Second}
	r.undo = append(r.undo, server.Close)
	go func() {
		if err := server.Serve(control); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("the control socket ended", "err", err)
		}
	}()
	return nil
}

func (r *Rack) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /machines", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(r.statuses())
	})
	handle := func(pattern string, h func(m *Machine, w http.ResponseWriter, q *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			m := r.Machine(q.PathValue("name"))
			if m == nil {
				http.Error(w, fmt.Sprintf("the rack has no machine %q", q.PathValue("name")), http.StatusNotFound)
			} else if err := h(m, w, q); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	handle("POST /machines/{name}/power/{action}", func(m *Machine, _ http.ResponseWriter, q *http.Request) error {
		action, ok := powerActions[q.PathValue("action")]
		if !ok {
			return fmt.Errorf("%q is no power action", q.PathValue("action"))
		}
		return m.Do(q.Context(), action)
	})
	handle("GET /machines/{name}/screenshot", func(m *Machine, w http.ResponseWriter, q *http.Request) error {
		png, err := m.Screenshot(q.Context())
		if err == nil {
			w.Write(png)
		}
		return err
	})
	handle("GET /machines/{name}/console", followConsole)
	return mux
}

func (r *Rack) statuses() []Status {
	var all []Status
	for i, m := range r.machines {
		state, bmc := m.saved(), r.description.Machines[i].BMC
		s := Status{
			Name: m.info.Name, On: m.Power(), Boot: state.Boot, Media: state.MediaURL, SecureBoot: state.SecureBoot,
			BMC: bmc.Kind + " " + bmc.Address,
		}
		for _, nic := range m.info.NICs {
			s.MACs = append(s.MACs, nic.MAC)
		}
		all = append(all, s)
	}
	return all
}

// followConsole sends the end of the serial log and then what the machine prints, until the client leaves. It joins
// first, so that nothing is lost between the two; a few bytes may come twice.
func followConsole(m *Machine, w http.ResponseWriter, q *http.Request) error {
	line, err := m.Console()
	if err != nil {
		return err
	}
	defer line.Close()
	defer context.AfterFunc(q.Context(), func() { line.Close() })()
	if log, err := os.ReadFile(filepath.Join(m.dir, fileSerialLog)); err == nil {
		w.Write(log[max(0, len(log)-8<<10):])
	}
	flush := http.NewResponseController(w)
	buffer := make([]byte, 4<<10)
	for {
		if err := flush.Flush(); err != nil {
			return nil
		}
		n, err := line.Read(buffer)
		if _, gone := w.Write(buffer[:n]); gone != nil || err != nil {
			return nil
		}
	}
}

// controlClient orders the lab that runs in a folder.
type controlClient struct {
	dir  string
	http http.Client
}

func newControlClient(dir string) *controlClient {
	return &controlClient{dir: dir, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, controlSocket))
		},
	}}}
}

// call gives the answer's body, which the caller closes.
func (c *controlClient) call(ctx context.Context, method, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no lab answers in %s (start it with: ingot lab run): %w", c.dir, err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return nil, errors.Join(errors.New(string(bytes.TrimSpace(text))), err)
	}
	return answer.Body, nil
}
