package redfish

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/fault"
)

// openBMCConsole is where OpenBMC has its console; other services may name theirs (ComputerSystem 1.26,
// SerialConsole/WebSocket/ConsoleURI).
const openBMCConsole = "/console0"

// maxMessage bounds one message of the console, in bytes.
const maxMessage = 1 << 20

// OpenConsole joins the serial line. The context bounds the opening only; Close ends the connection.
func (d *Driver) OpenConsole(ctx context.Context) (io.ReadWriteCloser, error) {
	var line io.ReadWriteCloser
	err := d.withSystem(ctx, "OpenConsole", func(ctx context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		path := s.SerialConsole.WebSocket.ConsoleURI
		if path == "" {
			path = openBMCConsole
		}
		header := http.Header{}
		if session, err := c.GetSession(); err == nil {
			header.Set("X-Auth-Token", session.Token)
		} else {
			r := http.Request{Header: header}
			r.SetBasicAuth(d.bmc.Username, d.bmc.Password)
		}
		// The bare transport: bounded would hide that the connection can be written to. It speaks HTTP/1.1 only, as
		// net/http does wherever the TLS configuration is ours, and a websocket needs just that.
		socket, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(d.base, "http")+path, &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: d.http.Transport.(bounded).next, CheckRedirect: d.http.CheckRedirect}, HTTPHeader: header,
		})
		if err != nil {
			return refused(resp, err)
		}
		socket.SetReadLimit(maxMessage)
		line = websocket.NetConn(context.Background(), socket, websocket.MessageBinary)
		return nil
	})
	return line, err
}

// refused gives a handshake that failed the same error type as gofish's, so that a dropped session is noticed.
func refused(resp *http.Response, err error) error {
	if resp == nil {
		return err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == http.StatusOK {
		return fault.Wrap(err, fault.Unsupported, "The BMC has no console over a websocket.")
	}
	body := []byte{}
	if resp.Body != nil {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what cannot be read is not told
	}
	return fmt.Errorf("console: %w", schemas.ConstructError(resp.StatusCode, body))
}
