package consoledoor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/fault"
)

// The subprotocols. binary and base64 are websockify's, as Horizon's serial page, noVNC and novaconsole speak them:
// they carry the console's bytes and nothing else, so what we have to say to their users stands in the output. ingot is
// our page's: bytes in binary messages, console.Status and orders as JSON in text messages.
const (
	binary    = "binary"
	inBase64  = "base64"
	withState = "ingot"
)

// forwarded marks a request that comes from another process of ours: it is not sent on once more.
const forwarded = "X-Ingot-Console-Forwarded"

// maxMessage bounds what a viewer sends at once, in bytes: a paste, or a picture's clipboard.
const maxMessage = 1 << 20

// pingEvery keeps a silent connection alive through proxies, and finds those that are dead.
const pingEvery = 30 * time.Second

// websocket opens a console. A refusal has a status and no body, as websockify's clients expect.
func (d *Door) websocket(w http.ResponseWriter, r *http.Request) {
	refuse := func(err error) {
		d.note(r, err)
		w.Header().Set("Connection", "close")
		w.WriteHeader(statusOf(err))
	}
	token := r.URL.Query().Get("token")
	grant, err := d.consoles.Look(r.Context(), token)
	if err != nil {
		refuse(err)
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		refuse(fault.New(fault.Invalid, "This address speaks WebSocket only."))
		return
	}
	if grant.Kind == console.Serial && r.Header.Get(forwarded) == "" {
		holder, err := d.consoles.Holder(r.Context(), grant.Instance)
		if err != nil {
			refuse(err)
			return
		}
		if holder != "" {
			d.forward(w, r, holder)
			return
		}
	}
	session, err := d.consoles.Open(r.Context(), token, peer(r))
	if err != nil {
		refuse(err)
		return
	}
	defer session.Close()
	source, err := d.open(r.Context(), session)
	if err != nil {
		refuse(err)
		return
	}
	defer source.close()
	// The token is what lets a client in, not a cookie that a foreign page could make a browser send: any origin may come,
	// as Horizon's own serial page does.
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{withState, binary, inBase64}, InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer socket.CloseNow() //nolint:errcheck // it is closed in peace below, or lost
	socket.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	c := &conn{Conn: socket, protocol: socket.Subprotocol()}
	ended := make(chan error, 3)
	go func() { ended <- source.show(ctx, c) }()
	go func() { ended <- c.listen(ctx, session, source) }()
	go func() { ended <- c.stayAlive(ctx) }()
	err = <-ended
	text := "the console has ended"
	if fault.KindOf(err) != fault.Internal {
		text = fault.Message(err)
	}
	_ = socket.Close(websocket.StatusNormalClosure, text[:min(len(text), 120)]) // the viewer may be gone
}

// forward hands the connection to the process that has the line; that one looks at the token.
func (d *Door) forward(w http.ResponseWriter, r *http.Request, holder string) {
	to, err := url.Parse(holder)
	if err != nil {
		d.note(r, err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.SetXForwarded()
			p.Out.Header.Set(forwarded, "1")
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			d.note(r, fault.Wrap(err, fault.Unavailable, "The process that has the console does not answer."))
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	}
	proxy.ServeHTTP(w, r)
}

// source is what a websocket shows: a serial line or a picture.
type source interface {
	// show sends until the source or the viewer ends.
	show(ctx context.Context, to *conn) error
	// typed takes what the viewer sends; the answer is for the viewer, empty when there is nothing to say.
	typed(p []byte) (answer string, err error)
	order(name string)
	close()
}

func (d *Door) open(ctx context.Context, session *console.Session) (source, error) {
	if session.Kind == console.Screen {
		stream, err := d.consoles.Screen(ctx, session.Instance)
		return screen{stream}, err
	}
	viewer, err := d.consoles.Watch(session.Instance, session.UserName)
	return &serial{viewer: viewer}, err
}

// conn is a viewer's websocket.
type conn struct {
	*websocket.Conn
	protocol string
}

// send gives up on a viewer that takes nothing: the others do not wait for it.
func (c *conn) send(ctx context.Context, kind websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errGone)
	defer cancel()
	return c.Write(ctx, kind, p)
}

func (c *conn) output(ctx context.Context, p []byte) error {
	if c.protocol == inBase64 {
		return c.send(ctx, websocket.MessageText, base64.StdEncoding.AppendEncode(nil, p))
	}
	return c.send(ctx, websocket.MessageBinary, p)
}

// say tells the viewer something of ours.
func (c *conn) say(ctx context.Context, text string) error {
	if text == "" {
		return nil
	}
	if c.protocol == withState {
		message, err := json.Marshal(map[string]string{"say": text})
		if err != nil {
			return err
		}
		return c.send(ctx, websocket.MessageText, message)
	}
	return c.output(ctx, []byte("\r\n[ingot: "+text+"]\r\n"))
}

func (c *conn) stayAlive(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		ping, cancel := context.WithTimeoutCause(ctx, patience, errGone)
		err := c.Ping(ping)
		cancel()
		if err != nil {
			return err
		}
	}
}

// listen takes what the viewer sends, until it leaves.
func (c *conn) listen(ctx context.Context, session *console.Session, to source) error {
	for {
		kind, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		switch {
		case c.protocol == withState && kind == websocket.MessageText:
			var order struct {
				Order string `json:"order"`
			}
			if err := json.Unmarshal(p, &order); err != nil {
				return fault.Wrap(err, fault.Invalid, "A text message is an order in JSON.")
			}
			to.order(order.Order)
			continue
		case c.protocol == inBase64:
			if p, err = base64.StdEncoding.DecodeString(string(p)); err != nil {
				return fault.Wrap(err, fault.Invalid, "A message is not base64.")
			}
		}
		session.Typed.Add(int64(len(p)))
		answer, err := to.typed(p)
		if err != nil {
			return err
		}
		if err := c.say(ctx, answer); err != nil {
			return err
		}
	}
}

// serial is a viewer of a line.
type serial struct {
	viewer *console.Viewer
	told   string // the last answer to keys, so that a held key does not fill the screen
}

func (s *serial) show(ctx context.Context, to *conn) error {
	buffer := make([]byte, 32<<10)
	for {
		news, err := s.viewer.Next(ctx, buffer)
		if err != nil {
			return err
		}
		if news.Skipped > 0 {
			if err := to.say(ctx, fmt.Sprintf("%d bytes came too fast to be shown; the log has them", news.Skipped)); err != nil {
				return err
			}
		}
		if len(news.Output) > 0 {
			if err := to.output(ctx, news.Output); err != nil {
				return err
			}
		}
		if news.Status != nil {
			if err := s.status(ctx, to, *news.Status); err != nil {
				return err
			}
		}
	}
}

func (s *serial) status(ctx context.Context, to *conn, status console.Status) error {
	if to.protocol != withState {
		if status.Viewers == 1 && status.Away == "" {
			return nil // alone: there is nobody to tell about
		}
		return to.say(ctx, status.Text())
	}
	message, err := json.Marshal(map[string]console.Status{"status": status})
	if err != nil {
		return err
	}
	return to.send(ctx, websocket.MessageText, message)
}

func (s *serial) typed(p []byte) (string, error) {
	err := s.viewer.Type(p)
	said := ""
	if err != nil {
		said = strings.TrimSuffix(fault.Message(err), ".")
	}
	if said == s.told {
		return "", nil
	}
	s.told = said
	return said, nil
}

func (s *serial) order(name string) {
	if name == "take" {
		s.viewer.Take()
	}
}

func (s *serial) close() { s.viewer.Close() }

// screen is a picture: each viewer has a connection of its own to the BMC, which shares it among them.
type screen struct{ stream io.ReadWriteCloser }

func (s screen) show(ctx context.Context, to *conn) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := s.stream.Read(buffer)
		if n > 0 {
			if err := to.output(ctx, buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "The machine's picture has ended.")
		}
	}
}

func (s screen) typed(p []byte) (string, error) {
	_, err := s.stream.Write(p)
	return "", err
}

func (screen) order(string) {}

func (s screen) close() { _ = s.stream.Close() } // the far side is lost anyway

// Peers reach the consoles of other processes.
type Peers struct{ Client *http.Client }

// Records implements console.Peers.
func (p Peers) Records(ctx context.Context, base, token string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/console/peer/records?"+url.Values{"token": {token}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := p.Client.Do(r)
	if err != nil {
		var failed *url.Error // its text has the address with the token
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close() // it says no more than the status
		return nil, fmt.Errorf("the other process answered %s", response.Status)
	}
	return response.Body, nil
}
